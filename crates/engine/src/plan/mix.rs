//! Mixed markets: how many new machines are bought on which, and which old ones go first.

use std::collections::BTreeMap;

use fleetwright_core::{Domain, Life, Market, Markets, NodeRecord, Pool, Strategy};

use super::pick_surplus;
use crate::Placed;

/// How many of `missing` machines are bought on demand, and how many on the spot market, so that
/// `wanted` machines in all come as near to the pool's shares as new ones can bring them.
pub(super) fn divide(
    markets: Markets,
    missing: u32,
    wanted: u32,
    placed: &[Placed<'_>],
) -> (u32, u32) {
    let (_, spot_wanted) = markets.targets(wanted);
    let spot = count(placed.iter().map(|placed| placed.market), Market::Spot);
    let lacking = spot_wanted.saturating_sub(spot).min(missing);
    (missing - lacking, lacking)
}

/// Chooses which of a pool's nodes go when it has too many: failed ones first; then those of the
/// market that has more than its share, if markets are mixed; then those in the fullest place, if
/// the pool is spread; then as [`pick_surplus`] says.
pub(super) fn pick<'a>(
    pool: &Pool,
    records: Vec<&'a NodeRecord>,
    surplus: usize,
    desired: usize,
    generation: &str,
) -> Vec<&'a NodeRecord> {
    let (failed, rest): (Vec<_>, Vec<_>) = records
        .into_iter()
        .partition(|record| record.life == Life::Failed);
    let mut chosen = pick_surplus(failed, surplus, generation);
    let surplus = surplus - chosen.len();
    let Some(markets) = &pool.markets else {
        chosen.extend(fullest(pool, rest, surplus, generation));
        return chosen;
    };
    let (_, spot_wanted) = markets.targets(u32::try_from(desired).unwrap_or(u32::MAX));
    let spot_wanted = usize::try_from(spot_wanted).unwrap_or(usize::MAX);
    let (spot, on_demand): (Vec<_>, Vec<_>) = rest
        .into_iter()
        .partition(|record| record.market == Market::Spot);
    // As much as the spot market is over its share, and what on demand does not have.
    let over = spot.len().saturating_sub(spot_wanted).min(surplus);
    let from_spot = over.max(surplus.saturating_sub(on_demand.len()));
    let of_spot = fullest(pool, spot, from_spot, generation);
    let left = surplus - of_spot.len();
    chosen.extend(of_spot);
    chosen.extend(fullest(pool, on_demand, left, generation));
    chosen
}

/// Those in the places that have most nodes, if the pool is spread.
fn fullest<'a>(
    pool: &Pool,
    records: Vec<&'a NodeRecord>,
    surplus: usize,
    generation: &str,
) -> Vec<&'a NodeRecord> {
    let over = pool.strategy.as_slice().iter().find_map(|one| match one {
        Strategy::Spread(spread) => Some(spread.over),
        _ => None,
    });
    let Some(over) = over else {
        return pick_surplus(records, surplus, generation);
    };
    let place = |record: &NodeRecord| {
        let provider = record.id.provider().to_owned();
        match over {
            Domain::Zones => (provider, record.id.region().to_owned(), record.zone.clone()),
            Domain::Regions => (provider, record.id.region().to_owned(), None),
            Domain::Providers => (provider, String::new(), None),
        }
    };
    let all = records.len();
    // Each place's nodes, least useful last.
    let mut places: BTreeMap<_, Vec<&NodeRecord>> = BTreeMap::new();
    for record in pick_surplus(records, all, generation).into_iter().rev() {
        places.entry(place(record)).or_default().push(record);
    }
    let mut chosen = Vec::new();
    while chosen.len() < surplus {
        let fullest = places.values_mut().rev().max_by_key(|nodes| nodes.len());
        let Some(record) = fullest.and_then(Vec::pop) else {
            break;
        };
        chosen.push(record);
    }
    chosen
}

fn count(markets: impl Iterator<Item = Market>, wanted: Market) -> u32 {
    u32::try_from(markets.filter(|market| *market == wanted).count()).unwrap_or(u32::MAX)
}
