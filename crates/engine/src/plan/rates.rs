//! Committed rates in a plan: no more machines are planned at a rate than it has left.

use fleetwright_core::{HourlyPrice, Offer, Pool};

use super::Planner;
use crate::offers::Rates;

impl Planner<'_> {
    /// How many of so many machines can be asked for in one step at the price of the first offer.
    /// The others need a step of their own, with other prices.
    ///
    /// Offers further down that are at a rate which has fewer left than that get the price that all of
    /// the step can have, and go if the pool does not pay it.
    pub(super) fn within_rates(&mut self, pool: &Pool, offers: &mut Vec<Offer>, count: u32) -> u32 {
        let prices = &self.observation.prices;
        if prices.is_empty() {
            return count;
        }
        let left = |offer: &Offer, taken: &[u32]| {
            let (place, name) = (&offer.region, &offer.instance_type);
            let rule = prices.rule_for(&offer.provider, place, name, offer.market, taken)?;
            Some((rule, prices.left(rule, taken)?))
        };
        let Some(first) = offers.first() else {
            return count;
        };
        let rate = left(first, &self.taken);
        let machines = match rate {
            Some((_, left)) => count.min(left),
            None => count,
        };
        let cap = pool
            .max_price
            .as_deref()
            .and_then(|text| text.parse::<HourlyPrice>().ok());
        offers.retain_mut(|offer| {
            let mut taken = self.taken.clone();
            let mut is_short = false;
            while let Some((rule, left)) = left(offer, &taken) {
                if left >= machines {
                    break;
                }
                is_short = true;
                taken.resize(taken.len().max(rule + 1), 0);
                taken[rule] = u32::MAX;
            }
            if !is_short {
                return true;
            }
            let catalog = self
                .providers
                .get(&offer.provider)
                .and_then(|seen| seen.catalog.as_ref());
            let list = catalog.and_then(|catalog| catalog.list_price(offer));
            let (place, name) = (&offer.region, &offer.instance_type);
            let rule = prices.rule_for(&offer.provider, place, name, offer.market, &taken);
            offer.price = rule.map_or(list, |rule| prices.apply(rule, list));
            cap.is_none_or(|cap| {
                offer
                    .price
                    .is_some_and(|price| price.currency == cap.currency && price <= cap)
            })
        });
        if let Some((rule, left)) = rate {
            self.taken.resize(self.taken.len().max(rule + 1), 0);
            self.taken[rule] = self.taken[rule].saturating_add(machines);
            if left <= machines {
                self.correct_again();
            }
        }
        machines
    }

    /// A rate has run out within this plan: from here on the catalogs are without it.
    fn correct_again(&mut self) {
        let rates = Rates {
            prices: &self.observation.prices,
            taken: &self.taken,
        };
        for (name, seen) in self.providers.to_mut() {
            if let Some(catalog) = &mut seen.catalog {
                catalog.correct(name, rates);
            }
        }
    }
}
