//! Nodes: what the journal remembers of each.
//!
//! The price has columns of its own, written once: the first price that a row gets is the price
//! that the machine was asked for at, and no later upsert changes it.

use std::path::Path;

use fleetwright_core::{Error, Event, HourlyPrice, Kind, NodeId, NodeRecord, Result, Stay};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;

use crate::Store;
use crate::error::{from_json, to_json, unreadable};
use crate::lease::Lease;
use crate::transaction::{Query, Transaction, column};

/// Nodes in a text: for most fleets one is enough, and for large ones the text does not count.
const IN_A_TEXT: i64 = 2_000;

/// A query for the next nodes as the text of a JSON array, with how many they are and the last of
/// them; the same nodes one by one.
///
/// `string_agg` is a function of PostgreSQL that SQLite has since version 3.44
/// (<https://www.sqlite.org/lang_aggfunc.html#group_concat>).
macro_rules! next {
    ($which:literal) => {
        [
            concat!(
                "SELECT '[' || string_agg('{\"node\":' || value || ',\"micros\":' || \
                 coalesce(CAST(price_micros AS TEXT), 'null') || ',\"currency\":' || \
                 coalesce('\"' || price_currency || '\"', 'null') || '}', ',') || ']', \
                 count(*), max(id) FROM (SELECT * FROM nodes WHERE id > $1 AND ",
                $which,
                " ORDER BY id LIMIT $2) AS next"
            ),
            concat!(
                "SELECT value, price_micros, price_currency FROM nodes WHERE id > $1 AND ",
                $which,
                " ORDER BY id LIMIT $2"
            ),
        ]
    };
}

/// The nodes that are not gone.
const EVERY_PRESENT: [&str; 2] = next!("life <> 'gone'");

/// All nodes that ever were.
const EVERY_ONE: [&str; 2] = next!("TRUE");

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

    /// Many nodes as one text: a row of its own for each costs twice as much time, most of it in
    /// the driver. If the text cannot be read, the rows say which of them is to blame.
    ///
    /// All texts are of the same instant.
    async fn read_all(&self, [together, each]: [&'static str; 2]) -> Result<Vec<NodeRecord>> {
        let path = self.path();
        let mut snapshot = self.snapshot().await?;
        let mut records: Vec<NodeRecord> = Vec::new();
        let mut last = String::new();
        loop {
            let after = std::mem::take(&mut last);
            let query = sqlx::query(together).bind(after.as_str()).bind(IN_A_TEXT);
            let Some(row) = snapshot.row(query).await? else {
                break;
            };
            let Some(text) = column::<Option<&str>>(path, &row, 0)? else {
                break;
            };
            let count: i64 = column(path, &row, 1)?;
            last = column(path, &row, 2)?;
            if let Ok(stored) = serde_json::from_str::<Vec<Stored<'_>>>(text) {
                let from = records.len();
                for stored in stored {
                    let price = price(path, stored.micros, stored.currency)?;
                    records.push(NodeRecord {
                        price,
                        ..stored.node
                    });
                }
                records[from..].sort_by(|a, b| a.id.as_str().cmp(b.id.as_str()));
            } else {
                let query = sqlx::query(each).bind(after.as_str()).bind(IN_A_TEXT);
                records.extend(read_records(path, &snapshot.rows(query).await?)?);
            }
            if count < IN_A_TEXT {
                break;
            }
        }
        snapshot.commit().await?;
        records.shrink_to_fit();
        Ok(records)
    }

    async fn read_nodes(&self, query: Query<'_>) -> Result<Vec<NodeRecord>> {
        read_records(self.path(), &self.rows(query).await?)
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

fn read_records(path: &Path, rows: &[AnyRow]) -> Result<Vec<NodeRecord>> {
    rows.iter()
        .map(|row| {
            let (record, price) = read::<NodeRecord>(path, row)?;
            Ok(NodeRecord { price, ..record })
        })
        .collect()
}

/// What a row's JSON holds, and the price from its columns.
fn read<T: DeserializeOwned>(path: &Path, row: &AnyRow) -> Result<(T, Option<HourlyPrice>)> {
    let value = from_json(path, "node", column(path, row, 0)?)?;
    let price = price(path, column(path, row, 1)?, column(path, row, 2)?)?;
    Ok((value, price))
}

fn price(path: &Path, micros: Option<i64>, currency: Option<&str>) -> Result<Option<HourlyPrice>> {
    let (Some(micros), Some(currency)) = (micros, currency) else {
        return Ok(None);
    };
    Ok(Some(HourlyPrice {
        currency: currency.parse()?,
        micros_per_hour: u64::try_from(micros)
            .map_err(|e| unreadable(path, "node", "its price is negative", e))?,
    }))
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
