//! Machines from Lambda Cloud: GPU instances, found again by their tags.
//!
//! ```text
//!  create ──► key, image, firewall by name ──► POST launch, token in a tag
//!  list   ──► GET instances, all regions in one answer
//!  delete ──► GET instance ──► POST terminate
//! ```
//! Against the official description 1.8.3: <https://docs.lambda.ai/api/cloud>. What a refusal means
//! stands in one table, `error.rs`.

mod api;
mod catalog;
mod config;
mod create;
mod error;
#[cfg(feature = "testing")]
pub mod fake;
mod node;
mod options;
mod provider;
mod requests;

pub use config::LambdaConfig;
pub use options::LambdaOptions;
pub use provider::LambdaProvider;

/// The kind of this provider in a configuration.
pub const KIND: &str = "lambda";
