//! What is expected, looked up once for all machines of a round.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright_core::{
    Check, Error, ErrorReport, Expectation, Kind, Probe, Result, Target, TargetGroupName,
};
use futures::{StreamExt as _, stream};

use crate::Engine;

/// Things looked up at the same time.
const LOOKUPS: usize = 4;

/// What is expected in this round, by group and probe.
#[derive(Debug, Clone, Default)]
pub struct Expectations {
    looked_up: BTreeMap<(TargetGroupName, String), Result<Expectation, ErrorReport>>,
}

impl Expectations {
    /// What could not be looked up, and why: group, probe, error. Findings of these probes are
    /// unknown.
    pub fn failures(&self) -> impl Iterator<Item = (&TargetGroupName, &str, &ErrorReport)> {
        self.looked_up
            .iter()
            .filter_map(|((group, probe), found)| Some((group, &**probe, found.as_ref().err()?)))
    }

    /// What a probe expects; if nobody knows, why.
    pub(super) fn of(
        &self,
        group: Option<&TargetGroupName>,
        probe: &Probe,
    ) -> Result<&Expectation, String> {
        if !probe.check.is_looked_up() {
            return Ok(&Expectation::Written);
        }
        let unasked = || "what is expected was not looked up".to_owned();
        let key = (group.ok_or_else(unasked)?.clone(), probe.name.clone());
        match self.looked_up.get(&key) {
            Some(Ok(expectation)) => Ok(expectation),
            Some(Err(report)) => Err(format!("nobody knows what is expected: {}", report.message)),
            None => Err(unasked()),
        }
    }
}

impl Engine {
    /// Looks up what is expected of these machines: builds, runs and reads here. Anew each time, so
    /// that a source that has changed counts at once; the same check only once.
    ///
    /// Never fails as a whole: see [`Expectations::failures`].
    pub async fn expectations(&self, targets: &[Target]) -> Expectations {
        let groups: BTreeSet<&TargetGroupName> = targets
            .iter()
            .filter_map(|target| target.group.as_ref())
            .collect();
        let mut wanted: Vec<(&Probe, Vec<(TargetGroupName, String)>)> = Vec::new();
        for group in groups {
            let probes = self.fleet.probes(Some(group)).iter();
            for probe in probes.filter(|probe| probe.check.is_looked_up()) {
                let key = (group.clone(), probe.name.clone());
                match wanted.iter_mut().find(|(other, _)| is_same(other, probe)) {
                    Some((_, keys)) => keys.push(key),
                    None => wanted.push((probe, vec![key])),
                }
            }
        }
        let looked_up = stream::iter(wanted)
            .map(|(probe, keys)| async move {
                let found = match &self.expectations {
                    Some(source) => source.expectation(probe).await,
                    None => Err(Error::new(
                        Kind::Unsupported,
                        format!("nothing here looks up what `{}` expects", probe.name),
                    )),
                };
                (keys, found.map_err(|error| error.report()))
            })
            .buffer_unordered(LOOKUPS)
            .flat_map(|(keys, found)| {
                stream::iter(keys.into_iter().map(move |key| (key, found.clone())))
            })
            .collect()
            .await;
        Expectations { looked_up }
    }
}

/// Whether both would be looked up in the same way.
fn is_same(one: &Probe, other: &Probe) -> bool {
    let same_source = match (&one.check, &other.check) {
        (Check::Nix(one), Check::Nix(other)) => {
            (
                &one.path,
                &one.file,
                &one.attribute,
                &one.flake,
                one.compare,
            ) == (
                &other.path,
                &other.file,
                &other.attribute,
                &other.flake,
                other.compare,
            )
        }
        (Check::Command(one), Check::Command(other)) => one.expect_from == other.expect_from,
        (Check::File(one), Check::File(other)) => one.source == other.source,
        _ => false,
    };
    same_source && one.timeout == other.timeout
}
