//! Decisions: why machines were asked for where they were. Written before the claims that name
//! them.
//!
//! They are large, so old ones go: those that no machine that is still there came of, after some
//! weeks. A decision that nothing came of, because no offer was left, gives way to the next one of
//! its pool.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use fleetwright_core::{Claim, Decision, DecisionId, Result};
use sqlx::any::AnyRow;

use crate::Store;
use crate::error::{from_json, to_json};
use crate::lease::Lease;
use crate::transaction::{Query, column};

/// How long decisions are kept that no machine comes from any more.
const KEPT: Duration = Duration::from_hours(24 * 30);

impl Store {
    /// Writes a decision. Written loosely: the claims that follow it are not.
    ///
    /// # Errors
    /// `Conflict` if the lease was lost: nothing is written then.
    pub async fn put_decision(&self, lease: &Lease, decision: &Decision) -> Result<()> {
        let kept_from = decision.at.checked_sub(KEPT).unwrap_or_default();
        let spent = self.spent(kept_from.as_microsecond()).await?;
        let json = to_json(decision)?;
        let mut transaction = self.loose().await?;
        transaction.guard(lease).await?;
        // Whatever the last one was: without a claim nobody refers to it.
        transaction
            .run(
                sqlx::query(
                    "DELETE FROM decisions WHERE pool = $1 AND NOT EXISTS \
                     (SELECT 1 FROM claims WHERE claims.decision = decisions.id)",
                )
                .bind(decision.pool.as_str()),
            )
            .await?;
        for id in spent {
            transaction
                .run(sqlx::query("DELETE FROM decisions WHERE id = $1").bind(id))
                .await?;
        }
        transaction
            .run(
                sqlx::query(
                    "INSERT INTO decisions (id, pool, made_at, value) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (id) DO NOTHING",
                )
                .bind(decision.id.to_string())
                .bind(decision.pool.as_str())
                .bind(decision.at.as_microsecond())
                .bind(json),
            )
            .await?;
        transaction.commit().await
    }

    /// One decision; `None` if it was never written or is forgotten.
    pub async fn decision(&self, id: DecisionId) -> Result<Option<Decision>> {
        self.first_decision(
            sqlx::query("SELECT value FROM decisions WHERE id = $1").bind(id.to_string()),
        )
        .await
    }

    /// The last decision for a pool.
    pub async fn last_decision(&self, pool: &str) -> Result<Option<Decision>> {
        self.first_decision(
            sqlx::query(
                "SELECT value FROM decisions WHERE pool = $1 \
                 ORDER BY made_at DESC, id DESC LIMIT 1",
            )
            .bind(pool),
        )
        .await
    }

    /// The claims that were made because of a decision, in the order in which they were made.
    pub async fn claims_of(&self, decision: DecisionId) -> Result<Vec<Claim>> {
        let rows = self
            .rows(
                sqlx::query(
                    "SELECT value FROM claims WHERE decision = $1 ORDER BY made_at, id, attempt",
                )
                .bind(decision.to_string()),
            )
            .await?;
        rows.iter()
            .map(|row| from_json(self.path(), "claim", column(self.path(), row, 0)?))
            .collect()
    }

    /// Old decisions that no machine that is still there came of.
    async fn spent(&self, before: i64) -> Result<BTreeSet<String>> {
        let old = self
            .rows(sqlx::query("SELECT id FROM decisions WHERE made_at < $1").bind(before))
            .await?;
        let mut old: BTreeSet<String> = texts(self.path(), &old)?;
        if old.is_empty() {
            return Ok(old);
        }
        for record in self.nodes().await? {
            let Some(claim) = record.claim else {
                continue;
            };
            for claim in self.claim(claim).await? {
                if let Some(decision) = claim.decision {
                    old.remove(&decision.to_string());
                }
            }
        }
        Ok(old)
    }

    async fn first_decision(&self, query: Query<'_>) -> Result<Option<Decision>> {
        let rows = self.rows(query).await?;
        rows.first()
            .map(|row| from_json(self.path(), "decision", column(self.path(), row, 0)?))
            .transpose()
    }
}

fn texts(path: &Path, rows: &[AnyRow]) -> Result<BTreeSet<String>> {
    rows.iter()
        .map(|row| column::<String>(path, row, 0))
        .collect()
}
