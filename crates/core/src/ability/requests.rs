//! Asking about a create request without making it, and giving one up.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::{CreateRequest, Result};

/// What a cloud can do about a create request besides fulfilling it.
///
/// Clouds where something else makes the machines, some time after the call (fleets, groups), must
/// have it: there, "no machine of it is listed" does not mean that none will come.
#[async_trait]
pub trait Requests: Debug + Send + Sync {
    /// Asks whether the cloud would take this request, without making anything.
    ///
    /// # Errors
    /// What the request would be refused with. Capacity is not asked for: only a real request
    /// tells whether there is some.
    async fn preflight(&self, request: &CreateRequest) -> Result<()>;

    /// Gives a request up that may have been sent: from its answer on, no further machine comes of
    /// it. Those that exist stay, and are listed. A request that was never sent is fine.
    async fn give_up(&self, request: &CreateRequest) -> Result<()>;
}
