//! Events: what happened, numbered in the order in which it became visible.
//!
//! The numbers come from a counter that is updated in the writing transaction. A number that the
//! database hands out by itself could become visible after a greater one, and a reader that
//! follows the events would miss it.

use std::path::Path;

use fleetwright_core::{Event, NodeId, Result};
use sqlx::any::AnyRow;

use crate::Store;
use crate::error::{from_json, to_json, unreadable};
use crate::transaction::{Query, Transaction, column};

impl Store {
    /// Writes events, in order and together. Their `sequence` is given by the journal; the one
    /// that they carry is not looked at.
    ///
    /// Written loosely: the last ones may be lost with the machine, not with the process. Events
    /// that belong to a change of claims or nodes are written with it instead.
    pub async fn append(&self, events: &[Event]) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let mut transaction = self.loose().await?;
        transaction.append(events).await?;
        transaction.commit().await
    }

    /// The events after a number, oldest first; from the beginning with 0.
    pub async fn events_after(&self, sequence: i64, limit: u32) -> Result<Vec<Event>> {
        self.read_events(
            sqlx::query("SELECT value FROM events WHERE sequence > $1 ORDER BY sequence LIMIT $2")
                .bind(sequence)
                .bind(i64::from(limit)),
        )
        .await
    }

    /// The last events, of all or of one node, oldest first.
    pub async fn last_events(&self, limit: u32, node: Option<&NodeId>) -> Result<Vec<Event>> {
        let query = match node {
            None => sqlx::query("SELECT value FROM events ORDER BY sequence DESC LIMIT $1")
                .bind(i64::from(limit)),
            Some(node) => sqlx::query(
                "SELECT value FROM events WHERE node = $1 ORDER BY sequence DESC LIMIT $2",
            )
            .bind(node.as_str())
            .bind(i64::from(limit)),
        };
        let mut events = self.read_events(query).await?;
        events.reverse();
        Ok(events)
    }

    async fn read_events(&self, query: Query<'_>) -> Result<Vec<Event>> {
        let rows = self.rows(query).await?;
        rows.iter().map(|row| read(self.path(), row)).collect()
    }
}

impl Transaction<'_> {
    /// Writes events as part of this transaction.
    pub(crate) async fn append(&mut self, events: &[Event]) -> Result<()> {
        let count = i64::try_from(events.len()).expect("no slice is longer than `isize::MAX`");
        if count == 0 {
            return Ok(());
        }
        let row = self
            .row(
                sqlx::query(
                    "UPDATE counters SET value = value + $1 WHERE name = 'events' RETURNING value",
                )
                .bind(count),
            )
            .await?
            .ok_or_else(|| {
                unreadable(
                    self.path(),
                    "counter",
                    "the one of events is missing",
                    "no row",
                )
            })?;
        let last: i64 = column(self.path(), &row, 0)?;
        for (sequence, event) in (last - count + 1..).zip(events) {
            let json = to_json(&Event {
                sequence,
                ..event.clone()
            })?;
            self.run(
                sqlx::query(
                    "INSERT INTO events (sequence, at, kind, node, value) \
                     VALUES ($1, $2, $3, $4, $5)",
                )
                .bind(sequence)
                .bind(event.at.as_microsecond())
                .bind(event.what.name())
                .bind(event.what.node().map(NodeId::as_str))
                .bind(json),
            )
            .await?;
        }
        Ok(())
    }
}

fn read(path: &Path, row: &AnyRow) -> Result<Event> {
    from_json(path, "event", column(path, row, 0)?)
}
