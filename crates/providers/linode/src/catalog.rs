//! Types, prices and what can be had where.
//!
//! ```text
//!  /linode/types ───────────► vCPUs, memory, GPUs, price, prices of regions
//!  /regions ────────────────► what a region can do at all (GPUs, premium plans), outages
//!  /regions/availability ───► plans that a region has sold out
//!  /account/availability ───► regions that this account may not use
//! ```

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use fleetwright_core::ability::Offering;
use fleetwright_core::{
    Availability, Catalog, Error, HourlyPrice, InstanceType, Kind, Market as Bought, Result,
};
use futures::try_join;
use serde_json::Number;

use crate::provider::LinodeProvider;
use crate::wire::{AccountAvailability, Plan, PlanAvailability, Region};

/// The plans' service, as regions and accounts call it.
const SERVICE: &str = "Linodes";

/// Classes of plans that only some regions have, and what such regions say they can do.
const CLASSES: [(&str, &str); 3] = [
    ("gpu", "GPU Linodes"),
    ("premium", "Premium Plans"),
    ("accelerated", "NETINT Quadra T1U"),
];

/// GPUs by a part of the plan's id: model and memory of one in MiB.
/// <https://techdocs.akamai.com/cloud-computing/docs/gpu-compute-instances>
const GPUS: [(&str, &str, u64); 3] = [
    ("rtxpro6000", "NVIDIA RTX PRO 6000 Blackwell", 98_304),
    ("rtx4000a", "NVIDIA RTX 4000 Ada Generation", 20_480),
    ("rtx6000", "NVIDIA Quadro RTX 6000", 24_576),
];

/// All that is sold, and where.
#[derive(Debug)]
pub(crate) struct Market {
    pub(crate) plans: Vec<Plan>,
    pub(crate) regions: HashMap<String, Region>,
    availability: HashMap<(String, String), bool>,
    closed: HashSet<String>,
}

impl Market {
    /// Whether a region has a plan, and whether it is to be had now; `None` if the region has none
    /// of its class.
    pub(crate) fn availability(&self, plan: &Plan, region: &str) -> Option<Availability> {
        let known = self.regions.get(region)?;
        let can = |what: &str| known.capabilities.iter().any(|has| has == what);
        let class = CLASSES.iter().find(|(class, _)| plan.class == *class);
        if !can(SERVICE) || class.is_some_and(|(_, capability)| !can(capability)) {
            return None;
        }
        let key = (region.to_owned(), plan.id.clone());
        let sold_out = self.availability.get(&key) == Some(&false);
        if sold_out || known.status == "outage" || self.closed.contains(region) {
            return Some(Availability::SoldOut { until: None });
        }
        // Only "select premium and GPU plans" are listed; what is not listed is for everybody.
        Some(Availability::Available)
    }
}

impl LinodeProvider {
    pub(crate) async fn read_market(&self) -> Result<Arc<Market>> {
        let read = Box::pin(async {
            let api = self.api();
            let (plans, regions, availability, account) = try_join!(
                api.all::<Plan>(&["linode", "types"], None),
                api.all::<Region>(&["regions"], None),
                api.all::<PlanAvailability>(&["regions", "availability"], None),
                api.all::<AccountAvailability>(&["account", "availability"], None),
            )?;
            Ok(Market {
                plans,
                regions: regions.into_iter().map(|r| (r.id.clone(), r)).collect(),
                availability: availability
                    .into_iter()
                    .filter_map(|a| Some(((a.region, a.plan?), a.available)))
                    .collect(),
                closed: account
                    .into_iter()
                    .filter(|a| a.unavailable.iter().any(|service| service == SERVICE))
                    .map(|a| a.region)
                    .collect(),
            })
        });
        self.market()
            .or_read(self.clock().now(), self.catalog_age(), read)
            .await
    }
}

#[async_trait]
impl Catalog for LinodeProvider {
    async fn instance_types(&self) -> Result<Vec<InstanceType>> {
        let market = self.read_market().await?;
        let regions = &self.config().regions;
        let is_sold = |plan: &&Plan| {
            regions
                .iter()
                .any(|region| market.availability(plan, region).is_some())
        };
        Ok(market
            .plans
            .iter()
            .filter(is_sold)
            .map(instance_type)
            .collect())
    }

    async fn offerings(&self) -> Result<Vec<Offering>> {
        let market = self.read_market().await?;
        let mut offerings = Vec::new();
        for plan in &market.plans {
            for region in &self.config().regions {
                let Some(availability) = market.availability(plan, region) else {
                    continue;
                };
                offerings.push(Offering {
                    instance_type: plan.id.clone(),
                    region: region.clone(),
                    zone: None,
                    market: Bought::OnDemand,
                    price: price(plan, region)?,
                    availability,
                });
            }
        }
        Ok(offerings)
    }
}

fn instance_type(plan: &Plan) -> InstanceType {
    let (gpu_model, gpu_memory_mib) = match plan.gpus {
        0 => (None, None),
        _ => gpu(plan),
    };
    InstanceType {
        name: plan.id.clone(),
        vcpus: plan.vcpus,
        memory_mib: plan.memory,
        architecture: "x86_64".to_owned(),
        gpus: plan.gpus,
        gpu_model,
        gpu_memory_mib,
    }
}

/// Model and memory of one GPU. The API does not tell; the id does, and the label at least names
/// one that we do not know: `Dedicated 32GB + RTX6000 GPU x1`.
fn gpu(plan: &Plan) -> (Option<String>, Option<u64>) {
    let letters = plan.id.replace('-', "");
    if let Some((_, model, memory)) = GPUS.iter().find(|(part, ..)| letters.contains(part)) {
        return (Some((*model).to_owned()), Some(*memory));
    }
    let named = plan
        .label
        .split_once('+')
        .map_or(&*plan.label, |(_, gpu)| gpu);
    let named = named.split(" GPU").next().unwrap_or(named).trim();
    (Some(named.to_owned()), None)
}

/// What a plan costs in a region: its own price there, or the common one. Linode bills by started
/// hours, up to the monthly price.
/// <https://techdocs.akamai.com/cloud-computing/docs/understanding-how-billing-works>
fn price(plan: &Plan, region: &str) -> Result<Option<HourlyPrice>> {
    let own = plan.region_prices.iter().find(|price| price.id == region);
    let hourly = match own {
        Some(price) => &price.hourly,
        None => &plan.price.hourly,
    };
    hourly
        .as_ref()
        .map(|number| dollars(number, &plan.id))
        .transpose()
}

/// The number as it was written: a float never comes between.
fn dollars(number: &Number, plan: &str) -> Result<HourlyPrice> {
    let text = number.to_string();
    let cut = match text.split_once('.') {
        Some((whole, fraction)) if fraction.len() > 6 => format!("{whole}.{}", &fraction[..6]),
        _ => text.clone(),
    };
    cut.parse().map_err(|error: Error| {
        Error::new(Kind::Unexpected, format!("`{text}` is not a price"))
            .with_context("type", plan.to_owned())
            .with_source(error)
    })
}

/// A plan as a type, and its price in a region, for the recorded sessions.
#[cfg(test)]
pub(crate) fn judged(plan: &Plan, region: &str) -> (InstanceType, Result<Option<HourlyPrice>>) {
    (instance_type(plan), price(plan, region))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan(id: &str, label: &str, gpus: u32, hourly: &str) -> Plan {
        let hourly: serde_json::Value = serde_json::from_str(hourly).unwrap();
        serde_json::from_value(json!({
            "id": id, "label": label, "class": "gpu", "vcpus": 8, "memory": 32768, "gpus": gpus,
            "price": { "hourly": hourly, "monthly": 1.0 },
            "region_prices": [
                { "id": "br-gru", "hourly": 11.612, "monthly": 1.0 },
                { "id": "id-cgk", "hourly": null, "monthly": null },
            ],
        }))
        .unwrap()
    }

    #[test]
    fn gpus_have_a_model_and_unknown_ones_keep_their_name() {
        for (id, label, model, memory) in [
            (
                "g1-gpu-rtx6000-1",
                "Dedicated 32GB + RTX6000 GPU x1",
                "NVIDIA Quadro RTX 6000",
                Some(24_576),
            ),
            (
                "g2-gpu-rtx4000a1-s",
                "RTX4000 Ada x1 Small",
                "NVIDIA RTX 4000 Ada Generation",
                Some(20_480),
            ),
            ("g9-gpu-b300-8", "Dedicated 2TB + B300 GPU x8", "B300", None),
        ] {
            let found = gpu(&plan(id, label, 1, "1.5"));
            assert_eq!(found, (Some(model.to_owned()), memory), "{id}");
        }
    }

    #[test]
    fn prices_are_exact_and_a_region_may_have_its_own() {
        let plan = plan("g7-premium-64", "Premium 512GB", 0, "0.0075");
        let micros = |region| price(&plan, region).unwrap().map(|p| p.micros_per_hour);
        assert_eq!(micros("us-east"), Some(7_500));
        assert_eq!(micros("br-gru"), Some(11_612_000));
        assert_eq!(micros("id-cgk"), None);
    }
}
