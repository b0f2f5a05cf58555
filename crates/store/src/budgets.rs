//! Rate budgets: token buckets that all processes share, so that two command lines next to each
//! other stay within one account's limits.
//!
//! The arithmetic is pure and in whole numbers ([`Bucket`]); the table keeps its state between
//! calls, and a transaction makes a call atomic.

mod bucket;

use std::path::Path;
use std::time::Duration;

use fleetwright_core::{Error, Kind, Result};
use jiff::Timestamp;
use sqlx::any::AnyRow;

use self::bucket::Bucket;
use crate::Store;
use crate::error::unreadable;
use crate::transaction::{Transaction, column};

/// The answer to a request for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// They are taken.
    Granted,
    /// Nothing is taken: ask again after this long. Never zero.
    Wait(Duration),
}

/// A bucket's documented limit, and what is taken from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// Most tokens at once; 0 counts as 1.
    pub burst: u32,
    /// Tokens that come back per minute, as documented.
    pub per_minute: u32,
    /// How many to take.
    pub amount: u32,
    /// How urgent it is; 0 is the most urgent.
    pub priority: u8,
    /// Whether calls of different urgency take from this bucket. Only then is it written down that
    /// an urgent one waits.
    pub contended: bool,
}

/// A throttling answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttled {
    /// Until when nobody shall call.
    pub until: Timestamp,
    /// When the call was sent that it answers.
    pub sent_at: Timestamp,
    /// How many tokens are there at `until`, by what the cloud says; 0 if it says nothing.
    pub left: u32,
    /// Whether the cloud refused a call. Otherwise it has only announced that it would: then our
    /// rate is not to blame.
    pub refused: bool,
}

/// A bucket as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetState {
    /// Its name.
    pub bucket: String,
    /// The learned rate, in thousandths of a token per minute; absent: the documented one.
    pub milli_rate: Option<u64>,
    /// Until when nobody may call; in the past if they may.
    pub blocked_until: Timestamp,
    /// When the cloud last refused a call as too fast.
    pub throttled_at: Option<Timestamp>,
}

impl Store {
    /// Takes tokens from a bucket that holds at most `burst` and gains `per_minute`, or less if
    /// throttling answers have taught so. A bucket that nobody took from is full.
    ///
    /// More than `burst` at once is granted from a full bucket and leaves it in debt, so that the
    /// rate holds in the long run. Between grants, size and rate may change; a level above the new
    /// size is cut.
    ///
    /// Whoever has to wait at a contended bucket goes before all who are less urgent, those of other
    /// processes included, until its wait is over.
    ///
    /// # Errors
    /// `Invalid` if the bucket has too few tokens and never gains any.
    pub async fn take(&self, bucket: &str, draw: Draw, now: Timestamp) -> Result<Taken> {
        let mut transaction = self.loose().await?;
        let mut state = lock(&mut transaction, bucket, now).await?;
        let found = state;
        let taken = state.take(draw, now.as_microsecond()).ok_or_else(|| {
            Error::new(
                Kind::Invalid,
                format!("rate budget `{bucket}` is spent and gains 0 per minute"),
            )
        })?;
        // A wait usually changes nothing: the transaction is dropped and rolled back.
        if state != found {
            put(&mut transaction, bucket, &state).await?;
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

    /// Heeds a throttling answer: nobody gets a token of this bucket before `until`, of two such
    /// answers before the later. What was believed to be in the bucket is corrected. If the cloud
    /// refuses again within a minute although its bucket was corrected then, the rate is too high,
    /// and is lowered by a quarter; without further refusals it rises again, by a twentieth of the
    /// documented rate per minute, never above it.
    pub async fn penalize(
        &self,
        bucket: &str,
        draw: Draw,
        answer: Throttled,
        now: Timestamp,
    ) -> Result<()> {
        let mut transaction = self.loose().await?;
        let mut state = lock(&mut transaction, bucket, now).await?;
        state.throttle(draw, answer, now.as_microsecond());
        put(&mut transaction, bucket, &state).await?;
        transaction.commit().await
    }

    /// The state of a bucket with this documented rate; nothing if nobody took from it yet.
    pub async fn budget(
        &self,
        bucket: &str,
        per_minute: u32,
        now: Timestamp,
    ) -> Result<Option<BudgetState>> {
        let rows = self
            .rows(
                sqlx::query(
                    "SELECT level, refilled_at, blocked_until, rate, rate_at, throttled_at, urgent, \
                     urgent_until FROM budgets WHERE bucket = $1",
                )
                .bind(bucket),
            )
            .await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let state = read(self.path(), row)?;
        let documented = i128::from(per_minute) * 1000;
        let rate = state.rate(documented, now.as_microsecond());
        let instant = |micros| Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MIN);
        Ok(Some(BudgetState {
            bucket: bucket.to_owned(),
            milli_rate: (rate < documented).then(|| u64::try_from(rate).unwrap_or(u64::MAX)),
            blocked_until: instant(state.blocked_until),
            throttled_at: state.throttled_at.map(instant),
        }))
    }
}

/// Reads a bucket, making it if it is new. An upsert rather than a query: it locks the row until
/// the commit on every database.
async fn lock(transaction: &mut Transaction<'_>, bucket: &str, now: Timestamp) -> Result<Bucket> {
    let row = transaction
        .row(
            sqlx::query(
                "INSERT INTO budgets (bucket, level, refilled_at, blocked_until) \
                 VALUES ($1, NULL, $2, $3) \
                 ON CONFLICT (bucket) DO UPDATE SET bucket = excluded.bucket \
                 RETURNING level, refilled_at, blocked_until, rate, rate_at, throttled_at, urgent, \
                 urgent_until",
            )
            .bind(bucket)
            .bind(now.as_microsecond())
            .bind(i64::MIN),
        )
        .await?
        .ok_or_else(|| {
            let path = transaction.path();
            unreadable(path, "budget", "no row came back", "empty RETURNING")
        })?;
    read(transaction.path(), &row)
}

fn read(path: &Path, row: &AnyRow) -> Result<Bucket> {
    Ok(Bucket {
        level: column(path, row, 0)?,
        refilled_at: column(path, row, 1)?,
        blocked_until: column(path, row, 2)?,
        rate: column(path, row, 3)?,
        rate_at: column(path, row, 4)?,
        throttled_at: column(path, row, 5)?,
        urgent: column(path, row, 6)?,
        urgent_until: column(path, row, 7)?,
    })
}

async fn put(transaction: &mut Transaction<'_>, bucket: &str, state: &Bucket) -> Result<()> {
    transaction
        .run(
            sqlx::query(
                "UPDATE budgets SET level = $1, refilled_at = $2, blocked_until = $3, rate = $4, \
                 rate_at = $5, throttled_at = $6, urgent = $7, urgent_until = $8 \
                 WHERE bucket = $9",
            )
            .bind(state.level)
            .bind(state.refilled_at)
            .bind(state.blocked_until)
            .bind(state.rate)
            .bind(state.rate_at)
            .bind(state.throttled_at)
            .bind(state.urgent)
            .bind(state.urgent_until)
            .bind(bucket),
        )
        .await?;
    Ok(())
}
