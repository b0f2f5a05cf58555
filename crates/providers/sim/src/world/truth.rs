//! The other side of the cloud, for tests and demos: the truth, and the hand of fate.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fleetwright_core::{Labels, Market, Node, NodeId, Operation, Result};

use super::machine::{self, Batch, End, Notice, Script, Why};
use super::state::{Change, State};
use super::{Call, CallCount, Cloud, Injection, after};
use crate::config::{SimCapacity, SimQuota};
use crate::error;

/// What really is in a simulated cloud: no lag, no faults, no limits, and nothing is counted as a
/// call.
///
/// It is shared with every provider and process that uses the same file.
#[derive(Debug, Clone)]
pub struct World {
    cloud: Arc<Cloud>,
}

impl World {
    pub(crate) fn new(cloud: Arc<Cloud>) -> Self {
        Self { cloud }
    }

    /// The file that it lives in.
    pub fn path(&self) -> &Path {
        self.cloud.path()
    }

    /// All machines, foreign ones and deleted ones included, oldest first.
    pub fn nodes(&self) -> Result<Vec<Node>> {
        self.cloud.step(|step| {
            step.state()
                .machines_after(0)
                .map(|(number, machine, batch)| {
                    machine.node(number, batch, step.provider(), step.now())
                })
                .collect()
        })
    }

    /// All machines that are not gone, oldest first.
    pub fn live_nodes(&self) -> Result<Vec<Node>> {
        let mut nodes = self.nodes()?;
        nodes.retain(|node| !node.state.is_deleted());
        Ok(nodes)
    }

    /// The latest calls, oldest first, at most 4,096.
    pub fn calls(&self) -> Result<Vec<Call>> {
        self.cloud
            .step(|step| Ok(step.state().recent.iter().cloned().collect()))
    }

    /// How many calls of each kind were made since the world began.
    pub fn call_counts(&self) -> Result<BTreeMap<Operation, CallCount>> {
        self.cloud.step(|step| Ok(step.state().counts.clone()))
    }

    /// How many calls were refused because they came too fast.
    pub fn throttled(&self) -> Result<u64> {
        let counts = self.call_counts()?;
        Ok(counts.values().map(|count| count.throttled).sum())
    }

    /// Adds a machine that nobody asked for. It is foreign unless its labels say otherwise.
    ///
    /// # Errors
    /// `Invalid` if the region is not known.
    pub fn add_node(&self, region: &str, name: &str, labels: Labels) -> Result<NodeId> {
        self.cloud.step(|step| {
            let config = step.config();
            let zone = config
                .region(region)
                .and_then(|region| region.zones.first())
                .ok_or_else(|| error::invalid(format!("there is no region `{region}`")))?;
            let sold = config
                .types
                .first()
                .ok_or_else(|| error::invalid("nothing is sold here"))?;
            let batch = Batch {
                made_at: step.now(),
                region: region.to_owned(),
                zones: vec![(zone.clone(), 1)],
                name: name.to_owned(),
                first_ordinal: None,
                instance_type: sold.name.clone(),
                market: Market::OnDemand,
                labels,
                price: Some(sold.price),
                boot_time: Duration::ZERO,
                script: Script {
                    reported: config.reports_boot,
                    takes: Duration::ZERO,
                    status: 0,
                    failures: 0,
                },
                listing_lag: Duration::ZERO,
                seed: config.seed,
                group: None,
            };
            step.change(Change::Made(Box::new(batch)));
            let number = step.state().last_machine;
            NodeId::new(step.provider(), region, &machine::native(number))
        })
    }

    /// Ends a machine from outside: it is gone at once.
    ///
    /// # Errors
    /// `NotFound` if there is no such machine.
    pub fn kill(&self, id: &NodeId) -> Result<()> {
        self.cloud.step(|step| {
            let (machine, now) = (find(step.state(), id)?, step.now());
            let end = End {
                asked_at: now,
                gone_at: now,
                why: Why::Killed,
            };
            step.change(Change::Ended { machine, end });
            Ok(())
        })
    }

    /// Gives notice to a machine and takes it back when the time is over.
    ///
    /// # Errors
    /// `NotFound` if there is no such machine.
    pub fn reclaim(&self, id: &NodeId, notice: Duration) -> Result<()> {
        self.cloud.step(|step| {
            let (machine, now) = (find(step.state(), id)?, step.now());
            let notice = Notice {
                given_at: now,
                gone_at: after(now, notice),
            };
            step.change(Change::Noticed { machine, notice });
            Ok(())
        })
    }

    /// Lets the cloud use a word for the state of a machine, e.g. `hibernating`; `None` ends it.
    ///
    /// # Errors
    /// `NotFound` if there is no such machine.
    pub fn say_state(&self, id: &NodeId, word: Option<&str>) -> Result<()> {
        self.cloud.step(|step| {
            let machine = find(step.state(), id)?;
            let word = word.map(str::to_owned);
            step.change(Change::Said { machine, word });
            Ok(())
        })
    }

    /// Breaks the listing of a region until it is healed.
    pub fn break_listing(&self, region: &str) -> Result<()> {
        self.set_listing(region, true)
    }

    /// Heals the listing of a region, unless the configuration breaks it.
    pub fn heal_listing(&self, region: &str) -> Result<()> {
        self.set_listing(region, false)
    }

    fn set_listing(&self, region: &str, broken: bool) -> Result<()> {
        let region = region.to_owned();
        self.cloud.step(|step| {
            step.change(Change::Listing { region, broken });
            Ok(())
        })
    }

    /// Lets calls fail that are still to come, whichever process makes them. Injections that a call
    /// meets at the same time are used up in the order they were made.
    pub fn inject(&self, injection: Injection) -> Result<()> {
        self.cloud.step(|step| {
            let mut waiting = step.state().injections.clone();
            waiting.push(injection);
            step.change(Change::Injections(waiting));
            Ok(())
        })
    }

    /// Takes back all injections that were not used up.
    pub fn clear_injections(&self) -> Result<()> {
        self.cloud.step(|step| {
            step.change(Change::Injections(Vec::new()));
            Ok(())
        })
    }

    /// Makes machines scarce, besides what the configuration says. The rules given before are
    /// forgotten; without any, nothing is scarce.
    pub fn set_capacity(&self, rules: Vec<SimCapacity>) -> Result<()> {
        self.cloud.step(|step| {
            step.change(Change::Capacity(rules));
            Ok(())
        })
    }

    /// Limits the account, besides what the configuration says. The quotas given before are
    /// forgotten.
    pub fn set_quota(&self, quota: Vec<SimQuota>) -> Result<()> {
        self.cloud.step(|step| {
            step.change(Change::Quota(quota));
            Ok(())
        })
    }
}

fn find(state: &State, id: &NodeId) -> Result<u64> {
    machine::number_of(id.native())
        .filter(|&number| {
            state
                .machine(number)
                .is_some_and(|(_, batch)| batch.region == id.region())
        })
        .ok_or_else(|| error::not_found(format!("there is no machine `{id}`")))
}
