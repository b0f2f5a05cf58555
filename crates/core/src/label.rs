//! Labels, and the ones that we put on every node.

use std::collections::BTreeMap;

/// Names and values on a node; tags on some clouds. Sorted, so that they hash the same everywhere.
pub type Labels = BTreeMap<String, String>;

/// The labels on every node we make: enough to rebuild a lost journal from the clouds alone.
///
/// Keys and values keep to `[a-z0-9-]`, at most 63 characters, which every cloud accepts.
pub mod keys {
    /// Always [`MANAGED_BY_VALUE`] on nodes of ours.
    pub const MANAGED_BY: &str = "managed-by";
    /// The value of [`MANAGED_BY`].
    pub const MANAGED_BY_VALUE: &str = "fleetwright";
    /// The name of the fleet.
    pub const FLEET: &str = "fleetwright-fleet";
    /// The name of the pool.
    pub const POOL: &str = "fleetwright-pool";
    /// The token of the create call that made the node: see [`crate::Token`].
    pub const CLAIM: &str = "fleetwright-claim";
    /// The identity of the journal that made the claim. A node of another journal is never
    /// touched, even if its fleet has the same name.
    pub const JOURNAL: &str = "fleetwright-journal";
    /// A hash of the wish (image, user data, options): nodes of an old generation are outdated.
    pub const GENERATION: &str = "fleetwright-generation";
    /// Who pays or answers for the node, from the configuration.
    pub const OWNER: &str = "fleetwright-owner";
    /// When the node may be removed by anybody, in seconds since 1970.
    pub const EXPIRY: &str = "fleetwright-expiry";
}
