//! Marks and lifetimes as rows.

use std::path::Path;
use std::time::Duration;

use fleetwright_core::{Market, Offer, Result};
use jiff::{SignedDuration, Timestamp};
use sqlx::any::AnyRow;

use super::{Learned, Mark, Shortage};
use crate::error::{from_json, to_json, unreadable};
use crate::lifetime::Lifetime;
use crate::transaction::{Query, Transaction, column};

/// How long a mark is kept after its end, for whoever asks how long the shortage lasted.
const KEPT: SignedDuration = SignedDuration::from_hours(48);

/// The columns that tell one place from another. An empty text stands for "any".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key<'a> {
    pub(super) provider: &'a str,
    pub(super) region: &'a str,
    pub(super) zone: &'a str,
    pub(super) instance_type: &'a str,
    pub(super) market: &'a str,
}

// === impl Key ===

impl Key<'_> {
    /// A type and market of the whole provider: asked where nothing is known of a place.
    pub(super) fn coarse(self) -> Self {
        Self {
            region: "",
            zone: "",
            ..self
        }
    }
}

/// A statement whose first five parameters are those of a key.
pub(super) fn bind(sql: &'static str, key: &Key<'_>) -> Query<'static> {
    sqlx::query(sql)
        .bind(key.provider.to_owned())
        .bind(key.region.to_owned())
        .bind(key.zone.to_owned())
        .bind(key.instance_type.to_owned())
        .bind(key.market.to_owned())
}

// === marks ===

/// The marks of a provider, for [`read`].
pub(super) fn of_provider(provider: &str) -> Query<'static> {
    sqlx::query(
        "SELECT value, ends_at, since, refused_at, probe_until FROM marks WHERE provider = $1",
    )
    .bind(provider.to_owned())
}

/// Those of the rows that cover an offer.
pub(super) fn covering(path: &Path, rows: &[AnyRow], offer: &Offer) -> Result<Vec<Shortage>> {
    let mut all = Vec::new();
    for row in rows {
        let shortage = read(path, row)?;
        if shortage.mark.covers(offer) {
            all.push(shortage);
        }
    }
    Ok(all)
}

/// Reads a row, without what was learned.
pub(super) fn read(path: &Path, row: &AnyRow) -> Result<Shortage> {
    let mark: Mark = from_json(path, "mark", column(path, row, 0)?)?;
    let ends_at = instant(path, row, 1)?;
    // The JSON keeps the part of an instant that the column has no room for.
    let until = if mark.until.as_microsecond() == ends_at.as_microsecond() {
        mark.until
    } else {
        ends_at
    };
    Ok(Shortage {
        mark: Mark { until, ..mark },
        since: instant(path, row, 2)?,
        refused_at: instant(path, row, 3)?,
        probe_until: instant(path, row, 4)?,
        lifetime: Lifetime::default(),
    })
}

/// The mark of exactly this place.
pub(super) async fn find(
    transaction: &mut Transaction<'_>,
    key: &Key<'_>,
) -> Result<Option<Shortage>> {
    let row = transaction
        .row(bind(
            "SELECT value, ends_at, since, refused_at, probe_until FROM marks \
             WHERE provider = $1 AND region = $2 AND zone = $3 \
             AND instance_type = $4 AND market = $5",
            key,
        ))
        .await?;
    row.map(|row| read(transaction.path(), &row)).transpose()
}

/// Writes a mark, in place of one on the same place, and sweeps away what is long over.
pub(super) async fn put(transaction: &mut Transaction<'_>, shortage: &Shortage) -> Result<()> {
    let swept = shortage
        .refused_at
        .checked_sub(KEPT)
        .unwrap_or(Timestamp::MIN);
    transaction
        .run(
            sqlx::query("DELETE FROM marks WHERE ends_at < $1 AND probe_until < $2")
                .bind(swept.as_microsecond())
                .bind(swept.as_microsecond()),
        )
        .await?;
    let json = to_json(&shortage.mark)?;
    transaction
        .run(
            bind(
                "INSERT INTO marks (provider, region, zone, instance_type, market, \
                 ends_at, since, refused_at, probe_until, value) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
                 ON CONFLICT (provider, region, zone, instance_type, market) \
                 DO UPDATE SET ends_at = excluded.ends_at, since = excluded.since, \
                 refused_at = excluded.refused_at, probe_until = excluded.probe_until, \
                 value = excluded.value",
                &shortage.mark.key(),
            )
            .bind(shortage.mark.until.as_microsecond())
            .bind(shortage.since.as_microsecond())
            .bind(shortage.refused_at.as_microsecond())
            .bind(shortage.probe_until.as_microsecond())
            .bind(json),
        )
        .await?;
    Ok(())
}

/// Forgets the mark of exactly this place; says how many that were.
pub(super) async fn remove(transaction: &mut Transaction<'_>, key: &Key<'_>) -> Result<u64> {
    transaction
        .run(bind(
            "DELETE FROM marks WHERE provider = $1 AND region = $2 AND zone = $3 \
             AND instance_type = $4 AND market = $5",
            key,
        ))
        .await
}

// === lifetimes ===

/// What is believed of a place: what was learned there, or else of its type and market anywhere at
/// the provider, or else nothing.
pub(super) async fn lifetime(transaction: &mut Transaction<'_>, key: &Key<'_>) -> Result<Lifetime> {
    if let Some(known) = known(transaction, key).await? {
        return Ok(known);
    }
    Ok(known(transaction, &key.coarse()).await?.unwrap_or_default())
}

/// Moves what is believed of a place, and of its type and market anywhere at the provider; gives
/// the first.
pub(super) async fn learn(
    transaction: &mut Transaction<'_>,
    key: &Key<'_>,
    now: Timestamp,
    step: impl Fn(Lifetime) -> Lifetime,
) -> Result<Lifetime> {
    let (of_place, coarse) = (known(transaction, key).await?, key.coarse());
    let of_type = known(transaction, &coarse).await?;
    let before = of_place.or(of_type).unwrap_or_default();
    let after = step(before);
    if after != before {
        write(transaction, key, after, now).await?;
    }
    let before = of_type.unwrap_or_default();
    let wide = step(before);
    if wide != before && coarse != *key {
        write(transaction, &coarse, wide, now).await?;
    }
    Ok(after)
}

async fn known(transaction: &mut Transaction<'_>, key: &Key<'_>) -> Result<Option<Lifetime>> {
    let row = transaction
        .row(bind(
            "SELECT millis, observed FROM lifetimes WHERE provider = $1 AND region = $2 \
             AND zone = $3 AND instance_type = $4 AND market = $5",
            key,
        ))
        .await?;
    row.map(|row| belief(transaction.path(), &row, 0))
        .transpose()
}

async fn write(
    transaction: &mut Transaction<'_>,
    key: &Key<'_>,
    lifetime: Lifetime,
    now: Timestamp,
) -> Result<()> {
    transaction
        .run(
            bind(
                "INSERT INTO lifetimes (provider, region, zone, instance_type, market, \
                 millis, observed, learned_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                 ON CONFLICT (provider, region, zone, instance_type, market) \
                 DO UPDATE SET millis = excluded.millis, observed = excluded.observed, \
                 learned_at = excluded.learned_at",
                key,
            )
            .bind(i64::try_from(lifetime.estimate.as_millis()).unwrap_or(i64::MAX))
            .bind(i64::from(lifetime.observed))
            .bind(now.as_microsecond()),
        )
        .await?;
    Ok(())
}

/// Reads a row of lifetimes.
pub(super) fn read_learned(path: &Path, row: &AnyRow) -> Result<Learned> {
    let part = |index| -> Result<Option<String>> {
        let text: String = column(path, row, index)?;
        Ok((!text.is_empty()).then_some(text))
    };
    let market = match part(4)?.as_deref() {
        None => None,
        Some("on-demand") => Some(Market::OnDemand),
        Some("spot") => Some(Market::Spot),
        Some(other) => {
            let why = format!("there is no market `{other}`");
            return Err(unreadable(path, "lifetime", "its market is unknown", why));
        }
    };
    Ok(Learned {
        provider: column(path, row, 0)?,
        region: part(1)?,
        zone: part(2)?,
        instance_type: part(3)?,
        market,
        lifetime: belief(path, row, 5)?,
        learned_at: instant(path, row, 7)?,
    })
}

/// An estimate and its number of observations, from two columns.
fn belief(path: &Path, row: &AnyRow, first: usize) -> Result<Lifetime> {
    let number = |index| -> Result<u64> {
        let number: i64 = column(path, row, index)?;
        u64::try_from(number).map_err(|e| unreadable(path, "lifetime", "a number is negative", e))
    };
    Ok(Lifetime {
        estimate: Duration::from_millis(number(first)?),
        observed: u32::try_from(number(first + 1)?).unwrap_or(u32::MAX),
    })
}

fn instant(path: &Path, row: &AnyRow, index: usize) -> Result<Timestamp> {
    let micros: i64 = column(path, row, index)?;
    Timestamp::from_microsecond(micros)
        .map_err(|e| unreadable(path, "mark", "an instant is out of range", e))
}
