//! The configuration of a simulated cloud: what it sells, how fast it is and how it fails.
//!
//! The defaults make a small, friendly cloud: two regions, eight instance types, no faults, no
//! limits, exact listings. Each misbehavior is switched on by one field.

mod check;
mod defaults;

use std::path::PathBuf;

use fleetwright_core::ability::Offering;
use fleetwright_core::{
    ApiLimit, Availability, HourlyPrice, Idempotency, InstanceType, Market, Operation, Span,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Configuration of a provider of kind `sim`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SimConfig {
    /// File that the world lives in. Providers and processes with the same file see the same
    /// cloud. Default: a file in the state directory, named after the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub world: Option<PathBuf>,
    /// Decides which machine fails and which answer is lost. The same seed and the same calls give
    /// the same history. Default: 1.
    pub seed: u64,
    /// Regions and their zones. Default: `sim-east` with three zones, `sim-west` with two.
    pub regions: Vec<SimRegion>,
    /// What is sold, everywhere. Default: four types without GPU, four with T4, L4, A100, H100.
    pub types: Vec<SimType>,
    /// How a create call is made exactly once. Default: `native-token`.
    pub idempotency: Idempotency,
    /// How long a call takes, there and back. Default: 20ms.
    pub latency: Span,
    /// From creation to the state `running`. Default: 2s.
    pub boot_time: Span,
    /// From `running` to the end of the boot script, if there is one. Default: 1s.
    pub script_time: Span,
    /// From the request to delete to the state `deleted`. Default: 1s.
    pub delete_time: Span,
    /// How long, at most, a new node may be missing from lists and lookups, and a deleted one be
    /// shown as if nothing had happened. Default: 0s.
    pub listing_lag: Span,
    /// Most nodes in one page of a listing. Default: 1000.
    pub page_size: u32,
    /// Most machines in one create call. Default: 1000.
    pub batch: u32,
    /// Token buckets that the cloud enforces: whoever asks too often is answered `rate-limited`
    /// with the time to wait. Default: none.
    pub api_limits: Vec<ApiLimit>,
    /// When and where machines are scarce. Default: never.
    pub capacity: Vec<SimCapacity>,
    /// Whether the catalog tells what is sold out. Most clouds do not. Default: false.
    pub tells_availability: bool,
    /// How much the account may have. Default: no limit.
    pub quota: Vec<SimQuota>,
    /// Longest user data, in bytes. Default: 16384.
    pub user_data_limit: usize,
    /// Whether nodes report what became of their boot script. Default: true.
    pub reports_boot: bool,
    /// How many of 1000 machines fail to boot, whatever their script says. A script with a line
    /// `exit <n>` fails with that status, unless it is 0. Default: 0.
    pub boot_failures: u16,
    /// How calls fail. Default: not at all.
    pub faults: SimFaults,
    /// Regions that cannot be listed. Default: none.
    pub broken_listings: Vec<String>,
    /// When spot machines are taken back. Default: never.
    pub reclaims: Vec<SimReclaim>,
    /// How long a group takes to replace a lost member. Default: 5s.
    pub heal_time: Span,
    /// Load balancers that exist. Default: `web`.
    pub balancers: Vec<String>,
    /// How long a balancer takes to judge a new member. Default: 1s.
    pub health_time: Span,
    /// How long a member stays in `draining`. Default: 2s.
    pub drain_time: Span,
    /// DNS zones that exist. Default: `sim.test`.
    pub dns_zones: Vec<String>,
}

/// A region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SimRegion {
    /// Name, e.g. `sim-east`.
    pub name: String,
    /// Names of its zones, e.g. `sim-east-a`. At least one.
    pub zones: Vec<String>,
}

/// An instance type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SimType {
    /// Name, e.g. `sim.small`.
    pub name: String,
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// CPU architecture. Default: `x86_64`.
    #[serde(default = "defaults::architecture")]
    pub architecture: String,
    /// Number of GPUs. Default: 0.
    #[serde(default)]
    pub gpus: u32,
    /// GPU model. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_model: Option<String>,
    /// Memory of one GPU, in MiB. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_memory_mib: Option<u64>,
    /// The regions that it is sold in. Default: all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// Price on demand, e.g. `$0.25/h`.
    #[serde(with = "defaults::price")]
    #[schemars(with = "String")]
    pub price: HourlyPrice,
    /// Price on the spot market. Default: 35 % of the price.
    #[serde(
        default,
        with = "defaults::optional_price",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub spot_price: Option<HourlyPrice>,
}

/// A time during which machines are scarce: while it lasts, no machine is made that would bring
/// the number of live machines which match above `count`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SimCapacity {
    /// Only in this region. Default: everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Only in this zone. Default: in all zones taken together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Only this type. Default: all types taken together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// Only this market. Default: both taken together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub market: Option<Market>,
    /// From when, counted from the beginning of the world. Default: from the beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Span>,
    /// Until when, counted from the beginning of the world. Default: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Span>,
    /// Most machines; 0: sold out. Default: 0.
    pub count: u32,
}

/// A limit of the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SimQuota {
    /// What is counted.
    pub unit: QuotaUnit,
    /// The region it holds for. Default: the whole account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Most that may be in use.
    pub limit: u64,
}

/// What a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum QuotaUnit {
    /// Machines.
    Nodes,
    /// Virtual CPUs.
    Vcpus,
    /// GPUs.
    Gpus,
}

/// How many of 1000 calls fail, and how. Which ones follows from the seed and the number of the
/// call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SimFaults {
    /// Refused as busy; nothing happened. Default: 0.
    pub refused: u16,
    /// No answer; nothing happened. Default: 0.
    pub lost_before: u16,
    /// No answer, but it happened. Default: 0.
    pub lost_after: u16,
    /// An answer that cannot be understood; it happened. Default: 0.
    pub garbage: u16,
    /// Throttled, whatever the buckets say. Default: 0.
    pub throttled: u16,
    /// The credentials have expired. Default: 0.
    pub auth_expired: u16,
    /// The credentials may not do this. Default: 0.
    pub forbidden: u16,
    /// Only calls of these kinds fail. Default: all kinds. A failing page of a listing leaves a
    /// gap: the pages before it are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations: Option<Vec<Operation>>,
}

/// A time at which spot machines are taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SimReclaim {
    /// Only in this region. Default: everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Only in this zone. Default: in all zones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// When the notice is given, counted from the beginning of the world.
    pub at: Span,
    /// From the notice to the end. Default: 2m.
    #[serde(default = "defaults::notice")]
    pub notice: Span,
    /// How many, oldest first. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

impl SimRegion {
    /// A region with its zones.
    pub fn new(name: &str, zones: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            zones: zones.iter().map(|&zone| zone.to_owned()).collect(),
        }
    }
}

impl SimType {
    /// The type in the words of the catalog.
    pub fn instance_type(&self) -> InstanceType {
        InstanceType {
            name: self.name.clone(),
            vcpus: self.vcpus,
            memory_mib: self.memory_mib,
            architecture: self.architecture.clone(),
            gpus: self.gpus,
            gpu_model: self.gpu_model.clone(),
            gpu_memory_mib: self.gpu_memory_mib,
        }
    }

    /// Whether it is sold in a region.
    pub fn is_sold_in(&self, region: &str) -> bool {
        self.regions.is_empty() || self.regions.iter().any(|name| name == region)
    }

    /// What it costs on a market.
    pub fn price_on(&self, market: Market) -> HourlyPrice {
        match market {
            Market::OnDemand => self.price,
            Market::Spot => self.spot_price.unwrap_or(HourlyPrice {
                micros_per_hour: self.price.micros_per_hour.saturating_mul(35) / 100,
                ..self.price
            }),
        }
    }
}

impl SimConfig {
    /// Everything on sale, with the availability unknown.
    pub fn offerings(&self) -> Vec<Offering> {
        let mut offerings = Vec::new();
        for region in &self.regions {
            for zone in &region.zones {
                let here = |sold: &&SimType| sold.is_sold_in(&region.name);
                for sold in self.types.iter().filter(here) {
                    for market in [Market::OnDemand, Market::Spot] {
                        offerings.push(Offering {
                            instance_type: sold.name.clone(),
                            region: region.name.clone(),
                            zone: Some(zone.clone()),
                            market,
                            price: Some(sold.price_on(market)),
                            availability: Availability::Unknown,
                        });
                    }
                }
            }
        }
        offerings
    }

    /// A region by its name.
    pub fn region(&self, name: &str) -> Option<&SimRegion> {
        self.regions.iter().find(|region| region.name == name)
    }

    /// A type by its name.
    pub fn instance_type(&self, name: &str) -> Option<&SimType> {
        self.types.iter().find(|sold| sold.name == name)
    }
}
