//! Why an offer stands where it stands, in words.

use fleetwright_core::{Domain, Strategy};

use super::arrange::{Hope, Table};

/// The reason of an offer: its place among its rivals, and what each strategy saw in it.
pub(super) fn reason(table: &Table<'_>, rival: usize, place: usize, count: usize) -> String {
    let pool = table.pool;
    let strategies = pool.strategy.as_slice();
    let by = if pool.strategy == Strategy::Priority {
        String::new()
    } else {
        format!(" by {}", pool.strategy)
    };
    let mut facts: Vec<String> = (strategies.iter().enumerate())
        .filter_map(|(level, strategy)| fact(table, rival, level, *strategy))
        .collect();
    if !strategies.contains(&Strategy::Cost) {
        facts.push(price(table, rival));
    }
    format!("choice {} of {count}{by}: {}", place + 1, facts.join(", "))
}

fn fact(table: &Table<'_>, rival: usize, level: usize, strategy: Strategy) -> Option<String> {
    let found = &table.rivals[rival];
    let fact = match strategy {
        Strategy::Priority if table.pool.candidates.is_empty() => return None,
        Strategy::Priority => {
            let candidate = found.candidate + 1;
            match table.pool.candidates[found.candidate].priority {
                Some(priority) => format!("candidate {candidate} with priority {priority}"),
                None => format!("candidate {candidate}"),
            }
        }
        Strategy::Cost => price(table, rival),
        Strategy::Availability => match table.hopes[rival] {
            Hope::Told => "available",
            Hope::Made => "made lately",
            Hope::Unknown => "availability unknown",
            Hope::Refused => "sold out lately",
        }
        .into(),
        Strategy::RoundRobin => {
            let who = if table.pool.candidates.is_empty() {
                found.offer.provider.clone()
            } else {
                format!("candidate {}", found.candidate + 1)
            };
            match found.weight {
                1 => who,
                weight => format!("{who} with weight {weight}"),
            }
        }
        Strategy::Spread(spread) => {
            let nodes = table.nodes_at(level, rival);
            let ending = if nodes == 1 { "" } else { "s" };
            let offer = &found.offer;
            let place = match (spread.over, &offer.zone) {
                (Domain::Zones, Some(zone)) => {
                    format!("{}/{}/{zone}", offer.provider, offer.region)
                }
                (Domain::Zones, None) | (Domain::Regions, _) => {
                    format!("{}/{}", offer.provider, offer.region)
                }
                (Domain::Providers, _) => offer.provider.clone(),
            };
            format!("{nodes} node{ending} in {place}")
        }
    };
    Some(fact)
}

fn price(table: &Table<'_>, rival: usize) -> String {
    table.rivals[rival]
        .offer
        .price
        .map_or_else(|| "price unknown".to_owned(), |price| price.to_string())
}
