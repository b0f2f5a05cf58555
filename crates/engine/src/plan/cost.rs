//! What a plan costs: now, and at worst afterwards.

use std::collections::HashSet;

use fleetwright_core::{Action, HourlyPrice, Life, NodeId, NodeRecord, Step};

pub(super) struct Costs {
    pub(super) now: Vec<HourlyPrice>,
    pub(super) after: Vec<HourlyPrice>,
}

impl Costs {
    /// Sums up by currency. A machine that is going away costs until it is gone. Machines to be
    /// made count with the dearest of their fallback offers.
    pub(super) fn of(records: &[NodeRecord], steps: &[Step]) -> Self {
        let mut removed: HashSet<&NodeId> = HashSet::new();
        let mut added = Vec::new();
        for step in steps {
            match &step.action {
                Action::Delete { node } => {
                    removed.insert(node);
                }
                Action::Create { count, offers, .. } => {
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
        let staying = prices(&|r| r.life != Life::Terminating && !removed.contains(&r.id));
        Self {
            now: HourlyPrice::sum(prices(&|_| true)),
            after: HourlyPrice::sum(staying.into_iter().chain(added)),
        }
    }
}
