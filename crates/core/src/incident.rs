//! Incidents: something is wrong with a machine, from when it is noticed until it is over.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{NodeId, Result, Severity, TargetGroupName};

/// Something that is wrong with a machine. Of each, somebody is told twice at most: when it is
/// noticed, and when it is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Which one; the next time the same thing goes wrong it is another.
    pub id: Uuid,
    /// What kind of thing is wrong.
    pub kind: IncidentKind,
    /// Name of the machine.
    pub target: String,
    /// What the machine belongs to.
    pub group: Option<TargetGroupName>,
    /// The node, if a provider knows it.
    pub node: Option<NodeId>,
    /// What is wrong in particular: the name of a probe; empty if the kind says it all.
    pub subject: String,
    /// How bad it is.
    pub severity: Severity,
    /// Since when.
    pub opened_at: Timestamp,
    /// When it was over; absent while it is not.
    pub resolved_at: Option<Timestamp>,
    /// What is wrong, or how it ended, in words.
    pub message: String,
}

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IncidentKind {
    /// It is not configured as expected.
    Drift,
    /// It cannot be reached.
    Unreachable,
    /// It can be reached and does not do its work.
    Unhealthy,
}

/// What is sent about an incident. Sent again after a loss it is the same, with the same `id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Which message: whoever receives it twice knows it by this.
    pub id: Uuid,
    /// What it is about: `drift-opened`, `unreachable-resolved`, `test`.
    pub event: String,
    /// When it was written.
    pub at: Timestamp,
    /// Name of the fleet.
    pub fleet: String,
    /// In words, one line.
    pub text: String,
    /// The incident; absent in a test.
    pub incident: Option<Incident>,
}

/// A way to tell somebody.
#[async_trait]
pub trait Messenger: Debug + Send + Sync {
    /// Sends a message once. Repeating it is up to the caller.
    ///
    /// # Errors
    /// `Unavailable`, `Timeout` or `RateLimited` (with the pause that was asked for) if another
    /// attempt may help; any other kind if not.
    async fn send(&self, message: &Message, at: Timestamp) -> Result<()>;
}

// === impl Incident ===

impl Incident {
    /// Whether it is over.
    pub const fn is_resolved(&self) -> bool {
        self.resolved_at.is_some()
    }

    /// The name that filters know it by: `drift-opened`, `drift-resolved`.
    pub fn event(&self) -> String {
        let what = if self.is_resolved() {
            "resolved"
        } else {
            "opened"
        };
        format!("{}-{what}", self.kind)
    }

    /// One line about it.
    pub fn line(&self) -> String {
        let subject = if self.subject.is_empty() {
            String::new()
        } else {
            format!(" ({})", self.subject)
        };
        let over = if self.is_resolved() { "over: " } else { "" };
        format!(
            "{over}{} {}{subject}: {}",
            self.target, self.kind, self.message
        )
    }
}

impl IncidentKind {
    /// The name used in JSON and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drift => "drift",
            Self::Unreachable => "unreachable",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl fmt::Display for IncidentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
