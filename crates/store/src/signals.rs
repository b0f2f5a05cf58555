//! Signals: what pools are scaled by, as numbers over time. Of each only the newest values are kept.

use std::path::Path;

use fleetwright_core::{Quantity, Result, Sample};
use jiff::Timestamp;
use serde::Serialize;
use sqlx::any::AnyRow;

use crate::Store;
use crate::error::unreadable;
use crate::transaction::column;

/// Values of one signal that are kept; older ones are forgotten.
pub const SIGNAL_HISTORY: u32 = 1_000;

/// A value of a signal, with where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalValue {
    /// The pool.
    pub pool: String,
    /// The name of the signal, unique within the pool.
    pub name: String,
    /// The value, and when it was measured: to the microsecond.
    pub sample: Sample,
}

/// What the journal has of a signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignalState {
    /// The pool.
    pub pool: String,
    /// The name of the signal.
    pub name: String,
    /// Its newest value.
    pub newest: Sample,
    /// How many values there are.
    pub count: i64,
}

impl Store {
    /// Writes values, all or none. A second value for the same instant replaces the first.
    ///
    /// Written loosely: the last ones may be lost with the machine, not with the process.
    pub async fn put_signals(&self, values: &[SignalValue]) -> Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        let mut transaction = self.loose().await?;
        for value in values {
            let micros = i64::try_from(value.sample.value.as_micros())
                .expect("the greatest quantity is below 2^63 millionths");
            transaction
                .run(
                    sqlx::query(
                        "INSERT INTO signals (pool, name, at, value) VALUES ($1, $2, $3, $4) \
                         ON CONFLICT (pool, name, at) DO UPDATE SET value = excluded.value",
                    )
                    .bind(value.pool.as_str())
                    .bind(value.name.as_str())
                    .bind(value.sample.at.as_microsecond())
                    .bind(micros),
                )
                .await?;
        }
        let mut series: Vec<(&str, &str)> = values
            .iter()
            .map(|value| (value.pool.as_str(), value.name.as_str()))
            .collect();
        series.sort_unstable();
        series.dedup();
        for (pool, name) in series {
            transaction
                .run(
                    sqlx::query(
                        "DELETE FROM signals WHERE pool = $1 AND name = $2 AND at < \
                         (SELECT at FROM signals WHERE pool = $1 AND name = $2 \
                          ORDER BY at DESC LIMIT 1 OFFSET $3)",
                    )
                    .bind(pool)
                    .bind(name)
                    .bind(i64::from(SIGNAL_HISTORY) - 1),
                )
                .await?;
        }
        transaction.commit().await
    }

    /// The values of a signal since an instant, oldest first; and in any case the newest one.
    pub async fn signal(&self, pool: &str, name: &str, since: Timestamp) -> Result<Vec<Sample>> {
        let rows = self
            .rows(
                sqlx::query(
                    "SELECT at, value FROM signals WHERE pool = $1 AND name = $2 AND \
                     (at >= $3 OR at = (SELECT max(at) FROM signals \
                                        WHERE pool = $1 AND name = $2)) ORDER BY at",
                )
                .bind(pool)
                .bind(name)
                .bind(since.as_microsecond()),
            )
            .await?;
        rows.iter().map(|row| sample(self.path(), row, 0)).collect()
    }

    /// All signals that have a value, by pool and name.
    pub async fn signals(&self) -> Result<Vec<SignalState>> {
        let rows = self
            .rows(sqlx::query(
                "SELECT s.at, s.value, s.pool, s.name, newest.count FROM signals s JOIN \
                 (SELECT pool, name, max(at) AS at, count(*) AS count FROM signals \
                  GROUP BY pool, name) newest \
                 ON s.pool = newest.pool AND s.name = newest.name AND s.at = newest.at \
                 ORDER BY s.pool, s.name",
            ))
            .await?;
        let path = self.path();
        rows.iter()
            .map(|row| {
                Ok(SignalState {
                    pool: column(path, row, 2)?,
                    name: column(path, row, 3)?,
                    newest: sample(path, row, 0)?,
                    count: column(path, row, 4)?,
                })
            })
            .collect()
    }
}

/// An instant and a value, in two columns from `first` on.
fn sample(path: &Path, row: &AnyRow, first: usize) -> Result<Sample> {
    let at: i64 = column(path, row, first)?;
    let value: i64 = column(path, row, first + 1)?;
    let bad = |what: &str| unreadable(path, "value of a signal", what, format!("{at} {value}"));
    Ok(Sample {
        at: Timestamp::from_microsecond(at).map_err(|_| bad("no instant"))?,
        value: u64::try_from(value)
            .ok()
            .and_then(Quantity::from_micros)
            .ok_or_else(|| bad("no quantity"))?,
    })
}
