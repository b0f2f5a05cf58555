//! What is wrong with machines, what was done about it, and where nothing is done.

use std::time::Duration;

use fleetwright_core::{Case, Event, Freeze, Result, TargetGroupName};
use jiff::Timestamp;

use crate::Store;
use crate::error::{from_json, to_json};
use crate::lease::Lease;
use crate::transaction::{Query, column};

/// How long closed cases are kept.
const KEPT: Duration = Duration::from_hours(24 * 90);

impl Store {
    /// Cases that are open, and those closed at `since` or later; the oldest first.
    pub async fn cases(&self, since: Timestamp) -> Result<Vec<Case>> {
        self.read_cases(
            sqlx::query(
                "SELECT value FROM cases WHERE closed_at IS NULL OR closed_at >= $1 \
                 ORDER BY opened_at, id",
            )
            .bind(since.as_microsecond()),
        )
        .await
    }

    /// Cases that are open; the oldest first.
    pub async fn open_cases(&self) -> Result<Vec<Case>> {
        self.read_cases(sqlx::query(
            "SELECT value FROM cases WHERE closed_at IS NULL ORDER BY opened_at, id",
        ))
        .await
    }

    async fn read_cases(&self, query: Query<'_>) -> Result<Vec<Case>> {
        let rows = self.rows(query).await?;
        rows.iter()
            .map(|row| from_json(self.path(), "case", column(self.path(), row, 0)?))
            .collect()
    }

    /// Writes cases with the events that tell of them: all or nothing. What was closed long ago is
    /// forgotten.
    ///
    /// # Errors
    /// `Conflict` if the lease was lost: nothing is written then.
    pub async fn put_cases(
        &self,
        lease: &Lease,
        cases: &[Case],
        now: Timestamp,
        events: &[Event],
    ) -> Result<()> {
        let kept_from = now.checked_sub(KEPT).unwrap_or_default();
        let mut transaction = self.durable().await?;
        transaction.guard(lease).await?;
        for case in cases {
            let json = to_json(case)?;
            let closed = case.closed.as_ref().map(|end| end.at.as_microsecond());
            transaction
                .run(
                    sqlx::query(
                        "INSERT INTO cases (id, target, opened_at, closed_at, value) \
                         VALUES ($1, $2, $3, $4, $5) \
                         ON CONFLICT (id) DO UPDATE SET closed_at = excluded.closed_at, \
                         value = excluded.value",
                    )
                    .bind(case.id.to_string())
                    .bind(case.key.as_str())
                    .bind(case.opened_at.as_microsecond())
                    .bind(closed)
                    .bind(json),
                )
                .await?;
        }
        transaction
            .run(
                sqlx::query("DELETE FROM cases WHERE closed_at < $1")
                    .bind(kept_from.as_microsecond()),
            )
            .await?;
        transaction.append(events).await?;
        transaction.commit().await
    }

    /// Where nothing is healed, those included whose time is over.
    pub async fn freezes(&self) -> Result<Vec<Freeze>> {
        let rows = self
            .rows(sqlx::query("SELECT value FROM freezes ORDER BY scope"))
            .await?;
        rows.iter()
            .map(|row| from_json(self.path(), "freeze", column(self.path(), row, 0)?))
            .collect()
    }

    /// Writes that nothing is healed there. One for the same place is replaced.
    pub async fn freeze(&self, freeze: &Freeze, events: &[Event]) -> Result<()> {
        let json = to_json(freeze)?;
        let mut transaction = self.durable().await?;
        transaction
            .run(
                sqlx::query(
                    "INSERT INTO freezes (scope, value) VALUES ($1, $2) \
                     ON CONFLICT (scope) DO UPDATE SET value = excluded.value",
                )
                .bind(scope(freeze.group.as_ref()))
                .bind(json),
            )
            .await?;
        transaction.append(events).await?;
        transaction.commit().await
    }

    /// Forgets that nothing is healed there. Says whether that was so.
    pub async fn thaw(&self, group: Option<&TargetGroupName>, events: &[Event]) -> Result<bool> {
        let mut transaction = self.durable().await?;
        let removed = transaction
            .run(sqlx::query("DELETE FROM freezes WHERE scope = $1").bind(scope(group)))
            .await?;
        if removed > 0 {
            transaction.append(events).await?;
        }
        transaction.commit().await?;
        Ok(removed > 0)
    }
}

fn scope(group: Option<&TargetGroupName>) -> String {
    group.map(ToString::to_string).unwrap_or_default()
}
