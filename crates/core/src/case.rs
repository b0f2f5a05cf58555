//! Cases: what is wrong with a machine, and what was done about it.
//!
//! A case is about one thing that is wrong with one machine. It is opened when that is first seen,
//! keeps every attempt to mend it, and is closed when a measurement says that it is right again.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{HealAction, NodeId, Severity, TargetGroupName};

/// One thing that is wrong with one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Made from the machine, the subject and the time: the same ones give the same.
    pub id: Uuid,
    /// Which machine, in a form that outlives its address: the node, or where its server listens.
    pub key: String,
    /// Its name.
    pub target: String,
    /// The node, if a provider knows it.
    pub node: Option<NodeId>,
    /// Whose policies hold for it.
    pub group: Option<TargetGroupName>,
    /// What is wrong.
    pub subject: Subject,
    /// How bad that is.
    pub severity: Severity,
    /// What was seen last, in words.
    pub reason: String,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Since when it is so without a break, as far as somebody looked.
    pub since: Timestamp,
    /// When it was last seen to be so.
    pub seen_at: Timestamp,
    /// What was tried, oldest first.
    pub attempts: Vec<HealAttempt>,
    /// How it ended; absent while it is open.
    pub closed: Option<CaseEnd>,
}

/// What is wrong with a machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Subject {
    /// It cannot be reached.
    Unreachable,
    /// It can be reached and is not healthy.
    Unhealthy,
    /// It differs from what is expected.
    Drift {
        /// By which probe.
        probe: String,
    },
}

/// One attempt to mend something. Written down before it is made, so that one that was cut off
/// counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealAttempt {
    /// What was done.
    pub action: HealAction,
    /// When it began.
    pub began_at: Timestamp,
    /// For a reboot: which boot the machine was in before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// How it ended; absent while it is on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<HealEnd>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealEnd {
    /// When.
    pub at: Timestamp,
    /// Whether it helped.
    pub result: HealResult,
    /// Why, in words.
    pub reason: String,
}

/// Whether an attempt helped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealResult {
    /// Somebody was told; nothing was to change by that.
    Told,
    /// A measurement afterwards said that it is right again.
    Healed,
    /// A measurement afterwards said that it is not, or the attempt itself failed.
    Failed,
    /// Nobody knows: it was cut off, or nothing could be measured afterwards.
    Unknown,
}

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseEnd {
    /// When.
    pub at: Timestamp,
    /// How.
    pub how: CaseEnding,
    /// Why, in words.
    pub reason: String,
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaseEnding {
    /// It was mended, and measured to be.
    Healed,
    /// It is right again without our doing.
    Recovered,
    /// Another machine took its place.
    Replaced,
    /// The machine is gone, or nobody looks at this any more.
    Left,
}

/// Nothing is healed meanwhile: only reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// Where; absent: everywhere.
    pub group: Option<TargetGroupName>,
    /// Since when.
    pub since: Timestamp,
    /// Until when; absent: until it is lifted.
    pub until: Option<Timestamp>,
    /// Why, if somebody said that.
    pub reason: Option<String>,
}

// === impl Case ===

impl Case {
    /// Whether it is not closed.
    pub const fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// The attempt that is on its way.
    pub fn running(&self) -> Option<&HealAttempt> {
        self.attempts.iter().find(|attempt| attempt.end.is_none())
    }

    /// The same, to end it.
    pub fn running_mut(&mut self) -> Option<&mut HealAttempt> {
        self.attempts
            .iter_mut()
            .find(|attempt| attempt.end.is_none())
    }

    /// The attempts at one rung, oldest first.
    pub fn attempts_at(&self, action: HealAction) -> impl DoubleEndedIterator<Item = &HealAttempt> {
        self.attempts
            .iter()
            .filter(move |attempt| attempt.action == action)
    }

    /// Whether something was done to the machine, and not only somebody told.
    pub fn was_treated(&self) -> bool {
        self.attempts
            .iter()
            .any(|attempt| attempt.action.disturbs())
    }
}

impl HealAttempt {
    /// When it ended, or when it began if it has not.
    pub fn last_at(&self) -> Timestamp {
        self.end.as_ref().map_or(self.began_at, |end| end.at)
    }
}

impl Freeze {
    /// Whether it holds at an instant.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whether it is about a group.
    pub fn covers(&self, group: Option<&TargetGroupName>) -> bool {
        self.group.as_ref().is_none_or(|own| Some(own) == group)
    }
}

impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.group {
            Some(group) => write!(f, "{group} is frozen")?,
            None => f.write_str("everything is frozen")?,
        }
        match self.until {
            Some(until) => write!(f, " until {until:.0}")?,
            None => f.write_str(" until it is thawed")?,
        }
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.pad("unreachable"),
            Self::Unhealthy => f.pad("unhealthy"),
            Self::Drift { probe } => f.pad(probe),
        }
    }
}

impl HealResult {
    /// The name used in JSON and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Healed => "healed",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

impl CaseEnding {
    /// The name used in JSON and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healed => "healed",
            Self::Recovered => "recovered",
            Self::Replaced => "replaced",
            Self::Left => "left",
        }
    }
}
