//! The journal's word for "we asked for this".

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    CreateRequest, DecisionId, Error, ErrorReport, Kind, Market, NodeId, Offer, Result, Token,
};

/// Which claim. Sorts by time of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimId(Uuid);

impl ClaimId {
    /// A new identity.
    #[expect(
        clippy::new_without_default,
        reason = "every call gives another identity"
    )]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The identity as UUID.
    pub fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

impl fmt::Display for ClaimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for ClaimId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Uuid::parse_str(text).map(Self).map_err(|e| {
            Error::new(Kind::Invalid, format!("`{text}` is not a claim id")).with_source(e)
        })
    }
}

/// One attempt to get machines: written before the call, resolved after it.
///
/// A claim that fails over to another offer gets a further attempt, with another token. An
/// attempt whose effect is unknown stays open until the cloud itself has told what became of it;
/// until then no further attempt is made for those machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Which claim.
    pub id: ClaimId,
    /// Which attempt of it, from 1.
    pub attempt: u32,
    /// The pool that wants the machines.
    pub pool: String,
    /// Where they are asked for, and at what price. The price is frozen into the node's record.
    pub offer: Offer,
    /// The request, complete, so that it can be sent again to the letter. Carries the token.
    pub request: CreateRequest,
    /// What became of it.
    pub state: ClaimState,
    /// When it was written.
    pub made_at: Timestamp,
    /// When the request was last about to be sent: written before each try.
    pub sent_at: Timestamp,
    /// When it left the state `Open`.
    pub closed_at: Option<Timestamp>,
    /// The decision that it was made because of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionId>,
}

impl Claim {
    /// The token of the request.
    pub fn token(&self) -> &Token {
        &self.request.token
    }

    /// Name of the provider.
    pub fn provider(&self) -> &str {
        &self.offer.provider
    }

    /// Region.
    pub fn region(&self) -> &str {
        &self.offer.region
    }

    /// On-demand or spot.
    pub fn market(&self) -> Market {
        self.offer.market
    }

    /// Whether it still stands for machines that may come.
    pub fn is_open(&self) -> bool {
        matches!(self.state, ClaimState::Open)
    }
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum ClaimState {
    /// Written; the call may or may not have been made.
    Open,
    /// The cloud answered with machines, perhaps fewer than asked for.
    Fulfilled {
        /// The machines.
        nodes: Vec<NodeId>,
        /// Why there are fewer.
        shortfall: Option<ErrorReport>,
    },
    /// The cloud refused: no machine exists because of it.
    Refused {
        /// Its answer.
        error: ErrorReport,
    },
}
