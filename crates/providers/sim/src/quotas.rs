//! How much the simulated account may have.

use async_trait::async_trait;
use fleetwright_core::ability::Quota;
use fleetwright_core::{Operation, Quotas, Result};

use crate::error;
use crate::provider::SimProvider;
use crate::world::capacity;

#[async_trait]
impl Quotas for SimProvider {
    async fn quotas(&self) -> Result<Vec<Quota>> {
        self.ask(Operation::Catalog, None, |step| {
            let config = step.config();
            Ok(config
                .quota
                .iter()
                .chain(&step.state().quota)
                .map(|quota| Quota {
                    name: format!("simulated {}", error::unit_name(quota.unit)),
                    region: quota.region.clone(),
                    limit: quota.limit,
                    used: Some(capacity::used(step.state(), config, step.now(), quota)),
                    unit: error::unit_name(quota.unit).to_owned(),
                    family: None,
                })
                .collect())
        })
        .await
    }
}
