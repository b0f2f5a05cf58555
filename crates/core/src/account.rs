//! What the configuration of a cloud account has in common, whichever cloud it is.

use std::fmt::Debug;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{Clock, Provider, Result, SecretSource};

/// The configuration of one account of one cloud: it checks itself and builds the provider.
///
/// A provider's crate implements this for its configuration; that, a line in the table of kinds
/// and a line in its manifest are all that the rest of Fleetwright needs to know.
pub trait AccountConfig: Debug + Send + Sync {
    /// Checks what the types cannot say. If the message begins with a key in backticks, the reader
    /// is shown that key.
    ///
    /// # Errors
    /// `Config`.
    fn check(&self) -> Result<()>;

    /// Checks the `options` of a pool that may be made here. If the message begins with a key in
    /// backticks, the reader is shown that key.
    ///
    /// # Errors
    /// `Config` or `Invalid`.
    fn check_options(&self, options: &Map<String, Value>) -> Result<()>;

    /// Builds the provider, without calling it and without fetching a secret.
    ///
    /// # Errors
    /// `Config`.
    fn build(&self, name: &str, context: &AccountContext) -> Result<Arc<dyn Provider>>;
}

/// What providers of cloud accounts are built with.
#[derive(Debug, Clone)]
pub struct AccountContext {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where secrets are fetched from.
    pub secrets: Arc<dyn SecretSource>,
}
