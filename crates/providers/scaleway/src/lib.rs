//! Machines from Scaleway: instances with their addresses and volumes, balancers and DNS.
//!
//! ```text
//!  create ──► POST servers (stopped) ──► flexible IP ──► private networks ──► user data ──► poweron
//!                    │ tags: labels, claim      └─ a replay finds what is stopped and goes on here
//!  delete ──► mark block volumes ──► flexible IPs ──► terminate ──► marked volumes ──► gone
//! ```
//! The API knows zones (`fr-par-1`), a configuration names regions (`fr-par`): a region here is all
//! of its zones, and the id of a node holds its zone, `fr-par-1/11111111-…`.
//! <https://www.scaleway.com/en/developers/api/instances/>

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
mod image;
mod list;
mod node;
mod options;
mod provider;
mod tags;
mod wire;
mod zone;

pub use config::{AddressKind, ScalewayConfig};
pub use options::{PublicAddress, ScalewayOptions, VolumeKind};
pub use provider::ScalewayProvider;

/// The kind of this provider in a configuration.
pub const KIND: &str = "scaleway";
