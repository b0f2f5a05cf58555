//! Targets: the machines that are logged in to, from wherever they are known.
//!
//! ```text
//!   journal ─────► pools.<name> ─┐
//!   hosts, file ─► targets.<name>├─► merge by node and endpoint ─► filter ─► TargetSet
//!   listings ────► targets.<name>│        (origins are all kept)
//!   command line ► given ────────┘
//! ```
//!
//! What is written down somewhere is there whatever the clouds say. What was found in a listing
//! stays until a listing that looked there does not show it: a part that could not be listed makes
//! nothing vanish. A machine that has left is dropped without a word.

mod discovered;
mod merge;
mod welcome;
mod written;

use std::collections::BTreeMap;

use fleetwright_core::{
    Error, ErrorReport, Filter, Kind, NodeRecord, Result, Target, TargetAddress, TargetGroupName,
    TargetOrigin,
};
use serde::Serialize;

use self::merge::Merge;
use crate::Engine;

pub use welcome::Welcomes;
pub(crate) use welcome::in_words;

/// Which machines are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetWish {
    /// Only these: addresses, names of nodes or targets, or `@file` with an address a line. Empty:
    /// all that the journal and the configuration know.
    pub given: Vec<String>,
    /// Only those that match.
    pub filter: Filter,
}

/// The machines that were found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TargetSet {
    /// Those that can be logged in to: as given, or pools and target groups by name.
    pub targets: Vec<Target>,
    /// Those that nobody can log in to, with the reason.
    pub unreachable: Vec<NoLogin>,
    /// Places that could not be looked at. What was found there before is among the targets.
    pub gaps: Vec<TargetGap>,
    /// What the journal or the provider said of a target last, by [`Target::key`]. Of addresses
    /// that are only written down nothing is known.
    pub states: BTreeMap<String, String>,
}

/// A machine that is known and cannot be logged in to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NoLogin {
    /// Its name.
    pub name: String,
    /// Where it was found.
    pub origin: TargetOrigin,
    /// Why.
    pub reason: String,
}

/// A place that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetGap {
    /// For which `[targets.<name>]`.
    pub group: String,
    /// Which provider, and region or group of it.
    pub place: String,
    /// Why.
    pub error: ErrorReport,
}

impl TargetSet {
    /// What is said of a target.
    pub fn state(&self, target: &Target) -> Option<&str> {
        self.states.get(&target.key()).map(String::as_str)
    }
}

impl Engine {
    /// Finds the machines that are wanted. Reads the journal and files of addresses, and asks the
    /// providers of discoveries; what these show is written down, so that a later listing with gaps
    /// does not lose it.
    ///
    /// # Errors
    /// `Config` if a file of addresses cannot be read or holds something else; `Invalid` if a given
    /// word is neither a name nor an address; errors of the journal. A provider that does not
    /// answer is a gap.
    pub async fn targets(&self, wish: &TargetWish) -> Result<TargetSet> {
        let mut all = Merge::default();
        self.add_nodes(&mut all).await?;
        let groups = &self.fleet.targets;
        for (name, group) in groups {
            for (address, origin) in written::of_group(name, group).await? {
                all.add(
                    named_by_address(
                        &address,
                        Some(TargetGroupName::Targets(name.clone())),
                        origin,
                    ),
                    None,
                );
            }
        }
        // Given addresses need no provider, unless a word may be the name of something there.
        let asks = wish.given.is_empty() || self.has_unknown_names(&wish.given, &all);
        if asks {
            for (name, group) in groups {
                self.discover_group(name, group, &mut all).await?;
            }
        }
        let set = if wish.given.is_empty() {
            all.into_set()
        } else {
            pick(&wish.given, all).await?
        };
        Ok(narrowed(set, &wish.filter))
    }

    /// The nodes of the journal.
    async fn add_nodes(&self, all: &mut Merge) -> Result<()> {
        let mut records = self.store.nodes().await?;
        records.retain(|record| !record.life.is_leaving());
        records.sort_by(|a, b| (&a.pool, &a.name).cmp(&(&b.pool, &b.name)));
        for record in &records {
            let origin = TargetOrigin::Pool {
                pool: record.pool.clone(),
            };
            match of_record(record) {
                Some(target) => all.add(target, Some(record.life.to_string())),
                None => all.add_unreachable(NoLogin {
                    name: record.name.clone(),
                    origin,
                    reason: self.why_no_login(record),
                }),
            }
        }
        Ok(())
    }

    fn why_no_login(&self, record: &NodeRecord) -> String {
        let provider = self.providers.get(record.id.provider());
        if provider.is_some_and(|provider| !provider.info().has_ssh) {
            "its provider gives no way to log in".to_owned()
        } else {
            "it has no address yet".to_owned()
        }
    }

    /// Whether a given word can only be the name of a discovered machine.
    fn has_unknown_names(&self, given: &[String], all: &Merge) -> bool {
        self.fleet
            .targets
            .values()
            .any(|group| !group.discover.is_empty())
            && given.iter().any(|word| {
                !word.starts_with('@')
                    && !word.contains(['.', ':', '@'])
                    && all.named(word).is_none()
            })
    }
}

fn of_record(record: &NodeRecord) -> Option<Target> {
    Some(Target {
        name: record.name.clone(),
        access: record.access.clone()?,
        group: Some(TargetGroupName::Pool(record.pool.clone())),
        node: Some(record.id.clone()),
        origins: vec![TargetOrigin::Pool {
            pool: record.pool.clone(),
        }],
        labels: record.labels.clone(),
    })
}

fn named_by_address(
    address: &TargetAddress,
    group: Option<TargetGroupName>,
    origin: TargetOrigin,
) -> Target {
    let name = if address.port == TargetAddress::PORT {
        address.host.clone()
    } else if address.host.contains(':') {
        format!("[{}]:{}", address.host, address.port)
    } else {
        format!("{}:{}", address.host, address.port)
    };
    Target {
        name,
        access: address.access(),
        group,
        node: None,
        origins: vec![origin],
        labels: fleetwright_core::Labels::new(),
    }
}

/// Those that were given, in the order in which they were given. One that is known keeps all that
/// is known of it: name, host keys, group.
async fn pick(given: &[String], mut all: Merge) -> Result<TargetSet> {
    let mut chosen = Merge::default();
    let mut unreachable = Vec::new();
    for word in given {
        if let Some(path) = word.strip_prefix('@') {
            for (address, origin) in written::of_file(path).await? {
                choose(
                    &named_by_address(&address, None, origin),
                    false,
                    &mut all,
                    &mut chosen,
                );
            }
        } else if let Some(found) = all.named(word) {
            let (mut target, state) = found.clone();
            target.origins.insert(0, TargetOrigin::Given);
            chosen.add(target, state);
        } else if let Some(found) = all.unreachable_named(word) {
            unreachable.push(found.clone());
        } else {
            let address: TargetAddress = word.parse().map_err(|error: Error| {
                Error::new(
                    Kind::Invalid,
                    format!("`{word}` is neither a target nor an address"),
                )
                .with_hint(
                    "`fleetwright targets` lists them all; an address is `user@host:port`, a file \
                     of addresses `@file`",
                )
                .with_source(error)
            })?;
            let has_user = word.contains('@');
            choose(
                &named_by_address(&address, None, TargetOrigin::Given),
                has_user,
                &mut all,
                &mut chosen,
            );
        }
    }
    let gaps = std::mem::take(&mut all.gaps);
    let mut set = chosen.into_set();
    set.unreachable = unreachable;
    set.gaps = gaps;
    Ok(set)
}

/// Adds a given address, with what is known of the machine there.
fn choose(given: &Target, has_user: bool, all: &mut Merge, chosen: &mut Merge) {
    match all.at(&given.endpoint()) {
        Some((known, state)) => {
            let mut target = known.clone();
            if has_user {
                target.access.user.clone_from(&given.access.user);
            }
            target.origins.splice(0..0, given.origins.iter().cloned());
            chosen.add(target, state.clone());
        }
        None => chosen.add(given.clone(), None),
    }
}

fn narrowed(mut set: TargetSet, filter: &Filter) -> TargetSet {
    if filter.is_empty() {
        return set;
    }
    let states = &set.states;
    set.targets.retain(|target| {
        let state = states.get(&target.key()).map(String::as_str);
        target.is_selected(filter, state)
    });
    set.unreachable.retain(|one| {
        // Of what cannot be logged in to only this is known.
        filter.terms().iter().all(|term| match term.key() {
            "name" => term.matches(&one.name),
            "origin" | "group" => term.matches(&one.origin.to_string()),
            "pool" => match &one.origin {
                TargetOrigin::Pool { pool } => term.matches(pool),
                _ => term.matches(""),
            },
            _ => term.matches(""),
        })
    });
    set
}
