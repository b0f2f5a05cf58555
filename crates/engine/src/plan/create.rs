//! Filling a pool up: so many machines, divided by market and by the pool's strategies.

use fleetwright_core::{
    Action, Market, Node, NodeRecord, Offer, Pool, SpotSoldOut, Step, Strategy, Withheld,
};

use super::{Planner, besides, mix, plural};
use crate::select::{Exclusion, Placed, Share, Situation, allot};

/// Excluded offers that are named when there is no other.
const NAMED: usize = 4;

/// What a pool lacks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gap {
    /// Machines to be made.
    pub(super) missing: usize,
    /// Machines that count.
    pub(super) have: usize,
    /// Of those that do not count, how many go because their time is over.
    pub(super) ended: usize,
    /// And how many because their cloud takes them away.
    pub(super) doomed: usize,
    /// Nodes that others are to take the place of, for another reason.
    pub(super) replaced: usize,
    /// Machines wanted.
    pub(super) wanted: usize,
}

impl<'a> Planner<'a> {
    /// Where the machines of a pool are that count: recorded, without a record, and asked for.
    /// Empty for pools whose choices do not depend on it.
    pub(super) fn placed(
        &self,
        name: &str,
        pool: &Pool,
        records: impl Iterator<Item = &'a NodeRecord>,
        orphans: &[&'a Node],
    ) -> Vec<Placed<'a>> {
        let spreads = |one| matches!(one, Strategy::Spread(_));
        if pool.markets.is_none() && !pool.strategy.contains(spreads) {
            return Vec::new();
        }
        let mut placed: Vec<Placed<'a>> = records.map(Placed::record).collect();
        placed.extend(orphans.iter().copied().map(Placed::node));
        let claims = self.observation.claims.iter();
        for claim in claims.filter(|claim| claim.pool == name) {
            let missing = usize::try_from(self.missing(claim)).unwrap_or(usize::MAX);
            placed.extend(std::iter::repeat_n(Placed::claim(claim), missing));
        }
        placed
    }

    /// Steps for the machines that a pool lacks, or what stands against them.
    pub(super) fn create(&mut self, name: &str, pool: &Pool, gap: Gap, placed: Vec<Placed<'a>>) {
        if let Err(error) = pool.first_boot() {
            let what = format!("create {}", gap.missing);
            let why = error.report().to_string();
            self.withhold(&format!("pool {name}"), &what, &why);
            return;
        }
        let missing = u32::try_from(gap.missing).unwrap_or(u32::MAX);
        let wanted = u32::try_from(gap.wanted).unwrap_or(u32::MAX);
        let situation = Situation {
            now: self.observation.at,
            marks: &self.observation.marks,
            spent_marks: &self.observation.spent_marks,
            records: &self.observation.records,
            turns: self.observation.turns.get(name),
            placed,
        };
        let Some(markets) = pool.markets else {
            let share = Share {
                count: missing,
                market: None,
            };
            self.create_share(name, pool, gap, &situation, share, None);
            return;
        };
        let (on_demand, spot) = mix::divide(markets, missing, wanted, &situation.placed);
        let share = |market, count| Share {
            count,
            market: Some(market),
        };
        if on_demand > 0 {
            let share = share(Market::OnDemand, on_demand);
            self.create_share(name, pool, gap, &situation, share, None);
        }
        if spot == 0 {
            return;
        }
        let fallback = match markets.spot_sold_out {
            SpotSoldOut::OnDemand => Some(Market::OnDemand),
            SpotSoldOut::Wait => None,
        };
        let share = share(Market::Spot, spot);
        self.create_share(name, pool, gap, &situation, share, fallback);
    }

    /// Steps for the machines of one market. `fallback`: the market that is asked after all offers
    /// of the first have refused.
    fn create_share(
        &mut self,
        name: &str,
        pool: &Pool,
        gap: Gap,
        situation: &Situation<'_>,
        share: Share,
        fallback: Option<Market>,
    ) {
        let providers = &*self.providers;
        let mut allotment = allot(pool, providers, situation, share);
        let mut instead = String::new();
        if let Some(market) = fallback {
            let other = Share {
                market: Some(market),
                ..share
            };
            let others = allot(pool, providers, situation, other);
            if allotment.parts.is_empty() {
                let why = first_reasons(&allotment.excluded);
                instead = format!(" in place of spot, which is not to be had: {why}");
                let excluded = allotment.excluded;
                allotment = others;
                allotment.excluded.splice(0..0, excluded);
            } else if let Some(rest) = others.parts.first() {
                for part in &mut allotment.parts {
                    part.offers.extend(rest.offers.iter().cloned());
                }
            }
        }
        let on = share.market.filter(|_| instead.is_empty());
        if allotment.parts.is_empty() {
            let on = on.map(|market| format!(" {market}")).unwrap_or_default();
            self.withheld.push(Withheld {
                subject: format!("pool {name}"),
                what: format!("create {}{on}", share.count),
                reason: format!("no offer is left: {}", first_reasons(&allotment.excluded)),
            });
            return;
        }
        let spec = self.fleet.node_spec(name, pool, &self.observation.journal);
        let reason = format!(
            "pool `{name}` has {}{} and wants {}",
            plural(gap.have, "node"),
            besides(gap.ended, gap.doomed, gap.replaced),
            gap.wanted
        );
        let divided = allotment.parts.len() > 1;
        let mut at_other_rates = 0;
        for part in allotment.parts {
            let mut offers = part.offers;
            let count = self.within_rates(pool, &mut offers, part.count);
            at_other_rates += part.count - count;
            if offers.is_empty() {
                continue;
            }
            let Some((count, offers)) = self.admit(name, pool, count, offers) else {
                continue;
            };
            let is_all = usize::try_from(count).is_ok_and(|count| count == gap.missing);
            let mut words = Vec::new();
            if !is_all || on.is_some() {
                words.push(format!("; {count} of {}", gap.missing));
                words.extend(on.map(|market| format!(" on {}", kind_of(market))));
                if divided {
                    words.push(format!(" by {}", pool.strategy));
                }
            }
            let reason = format!("{reason}{}{instead}", words.concat());
            self.steps.push(Step {
                action: Action::Create {
                    pool: name.to_owned(),
                    count,
                    offers,
                    spec: Box::new(spec.clone()),
                    turn: part.turn,
                },
                reason,
            });
        }
        // The others cannot be had at the same rate.
        if at_other_rates > 0 {
            let share = Share {
                count: at_other_rates,
                ..share
            };
            self.create_share(name, pool, gap, situation, share, fallback);
        }
    }

    /// Asks the budgets: how many may be made, and from which offers. What they withhold is said.
    fn admit(
        &mut self,
        name: &str,
        pool: &Pool,
        count: u32,
        offers: Vec<Offer>,
    ) -> Option<(u32, Vec<Offer>)> {
        let runtime = pool.limits.max_runtime;
        let admission = self.ledger.admit(name, runtime, count, offers);
        self.verdicts.extend(admission.verdicts);
        if let Some(why) = &admission.withheld {
            let what = match admission.count {
                0 => format!("create {count}"),
                some => format!("create {} of {count}", count - some),
            };
            self.withhold(&format!("pool {name}"), &what, why);
        }
        (admission.count > 0).then_some((admission.count, admission.offers))
    }
}

const fn kind_of(market: Market) -> &'static str {
    match market {
        Market::OnDemand => "demand",
        Market::Spot => "spot",
    }
}

/// Why there is no offer: the first few reasons.
fn first_reasons(excluded: &[Exclusion]) -> String {
    let mut why: Vec<String> = excluded
        .iter()
        .map(|e| format!("{}: {}", e.what, e.why))
        .collect();
    why.dedup();
    let more = why.len().saturating_sub(NAMED);
    why.truncate(NAMED);
    if more > 0 {
        why.push(format!("and {more} more"));
    }
    if why.is_empty() {
        "nothing is on offer".into()
    } else {
        why.join("; ")
    }
}
