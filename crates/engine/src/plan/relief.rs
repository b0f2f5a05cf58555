//! Nodes that their cloud takes away: successors first, then the way out.
//!
//! Such a node does not count towards the size of its pool, so what takes its place is made in the
//! same run. It stays in service meanwhile, as long as it can: until others serve in its place, or
//! until the rest of its time is needed to leave.

use std::collections::{BTreeMap, HashSet};

use fleetwright_core::{NodeId, NodeRecord, Pool};

use super::Planner;
use super::create::Gap;
use crate::Observation;
use crate::interruption::{is_doomed, is_draining, is_pressing};
use crate::tenure::is_over;

impl<'a> Planner<'a> {
    /// Why a node is to leave as soon as others serve in its place; `None` if it is not.
    pub(super) fn is_leaving(&self, record: &NodeRecord, pool: &Pool) -> Option<String> {
        is_doomed(record, Some(pool)).or_else(|| {
            self.replaced
                .contains(&record.id)
                .then(|| "it is replaced, because nothing else has helped".to_owned())
        })
    }

    /// Lets those of the doomed nodes go that are not needed any more, and those whose time is up.
    pub(super) fn release(
        &mut self,
        pool: &'a Pool,
        desired: usize,
        wanted: &[&'a NodeRecord],
        mut doomed: Vec<&'a NodeRecord>,
    ) {
        let now = self.observation.at;
        let observation = self.observation;
        let serves = |record: &&&NodeRecord| serves(observation, record, pool);
        let serving = wanted.iter().filter(serves).count();
        let leaving_soon = doomed.iter().filter(serves).count();
        let mut spare = (serving + leaving_soon).saturating_sub(desired);
        // Whoever goes first leaves first.
        doomed.sort_by_key(|record| {
            let at = (record.tenure.notice.as_ref()).and_then(|notice| notice.at);
            (at.is_none(), at, record.id.clone())
        });
        for record in doomed {
            let Some(why) = self.is_leaving(record, pool) else {
                continue;
            };
            let pressing = (record.tenure.notice.as_ref())
                .is_some_and(|notice| is_pressing(notice, Some(pool), now));
            let serves = serves(&&record);
            // Whoever lets a machine be removed before another is ready has said so.
            let at_once = !pool.disruption.replace_first && self.replaced.contains(&record.id);
            let replaced = !serves || spare > 0 || at_once;
            // Without a balancer there is nothing to leave: it works until it is taken.
            let must_leave = pressing && pool.balancer.is_some();
            if must_leave {
                self.end(record, &why);
            } else if replaced && !is_draining(record, Some(pool)) {
                let besides = if at_once {
                    "another takes its place"
                } else if serves {
                    "others are in its place"
                } else {
                    "it does not serve"
                };
                self.end(record, &format!("{why}, and {besides}"));
            } else {
                continue;
            }
            if serves {
                spare = spare.saturating_sub(1);
            }
        }
    }

    /// A successor for each of these nodes, and nothing else: pools that are short for other
    /// reasons stay so.
    pub(super) fn relieve(&mut self, nodes: &[NodeId]) {
        let meant: HashSet<&NodeId> = nodes.iter().collect();
        let mut by_pool: BTreeMap<&str, Vec<&'a NodeRecord>> = BTreeMap::new();
        for record in &self.observation.records {
            by_pool.entry(&record.pool).or_default().push(record);
        }
        for (name, records) in by_pool {
            let Some(pool) = self.fleet.pools.get(name) else {
                continue;
            };
            if records.iter().any(|record| meant.contains(&record.id)) {
                self.relieve_pool(name, pool, &records, &meant);
            }
        }
    }

    fn relieve_pool(
        &mut self,
        name: &str,
        pool: &'a Pool,
        records: &[&'a NodeRecord],
        meant: &HashSet<&NodeId>,
    ) {
        let now = self.observation.at;
        let (mut wanted, mut doomed, mut counted) = (Vec::new(), Vec::new(), 0);
        for record in records {
            if record.life.is_leaving() {
                self.finish_leaving(record, pool);
            } else if is_over(record, now).is_some() {
                // Not our business: it goes when limits are kept.
            } else if !record.life.is_wanted() {
                counted += 1;
            } else if meant.contains(&record.id) && is_doomed(record, Some(pool)).is_some() {
                doomed.push(*record);
            } else {
                wanted.push(*record);
            }
        }
        let told = doomed
            .iter()
            .filter_map(|record| record.tenure.notice.as_ref());
        let Some(since) = told.map(|notice| notice.told_at).min() else {
            return;
        };
        let claims = (self.observation.claims.iter()).filter(|claim| claim.pool == name);
        let (mut pending, mut asked_since) = (0, 0);
        for claim in claims {
            let missing = usize::try_from(self.missing(claim)).unwrap_or(usize::MAX);
            pending += missing;
            if claim.made_at >= since {
                asked_since += missing;
            }
        }
        let made_since = wanted.iter().filter(|record| record.created_at >= since);
        let successors = made_since.count() + asked_since;
        let have = wanted.len() + counted + pending;
        let desired = usize::try_from(self.observation.wanted(name, pool)).unwrap_or(usize::MAX);
        let count = (doomed.len().saturating_sub(successors)).min(desired.saturating_sub(have));
        if count > 0 {
            let gap = Gap {
                missing: count,
                have,
                ended: 0,
                doomed: doomed.len(),
                replaced: 0,
                wanted: desired,
            };
            let placed = self.placed(name, pool, wanted.iter().copied(), &[]);
            self.create(name, pool, gap, placed);
        }
        // What counts is what serves now: a pool that was short before stays as short as it was.
        let size = desired.min(wanted.len() + doomed.len() - successors.min(doomed.len()));
        self.release(pool, size, &wanted, doomed);
        if let Some(balancer) = &pool.balancer {
            self.register(balancer, &wanted);
        }
    }

    /// Open claims of the pools that these nodes are in.
    pub(super) fn resolve_claims_beside(&mut self, nodes: &[NodeId]) {
        let meant: HashSet<&NodeId> = nodes.iter().collect();
        let pools: HashSet<&str> = (self.observation.records.iter())
            .filter(|record| meant.contains(&record.id))
            .map(|record| record.pool.as_str())
            .collect();
        for claim in &self.observation.claims {
            if pools.contains(claim.pool.as_str()) {
                self.resolve_claim(claim);
            }
        }
    }
}

/// Whether a node does its work: ready, and behind its balancer if that can be seen.
fn serves(observation: &Observation, record: &NodeRecord, pool: &Pool) -> bool {
    let Some(balancer) = &pool.balancer else {
        return record.life.is_ready();
    };
    let seen = observation.providers.get(record.id.provider());
    let judged = seen.is_some_and(|seen| matches!(seen.balancers.get(balancer), Some(Ok(_))));
    if judged {
        record.life == fleetwright_core::Life::InService
    } else {
        record.life.is_ready()
    }
}
