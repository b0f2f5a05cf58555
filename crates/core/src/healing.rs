//! What is done about machines that differ or fail.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Severity, Span};

/// What is done about machines that differ: for each severity a ladder, whose next rung is taken
/// when the ones before it have not helped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Healing {
    /// The command for `redeploy`, on the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redeploy: Option<String>,
    /// The command for `rollback`, on the machine: back to the last good version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<String>,
    /// The command for `reboot`, on the machine.
    pub reboot: String,
    /// How long a machine may take until it can be reached again after a reboot.
    pub reboot_within: Span,
    /// Limit of one command.
    pub timeout: Span,
    /// The ladder of critical drift.
    pub critical: Vec<HealAction>,
    /// The ladder of high drift.
    pub high: Vec<HealAction>,
    /// The ladder of medium drift.
    pub medium: Vec<HealAction>,
    /// The ladder of low drift.
    pub low: Vec<HealAction>,
    /// The ladder of machines that cannot be reached for `health.unreachable_for`.
    pub unreachable: Vec<HealAction>,
    /// The ladder of machines that can be reached and are not healthy.
    pub unhealthy: Vec<HealAction>,
    /// How often, and how far apart, by rung.
    pub limits: BTreeMap<HealAction, RungLimits>,
}

/// A rung of a ladder.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum HealAction {
    /// Somebody is told.
    Notify,
    /// The probe's own command.
    Fix,
    /// The pool's command to deploy.
    Redeploy,
    /// The pool's command to go back.
    Rollback,
    /// A restart of the machine.
    Reboot,
    /// Another machine in its place.
    Replace,
}

/// How often a rung is tried, and how far apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RungLimits {
    /// How often in one incident.
    #[schemars(range(min = 1))]
    pub attempts: u32,
    /// Pause before the second attempt; it doubles with each further one.
    pub back_off: Span,
    /// Pause between the last attempt in one incident and the first one in the next, on the same
    /// machine.
    pub cool_down: Span,
}

impl Default for RungLimits {
    fn default() -> Self {
        Self {
            attempts: 2,
            back_off: Span::seconds(30),
            cool_down: Span::minutes(10),
        }
    }
}

impl Default for Healing {
    /// Nothing that destroys or restarts: that must be asked for.
    fn default() -> Self {
        use HealAction::{Fix, Notify, Redeploy};
        Self {
            redeploy: None,
            rollback: None,
            reboot: "systemctl reboot || reboot".to_owned(),
            reboot_within: Span::minutes(10),
            timeout: Span::minutes(10),
            critical: vec![Notify, Fix, Redeploy],
            high: vec![Notify, Fix, Redeploy],
            medium: vec![Notify, Fix],
            low: vec![Notify],
            unreachable: vec![Notify],
            unhealthy: vec![Notify],
            limits: BTreeMap::new(),
        }
    }
}

impl Healing {
    /// Whether nothing is configured.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The ladder of a severity.
    pub fn ladder(&self, severity: Severity) -> &[HealAction] {
        match severity {
            Severity::Low => &self.low,
            Severity::Medium => &self.medium,
            Severity::High => &self.high,
            Severity::Critical => &self.critical,
        }
    }

    /// How often a rung is tried.
    pub fn limits_of(&self, action: HealAction) -> RungLimits {
        self.limits.get(&action).cloned().unwrap_or_default()
    }
}

impl HealAction {
    /// The name used in JSON and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notify => "notify",
            Self::Fix => "fix",
            Self::Redeploy => "redeploy",
            Self::Rollback => "rollback",
            Self::Reboot => "reboot",
            Self::Replace => "replace",
        }
    }

    /// Whether the machine may not do its work meanwhile, so that a disruption budget counts it.
    pub const fn disturbs(self) -> bool {
        !matches!(self, Self::Notify)
    }
}

impl fmt::Display for HealAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
