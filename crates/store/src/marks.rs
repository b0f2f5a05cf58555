//! Capacity marks: offers that are taken for sold out for a while, by all processes.

use fleetwright_core::{ErrorReport, Market, Offer, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Store;
use crate::error::{from_json, to_json};
use crate::transaction::column;

/// A set of offers that is taken for sold out until an instant. An absent part means "any".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The provider's name in the configuration.
    pub provider: String,
    /// Region.
    pub region: Option<String>,
    /// Zone.
    pub zone: Option<String>,
    /// Instance type.
    pub instance_type: Option<String>,
    /// On-demand or spot.
    pub market: Option<Market>,
    /// Until when it is in force.
    pub until: Timestamp,
    /// The answer that it comes from.
    pub error: ErrorReport,
}

impl Mark {
    /// Whether an offer is among those that are marked. Time is not looked at.
    ///
    /// A mark on a zone does not cover an offer that leaves the zone to the provider.
    pub fn covers(&self, offer: &Offer) -> bool {
        fn any_or_same(mark: Option<&String>, offer: Option<&String>) -> bool {
            mark.is_none() || mark == offer
        }
        self.provider == offer.provider
            && any_or_same(self.region.as_ref(), Some(&offer.region))
            && any_or_same(self.zone.as_ref(), offer.zone.as_ref())
            && any_or_same(self.instance_type.as_ref(), Some(&offer.instance_type))
            && self.market.is_none_or(|market| market == offer.market)
    }
}

impl Store {
    /// Writes a mark. Of two marks on the same offers the one that lasts longer stays.
    pub async fn put_mark(&self, mark: &Mark) -> Result<()> {
        let json = to_json(mark)?;
        let mut transaction = self.loose().await?;
        transaction
            .run(
                sqlx::query(
                    "INSERT INTO marks \
                     (provider, region, zone, instance_type, market, ends_at, value) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7) \
                     ON CONFLICT (provider, region, zone, instance_type, market) \
                     DO UPDATE SET ends_at = excluded.ends_at, value = excluded.value \
                     WHERE excluded.ends_at >= marks.ends_at",
                )
                .bind(mark.provider.as_str())
                .bind(mark.region.as_deref().unwrap_or(""))
                .bind(mark.zone.as_deref().unwrap_or(""))
                .bind(mark.instance_type.as_deref().unwrap_or(""))
                .bind(mark.market.map_or("", |market| market.as_str()))
                .bind(mark.until.as_microsecond())
                .bind(json),
            )
            .await?;
        transaction.commit().await
    }

    /// The marks that are in force, in the order of their places.
    pub async fn marks(&self, now: Timestamp) -> Result<Vec<Mark>> {
        let rows = self
            .rows(
                sqlx::query(
                    "SELECT value FROM marks WHERE ends_at > $1 \
                     ORDER BY provider, region, zone, instance_type, market",
                )
                .bind(now.as_microsecond()),
            )
            .await?;
        rows.iter()
            .map(|row| from_json(self.path(), "mark", column(self.path(), row, 0)?))
            .collect()
    }

    /// The marks that have run out since an instant: what was sold out lately.
    pub async fn spent_marks(&self, since: Timestamp, now: Timestamp) -> Result<Vec<Mark>> {
        let rows = self
            .rows(
                sqlx::query(
                    "SELECT value FROM marks WHERE ends_at > $1 AND ends_at <= $2 \
                     ORDER BY provider, region, zone, instance_type, market",
                )
                .bind(since.as_microsecond())
                .bind(now.as_microsecond()),
            )
            .await?;
        rows.iter()
            .map(|row| from_json(self.path(), "mark", column(self.path(), row, 0)?))
            .collect()
    }

    /// Forgets the mark that covers exactly this offer's zone, type and market, if there is one:
    /// the cloud has just said that it has capacity there.
    pub async fn lift_mark(&self, offer: &Offer) -> Result<()> {
        let mut transaction = self.loose().await?;
        transaction
            .run(
                sqlx::query(
                    "DELETE FROM marks WHERE provider = $1 AND region = $2 AND zone = $3 \
                     AND instance_type = $4 AND market = $5",
                )
                .bind(offer.provider.as_str())
                .bind(offer.region.as_str())
                .bind(offer.zone.as_deref().unwrap_or(""))
                .bind(offer.instance_type.as_str())
                .bind(offer.market.as_str()),
            )
            .await?;
        transaction.commit().await
    }

    /// Forgets all marks; says how many there were, spent ones included.
    pub async fn clear_marks(&self) -> Result<u64> {
        let mut transaction = self.loose().await?;
        let cleared = transaction.run(sqlx::query("DELETE FROM marks")).await?;
        transaction.commit().await?;
        Ok(cleared)
    }
}
