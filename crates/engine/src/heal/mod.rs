//! Machines that stay as they should be: diagnosis, brakes, heals.
//!
//! ```text
//!  Sight ──► diagnose ──► cases ──► prescribe ──► HealPlan ──► treat ──► measured again
//! ```
//! All that decides is pure: [`diagnose()`] and [`prescribe()`] take what was seen, what was done
//! before and the time, and give the same answer for the same questions. [`Engine::upkeep`] does the
//! rest. What the words mean is told in
//! [healing](https://github.com/fleetwright/fleetwright/blob/main/docs/concepts/healing.md).
//!
//! [`Engine::upkeep`]: crate::Engine::upkeep

mod brakes;
mod cron;
mod diagnose;
mod eyes;
mod plan;
mod sight;
#[cfg(test)]
mod tests;
mod treat;
mod upkeep;

pub use self::brakes::{Allowance, allowance, are_too_many};
pub use self::cron::Cron;
pub use self::diagnose::{Diagnosis, diagnose};
pub use self::eyes::JournalEyes;
pub use self::plan::{HealPlan, HealSituation, HealStep, Held, Hold, prescribe};
pub use self::sight::{GroupState, HealthVerdict, Policy, Reach, Sight, TargetState};
pub use self::treat::Treated;
pub use self::upkeep::{
    Eyes, KnownTargets, Looked, Unmeasured, Upkeep, UpkeepOptions, UpkeepRound,
};
