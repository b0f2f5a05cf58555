//! Who asked what, when, and what came of it.

use fleetwright_core::{Kind, Operation};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A call that the cloud received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// What was asked.
    pub operation: Operation,
    /// Of which region; absent for questions about the whole account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// When the cloud received it.
    pub at: Timestamp,
    /// How many machines it asked for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub machines: u32,
    /// What came of it.
    pub outcome: Outcome,
    /// Whether a fault was used up that a test had ordered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub injected: bool,
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was answered.
    Answered,
    /// It was refused with an error of this kind; nothing happened.
    Refused(Kind),
    /// Nothing happened, and the caller was not told.
    LostBefore,
    /// It happened, but the caller was not told.
    LostAfter,
}

/// How many calls of a kind were made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallCount {
    /// All of them.
    pub made: u64,
    /// Those that were answered.
    pub answered: u64,
    /// Those that were refused because they came too fast.
    pub throttled: u64,
}

impl CallCount {
    pub(super) fn add(&mut self, call: &Call) {
        self.made += 1;
        match call.outcome {
            Outcome::Answered => self.answered += 1,
            Outcome::Refused(Kind::RateLimited) => self.throttled += 1,
            Outcome::Refused(_) | Outcome::LostBefore | Outcome::LostAfter => {}
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's `skip_serializing_if` hands over a reference"
)]
fn is_zero(count: &u32) -> bool {
    *count == 0
}
