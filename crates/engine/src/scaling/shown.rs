//! The sizes of pools for whoever wants to see them.

use fleetwright_core::{Result, SizeRecord, SizedBy};
use serde::Serialize;

use crate::{Engine, Observation};

/// How large a pool shall be, and who says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolSize {
    /// The pool.
    pub pool: String,
    /// Machines wanted now.
    pub size: u32,
    /// Machines that the configuration says.
    pub configured: u32,
    /// Fewest machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<u32>,
    /// Most machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// Whether it has a policy.
    pub has_policy: bool,
    /// The decision that is in force; absent: it is as configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided: Option<SizeRecord>,
}

impl Engine {
    /// The sizes of all pools of the configuration, as the journal knows them.
    ///
    /// # Errors
    /// Only from the journal.
    pub async fn sizes(&self) -> Result<Vec<PoolSize>> {
        let records = self.store.sizes().await?;
        let mut known = Observation {
            at: self.clock.now(),
            ..Observation::default()
        };
        self.fill_sizes(&mut known, &records);
        Ok(self
            .fleet
            .pools
            .iter()
            .map(|(name, pool)| PoolSize {
                pool: name.clone(),
                size: known.wanted(name, pool),
                configured: pool.desired,
                min: pool.min,
                max: pool.max,
                has_policy: pool.scaling.is_some(),
                decided: records
                    .iter()
                    .find(|record| record.pool == *name && known.sizes.contains_key(name))
                    .cloned(),
            })
            .collect())
    }
}

impl PoolSize {
    /// Who decides, in a word: `configuration`, `policy` or `hand`.
    pub fn decided_by(&self) -> &'static str {
        match self.decided.as_ref().map(|record| record.by) {
            None => "configuration",
            Some(SizedBy::Policy) => "policy",
            Some(SizedBy::Hand) => "hand",
        }
    }
}
