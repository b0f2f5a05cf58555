//! How a call fails: by chance that follows from the seed, or because a test ordered it.

use std::time::Duration;

use fleetwright_core::{Kind, Operation, Span};
use serde::{Deserialize, Serialize};

use super::hash;
use crate::config::SimFaults;

/// A way for a call to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Nothing happens, and the caller gets an error of this kind. A `timeout` is a request that
    /// was lost on its way; `capacity` and `quota` are told only if a machine would have been made.
    Before(Kind),
    /// It happens, but instead of the answer the caller gets an error of this kind, effect
    /// unknown: `timeout`, `unavailable` (the connection was cut) or `unexpected` (garbage).
    After(Kind),
    /// Nothing happens: `rate-limited` with this time to wait.
    Throttled(Span),
}

/// Faults that wait for calls.
///
/// ```
/// use fleetwright_core::{Kind, Operation};
/// use fleetwright_sim::{Fault, Injection};
///
/// let second_page_fails = Injection::new(Operation::List, Fault::Before(Kind::Unavailable))
///     .in_region("sim-east")
///     .after(1);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Injection {
    operation: Operation,
    region: Option<String>,
    skip: u32,
    times: u32,
    fault: Fault,
}

impl Injection {
    /// The next call of this kind fails.
    pub fn new(operation: Operation, fault: Fault) -> Self {
        Self {
            operation,
            region: None,
            skip: 0,
            times: 1,
            fault,
        }
    }

    /// So many calls fail.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// So many calls are let through first.
    #[must_use]
    pub fn after(mut self, calls: u32) -> Self {
        self.skip = calls;
        self
    }

    /// Only calls for this region.
    #[must_use]
    pub fn in_region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// Where the injection stands that this call meets.
    pub(super) fn next(
        waiting: &[Self],
        operation: Operation,
        region: Option<&str>,
    ) -> Option<usize> {
        waiting.iter().position(|injection| {
            injection.operation == operation
                && (injection.region.is_none() || injection.region.as_deref() == region)
        })
    }

    /// Counts a call that met it; says whether it is used up.
    pub(super) fn use_up(&mut self) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
        } else {
            self.times = self.times.saturating_sub(1);
        }
        self.times == 0
    }

    /// What it does to the call that meets it now.
    pub(super) fn fault(&self) -> Option<Fault> {
        (self.skip == 0 && self.times > 0).then_some(self.fault)
    }
}

impl SimFaults {
    /// The fate of the call with this number.
    pub(super) fn strike(&self, seed: u64, number: u64, operation: Operation) -> Option<Fault> {
        if self
            .operations
            .as_ref()
            .is_some_and(|only| !only.contains(&operation))
        {
            return None;
        }
        let roll = hash::of(seed, "fault", number) % 1000;
        let mut reach = 0;
        let wait = Duration::from_millis(100 + hash::of(seed, "wait", number) % 900);
        let silence = match number % 2 {
            0 => Kind::Timeout,
            _ => Kind::Unavailable,
        };
        [
            (self.refused, Fault::Before(Kind::Unavailable)),
            (self.lost_before, Fault::Before(Kind::Timeout)),
            (self.lost_after, Fault::After(silence)),
            (self.garbage, Fault::After(Kind::Unexpected)),
            (self.throttled, Fault::Throttled(Span(wait))),
            (self.auth_expired, Fault::Before(Kind::Auth)),
            (self.forbidden, Fault::Before(Kind::Permission)),
        ]
        .into_iter()
        .find(|(share, _)| {
            reach += u64::from(*share);
            roll < reach
        })
        .map(|(_, fault)| fault)
    }
}
