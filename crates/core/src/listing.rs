//! A listing that says how much of the world it covers.

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorReport, Filter, Labels, Node};

/// What to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// Only these regions; absent: every region the provider is configured for.
    pub regions: Option<Vec<String>>,
    /// Only nodes that carry all these labels.
    pub labels: Labels,
    /// Also nodes that Fleetwright did not make.
    pub foreign: bool,
    /// What the caller is interested in. A provider may leave out nodes that do not match, to ask
    /// its cloud for less, and never one that does; the caller filters again.
    pub filter: Filter,
}

/// The nodes that a provider found, and whether these are all there are.
///
/// A listing may be late (see `ProviderInfo::listing_lag`), but if it says
/// [`Coverage::Complete`] then every page of every region was read.
#[derive(Debug, Clone)]
pub struct Listing {
    /// What was found.
    pub nodes: Vec<Node>,
    /// How much was looked at.
    pub coverage: Coverage,
}

/// How much of what was asked for a listing covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Coverage {
    /// All regions, all pages.
    Complete,
    /// Parts are missing: "not listed" means nothing there.
    Partial {
        /// What is missing, and why.
        gaps: Vec<Gap>,
    },
}

/// A part that could not be listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The region that is missing; absent: all of them may be.
    pub region: Option<String>,
    /// Why.
    pub error: ErrorReport,
}

impl Listing {
    /// Everything there is.
    pub fn complete(nodes: Vec<Node>) -> Self {
        Self {
            nodes,
            coverage: Coverage::Complete,
        }
    }

    /// With the given parts missing; complete if there are none.
    pub fn with_gaps(nodes: Vec<Node>, gaps: Vec<Gap>) -> Self {
        let coverage = if gaps.is_empty() {
            Coverage::Complete
        } else {
            Coverage::Partial { gaps }
        };
        Self { nodes, coverage }
    }
}

impl Coverage {
    /// Nothing was listed at all, because of this error.
    pub fn failed(error: &Error) -> Self {
        Self::Partial {
            gaps: vec![Gap {
                region: None,
                error: error.report(),
            }],
        }
    }

    /// Whether a node of this region would have been found.
    pub fn covers(&self, region: &str) -> bool {
        self.gap(region).is_none()
    }

    /// The gap that hides this region, if one does.
    pub fn gap(&self, region: &str) -> Option<&Gap> {
        match self {
            Self::Complete => None,
            Self::Partial { gaps } => gaps
                .iter()
                .find(|gap| gap.region.as_deref().is_none_or(|r| r == region)),
        }
    }

    /// All gaps.
    pub fn gaps(&self) -> &[Gap] {
        match self {
            Self::Complete => &[],
            Self::Partial { gaps } => gaps,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[test]
    fn a_gap_hides_its_region_and_a_gap_without_region_hides_all() {
        let error = Error::new(Kind::Unavailable, "down");
        let gap = Gap {
            region: Some("a".into()),
            error: error.report(),
        };
        let one = Listing::with_gaps(vec![], vec![gap]).coverage;
        assert!(!one.covers("a") && one.covers("b"));
        assert!(!Coverage::failed(&error).covers("b"));
        assert!(Listing::with_gaps(vec![], vec![]).coverage.covers("a"));
    }
}
