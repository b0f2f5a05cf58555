//! Everything that a pool's candidates stand for, and why some of it may not be taken.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetwright_core::{Availability, Candidate, HourlyPrice, InstanceType, Market, Offer, Pool};
use fleetwright_store::Mark;

use super::{Exclusion, Situation};
use crate::{CatalogView, Seen};

/// An offer that may be taken, with what its candidate says about it.
#[derive(Debug, Clone)]
pub(super) struct Rival {
    pub(super) offer: Offer,
    /// Place of the candidate in the user's list, from 0.
    pub(super) candidate: usize,
    /// Rank by priority: those that have one first.
    pub(super) rank: (bool, usize),
    /// Who takes turns: a candidate, or a provider where there are no candidates.
    pub(super) seat: Arc<str>,
    pub(super) weight: u32,
}

/// All offers of a pool that may be taken. `market`: only on this one, whatever candidates say.
pub(super) fn gather(
    pool: &Pool,
    providers: &BTreeMap<String, Seen>,
    situation: &Situation<'_>,
    market: Option<Market>,
) -> (Vec<Rival>, Vec<Exclusion>) {
    let mut gathered = Gathered::default();
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
            gathered.exclude("max_price".into(), error.to_string());
            return (gathered.rivals, gathered.excluded);
        }
    };
    for (at, candidate) in candidates.iter().enumerate() {
        let Some(seen) = providers.get(&candidate.provider) else {
            gathered.exclude(candidate.provider.clone(), "no such provider is configured");
            continue;
        };
        let market = market.unwrap_or(candidate.market);
        let (rank, seat): (_, Arc<str>) = if pool.candidates.is_empty() {
            // The order of providers that nobody has put in order says nothing.
            ((true, 0), Arc::from(&*candidate.provider))
        } else {
            let rank = match candidate.priority {
                Some(priority) => (false, usize::try_from(priority).unwrap_or(usize::MAX)),
                None => (true, at),
            };
            let named = Candidate {
                market,
                ..candidate.clone()
            };
            (rank, Arc::from(named.label()))
        };
        for offer in expand(candidate, pool, market, seen, &mut gathered) {
            match refuse(&offer, seen, situation.marks, cap) {
                Some(why) => gathered.exclude(offer.label(), why),
                None => gathered.rivals.push(Rival {
                    offer,
                    candidate: at,
                    rank,
                    seat: Arc::clone(&seat),
                    weight: candidate.weight.unwrap_or(1),
                }),
            }
        }
    }
    (gathered.rivals, gathered.excluded)
}

#[derive(Default)]
struct Gathered {
    rivals: Vec<Rival>,
    excluded: Vec<Exclusion>,
}

impl Gathered {
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
    market: Market,
    seen: &Seen,
    gathered: &mut Gathered,
) -> Vec<Offer> {
    let mut regions: Vec<&String> = match &candidate.region {
        Some(region) => vec![region],
        None => seen.info.regions.iter().collect(),
    };
    let before = regions.len();
    regions.retain(|region| pool.requirements.takes_region(region));
    if regions.is_empty() && before > 0 {
        gathered.exclude(
            candidate.label(),
            format!(
                "none of its regions is wanted: {}",
                pool.requirements.regions.join(", ")
            ),
        );
        return Vec::new();
    }
    let Some(catalog) = &seen.catalog else {
        return without_catalog(candidate, market, seen, &regions, gathered);
    };
    let types: Vec<&InstanceType> = match &candidate.instance_type {
        Some(wanted) => catalog.types.iter().filter(|t| t.name == *wanted).collect(),
        None => catalog.types.iter().collect(),
    };
    if types.is_empty() {
        let name = candidate.instance_type.as_deref().unwrap_or("any type");
        gathered.exclude(
            format!("{} {name}", candidate.provider),
            "the provider's catalog has no such type",
        );
    }
    let mut offers = Vec::new();
    for instance_type in types {
        if let Some(lack) = pool.requirements.unmet_by(instance_type) {
            gathered.exclude(
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
                        && offering.market == market
                        && candidate.takes_zone(offering.zone.as_deref());
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
            gathered.exclude(
                format!("{} {} {market}", candidate.provider, instance_type.name),
                "not sold in the wanted place and market",
            );
        }
    }
    offers
}

/// Without a catalog only what the user wrote out can be asked for.
fn without_catalog(
    candidate: &Candidate,
    market: Market,
    seen: &Seen,
    regions: &[&String],
    gathered: &mut Gathered,
) -> Vec<Offer> {
    let Some(instance_type) = &candidate.instance_type else {
        let why = seen
            .catalog_error
            .clone()
            .unwrap_or_else(|| "it has no catalog".into());
        gathered.exclude(
            candidate.provider.clone(),
            format!("no type is named, and {why}"),
        );
        return Vec::new();
    };
    let mut zones: Vec<Option<&String>> = candidate.named_zones().map(Some).collect();
    if zones.is_empty() {
        zones.push(None);
    }
    let mut offers = Vec::new();
    for region in regions {
        offers.extend(zones.iter().map(|zone| Offer {
            provider: seen.info.name.clone(),
            region: (*region).clone(),
            zone: zone.cloned(),
            instance_type: instance_type.clone(),
            market,
            price: None,
            availability: Availability::Unknown,
            reason: String::new(),
        }));
    }
    offers
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

impl CatalogView {
    fn offers_of(&self, name: &str) -> impl Iterator<Item = &fleetwright_core::ability::Offering> {
        let range = self.by_type.get(name).cloned().unwrap_or(0..0);
        self.offerings[range].iter()
    }
}
