//! The audit: does the journal agree with the clouds? Looks, and changes nothing.

use std::collections::HashMap;

use fleetwright_core::{Claim, HourlyPrice, Node, NodeId, NodeRecord, Result, Token, keys};
use jiff::Timestamp;
use serde::Serialize;

use crate::Engine;

/// What an audit found. Clean if every list is empty.
#[derive(Debug, Clone, Serialize)]
pub struct Audit {
    /// When.
    pub at: Timestamp,
    /// Nodes that the clouds showed.
    pub listed: usize,
    /// Nodes in the journal that are not gone.
    pub recorded: usize,
    /// Places that could not be looked at: nothing is said about them.
    pub unseen: Vec<String>,
    /// Nodes with our journal's label that have no record and no open claim.
    pub orphans: Vec<Node>,
    /// Create calls that left more machines than were asked for.
    pub duplicates: Vec<Duplicate>,
    /// Records of nodes that the cloud says are gone.
    pub ghosts: Vec<NodeRecord>,
    /// Nodes of a fleet of the same name that another journal made. Never touched.
    pub strangers: Vec<Node>,
    /// Claims without an answer so far.
    pub open_claims: Vec<Claim>,
    /// Pools with more nodes than wanted.
    pub surplus: Vec<Surplus>,
    /// What the recorded nodes cost per hour, by currency.
    pub cost: Vec<HourlyPrice>,
}

/// A create call that left more machines than were asked for.
#[derive(Debug, Clone, Serialize)]
pub struct Duplicate {
    /// Its token.
    pub token: Token,
    /// Machines asked for; absent if no claim has this token.
    pub asked: Option<u32>,
    /// Machines there are.
    pub nodes: Vec<NodeId>,
}

/// A pool with more nodes than wanted.
#[derive(Debug, Clone, Serialize)]
pub struct Surplus {
    /// The pool.
    pub pool: String,
    /// Nodes wanted.
    pub desired: u32,
    /// Nodes there are or will be.
    pub have: usize,
}

impl Audit {
    /// Whether journal and clouds agree and everything was seen.
    pub fn is_clean(&self) -> bool {
        self.unseen.is_empty()
            && self.orphans.is_empty()
            && self.duplicates.is_empty()
            && self.ghosts.is_empty()
            && self.strangers.is_empty()
            && self.open_claims.is_empty()
            && self.surplus.is_empty()
    }
}

impl Engine {
    /// Compares the journal with the clouds.
    ///
    /// # Errors
    /// Only from the journal. What cannot be seen is in [`Audit::unseen`].
    pub async fn audit(&self) -> Result<Audit> {
        let look = self.look().await?;
        let observation = &look.observation;
        let mut by_token: HashMap<&str, Vec<&Node>> = HashMap::new();
        for node in observation.nodes().filter(|node| !node.state.is_leaving()) {
            let ours = node.label(keys::JOURNAL) == Some(observation.journal.as_str());
            if let Some(token) = node.label(keys::CLAIM).filter(|_| ours) {
                by_token.entry(token).or_default().push(node);
            }
        }
        let mut duplicates = Vec::new();
        for (token, nodes) in by_token {
            let token = Token::from_stored(token);
            let claim = self.store.claim_by_token(&token).await?;
            let asked = claim.map(|claim| claim.request.count);
            let most = asked
                .and_then(|asked| usize::try_from(asked).ok())
                .unwrap_or(0);
            if nodes.len() > most {
                let nodes = nodes.iter().map(|node| node.id.clone()).collect();
                duplicates.push(Duplicate {
                    token,
                    asked,
                    nodes,
                });
            }
        }
        duplicates.sort_by(|a, b| a.token.cmp(&b.token));
        let ghosts = look
            .changes
            .iter()
            .filter(|(record, from)| {
                record.life == fleetwright_core::Life::Gone && !from.is_leaving()
            })
            .map(|(record, _)| record.clone())
            .collect();
        let surplus = self
            .pool_status(observation)
            .into_iter()
            .filter_map(|status| {
                let have = status.ready
                    + status.starting
                    + usize::try_from(status.pending).unwrap_or(usize::MAX);
                let over = usize::try_from(status.desired).is_ok_and(|desired| have > desired);
                over.then_some(Surplus {
                    pool: status.name,
                    desired: status.desired,
                    have,
                })
            })
            .collect();
        self.recorder.flush().await?;
        Ok(Audit {
            at: observation.at,
            listed: observation.nodes().count(),
            recorded: observation.records.len(),
            unseen: observation.gaps(),
            orphans: observation.orphans().into_iter().cloned().collect(),
            duplicates,
            ghosts,
            strangers: observation.strangers().into_iter().cloned().collect(),
            open_claims: observation.claims.clone(),
            surplus,
            cost: HourlyPrice::sum(observation.records.iter().filter_map(|record| record.price)),
        })
    }
}
