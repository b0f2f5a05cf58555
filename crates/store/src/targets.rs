//! Targets that were found in listings, and which machines were welcomed.

use fleetwright_core::{Result, Target};
use jiff::Timestamp;

use crate::Store;
use crate::error::{from_json, to_json, unreadable};
use crate::transaction::column;

/// A machine that a listing once showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenTarget {
    /// Which machine: [`Target::key`].
    pub key: String,
    /// When it was seen for the first time.
    pub first_seen: Timestamp,
    /// When it was seen last.
    pub last_seen: Timestamp,
    /// How it was then.
    pub target: Target,
}

/// How far the welcome of a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WelcomeState {
    /// It was begun, and its end is not written down.
    Begun,
    /// The command ended with status 0.
    Done,
    /// The command failed, or the machine was not reached.
    Failed,
}

/// What is known about the welcome of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WelcomeRecord {
    /// How far it is.
    pub state: WelcomeState,
    /// How often it was begun.
    pub tries: u32,
    /// Since when it is like that.
    pub at: Timestamp,
}

impl WelcomeState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

impl Store {
    /// The machines that the listings of a source have shown and that have not left it since.
    pub async fn seen_targets(&self, source: &str) -> Result<Vec<SeenTarget>> {
        let path = self.path();
        let rows = self
            .rows(
                sqlx::query(
                    "SELECT node, first_seen, last_seen, value FROM targets_seen \
                     WHERE source = $1 ORDER BY first_seen, node",
                )
                .bind(source),
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(SeenTarget {
                    key: column(path, row, 0)?,
                    first_seen: instant(self, column(path, row, 1)?)?,
                    last_seen: instant(self, column(path, row, 2)?)?,
                    target: from_json(path, "target", column(path, row, 3)?)?,
                })
            })
            .collect()
    }

    /// Writes what a listing of a source shows at `now`, and forgets those that have left it.
    /// Whatever is in neither of them stays as it is.
    pub async fn see_targets(
        &self,
        source: &str,
        now: Timestamp,
        shown: &[Target],
        left: &[String],
    ) -> Result<()> {
        if shown.is_empty() && left.is_empty() {
            return Ok(());
        }
        let mut transaction = self.loose().await?;
        for target in shown {
            let json = to_json(target)?;
            transaction
                .run(
                    sqlx::query(
                        "INSERT INTO targets_seen (source, node, first_seen, last_seen, value) \
                         VALUES ($1, $2, $3, $3, $4) ON CONFLICT (source, node) DO UPDATE SET \
                         last_seen = excluded.last_seen, value = excluded.value",
                    )
                    .bind(source)
                    .bind(target.key())
                    .bind(now.as_microsecond())
                    .bind(json),
                )
                .await?;
        }
        for key in left {
            transaction
                .run(
                    sqlx::query("DELETE FROM targets_seen WHERE source = $1 AND node = $2")
                        .bind(source)
                        .bind(key.as_str()),
                )
                .await?;
        }
        transaction.commit().await
    }

    /// What is known about the welcome of a machine in a group; `None`: it was never begun.
    pub async fn welcome(&self, group: &str, key: &str) -> Result<Option<WelcomeRecord>> {
        let path = self.path();
        let rows = self
            .rows(
                sqlx::query(
                    "SELECT state, tries, at FROM welcomes \
                     WHERE target_group = $1 AND target = $2",
                )
                .bind(group)
                .bind(key),
            )
            .await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let state: String = column(path, row, 0)?;
        let tries: i64 = column(path, row, 1)?;
        let state = [
            WelcomeState::Begun,
            WelcomeState::Done,
            WelcomeState::Failed,
        ]
        .into_iter()
        .find(|known| known.as_str() == state)
        .ok_or_else(|| unreadable(path, "welcome", "unknown state", state))?;
        Ok(Some(WelcomeRecord {
            state,
            tries: u32::try_from(tries).unwrap_or(u32::MAX),
            at: instant(self, column(path, row, 2)?)?,
        }))
    }

    /// Takes the welcome of a machine, if it stands as `known` says; says whether it was taken. Of
    /// several processes one gets it.
    pub async fn begin_welcome(
        &self,
        group: &str,
        key: &str,
        known: Option<&WelcomeRecord>,
        now: Timestamp,
    ) -> Result<bool> {
        // On disk before the command is run: it changes the machine.
        let mut transaction = self.durable().await?;
        let begun = WelcomeState::Begun.as_str();
        let taken = match known {
            None => {
                let query = sqlx::query(
                    "INSERT INTO welcomes (target_group, target, state, tries, at, reason) \
                     VALUES ($1, $2, $3, 1, $4, '') ON CONFLICT (target_group, target) DO NOTHING",
                )
                .bind(group)
                .bind(key)
                .bind(begun)
                .bind(now.as_microsecond());
                transaction.run(query).await?
            }
            Some(known) => {
                let query = sqlx::query(
                    "UPDATE welcomes SET state = $3, tries = tries + 1, at = $4 \
                     WHERE target_group = $1 AND target = $2 AND state = $5 AND tries = $6",
                )
                .bind(group)
                .bind(key)
                .bind(begun)
                .bind(now.as_microsecond())
                .bind(known.state.as_str())
                .bind(i64::from(known.tries));
                transaction.run(query).await?
            }
        };
        transaction.commit().await?;
        Ok(taken > 0)
    }

    /// Writes how the welcome of a machine ended.
    pub async fn end_welcome(
        &self,
        group: &str,
        key: &str,
        state: WelcomeState,
        reason: &str,
        now: Timestamp,
    ) -> Result<()> {
        let mut transaction = self.durable().await?;
        transaction
            .run(
                sqlx::query(
                    "UPDATE welcomes SET state = $3, at = $4, reason = $5 \
                     WHERE target_group = $1 AND target = $2",
                )
                .bind(group)
                .bind(key)
                .bind(state.as_str())
                .bind(now.as_microsecond())
                .bind(reason),
            )
            .await?;
        transaction.commit().await
    }
}

fn instant(store: &Store, micros: i64) -> Result<Timestamp> {
    Timestamp::from_microsecond(micros)
        .map_err(|error| unreadable(store.path(), "target", "no instant", error))
}
