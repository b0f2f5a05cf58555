//! What there is: the clouds first, then the journal, each with how much of it was seen.
//!
//! The order matters. A node that a cloud shows was claimed in the journal before it was made, so
//! a journal that is read afterwards knows it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use fleetwright_core::ability::{Member, Offering};
use fleetwright_core::{
    Billing, Claim, Coverage, ErrorReport, Fingerprint, HourlyPrice, InstanceType, Node, NodeId,
    NodeRecord, Pool, Prices, ProviderInfo, Token, fingerprint, keys,
};
use fleetwright_store::Mark;
use jiff::Timestamp;

use crate::{Fleet, MonthSpent};

/// The world at one instant, as far as it could be seen.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// When.
    pub at: Timestamp,
    /// The identity of our journal.
    pub journal: String,
    /// What each provider showed.
    pub providers: BTreeMap<String, Seen>,
    /// The journal's nodes, except those that are gone.
    pub records: Vec<NodeRecord>,
    /// Nodes that the journal has written off and a listing still shows.
    pub written_off: Vec<NodeRecord>,
    /// The journal's open claims.
    pub claims: Vec<Claim>,
    /// What is taken for sold out.
    pub marks: Vec<Mark>,
    /// Marks that have run out lately, if a pool's strategy looks at them.
    pub spent_marks: Vec<Mark>,
    /// Where the candidates of pools stand that take turns, by pool.
    pub turns: BTreeMap<String, BTreeMap<String, i64>>,
    /// Sizes that were decided on for pools, in place of their configured ones.
    pub sizes: BTreeMap<String, u32>,
    /// The user's corrections of prices, which the catalogs have in them already.
    pub prices: Arc<Prices>,
    /// How many machines have taken the rate of each of them.
    pub taken: Vec<u32>,
    /// What nodes that are gone have cost this month, if a budget needs it.
    pub spent: MonthSpent,
    /// How many removals were agreed to beforehand, for each pool whose size was decided on: the
    /// brake does not count these.
    pub agreed: BTreeMap<String, usize>,
    /// Nodes that nothing new is to be started on.
    pub cordoned: BTreeSet<NodeId>,
    /// Providers whose announcements could not be heard, and why.
    pub deaf: BTreeMap<String, ErrorReport>,
}

/// What one provider showed.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What is known about it.
    pub info: ProviderInfo,
    /// Its nodes of this fleet.
    pub nodes: Vec<Node>,
    /// How much of it was seen.
    pub coverage: Coverage,
    /// Its catalog, if it was needed and could be had.
    pub catalog: Option<CatalogView>,
    /// Why the catalog could not be had, if it was needed.
    pub catalog_error: Option<String>,
    /// Members of the balancers that pools use, or why they could not be seen.
    pub balancers: BTreeMap<String, Result<Vec<Member>, String>>,
}

/// A catalog, arranged for lookups.
#[derive(Debug, Clone, Default)]
pub struct CatalogView {
    /// All types.
    pub types: Vec<InstanceType>,
    /// All offerings, sorted by type.
    pub offerings: Vec<Offering>,
    pub(crate) by_type: HashMap<String, Range<usize>>,
    /// The provider's own prices, once they are corrected.
    pub(crate) lists: Vec<Option<HourlyPrice>>,
}

impl CatalogView {
    /// Arranges a catalog.
    pub fn new(types: Vec<InstanceType>, mut offerings: Vec<Offering>) -> Self {
        offerings.sort_by(|a, b| a.instance_type.cmp(&b.instance_type));
        let mut by_type: HashMap<String, Range<usize>> = HashMap::new();
        for (at, offering) in offerings.iter().enumerate() {
            by_type
                .entry(offering.instance_type.clone())
                .or_insert(at..at)
                .end = at + 1;
        }
        Self {
            types,
            offerings,
            by_type,
            lists: Vec::new(),
        }
    }
}

impl Seen {
    /// A provider about which nothing was asked yet.
    pub fn new(info: ProviderInfo, nodes: Vec<Node>, coverage: Coverage) -> Self {
        Self {
            info,
            nodes,
            coverage,
            catalog: None,
            catalog_error: None,
            balancers: BTreeMap::new(),
        }
    }
}

impl Observation {
    /// How many machines a pool shall have now: the size that was decided on, or else the
    /// configured one, within the pool's bounds.
    pub fn wanted(&self, name: &str, pool: &Pool) -> u32 {
        pool.within_bounds(self.sizes.get(name).copied().unwrap_or(pool.desired))
    }

    /// How a provider counts time; one that was not asked: as it is.
    pub fn billing(&self, provider: &str) -> Billing {
        self.providers
            .get(provider)
            .map_or(Billing::per_second(0), |seen| seen.info.billing)
    }

    /// Why nothing can be said about this place, if so: the provider is not configured any more,
    /// or did not answer fully.
    pub fn blind_spot(&self, provider: &str, region: &str) -> Option<String> {
        match self.providers.get(provider) {
            None => Some(format!("provider `{provider}` is not in the configuration")),
            Some(seen) => seen
                .coverage
                .gap(region)
                .map(|gap| format!("the listing of {provider}/{region} failed: {}", gap.error)),
        }
    }

    /// Places that could not be looked at, in words.
    pub fn gaps(&self) -> Vec<String> {
        let mut all = Vec::new();
        for (name, seen) in &self.providers {
            for gap in seen.coverage.gaps() {
                let region = gap.region.as_deref().unwrap_or("*");
                all.push(format!("{name}/{region}: {}", gap.error));
            }
        }
        all
    }

    /// Our nodes that have no record and no open claim: normally none.
    pub fn orphans(&self) -> Vec<&Node> {
        let known: HashSet<&NodeId> = self
            .records
            .iter()
            .chain(&self.written_off)
            .map(|record| &record.id)
            .collect();
        let open: HashSet<&str> = self
            .claims
            .iter()
            .map(|claim| claim.token().as_str())
            .collect();
        self.nodes()
            .filter(|node| self.is_ours(node) && !node.state.is_leaving())
            .filter(|node| !known.contains(&node.id))
            .filter(|node| {
                node.label(keys::CLAIM)
                    .is_none_or(|token| !open.contains(token))
            })
            .collect()
    }

    /// Nodes that carry our fleet's name and another journal's identity: never touched, unless
    /// somebody has adopted them, and then they have a record.
    pub fn strangers(&self) -> Vec<&Node> {
        let known: HashSet<&NodeId> = self
            .records
            .iter()
            .chain(&self.written_off)
            .map(|record| &record.id)
            .collect();
        self.nodes()
            .filter(|node| !self.is_ours(node) && !node.state.is_leaving())
            .filter(|node| !known.contains(&node.id))
            .collect()
    }

    /// All nodes that were listed.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.providers.values().flat_map(|seen| &seen.nodes)
    }

    /// The listed nodes by id.
    pub fn nodes_by_id(&self) -> HashMap<&NodeId, &Node> {
        self.nodes().map(|node| (&node.id, node)).collect()
    }

    /// The listed nodes of one create call.
    pub fn nodes_of(&self, token: &Token) -> impl Iterator<Item = &Node> {
        self.nodes()
            .filter(move |node| node.label(keys::CLAIM) == Some(token.as_str()))
    }

    fn is_ours(&self, node: &Node) -> bool {
        node.label(keys::JOURNAL) == Some(&self.journal)
    }

    /// The hash of everything a plan depends on, except the time and what only moves upwards on
    /// its own: a node that has become ready meanwhile does not make a plan stale.
    pub fn basis(&self, fleet: &Fleet) -> Fingerprint {
        let records: Vec<_> = self
            .records
            .iter()
            .map(|r| (&r.id, &r.pool, r.life.is_wanted(), r.life.is_leaving()))
            .collect();
        let claims: Vec<_> = self.claims.iter().map(Claim::token).collect();
        let mut orphans: Vec<_> = self.orphans().into_iter().map(|node| &node.id).collect();
        orphans.sort_unstable();
        let gaps: Vec<_> = self
            .providers
            .iter()
            .flat_map(|(name, seen)| seen.coverage.gaps().iter().map(move |g| (name, &g.region)))
            .collect();
        fingerprint(&(
            fleet.fingerprint(),
            &self.journal,
            records,
            claims,
            orphans,
            gaps,
            &self.sizes,
        ))
    }
}
