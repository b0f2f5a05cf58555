//! Decisions: what goes in, what comes out.

mod limits;
mod policies;
mod properties;
mod schedule;

use std::time::Duration;

use fleetwright_core::{Pool, Sample, Scaling};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Decision, Reading, Readings, SizeState, decide};

/// An ordinary Tuesday.
pub(super) const NOW: &str = "2026-11-24T12:00:00Z";

pub(super) fn now() -> Timestamp {
    NOW.parse().unwrap()
}

pub(super) fn ago(seconds: u64) -> Timestamp {
    now() - Duration::from_secs(seconds)
}

/// A pool without bounds that matter.
pub(super) fn pool() -> Pool {
    Pool {
        desired: 7,
        max: Some(1_000),
        ..Pool::default()
    }
}

/// A policy without brakes: no cool-down, steps of any size.
pub(super) fn free(policy: &Value) -> Scaling {
    let whole = json!({
        "policy": policy,
        "cool_down": { "up": "0s", "down": "0s" },
        "max_step": { "down": 1_000_000 },
    });
    serde_json::from_value(whole).unwrap()
}

pub(super) const fn state(size: u32) -> SizeState {
    SizeState {
        size,
        last_up: None,
        last_down: None,
    }
}

/// A signal with values of so many seconds ago, oldest first.
pub(super) fn reading(values: &[(u64, &str)]) -> Reading {
    let sample = |(seconds, value): &(u64, &str)| Sample {
        at: ago(*seconds),
        value: value.parse().unwrap(),
    };
    Reading {
        samples: values.iter().map(sample).collect(),
        failure: None,
    }
}

/// Readings of one signal, `s`.
pub(super) fn readings(values: &[(u64, &str)]) -> Readings {
    [("s".to_owned(), reading(values))].into()
}

/// Decides at [`now`], with a share of 30 % that may be removed.
pub(super) fn run(pool: &Pool, scaling: &Scaling, state: SizeState, read: &Readings) -> Decision {
    decide(pool, scaling, state, read, now(), 30)
}
