//! Why machines were asked for where they were: written when they were asked for, and never
//! changed afterwards.
//!
//! ```text
//!  Decision ── offers in order, exclusions, marks, counts, wish
//!     ▲
//!     └── Claim, Claim, Claim: what was tried because of it, each with its answer
//! ```

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{Error, ErrorReport, Kind, Offer, Result};

/// Which decision. Sorts by time of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DecisionId(Uuid);

impl DecisionId {
    /// A new identity.
    #[expect(
        clippy::new_without_default,
        reason = "every call gives another identity"
    )]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for DecisionId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Uuid::parse_str(text).map(Self).map_err(|e| {
            Error::new(
                Kind::Invalid,
                format!("`{text}` is not the id of a decision"),
            )
            .with_source(e)
        })
    }
}

/// What was decided for a pool that was short of machines, and on what grounds.
///
/// Bounded: of each list at most [`Decision::MOST_OFFERS`] and [`Decision::MOST_EXCLUSIONS`] are
/// kept, the rest is counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Which decision.
    pub id: DecisionId,
    /// When it was made.
    pub at: Timestamp,
    /// For which pool.
    pub pool: String,
    /// How many machines were missing.
    pub count: u32,
    /// Why they were missing, in words.
    pub reason: String,
    /// What was wanted.
    pub wish: Wish,
    /// What was there.
    pub counts: Counts,
    /// The offers in the order in which they were to be tried, each with its price, availability
    /// and the reason for its rank. Empty: nothing was left to be asked for.
    pub offers: Vec<Offer>,
    /// How many more offers there were.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub further_offers: usize,
    /// What was considered and left out.
    pub excluded: Vec<Excluded>,
    /// How many more were left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub further_excluded: usize,
    /// Places that were taken for sold out.
    pub marks: Vec<Closed>,
    /// How many more such places there were.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub further_marks: usize,
    /// What was left of each budget that applied, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<String>,
}

/// What was wanted of a pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// The size in force: as configured or decided on, within the bounds.
    pub wanted: u32,
    /// The configured size.
    pub desired: u32,
    /// The lower bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u32>,
    /// The upper bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// How offers were put in order, as the configuration writes it.
    pub strategy: Value,
    /// Most that one machine might cost per hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_price: Option<String>,
}

/// How many machines of a pool there were, by what they were worth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Up and ready.
    pub ready: usize,
    /// On the way up.
    pub starting: usize,
    /// Failed.
    pub failed: usize,
    /// On the way out.
    pub leaving: usize,
    /// Asked for without an answer.
    pub pending: u32,
}

/// Something that was considered and left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excluded {
    /// The offer or candidate, in words.
    pub what: String,
    /// Why.
    pub why: String,
}

/// A place that was taken for sold out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// Which: `provider[/region[/zone]] [type] [market]`.
    pub place: String,
    /// Until when.
    pub until: Timestamp,
    /// The answer that it came from.
    pub error: ErrorReport,
}

impl Decision {
    /// Offers that are kept at most; marks too.
    pub const MOST_OFFERS: usize = 64;
    /// Exclusions that are kept at most.
    pub const MOST_EXCLUSIONS: usize = 200;

    /// Whether nothing was left to be asked for.
    pub fn is_refusal(&self) -> bool {
        self.offers.is_empty()
    }

    /// Cuts the lists to their bounds and counts the rest.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        self.further_offers += cut(&mut self.offers, Self::MOST_OFFERS);
        self.further_excluded += cut(&mut self.excluded, Self::MOST_EXCLUSIONS);
        self.further_marks += cut(&mut self.marks, Self::MOST_OFFERS);
        self
    }
}

impl Wish {
    /// The strategy in words: names joined by `, then`.
    pub fn strategy(&self) -> String {
        match &self.strategy {
            Value::String(name) => name.clone(),
            Value::Array(names) => names
                .iter()
                .map(|name| {
                    name.as_str()
                        .map_or_else(|| name.to_string(), str::to_owned)
                })
                .collect::<Vec<_>>()
                .join(", then "),
            other => other.to_string(),
        }
    }
}

/// Shortens a list; says by how many.
fn cut<T>(list: &mut Vec<T>, most: usize) -> usize {
    let beyond = list.len().saturating_sub(most);
    list.truncate(most);
    beyond
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_keeps_its_bounds_and_counts_the_rest() {
        let excluded = |at: usize| Excluded {
            what: format!("sim t{at}"),
            why: "too small".into(),
        };
        let decision = Decision {
            id: DecisionId::new(),
            at: Timestamp::UNIX_EPOCH,
            pool: "gpu".into(),
            count: 1,
            reason: String::new(),
            wish: Wish::default(),
            counts: Counts::default(),
            offers: Vec::new(),
            further_offers: 0,
            excluded: (0..100_000).map(excluded).collect(),
            further_excluded: 0,
            marks: Vec::new(),
            further_marks: 0,
            budgets: Vec::new(),
        }
        .bounded();
        assert_eq!(decision.excluded.len(), Decision::MOST_EXCLUSIONS);
        assert_eq!(decision.further_excluded, 99_800);
        let json = serde_json::to_string(&decision).unwrap();
        assert!(json.len() < 20_000, "{}", json.len());
        assert_eq!(serde_json::from_str::<Decision>(&json).unwrap(), decision);
    }

    #[test]
    fn strategies_are_told_as_they_are_written() {
        let told = |strategy| {
            Wish {
                strategy,
                ..Wish::default()
            }
            .strategy()
        };
        assert_eq!(told("cost".into()), "cost");
        assert_eq!(
            told(serde_json::json!(["availability", "cost"])),
            "availability, then cost"
        );
    }
}
