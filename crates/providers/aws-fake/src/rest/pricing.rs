//! Pricing: the price list of EC2, as products whose terms are texts within the JSON.

use serde_json::{Map, Value, json};

use crate::answer::{Answer, Refusal};
use crate::catalog::{self, Accelerators, InstanceType};
use crate::request::Request;
use crate::world::World;

/// Regions other than us-east-1 cost a little more, so that a mix-up shows.
const ELSEWHERE_PERCENT: u64 = 110;

/// Windows costs this much more per vCPU and hour in micro-dollars.
const WINDOWS: u64 = 46_000;

/// The answer of Pricing.
pub(super) fn answer(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let body: Value = serde_json::from_str(&request.body).map_err(|e| invalid(&e.to_string()))?;
    if request.action != "GetProducts" {
        return Err(super::unknown("pricing", &request.action));
    }
    if body.get("ServiceCode").and_then(Value::as_str) != Some("AmazonEC2") {
        return Err(invalid(
            "Input Parameters are invalid. Invalid Service Code",
        ));
    }
    let filters: Vec<Filter> = body
        .get("Filters")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(Filter::read)
        .collect();
    let regions: Vec<String> = world.regions.keys().cloned().collect();
    let found: Vec<Product> = regions
        .iter()
        .flat_map(|region| Product::all(region))
        .filter(|product| filters.iter().all(|filter| filter.matches(product)))
        .collect();
    let asked = body.get("MaxResults").and_then(Value::as_u64);
    let asked = asked.and_then(|number| usize::try_from(number).ok());
    let size = super::query::page_size(world, asked, 100, 100);
    let token = body.get("NextToken").and_then(Value::as_str);
    let page = super::query::page(found, token, size, "InvalidNextTokenException")?;
    let items: Vec<String> = page
        .items
        .iter()
        .map(|product| product.item().to_string())
        .collect();
    let mut answer = json!({ "FormatVersion": "aws_v1", "PriceList": items });
    if let Some(next) = page.next {
        answer["NextToken"] = Value::String(next);
    }
    Ok(Answer::json(&answer))
}

/// A condition on an attribute.
struct Filter {
    kind: String,
    field: String,
    value: String,
}

impl Filter {
    fn read(value: &Value) -> Self {
        let text = |name: &str| {
            let text = value.get(name).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        Self {
            kind: text("Type"),
            field: text("Field"),
            value: text("Value"),
        }
    }

    fn matches(&self, product: &Product) -> bool {
        let Some(value) = product.attribute(&self.field) else {
            return false;
        };
        let is_listed = || self.value.split(',').any(|one| one.trim() == value);
        match self.kind.as_str() {
            "CONTAINS" => value.contains(&self.value),
            "ANY_OF" => is_listed(),
            "NONE_OF" => !is_listed(),
            _ => value == self.value,
        }
    }
}

/// One line of the price list.
struct Product {
    sku: String,
    /// In micro-dollars per hour.
    price: u64,
    attributes: Map<String, Value>,
}

impl Product {
    /// What a region sells: each type with each system, tenancy and kind of capacity.
    fn all(region: &str) -> Vec<Self> {
        let mut all = Vec::new();
        for kind in &catalog::TYPES {
            for system in ["Linux", "Windows"] {
                for tenancy in ["Shared", "Dedicated"] {
                    for capacity in ["Used", "UnusedCapacityReservation"] {
                        all.push(Self::new(region, kind, system, tenancy, capacity));
                    }
                }
            }
        }
        all
    }

    fn new(region: &str, kind: &InstanceType, system: &str, tenancy: &str, capacity: &str) -> Self {
        let mut price = kind.price;
        if region != "us-east-1" {
            price = price * ELSEWHERE_PERCENT / 100;
        }
        if system == "Windows" {
            price += WINDOWS * u64::from(kind.vcpus);
        }
        if tenancy == "Dedicated" {
            price = price * 106 / 100;
        }
        let usage = match capacity {
            "Used" => format!("BoxUsage:{}", kind.name),
            _ => format!("UnusedBox:{}", kind.name),
        };
        let memory = f64::from(kind.memory_mib) / 1024.0;
        let mut attributes = Map::new();
        let mut set = |name: &str, value: String| {
            attributes.insert(name.to_owned(), Value::String(value));
        };
        set("servicecode", "AmazonEC2".to_owned());
        set("servicename", "Amazon Elastic Compute Cloud".to_owned());
        set("regionCode", region.to_owned());
        set("location", location(region));
        set("locationType", "AWS Region".to_owned());
        set("instanceType", kind.name.to_owned());
        set("vcpu", kind.vcpus.to_string());
        set("memory", format!("{memory} GiB"));
        set("networkPerformance", kind.network.to_owned());
        set("operatingSystem", system.to_owned());
        set("tenancy", tenancy.to_owned());
        set("capacitystatus", capacity.to_owned());
        set("preInstalledSw", "NA".to_owned());
        set("licenseModel", "No License required".to_owned());
        set("marketoption", "OnDemand".to_owned());
        set("currentGeneration", "Yes".to_owned());
        set("usagetype", usage);
        let operation = match system {
            "Windows" => "RunInstances:0002",
            _ => "RunInstances",
        };
        set("operation", operation.to_owned());
        if let Accelerators::Gpu { count, .. } = kind.accelerators {
            set("gpu", count.to_string());
        }
        let product = format!("{region}/{}/{system}/{tenancy}/{capacity}", kind.name);
        Self {
            sku: sku(&product),
            price,
            attributes,
        }
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        match name {
            "productFamily" => Some("Compute Instance"),
            "termType" => Some("OnDemand"),
            name => self.attributes.get(name)?.as_str(),
        }
    }

    /// The item as AWS writes it.
    fn item(&self) -> Value {
        // The codes of the on-demand term and of the hourly rate are the same everywhere.
        let sku = &self.sku;
        let term = format!("{sku}.JRTCKXETXF");
        let rate = format!("{term}.6YS6EN2CT7");
        let (whole, fraction) = (self.price / 1_000_000, self.price % 1_000_000);
        let attribute = |name: &str| self.attribute(name).unwrap_or_default();
        let description = format!(
            "${whole}.{fraction:06} per On Demand {} {} Instance Hour",
            attribute("operatingSystem"),
            attribute("instanceType")
        );
        let dimension = json!({
            "unit": "Hrs",
            "beginRange": "0",
            "endRange": "Inf",
            "description": description,
            "appliesTo": [],
            "rateCode": rate,
            "pricePerUnit": { "USD": format!("{whole}.{fraction:06}0000") },
        });
        let mut dimensions = Map::new();
        dimensions.insert(rate, dimension);
        let mut terms = Map::new();
        let offer = json!({
            "sku": sku,
            "offerTermCode": "JRTCKXETXF",
            "effectiveDate": "2026-01-01T00:00:00Z",
            "termAttributes": {},
            "priceDimensions": dimensions,
        });
        terms.insert(term, offer);
        json!({
            "serviceCode": "AmazonEC2",
            "version": "20260101000000",
            "publicationDate": "2026-01-01T00:00:00Z",
            "product": {
                "productFamily": "Compute Instance",
                "sku": sku,
                "attributes": self.attributes,
            },
            "terms": { "OnDemand": terms },
        })
    }
}

/// Sixteen letters and digits that differ from product to product.
fn sku(product: &str) -> String {
    // FNV-1a, for want of anything that has to be secure.
    let hash = product
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("{hash:016X}")
}

fn location(region: &str) -> String {
    match region {
        "us-east-1" => "US East (N. Virginia)".to_owned(),
        "us-east-2" => "US East (Ohio)".to_owned(),
        "us-west-2" => "US West (Oregon)".to_owned(),
        "eu-west-1" => "EU (Ireland)".to_owned(),
        "eu-central-1" => "EU (Frankfurt)".to_owned(),
        other => other.to_owned(),
    }
}

fn invalid(message: &str) -> Refusal {
    Refusal::bad("InvalidParameterException", message)
}
