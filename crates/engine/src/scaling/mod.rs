//! How large a pool shall be: a policy votes, and bounds, steps and cool-down say how far the size
//! follows. Pure: signals, state and time are arguments.
//!
//! ```text
//!  signals ─► policy ─► vote ─► bounds ─► cool-down ─► step ─► Decision { size, reason, evidence }
//!                │
//!                └─ a signal that fails, is missing or stale: the size stays, and the decision
//!                   says why
//! ```
//! [`decide`] is all of it. `rounds` and `sizes` are where it meets the journal: signals are read,
//! decisions are written under the fleet's lease, and the pools are brought to their sizes on the
//! same path as everything else.

mod composite;
mod load;
mod predictive;
mod queue;
mod reactive;
mod rounds;
mod schedule;
mod shown;
mod sizes;
mod sources;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

use fleetwright_core::{Pool, Quantity, Sample, Scaling, ScalingPolicy, SizeRecord, Span};
use jiff::Timestamp;
use serde::Serialize;

use crate::life::elapsed;

pub(crate) use self::rounds::Pace;
pub use self::shown::PoolSize;
pub use self::sizes::Sizing;

/// What is known of a pool's signals, by name.
pub type Readings = BTreeMap<String, Reading>;

/// What is known of one signal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// Its values, oldest first.
    pub samples: Vec<Sample>,
    /// Why its source could not be read just now. Then its older values are not believed either.
    pub failure: Option<String>,
}

/// Where a pool stands before a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeState {
    /// Its size.
    pub size: u32,
    /// When it last grew.
    pub last_up: Option<Timestamp>,
    /// When it last shrank.
    pub last_down: Option<Timestamp>,
}

impl From<&SizeRecord> for SizeState {
    fn from(record: &SizeRecord) -> Self {
        Self {
            size: record.size,
            last_up: record.last_up,
            last_down: record.last_down,
        }
    }
}

/// What was decided for a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The size before.
    pub from: u32,
    /// The size from now on; often the same.
    pub size: u32,
    /// Why, in words.
    pub reason: String,
    /// What could not be read, if so. Without any vote the size is that of before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What it was decided on.
    pub evidence: SizeEvidence,
}

/// What a decision was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SizeEvidence {
    /// When.
    pub at: Timestamp,
    /// What the policy said.
    pub vote: Vote,
    /// The pool's bounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<u32>,
    /// The pool's bounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// What kept the size from following the vote, in the order in which it was applied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held_back: Vec<String>,
}

/// What a policy says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vote {
    /// Its name.
    pub policy: &'static str,
    /// The signal that it looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// The newest value of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Quantity>,
    /// When that was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured_at: Option<Timestamp>,
    /// The size that it wants; absent if it cannot tell.
    pub wants: Option<u32>,
    /// Why, or why it cannot tell.
    pub reason: String,
    /// What its inner policies say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub of: Vec<Self>,
}

/// What policies look at.
pub(crate) struct Basis<'a> {
    /// The size at present.
    pub(crate) size: u32,
    /// The configured size.
    pub(crate) desired: u32,
    pub(crate) readings: &'a Readings,
    pub(crate) stale_after: Span,
    pub(crate) now: Timestamp,
}

/// Decides on a pool's size.
///
/// The same input gives the same decision. If the policy cannot tell, the size stays exactly as it
/// is. Otherwise the size is within the pool's bounds, and differs from the one before (brought
/// within the bounds) by at most a step. `removal_percent` is the share of a fleet that may go at
/// once: the step downwards, if the pool names none.
pub fn decide(
    pool: &Pool,
    scaling: &Scaling,
    state: SizeState,
    readings: &Readings,
    now: Timestamp,
    removal_percent: u8,
) -> Decision {
    let vote = vote(
        &scaling.policy,
        &Basis {
            size: state.size,
            desired: pool.desired,
            readings,
            stale_after: scaling.stale_after,
            now,
        },
    );
    let mut troubles = Vec::new();
    vote.troubles(&mut troubles);
    let trouble = (!troubles.is_empty()).then(|| troubles.join("; "));
    let mut held_back = Vec::new();
    let size = match vote.wants {
        None => state.size,
        Some(wanted) => follow(
            pool,
            scaling,
            state,
            wanted,
            now,
            removal_percent,
            &mut held_back,
        ),
    };
    let mut reason = vote.reason.clone();
    for held in &held_back {
        reason.push_str("; ");
        reason.push_str(held);
    }
    Decision {
        from: state.size,
        size,
        reason,
        trouble,
        evidence: SizeEvidence {
            at: now,
            vote,
            min: pool.min,
            max: pool.max,
            held_back,
        },
    }
}

/// The most machines that one decision may remove from a pool of this size.
pub(crate) fn step_down(scaling: &Scaling, size: u32, removal_percent: u8) -> u32 {
    scaling.max_step.down.unwrap_or_else(|| {
        let share = u64::from(size) * u64::from(removal_percent) / 100;
        // One may always go, as for the brake: a share of a small pool rounds down to none.
        u32::try_from(share).unwrap_or(u32::MAX).max(1)
    })
}

/// How far the size follows what is wanted.
fn follow(
    pool: &Pool,
    scaling: &Scaling,
    state: SizeState,
    wanted: u32,
    now: Timestamp,
    removal_percent: u8,
    held_back: &mut Vec<String>,
) -> u32 {
    let present = pool.within_bounds(state.size);
    if present != state.size {
        held_back.push(format!(
            "{} is outside of the pool's bounds by now",
            state.size
        ));
    }
    let bounded = pool.within_bounds(wanted);
    match bounded.cmp(&wanted) {
        Ordering::Less => held_back.push(format!("the pool has {bounded} at most")),
        Ordering::Greater => held_back.push(format!("the pool has {bounded} at least")),
        Ordering::Equal => {}
    }
    let cool_down = &scaling.cool_down;
    match bounded.cmp(&present) {
        Ordering::Equal => present,
        Ordering::Greater => {
            if let Some(since) = cools(state.last_up, cool_down.up, now) {
                held_back.push(format!(
                    "it grew {since} ago, and grows again after {}",
                    cool_down.up
                ));
                return present;
            }
            let most = scaling.max_step.up.unwrap_or(u32::MAX);
            let size = bounded.min(present.saturating_add(most));
            if size < bounded {
                held_back.push(format!("at most {most} more at once"));
            }
            size
        }
        Ordering::Less => {
            if let Some(since) = cools(state.last_up.max(state.last_down), cool_down.down, now) {
                held_back.push(format!(
                    "it changed {since} ago, and shrinks after {}",
                    cool_down.down
                ));
                return present;
            }
            let most = step_down(scaling, present, removal_percent);
            let size = bounded.max(present.saturating_sub(most));
            if size > bounded {
                held_back.push(format!("at most {most} fewer at once"));
            }
            size
        }
    }
}

/// How long ago a change was, if the pool still cools down after it.
fn cools(last: Option<Timestamp>, cool_down: Span, now: Timestamp) -> Option<Span> {
    let since = elapsed(last?, now);
    (since < cool_down.0).then(|| Span(Duration::from_secs(since.as_secs())))
}

/// Asks a policy.
pub(crate) fn vote(policy: &ScalingPolicy, basis: &Basis<'_>) -> Vote {
    match policy {
        ScalingPolicy::Reactive(policy) => reactive::vote(policy, basis),
        ScalingPolicy::Queue(policy) => queue::vote(policy, basis),
        ScalingPolicy::Schedule(policy) => schedule::vote(policy, basis),
        ScalingPolicy::Predictive(policy) => predictive::vote(policy, basis),
        ScalingPolicy::Composite(policy) => composite::vote(policy, basis),
    }
}

// === impl Basis ===

impl Basis<'_> {
    /// The newest value of a signal.
    ///
    /// # Errors
    /// Why there is none that can be relied on: the source failed, there is no value, or it is
    /// stale.
    pub(crate) fn newest(&self, signal: &str) -> Result<Sample, String> {
        let reading = self.readings.get(signal);
        if let Some(failure) = reading.and_then(|reading| reading.failure.as_ref()) {
            return Err(format!("the signal `{signal}` failed: {failure}"));
        }
        let newest = reading
            .and_then(|reading| reading.samples.last())
            .ok_or_else(|| format!("the signal `{signal}` has no value"))?;
        if elapsed(newest.at, self.now) > self.stale_after.0 {
            return Err(format!(
                "the signal `{signal}` is stale: its newest value is of {:.0}, and one counts for {}",
                newest.at, self.stale_after
            ));
        }
        Ok(*newest)
    }
}

// === impl Vote ===

impl Vote {
    /// A vote of one who cannot tell.
    fn none(policy: &'static str, signal: &str, why: String) -> Self {
        Self {
            policy,
            signal: Some(signal.to_owned()),
            value: None,
            measured_at: None,
            wants: None,
            reason: why,
            of: Vec::new(),
        }
    }

    /// A vote because of a signal.
    fn on(policy: &'static str, signal: &str, sample: Sample, wants: u32, reason: String) -> Self {
        Self {
            value: Some(sample.value),
            measured_at: Some(sample.at),
            wants: Some(wants),
            ..Self::none(policy, signal, reason)
        }
    }

    /// Why policies cannot tell, this one or inner ones.
    fn troubles<'a>(&'a self, found: &mut Vec<&'a str>) {
        if self.of.is_empty() && self.wants.is_none() {
            if !found.contains(&self.reason.as_str()) {
                found.push(&self.reason);
            }
        } else {
            self.of.iter().for_each(|vote| vote.troubles(found));
        }
    }
}

/// `1 node`, `2 nodes`.
fn nodes(count: u32) -> String {
    if count == 1 {
        "1 node".to_owned()
    } else {
        format!("{count} nodes")
    }
}
