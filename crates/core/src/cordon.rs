//! Cordons: machines that nothing new is to be started on.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{NodeId, TargetGroupName};

/// A machine that nothing new is to be started on, and how far that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cordon {
    /// The machine: its node's id, or where its SSH server listens.
    pub key: String,
    /// Its name.
    pub target: String,
    /// The node, if a provider knows it.
    pub node: Option<NodeId>,
    /// What it belongs to.
    pub group: Option<TargetGroupName>,
    /// How far it is.
    pub phase: CordonPhase,
    /// Since when it is cordoned.
    pub since: Timestamp,
    /// When the phase began.
    pub phase_since: Timestamp,
    /// Why, in words.
    pub reason: String,
    /// What went wrong in this phase, if something did.
    pub trouble: Option<String>,
}

/// How far a cordon is. Each is written before what it stands for is begun, so that a run that was
/// killed leaves a phase that the next one goes on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CordonPhase {
    /// The hook that cordons runs.
    Cordoning,
    /// Nothing new is started on it.
    Cordoned,
    /// It leaves its balancer, and what runs on it is moved elsewhere.
    Draining,
    /// Nothing runs on it any more.
    Drained,
    /// The hook that ends the cordon runs.
    Uncordoning,
}

impl CordonPhase {
    /// The name used in JSON and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cordoning => "cordoning",
            Self::Cordoned => "cordoned",
            Self::Draining => "draining",
            Self::Drained => "drained",
            Self::Uncordoning => "uncordoning",
        }
    }
}

impl fmt::Display for CordonPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
