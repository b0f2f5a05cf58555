//! Decided sizes of pools, and the signals that they are decided by.

use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Quantity, Result};

/// One value of a signal, at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When it was measured.
    pub at: Timestamp,
    /// What was measured.
    pub value: Quantity,
}

/// Somewhere that a signal can be asked for.
#[async_trait]
pub trait SignalSource: Debug + Send + Sync {
    /// Asks for the present value. Takes no longer than some seconds.
    ///
    /// # Errors
    /// Whatever stands in the way of one number: an answer that is empty, several numbers, or not
    /// a number is an error too, never a zero.
    async fn read(&self) -> Result<Quantity>;
}

/// The size that a pool is kept at, in place of its configured one, and how that came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeRecord {
    /// The pool.
    pub pool: String,
    /// How many machines.
    pub size: u32,
    /// Who decided.
    pub by: SizedBy,
    /// Since when.
    pub since: Timestamp,
    /// Until when, if it was set by hand for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why, in words.
    pub reason: String,
    /// When it last grew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_up: Option<Timestamp>,
    /// When it last shrank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_down: Option<Timestamp>,
    /// Why the policy cannot decide at present, if so: the size stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What the last change was decided on: signals, votes of the policies, what held it back.
    #[serde(default)]
    pub evidence: Value,
}

/// Who decided on a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SizedBy {
    /// The pool's policy.
    Policy,
    /// Somebody, with `scale`.
    Hand,
}

impl SizeRecord {
    /// Whether it was set by hand and is still in force.
    pub fn is_held(&self, now: Timestamp) -> bool {
        self.by == SizedBy::Hand && self.until.is_none_or(|until| until > now)
    }
}
