//! The fleet: pools, and what holds for all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwright_core::{Fingerprint, Labels, NodeSpec, Pool, fingerprint, keys};
use serde::Serialize;

/// Everything that is wanted.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Fleet {
    /// Name, on every node's label.
    pub name: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The pools by name.
    pub pools: BTreeMap<String, Pool>,
    /// Public keys that may log in to every node.
    pub ssh_keys: Vec<String>,
    /// What the engine may not do.
    pub safety: Safety,
}

/// Limits to what the engine does on its own.
#[derive(Debug, Clone, Serialize)]
pub struct Safety {
    /// A plan that removes more than this share of the nodes is reported, not executed.
    pub max_removal_percent: u8,
    /// A node younger than this is never judged to be without a record.
    pub age_floor: Duration,
}

impl Default for Safety {
    fn default() -> Self {
        Self {
            max_removal_percent: 30,
            age_floor: Duration::from_secs(30),
        }
    }
}

impl Fleet {
    /// The hash of the wish; a plan made for another wish is stale.
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(&(&self.name, &self.owner, &self.pools, &self.ssh_keys))
    }

    /// What a node of a pool is made from; place and type come from the offer.
    pub fn node_spec(&self, name: &str, pool: &Pool, journal: &str) -> NodeSpec {
        let mut labels = pool.labels.clone();
        labels.extend(self.owned_labels(journal));
        labels.insert(keys::POOL.into(), name.to_owned());
        labels.insert(
            keys::GENERATION.into(),
            pool.generation().short().to_owned(),
        );
        if let Some(owner) = &self.owner {
            labels.insert(keys::OWNER.into(), owner.clone());
        }
        // At most 44, so that claim and ordinal still fit into a host name's 63 characters.
        let base: String = format!("{}-{name}", self.name).chars().take(44).collect();
        NodeSpec {
            name: base.trim_end_matches('-').to_owned(),
            instance_type: String::new(),
            image: pool.image.clone(),
            region: String::new(),
            zone: None,
            market: fleetwright_core::Market::default(),
            ssh_keys: self
                .ssh_keys
                .iter()
                .chain(&pool.ssh_keys)
                .cloned()
                .collect(),
            // A pool whose timer cannot be put in is not made at all: the planner sees to that.
            user_data: pool.first_boot().unwrap_or_else(|_| pool.user_data.clone()),
            labels,
            options: pool.options.clone(),
        }
    }

    /// The labels that say that a node belongs to this fleet and this journal.
    pub fn owned_labels(&self, journal: &str) -> Labels {
        let mut labels = self.listed_labels();
        labels.insert(keys::JOURNAL.into(), journal.to_owned());
        labels
    }

    /// The labels that a listing asks for: also shows fleets of the same name of other journals.
    pub fn listed_labels(&self) -> Labels {
        Labels::from([
            (keys::MANAGED_BY.into(), keys::MANAGED_BY_VALUE.into()),
            (keys::FLEET.into(), self.name.clone()),
        ])
    }
}
