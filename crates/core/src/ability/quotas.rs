//! How much an account may have.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Result;

/// Limits of the account.
#[async_trait]
pub trait Quotas: Debug + Send + Sync {
    /// All known quotas of the configured regions.
    async fn quotas(&self) -> Result<Vec<Quota>>;
}

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Name, in the provider's words.
    pub name: String,
    /// Region; absent if it holds for the whole account.
    pub region: Option<String>,
    /// Most that may be in use.
    pub limit: u64,
    /// In use; absent if the provider does not tell.
    pub used: Option<u64>,
    /// What is counted: `nodes`, `vcpus`, `gpus`.
    pub unit: String,
    /// The types that are counted, in the provider's words; absent: all of them. Whether a quota of
    /// some types forbids an offering is known to the provider alone: its catalog says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
}
