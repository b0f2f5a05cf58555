//! Nodes: what the journal remembers of each.
//!
//! The price has columns of its own, written once: the first price that a row gets is the price
//! that the machine was asked for at, and no later upsert changes it.

use std::path::Path;

use fleetwright_core::{Error, Event, HourlyPrice, Kind, NodeId, NodeRecord, Result};
use serde::Deserialize;
use sqlx::any::AnyRow;

use crate::Store;
use crate::error::{from_json, to_json, unreadable};
use crate::lease::Lease;
use crate::transaction::{Query, Transaction, column};

/// The beginning of a query for many nodes as the text of a JSON array.
///
/// `string_agg` is a function of PostgreSQL that SQLite has since version 3.44
/// (<https://www.sqlite.org/lang_aggfunc.html#group_concat>).
macro_rules! together {
    () => {
        "SELECT '[' || string_agg('{\"node\":' || value || ',\"micros\":' || \
         coalesce(CAST(price_micros AS TEXT), 'null') || ',\"currency\":' || \
         coalesce('\"' || price_currency || '\"', 'null') || '}', ',') || ']' FROM nodes"
    };
}

/// A query for the nodes that are not gone: together as the text of a JSON array, and one by one.
const EVERY_PRESENT: [&str; 2] = [
    concat!(together!(), " WHERE life <> 'gone'"),
    "SELECT value, price_micros, price_currency FROM nodes WHERE life <> 'gone' ORDER BY id",
];

/// The same for all nodes that ever were.
const EVERY_ONE: [&str; 2] = [
    together!(),
    "SELECT value, price_micros, price_currency FROM nodes ORDER BY id",
];

/// An element of that array.
#[derive(Deserialize)]
struct Stored<'a> {
    node: NodeRecord,
    micros: Option<i64>,
    currency: Option<&'a str>,
}

impl Store {
    /// All nodes but those that are gone, ordered by id.
    pub async fn nodes(&self) -> Result<Vec<NodeRecord>> {
        self.read_all(EVERY_PRESENT).await
    }

    /// All nodes that ever were, ordered by id.
    pub async fn nodes_with_gone(&self) -> Result<Vec<NodeRecord>> {
        self.read_all(EVERY_ONE).await
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

    /// Many nodes as one text: a row of its own for each costs twice as much time, most of it in
    /// the driver. If the text cannot be read, the rows say which of them is to blame.
    async fn read_all(&self, [together, each]: [&'static str; 2]) -> Result<Vec<NodeRecord>> {
        let rows = self.rows(sqlx::query(together)).await?;
        let text: Option<&str> = match rows.first() {
            Some(row) => column(self.path(), row, 0)?,
            None => None,
        };
        let Some(text) = text else {
            return Ok(Vec::new());
        };
        let Ok(stored) = serde_json::from_str::<Vec<Stored<'_>>>(text) else {
            return self.read_nodes(sqlx::query(each)).await;
        };
        let mut records = stored
            .into_iter()
            .map(|stored| priced(self.path(), stored.node, stored.micros, stored.currency))
            .collect::<Result<Vec<_>>>()?;
        records.sort_by(|a, b| a.id.as_str().cmp(b.id.as_str()));
        Ok(records)
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
    let record = from_json(path, "node", column(path, row, 0)?)?;
    priced(path, record, column(path, row, 1)?, column(path, row, 2)?)
}

fn priced(
    path: &Path,
    record: NodeRecord,
    micros: Option<i64>,
    currency: Option<&str>,
) -> Result<NodeRecord> {
    let (Some(micros), Some(currency)) = (micros, currency) else {
        return Ok(record);
    };
    let price = HourlyPrice {
        currency: currency.parse()?,
        micros_per_hour: u64::try_from(micros)
            .map_err(|e| unreadable(path, "node", "its price is negative", e))?,
    };
    Ok(NodeRecord {
        price: Some(price),
        ..record
    })
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
