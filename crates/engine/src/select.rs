//! Which offers a pool may take, in order, and why the others not. Pure.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};

use fleetwright_core::{Availability, Candidate, HourlyPrice, InstanceType, Offer, Pool, Strategy};
use fleetwright_store::Mark;

use crate::{CatalogView, Seen};

/// Offers in the order in which they are tried, and what was left out.
#[derive(Debug, Clone, Default)]
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

/// Finds the offers for one machine of a pool.
///
/// Left out are: what a mark says is sold out, what the provider says is sold out, what costs more
/// than the pool's `max_price` (or has no known price then), and every place whose listing failed,
/// because nobody can tell what is there already.
pub fn select_offers(pool: &Pool, providers: &BTreeMap<String, Seen>, marks: &[Mark]) -> Selection {
    let mut selection = Selection::default();
    let mut ranked: Vec<(usize, Offer)> = Vec::new();
    let everywhere: Vec<Candidate>;
    let candidates = if pool.candidates.is_empty() {
        everywhere = providers
            .keys()
            .map(|name| Candidate {
                provider: name.clone(),
                ..Candidate::default()
            })
            .collect();
        &everywhere
    } else {
        &pool.candidates
    };
    let limit = pool.max_price.as_ref();
    let cap = match limit.map(|text| text.parse::<HourlyPrice>()).transpose() {
        Ok(cap) => cap,
        // A limit that cannot be read must not become no limit.
        Err(error) => {
            selection.exclude("max_price".into(), error.to_string());
            return selection;
        }
    };
    for (at, candidate) in candidates.iter().enumerate() {
        // The order of providers that nobody has put in order says nothing.
        let rank = if pool.candidates.is_empty() { 0 } else { at };
        let Some(seen) = providers.get(&candidate.provider) else {
            selection.exclude(candidate.provider.clone(), "no such provider is configured");
            continue;
        };
        for offer in expand(candidate, pool, seen, &mut selection) {
            match refuse(&offer, seen, marks, cap) {
                Some(why) => selection.exclude(offer.label(), why),
                None => ranked.push((rank, offer)),
            }
        }
    }
    ranked.sort_by(|a, b| compare(pool.strategy, a, b));
    let mut seen: HashSet<String> = HashSet::new();
    ranked.retain(|(_, offer)| seen.insert(offer.label()));
    let count = ranked.len();
    selection.offers = ranked
        .into_iter()
        .enumerate()
        .map(|(at, (rank, offer))| Offer {
            reason: reason(pool, at, count, rank, &offer),
            ..offer
        })
        .collect();
    selection
}

impl Selection {
    fn exclude(&mut self, what: String, why: impl Into<String>) {
        self.excluded.push(Exclusion {
            what,
            why: why.into(),
        });
    }
}

/// All places and types that a candidate stands for.
fn expand(
    candidate: &Candidate,
    pool: &Pool,
    seen: &Seen,
    selection: &mut Selection,
) -> Vec<Offer> {
    let regions: Vec<&String> = match &candidate.region {
        Some(region) => vec![region],
        None => seen.info.regions.iter().collect(),
    };
    let Some(catalog) = &seen.catalog else {
        return without_catalog(candidate, seen, &regions, selection);
    };
    let types: Vec<&InstanceType> = match &candidate.instance_type {
        Some(wanted) => catalog.types.iter().filter(|t| t.name == *wanted).collect(),
        None => catalog.types.iter().collect(),
    };
    if types.is_empty() {
        let name = candidate.instance_type.as_deref().unwrap_or("any type");
        selection.exclude(
            format!("{} {name}", candidate.provider),
            "the provider's catalog has no such type",
        );
    }
    let mut offers = Vec::new();
    for instance_type in types {
        if let Some(lack) = pool.requirements.unmet_by(instance_type) {
            selection.exclude(
                format!("{} {}", candidate.provider, instance_type.name),
                lack,
            );
            continue;
        }
        let before = offers.len();
        offers.extend(
            catalog
                .offers_of(&instance_type.name)
                .filter_map(|offering| {
                    let fits = regions.contains(&&offering.region)
                        && offering.market == candidate.market
                        && candidate
                            .zone
                            .as_ref()
                            .is_none_or(|zone| offering.zone.as_ref() == Some(zone));
                    fits.then(|| Offer {
                        provider: seen.info.name.clone(),
                        region: offering.region.clone(),
                        zone: offering.zone.clone(),
                        instance_type: offering.instance_type.clone(),
                        market: offering.market,
                        price: offering.price,
                        availability: offering.availability,
                        reason: String::new(),
                    })
                }),
        );
        if offers.len() == before {
            selection.exclude(
                format!(
                    "{} {} {}",
                    candidate.provider, instance_type.name, candidate.market
                ),
                "not sold in the wanted place and market",
            );
        }
    }
    offers
}

/// Without a catalog only what the user wrote out can be asked for.
fn without_catalog(
    candidate: &Candidate,
    seen: &Seen,
    regions: &[&String],
    selection: &mut Selection,
) -> Vec<Offer> {
    let Some(instance_type) = &candidate.instance_type else {
        let why = seen
            .catalog_error
            .clone()
            .unwrap_or_else(|| "it has no catalog".into());
        selection.exclude(
            candidate.provider.clone(),
            format!("no type is named, and {why}"),
        );
        return Vec::new();
    };
    regions
        .iter()
        .map(|region| Offer {
            provider: seen.info.name.clone(),
            region: (*region).clone(),
            zone: candidate.zone.clone(),
            instance_type: instance_type.clone(),
            market: candidate.market,
            price: None,
            availability: Availability::Unknown,
            reason: String::new(),
        })
        .collect()
}

/// Why an offer may not be taken, if so.
fn refuse(offer: &Offer, seen: &Seen, marks: &[Mark], cap: Option<HourlyPrice>) -> Option<String> {
    if let Some(gap) = seen.coverage.gap(&offer.region) {
        return Some(format!(
            "nobody can tell what is there already: {}",
            gap.error
        ));
    }
    if let Some(mark) = marks.iter().find(|mark| mark.covers(offer)) {
        return Some(format!(
            "taken for sold out until {}: {}",
            mark.until, mark.error
        ));
    }
    match offer.availability {
        Availability::SoldOut { .. } => return Some("the provider says it is sold out".into()),
        Availability::NoQuota => return Some("the account may not have it: no quota".into()),
        Availability::Available | Availability::Unknown => {}
    }
    let cap = cap?;
    match offer.price {
        None => Some(format!(
            "its price is unknown, and at most {cap} may be paid"
        )),
        Some(price) if price.currency != cap.currency => {
            Some(format!("{price} does not compare with the limit {cap}"))
        }
        Some(price) if price > cap => Some(format!("{price} is above the limit {cap}")),
        Some(_) => None,
    }
}

fn compare(strategy: Strategy, a: &(usize, Offer), b: &(usize, Offer)) -> Ordering {
    let by_rank = a.0.cmp(&b.0);
    // No price sorts last.
    let price = |offer: &Offer| (offer.price.is_none(), offer.price);
    let by_price = price(&a.1).cmp(&price(&b.1));
    let by_name = || {
        let key = |o: &Offer| (o.provider.clone(), o.instance_type.clone());
        key(&a.1)
            .cmp(&key(&b.1))
            .then_with(|| place(&a.1).cmp(&place(&b.1)))
    };
    match strategy {
        Strategy::Priority => by_rank.then(by_price).then_with(by_name),
        Strategy::Cost => by_price.then(by_rank).then_with(by_name),
    }
}

fn place(offer: &Offer) -> (&str, Option<&str>) {
    (&offer.region, offer.zone.as_deref())
}

fn reason(pool: &Pool, at: usize, count: usize, rank: usize, offer: &Offer) -> String {
    let price = offer
        .price
        .map_or_else(|| "price unknown".to_owned(), |price| price.to_string());
    let place = format!("choice {} of {count}", at + 1);
    match pool.strategy {
        Strategy::Priority if pool.candidates.is_empty() => format!("{place}: {price}"),
        Strategy::Priority => format!("{place}: candidate {}, {price}", rank + 1),
        Strategy::Cost => format!("{place} by cost: {price}"),
    }
}

impl CatalogView {
    fn offers_of(&self, name: &str) -> impl Iterator<Item = &fleetwright_core::ability::Offering> {
        let range = self.by_type.get(name).cloned().unwrap_or(0..0);
        self.offerings[range].iter()
    }
}
