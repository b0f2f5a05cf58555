//! The arithmetic of a token bucket: pure, in whole numbers.

use std::time::Duration;

use super::{Draw, Taken, Throttled};

/// Millionths in a token. With them, a rate per minute is a rate of `per_minute / 60` per
/// microsecond.
const TOKEN: i128 = 1_000_000;

/// How far a reader may be behind the last writer before it means that the clock was set back.
/// Less is the disorder of several tasks that read the time and then queue.
const CLOCK_WAS_SET: i64 = 60_000_000;

/// A further refusal within this time, in microseconds, means that the rate is too high.
const AGAIN: i64 = 60_000_000;

/// The learned rate falls to three quarters, and never below this part of the documented one.
const LOWEST: i128 = 32;

/// It rises by this part of the documented rate per minute.
const RISE: i128 = 20;

/// How much longer than its wait an urgent call is believed to be there, in microseconds.
const SLACK: i64 = 100_000;

/// The state of a token bucket; instants in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket {
    /// Millionths of a token; negative: in debt; `None`: full.
    pub(super) level: Option<i64>,
    pub(super) refilled_at: i64,
    pub(super) blocked_until: i64,
    /// The learned rate at `rate_at`, in thousandths of a token per minute; `None`: as documented.
    pub(super) rate: Option<i64>,
    pub(super) rate_at: i64,
    /// When the cloud last refused a call as too fast.
    pub(super) throttled_at: Option<i64>,
    /// The priority of the most urgent call that waits, until `urgent_until`.
    pub(super) urgent: i64,
    pub(super) urgent_until: i64,
}

impl Bucket {
    /// Takes what is asked for, or says how long to wait. `None` if no wait would help.
    pub(super) fn take(&mut self, draw: Draw, now: i64) -> Option<Taken> {
        let priority = i64::from(draw.priority);
        if draw.contended && self.urgent < priority && self.urgent_until > now {
            let wait = self.urgent_until - now;
            return Some(Taken::Wait(micros(wait.into())));
        }
        let documented = i128::from(draw.per_minute) * 1000;
        let rate = self.rate(documented, now);
        let full = i128::from(draw.burst.max(1)) * TOKEN;
        let wanted = i128::from(draw.amount) * TOKEN;
        // Enough to begin with: a full bucket grants any amount and goes into debt.
        let needed = wanted.min(full);

        if self.refilled_at.saturating_sub(now) > CLOCK_WAS_SET {
            self.refilled_at = now;
        }
        let level = self.level(full, rate, now);
        let blocked = i128::from(self.blocked_until) - i128::from(now);
        let short = needed - level;
        if short <= 0 && blocked <= 0 {
            self.level = Some(i64::try_from(level - wanted).unwrap_or(i64::MIN));
            self.refilled_at = self.refilled_at.max(now);
            if rate >= documented {
                self.rate = None;
            }
            if draw.contended && priority <= self.urgent {
                self.urgent_until = 0;
            }
            return Some(Taken::Granted);
        }
        let refill = if short <= 0 {
            0
        } else if rate == 0 {
            return None;
        } else {
            // What a writer with a later clock has counted already is not counted again.
            let ahead = i128::from(self.refilled_at.saturating_sub(now).max(0));
            (short * 60_000 + rate - 1) / rate + ahead
        };
        let wait = blocked.max(refill);
        if draw.contended {
            self.announce(priority, wait, now);
        }
        Some(Taken::Wait(micros(wait)))
    }

    /// Heeds a throttling answer.
    pub(super) fn throttle(&mut self, draw: Draw, answer: Throttled, now: i64) {
        let documented = i128::from(draw.per_minute) * 1000;
        let rate = self.rate(documented, now);
        let full = i128::from(draw.burst.max(1)) * TOKEN;
        let until = answer.until.as_microsecond();
        // Calls that were under way when the cloud refused one are refused for the same reason.
        let is_new = self
            .throttled_at
            .is_none_or(|at| answer.sent_at.as_microsecond() > at);
        if answer.refused && is_new {
            if self
                .throttled_at
                .is_some_and(|at| now.saturating_sub(at) < AGAIN)
            {
                let lowered = (rate * 3 / 4).max(documented / LOWEST).max(1);
                self.rate = Some(i64::try_from(lowered).unwrap_or(i64::MAX));
                self.rate_at = now;
            }
            self.throttled_at = Some(now);
        }
        let left = i128::from(answer.left) * TOKEN;
        let level = self.level(full, rate, now).min(left);
        self.level = Some(i64::try_from(level).unwrap_or(i64::MIN));
        self.refilled_at = self.refilled_at.max(until).max(now);
        self.blocked_until = self.blocked_until.max(until);
    }

    /// The rate by now, in thousandths of a token per minute.
    pub(super) fn rate(&self, documented: i128, now: i64) -> i128 {
        let Some(learned) = self.rate else {
            return documented;
        };
        let quiet = i128::from(now.saturating_sub(self.rate_at).max(0));
        let risen = quiet * documented / (RISE * 60_000_000);
        (i128::from(learned) + risen).min(documented)
    }

    fn level(&self, full: i128, rate: i128, now: i64) -> i128 {
        let elapsed = i128::from(now.saturating_sub(self.refilled_at).max(0));
        self.level.map_or(full, |level| {
            (i128::from(level) + elapsed * rate / 60_000).min(full)
        })
    }

    /// Writes down that an urgent call waits. A later one of the same urgency is not worth a write
    /// as long as the earlier one is believed in for almost as long.
    fn announce(&mut self, priority: i64, wait: i128, now: i64) {
        if priority >= LEAST {
            return;
        }
        let until = i64::try_from(i128::from(now) + wait).unwrap_or(i64::MAX - SLACK);
        let is_known = self.urgent_until > now
            && (self.urgent < priority
                || self.urgent == priority && self.urgent_until >= until + SLACK / 2);
        if !is_known {
            self.urgent = priority;
            self.urgent_until = until + SLACK;
        }
    }
}

/// The priority of calls that only look: nobody waits for them.
const LEAST: i64 = 3;

fn micros(wait: i128) -> Duration {
    Duration::from_micros(u64::try_from(wait).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    const NEW: Bucket = Bucket {
        level: None,
        refilled_at: 0,
        blocked_until: i64::MIN,
        rate: None,
        rate_at: 0,
        throttled_at: None,
        urgent: 0,
        urgent_until: 0,
    };
    const SECOND: i64 = 1_000_000;

    const GRANTED: Option<Taken> = Some(Taken::Granted);

    fn draw(burst: u32, per_minute: u32, amount: u32) -> Draw {
        Draw {
            burst,
            per_minute,
            amount,
            priority: 0,
            contended: false,
        }
    }

    fn wait(micros: u64) -> Taken {
        Taken::Wait(Duration::from_micros(micros))
    }

    #[test]
    fn a_bucket_grants_its_burst_and_then_its_rate() {
        let mut bucket = NEW;
        for _ in 0..3 {
            assert_eq!(bucket.take(draw(3, 60, 1), 0), GRANTED);
        }
        assert_eq!(bucket.take(draw(3, 60, 1), 0), Some(wait(1_000_000)));
        assert_eq!(bucket.take(draw(3, 60, 1), SECOND - 1), Some(wait(1)));
        assert_eq!(bucket.take(draw(3, 60, 1), SECOND), GRANTED);
        assert_eq!(
            bucket.take(draw(3, 60, 3), 2 * SECOND),
            Some(wait(2_000_000))
        );
    }

    #[test]
    fn more_than_the_burst_leaves_a_debt() {
        let mut bucket = NEW;
        assert_eq!(bucket.take(draw(2, 60, 5), 0), GRANTED);
        assert_eq!(bucket.take(draw(2, 60, 1), 0), Some(wait(4_000_000)));
        assert_eq!(
            bucket.take(draw(2, 60, 5), 4 * SECOND),
            Some(wait(1_000_000))
        );
        assert_eq!(bucket.take(draw(2, 60, 5), 5 * SECOND), GRANTED);
    }

    #[test]
    fn a_penalty_holds_until_its_end_even_for_a_full_bucket() {
        let mut bucket = Bucket {
            blocked_until: SECOND,
            ..NEW
        };
        assert_eq!(bucket.take(draw(5, 60, 1), 0), Some(wait(1_000_000)));
        assert_eq!(bucket.take(draw(5, 60, 1), SECOND), GRANTED);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_stop_the_bucket() {
        let hour = 3_600 * SECOND;
        let mut bucket = NEW;
        assert_eq!(bucket.take(draw(1, 60, 1), hour), GRANTED);
        assert_eq!(bucket.take(draw(1, 60, 1), 0), Some(wait(1_000_000)));
        assert_eq!(bucket.take(draw(1, 60, 1), SECOND), GRANTED);
    }

    #[test]
    fn a_bucket_without_a_rate_says_so_instead_of_waiting_for_ever() {
        let mut bucket = NEW;
        assert_eq!(bucket.take(draw(1, 0, 1), 0), GRANTED);
        assert_eq!(bucket.take(draw(1, 0, 1), SECOND), None);
    }

    const fn at(micros: i64) -> Timestamp {
        Timestamp::constant(micros / SECOND, 0)
    }

    /// A refusal of a call that was sent at `sent`; the tokens it needs are there a second later.
    fn refusal(sent: i64, now: i64) -> Throttled {
        Throttled {
            until: at(now + SECOND),
            sent_at: at(sent),
            left: 1,
            refused: true,
        }
    }

    #[test]
    fn the_first_refusal_corrects_the_level_and_not_the_rate() {
        let mut bucket = NEW;
        let ten = draw(10, 60, 1);
        assert_eq!(bucket.take(ten, 10 * SECOND), GRANTED);
        bucket.throttle(ten, refusal(10 * SECOND, 11 * SECOND), 11 * SECOND);
        assert_eq!(bucket.rate(60_000, 11 * SECOND), 60_000);
        assert_eq!(bucket.take(ten, 11 * SECOND), Some(wait(1_000_000)));
        assert_eq!(bucket.take(ten, 12 * SECOND), GRANTED, "the cloud said so");
        let next = bucket.take(ten, 12 * SECOND);
        assert_eq!(
            next,
            Some(wait(1_000_000)),
            "and nothing is left of the burst"
        );
    }

    #[test]
    fn a_further_refusal_lowers_the_rate_and_quiet_time_raises_it_to_the_documented_one() {
        let mut bucket = NEW;
        let ten = draw(10, 60, 1);
        bucket.throttle(ten, refusal(0, SECOND), SECOND);
        // Two calls that were under way at the first refusal: the same event.
        bucket.throttle(ten, refusal(SECOND, 2 * SECOND), 2 * SECOND);
        assert_eq!(bucket.rate(60_000, 2 * SECOND), 60_000);
        bucket.throttle(ten, refusal(3 * SECOND, 4 * SECOND), 4 * SECOND);
        assert_eq!(bucket.rate(60_000, 4 * SECOND), 45_000);
        let minute = 60 * SECOND;
        assert_eq!(bucket.rate(60_000, 4 * SECOND + minute), 48_000);
        assert_eq!(bucket.rate(60_000, 4 * SECOND + 5 * minute), 60_000);
        assert_eq!(bucket.rate(60_000, 4 * SECOND + 60 * minute), 60_000);
        for round in 2..40 {
            let now = round * 10 * SECOND;
            bucket.throttle(ten, refusal(now - SECOND, now), now);
        }
        assert!(bucket.rate(60_000, 390 * SECOND) >= 60_000 / 32);
        assert!(bucket.rate(60_000, 390 * SECOND) < 10_000);
    }

    #[test]
    fn what_headers_announce_holds_calls_back_and_lowers_no_rate() {
        let mut bucket = NEW;
        let ten = draw(10, 60, 1);
        for now in [SECOND, 5 * SECOND, 9 * SECOND] {
            let announced = Throttled {
                refused: false,
                ..refusal(now - SECOND, now)
            };
            bucket.throttle(ten, announced, now);
        }
        assert_eq!(bucket.rate, None);
        assert_eq!(bucket.take(ten, 9 * SECOND), Some(wait(1_000_000)));
    }

    #[test]
    fn whoever_waits_goes_before_the_less_urgent_until_its_wait_is_over() {
        let ask = |priority| Draw {
            priority,
            contended: true,
            ..draw(1, 60, 1)
        };
        let mut bucket = NEW;
        assert_eq!(bucket.take(ask(3), 0), GRANTED);
        assert_eq!(bucket.take(ask(0), 500_000), Some(wait(500_000)));
        // The token is there, and kept for the deletion.
        assert_eq!(bucket.take(ask(3), SECOND), Some(wait(100_000)));
        assert_eq!(bucket.take(ask(2), SECOND), Some(wait(100_000)));
        assert_eq!(bucket.take(ask(0), SECOND), GRANTED);
        assert_eq!(bucket.take(ask(3), SECOND), Some(wait(1_000_000)));
        assert_eq!(
            bucket.take(ask(3), 2 * SECOND),
            GRANTED,
            "nobody waits any more"
        );
        // One that died holds nobody back for longer than its wait.
        assert_eq!(bucket.take(ask(0), 2 * SECOND), Some(wait(1_000_000)));
        assert_eq!(bucket.take(ask(3), 3 * SECOND + 100_000), GRANTED);
        // Where all are of one urgency nothing is written down.
        let before = bucket;
        let lonely = Draw {
            contended: false,
            ..ask(0)
        };
        assert_eq!(
            bucket.take(lonely, 3 * SECOND + 100_000),
            Some(wait(1_000_000))
        );
        assert_eq!(bucket, before);
    }

    proptest! {
        #[test]
        fn no_window_grants_more_than_burst_and_rate(
            burst in 1_u32..50,
            per_minute in 1_u32..100_000,
            calls in prop::collection::vec((0_i64..2_000_000, 1_u32..50, -5_000_i64..5_000), 1..200),
        ) {
            let mut bucket = NEW;
            let mut clock = 0;
            let mut latest = 0;
            let mut granted: Vec<(i64, i128)> = Vec::new();
            for (pause, amount, disorder) in calls {
                clock += pause;
                let now = (clock + disorder).max(0);
                latest = latest.max(now);
                let amount = amount.min(burst);
                match bucket.take(draw(burst, per_minute, amount), now) {
                    Some(Taken::Granted) => granted.push((latest, i128::from(amount))),
                    Some(Taken::Wait(wait)) => prop_assert!(wait > Duration::ZERO),
                    None => prop_assert!(false, "a bucket with a rate fills up"),
                }
                for first in 0..granted.len() {
                    let sum: i128 = granted[first..].iter().map(|(_, amount)| amount).sum();
                    let window = i128::from(latest - granted[first].0);
                    let allowed = i128::from(burst) * TOKEN + window * i128::from(per_minute) / 60;
                    prop_assert!(sum * TOKEN <= allowed, "{sum} in {window} µs");
                }
            }
        }

        #[test]
        fn after_the_wait_the_tokens_are_there(
            burst in 1_u32..50,
            per_minute in 1_u32..100_000,
            spent in 1_u32..200,
            amount in 1_u32..200,
        ) {
            let mut bucket = NEW;
            prop_assert_eq!(bucket.take(draw(burst, per_minute, spent), 0), GRANTED);
            if let Some(Taken::Wait(wait)) = bucket.take(draw(burst, per_minute, amount), 0) {
                let later = i64::try_from(wait.as_micros()).unwrap();
                prop_assert_eq!(bucket.take(draw(burst, per_minute, amount), later), GRANTED);
            }
        }
    }
}
