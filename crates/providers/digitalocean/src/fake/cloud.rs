//! Who may ask, how often, and which part of the state answers.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetwright_core::Clock;
use fleetwright_rest::testing::{Reply, Request, World};
use jiff::{SignedDuration, Timestamp};

use super::answer::{error, not_found};
use super::state::State;
use super::{FakeSettings, abilities, domains, droplets};

/// The fake as a world of the server.
pub(super) struct Cloud {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
}

impl Cloud {
    pub(super) fn new(settings: FakeSettings, clock: Arc<dyn Clock>) -> Self {
        Self {
            state: Mutex::new(State::new(settings, clock.now())),
            clock,
        }
    }

    /// The state at this instant.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.turn_to(self.clock.now());
        state
    }
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cloud").finish_non_exhaustive()
    }
}

impl World for Cloud {
    fn answer(&self, request: &Request) -> Reply {
        let mut state = self.state();
        let pace = Pace::take(&mut state);
        let date = state.now.strftime("%a, %d %b %Y %H:%M:%S GMT");
        let reply = match (state.may(request), &pace.refused) {
            (Err(refusal), _) => refusal,
            (Ok(()), Some(wait)) => {
                let seconds = wait.as_secs().max(1);
                error(429, "too_many_requests", "API rate limit exceeded.")
                    .with_header("retry-after", seconds)
            }
            (Ok(()), None) => route(&mut state, request),
        };
        reply
            .with_header("date", date)
            .with_header("ratelimit-limit", 5_000)
            .with_header("ratelimit-remaining", pace.remaining)
            .with_header("ratelimit-reset", pace.reset)
            .with_header("x-request-id", "515850a0-a812-50bf-aa3c-d0d21d287e40")
    }
}

fn route(state: &mut State, request: &Request) -> Reply {
    let segments = request.segments();
    let Some(("v2", rest)) = segments.split_first().map(|(first, rest)| (*first, rest)) else {
        return not_found();
    };
    match rest.first().copied() {
        Some("droplets") => droplets::answer(state, request, &rest[1..]),
        Some("domains") => domains::answer(state, request, &rest[1..]),
        _ => abilities::answer(state, request, rest),
    }
}

impl State {
    /// Whether the token is good and allows it.
    fn may(&self, request: &Request) -> Result<(), Reply> {
        match request.bearer() {
            Some(token) if token == self.settings.token => Ok(()),
            Some(token) if token == self.settings.read_only_token => {
                if request.method() == "GET" {
                    return Ok(());
                }
                Err(error(
                    403,
                    "forbidden",
                    "You are not authorized to perform this operation",
                ))
            }
            _ => Err(error(401, "unauthorized", "Unable to authenticate you")),
        }
    }
}

/// How many calls are left.
struct Pace {
    remaining: usize,
    /// "The time when the oldest request will expire."
    reset: i64,
    refused: Option<Duration>,
}

impl Pace {
    fn take(state: &mut State) -> Self {
        let now = state.now;
        let hour = SignedDuration::from_hours(1);
        let minute = SignedDuration::from_mins(1);
        state.calls.retain(|at| now.duration_since(*at) < hour);
        let lately = |calls: &[Timestamp]| {
            let young = calls.iter().filter(|at| now.duration_since(**at) < minute);
            young.min().copied().map(|oldest| {
                let count = calls.iter().filter(|at| now.duration_since(**at) < minute);
                (count.count(), oldest + minute)
            })
        };
        let expires = state.calls.first().copied().unwrap_or(now) + hour;
        let until = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
        let mut refused = None;
        if state.settings.per_minute != usize::MAX
            && let Some((count, free)) = lately(&state.calls)
            && count >= state.settings.per_minute
        {
            refused = Some(until(free));
        }
        if state.calls.len() >= state.settings.per_hour {
            refused = Some(until(expires));
        }
        if refused.is_none() && state.counts_calls() {
            state.calls.push(now);
        }
        Self {
            remaining: state
                .settings
                .per_hour
                .saturating_sub(state.calls.len())
                .min(5_000),
            reset: expires.as_second(),
            refused,
        }
    }
}

impl State {
    /// Calls are only kept where there is a limit to them.
    fn counts_calls(&self) -> bool {
        self.settings.per_minute != usize::MAX || self.settings.per_hour != usize::MAX
    }
}
