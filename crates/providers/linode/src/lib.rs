//! Machines from Linode (Akamai Cloud): instances, NodeBalancers and domains.
//!
//! ```text
//!  create ──► replay? list by tag `fwc:<token>` ──► POST what is missing, one call per machine
//!                                                       └─ "Label must be unique" ──► whose is it?
//! ```
//! Linode takes no token, so the token is a tag of every machine. Besides, labels (names) are
//! unique in an account: a machine that was made by a call whose answer was lost cannot be made
//! twice, even if no listing shows it yet.
//!
//! What Linode's answers mean stands in one table, `error.rs`.

mod api;
mod balancers;
mod catalog;
mod config;
mod create;
mod dns;
mod error;
#[cfg(feature = "testing")]
pub mod fake;
mod image;
mod list;
mod node;
mod options;
mod provider;
mod recent;
#[cfg(test)]
mod recorded;
mod requests;
mod tags;
mod wire;

pub use config::{AddressKind, LinodeConfig};
pub use options::LinodeOptions;
pub use provider::LinodeProvider;

/// The kind of this provider in a configuration.
pub const KIND: &str = "linode";

/// Cases of the behavior suite that Linode cannot pass, each with its reason.
pub const WAIVERS: &[(&str, &str)] = &[(
    "a_record_is_replaced_whole",
    "the case asks for a time to live of 60 s, and Linode's shortest is 300 s; the same with times \
     that Linode knows is tested apart",
)];
