//! What the simulated cloud sells.

use async_trait::async_trait;
use fleetwright_core::ability::Offering;
use fleetwright_core::{Catalog, InstanceType, Operation, Result};

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
            let mut offerings = config.offerings();
            if config.tells_availability {
                for offering in &mut offerings {
                    let Some(sold) = config.instance_type(&offering.instance_type) else {
                        continue;
                    };
                    let wish = Wish {
                        region: &offering.region,
                        zone: offering.zone.as_deref(),
                        sold,
                        market: offering.market,
                        count: 1,
                    };
                    offering.availability =
                        capacity::availability(step.state(), config, step.now(), wish);
                }
            }
            Ok(offerings)
        })
        .await
    }
}
