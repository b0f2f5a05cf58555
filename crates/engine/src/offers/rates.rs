//! The user's own prices in planning: catalogs are corrected when they are read, and commitments are
//! counted by what the journal knows.

use std::collections::HashMap;

use fleetwright_core::{Claim, HourlyPrice, Life, NodeRecord, Offer, Prices};

use super::Rates;
use crate::CatalogView;

/// How many machines of the fleet have taken the rate of each rule: nodes that are not gone, and
/// machines that were asked for and are not known yet.
pub(crate) fn taken(prices: &Prices, records: &[NodeRecord], claims: &[Claim]) -> Vec<u32> {
    let nodes = records
        .iter()
        .filter(|record| record.life != Life::Gone)
        .map(|record| {
            (
                record.id.provider(),
                record.id.region(),
                record.instance_type.as_str(),
                record.market,
            )
        });
    let mut known: HashMap<&str, usize> = HashMap::new();
    for token in records.iter().filter_map(|record| record.token.as_ref()) {
        *known.entry(token.as_str()).or_default() += 1;
    }
    let coming = claims.iter().flat_map(|claim| {
        let asked = usize::try_from(claim.request.count).unwrap_or(usize::MAX);
        let there = known.get(claim.token().as_str()).copied().unwrap_or(0);
        let machine = (
            claim.provider(),
            claim.region(),
            claim.request.spec.instance_type.as_str(),
            claim.market(),
        );
        std::iter::repeat_n(machine, asked.saturating_sub(there))
    });
    prices.taken(nodes.chain(coming))
}

impl CatalogView {
    /// Corrects the prices by the rules of the user, from the provider's own: a second correction
    /// replaces the first.
    pub fn correct(&mut self, provider: &str, rates: Rates<'_>) {
        if rates.prices.is_empty() {
            return;
        }
        if self.lists.is_empty() {
            self.lists = self.offerings.iter().map(|one| one.price).collect();
        }
        for (offering, list) in self.offerings.iter_mut().zip(&self.lists) {
            let (region, name) = (&offering.region, &offering.instance_type);
            let rule = rates
                .prices
                .rule_for(provider, region, name, offering.market, rates.taken);
            offering.price = rule.map_or(*list, |rule| rates.prices.apply(rule, *list));
        }
    }

    /// What the provider itself asks for an offer of this catalog.
    pub(crate) fn list_price(&self, offer: &Offer) -> Option<HourlyPrice> {
        let range = self.by_type.get(&offer.instance_type).cloned()?;
        let at = range.into_iter().find(|at| {
            self.offerings.get(*at).is_some_and(|one| {
                one.region == offer.region && one.zone == offer.zone && one.market == offer.market
            })
        })?;
        match self.lists.get(at) {
            Some(list) => *list,
            None => self.offerings.get(at)?.price,
        }
    }
}
