//! What a provider remembers while it lives: nothing of it is needed, all of it saves calls.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_ec2::types::Instance;
use fleetwright_core::{Node, NodeId};
use jiff::Timestamp;

use crate::batch::Batch;
use crate::delete::Membership;
use crate::provider::AwsProvider;

/// Facts that do not change, and instances that were seen.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    facts: Mutex<HashMap<String, String>>,
    seen: Mutex<Seen>,
    batches: Batches,
}

#[derive(Debug, Default)]
struct Seen {
    membership: HashMap<String, Membership>,
    made: HashMap<String, Timestamp>,
    leaving: HashSet<String>,
    lowered: HashSet<String>,
}

type Shared<T> = Mutex<HashMap<String, Arc<Batch<T>>>>;

/// Questions and removals that are gathered, per region or per fleet.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    looks: Shared<Option<Instance>>,
    removals: Shared<bool>,
}

impl Batches {
    /// Questions about instances of a region.
    pub(crate) fn looks(&self, region: &str) -> Arc<Batch<Option<Instance>>> {
        of(&self.looks, region)
    }

    /// Removals from a region or a fleet: one call at a time for each.
    pub(crate) fn removals(&self, key: &str) -> Arc<Batch<bool>> {
        of(&self.removals, key)
    }
}

fn of<T: Clone + Send>(shared: &Shared<T>, key: &str) -> Arc<Batch<T>> {
    let mut all = shared.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(all.entry(key.to_owned()).or_default())
}

impl AwsProvider {
    fn facts(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.memory()
            .facts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.memory()
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn remembered(&self, key: &str) -> Option<String> {
        self.facts().get(key).cloned()
    }

    pub(crate) fn remember(&self, key: String, value: String) {
        self.facts().insert(key, value);
    }

    pub(crate) fn batches(&self) -> &Batches {
        &self.memory().batches
    }

    pub(crate) fn note_membership(&self, region: &str, instance: &Instance) {
        if let Some(id) = instance.instance_id() {
            let key = key(region, id);
            self.seen().membership.insert(key, Membership::of(instance));
        }
    }

    pub(crate) fn membership(&self, id: &NodeId) -> Option<Membership> {
        let key = key(id.region(), id.native());
        self.seen().membership.get(&key).cloned()
    }

    /// Remembers what was made just now, and what keeps its number.
    pub(crate) fn note_made(&self, nodes: &[Node], membership: &Membership) {
        let now = self.clock().now();
        let mut seen = self.seen();
        for node in nodes {
            let key = key(node.id.region(), node.id.native());
            seen.made.insert(key.clone(), now);
            seen.membership.insert(key, membership.clone());
        }
    }

    /// Whether this process made it so lately that EC2 may not know it yet.
    pub(crate) fn was_just_made(&self, id: &NodeId) -> bool {
        let lag = self.config().listing_lag.0;
        let made = self
            .seen()
            .made
            .get(&key(id.region(), id.native()))
            .copied();
        made.is_some_and(|at| {
            let age = self.clock().now().duration_since(at);
            std::time::Duration::try_from(age).is_ok_and(|age| age < lag)
        })
    }

    pub(crate) fn note_leaving(&self, id: &NodeId) {
        self.seen().leaving.insert(key(id.region(), id.native()));
    }

    /// Whether this process has asked for its end: then it is looked at instead.
    pub(crate) fn is_leaving(&self, id: &NodeId) -> bool {
        self.seen().leaving.contains(&key(id.region(), id.native()))
    }

    /// Whether this process made members of a keeper besides these that it has not asked the end of.
    pub(crate) fn made_others(&self, region: &str, keeper: &Membership, ids: &[String]) -> bool {
        let seen = self.seen();
        seen.made.keys().any(|made| {
            let other = !ids.iter().any(|id| key(region, id) == *made);
            other && !seen.leaving.contains(made) && seen.membership.get(made) == Some(keeper)
        })
    }

    /// Those whose fleet was not lowered for them yet.
    pub(crate) fn not_lowered(&self, ids: &[String]) -> Vec<String> {
        let seen = self.seen();
        ids.iter()
            .filter(|id| !seen.lowered.contains(*id))
            .cloned()
            .collect()
    }

    pub(crate) fn note_lowered(&self, ids: Vec<String>) {
        self.seen().lowered.extend(ids);
    }

    pub(crate) fn forget(&self, id: &NodeId) {
        let key = key(id.region(), id.native());
        let mut seen = self.seen();
        seen.membership.remove(&key);
        seen.made.remove(&key);
        seen.leaving.remove(&key);
        seen.lowered.remove(id.native());
    }
}

fn key(region: &str, native: &str) -> String {
    format!("{region}/{native}")
}
