//! Rate budgets: token buckets that all processes share, so that two command lines next to each
//! other stay within one account's limits.
//!
//! The arithmetic is pure and in whole numbers ([`Bucket`]); the table keeps its state between
//! calls, and a transaction makes a call atomic.

use std::time::Duration;

use fleetwright_core::{Error, Kind, Result};
use jiff::Timestamp;

use crate::Store;
use crate::error::unreadable;
use crate::transaction::column;

/// The answer to a request for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// They are taken.
    Granted,
    /// Nothing is taken: ask again after this long. Never zero.
    Wait(Duration),
}

impl Store {
    /// Takes tokens from a bucket that holds at most `burst` and gains `per_minute`. A bucket that
    /// nobody took from is full.
    ///
    /// More than `burst` at once is granted from a full bucket and leaves it in debt, so that the
    /// rate holds in the long run. Between grants, size and rate may change; a level above the new
    /// size is cut. `burst` 0 counts as 1.
    ///
    /// # Errors
    /// `Invalid` if the bucket has too few tokens and never gains any.
    pub async fn take(
        &self,
        bucket: &str,
        burst: u32,
        per_minute: u32,
        amount: u32,
        now: Timestamp,
    ) -> Result<Taken> {
        let mut transaction = self.loose().await?;
        // An upsert rather than a query: it locks the row until the commit on every database.
        let row = transaction
            .row(
                sqlx::query(
                    "INSERT INTO budgets (bucket, level, refilled_at, blocked_until) \
                     VALUES ($1, NULL, $2, $3) \
                     ON CONFLICT (bucket) DO UPDATE SET bucket = excluded.bucket \
                     RETURNING level, refilled_at, blocked_until",
                )
                .bind(bucket)
                .bind(now.as_microsecond())
                .bind(i64::MIN),
            )
            .await?
            .ok_or_else(|| {
                unreadable(self.path(), "budget", "no row came back", "empty RETURNING")
            })?;
        let mut state = Bucket {
            level: column(self.path(), &row, 0)?,
            refilled_at: column(self.path(), &row, 1)?,
            blocked_until: column(self.path(), &row, 2)?,
        };
        let found = state;
        let taken = state
            .take(burst, per_minute, amount, now.as_microsecond())
            .ok_or_else(|| {
                Error::new(
                    Kind::Invalid,
                    format!("rate budget `{bucket}` is spent and gains 0 per minute"),
                )
            })?;
        // A wait usually changes nothing: the transaction is dropped and rolled back.
        if state != found {
            transaction
                .run(
                    sqlx::query(
                        "UPDATE budgets SET level = $1, refilled_at = $2 WHERE bucket = $3",
                    )
                    .bind(state.level)
                    .bind(state.refilled_at)
                    .bind(bucket),
                )
                .await?;
            transaction.commit().await?;
        }
        Ok(taken)
    }

    /// Gives back tokens that were taken for a call which the cloud has refused to look at.
    pub async fn give_back(&self, bucket: &str, amount: u32) -> Result<()> {
        let mut transaction = self.loose().await?;
        // A level above the size of the bucket is cut when the next token is taken.
        let level = i64::from(amount) * 1_000_000;
        transaction
            .run(
                sqlx::query("UPDATE budgets SET level = level + $1 WHERE bucket = $2")
                    .bind(level)
                    .bind(bucket),
            )
            .await?;
        transaction.commit().await
    }

    /// Heeds a throttling answer: nobody gets a token of this bucket before `until`. Of two such
    /// answers the later instant holds.
    pub async fn penalize(&self, bucket: &str, until: Timestamp) -> Result<()> {
        let mut transaction = self.loose().await?;
        transaction
            .run(
                sqlx::query(
                    "INSERT INTO budgets (bucket, level, refilled_at, blocked_until) \
                     VALUES ($1, NULL, 0, $2) \
                     ON CONFLICT (bucket) DO UPDATE SET blocked_until = excluded.blocked_until \
                     WHERE excluded.blocked_until > budgets.blocked_until",
                )
                .bind(bucket)
                .bind(until.as_microsecond()),
            )
            .await?;
        transaction.commit().await
    }
}

/// Millionths in a token. With them, a rate per minute is a rate of `per_minute / 60` per
/// microsecond.
const TOKEN: i128 = 1_000_000;

/// How far a reader may be behind the last writer before it means that the clock was set back.
/// Less is the disorder of several tasks that read the time and then queue.
const CLOCK_WAS_SET: i64 = 60_000_000;

/// The state of a token bucket; instants in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bucket {
    /// Millionths of a token; negative: in debt; `None`: full.
    level: Option<i64>,
    refilled_at: i64,
    blocked_until: i64,
}

impl Bucket {
    /// Takes `amount`, or says how long to wait. `None` if no wait would help.
    fn take(&mut self, burst: u32, per_minute: u32, amount: u32, now: i64) -> Option<Taken> {
        let rate = i128::from(per_minute);
        let full = i128::from(burst.max(1)) * TOKEN;
        let wanted = i128::from(amount) * TOKEN;
        // Enough to begin with: a full bucket grants any amount and goes into debt.
        let needed = wanted.min(full);

        if self.refilled_at.saturating_sub(now) > CLOCK_WAS_SET {
            self.refilled_at = now;
        }
        let elapsed = i128::from(now.saturating_sub(self.refilled_at).max(0));
        let level = self.level.map_or(full, |level| {
            (i128::from(level) + elapsed * rate / 60).min(full)
        });

        let blocked = i128::from(self.blocked_until) - i128::from(now);
        let short = needed - level;
        if short <= 0 && blocked <= 0 {
            self.level = Some(i64::try_from(level - wanted).unwrap_or(i64::MIN));
            self.refilled_at = self.refilled_at.max(now);
            return Some(Taken::Granted);
        }
        let refill = if short <= 0 {
            0
        } else if rate == 0 {
            return None;
        } else {
            // What a writer with a later clock has counted already is not counted again.
            let ahead = i128::from(self.refilled_at.saturating_sub(now).max(0));
            (short * 60 + rate - 1) / rate + ahead
        };
        let wait = u64::try_from(blocked.max(refill)).unwrap_or(u64::MAX);
        Some(Taken::Wait(Duration::from_micros(wait)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NEW: Bucket = Bucket {
        level: None,
        refilled_at: 0,
        blocked_until: i64::MIN,
    };
    const SECOND: i64 = 1_000_000;

    const GRANTED: Option<Taken> = Some(Taken::Granted);

    fn wait(micros: u64) -> Taken {
        Taken::Wait(Duration::from_micros(micros))
    }

    #[test]
    fn a_bucket_grants_its_burst_and_then_its_rate() {
        let mut bucket = NEW;
        for _ in 0..3 {
            assert_eq!(bucket.take(3, 60, 1, 0), GRANTED);
        }
        assert_eq!(bucket.take(3, 60, 1, 0), Some(wait(1_000_000)));
        assert_eq!(bucket.take(3, 60, 1, SECOND - 1), Some(wait(1)));
        assert_eq!(bucket.take(3, 60, 1, SECOND), GRANTED);
        assert_eq!(bucket.take(3, 60, 3, 2 * SECOND), Some(wait(2_000_000)));
    }

    #[test]
    fn more_than_the_burst_leaves_a_debt() {
        let mut bucket = NEW;
        assert_eq!(bucket.take(2, 60, 5, 0), GRANTED);
        assert_eq!(bucket.take(2, 60, 1, 0), Some(wait(4_000_000)));
        assert_eq!(bucket.take(2, 60, 5, 4 * SECOND), Some(wait(1_000_000)));
        assert_eq!(bucket.take(2, 60, 5, 5 * SECOND), GRANTED);
    }

    #[test]
    fn a_penalty_holds_until_its_end_even_for_a_full_bucket() {
        let mut bucket = Bucket {
            blocked_until: SECOND,
            ..NEW
        };
        assert_eq!(bucket.take(5, 60, 1, 0), Some(wait(1_000_000)));
        assert_eq!(bucket.take(5, 60, 1, SECOND), GRANTED);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_stop_the_bucket() {
        let hour = 3_600 * SECOND;
        let mut bucket = NEW;
        assert_eq!(bucket.take(1, 60, 1, hour), GRANTED);
        assert_eq!(bucket.take(1, 60, 1, 0), Some(wait(1_000_000)));
        assert_eq!(bucket.take(1, 60, 1, SECOND), GRANTED);
    }

    #[test]
    fn a_bucket_without_a_rate_says_so_instead_of_waiting_for_ever() {
        let mut bucket = NEW;
        assert_eq!(bucket.take(1, 0, 1, 0), GRANTED);
        assert_eq!(bucket.take(1, 0, 1, SECOND), None);
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
                match bucket.take(burst, per_minute, amount, now) {
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
            prop_assert_eq!(bucket.take(burst, per_minute, spent, 0), GRANTED);
            if let Some(Taken::Wait(wait)) = bucket.take(burst, per_minute, amount, 0) {
                let later = i64::try_from(wait.as_micros()).unwrap();
                prop_assert_eq!(bucket.take(burst, per_minute, amount, later), GRANTED);
            }
        }
    }
}
