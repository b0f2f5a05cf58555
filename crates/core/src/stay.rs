//! What accounting has to know about a node: far less than its record holds.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{HourlyPrice, Market, NodeId, NodeRecord, Tenure, Token, keys};

/// When a node was there, at which price, and whose it was.
///
/// Reads from the JSON of a [`NodeRecord`] and skips what it does not need, so that many nodes are
/// read quickly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stay {
    /// Which node.
    pub id: NodeId,
    /// The pool it belongs to.
    pub pool: String,
    /// The token of the call that made it.
    #[serde(default)]
    pub token: Option<Token>,
    /// Instance type.
    pub instance_type: String,
    /// On-demand or spot.
    pub market: Market,
    /// The price that was frozen when it was asked for; absent if unknown.
    #[serde(default)]
    pub price: Option<HourlyPrice>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was confirmed gone.
    pub gone_at: Option<Timestamp>,
    /// How long it may run.
    #[serde(default)]
    pub tenure: Tenure,
    /// The labels that matter.
    #[serde(default)]
    pub labels: StayLabels,
}

/// The labels that accounting looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StayLabels {
    /// Who answers for the node: the label [`keys::OWNER`].
    #[serde(default, rename = "fleetwright-owner")]
    pub owner: Option<String>,
}

impl From<&NodeRecord> for Stay {
    fn from(record: &NodeRecord) -> Self {
        Self {
            id: record.id.clone(),
            pool: record.pool.clone(),
            token: record.token.clone(),
            instance_type: record.instance_type.clone(),
            market: record.market,
            price: record.price,
            created_at: record.created_at,
            gone_at: record.gone_at,
            tenure: record.tenure.clone(),
            labels: StayLabels {
                owner: record.labels.get(keys::OWNER).cloned(),
            },
        }
    }
}
