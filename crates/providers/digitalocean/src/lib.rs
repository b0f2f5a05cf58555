//! Machines from DigitalOcean: droplets, with GPUs where the size has them, load balancers and
//! domains.
//!
//! ```text
//!  create ──► replay? list what carries the token ──► keys, network, firewalls ──► POST /droplets
//!  list   ──► droplets and GPU droplets, every page ──► only ours, by tag
//!  delete ──► is it in its region? ──► DELETE /droplets/{id} ──► again until it is gone
//! ```
//! DigitalOcean takes no token for a request, so the token is a tag. Tags are not asked for by
//! `tag_name`: that leaves GPU droplets out and "can not be combined with `type`". So listings read
//! all droplets of both types and choose here.
//!
//! What the answers mean stands in one table, `error.rs`. With the feature `testing` comes a fake
//! of the API.

mod api;
mod balancers;
mod catalog;
mod config;
mod create;
mod delete;
mod dns;
mod error;
#[cfg(feature = "testing")]
pub mod fake;
mod list;
mod node;
mod options;
mod prepare;
mod provider;
mod requests;
mod wire;

pub use config::{AddressKind, DigitalOceanConfig};
pub use options::DigitalOceanOptions;
pub use provider::DigitalOceanProvider;

/// The kind of this provider in a configuration.
pub const KIND: &str = "digitalocean";
