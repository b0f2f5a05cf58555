//! Sizes that were decided on for pools, in place of their configured ones.

use fleetwright_core::{Error, Event, Kind, Result, SizeRecord};

use crate::Store;
use crate::error::{from_json, to_json};
use crate::lease::Lease;
use crate::transaction::column;

/// A change of a pool's size record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SizeChange {
    /// The pool.
    pub pool: String,
    /// The record that the change was decided on; `None` if there was none.
    pub from: Option<SizeRecord>,
    /// The record from now on; `None` to forget it.
    pub to: Option<SizeRecord>,
}

impl Store {
    /// All records, by pool.
    pub async fn sizes(&self) -> Result<Vec<SizeRecord>> {
        let rows = self
            .rows(sqlx::query("SELECT value FROM sizes ORDER BY pool"))
            .await?;
        rows.iter()
            .map(|row| from_json(self.path(), "size", column(self.path(), row, 0)?))
            .collect()
    }

    /// Changes records, with the events that tell of it: all or nothing.
    ///
    /// # Errors
    /// `Conflict` if the lease was lost, or if a record is not the one that its change was decided
    /// on: nothing is written then.
    pub async fn change_sizes(
        &self,
        lease: &Lease,
        changes: &[SizeChange],
        events: &[Event],
    ) -> Result<()> {
        let mut transaction = self.durable().await?;
        transaction.guard(lease).await?;
        for change in changes {
            let row = transaction
                .row(
                    sqlx::query("SELECT value FROM sizes WHERE pool = $1")
                        .bind(change.pool.as_str()),
                )
                .await?;
            let found: Option<SizeRecord> = match &row {
                Some(row) => Some(from_json(
                    self.path(),
                    "size",
                    column(self.path(), row, 0)?,
                )?),
                None => None,
            };
            if found != change.from {
                return Err(Error::new(
                    Kind::Conflict,
                    format!(
                        "the size of pool `{}` was changed by somebody else meanwhile",
                        change.pool
                    ),
                )
                .with_hint("look at `fleetwright scale`, then run the command again"));
            }
            match &change.to {
                Some(record) => {
                    let json = to_json(record)?;
                    transaction
                        .run(
                            sqlx::query(
                                "INSERT INTO sizes (pool, value) VALUES ($1, $2) \
                                 ON CONFLICT (pool) DO UPDATE SET value = excluded.value",
                            )
                            .bind(change.pool.as_str())
                            .bind(json),
                        )
                        .await?;
                }
                None => {
                    transaction
                        .run(
                            sqlx::query("DELETE FROM sizes WHERE pool = $1")
                                .bind(change.pool.as_str()),
                        )
                        .await?;
                }
            }
        }
        transaction.append(events).await?;
        transaction.commit().await
    }
}
