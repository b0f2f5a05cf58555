//! What a cloud says there is.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{HourlyPrice, Labels, Market, NodeId, keys};

/// A machine as its provider reports it at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Provider, region and native id.
    pub id: NodeId,
    /// The name at the provider.
    pub name: String,
    /// Its state at the provider.
    pub state: NodeState,
    /// The provider's name of the instance type.
    pub instance_type: String,
    /// The zone, where the provider has zones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// On-demand or spot.
    pub market: Market,
    /// Its addresses, as far as they are known yet.
    #[serde(default)]
    pub addresses: Addresses,
    /// How to log in; absent until the node has an address, and on nodes without SSH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// What the provider knows about the boot scripts; absent where it cannot know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
    /// Labels or tags.
    #[serde(default)]
    pub labels: Labels,
    /// When the provider made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// What it costs, if the provider tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<HourlyPrice>,
    /// Anything the provider adds in words: why it stopped, when it will be reclaimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What else the provider says of it, under the provider's own names: `vpc-id`, `image-id`,
    /// and `tag:<key>` for tags that are no labels. For people and filters; nothing is decided by
    /// it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl Node {
    /// The value of a filter key for this node; `None` if it has no such property. See
    /// [`Filter`](crate::Filter) for the keys.
    pub fn property(&self, key: &str) -> Option<&str> {
        match key {
            "id" => Some(self.id.as_str()),
            "name" => Some(&self.name),
            "pool" => self.label(keys::POOL),
            "provider" => Some(self.id.provider()),
            "region" => Some(self.id.region()),
            "zone" => self.zone.as_deref(),
            "type" => Some(&self.instance_type),
            "market" => Some(self.market.as_str()),
            "state" => Some(self.state.as_str()),
            _ => match key.strip_prefix("label.") {
                Some(label) => self.label(label).or_else(|| {
                    self.metadata
                        .get(&format!("tag:{label}"))
                        .map(String::as_str)
                }),
                None => self
                    .metadata
                    .get(key.strip_prefix("metadata.")?)
                    .map(String::as_str),
            },
        }
    }

    /// Whether its labels say that Fleetwright made it.
    pub fn is_managed(&self) -> bool {
        self.labels
            .get(keys::MANAGED_BY)
            .is_some_and(|by| by == keys::MANAGED_BY_VALUE)
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.get(key).map(String::as_str)
    }
}

/// The state of a node at its provider.
///
/// Words that we do not know are kept as [`NodeState::Unknown`] and never read as running or gone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum NodeState {
    /// Being made; not up yet.
    Pending,
    /// Up, as far as the provider knows.
    Running,
    /// Down, but it can come back and may still cost money.
    Stopped,
    /// Going away.
    Deleting,
    /// Gone, although the provider still mentions it.
    Deleted,
    /// The provider gave up on it; it must be deleted.
    Failed,
    /// A word of the provider that we do not know.
    Unknown(String),
}

impl NodeState {
    /// The name used in JSON and tables; for unknown states, the provider's own word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
            Self::Failed => "failed",
            Self::Unknown(text) => text,
        }
    }

    /// Whether the provider says that nothing is left of it.
    pub fn is_deleted(&self) -> bool {
        matches!(self, Self::Deleted)
    }

    /// Whether it is on its way out or gone.
    pub fn is_leaving(&self) -> bool {
        matches!(self, Self::Deleting | Self::Deleted)
    }
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for NodeState {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "pending" => Self::Pending,
            "running" => Self::Running,
            "stopped" => Self::Stopped,
            "deleting" => Self::Deleting,
            "deleted" => Self::Deleted,
            "failed" => Self::Failed,
            other => Self::Unknown(other.to_owned()),
        })
    }
}

impl Serialize for NodeState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for NodeState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(text
            .parse()
            .unwrap_or_else(|never: Infallible| match never {}))
    }
}

/// The addresses of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// Reachable from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<IpAddr>,
    /// Reachable inside the provider's network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<IpAddr>,
}

/// How to log in to a node over SSH.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User to log in as.
    pub user: String,
    /// The host keys that were learned through the provider or planted by us, in OpenSSH's public
    /// key format (`ssh-ed25519 AAAA...`). Empty: unknown, and then a login needs an entry in the
    /// user's own known_hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_keys: Vec<String>,
}

/// What became of the boot scripts (user data).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum Boot {
    /// Still at it.
    Running,
    /// Done, every command ended with status 0. Also: there was nothing to do.
    Succeeded,
    /// A command failed.
    Failed {
        /// Exit status of the script or the first failing command; absent if a signal ended it.
        exit_status: Option<i32>,
        /// The last lines of the boot log.
        log_tail: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_state_keeps_its_word() {
        let state: NodeState = serde_json::from_str(r#""hibernating""#).unwrap();
        assert_eq!(state, NodeState::Unknown("hibernating".into()));
        assert_eq!(serde_json::to_string(&state).unwrap(), r#""hibernating""#);
        assert!(!state.is_leaving());
    }
}
