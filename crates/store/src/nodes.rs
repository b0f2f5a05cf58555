//! Nodes: what the journal remembers of each.
//!
//! The price has columns of its own, written once: the first price that a row gets is the price
//! that the machine was asked for at, and no later upsert changes it.

use std::path::Path;

use fleetwright_core::{Error, Event, HourlyPrice, Kind, NodeId, NodeRecord, Result, Stay};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;

use crate::Store;
use crate::error::{from_json, to_json, unreadable};
use crate::lease::Lease;
use crate::transaction::{Query, Transaction, column};

impl Store {
    /// All nodes but those that are gone, ordered by id.
    pub async fn nodes(&self) -> Result<Vec<NodeRecord>> {
        self.read_nodes(sqlx::query(
            "SELECT value, price_micros, price_currency FROM nodes \
             WHERE life <> 'gone' ORDER BY id",
        ))
        .await
    }

    /// All nodes that ever were, ordered by id.
    pub async fn nodes_with_gone(&self) -> Result<Vec<NodeRecord>> {
        self.read_nodes(sqlx::query(
            "SELECT value, price_micros, price_currency FROM nodes ORDER BY id",
        ))
        .await
    }

    /// When each node was there that is, and each that was gone at this instant or later; without an
    /// instant, each that ever was. Ordered by id.
    pub async fn stays(&self, gone_since: Option<Timestamp>) -> Result<Vec<Stay>> {
        let since = gone_since.map_or(i64::MIN, Timestamp::as_microsecond);
        self.read_stays(
            sqlx::query(
                "SELECT value, price_micros, price_currency FROM nodes \
                 WHERE life <> 'gone' OR gone_at IS NULL OR gone_at >= $1 ORDER BY id",
            )
            .bind(since),
            gone_since,
        )
        .await
    }

    /// When each node was there that was gone at this instant or later, ordered by id.
    pub async fn gone_stays(&self, since: Timestamp) -> Result<Vec<Stay>> {
        self.read_stays(
            sqlx::query(
                "SELECT value, price_micros, price_currency FROM nodes \
                 WHERE life = 'gone' AND (gone_at IS NULL OR gone_at >= $1) ORDER BY id",
            )
            .bind(since.as_microsecond()),
            Some(since),
        )
        .await
    }

    /// One node, gone or not; `None` if the journal never heard of it.
    pub async fn node(&self, id: &NodeId) -> Result<Option<NodeRecord>> {
        let found = self
            .read_nodes(
                sqlx::query("SELECT value, price_micros, price_currency FROM nodes WHERE id = $1")
                    .bind(id.as_str()),
            )
            .await?;
        Ok(found.into_iter().next())
    }

    /// Writes records, by id, with the events that tell of the change: all or nothing.
    ///
    /// A price that a row has is kept, whatever the record says.
    ///
    /// # Errors
    /// `Conflict` if the lease was lost: nothing is written then.
    pub async fn put_nodes(
        &self,
        lease: &Lease,
        records: &[NodeRecord],
        events: &[Event],
    ) -> Result<()> {
        let mut transaction = self.durable().await?;
        transaction.guard(lease).await?;
        transaction.upsert(records).await?;
        transaction.append(events).await?;
        transaction.commit().await
    }

    async fn read_nodes(&self, query: Query<'_>) -> Result<Vec<NodeRecord>> {
        let rows = self.rows(query).await?;
        rows.iter()
            .map(|row| {
                let (record, price) = read::<NodeRecord>(self.path(), row)?;
                Ok(NodeRecord { price, ..record })
            })
            .collect()
    }

    /// Rows of before there was a column for it say in their JSON when they were gone.
    async fn read_stays(
        &self,
        query: Query<'_>,
        gone_since: Option<Timestamp>,
    ) -> Result<Vec<Stay>> {
        let rows = self.rows(query).await?;
        let mut stays = Vec::with_capacity(rows.len());
        for row in &rows {
            let (stay, price) = read::<Stay>(self.path(), row)?;
            let is_over = |at| gone_since.is_some_and(|since| at < since);
            if !stay.gone_at.is_some_and(is_over) {
                stays.push(Stay { price, ..stay });
            }
        }
        Ok(stays)
    }
}

impl Transaction<'_> {
    /// Writes records by id.
    pub(crate) async fn upsert(&mut self, records: &[NodeRecord]) -> Result<()> {
        for record in records {
            let micros = record.price.map(micros).transpose()?;
            let json = to_json(&NodeRecord {
                price: None,
                ..record.clone()
            })?;
            self.run(
                sqlx::query(
                    "INSERT INTO nodes \
                     (id, pool, provider, region, life, price_micros, price_currency, value, gone_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                     ON CONFLICT (id) DO UPDATE SET pool = excluded.pool, life = excluded.life, \
                     gone_at = excluded.gone_at, \
                     price_micros = coalesce(nodes.price_micros, excluded.price_micros), \
                     price_currency = coalesce(nodes.price_currency, excluded.price_currency), \
                     value = excluded.value",
                )
                .bind(record.id.as_str())
                .bind(record.pool.as_str())
                .bind(record.id.provider())
                .bind(record.id.region())
                .bind(record.life.as_str())
                .bind(micros)
                .bind(record.price.map(|price| price.currency.code()))
                .bind(json)
                .bind(record.gone_at.map(Timestamp::as_microsecond)),
            )
            .await?;
        }
        Ok(())
    }
}

/// What a row's JSON holds, and the price from its columns.
fn read<T: DeserializeOwned>(path: &Path, row: &AnyRow) -> Result<(T, Option<HourlyPrice>)> {
    let value = from_json(path, "node", column(path, row, 0)?)?;
    let micros: Option<i64> = column(path, row, 1)?;
    let currency: Option<&str> = column(path, row, 2)?;
    let (Some(micros), Some(currency)) = (micros, currency) else {
        return Ok((value, None));
    };
    let price = HourlyPrice {
        currency: currency.parse()?,
        micros_per_hour: u64::try_from(micros)
            .map_err(|e| unreadable(path, "node", "its price is negative", e))?,
    };
    Ok((value, Some(price)))
}

fn micros(price: HourlyPrice) -> Result<i64> {
    i64::try_from(price.micros_per_hour).map_err(|e| {
        Error::new(
            Kind::Invalid,
            format!("a price of {price} is beyond anything that can be stored"),
        )
        .with_source(e)
    })
}
