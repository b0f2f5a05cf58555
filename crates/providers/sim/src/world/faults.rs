//! How a call fails: by chance that follows from the seed, or because a test ordered it.

use std::time::Duration;

use fleetwright_core::{Operation, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hash;
use crate::config::SimFaults;

/// A way for a call to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Busy: `unavailable`, nothing happened.
    Refused,
    /// Nothing happened, and no answer came: `timeout` or `unavailable`, effect unknown.
    LostBefore,
    /// It happened, but no answer came: `timeout` or `unavailable`, effect unknown.
    LostAfter,
    /// It happened, but the answer makes no sense: `unexpected`, effect unknown.
    Garbage,
    /// Too fast: `rate-limited` with the time to wait.
    Throttled {
        /// The time to wait.
        retry_after: Span,
    },
    /// The credentials have expired: `auth`.
    AuthExpired,
    /// The credentials may not do this: `permission`.
    Forbidden,
    /// No machine to be had: `capacity`, for the zone that was asked for, else the region.
    SoldOut,
    /// The account may have no more: `quota`, for the whole account.
    OverQuota,
}

/// Faults that wait for calls.
///
/// ```
/// use fleetwright_core::Operation;
/// use fleetwright_sim::{Fault, Injection};
///
/// let second_page_fails = Injection::new(Operation::List, Fault::Refused)
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
        [
            (self.refused, Fault::Refused),
            (self.lost_before, Fault::LostBefore),
            (self.lost_after, Fault::LostAfter),
            (self.garbage, Fault::Garbage),
            (
                self.throttled,
                Fault::Throttled {
                    retry_after: Span(wait),
                },
            ),
            (self.auth_expired, Fault::AuthExpired),
            (self.forbidden, Fault::Forbidden),
        ]
        .into_iter()
        .find(|(share, _)| {
            reach += u64::from(*share);
            roll < reach
        })
        .map(|(_, fault)| fault)
    }
}
