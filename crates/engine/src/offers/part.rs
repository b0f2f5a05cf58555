//! The catalog of one provider, as it is stored: each text once, offerings as columns.
//!
//! ```text
//!  types   [ a ][ b ][ c ]            in the order of their names
//!  starts  0    2    5    6           which offerings are of which type
//!  places  (region, zone) …           in order
//!  place   4 7  4 5 7  4              ┐
//!  sale    .    .   .  .              ├ one entry for each offering; within a type by price
//!  price   9 9  1 1 2  3              ┘
//! ```
//! It is a form of [`CatalogView`], which planning works with, and turns into one.

use std::collections::BTreeMap;

use fleetwright_core::ability::{Offering, Quota};
use fleetwright_core::{
    Availability, Currency, HourlyPrice, InstanceType, Market, Offer, ProviderInfo,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::CatalogView;

/// What an offering's byte says.
const SPOT: u8 = 1;
const EURO: u8 = 1 << 1;
const PRICED: u8 = 1 << 2;
const AVAILABLE: u8 = 1 << 3;
const SOLD_OUT: u8 = 2 << 3;
const NO_QUOTA: u8 = 3 << 3;
const AVAILABILITY: u8 = 3 << 3;
/// All bits that mean something.
const MEANT: u8 = SPOT | EURO | PRICED | AVAILABILITY;

/// Whose catalog it is, and when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartInfo {
    /// The provider's name in the configuration.
    pub provider: String,
    /// Its kind.
    pub kind: String,
    /// Its account.
    pub account: String,
    /// The regions that it was configured for.
    pub regions: Vec<String>,
    /// When the catalog was read, in full.
    pub read_at: Timestamp,
    /// Its quotas; absent: nobody asked, or it has none to ask for.
    pub quotas: Option<StoredQuotas>,
}

/// Quotas and when they were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredQuotas {
    /// When.
    pub read_at: Timestamp,
    /// What the provider said.
    pub quotas: Vec<Quota>,
}

/// The catalog of one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogPart {
    pub(super) info: PartInfo,
    pub(super) types: Vec<InstanceType>,
    pub(super) places: Vec<(String, Option<String>)>,
    pub(super) starts: Vec<u32>,
    pub(super) place: Vec<u32>,
    pub(super) sale: Vec<u8>,
    pub(super) price: Vec<u64>,
    /// Until when an offering is sold out, where the provider has told.
    pub(super) until: Vec<(u32, i64)>,
}

impl PartInfo {
    /// Of a provider whose catalog was read at this instant.
    pub fn new(info: &ProviderInfo, read_at: Timestamp) -> Self {
        Self {
            provider: info.name.clone(),
            kind: info.kind.clone(),
            account: info.account.clone(),
            regions: info.regions.clone(),
            read_at,
            quotas: None,
        }
    }

    /// Whether it is about this provider as it is configured now: another account or other regions
    /// have another catalog.
    pub fn is_of(&self, info: &ProviderInfo) -> bool {
        self.provider == info.name
            && self.kind == info.kind
            && self.account == info.account
            && self.regions == info.regions
    }
}

impl CatalogPart {
    /// Arranges a catalog. Offerings of types that are not among `types` are left out: nobody could
    /// tell what they are. Of types with the same name the first counts.
    pub fn new(info: PartInfo, mut types: Vec<InstanceType>, offerings: &[Offering]) -> Self {
        types.sort_by(|a, b| a.name.cmp(&b.name));
        types.dedup_by(|later, first| later.name == first.name);
        let places: BTreeMap<(&str, Option<&str>), u32> = offerings
            .iter()
            .map(|offering| ((offering.region.as_str(), offering.zone.as_deref()), 0))
            .collect();
        let places: BTreeMap<_, u32> = places.into_keys().zip(0..).collect();
        let mut rows: Vec<Row> = offerings
            .iter()
            .filter_map(|offering| {
                let at = types
                    .binary_search_by(|known| known.name.cmp(&offering.instance_type))
                    .ok()?;
                let place = (offering.region.as_str(), offering.zone.as_deref());
                Some(Row::new(at, *places.get(&place)?, offering))
            })
            .collect();
        rows.sort_unstable_by_key(Row::order);
        let mut part = Self {
            info,
            starts: Vec::with_capacity(types.len() + 1),
            types,
            places: places
                .into_keys()
                .map(|(region, zone)| (region.to_owned(), zone.map(str::to_owned)))
                .collect(),
            place: rows.iter().map(|row| row.place).collect(),
            sale: rows.iter().map(|row| row.sale).collect(),
            price: rows.iter().map(|row| row.price).collect(),
            until: (0..)
                .zip(&rows)
                .filter_map(|(at, row)| Some((at, row.until?)))
                .collect(),
        };
        let mut at = 0;
        for number in 0..=part.types.len() {
            while rows.get(at).is_some_and(|row| row.of_type < number) {
                at += 1;
            }
            part.starts.push(index(at));
        }
        part
    }

    /// Whose catalog it is.
    pub fn info(&self) -> &PartInfo {
        &self.info
    }

    /// The types, in the order of their names.
    pub fn types(&self) -> &[InstanceType] {
        &self.types
    }

    /// How many offerings there are.
    pub fn len(&self) -> usize {
        self.place.len()
    }

    /// Whether nothing is on sale.
    pub fn is_empty(&self) -> bool {
        self.place.is_empty()
    }

    /// Puts quotas beside it, in place of older ones.
    #[must_use]
    pub fn with_quotas(mut self, quotas: Option<StoredQuotas>) -> Self {
        self.info.quotas = quotas;
        self
    }

    /// As planning wants it.
    pub fn view(&self) -> CatalogView {
        let offerings = (0..self.types.len())
            .flat_map(|of_type| self.rows_of(of_type).map(move |row| (of_type, row)))
            .map(|(of_type, row)| {
                let (region, zone) = self.place_of(row);
                Offering {
                    instance_type: self.types[of_type].name.clone(),
                    region: region.to_owned(),
                    zone: zone.map(str::to_owned),
                    market: self.market(row),
                    price: self.list_price(row),
                    availability: self.availability(row),
                }
            })
            .collect();
        CatalogView::new(self.types.clone(), offerings)
    }

    /// The offerings of a type.
    pub(super) fn rows_of(&self, of_type: usize) -> std::ops::Range<usize> {
        let bound = |at: usize| {
            let start = self.starts.get(at).copied().unwrap_or(0);
            usize::try_from(start).unwrap_or(usize::MAX)
        };
        bound(of_type)..bound(of_type + 1)
    }

    /// The type of an offering.
    pub(super) fn type_of(&self, row: usize) -> usize {
        let row = index(row);
        self.starts
            .partition_point(|start| *start <= row)
            .saturating_sub(1)
    }

    pub(super) fn place_of(&self, row: usize) -> (&str, Option<&str>) {
        let at = usize::try_from(self.place[row]).unwrap_or(usize::MAX);
        self.places
            .get(at)
            .map_or(("", None), |(region, zone)| (region, zone.as_deref()))
    }

    pub(super) fn market(&self, row: usize) -> Market {
        market_of(self.sale[row])
    }

    pub(super) fn list_price(&self, row: usize) -> Option<HourlyPrice> {
        price_of(self.sale[row], self.price[row])
    }

    pub(super) fn availability(&self, row: usize) -> Availability {
        match self.sale[row] & AVAILABILITY {
            AVAILABLE => Availability::Available,
            NO_QUOTA => Availability::NoQuota,
            SOLD_OUT => Availability::SoldOut {
                until: self
                    .until
                    .binary_search_by_key(&index(row), |(at, _)| *at)
                    .ok()
                    .and_then(|at| Timestamp::from_microsecond(self.until[at].1).ok()),
            },
            _ => Availability::Unknown,
        }
    }

    /// An offering as an offer, at a price.
    pub(super) fn offer(&self, row: usize, price: Option<HourlyPrice>) -> Offer {
        let (region, zone) = self.place_of(row);
        Offer {
            provider: self.info.provider.clone(),
            region: region.to_owned(),
            zone: zone.map(str::to_owned),
            instance_type: self.types[self.type_of(row)].name.clone(),
            market: self.market(row),
            price,
            availability: self.availability(row),
            reason: String::new(),
        }
    }

    /// What does not fit together, if something does not: a part that was read from a file is only
    /// used if this is `None`.
    pub(super) fn flaw(&self) -> Option<&'static str> {
        let rows = self.place.len();
        let places = self.places.len();
        let ends = (self.starts.first(), self.starts.last());
        if self.starts.len() != self.types.len() + 1
            || ends != (Some(&0), Some(&index(rows)))
            || !self.starts.is_sorted()
        {
            return Some("the order of its types");
        }
        if self.sale.len() != rows || self.price.len() != rows {
            return Some("the length of its columns");
        }
        let is_place = |at: &u32| usize::try_from(*at).is_ok_and(|at| at < places);
        if !self.place.iter().all(is_place) {
            return Some("its places");
        }
        if self.sale.iter().any(|sale| sale & !MEANT != 0) {
            return Some("its markets");
        }
        let is_row = |(at, until): &(u32, i64)| {
            usize::try_from(*at).is_ok_and(|at| at < rows)
                && Timestamp::from_microsecond(*until).is_ok()
        };
        let in_order = self.until.is_sorted_by(|a, b| a.0 < b.0);
        (!in_order || !self.until.iter().all(is_row)).then_some("its times")
    }
}

pub(super) const fn market_of(sale: u8) -> Market {
    if sale & SPOT == 0 {
        Market::OnDemand
    } else {
        Market::Spot
    }
}

pub(super) const fn price_of(sale: u8, micros_per_hour: u64) -> Option<HourlyPrice> {
    if sale & PRICED == 0 {
        return None;
    }
    let currency = if sale & EURO == 0 {
        Currency::Usd
    } else {
        Currency::Eur
    };
    Some(HourlyPrice {
        currency,
        micros_per_hour,
    })
}

/// A number of rows as it is stored: more than four thousand million are never held in memory.
fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// An offering on its way into the columns.
struct Row {
    of_type: usize,
    place: u32,
    sale: u8,
    price: u64,
    until: Option<i64>,
}

impl Row {
    fn new(of_type: usize, place: u32, offering: &Offering) -> Self {
        let mut sale = match offering.market {
            Market::OnDemand => 0,
            Market::Spot => SPOT,
        };
        if let Some(price) = offering.price {
            sale |= PRICED;
            sale |= match price.currency {
                Currency::Usd => 0,
                Currency::Eur => EURO,
            };
        }
        let mut ends = None;
        sale |= match offering.availability {
            Availability::Unknown => 0,
            Availability::Available => AVAILABLE,
            Availability::NoQuota => NO_QUOTA,
            Availability::SoldOut { until } => {
                ends = until.map(Timestamp::as_microsecond);
                SOLD_OUT
            }
        };
        Self {
            of_type,
            place,
            sale,
            price: offering.price.map_or(0, |price| price.micros_per_hour),
            until: ends,
        }
    }

    fn order(&self) -> (usize, bool, bool, u64, u32, u8, Option<i64>) {
        (
            self.of_type,
            self.sale & PRICED == 0,
            self.sale & EURO != 0,
            self.price,
            self.place,
            self.sale,
            self.until,
        )
    }
}
