//! What is known of machines at an instant: what the planner of heals reads, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright_core::{
    Disruption, Finding, Healing, Health, NodeId, Probe, Target, TargetGroupName,
};
use jiff::Timestamp;
use serde::Serialize;

use crate::Fleet;

/// What is known of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetState {
    /// The machine.
    pub target: Target,
    /// Whether it can be reached.
    pub reach: Reach,
    /// What its probes gave; empty if it was not reached.
    pub findings: Vec<Finding>,
    /// Whether it is healthy.
    pub health: HealthVerdict,
    /// Why it does not do its work, for reasons that are no case: it is cordoned, it is just coming
    /// up. Absent: it does.
    pub absence: Option<String>,
}

/// Whether a machine can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Reach {
    /// Just now.
    Reached,
    /// It was tried, and it does not answer.
    Unreachable {
        /// What was seen.
        reason: String,
    },
    /// It could not be tried, or the answer says nothing about the machine.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// Whether a machine is healthy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum HealthVerdict {
    /// Nobody has found out.
    #[default]
    Unknown,
    /// It is.
    Healthy,
    /// It is not, by as many reports as its policy wants.
    Unhealthy {
        /// What was seen.
        reason: String,
    },
}

/// What holds for the machines of a group.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'a> {
    /// What is expected.
    pub probes: &'a [Probe],
    /// What is done about those that differ.
    pub healing: &'a Healing,
    /// How many may be disturbed.
    pub disruption: &'a Disruption,
    /// When one counts as unhealthy.
    pub health: &'a Health,
}

/// A group as it was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupState {
    /// Machines that a pool wants and that are not up.
    pub missing: usize,
    /// Why not all of its machines are known. Absent: they are.
    pub blind: Option<String>,
}

/// Everything that was seen at an instant.
#[derive(Debug, Clone, Default)]
pub struct Sight {
    /// When.
    pub at: Timestamp,
    /// The machines.
    pub states: Vec<TargetState>,
    /// Their groups. One that is not named here misses nothing and was seen in full.
    pub groups: BTreeMap<TargetGroupName, GroupState>,
    /// Nodes that are there and that nobody logs in to now: on their way up, or on their way out.
    pub passing: BTreeSet<NodeId>,
}

impl TargetState {
    /// The machine in a form that outlives its address.
    pub fn key(&self) -> String {
        key(&self.target)
    }

    /// Whether it does not do its work, or may not. What nobody knows counts: a budget is only
    /// worth something if it errs to the careful side.
    pub fn is_down(&self) -> bool {
        self.reach != Reach::Reached
            || matches!(self.health, HealthVerdict::Unhealthy { .. })
            || self.absence.is_some()
    }

    /// Whether it is known to be unreachable or unhealthy.
    pub fn is_bad(&self) -> bool {
        matches!(self.reach, Reach::Unreachable { .. })
            || matches!(self.health, HealthVerdict::Unhealthy { .. })
    }
}

/// A machine in a form that outlives its address.
pub(super) fn key(target: &Target) -> String {
    match &target.node {
        Some(node) => node.to_string(),
        None => {
            let (host, port) = target.endpoint();
            format!("{host}:{port}")
        }
    }
}

impl Fleet {
    /// What holds for the machines of a group, if it is configured.
    pub fn policy(&self, group: &TargetGroupName) -> Option<Policy<'_>> {
        match group {
            TargetGroupName::Pool(name) => self.pools.get(name).map(|pool| Policy {
                probes: &pool.probes,
                healing: &pool.healing,
                disruption: &pool.disruption,
                health: &pool.health,
            }),
            TargetGroupName::Targets(name) => self.targets.get(name).map(|group| Policy {
                probes: &group.probes,
                healing: &group.healing,
                disruption: &group.disruption,
                health: &group.health,
            }),
        }
    }
}
