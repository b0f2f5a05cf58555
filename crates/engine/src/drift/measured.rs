//! What measuring gives: findings, and how a machine stands.

use fleetwright_core::{ErrorReport, Finding, NodeRecord, Result, Severity, Target, Verdict};
use fleetwright_store::Measurement;
use jiff::Timestamp;
use serde::Serialize;

use super::judge::severity;
use crate::Engine;

/// How a machine stands to what is expected of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Everything that was measured is as expected.
    Congruent,
    /// It differs.
    Drift,
    /// It is not known to differ, but something could not be found out.
    Unknown,
    /// It could not be logged in to.
    Unreachable,
}

impl Condition {
    /// The name used in JSON and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Congruent => "congruent",
            Self::Drift => "drift",
            Self::Unknown => "unknown",
            Self::Unreachable => "unreachable",
        }
    }
}

/// What was measured on a machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// Which machine.
    pub target: Target,
    /// Whether it could be logged in to; if not, why.
    pub reached: Result<(), ErrorReport>,
    /// Since when it can, or cannot, be logged in to, as far as that was watched.
    pub since: Timestamp,
    /// When it was measured.
    pub at: Timestamp,
    /// One for each probe, in the order of the configuration. Empty if it was not reached.
    pub findings: Vec<Finding>,
}

impl Measured {
    /// How bad it is that it differs; nothing if it is not known to. See [`severity`].
    pub fn severity(&self) -> Option<Severity> {
        severity(&self.findings)
    }

    /// How it stands.
    pub fn condition(&self) -> Condition {
        let is_unknown = |finding: &Finding| matches!(finding.verdict, Verdict::Unknown { .. });
        if self.reached.is_err() {
            Condition::Unreachable
        } else if self.severity().is_some() {
            Condition::Drift
        } else if self.findings.iter().any(is_unknown) {
            Condition::Unknown
        } else {
            Condition::Congruent
        }
    }
}

/// A machine that differed when it was last measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KnownDrift {
    /// Its name.
    pub node: String,
    /// What it belongs to.
    pub group: String,
    /// How bad it was.
    pub severity: Severity,
    /// When that was.
    pub at: Timestamp,
}

impl Engine {
    /// Machines that differed when they were last measured, from the journal alone. Those that are
    /// no more, and those of which nothing is expected any more, are left out.
    pub async fn known_drift(&self) -> Result<Vec<KnownDrift>> {
        let measurements = self.store.measurements().await?;
        if measurements.is_empty() {
            return Ok(Vec::new());
        }
        let records = self.store.nodes().await?;
        let is_there = |one: &Measurement| match one.belongs.split_once('.') {
            Some(("pools", name)) => {
                let is_it = |record: &NodeRecord| record.name == one.machine;
                records.iter().any(is_it)
                    && self
                        .fleet
                        .pools
                        .get(name)
                        .is_some_and(|pool| !pool.probes.is_empty())
            }
            Some(("targets", name)) => {
                let group = self.fleet.targets.get(name);
                group.is_some_and(|group| !group.probes.is_empty())
            }
            _ => false,
        };
        let known = measurements.into_iter().filter(is_there).filter_map(|one| {
            Some(KnownDrift {
                severity: severity(&one.findings)?,
                at: one.findings.iter().map(|finding| finding.at).max()?,
                node: one.machine,
                group: one.belongs,
            })
        });
        Ok(known.collect())
    }
}
