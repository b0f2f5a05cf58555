//! The health of machines and their heartbeats, by the key of the target.

use std::collections::BTreeMap;

use fleetwright_core::{HealthRecord, Result};
use jiff::Timestamp;

use crate::Store;
use crate::error::{from_json, to_json, unreadable};
use crate::transaction::column;

/// A record that follows another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthChange {
    /// The key of the target.
    pub target: String,
    /// When the record was made that this one was reckoned from; absent: there was none.
    pub from: Option<Timestamp>,
    /// The new record.
    pub record: HealthRecord,
}

impl Store {
    /// All records, by the key of the target.
    pub async fn health(&self) -> Result<BTreeMap<String, HealthRecord>> {
        let rows = self
            .rows(sqlx::query("SELECT target, value FROM health"))
            .await?;
        let path = self.path();
        rows.iter()
            .map(|row| {
                let record = from_json(path, "record of health", column(path, row, 1)?)?;
                Ok((column(path, row, 0)?, record))
            })
            .collect()
    }

    /// Writes records; says of each whether it was written. One is not if another process has
    /// written its own since: then that report counts, and not both.
    ///
    /// Written loosely: the last ones may be lost with the machine, not with the process.
    pub async fn put_health(&self, changes: &[HealthChange]) -> Result<Vec<bool>> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let mut transaction = self.loose().await?;
        let mut written = Vec::with_capacity(changes.len());
        for change in changes {
            let json = to_json(&change.record)?;
            let at = change.record.at.as_microsecond();
            let touched = match change.from {
                None => {
                    transaction
                        .run(
                            sqlx::query(
                                "INSERT INTO health (target, at, value) VALUES ($1, $2, $3) \
                                 ON CONFLICT (target) DO NOTHING",
                            )
                            .bind(change.target.as_str())
                            .bind(at)
                            .bind(json),
                        )
                        .await?
                }
                Some(from) => {
                    transaction
                        .run(
                            sqlx::query(
                                "UPDATE health SET at = $2, value = $3 \
                                 WHERE target = $1 AND at = $4",
                            )
                            .bind(change.target.as_str())
                            .bind(at)
                            .bind(json)
                            .bind(from.as_microsecond()),
                        )
                        .await?
                }
            };
            written.push(touched > 0);
        }
        transaction.commit().await?;
        Ok(written)
    }

    /// Forgets what is known about a machine; says whether there was something.
    pub async fn forget_health(&self, target: &str) -> Result<bool> {
        let mut transaction = self.loose().await?;
        let touched = transaction
            .run(sqlx::query("DELETE FROM health WHERE target = $1").bind(target))
            .await?;
        transaction.commit().await?;
        Ok(touched > 0)
    }

    /// Notes that a machine lives. An older heartbeat than the one that is there changes nothing.
    ///
    /// Written loosely, as the reports are.
    pub async fn put_heartbeat(&self, target: &str, at: Timestamp) -> Result<()> {
        let mut transaction = self.loose().await?;
        transaction
            .run(
                sqlx::query(
                    "INSERT INTO heartbeats (target, at) VALUES ($1, $2) \
                     ON CONFLICT (target) DO UPDATE SET at = excluded.at \
                     WHERE heartbeats.at < excluded.at",
                )
                .bind(target)
                .bind(at.as_microsecond()),
            )
            .await?;
        transaction.commit().await
    }

    /// The last heartbeat of each machine that ever had one, by the key of the target.
    pub async fn heartbeats(&self) -> Result<BTreeMap<String, Timestamp>> {
        let rows = self
            .rows(sqlx::query("SELECT target, at FROM heartbeats"))
            .await?;
        let path = self.path();
        rows.iter()
            .map(|row| {
                let at: i64 = column(path, row, 1)?;
                let at = Timestamp::from_microsecond(at)
                    .map_err(|error| unreadable(path, "heartbeat", "no instant", error))?;
                Ok((column(path, row, 0)?, at))
            })
            .collect()
    }
}
