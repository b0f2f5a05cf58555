//! Servers from Hetzner Cloud.
//!
//! ```text
//!  create ──► POST servers, one call per machine, token in a label
//!  list   ──► GET servers with these labels, every page
//!  delete ──► GET server ──► DELETE server
//! ```
//! What a refusal means stands in one table, `error.rs`.

mod api;
mod catalog;
mod config;
mod create;
mod error;
#[cfg(feature = "testing")]
pub mod fake;
mod node;
mod provider;

pub use config::{HetznerConfig, HetznerOptions};
pub use provider::HetznerProvider;

/// The kind of this provider in a configuration.
pub const KIND: &str = "hetzner";
