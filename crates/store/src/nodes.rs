//! Nodes: what the journal remembers of each.
//!
//! The price has columns of its own, written once: the first price that a row gets is the price
//! that the machine was asked for at, and no later upsert changes it.

use std::path::Path;

use fleetwright_core::{Error, Event, HourlyPrice, Kind, NodeId, NodeRecord, Result};
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
        rows.iter().map(|row| read(self.path(), row)).collect()
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
                     (id, pool, provider, region, life, price_micros, price_currency, value) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                     ON CONFLICT (id) DO UPDATE SET pool = excluded.pool, life = excluded.life, \
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
                .bind(json),
            )
            .await?;
        }
        Ok(())
    }
}

fn read(path: &Path, row: &AnyRow) -> Result<NodeRecord> {
    let mut record: NodeRecord = from_json(path, "node", column(path, row, 0)?)?;
    let micros: Option<i64> = column(path, row, 1)?;
    let currency: Option<&str> = column(path, row, 2)?;
    if let (Some(micros), Some(currency)) = (micros, currency) {
        record.price = Some(HourlyPrice {
            currency: currency.parse()?,
            micros_per_hour: u64::try_from(micros)
                .map_err(|e| unreadable(path, "node", "its price is negative", e))?,
        });
    }
    Ok(record)
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
