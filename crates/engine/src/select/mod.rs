//! Which offers a pool may take, in which order, and why the others not. Pure.
//!
//! ```text
//!  candidates ─► gather ─► rivals ─► arrange ─► order ─► allot ─► parts
//!  requirements     │    (offers that     (strategies,      (so many machines
//!  marks, prices    │     may be taken)    one in another)   with these offers)
//!                   └────► exclusions: what was left out, and why
//! ```
//!
//! A strategy gives each rival a key; those with the least key come first, and the next strategy
//! orders those that are equal. What all strategies leave equal is ordered by candidate, price and
//! name, so that the same world gives the same order.

mod allot;
mod arrange;
mod gather;
mod words;

use std::collections::BTreeMap;

use fleetwright_core::{Claim, Market, Node, NodeRecord, Offer, Pool, Turn};
use fleetwright_store::Mark;
use jiff::Timestamp;

use self::arrange::Table;
use self::gather::gather;
use crate::Seen;

/// Offers that a create step carries, besides the best of each region that is not among them.
const MOST_OFFERS: usize = 32;
/// Offers that a create step carries in any case at most.
const MOST_OF_ALL: usize = 64;

/// Offers in the order in which they are tried for the next machine, and what was left out.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Selection {
    /// Best first.
    pub offers: Vec<Offer>,
    /// What was considered and not taken.
    pub excluded: Vec<Exclusion>,
}

/// Something that was considered and not taken.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Exclusion {
    /// The offer or candidate, in words.
    pub what: String,
    /// Why not.
    pub why: String,
}

/// What a choice depends on besides the pool.
#[derive(Debug, Clone, Default)]
pub struct Situation<'a> {
    /// When: what was made lately counts as known to be available.
    pub now: Timestamp,
    /// What is taken for sold out.
    pub marks: &'a [Mark],
    /// Marks that have run out lately: what they cover comes last by `availability`.
    pub spent_marks: &'a [Mark],
    /// Nodes of all pools: where some were made lately there is capacity.
    pub records: &'a [NodeRecord],
    /// Where the nodes of this pool are, those on their way included.
    pub placed: Vec<Placed<'a>>,
    /// Where the candidates of this pool stand that take turns.
    pub turns: Option<&'a BTreeMap<String, i64>>,
}

/// Where a node of the pool is, or will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed<'a> {
    /// Name of the provider.
    pub provider: &'a str,
    /// Region.
    pub region: &'a str,
    /// Zone, if it is known.
    pub zone: Option<&'a str>,
    /// How it was bought.
    pub market: Market,
}

/// How many machines are wanted, and how they are bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// How many.
    pub count: u32,
    /// Only on this market, whatever the candidates say. Absent: on that of each candidate.
    pub market: Option<Market>,
}

/// Machines that go to the same place first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// How many.
    pub count: u32,
    /// Where, in order.
    pub offers: Vec<Offer>,
    /// Whose turn it is.
    pub turn: Option<Turn>,
}

/// Machines divided among places.
#[derive(Debug, Clone, Default)]
pub struct Allotment {
    /// In the order in which their first machine was placed. Empty: there is no offer.
    pub parts: Vec<Part>,
    /// What was considered and not taken.
    pub excluded: Vec<Exclusion>,
}

/// Finds the offers for one machine of a pool, as if the pool were empty and nobody had had a turn.
///
/// Left out are: what a mark says is sold out, what the provider says is sold out, what costs more
/// than the pool's `max_price` (or has no known price then), and every place whose listing failed,
/// because nobody can tell what is there already. For a pool with mixed markets the offers on
/// demand come first.
pub fn select_offers(pool: &Pool, providers: &BTreeMap<String, Seen>, marks: &[Mark]) -> Selection {
    let situation = Situation {
        marks,
        ..Situation::default()
    };
    let markets: &[Option<Market>] = match pool.markets {
        Some(_) => &[Some(Market::OnDemand), Some(Market::Spot)],
        None => &[None],
    };
    let mut selection = Selection::default();
    for market in markets {
        let (rivals, excluded) = gather(pool, providers, &situation, *market);
        let table = Table::new(pool, &situation, rivals);
        let order = table.order();
        selection.offers.extend(table.offers(&order, usize::MAX));
        selection.excluded.extend(excluded);
    }
    selection
}

/// Divides machines among the offers of a pool, by its strategies.
///
/// Strategies that look only at offers give one part. Those by which each machine changes where the
/// next one goes (`round-robin`, `spread`) give a part for each offer that comes first for some of
/// the machines; its other offers are those to fall back on.
pub fn allot(
    pool: &Pool,
    providers: &BTreeMap<String, Seen>,
    situation: &Situation<'_>,
    share: Share,
) -> Allotment {
    let (rivals, excluded) = gather(pool, providers, situation, share.market);
    let table = Table::new(pool, situation, rivals);
    Allotment {
        parts: allot::parts(table, share.count),
        excluded,
    }
}

impl<'a> Placed<'a> {
    /// Where a recorded node is.
    pub fn record(record: &'a NodeRecord) -> Self {
        Self {
            provider: record.id.provider(),
            region: record.id.region(),
            zone: record.zone.as_deref(),
            market: record.market,
        }
    }

    /// Where a node is that was listed.
    pub fn node(node: &'a Node) -> Self {
        Self {
            provider: node.id.provider(),
            region: node.id.region(),
            zone: node.zone.as_deref(),
            market: node.market,
        }
    }

    /// Where the machines of an open claim will be.
    pub fn claim(claim: &'a Claim) -> Self {
        Self {
            provider: claim.provider(),
            region: claim.region(),
            zone: claim.offer.zone.as_deref(),
            market: claim.market(),
        }
    }
}
