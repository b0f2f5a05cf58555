//! Cordons: machines that nothing new is to be started on.
//!
//! A cordon goes from phase to phase, and each phase is written before it is begun. Writes say
//! which phase they follow, so that of two processes at the same machine one is told that it came
//! too late.

use fleetwright_core::{Cordon, Event, Result};
use jiff::Timestamp;

use crate::Store;
use crate::error::{from_json, to_json};
use crate::transaction::column;

impl Store {
    /// All cordons, by the key of the target.
    pub async fn cordons(&self) -> Result<Vec<Cordon>> {
        let rows = self
            .rows(sqlx::query("SELECT value FROM cordons ORDER BY target"))
            .await?;
        rows.iter()
            .map(|row| from_json(self.path(), "cordon", column(self.path(), row, 0)?))
            .collect()
    }

    /// The cordon of one machine.
    pub async fn cordon(&self, key: &str) -> Result<Option<Cordon>> {
        let rows = self
            .rows(sqlx::query("SELECT value FROM cordons WHERE target = $1").bind(key))
            .await?;
        rows.first()
            .map(|row| from_json(self.path(), "cordon", column(self.path(), row, 0)?))
            .transpose()
    }

    /// Writes a cordon that follows the phase begun at `from` (absent: no cordon at all), with the
    /// events that tell of it. Says whether it was written: not if another process was faster.
    pub async fn put_cordon(
        &self,
        cordon: &Cordon,
        from: Option<Timestamp>,
        events: &[Event],
    ) -> Result<bool> {
        let json = to_json(cordon)?;
        let since = cordon.phase_since.as_microsecond();
        let mut transaction = self.durable().await?;
        let query = match from {
            None => sqlx::query(
                "INSERT INTO cordons (target, phase_since, value) VALUES ($1, $2, $3) \
                 ON CONFLICT (target) DO NOTHING",
            )
            .bind(cordon.key.as_str())
            .bind(since)
            .bind(json),
            Some(from) => sqlx::query(
                "UPDATE cordons SET phase_since = $2, value = $3 \
                 WHERE target = $1 AND phase_since = $4",
            )
            .bind(cordon.key.as_str())
            .bind(since)
            .bind(json)
            .bind(from.as_microsecond()),
        };
        if transaction.run(query).await? == 0 {
            return Ok(false);
        }
        transaction.append(events).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Ends the cordon whose phase began at `from`, with the events that tell of it. Says whether
    /// it was there.
    pub async fn end_cordon(&self, key: &str, from: Timestamp, events: &[Event]) -> Result<bool> {
        let mut transaction = self.durable().await?;
        let query = sqlx::query("DELETE FROM cordons WHERE target = $1 AND phase_since = $2")
            .bind(key)
            .bind(from.as_microsecond());
        if transaction.run(query).await? == 0 {
            return Ok(false);
        }
        transaction.append(events).await?;
        transaction.commit().await?;
        Ok(true)
    }
}
