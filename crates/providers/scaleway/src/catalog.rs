//! What can be had, where, for how much, and whether there is some.

use std::collections::BTreeMap;

use async_trait::async_trait;
use fleetwright_core::ability::Offering;
use fleetwright_core::{
    Availability, Catalog, Error, HourlyPrice, InstanceType, Kind, Market, Result,
};
use futures::future::try_join_all;

use crate::wire::{ServerType, Stock};
use crate::{ScalewayProvider, zone};

const MIB: u64 = 1 << 20;

#[async_trait]
impl Catalog for ScalewayProvider {
    async fn instance_types(&self) -> Result<Vec<InstanceType>> {
        let zones = self.zones();
        let types = zones.iter().map(|zone| async {
            let types = self.api().types(zone).await;
            types.complete()
        });
        let mut all = BTreeMap::new();
        for of_zone in try_join_all(types).await? {
            for one in of_zone {
                all.entry(one.name.clone())
                    .or_insert_with(|| instance_type(&one));
            }
        }
        Ok(all.into_values().collect())
    }

    async fn offerings(&self) -> Result<Vec<Offering>> {
        let zones = self.zones();
        let offers = zones.iter().map(|zone| async move {
            let types = self.api().types(zone).await.complete()?;
            let stocks = self.api().stocks(zone).await.complete()?;
            offerings(zone, &types, &stocks)
        });
        Ok(try_join_all(offers).await?.concat())
    }
}

fn instance_type(from: &ServerType) -> InstanceType {
    let gpus = from.gpu.unwrap_or(0);
    let info = from.gpu_info.as_ref().filter(|_| gpus > 0);
    // A type with GPUs that are not described is named after itself: `H100-1-80G`.
    let model = info.map_or_else(
        || from.name.clone(),
        |info| format!("{} {}", info.manufacturer, info.name),
    );
    InstanceType {
        name: from.name.clone(),
        vcpus: from.ncpus,
        memory_mib: from.ram / MIB,
        architecture: from.arch.clone(),
        gpus,
        gpu_model: (gpus > 0).then_some(model),
        gpu_memory_mib: info.map(|info| info.memory / MIB).filter(|mib| *mib > 0),
    }
}

fn offerings(zone: &str, types: &[ServerType], stocks: &[Stock]) -> Result<Vec<Offering>> {
    let stocks: BTreeMap<&str, &str> = stocks
        .iter()
        .map(|stock| (&*stock.name, &*stock.availability))
        .collect();
    types
        .iter()
        // "True if this Instance type has reached end of service."
        .filter(|one| !one.end_of_service)
        .map(|one| {
            Ok(Offering {
                instance_type: one.name.clone(),
                region: zone::region_of(zone).unwrap_or(zone).to_owned(),
                zone: Some(zone.to_owned()),
                market: Market::OnDemand,
                price: Some(price(one)?),
                availability: availability(stocks.get(&*one.name).copied()),
            })
        })
        .collect()
}

/// Of `available`, `scarce` and `shortage`, only the last is a no.
/// <https://www.scaleway.com/en/developers/api/instances/#path-instance-types-get-availability>
fn availability(word: Option<&str>) -> Availability {
    match word {
        Some("available" | "scarce") => Availability::Available,
        Some("shortage") => Availability::SoldOut { until: None },
        // Not mentioned, or in a word that we do not know.
        _ => Availability::Unknown,
    }
}

/// "Hourly price, in Euro." An instance is billed by the minute.
/// <https://www.scaleway.com/en/pricing/virtual-instances/>
fn price(one: &ServerType) -> Result<HourlyPrice> {
    // Six decimals are what we count in, and more than the vendor gives.
    format!("€{:.6}", one.hourly_price)
        .parse()
        .map_err(|error: Error| {
            Error::new(
                Kind::Unexpected,
                format!("the price of `{}` cannot be read", one.name),
            )
            .with_effect(fleetwright_core::Effect::None)
            .with_source(error)
        })
}
