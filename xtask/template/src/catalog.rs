//! Types, prices, and which regions have some at the moment.

use async_trait::async_trait;
use fleetwright_core::ability::Offering;
use fleetwright_core::{Availability, Catalog, InstanceType, Market, Result};

use crate::TemplateProvider;

#[async_trait]
impl Catalog for TemplateProvider {
    async fn instance_types(&self) -> Result<Vec<InstanceType>> {
        let types = self.api.types().await?;
        Ok(types
            .into_iter()
            .map(|from| InstanceType {
                name: from.name,
                vcpus: from.cores,
                memory_mib: from.memory_gib.saturating_mul(1024),
                architecture: "x86_64".to_owned(),
                gpus: 0,
                gpu_model: None,
                gpu_memory_mib: None,
            })
            .collect())
    }

    async fn offerings(&self) -> Result<Vec<Offering>> {
        let mut offerings = Vec::new();
        for from in self.api.types().await? {
            for (region, price) in &from.prices {
                if !self.info.regions.contains(region) {
                    continue;
                }
                let has_some = from.available.contains(region);
                offerings.push(Offering {
                    instance_type: from.name.clone(),
                    region: region.clone(),
                    zone: None,
                    market: Market::OnDemand,
                    price: Some(price.parse()?),
                    availability: if has_some {
                        Availability::Available
                    } else {
                        Availability::SoldOut { until: None }
                    },
                });
            }
        }
        Ok(offerings)
    }
}
