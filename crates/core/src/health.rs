//! When a machine counts as healthy.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Span;

/// When a machine counts as unhealthy. Reports are counted, not time: a machine that is looked at
/// less often does not fail faster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Health {
    /// Bad reports in a row that make it unhealthy.
    #[schemars(range(min = 1))]
    pub failures: u32,
    /// Good reports in a row that make it healthy again.
    #[schemars(range(min = 1))]
    pub successes: u32,
    /// How long it must be out of reach before anything but a notification follows from that.
    pub unreachable_for: Span,
    /// Commands on the machine that end with status 0 if it is healthy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<HealthProbe>,
    /// How often the machine says by itself that it lives; after twice as long that is a bad
    /// report. Absent: it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Span>,
    /// A file on the machine that it touches for a heartbeat. Absent: `fleetwright heartbeat`
    /// tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_file: Option<String>,
    /// What is looked at on machines with NVIDIA GPUs. Absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuHealth>,
}

/// A command that tells whether a machine is healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthProbe {
    /// Its name.
    pub name: String,
    /// The command.
    pub command: String,
    /// Its limit.
    #[serde(default = "ten_seconds")]
    pub timeout: Span,
}

const fn ten_seconds() -> Span {
    Span::seconds(10)
}

/// What is looked at on machines with NVIDIA GPUs: `nvidia-smi`, and XID errors in the kernel's log.
///
/// The defaults follow NVIDIA's catalog:
/// <https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html>.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GpuHealth {
    /// How many GPUs must be there. Absent: as many as the instance type has, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Further XID codes that make the machine unhealthy at once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fatal: Vec<u32>,
    /// Further XID codes that are a bad report like any other.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recoverable: Vec<u32>,
    /// XID codes that mean nothing here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<u32>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            failures: 3,
            successes: 2,
            unreachable_for: Span::minutes(5),
            probes: Vec::new(),
            heartbeat: None,
            heartbeat_file: None,
            gpu: None,
        }
    }
}

impl Health {
    /// Whether nothing is configured.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Commands round cordoning and draining. One that fails undoes the cordon.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hooks {
    /// After a machine was cordoned: nothing new is to be started on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cordon: Option<Hook>,
    /// To move what runs on it elsewhere; it ends when that is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain: Option<Hook>,
    /// When it may be used again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncordon: Option<Hook>,
}

impl Hooks {
    /// Whether nothing is configured.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A command of the user's. `FLEETWRIGHT_NODE`, `FLEETWRIGHT_HOST`, `FLEETWRIGHT_GROUP` and
/// `FLEETWRIGHT_REASON` say what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// The command.
    pub run: String,
    /// Where it is run.
    #[serde(default)]
    pub on: HookPlace,
    /// Its limit.
    #[serde(default = "five_minutes")]
    pub timeout: Span,
}

const fn five_minutes() -> Span {
    Span::minutes(5)
}

/// Where a hook is run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HookPlace {
    /// On the machine.
    #[default]
    Node,
    /// Where `fleetwright` runs.
    Here,
}

/// What is known about the health of a machine. It is kept, so that reports are counted over
/// several runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthRecord {
    /// How it is.
    pub state: HealthState,
    /// Since when.
    pub since: Timestamp,
    /// When it was looked at last.
    pub at: Timestamp,
    /// Bad reports in a row, those included that did not reach it.
    pub failures: u32,
    /// Good reports in a row.
    pub successes: u32,
    /// Since when nobody reaches it; absent: the last look did.
    pub unreachable_since: Option<Timestamp>,
    /// What the last report found wrong.
    pub reasons: Vec<String>,
    /// What the last report could not find out.
    pub unknown: Vec<String>,
    /// How far its kernel's log was read; absent: never.
    pub kernel: Option<KernelMark>,
}

/// How a machine is.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum HealthState {
    /// Nobody knows: it was never seen to be good, nor bad for long enough.
    #[default]
    Unknown,
    /// It does its work.
    Healthy,
    /// It can be reached, and does not do its work.
    Unhealthy,
    /// It cannot be reached.
    Unreachable,
}

/// How far the log of a kernel was read. Times are those of the log: microseconds since the
/// machine was started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelMark {
    /// Which start of the machine: `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// When the log was read.
    pub read_until: u64,
    /// The last XID that was seen.
    pub last_xid: Option<u64>,
    /// Fatal XID codes since the machine was started, with what the kernel said.
    pub fatal: BTreeMap<u32, String>,
}

impl HealthRecord {
    /// What is known about a machine that nobody has looked at yet.
    pub const fn new(at: Timestamp) -> Self {
        Self {
            state: HealthState::Unknown,
            since: at,
            at,
            failures: 0,
            successes: 0,
            unreachable_since: None,
            reasons: Vec::new(),
            unknown: Vec::new(),
            kernel: None,
        }
    }
}

impl HealthState {
    /// The name used in JSON and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Unreachable => "unreachable",
        }
    }
}

impl fmt::Display for HealthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
