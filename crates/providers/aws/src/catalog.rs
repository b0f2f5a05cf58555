//! What can be bought where, for how much: types, places and prices of the configured regions.
//!
//! ```text
//!  DescribeInstanceTypes ──────────┐
//!  DescribeInstanceTypeOfferings ──┤
//!  DescribeSpotPriceHistory ───────┼──► offerings of a region, remembered for `catalog_age`
//!  GetServiceQuota, List… ─────────┤
//!  table, or GetProducts ──────────┘
//! ```
//! All regions and all five questions are asked at once; the pages of one question follow each
//! other. EC2 does not tell whether a machine can be had, so that stays unknown, unless the
//! account's quota forbids it.

mod types;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types::{LocationType, SpotPrice};
use fleetwright_core::ability::Offering;
use fleetwright_core::{
    Availability, Catalog, Error, HourlyPrice, InstanceType, Kind, Market, Result,
};
use futures::future::{FutureExt, join_all, join5};
use jiff::{SignedDuration, Timestamp};

use crate::PriceSource;
use crate::api::RegionApi;
use crate::error::At;
use crate::prices::{self, PriceList, micros};
use crate::provider::AwsProvider;
use crate::quotas::RegionQuotas;
use crate::remembered::Remembered;
use types::{Sold, types_in};

/// The price list changes with a new type or a new price, a few times a month.
const LIFETIME_OF_PRICES: SignedDuration = SignedDuration::MAX;
/// What spot prices are asked for; other systems cost more.
const PRODUCT: &str = "Linux/UNIX";

/// What the catalog has read, by region.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    types: Remembered<Vec<Sold>>,
    offerings: Remembered<Vec<Offering>>,
    pub(crate) quotas: Remembered<RegionQuotas>,
    prices: Remembered<PriceList>,
}

#[async_trait]
impl Catalog for AwsProvider {
    async fn instance_types(&self) -> Result<Vec<InstanceType>> {
        let regions = self.config().regions.iter();
        let answers = join_all(regions.map(|region| self.types_of(region))).await;
        let mut types = BTreeMap::new();
        for answer in answers {
            for sold in &*answer? {
                types
                    .entry(sold.instance_type.name.clone())
                    .or_insert_with(|| sold.instance_type.clone());
            }
        }
        Ok(types.into_values().collect())
    }

    async fn offerings(&self) -> Result<Vec<Offering>> {
        let regions = self.config().regions.iter();
        // All answers are awaited even if one is an error: a call that is broken off costs a token
        // and a connection, too.
        let answers = join_all(regions.map(|region| self.offerings_of(region))).await;
        let mut offerings = Vec::new();
        for answer in answers {
            offerings.extend_from_slice(&answer?);
        }
        Ok(offerings)
    }
}

impl AwsProvider {
    /// Forgets types, offerings, prices and quotas, so that the next question asks AWS again
    /// before they are as old as `catalog_age` says.
    pub fn forget_catalog(&self) {
        let Shelf {
            types,
            offerings,
            quotas,
            prices,
        } = self.shelf();
        types.forget();
        offerings.forget();
        quotas.forget();
        prices.forget();
    }

    async fn types_of(&self, region: &str) -> Result<Arc<Vec<Sold>>> {
        let api = self.api().region(region).await?;
        let types = &self.shelf().types;
        let read = types_in(api).boxed();
        types
            .or_read(region, self.clock(), self.catalog_age(), read)
            .await
    }

    async fn offerings_of(&self, region: &str) -> Result<Arc<Vec<Offering>>> {
        let read = self.read_offerings(region).boxed();
        let offerings = &self.shelf().offerings;
        offerings
            .or_read(region, self.clock(), self.catalog_age(), read)
            .await
    }

    async fn read_offerings(&self, region: &str) -> Result<Vec<Offering>> {
        let api = self.api().region(region).await?;
        let now = self.clock().now();
        let (types, places, spot, quotas, list) = join5(
            self.types_of(region).boxed(),
            places_in(api).boxed(),
            spot_prices_in(api, now).boxed(),
            self.quotas_of(region).boxed(),
            self.price_list(region).boxed(),
        )
        .await;
        let market = RegionMarket {
            region,
            types: &types?,
            places: places?,
            spot: spot?,
            quotas: &*quotas?,
            list: list?,
        };
        Ok(market.offerings())
    }

    /// The price list of a region, if prices come from the API.
    async fn price_list(&self, region: &str) -> Result<Option<Arc<PriceList>>> {
        if self.config().prices == PriceSource::Table {
            return Ok(None);
        }
        let api = self.api().global().await;
        let read = prices::read(api, region).boxed();
        let prices = &self.shelf().prices;
        prices
            .or_read(region, self.clock(), LIFETIME_OF_PRICES, read)
            .await
            .map(Some)
    }
}

/// A type in a zone.
type Place = (String, String);

/// Everything that is known about a region, before it is put together.
struct RegionMarket<'a> {
    region: &'a str,
    types: &'a [Sold],
    places: Vec<Place>,
    spot: HashMap<Place, (DateTime, u64)>,
    quotas: &'a RegionQuotas,
    list: Option<Arc<PriceList>>,
}

impl RegionMarket<'_> {
    fn offerings(&self) -> Vec<Offering> {
        let types: HashMap<&str, &Sold> = self
            .types
            .iter()
            .map(|sold| (&*sold.instance_type.name, sold))
            .collect();
        let mut offerings = Vec::new();
        for place in &self.places {
            let (name, zone) = place;
            // A type that we cannot run, or one that went on sale a moment ago.
            let Some(sold) = types.get(&**name) else {
                continue;
            };
            offerings.extend(sold.markets.iter().map(|market| Offering {
                instance_type: name.clone(),
                region: self.region.to_owned(),
                zone: Some(zone.clone()),
                market: *market,
                price: match market {
                    Market::OnDemand => self.on_demand(name, zone),
                    Market::Spot => self.spot(place),
                },
                availability: if self.quotas.forbid(&sold.instance_type, *market) {
                    Availability::NoQuota
                } else {
                    Availability::Unknown
                },
            }));
        }
        offerings
    }

    /// One price holds for all zones of a region; Local Zones and Wavelength Zones have their own.
    fn on_demand(&self, name: &str, zone: &str) -> Option<HourlyPrice> {
        let letter = zone.strip_prefix(self.region)?;
        if letter.len() != 1 || !letter.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return None;
        }
        match &self.list {
            Some(list) => list.price(name),
            None => prices::in_table(self.region, name),
        }
    }

    fn spot(&self, place: &Place) -> Option<HourlyPrice> {
        // There EC2 means yuan, and does not say so.
        if self.region.starts_with("cn-") {
            return None;
        }
        let (_, micros) = self.spot.get(place)?;
        Some(HourlyPrice::usd_micros(*micros))
    }
}

/// Which types are sold in which zones of a region, over all pages of 1,000.
async fn places_in(api: &RegionApi) -> Result<Vec<Place>> {
    let at = At::new("DescribeInstanceTypeOfferings", &api.region);
    let mut places = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let page = api
            .ec2
            .describe_instance_type_offerings()
            .location_type(LocationType::AvailabilityZone)
            .max_results(1_000)
            .set_next_token(next)
            .send()
            .await
            .map_err(|error| at.error(error))?;
        for offering in page.instance_type_offerings() {
            let name = offering
                .instance_type()
                .ok_or_else(|| at.lacking("type's name"))?;
            let zone = offering.location().ok_or_else(|| at.lacking("location"))?;
            places.push((name.as_str().to_owned(), zone.to_owned()));
        }
        next = page
            .next_token()
            .filter(|t| !t.is_empty())
            .map(str::to_owned);
        if next.is_none() {
            places.sort_unstable();
            places.dedup();
            return Ok(places);
        }
    }
}

/// The spot price of each type in each zone now, over all pages of 1,000. A history that begins
/// now holds the prices that hold now.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotPriceHistory.html>
async fn spot_prices_in(
    api: &RegionApi,
    now: Timestamp,
) -> Result<HashMap<Place, (DateTime, u64)>> {
    let at = At::new("DescribeSpotPriceHistory", &api.region);
    let mut prices = HashMap::new();
    let mut next: Option<String> = None;
    loop {
        let page = api
            .ec2
            .describe_spot_price_history()
            .product_descriptions(PRODUCT)
            .start_time(DateTime::from_secs(now.as_second()))
            .max_results(1_000)
            .set_next_token(next)
            .send()
            .await
            .map_err(|error| at.error(error))?;
        for price in page.spot_price_history() {
            note_price(at, &mut prices, price)?;
        }
        next = page
            .next_token()
            .filter(|t| !t.is_empty())
            .map(str::to_owned);
        if next.is_none() {
            return Ok(prices);
        }
    }
}

/// Keeps the latest price of a type in a zone.
fn note_price(
    at: At<'_>,
    prices: &mut HashMap<Place, (DateTime, u64)>,
    price: &SpotPrice,
) -> Result<()> {
    let name = price
        .instance_type()
        .ok_or_else(|| at.lacking("type's name"))?;
    let zone = price
        .availability_zone()
        .ok_or_else(|| at.lacking("zone"))?;
    let since = *price
        .timestamp()
        .ok_or_else(|| at.lacking("time of a price"))?;
    let text = price.spot_price().ok_or_else(|| at.lacking("spot price"))?;
    let micros = micros(text).ok_or_else(|| {
        Error::new(
            Kind::Unexpected,
            format!("`{}` is not a price", text.escape_debug()),
        )
        .with_context("action", at.action)
        .with_context("region", at.region)
    })?;
    let place = (name.as_str().to_owned(), zone.to_owned());
    let known = prices.entry(place).or_insert((since, micros));
    if known.0 < since {
        *known = (since, micros);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::InstanceType as Name;

    use super::*;

    const AT: At<'static> = At::new("DescribeSpotPriceHistory", "us-east-1");

    fn types() -> Vec<Sold> {
        vec![Sold {
            instance_type: InstanceType {
                name: "m5.large".to_owned(),
                vcpus: 2,
                memory_mib: 8_192,
                architecture: "x86_64".to_owned(),
                gpus: 0,
                gpu_model: None,
                gpu_memory_mib: None,
            },
            markets: vec![Market::Spot, Market::OnDemand],
        }]
    }

    fn price(zone: &str, since: i64, text: &str) -> SpotPrice {
        SpotPrice::builder()
            .instance_type(Name::from("m5.large"))
            .availability_zone(zone)
            .timestamp(DateTime::from_secs(since))
            .spot_price(text)
            .build()
    }

    fn market<'a>(
        region: &'a str,
        types: &'a [Sold],
        quotas: &'a RegionQuotas,
        spot: HashMap<Place, (DateTime, u64)>,
    ) -> RegionMarket<'a> {
        let zone = |letter| ("m5.large".to_owned(), format!("{region}{letter}"));
        RegionMarket {
            region,
            types,
            places: vec![
                zone("a"),
                zone("-bos-1a"),
                ("q9.large".to_owned(), zone("a").1),
            ],
            spot,
            quotas,
            list: None,
        }
    }

    #[test]
    fn local_zones_have_spot_prices_only_and_unknown_types_are_not_offered() {
        let types = types();
        let mut spot = HashMap::new();
        for (zone, since, text) in [
            ("us-east-1a", 20, "0.035700"),
            ("us-east-1a", 10, "0.050000"),
            ("us-east-1-bos-1a", 10, "0.060000"),
        ] {
            note_price(AT, &mut spot, &price(zone, since, text)).unwrap();
        }
        let quotas = RegionQuotas::default();
        let offerings = market("us-east-1", &types, &quotas, spot).offerings();
        let prices: Vec<_> = offerings
            .iter()
            .map(|o| {
                (
                    o.zone.as_deref().unwrap(),
                    o.market,
                    o.price.map(|p| p.micros_per_hour),
                )
            })
            .collect();
        assert_eq!(
            prices,
            [
                ("us-east-1a", Market::Spot, Some(35_700)),
                ("us-east-1a", Market::OnDemand, Some(96_000)),
                ("us-east-1-bos-1a", Market::Spot, Some(60_000)),
                ("us-east-1-bos-1a", Market::OnDemand, None),
            ]
        );
    }

    #[test]
    fn yuan_are_not_taken_for_dollars() {
        let types = types();
        let mut spot = HashMap::new();
        note_price(AT, &mut spot, &price("cn-north-1a", 1, "0.2")).unwrap();
        let quotas = RegionQuotas::default();
        let offerings = market("cn-north-1", &types, &quotas, spot).offerings();
        assert!(offerings.iter().all(|offering| offering.price.is_none()));
        assert!(note_price(AT, &mut HashMap::new(), &price("a", 1, "cheap")).is_err());
    }
}
