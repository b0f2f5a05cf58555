//! Notice before a node is taken away.

use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{NodeId, Result};

/// Where a cloud says what it is going to do to our nodes.
#[async_trait]
pub trait Interruptions: Debug + Send + Sync {
    /// The notices that are in force now. May repeat what was told before.
    async fn pending(&self) -> Result<Vec<Interruption>>;
}

/// A notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interruption {
    /// Which node.
    pub node: NodeId,
    /// What will happen.
    pub kind: InterruptionKind,
    /// When, if it was said.
    pub at: Option<Timestamp>,
}

/// What will happen to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InterruptionKind {
    /// The cloud takes a spot machine back.
    Reclaim,
    /// The cloud advises to move away.
    Rebalance,
    /// The host will be maintained.
    Maintenance,
}

impl InterruptionKind {
    /// What it means for a node, in words.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Reclaim => "the cloud takes it back",
            Self::Rebalance => "the cloud advises to move it away",
            Self::Maintenance => "the cloud maintains its host",
        }
    }
}
