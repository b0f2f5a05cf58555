//! What will be done and why: immutable, complete, storable.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ClaimId, Fingerprint, HourlyPrice, Node, NodeId, NodeSpec, Offer, PlanMoney};

/// A list of steps with their reasons and costs, made from one observation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The version of this format.
    pub version: u32,
    /// The fleet it is for.
    pub fleet: String,
    /// What it is meant to reach.
    pub purpose: Purpose,
    /// When the world was looked at.
    pub made_at: Timestamp,
    /// The hash of what was seen: executing the plan on another world is refused.
    pub basis: Fingerprint,
    /// What to do, in order of dependency; independent steps run side by side.
    pub steps: Vec<Step>,
    /// What would be done, if the cloud had answered fully.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Withheld>,
    /// Set if the plan removes more than it may: then it is reported, not executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brake: Option<Brake>,
    /// What the fleet costs per hour now, by currency.
    pub cost_now: Vec<HourlyPrice>,
    /// What it costs at most after the plan, over all fallback offers, by currency.
    pub cost_after: Vec<HourlyPrice>,
    /// What else is to be said about money: first choices, unknown prices, budgets.
    #[serde(default)]
    pub money: PlanMoney,
}

impl Plan {
    /// The version of the format that this program writes and reads.
    pub const VERSION: u32 = 1;

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether a step removes something.
    pub fn is_destructive(&self) -> bool {
        self.steps.iter().any(|step| step.action.is_destructive())
    }
}

/// What a plan is meant to reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Purpose {
    /// Every pool at its desired size.
    Converge,
    /// Nothing left of these nodes; no pool is filled up again.
    Remove {
        /// Only these nodes; absent: all of the fleet.
        nodes: Option<Vec<NodeId>>,
    },
    /// Nothing left of the nodes whose time is over; nothing is made in their place.
    Expire {
        /// Nodes that were watched and not used for as long as their pools allow.
        idle: Vec<NodeId>,
    },
    /// A successor for each of these nodes, which the cloud takes away, and nothing else.
    Relieve {
        /// Which nodes.
        nodes: Vec<NodeId>,
    },
    /// These pools at their sizes, with others in the place of some nodes. Nothing is waited for:
    /// whoever keeps up a fleet looks again anyway.
    Upkeep {
        /// Which pools.
        pools: BTreeSet<String>,
        /// Nodes that do not count any more, and leave when others serve in their place.
        replace: Vec<NodeId>,
    },
    /// Each of these nodes taken from its balancer if it is cordoned, and put behind it if it is
    /// not; nothing is made or removed.
    Balance {
        /// Which nodes.
        nodes: BTreeSet<NodeId>,
    },
    /// Some pools at the size that was decided on; the others are left alone.
    Scale {
        /// Which pools.
        pools: BTreeSet<String>,
        /// Whether to wait until new nodes are up.
        wait: bool,
    },
}

impl Purpose {
    /// Whether machines are made for this pool.
    pub fn fills(&self, pool: &str) -> bool {
        match self {
            Self::Converge | Self::Relieve { .. } => true,
            Self::Scale { pools, .. } | Self::Upkeep { pools, .. } => pools.contains(pool),
            Self::Remove { .. } | Self::Expire { .. } | Self::Balance { .. } => false,
        }
    }

    /// Whether it is reached only when new nodes are up.
    pub const fn waits(&self) -> bool {
        matches!(self, Self::Converge | Self::Scale { wait: true, .. })
    }
}

/// One thing to do, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What.
    pub action: Action,
    /// Why, in words.
    pub reason: String,
}

/// Something that changes the world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Action {
    /// Find out what became of an open claim, by repeating it to the letter.
    Resolve {
        /// Which claim.
        claim: ClaimId,
        /// Which attempt.
        attempt: u32,
        /// Where it was made: provider name.
        provider: String,
        /// Region.
        region: String,
    },
    /// Take a node of this journal that has no record into the records.
    Adopt {
        /// The node as it was listed.
        node: Box<Node>,
        /// The pool its label names.
        pool: String,
    },
    /// Get machines.
    Create {
        /// For which pool.
        pool: String,
        /// How many machines.
        count: u32,
        /// Where, in order; the next is taken when one is sold out.
        offers: Vec<Offer>,
        /// What each is; region, zone, type and market come from the offer.
        spec: Box<NodeSpec>,
        /// Whose turn this is, where candidates take turns. Absent: nobody's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        turn: Option<Turn>,
    },
    /// Put a Ready node behind its balancer.
    Register {
        /// Which node.
        node: NodeId,
        /// Which balancer.
        balancer: String,
    },
    /// Take a node from its balancer and wait until it is drained.
    Drain {
        /// Which node.
        node: NodeId,
        /// Which balancer.
        balancer: String,
    },
    /// Remove a machine.
    Delete {
        /// Which node.
        node: NodeId,
    },
}

/// A turn of the strategy `round-robin`: written down when the machines are asked for, so that the
/// next process goes on with the next candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Whose turn it is: the label of a candidate, or the name of a provider.
    pub seat: String,
    /// Who takes part, with their weights.
    pub among: BTreeMap<String, u32>,
}

impl Turn {
    /// How the credit of each that takes part changes when this turn is taken by `machines`.
    ///
    /// This is smooth weighted round-robin: whoever takes part gains its weight with every machine,
    /// and whose turn it is pays the sum of all weights. The next turn is that of the greatest
    /// credit, so that a weight of 2 beside a 1 gives `a b a`, not `a a b`.
    pub fn credits(&self, machines: u32) -> impl Iterator<Item = (&str, i64)> {
        let all: i64 = self.among.values().map(|weight| i64::from(*weight)).sum();
        let machines = i64::from(machines);
        self.among.iter().map(move |(seat, weight)| {
            let pays = if *seat == self.seat { all } else { 0 };
            let change = i64::from(*weight).saturating_sub(pays);
            (seat.as_str(), change.saturating_mul(machines))
        })
    }
}

impl Action {
    /// Whether it removes a machine or takes it out of service.
    pub const fn is_destructive(&self) -> bool {
        matches!(self, Self::Delete { .. } | Self::Drain { .. })
    }

    /// The provider that it touches; `None` if it only touches the journal.
    pub fn provider(&self) -> Option<&str> {
        match self {
            Self::Resolve { provider, .. } => Some(provider),
            Self::Register { node, .. } | Self::Drain { node, .. } | Self::Delete { node } => {
                Some(node.provider())
            }
            Self::Create { offers, .. } => offers.first().map(|offer| offer.provider.as_str()),
            Self::Adopt { .. } => None,
        }
    }

    /// The node that it is about.
    pub fn node(&self) -> Option<&NodeId> {
        match self {
            Self::Adopt { node, .. } => Some(&node.id),
            Self::Register { node, .. } | Self::Drain { node, .. } | Self::Delete { node } => {
                Some(node)
            }
            Self::Resolve { .. } | Self::Create { .. } => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve { claim, attempt, .. } => write!(f, "resolve claim {claim}/{attempt}"),
            Self::Adopt { node, pool } => write!(f, "adopt {} into pool {pool}", node.id),
            Self::Create {
                pool,
                count,
                offers,
                ..
            } => {
                let what = offers
                    .first()
                    .map_or_else(|| "nothing".to_owned(), Offer::label);
                write!(f, "create {count} in pool {pool}: {what}")
            }
            Self::Register { node, balancer } => write!(f, "register {node} with {balancer}"),
            Self::Drain { node, balancer } => write!(f, "drain {node} from {balancer}"),
            Self::Delete { node } => write!(f, "delete {node}"),
        }
    }
}

/// Something that is not done, because the cloud did not answer fully.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withheld {
    /// What it is about: a pool, a node or a claim.
    pub subject: String,
    /// What would be done.
    pub what: String,
    /// Why it is not.
    pub reason: String,
}

/// Why a plan is only reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brake {
    /// Machines that would be removed.
    pub removals: usize,
    /// Machines there are.
    pub of: usize,
    /// The greatest share that may be removed, in percent.
    pub allowed_percent: u8,
}

impl fmt::Display for Brake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the plan removes {} of {} nodes; at most {} % may go at once",
            self.removals, self.of, self.allowed_percent
        )
    }
}
