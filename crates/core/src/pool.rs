//! The wish: how many machines of which kind, where, and how they are treated.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Budget, Disruption, Fingerprint, Healing, Health, Hooks, Market, Markets, Probe, Requirements,
    Scaling, Span, Strategies, fingerprint,
};

/// A set of like machines that is kept at a size.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Machines wanted.
    pub desired: u32,
    /// Fewest machines, whatever a scaling decision says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u32>,
    /// Most machines, whatever a scaling decision says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// Where to ask, in the user's order. Empty: every configured provider, by requirements.
    #[serde(default)]
    pub candidates: Vec<Candidate>,
    /// What a machine must have, for candidates that name no type.
    #[serde(default)]
    pub requirements: Requirements,
    /// How to choose among the offers: one strategy, or several of which each orders what those
    /// before it hold for equal. `"spread"` and `{ spread = "zones", max_skew = 1 }` are the same.
    #[serde(default)]
    pub strategy: Strategies,
    /// How the machines are divided between on demand and spot. Absent: each is bought on the
    /// market of its candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub markets: Option<Markets>,
    /// Most that one machine may cost per hour, e.g. `$2.50/h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_price: Option<String>,
    /// Most that the pool's machines may cost together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
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
    /// When a node counts as not used, for `limits.idle_after`.
    #[serde(default, skip_serializing_if = "Idle::is_default")]
    pub idle: Idle,
    /// What decides on the size, within `min` and `max`. Absent: it is `desired`, or what `scale`
    /// says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,
    /// What is done when a cloud announces that it takes nodes away.
    #[serde(default, skip_serializing_if = "InterruptionPolicy::is_default")]
    pub interruptions: InterruptionPolicy,
    /// What is expected of each machine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Probe>,
    /// What is done about machines that differ or fail.
    #[serde(default, skip_serializing_if = "Healing::is_default")]
    pub healing: Healing,
    /// How many machines may be disturbed at once.
    #[serde(default, skip_serializing_if = "Disruption::is_default")]
    pub disruption: Disruption,
    /// When a machine counts as unhealthy.
    #[serde(default, skip_serializing_if = "Health::is_default")]
    pub health: Health,
    /// Commands round cordoning and draining.
    #[serde(default, skip_serializing_if = "Hooks::is_default")]
    pub hooks: Hooks,
    /// Options of the provider, by its schema.
    #[serde(default)]
    pub options: Map<String, Value>,
}

impl Pool {
    /// A hash of what a node is made from: nodes of another generation are outdated.
    pub fn generation(&self) -> Fingerprint {
        let timed = self
            .limits
            .dead_man
            .and_then(|_| self.first_boot().ok().flatten());
        let user_data = timed.as_ref().or(self.user_data.as_ref());
        fingerprint(&(&self.image, &user_data, &self.ssh_keys, &self.options))
    }

    /// A size within `min` and `max`.
    pub fn within_bounds(&self, size: u32) -> u32 {
        let size = size.max(self.min.unwrap_or(0));
        size.min(self.max.unwrap_or(u32::MAX))
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
    /// Zones, where several will do; instead of `zone`. Empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
    /// Instance type; absent: any that meets the requirements.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// On-demand or spot.
    #[serde(default)]
    pub market: Market,
    /// Rank for the strategy `priority`: lower comes first, equal ones are left to the next
    /// strategy. Candidates without one come after those that have one, in their order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    /// Share of the machines for the strategy `round-robin`, relative to the weights of the other
    /// candidates. 0: only when the others have none. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
}

impl Candidate {
    /// The zones that it names, by either key. Empty: any.
    pub fn named_zones(&self) -> impl Iterator<Item = &String> {
        self.zone.iter().chain(&self.zones)
    }

    /// Whether a machine in this zone is meant. A place without zones is in none that is named.
    pub fn takes_zone(&self, zone: Option<&str>) -> bool {
        let mut named = self.named_zones().peekable();
        named.peek().is_none() || named.any(|name| zone == Some(name))
    }

    /// `provider/region/zone type market`, without what it leaves open.
    pub fn label(&self) -> String {
        let mut label = self.provider.clone();
        if let Some(region) = &self.region {
            label.push('/');
            label.push_str(region);
        }
        let zones: Vec<&str> = self.named_zones().map(String::as_str).collect();
        if !zones.is_empty() {
            label.push('/');
            label.push_str(&zones.join("|"));
        }
        if let Some(instance_type) = &self.instance_type {
            label.push(' ');
            label.push_str(instance_type);
        }
        label.push(' ');
        label.push_str(self.market.as_str());
        label
    }
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
    /// Longest runtime of a node: afterwards it is removed, and nothing is made in its place until
    /// the next `up`. Absent: it stays until it is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_runtime: Option<Span>,
    /// Longest runtime that `extend` can give a node, counted from when it was made. Absent: no
    /// bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extend_to: Option<Span>,
    /// How long a node may be unused before it is removed, see `idle`. Absent: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_after: Option<Span>,
    /// How long a node runs on when nobody looks after it any more: then it powers itself off. A
    /// timer on the node, renewed by `up` and by the process in the background. Absent: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_man: Option<Span>,
}

impl Limits {
    /// Whether a node may run out of time: something must watch over it then.
    pub const fn ends_nodes(&self) -> bool {
        self.max_runtime.is_some() || self.idle_after.is_some()
    }

    /// Whether somebody must look after a node all the time.
    pub const fn needs_watch(&self) -> bool {
        self.ends_nodes() || self.dead_man.is_some()
    }
}

/// What is done when a cloud announces that it takes nodes away. A spot machine that is taken back
/// is replaced in any case, and maintenance is only reported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InterruptionPolicy {
    /// What is done when the cloud advises to move a node away.
    pub rebalance: Rebalance,
    /// A command on a node that will be taken away, run once and as soon as that is known: to save
    /// work, or to send it elsewhere. `FLEETWRIGHT_DEADLINE` holds the end in seconds since 1970,
    /// or nothing if it was not said. The node is removed when the command has ended, or when there
    /// is no more time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain_command: Option<String>,
}

/// What is done when a cloud advises to move a node away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rebalance {
    /// It is reported.
    #[default]
    Ignore,
    /// The node is replaced as if it were taken back.
    Replace,
}

impl InterruptionPolicy {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// When a node counts as not used. What cannot be found out counts as use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Idle {
    /// What is looked at on the node. Any of them may say that it is in use.
    pub signals: Vec<IdleSignal>,
    /// Greatest load average over one minute of a node that is not used, in percent of one
    /// processor.
    pub max_load_percent: u32,
    /// Greatest utilization of each GPU of a node that is not used, in percent.
    pub max_gpu_percent: u32,
    /// A command on the node that ends with status 0 if the node is not used, and with 1 if it is.
    /// Asked besides the signals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<String>,
}

/// Something on a node that shows whether it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IdleSignal {
    /// SSH connections other than the one that asks.
    Sessions,
    /// The load average over one minute.
    Load,
    /// The utilization of each GPU, by `nvidia-smi` or the kernel's own counter. A node without a
    /// GPU has none.
    Gpu,
}

impl Idle {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Idle {
    fn default() -> Self {
        Self {
            signals: vec![IdleSignal::Sessions, IdleSignal::Load, IdleSignal::Gpu],
            max_load_percent: 20,
            max_gpu_percent: 5,
            probe: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            boot: Span::minutes(10),
            bootstrap: Span::minutes(20),
            in_service: Span::minutes(10),
            drain: Span::minutes(5),
            terminate: Span::minutes(10),
            max_runtime: None,
            extend_to: None,
            idle_after: None,
            dead_man: None,
        }
    }
}
