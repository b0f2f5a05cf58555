//! What the simulated cloud sells.

use async_trait::async_trait;
use fleetwright_core::ability::Offering;
use fleetwright_core::{Availability, Catalog, InstanceType, Market, Operation, Result};

use crate::provider::SimProvider;
use crate::world::capacity::{self, Wish};

#[async_trait]
impl Catalog for SimProvider {
    async fn instance_types(&self) -> Result<Vec<InstanceType>> {
        self.ask(Operation::Catalog, None, |step| {
            Ok(step
                .config()
                .types
                .iter()
                .map(crate::SimType::instance_type)
                .collect())
        })
        .await
    }

    async fn offerings(&self) -> Result<Vec<Offering>> {
        self.ask(Operation::Catalog, None, |step| {
            let config = step.config();
            let mut offerings = Vec::new();
            for region in &config.regions {
                for zone in &region.zones {
                    for sold in &config.types {
                        for market in [Market::OnDemand, Market::Spot] {
                            let wish = Wish {
                                region: &region.name,
                                zone: Some(zone),
                                sold,
                                market,
                                count: 1,
                            };
                            offerings.push(Offering {
                                instance_type: sold.name.clone(),
                                region: region.name.clone(),
                                zone: Some(zone.clone()),
                                market,
                                price: Some(sold.price_on(market)),
                                availability: if config.tells_availability {
                                    capacity::availability(step.state(), config, step.now(), wish)
                                } else {
                                    Availability::Unknown
                                },
                            });
                        }
                    }
                }
            }
            Ok(offerings)
        })
        .await
    }
}
