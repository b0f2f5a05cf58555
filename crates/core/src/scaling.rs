//! How a pool's size follows what is measured or what time it is.
//!
//! What the words mean and what happens when a signal fails is told in
//! [scaling](https://github.com/fleetwright/fleetwright/blob/main/docs/concepts/scaling.md).

mod clock_time;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Quantity, SecretRef, Span};

pub use self::clock_time::{Day, DayTime, Zone};

/// A policy that decides on a pool's size, and how fast the size may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// What decides.
    pub policy: ScalingPolicy,
    /// Where signals come from that nobody pushes, by name.
    #[serde(default)]
    pub signals: BTreeMap<String, SignalConfig>,
    /// How long the size stays as it is after a change.
    #[serde(default)]
    pub cool_down: CoolDown,
    /// By how many machines the size may change at once.
    #[serde(default)]
    pub max_step: MaxStep,
    /// A signal whose newest value is older counts as missing.
    #[serde(default = "five_minutes")]
    pub stale_after: Span,
    /// How often it is decided.
    #[serde(default = "fifteen_seconds")]
    pub every: Span,
}

const fn five_minutes() -> Span {
    Span::minutes(5)
}

const fn fifteen_seconds() -> Span {
    Span::seconds(15)
}

/// What decides on a size. Exactly one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScalingPolicy {
    /// Some machines more while a signal is above a threshold, some fewer while it is below another.
    Reactive(Reactive),
    /// As many machines as a queue needs.
    Queue(Queue),
    /// Sizes by the time of day.
    Schedule(Schedule),
    /// As many machines as a signal will need after a while, if it goes on like this.
    Predictive(Predictive),
    /// The greatest, the least or the average of what other policies say.
    Composite(Composite),
}

/// Some machines more above a threshold, some fewer below another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reactive {
    /// The signal.
    pub signal: String,
    /// The pool grows while the signal is greater than this. At exactly this nothing happens.
    pub above: Quantity,
    /// The pool shrinks while the signal is less than this. At exactly this nothing happens.
    pub below: Quantity,
    /// Machines that come at once.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub up: u32,
    /// Machines that go at once.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub down: u32,
}

const fn one() -> u32 {
    1
}

/// As many machines as a queue needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// The signal: how much there is to do.
    pub signal: String,
    /// How much of it one machine takes on. The size is the one divided by the other, rounded up.
    pub per_node: Quantity,
}

/// Sizes by the time of day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The time zone that the times are told in, by its IANA name, such as `Europe/Berlin`.
    pub time_zone: Zone,
    /// When which size is wanted. Where several hold, the greatest size counts.
    pub entries: Vec<ScheduleEntry>,
    /// The size when no entry holds. Absent: the pool's `desired`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<u32>,
}

/// A size for a part of some days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleEntry {
    /// The days on which it begins. Absent: every day.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub days: BTreeSet<Day>,
    /// When it begins, e.g. `08:00`.
    pub from: DayTime,
    /// When it ends: this instant does not belong to it. Not after `from`: on the next day.
    pub to: DayTime,
    /// Machines wanted.
    pub size: u32,
}

/// As many machines as a signal will need after a while: the straight line that fits best through
/// its values, never less than what its present value needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Predictive {
    /// The signal: how much there is to do.
    pub signal: String,
    /// How much of it one machine takes on.
    pub per_node: Quantity,
    /// How far back values are looked at, at most 31 days. At least three are needed.
    pub window: Span,
    /// How far ahead the line is followed, at most 31 days: for as long as a machine takes to come.
    pub ahead: Span,
}

/// One size out of several policies'.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Composite {
    /// Which size is taken.
    pub combine: Combine,
    /// The policies. One that cannot decide stands for the present size.
    pub of: Vec<ScalingPolicy>,
}

/// Which of several sizes is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Combine {
    /// The greatest.
    Max,
    /// The least.
    Min,
    /// The average, rounded up.
    Average,
}

/// How long a size stays as it is after a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CoolDown {
    /// The pool does not grow within this time after it grew.
    pub up: Span,
    /// The pool does not shrink within this time after it grew or shrank.
    pub down: Span,
}

impl Default for CoolDown {
    fn default() -> Self {
        Self {
            up: Span::minutes(1),
            down: Span::minutes(5),
        }
    }
}

/// By how many machines a size may change at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MaxStep {
    /// Upwards. Absent: as many as wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub up: Option<u32>,
    /// Downwards. Absent: the share of the pool that `safety.max_removal_percent` allows, one
    /// machine at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub down: Option<u32>,
}

/// Where a signal comes from. Without a key: it is pushed, by `signal push`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SignalConfig {
    /// A query to Prometheus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusQuery>,
    /// Something that is looked at on the pool's own nodes, over SSH: the average of those that are
    /// ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<NodeSignal>,
}

/// A query to Prometheus, or to what answers as it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrometheusQuery {
    /// Its address, without `/api/v1`.
    pub url: String,
    /// A query in PromQL that gives one number, such as `sum(queue_depth)`.
    pub query: String,
    /// A token that is sent along (`Authorization: Bearer`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretRef>,
}

/// Something that is looked at on nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NodeSignal {
    /// The load average over one minute, in percent of all processors of the node.
    Load,
}

// === impl ScalingPolicy ===

impl ScalingPolicy {
    /// The names of all signals that it looks at, also by its inner policies.
    pub fn signals(&self) -> BTreeSet<&str> {
        match self {
            Self::Reactive(policy) => [policy.signal.as_str()].into(),
            Self::Queue(policy) => [policy.signal.as_str()].into(),
            Self::Predictive(policy) => [policy.signal.as_str()].into(),
            Self::Schedule(_) => BTreeSet::new(),
            Self::Composite(policy) => policy.of.iter().flat_map(Self::signals).collect(),
        }
    }

    /// How far back it looks at the values of signals.
    pub fn window(&self) -> Span {
        match self {
            Self::Predictive(policy) => policy.window,
            Self::Composite(policy) => {
                (policy.of.iter().map(Self::window).max()).unwrap_or(Span::seconds(0))
            }
            Self::Reactive(_) | Self::Queue(_) | Self::Schedule(_) => Span::seconds(0),
        }
    }
}
