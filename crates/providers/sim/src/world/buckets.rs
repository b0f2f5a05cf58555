//! Token buckets, enforced by the cloud.
//!
//! Levels are whole numbers: a token is as many parts as a minute has nanoseconds, so that a bucket
//! with `per_minute` tokens per minute fills by exactly `per_minute` parts per nanosecond.

use std::time::Duration;

use fleetwright_core::{ApiLimit, LimitUnit, Operation};
use jiff::Timestamp;

use super::state::{Level, State};

const PARTS: u64 = 60_000_000_000;

/// Takes what a call needs from every bucket it draws on, or from none.
///
/// `Err`: how long until all of them hold enough.
pub(super) fn draw(
    state: &State,
    limits: &[ApiLimit],
    operation: Operation,
    region: Option<&str>,
    machines: u32,
    now: Timestamp,
) -> Result<Vec<(String, Level)>, Duration> {
    let mut drawn = Vec::new();
    let mut wait = Duration::ZERO;
    for limit in limits
        .iter()
        .filter(|limit| limit.operations.contains(&operation))
    {
        let needed = PARTS.saturating_mul(match limit.unit {
            LimitUnit::Calls => 1,
            LimitUnit::Machines => u64::from(machines),
        });
        let bucket = match region.filter(|_| limit.per_region) {
            Some(region) => format!("{}@{region}", limit.family),
            None => limit.family.clone(),
        };
        let held = held(limit, state.buckets.get(&bucket), now);
        if let Some(parts) = held.checked_sub(needed) {
            drawn.push((bucket, Level { parts, at: now }));
        } else {
            let missing = (needed - held).div_ceil(u64::from(limit.per_minute.max(1)));
            wait = wait.max(Duration::from_nanos(missing));
        }
    }
    if wait.is_zero() { Ok(drawn) } else { Err(wait) }
}

/// What a bucket holds by now.
fn held(limit: &ApiLimit, level: Option<&Level>, now: Timestamp) -> u64 {
    let full = PARTS.saturating_mul(u64::from(limit.burst));
    let Some(level) = level else {
        return full;
    };
    let passed = now
        .duration_since(level.at)
        .as_nanos()
        .max(0)
        .unsigned_abs();
    let filled = passed
        .saturating_mul(u128::from(limit.per_minute))
        .saturating_add(u128::from(level.parts));
    u64::try_from(filled).map_or(full, |filled| filled.min(full))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::after;

    fn limit(unit: LimitUnit) -> ApiLimit {
        ApiLimit {
            family: "create".into(),
            operations: vec![Operation::Create],
            unit,
            burst: 5,
            per_minute: 120,
            per_region: true,
        }
    }

    /// Draws until the bucket refuses; says how often and for how long it refuses.
    fn exhaust(
        state: &mut State,
        limit: &ApiLimit,
        region: &str,
        at: Timestamp,
    ) -> (u32, Duration) {
        let mut times = 0;
        loop {
            let limits = std::slice::from_ref(limit);
            match draw(state, limits, Operation::Create, Some(region), 1, at) {
                Ok(drawn) => state.buckets.extend(drawn),
                Err(wait) => return (times, wait),
            }
            times += 1;
        }
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate_per_region() {
        let (mut state, start) = (State::default(), Timestamp::UNIX_EPOCH);
        let calls = limit(LimitUnit::Calls);
        let half = Duration::from_millis(500);
        assert_eq!(exhaust(&mut state, &calls, "a", start), (5, half));
        assert_eq!(exhaust(&mut state, &calls, "b", start), (5, half));
        assert_eq!(
            exhaust(&mut state, &calls, "a", after(start, half)),
            (1, half)
        );
        let later = after(start, Duration::from_hours(1));
        assert_eq!(exhaust(&mut state, &calls, "a", later), (5, half));
    }

    #[test]
    fn a_call_takes_from_all_its_buckets_or_from_none() {
        let (state, start) = (State::default(), Timestamp::UNIX_EPOCH);
        let limits = [limit(LimitUnit::Calls), limit(LimitUnit::Machines)];
        let ask = |machines| draw(&state, &limits, Operation::Create, None, machines, start);
        assert_eq!(ask(5).unwrap().len(), 2);
        assert_eq!(ask(7).unwrap_err(), Duration::from_secs(1));
        assert!(
            draw(&state, &limits, Operation::List, None, 0, start)
                .unwrap()
                .is_empty()
        );
    }
}
