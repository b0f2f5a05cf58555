//! Machines from AWS: instances, fleets and Auto Scaling groups, on the official SDK.
//!
//! ```text
//!  create ──► options.launch ──► run         RunInstances, token = claim
//!                            ├─► fleet       CreateFleet (instant, request, maintain)
//!                            ├─► spot-fleet  RequestSpotFleet, found again by its tag
//!                            └─► group       an Auto Scaling group, named after the token
//! ```
//! The SDK's own retries are switched off: the engine's guard is the one place that retries. What
//! EC2's answers mean stands in one table, `error.rs`.

mod ahead;
mod api;
mod balancers;
mod batch;
mod catalog;
mod config;
mod delete;
mod dns;
mod error;
mod groups;
mod image;
mod interruptions;
mod keeper;
mod launch;
mod list;
mod memory;
mod narrow;
mod node;
mod options;
mod prices;
mod provider;
mod quotas;
mod recent;
mod remembered;
mod requests;
mod subnet;
mod trim;
mod waivers;

pub use api::{ACTIONS, StaticCredentials};
pub use config::{AddressKind, AwsConfig, PriceSource};
pub use options::{
    AwsOptions, FleetType, InstanceMetadata, Launch, OnDemandAllocation, RootVolume, SpotAllocation,
};
pub use prices::price_table_date;
pub use provider::AwsProvider;
pub use waivers::{WAIVERS, Waiver};

/// The kind of this provider in a configuration.
pub const KIND: &str = "aws";
