//! What a plan costs: now, and at worst afterwards.

use std::collections::HashSet;

use fleetwright_core::{Action, HourlyPrice, Life, NodeId, NodeRecord, PlanMoney, Step};

pub(super) struct Costs {
    pub(super) now: Vec<HourlyPrice>,
    pub(super) after: Vec<HourlyPrice>,
    pub(super) money: PlanMoney,
}

impl Costs {
    /// Sums up by currency. A machine that is going away costs until it is gone. Machines to be
    /// made count with the dearest of their fallback offers.
    pub(super) fn of(records: &[NodeRecord], steps: &[Step]) -> Self {
        let mut removed: HashSet<&NodeId> = HashSet::new();
        let mut added = Vec::new();
        let mut first_choice = Vec::new();
        let mut unpriced_added = 0_u32;
        for step in steps {
            match &step.action {
                Action::Delete { node } => {
                    removed.insert(node);
                }
                Action::Create { count, offers, .. } => {
                    let first = offers.first().and_then(|offer| offer.price);
                    first_choice.extend(first.map(|price| price.times(*count)));
                    if offers.iter().any(|offer| offer.price.is_none()) {
                        unpriced_added = unpriced_added.saturating_add(*count);
                    }
                    let mut worst: Vec<HourlyPrice> = Vec::new();
                    for price in offers.iter().filter_map(|offer| offer.price) {
                        match worst.iter_mut().find(|w| w.currency == price.currency) {
                            Some(w) => *w = (*w).max(price),
                            None => worst.push(price),
                        }
                    }
                    added.extend(worst.into_iter().map(|price| price.times(*count)));
                }
                _ => {}
            }
        }
        let prices = |keep: &dyn Fn(&NodeRecord) -> bool| -> Vec<HourlyPrice> {
            records
                .iter()
                .filter(|r| keep(r))
                .filter_map(|r| r.price)
                .collect()
        };
        let stays = |r: &NodeRecord| r.life != Life::Terminating && !removed.contains(&r.id);
        let staying = prices(&stays);
        let unpriced = |keep: &dyn Fn(&NodeRecord) -> bool| {
            let count = records
                .iter()
                .filter(|r| r.price.is_none() && keep(r))
                .count();
            u32::try_from(count).unwrap_or(u32::MAX)
        };
        let expected = staying.iter().copied().chain(first_choice);
        Self {
            money: PlanMoney {
                cost_by_first_choice: HourlyPrice::sum(expected),
                unpriced_now: unpriced(&|_| true),
                unpriced_after: unpriced(&stays).saturating_add(unpriced_added),
                ..PlanMoney::default()
            },
            now: HourlyPrice::sum(prices(&|_| true)),
            after: HourlyPrice::sum(staying.into_iter().chain(added)),
        }
    }
}
