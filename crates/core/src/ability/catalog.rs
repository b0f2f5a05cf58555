//! What can be bought, where and for how much.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Availability, HourlyPrice, InstanceType, Market, Result};

/// Instance types, prices and availability.
#[async_trait]
pub trait Catalog: Debug + Send + Sync {
    /// All instance types of the configured regions, each once.
    async fn instance_types(&self) -> Result<Vec<InstanceType>>;

    /// Where each type is sold, at which price. Every offering names a type of
    /// [`instance_types`](Self::instance_types).
    async fn offerings(&self) -> Result<Vec<Offering>>;
}

/// A type on sale in one place on one market.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offering {
    /// Name of the instance type.
    pub instance_type: String,
    /// Region.
    pub region: String,
    /// Zone, where the provider has zones.
    pub zone: Option<String>,
    /// On-demand or spot.
    pub market: Market,
    /// The price now; absent if the provider does not tell.
    pub price: Option<HourlyPrice>,
    /// What the provider says about availability.
    pub availability: Availability,
}
