//! Deliveries: notifications that are to be sent, or were.
//!
//! A message is written down as *to be sent* before anybody sends it, and marked when it was taken.
//! Whoever sends it takes it first, for as long as an attempt may last: of several processes one
//! sends it, and if that one is killed another does later, with the same id.

use std::path::Path;

use fleetwright_core::{Message, Result};
use jiff::Timestamp;
use serde::Serialize;
use sqlx::any::AnyRow;
use uuid::Uuid;

use crate::Store;
use crate::error::{from_json, to_json, unreadable};
use crate::transaction::{Query, column};

/// How long deliveries are remembered that have ended.
const KEPT: jiff::SignedDuration = jiff::SignedDuration::from_hours(24 * 30);

/// A message to one receiver, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// Name of the webhook.
    pub webhook: String,
    /// What is sent. Its id is that of the delivery.
    pub message: Message,
    /// When it is tried next, while it has not ended.
    pub due_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub trouble: Option<String>,
    /// When it was delivered or given up; absent: it is still to be sent.
    pub ended_at: Option<Timestamp>,
    /// Whether it was delivered.
    pub delivered: bool,
}

impl Store {
    /// Writes down what is to be sent. A message about the same incident and event to the same
    /// webhook is there once: further ones change nothing. Says how many are new.
    pub async fn put_deliveries(&self, messages: &[(String, Message)]) -> Result<u64> {
        if messages.is_empty() {
            return Ok(0);
        }
        let mut transaction = self.durable().await?;
        let mut new = 0;
        for (webhook, message) in messages {
            let incident = match &message.incident {
                Some(incident) => incident.id.to_string(),
                None => message.id.to_string(),
            };
            let at = message.at.as_microsecond();
            new += transaction
                .run(
                    sqlx::query(
                        "INSERT INTO deliveries (id, webhook, incident, event, made_at, due_at, \
                         attempts, delivered, message) VALUES ($1, $2, $3, $4, $5, $5, 0, 0, $6) \
                         ON CONFLICT (webhook, incident, event) DO NOTHING",
                    )
                    .bind(message.id.to_string())
                    .bind(webhook.as_str())
                    .bind(incident)
                    .bind(message.event.as_str())
                    .bind(at)
                    .bind(to_json(message)?),
                )
                .await?;
        }
        let before = messages
            .iter()
            .filter_map(|(_, message)| message.at.checked_sub(KEPT).ok())
            .min()
            .unwrap_or_default();
        transaction
            .run(
                sqlx::query("DELETE FROM deliveries WHERE ended_at < $1")
                    .bind(before.as_microsecond()),
            )
            .await?;
        transaction.commit().await?;
        Ok(new)
    }

    /// What is still to be sent, oldest first.
    pub async fn open_deliveries(&self) -> Result<Vec<Delivery>> {
        self.read_deliveries(sqlx::query(
            "SELECT webhook, message, due_at, attempts, trouble, ended_at, delivered \
             FROM deliveries WHERE ended_at IS NULL ORDER BY made_at, id",
        ))
        .await
    }

    /// The latest deliveries, newest first.
    pub async fn last_deliveries(&self, limit: u32) -> Result<Vec<Delivery>> {
        self.read_deliveries(
            sqlx::query(
                "SELECT webhook, message, due_at, attempts, trouble, ended_at, delivered \
                 FROM deliveries ORDER BY made_at DESC, id DESC LIMIT $1",
            )
            .bind(i64::from(limit)),
        )
        .await
    }

    /// Takes a delivery for an attempt that lasts until `until` at most. Says whether it was there
    /// as it was read: not if another process has it.
    pub async fn take_delivery(&self, delivery: &Delivery, until: Timestamp) -> Result<bool> {
        let mut transaction = self.durable().await?;
        let touched = transaction
            .run(
                sqlx::query(
                    "UPDATE deliveries SET due_at = $2, attempts = attempts + 1 \
                     WHERE id = $1 AND due_at = $3 AND attempts = $4 AND ended_at IS NULL",
                )
                .bind(delivery.message.id.to_string())
                .bind(until.as_microsecond())
                .bind(delivery.due_at.as_microsecond())
                .bind(i64::from(delivery.attempts)),
            )
            .await?;
        transaction.commit().await?;
        Ok(touched > 0)
    }

    /// Notes that an attempt failed and when the next one is due.
    pub async fn put_off_delivery(&self, id: Uuid, due: Timestamp, trouble: &str) -> Result<()> {
        self.write_delivery(
            sqlx::query(
                "UPDATE deliveries SET due_at = $2, trouble = $3 \
                 WHERE id = $1 AND ended_at IS NULL",
            )
            .bind(id.to_string())
            .bind(due.as_microsecond())
            .bind(trouble),
        )
        .await
    }

    /// Notes that a delivery has ended: it was taken, or is given up for a reason.
    pub async fn end_delivery(&self, id: Uuid, at: Timestamp, lost: Option<&str>) -> Result<()> {
        self.write_delivery(
            sqlx::query(
                "UPDATE deliveries SET ended_at = $2, trouble = $3, delivered = $4 \
                 WHERE id = $1 AND ended_at IS NULL",
            )
            .bind(id.to_string())
            .bind(at.as_microsecond())
            .bind(lost)
            .bind(i64::from(lost.is_none())),
        )
        .await
    }

    async fn write_delivery(&self, query: Query<'_>) -> Result<()> {
        let mut transaction = self.durable().await?;
        transaction.run(query).await?;
        transaction.commit().await
    }

    async fn read_deliveries(&self, query: Query<'_>) -> Result<Vec<Delivery>> {
        let rows = self.rows(query).await?;
        rows.iter().map(|row| delivery(self.path(), row)).collect()
    }
}

fn delivery(path: &Path, row: &AnyRow) -> Result<Delivery> {
    let instant = |micros: i64| {
        Timestamp::from_microsecond(micros)
            .map_err(|error| unreadable(path, "delivery", "no instant", error))
    };
    let attempts: i64 = column(path, row, 3)?;
    let ended: Option<i64> = column(path, row, 5)?;
    let delivered: i64 = column(path, row, 6)?;
    Ok(Delivery {
        webhook: column(path, row, 0)?,
        message: from_json(path, "notification", column(path, row, 1)?)?,
        due_at: instant(column(path, row, 2)?)?,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        trouble: column(path, row, 4)?,
        ended_at: ended.map(instant).transpose()?,
        delivered: delivered != 0,
    })
}
