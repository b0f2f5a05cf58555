//! The wish: how many machines of which kind, where, and how they are treated.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Fingerprint, Market, Requirements, Span, fingerprint};

/// A set of like machines that is kept at a size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Machines wanted.
    pub desired: u32,
    /// Where to ask, in the user's order. Empty: every configured provider, by requirements.
    #[serde(default)]
    pub candidates: Vec<Candidate>,
    /// What a machine must have, for candidates that name no type.
    #[serde(default)]
    pub requirements: Requirements,
    /// How to choose among the offers.
    #[serde(default)]
    pub strategy: Strategy,
    /// Most that one machine may cost per hour, e.g. `$2.50/h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_price: Option<String>,
    /// Image, in the provider's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// A boot script (`#!`) or cloud-config document (`#cloud-config`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<String>,
    /// Public keys that may log in, besides the fleet's own.
    #[serde(default)]
    pub ssh_keys: Vec<String>,
    /// Further labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// A load balancer that Ready nodes are registered with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balancer: Option<String>,
    /// Time limits.
    #[serde(default)]
    pub limits: Limits,
    /// Options of the provider, by its schema.
    #[serde(default)]
    pub options: Map<String, Value>,
}

impl Pool {
    /// A hash of what a node is made from: nodes of another generation are outdated.
    pub fn generation(&self) -> Fingerprint {
        fingerprint(&(&self.image, &self.user_data, &self.ssh_keys, &self.options))
    }
}

/// A place and kind to ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// Name of the provider.
    pub provider: String,
    /// Region; absent: any that the provider is configured for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Zone; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Instance type; absent: any that meets the requirements.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// On-demand or spot.
    #[serde(default)]
    pub market: Market,
}

/// How to choose among offers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The user's order of candidates, then price.
    #[default]
    Priority,
    /// Cheapest first; offers without a price last.
    Cost,
}

/// How long a node may stay in a state, and so when its stated consequence comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requested → Booting: afterwards the node is replaced.
    pub boot: Span,
    /// Boot script and first login: afterwards the node counts as failed and is replaced.
    pub bootstrap: Span,
    /// Balancer health after registration: afterwards the node is replaced.
    pub in_service: Span,
    /// Draining: afterwards the node is terminated all the same.
    pub drain: Span,
    /// Terminating: afterwards the removal is reported as stuck and asked for again.
    pub terminate: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            boot: Span::minutes(10),
            bootstrap: Span::minutes(20),
            in_service: Span::minutes(10),
            drain: Span::minutes(5),
            terminate: Span::minutes(10),
        }
    }
}
