//! On-demand prices of a region from the Price List API.
//! <https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html>
//!
//! An entry is a text within the JSON of the answer. Two questions give all: machines with shared
//! tenancy, and bare metal, which the price list files under dedicated tenancy.

use std::collections::HashMap;

use aws_sdk_pricing::types::{Filter, FilterType};
use fleetwright_core::{Error, HourlyPrice, Kind, Result};
use futures::future::{FutureExt, join};
use serde::Deserialize;

use crate::api::GlobalApi;
use crate::error::At;
use crate::prices::micros;

/// What types cost in one region.
#[derive(Debug, Default)]
pub(crate) struct PriceList {
    /// `None` where two entries of the list contradict each other.
    prices: HashMap<String, Option<u64>>,
}

impl PriceList {
    /// The on-demand price of a type, if the list has exactly one.
    pub(crate) fn price(&self, instance_type: &str) -> Option<HourlyPrice> {
        let micros = self.prices.get(instance_type).copied().flatten()?;
        Some(HourlyPrice::usd_micros(micros))
    }

    fn add(&mut self, instance_type: String, micros: u64) {
        self.prices
            .entry(instance_type)
            .and_modify(|known| *known = known.filter(|known| *known == micros))
            .or_insert(Some(micros));
    }
}

const SHARED: [(&str, &str); 1] = [("tenancy", "Shared")];
const BARE_METAL: [(&str, &str); 2] = [
    ("tenancy", "Dedicated"),
    ("productFamily", "Compute Instance (bare metal)"),
];

/// Reads the whole price list of a region.
///
/// # Errors
/// What the API says, or `Unexpected` if an entry cannot be read.
pub(crate) async fn read(api: &GlobalApi, region: &str) -> Result<PriceList> {
    let (shared, metal) = join(
        entries(api, region, &SHARED).boxed(),
        entries(api, region, &BARE_METAL).boxed(),
    )
    .await;
    let mut list = PriceList::default();
    for text in &shared? {
        take(&mut list, region, text)?;
    }
    let mut bare = PriceList::default();
    for text in &metal? {
        take(&mut bare, region, text)?;
    }
    for (name, price) in bare.prices {
        list.prices.entry(name).or_insert(price);
    }
    Ok(list)
}

/// All entries that meet the common conditions and these, over all pages.
async fn entries(api: &GlobalApi, region: &str, more: &[(&str, &str)]) -> Result<Vec<String>> {
    let at = At::new("GetProducts", region);
    let common = [
        ("regionCode", region),
        ("operatingSystem", "Linux"),
        ("preInstalledSw", "NA"),
        ("capacitystatus", "Used"),
    ];
    let filters = common
        .iter()
        .chain(more)
        .map(|(field, value)| filter(field, value))
        .collect::<Result<Vec<Filter>>>()?;
    let mut entries = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let page = api
            .pricing
            .get_products()
            .service_code("AmazonEC2")
            .format_version("aws_v1")
            .set_filters(Some(filters.clone()))
            .max_results(100)
            .set_next_token(next)
            .send()
            .await
            .map_err(|error| at.error(error))?;
        next = page
            .next_token()
            .filter(|t| !t.is_empty())
            .map(str::to_owned);
        entries.extend(page.price_list.unwrap_or_default());
        if next.is_none() {
            return Ok(entries);
        }
    }
}

fn filter(field: &str, value: &str) -> Result<Filter> {
    let filter = Filter::builder()
        .r#type(FilterType::TermMatch)
        .field(field)
        .value(value)
        .build();
    filter.map_err(|error| {
        Error::new(Kind::Unexpected, "a filter cannot be written down").with_source(error)
    })
}

#[derive(Debug, Deserialize)]
struct Entry {
    product: Product,
    #[serde(default)]
    terms: Terms,
}

#[derive(Debug, Deserialize)]
struct Product {
    attributes: Attributes,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attributes {
    instance_type: Option<String>,
    location_type: Option<String>,
    #[serde(rename = "marketoption")]
    market: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Terms {
    #[serde(rename = "OnDemand", default)]
    on_demand: HashMap<String, Term>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Term {
    price_dimensions: HashMap<String, Dimension>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dimension {
    unit: String,
    price_per_unit: HashMap<String, String>,
}

/// Takes the price of an entry, if it is one of a machine by the hour, in dollars, in the region
/// itself: the list also holds Outposts and capacity blocks, and prices of nothing.
fn take(list: &mut PriceList, region: &str, text: &str) -> Result<()> {
    let at = At::new("GetProducts", region);
    let entry: Entry = serde_json::from_str(text).map_err(|error| {
        at.lacking("price list entry that can be read")
            .with_source(error)
    })?;
    let Attributes {
        instance_type: Some(instance_type),
        location_type,
        market,
    } = entry.product.attributes
    else {
        return Ok(());
    };
    let is_here = location_type.is_none_or(|kind| kind == "AWS Region");
    let is_on_demand = market.is_none_or(|market| market == "OnDemand");
    if !is_here || !is_on_demand {
        return Ok(());
    }
    let dimensions = entry
        .terms
        .on_demand
        .into_values()
        .flat_map(|term| term.price_dimensions.into_values());
    for dimension in dimensions.filter(|dimension| dimension.unit == "Hrs") {
        let Some(dollars) = dimension.price_per_unit.get("USD") else {
            continue;
        };
        let micros = micros(dollars).ok_or_else(|| at.lacking("price that is a number"))?;
        if micros > 0 {
            list.add(instance_type.clone(), micros);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(attributes: &str, unit: &str, price: &str) -> String {
        format!(
            r#"{{
                "product": {{
                    "productFamily": "Compute Instance",
                    "attributes": {{ "instanceType": "m5.large", "vcpu": "2" {attributes} }},
                    "sku": "ABC"
                }},
                "serviceCode": "AmazonEC2",
                "terms": {{
                    "OnDemand": {{ "ABC.JRTCKXETXF": {{
                        "sku": "ABC",
                        "effectiveDate": "2026-01-01T00:00:00Z",
                        "priceDimensions": {{ "ABC.JRTCKXETXF.6YS6EN2CT7": {{
                            "unit": "{unit}",
                            "beginRange": "0",
                            "endRange": "Inf",
                            "pricePerUnit": {price}
                        }} }}
                    }} }},
                    "Reserved": {{ "ABC.38NPMPTW36": {{
                        "priceDimensions": {{ "x": {{
                            "unit": "Hrs",
                            "pricePerUnit": {{ "USD": "0.0100000000" }}
                        }} }}
                    }} }}
                }},
                "version": "20260209000000"
            }}"#
        )
    }

    fn price_of(entries: &[String]) -> Option<u64> {
        let mut list = PriceList::default();
        for text in entries {
            take(&mut list, "us-east-1", text).unwrap();
        }
        list.price("m5.large").map(|price| price.micros_per_hour)
    }

    #[test]
    fn only_hours_on_demand_in_dollars_in_the_region_count() {
        let dollars = r#"{ "USD": "0.0960000000" }"#;
        assert_eq!(price_of(&[entry("", "Hrs", dollars)]), Some(96_000));
        let region = r#", "locationType": "AWS Region", "marketoption": "OnDemand""#;
        assert_eq!(price_of(&[entry(region, "Hrs", dollars)]), Some(96_000));
        for attributes in [
            r#", "locationType": "AWS Outposts""#,
            r#", "locationType": "AWS Local Zone""#,
            r#", "marketoption": "CapacityBlock""#,
        ] {
            assert_eq!(
                price_of(&[entry(attributes, "Hrs", dollars)]),
                None,
                "{attributes}"
            );
        }
        assert_eq!(price_of(&[entry("", "Quantity", dollars)]), None);
        assert_eq!(price_of(&[entry("", "Hrs", r#"{ "CNY": "1.0" }"#)]), None);
        assert_eq!(
            price_of(&[entry("", "Hrs", r#"{ "USD": "0.0000000000" }"#)]),
            None
        );
    }

    #[test]
    fn prices_that_contradict_each_other_are_none() {
        let of = |price| entry("", "Hrs", &format!(r#"{{ "USD": "{price}" }}"#));
        assert_eq!(price_of(&[of("0.1"), of("0.100")]), Some(100_000));
        assert_eq!(price_of(&[of("0.1"), of("0.2")]), None);
        assert_eq!(price_of(&[of("0.1"), of("0.2"), of("0.1")]), None);
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let mut list = PriceList::default();
        for text in ["", "{}", &entry("", "Hrs", r#"{ "USD": "a lot" }"#)] {
            let error = take(&mut list, "us-east-1", text).unwrap_err();
            assert_eq!(error.kind(), Kind::Unexpected);
        }
    }
}
