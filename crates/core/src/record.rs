//! What the journal knows about a node.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ability::InterruptionKind;
use crate::{
    Access, Boot, ClaimId, Error, HourlyPrice, Kind, Labels, Market, NodeId, Result, Token,
};

/// Where a node stands in its life.
///
/// ```text
/// Requested ─► Booting ─► Bootstrapping ─► Ready ─► InService ─► Draining ─► Terminating ─► Gone
///                              └──► Failed ───────────────────────────────────────┘
/// ```
/// Every state but `Ready`, `InService` and `Gone` has a time limit with a consequence: see
/// [`crate::Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Life {
    /// Asked for; the cloud has not shown it as running yet.
    Requested,
    /// The cloud says it runs; nobody has logged in yet.
    Booting,
    /// It answers; its boot script is at work.
    Bootstrapping,
    /// Its boot script failed or took too long.
    Failed,
    /// Booted and reachable.
    Ready,
    /// Ready, registered and healthy.
    InService,
    /// Leaving the balancer.
    Draining,
    /// Its deletion was asked for.
    Terminating,
    /// The cloud confirmed that it is no more.
    Gone,
}

impl Life {
    /// All states in order.
    pub const ALL: [Self; 9] = [
        Self::Requested,
        Self::Booting,
        Self::Bootstrapping,
        Self::Failed,
        Self::Ready,
        Self::InService,
        Self::Draining,
        Self::Terminating,
        Self::Gone,
    ];

    /// The name used in JSON, journal and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Booting => "booting",
            Self::Bootstrapping => "bootstrapping",
            Self::Failed => "failed",
            Self::Ready => "ready",
            Self::InService => "in-service",
            Self::Draining => "draining",
            Self::Terminating => "terminating",
            Self::Gone => "gone",
        }
    }

    /// Whether it is up and wanted.
    pub const fn is_ready(self) -> bool {
        matches!(self, Self::Ready | Self::InService)
    }

    /// Whether it counts towards the size of its pool: there, or on its way up.
    pub const fn is_wanted(self) -> bool {
        matches!(
            self,
            Self::Requested | Self::Booting | Self::Bootstrapping | Self::Ready | Self::InService
        )
    }

    /// Whether its removal has begun.
    pub const fn is_leaving(self) -> bool {
        matches!(self, Self::Draining | Self::Terminating | Self::Gone)
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Life {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|life| life.as_str() == text)
            .ok_or_else(|| Error::new(Kind::Invalid, format!("`{text}` is not a state of a node")))
    }
}

/// How long a node may run, as it was agreed on when it was asked for and moved since.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenure {
    /// When its time is over: its pool's `max_runtime` after it was made, or later if that was
    /// extended. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// Until when it stays even if nobody uses it, because somebody asked for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_until: Option<Timestamp>,
    /// Since when nobody uses it, as far as that was watched. Absent: it is in use, or nobody can
    /// tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_since: Option<Timestamp>,
    /// What the cloud has announced to do to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<Notice>,
}

/// What a cloud has announced to do to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What.
    pub kind: InterruptionKind,
    /// When, if it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// When we first heard of it.
    pub told_at: Timestamp,
    /// Whether the pool's `drain_command` has ended on it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub drained: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Tenure {
    /// Whether nothing limits it.
    pub const fn is_unlimited(&self) -> bool {
        self.ends_at.is_none()
            && self.kept_until.is_none()
            && self.idle_since.is_none()
            && self.notice.is_none()
    }
}

/// A node of ours, as the journal remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Which node.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// The pool it belongs to.
    pub pool: String,
    /// The claim that made it; absent for adopted nodes whose claim is lost.
    pub claim: Option<ClaimId>,
    /// The token of the call that made it.
    pub token: Option<Token>,
    /// Where it stands in its life.
    pub life: Life,
    /// Since when.
    pub since: Timestamp,
    /// Instance type.
    pub instance_type: String,
    /// Zone.
    pub zone: Option<String>,
    /// On-demand or spot.
    pub market: Market,
    /// The price, frozen when it was asked for; absent if unknown.
    pub price: Option<HourlyPrice>,
    /// The generation label it was made with.
    pub generation: String,
    /// How to log in.
    pub access: Option<Access>,
    /// What became of its boot script.
    pub boot: Option<Boot>,
    /// Its labels.
    pub labels: Labels,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the cloud last showed it.
    pub seen_at: Option<Timestamp>,
    /// When it was confirmed gone.
    pub gone_at: Option<Timestamp>,
    /// How long it may run.
    #[serde(default, skip_serializing_if = "Tenure::is_unlimited")]
    pub tenure: Tenure,
    /// Why it is where it is, in words: the reason of the last change.
    pub reason: String,
}

impl NodeRecord {
    /// The value of a filter key for this node; `None` if it has no such property.
    ///
    /// Keys: `id`, `name`, `pool`, `provider`, `region`, `zone`, `type`, `market`, `state`,
    /// `label.<key>`.
    pub fn property(&self, key: &str) -> Option<&str> {
        match key {
            "id" => Some(self.id.as_str()),
            "name" => Some(&self.name),
            "pool" => Some(&self.pool),
            "provider" => Some(self.id.provider()),
            "region" => Some(self.id.region()),
            "zone" => self.zone.as_deref(),
            "type" => Some(&self.instance_type),
            "market" => Some(self.market.as_str()),
            "state" => Some(self.life.as_str()),
            _ => key
                .strip_prefix("label.")
                .and_then(|key| self.labels.get(key))
                .map(String::as_str),
        }
    }
}
