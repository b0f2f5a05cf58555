//! Drift: what is expected of machines, what they say, and since when the two differ.
//!
//! ```text
//!  probes ─► expectations (looked up here) ──────────────┐
//!     └────► one script a node ─► SSH ─► answers ─► judge (pure) ─► findings ─► journal (`since`)
//! ```
//!
//! Nothing is written on a machine. What cannot be found out is unknown, which is neither drift nor
//! good; a machine that cannot be reached is unreachable, which is no drift either.

mod answer;
mod command;
mod expect;
mod file;
mod judge;
mod measured;
mod nix;
mod package;
mod question;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwright_core::{
    Clock, Command, Error, Exit, Finding, Kind, Output, Probe, Remote, Result, Target,
    TargetGroupName,
};
use fleetwright_store::Measurement;
use futures::{StreamExt as _, stream};
use jiff::{Timestamp, Unit};

use crate::{Engine, Fleet};
use answer::Transcript;
use judge::{Judged, judge};

pub use expect::Expectations;
pub use judge::severity;
pub use measured::{Condition, KnownDrift, Measured};

/// What a login and the script around the probes may take.
const LOGIN_LIMIT: Duration = Duration::from_secs(30);
/// How long a node may take to hang up after its last line.
const GRACE: Duration = Duration::from_secs(1);
/// What is kept of the output besides what is read as it comes.
const KEEP: usize = 4 << 10;

/// Limits of a round of measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeasureOptions {
    /// Machines at the same time; 0 counts as 1.
    pub parallel: usize,
}

impl Default for MeasureOptions {
    /// 64 at the same time.
    fn default() -> Self {
        Self { parallel: 64 }
    }
}

impl Fleet {
    /// What is expected of a machine of this group.
    pub fn probes(&self, group: Option<&TargetGroupName>) -> &[Probe] {
        let probes = match group {
            Some(TargetGroupName::Pool(name)) => self.pools.get(name).map(|pool| &pool.probes),
            Some(TargetGroupName::Targets(name)) => {
                self.targets.get(name).map(|group| &group.probes)
            }
            None => None,
        };
        probes.map_or(&[], Vec::as_slice)
    }
}

impl Engine {
    /// Measures machines side by side, each over one login, and writes what was found into the
    /// journal. One result for each target, in their order.
    ///
    /// A machine of which nothing is expected is only logged in to.
    ///
    /// # Errors
    /// From the journal; `Unsupported` if there is no way to log in at all. A machine that cannot
    /// be reached and a probe that fails are results.
    pub async fn measure(
        &self,
        targets: &[Target],
        expectations: &Expectations,
        options: &MeasureOptions,
    ) -> Result<Vec<Measured>> {
        let Some(remote) = &self.remote else {
            return Err(Error::new(
                Kind::Unsupported,
                "there is no way to log in to nodes",
            ));
        };
        let known = self.store.measurements().await?;
        let known: BTreeMap<(&str, u16), &Measurement> = known
            .iter()
            .map(|one| ((one.host.as_str(), one.port), one))
            .collect();
        let mut measured: Vec<(usize, Measured)> = stream::iter(targets.iter().enumerate())
            .map(|(index, target)| {
                let (known, remote) = (&known, &**remote);
                async move {
                    let (host, port) = target.endpoint();
                    let before = known.get(&(host.as_str(), port)).copied();
                    // Another machine at the same place has no past.
                    let before = before.filter(|before| before.machine == target.name);
                    let one = self.measure_one(remote, target, expectations, before);
                    (index, one.await)
                }
            })
            .buffer_unordered(options.parallel.max(1))
            .collect()
            .await;
        measured.sort_by_key(|(index, _)| *index);
        let measured: Vec<Measured> = measured.into_iter().map(|(_, one)| one).collect();
        let rows: Vec<Measurement> = measured.iter().map(row).collect();
        self.store.put_measurements(&rows).await?;
        Ok(measured)
    }

    async fn measure_one(
        &self,
        remote: &dyn Remote,
        target: &Target,
        expectations: &Expectations,
        before: Option<&Measurement>,
    ) -> Measured {
        let group = target.group.as_ref();
        let probes = self.fleet.probes(group);
        let asked = ask(remote, &*self.clock, target, probes).await;
        // As exact as the journal keeps it: the same instant reads the same from there.
        let now = self.clock.now();
        let at = now.round(Unit::Microsecond).unwrap_or(now);
        let reached = asked.as_ref().map(|_| ()).map_err(Error::report);
        let findings = asked.map_or_else(
            |_| Vec::new(),
            |answers| {
                let judged = probes.iter().zip(&answers).map(|(probe, answer)| {
                    let judged = match (expectations.of(group, probe), answer) {
                        (Err(why), _) => Judged::unexpected(why),
                        (Ok(_), Err(why)) => Judged::unexpected(why.clone()),
                        (Ok(expected), Ok(answer)) => {
                            judge(&probe.check, expected, answer, question::limit(probe))
                        }
                    };
                    finding(probe, judged, at, before)
                });
                judged.collect()
            },
        );
        Measured {
            target: target.clone(),
            since: before
                .filter(|before| before.reached == reached.is_ok())
                .map_or(at, |before| before.since),
            reached,
            at,
            findings,
        }
    }
}

/// What a node said about each probe, or why nobody knows.
type Answers = Vec<Result<answer::Answer, String>>;

/// Logs in and asks. `Err`: it was not reached.
async fn ask(
    remote: &dyn Remote,
    clock: &dyn Clock,
    target: &Target,
    probes: &[Probe],
) -> Result<Answers> {
    if probes.is_empty() {
        remote.reach(&target.access, LOGIN_LIMIT).await?;
        return Ok(Vec::new());
    }
    let limit: u64 = probes.iter().map(question::longest).sum();
    let mut command =
        Command::new("sh -s").with_timeout(LOGIN_LIMIT.saturating_add(Duration::from_secs(limit)));
    command.stdin = question::script(probes).into_bytes();
    command.keep = KEEP;
    let transcript = Transcript::new(probes.len());
    let said_all = async {
        transcript.finished().await;
        clock.sleep(GRACE).await;
    };
    let ended = tokio::select! {
        ended = remote.run(&target.access, &command, &transcript) => Some(ended),
        // Something that a probe has left running may keep the session open.
        () = said_all => None,
    };
    let (has_begun, answers) = transcript.into_answers();
    if has_begun {
        // Whatever became of the session then: what was said holds, and the rest is unknown.
        return Ok(answers.into_iter().map(Ok).collect());
    }
    match ended {
        Some(Err(error)) => Err(error),
        Some(Ok(output)) => {
            let why = format!(
                "the node's shell did not run the script: {}",
                words(&output)
            );
            Ok(vec![Err(why); probes.len()])
        }
        None => Ok(vec![Err("the node said nothing".to_owned()); probes.len()]),
    }
}

fn words(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    match (stderr.trim().lines().last(), &output.exit) {
        (Some(line), _) => line.chars().take(200).collect(),
        (None, Exit::Status { code }) => format!("status {code}"),
        (None, Exit::Signal { name }) => format!("signal {name}"),
    }
}

/// A verdict is as old as the first of its like in a row.
fn finding(probe: &Probe, judged: Judged, at: Timestamp, before: Option<&Measurement>) -> Finding {
    let since = before
        .and_then(|before| before.findings.iter().find(|one| one.probe == probe.name))
        .filter(|one| one.verdict.as_str() == judged.verdict.as_str())
        .map_or(at, |one| one.since);
    Finding {
        probe: probe.name.clone(),
        severity: probe.severity,
        expected: judged.expected,
        actual: judged.actual,
        verdict: judged.verdict,
        at,
        since,
    }
}

fn row(measured: &Measured) -> Measurement {
    let (host, port) = measured.target.endpoint();
    Measurement {
        host,
        port,
        machine: measured.target.name.clone(),
        belongs: measured.target.group_label().unwrap_or_default(),
        reached: measured.reached.is_ok(),
        since: measured.since,
        at: measured.at,
        findings: measured.findings.clone(),
    }
}
