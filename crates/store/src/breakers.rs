//! Circuit breakers that all processes share, so that a new process does not begin by asking a cloud
//! that is known to be down.
//!
//! The states and what changes them are pure ([`Circuit`]). Only trouble is written: a healthy place
//! has no row, and finding that out is one read for all places of an account.

use std::collections::HashMap;
use std::time::Duration;

use fleetwright_core::Result;
use jiff::Timestamp;
use sqlx::any::AnyRow;

use crate::Store;
use crate::error::unreadable;
use crate::transaction::{Transaction, column};

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open the first time; doubles up to ten times this.
    pub pause: Duration,
}

/// The breaker of a place that saw failures.
///
/// ```text
///   closed ──failures──► open ──pause is over──► half-open ──one probe──► closed
///                          ▲                         │
///                          └───────── fails ─────────┘
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circuit {
    /// Failures in a row.
    pub failures: u32,
    /// How often it opened without closing in between.
    pub openings: u32,
    /// When the first of the failures was.
    pub since: Timestamp,
    /// Until when nobody asks; absent while it is closed. In the past: one probe may go.
    pub until: Option<Timestamp>,
    /// The last failure, in words.
    pub error: String,
}

/// Failures that are longer ago are not in a row with new ones.
const FORGOTTEN: Duration = Duration::from_mins(10);

// === impl Circuit ===

impl Circuit {
    /// A place that saw no failure yet.
    pub fn new(now: Timestamp) -> Self {
        Self {
            failures: 0,
            openings: 0,
            since: now,
            until: None,
            error: String::new(),
        }
    }

    /// Counts a failure; says whether it opened the breaker, perhaps again. Once it is open only the
    /// probe's failure counts: those of earlier calls come late.
    pub fn fail(&mut self, probe: bool, patience: Patience, error: String, now: Timestamp) -> bool {
        let is_late = self.until.is_some() && !probe;
        if is_late {
            return false;
        }
        let age = Duration::try_from(now.duration_since(self.since)).unwrap_or_default();
        if self.until.is_none() && age > FORGOTTEN {
            *self = Self::new(now);
        }
        self.failures = self.failures.saturating_add(1);
        self.error = error;
        if self.failures < patience.failures {
            return false;
        }
        let factor = 1u32.checked_shl(self.openings).unwrap_or(10).min(10);
        self.openings = self.openings.saturating_add(1);
        let pause = patience.pause.saturating_mul(factor);
        self.until = Some(now.checked_add(pause).unwrap_or(Timestamp::MAX));
        true
    }
}

impl Store {
    /// The breakers of an account that saw failures, by place.
    pub async fn circuits(&self, account: &str) -> Result<HashMap<String, Circuit>> {
        let rows = self
            .rows(
                sqlx::query(
                    "SELECT failures, openings, since, until_at, error, place FROM breakers \
                     WHERE account = $1",
                )
                .bind(account),
            )
            .await?;
        rows.iter()
            .map(|row| Ok((column(self.path(), row, 5)?, read(self, row)?)))
            .collect()
    }

    /// Claims the probe of an open breaker whose pause is over: of all processes one gets it, and
    /// the next is due a `pause` later, even if this one never tells how it ended.
    pub async fn claim_probe(
        &self,
        account: &str,
        place: &str,
        pause: Duration,
        now: Timestamp,
    ) -> Result<bool> {
        let mut transaction = self.loose().await?;
        let next = now.checked_add(pause).unwrap_or(Timestamp::MAX);
        let claimed = transaction
            .run(
                sqlx::query(
                    "UPDATE breakers SET until_at = $1 \
                     WHERE account = $2 AND place = $3 AND until_at <= $4",
                )
                .bind(next.as_microsecond())
                .bind(account)
                .bind(place)
                .bind(now.as_microsecond()),
            )
            .await?;
        transaction.commit().await?;
        Ok(claimed > 0)
    }

    /// Counts a failure at a place; gives its breaker, and whether this opened it.
    pub async fn count_failure(
        &self,
        account: &str,
        place: &str,
        probe: bool,
        patience: Patience,
        error: String,
        now: Timestamp,
    ) -> Result<(Circuit, bool)> {
        let mut transaction = self.loose().await?;
        let found = find(self, &mut transaction, account, place).await?;
        let mut circuit = found.unwrap_or_else(|| Circuit::new(now));
        let opened = circuit.fail(probe, patience, error, now);
        transaction
            .run(
                sqlx::query(
                    "INSERT INTO breakers \
                     (account, place, failures, openings, since, until_at, error) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7) \
                     ON CONFLICT (account, place) DO UPDATE SET failures = excluded.failures, \
                     openings = excluded.openings, since = excluded.since, \
                     until_at = excluded.until_at, error = excluded.error",
                )
                .bind(account)
                .bind(place)
                .bind(i64::from(circuit.failures))
                .bind(i64::from(circuit.openings))
                .bind(circuit.since.as_microsecond())
                .bind(circuit.until.map(Timestamp::as_microsecond))
                .bind(circuit.error.clone()),
            )
            .await?;
        transaction.commit().await?;
        Ok((circuit, opened))
    }

    /// Forgets the failures of a place, which has just answered; says whether its breaker was open.
    pub async fn close_circuit(&self, account: &str, place: &str) -> Result<bool> {
        let mut transaction = self.loose().await?;
        let found = find(self, &mut transaction, account, place).await?;
        transaction
            .run(
                sqlx::query("DELETE FROM breakers WHERE account = $1 AND place = $2")
                    .bind(account)
                    .bind(place),
            )
            .await?;
        transaction.commit().await?;
        Ok(found.is_some_and(|circuit| circuit.until.is_some()))
    }
}

async fn find(
    store: &Store,
    transaction: &mut Transaction<'_>,
    account: &str,
    place: &str,
) -> Result<Option<Circuit>> {
    let row = transaction
        .row(
            sqlx::query(
                "SELECT failures, openings, since, until_at, error FROM breakers \
                 WHERE account = $1 AND place = $2",
            )
            .bind(account)
            .bind(place),
        )
        .await?;
    row.map(|row| read(store, &row)).transpose()
}

fn read(store: &Store, row: &AnyRow) -> Result<Circuit> {
    let path = store.path();
    let number = |index| -> Result<u32> {
        let number: i64 = column(path, row, index)?;
        u32::try_from(number).map_err(|e| unreadable(path, "breaker", "a number is odd", e))
    };
    let instant = |micros: i64| {
        Timestamp::from_microsecond(micros)
            .map_err(|e| unreadable(path, "breaker", "an instant is out of range", e))
    };
    let until: Option<i64> = column(path, row, 3)?;
    Ok(Circuit {
        failures: number(0)?,
        openings: number(1)?,
        since: instant(column(path, row, 2)?)?,
        until: until.map(instant).transpose()?,
        error: column(path, row, 4)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        failures: 2,
        pause: Duration::from_secs(10),
    };

    fn second(count: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + count).unwrap()
    }

    fn fail(circuit: &mut Circuit, probe: bool, at: i64) -> bool {
        circuit.fail(probe, PATIENCE, "down".into(), second(at))
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_for_longer_each_time_a_probe_fails() {
        let mut circuit = Circuit::new(second(0));
        assert!(!fail(&mut circuit, false, 0));
        assert_eq!(circuit.until, None);
        assert!(fail(&mut circuit, false, 1));
        assert_eq!(circuit.until, Some(second(11)));
        assert!(
            !fail(&mut circuit, false, 2),
            "an answer to an earlier call"
        );
        assert_eq!(circuit.until, Some(second(11)));
        assert_eq!(circuit.failures, 2, "it comes late and does not count");
        assert!(fail(&mut circuit, true, 11));
        assert_eq!(circuit.until, Some(second(31)), "the pause doubles");
        for _ in 0..5 {
            assert!(fail(&mut circuit, true, 40));
        }
        assert_eq!(circuit.until, Some(second(140)), "up to ten times");
    }

    #[test]
    fn failures_that_are_long_ago_do_not_count() {
        let mut circuit = Circuit::new(second(0));
        assert!(!fail(&mut circuit, false, 0));
        assert!(!fail(&mut circuit, false, 601));
        assert_eq!((circuit.failures, circuit.since), (1, second(601)));
    }
}
