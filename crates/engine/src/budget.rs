//! Admission: how many machines the budgets allow, from which offers. Pure.
//!
//! ```text
//!  nodes, orphans, open claims, what is spent ─► Ledger ─► admit(pool, count, offers) ─► Admission
//!                                                  ▲                                        │
//!                                                  └────────── what the plan makes ─────────┘
//! ```
//! A machine counts from the claim on until the cloud has confirmed that it is gone. Whatever cannot
//! be counted, because its price is not known or its currency is another one, leaves no room:
//! unknown is never free. Machines that cost nothing always fit.

mod account;

use std::collections::{BTreeMap, HashMap};

use fleetwright_core::{
    Action, Amount, Billing, BudgetAction, BudgetLine, BudgetOutcome, BudgetVerdict, Claim,
    DroppedOffer, HourlyPrice, NodeId, Offer, Period, Plan, Span, Stay, Token, keys,
};
use jiff::Timestamp;
use serde::Serialize;

use self::account::{Account, Unit};
use crate::charge::{Charge, Month, ending};
use crate::tenure::end_after;
use crate::{Fleet, Observation};

/// What nodes that are gone have cost in the present month, by pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MonthSpent {
    /// Sums by currency.
    pub by_pool: BTreeMap<String, Vec<Amount>>,
}

impl MonthSpent {
    /// Adds up nodes that are gone.
    pub(crate) fn of<'a>(
        stays: impl IntoIterator<Item = &'a Stay>,
        billing: &dyn Fn(&str) -> Billing,
        now: Timestamp,
    ) -> Self {
        let month = Month::of(now);
        let mut spent = Self::default();
        for stay in stays {
            if let Some(charge) = Charge::so_far(stay, billing(stay.id.provider()), now)
                && charge.end() > month.start
            {
                let sums = spent.by_pool.entry(stay.pool.clone()).or_default();
                charge.since(month.start).add_to(sums);
            }
        }
        spent
    }
}

/// What a pool may make of the machines that it wants.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    /// How many; 0 if none.
    pub(crate) count: u32,
    /// The offers that fit, in their order.
    pub(crate) offers: Vec<Offer>,
    /// Why machines are not made, if so.
    pub(crate) withheld: Option<String>,
    /// What budgets did.
    pub(crate) verdicts: Vec<BudgetVerdict>,
}

/// Where all budgets of a fleet stand while a plan is made.
pub(crate) struct Ledger<'a> {
    now: Timestamp,
    month: Month,
    billing: &'a dyn Fn(&str) -> Billing,
    accounts: Vec<Account>,
    /// Where the account of a pool is; that of the fleet comes last.
    by_pool: HashMap<String, usize>,
    of_fleet: Option<usize>,
}

impl<'a> Ledger<'a> {
    /// Whether any budget is for a month: then what was spent must be known.
    pub(crate) fn needs_month(fleet: &Fleet) -> bool {
        let pools = fleet.pools.values().filter_map(|pool| pool.budget.as_ref());
        fleet
            .budget
            .iter()
            .chain(pools)
            .any(|budget| budget.per_month.is_some())
    }

    /// Counts everything that is there and asked for.
    pub(crate) fn new(
        fleet: &Fleet,
        observation: &Observation,
        billing: &'a dyn Fn(&str) -> Billing,
    ) -> Self {
        let mut ledger = Self::empty(fleet, observation.at, billing);
        if ledger.accounts.is_empty() {
            return ledger;
        }
        ledger.spend(&observation.spent);
        for record in &observation.records {
            let (made, end) = (record.created_at, record.tenure.ends_at);
            ledger.count_node(&record.pool, &record.id, record.price, made, end);
        }
        let tokens = observation
            .records
            .iter()
            .map(|record| record.token.as_ref());
        for claim in &missing(&observation.claims, tokens) {
            ledger.count_claim(claim);
        }
        for node in observation.orphans() {
            let pool = node.label(keys::POOL).unwrap_or_default();
            let made = node.created_at.unwrap_or(observation.at);
            ledger.count_node(pool, &node.id, node.price, made, None);
        }
        ledger
    }

    /// The same from the journal alone. `claims` are for machines that are not among the nodes.
    pub(crate) fn of_journal(
        fleet: &Fleet,
        stays: &[Stay],
        claims: &[Claim],
        billing: &'a dyn Fn(&str) -> Billing,
        now: Timestamp,
    ) -> Self {
        let mut ledger = Self::empty(fleet, now, billing);
        if ledger.accounts.is_empty() {
            return ledger;
        }
        let gone = stays.iter().filter(|stay| stay.gone_at.is_some());
        ledger.spend(&MonthSpent::of(gone, billing, now));
        for stay in stays.iter().filter(|stay| stay.gone_at.is_none()) {
            let (made, end) = (stay.created_at, stay.tenure.ends_at);
            ledger.count_node(&stay.pool, &stay.id, stay.price, made, end);
        }
        for claim in claims {
            ledger.count_claim(claim);
        }
        ledger
    }

    fn empty(fleet: &Fleet, now: Timestamp, billing: &'a dyn Fn(&str) -> Billing) -> Self {
        let mut ledger = Self {
            now,
            month: Month::of(now),
            billing,
            accounts: Vec::new(),
            by_pool: HashMap::new(),
            of_fleet: None,
        };
        for (name, pool) in &fleet.pools {
            if let Some(budget) = &pool.budget {
                ledger.by_pool.insert(name.clone(), ledger.accounts.len());
                ledger.accounts.push(Account::new(Some(name), budget));
            }
        }
        if let Some(budget) = &fleet.budget {
            ledger.of_fleet = Some(ledger.accounts.len());
            ledger.accounts.push(Account::new(None, budget));
        }
        ledger
    }

    /// Decides about the machines that a pool wants, and counts those that it may make. Each budget
    /// is asked about the dearest of the offers that are kept: offers that do not fit are dropped
    /// first, and only when none is left are fewer machines made, or none.
    pub(crate) fn admit(
        &mut self,
        pool: &str,
        runtime: Option<Span>,
        count: u32,
        offers: Vec<Offer>,
    ) -> Admission {
        let asked = self.accounts_of(pool);
        if asked.is_empty() || offers.is_empty() || count == 0 {
            return Admission {
                count,
                offers,
                ..Admission::default()
            };
        }
        let units: Vec<Unit<'_>> = offers
            .iter()
            .map(|offer| self.unit(offer, runtime))
            .collect();
        let most = |action: BudgetAction, unit: &Unit<'_>| {
            asked
                .iter()
                .map(|at| &self.accounts[*at])
                .filter(|account| account.action == action || account.unreadable.is_some())
                .map(|account| account.most(unit))
                .min()
                .unwrap_or(u32::MAX)
        };
        // The greatest number that some offer allows; then the offers that allow that number.
        let shrunk = units
            .iter()
            .map(|unit| most(BudgetAction::Shrink, unit))
            .max()
            .unwrap_or(0)
            .min(count);
        let fits: Vec<bool> = units
            .iter()
            .map(|unit| {
                shrunk > 0
                    && most(BudgetAction::Shrink, unit) >= shrunk
                    && most(BudgetAction::Block, unit) >= shrunk
            })
            .collect();
        let is_kept = fits.contains(&true);
        let admitted = if is_kept { shrunk } else { 0 };
        // A block by one budget stands even where another would only have shrunk.
        let is_blocked = (shrunk > 0 && !is_kept) || self.is_unreadable(&asked);
        let why_not = |unit: &Unit<'_>, number: u32| {
            let hard = |account: &&Account| {
                account.action != BudgetAction::Warn || account.unreadable.is_some()
            };
            let accounts = asked.iter().map(|at| &self.accounts[*at]);
            accounts
                .filter(hard)
                .find_map(|account| account.why_not(unit, number))
        };
        // What is left out is explained by the number that could otherwise be made.
        let judged = if shrunk > 0 { shrunk } else { count };
        let dropped: Vec<DroppedOffer> = units
            .iter()
            .zip(&fits)
            .filter(|(_, fits)| !**fits)
            .filter_map(|(unit, _)| {
                Some(DroppedOffer {
                    offer: unit.offer.label(),
                    why: why_not(unit, judged)?,
                })
            })
            .collect();
        // The offer that comes closest says best why there are not more.
        let best = units
            .iter()
            .max_by_key(|unit| {
                most(BudgetAction::Shrink, unit).min(most(BudgetAction::Block, unit))
            })
            .and_then(|unit| why_not(unit, if is_blocked { judged } else { count }));
        let mut admission = Admission {
            count: admitted,
            ..Admission::default()
        };
        let verdict = |outcome, reason: String, dropped| BudgetVerdict {
            pool: pool.to_owned(),
            outcome,
            wanted: count,
            admitted,
            reason,
            dropped,
        };
        if admitted < count {
            let reason = best.unwrap_or_else(|| "no offer fits into the budgets".to_owned());
            let outcome = if is_blocked {
                BudgetOutcome::Blocked
            } else {
                BudgetOutcome::Shrunk
            };
            admission.withheld = Some(reason.clone());
            admission.verdicts.push(verdict(outcome, reason, dropped));
        } else if !dropped.is_empty() {
            let reason = format!(
                "{} left out: {}",
                if dropped.len() == 1 {
                    "1 offer is".to_owned()
                } else {
                    format!("{} offers are", dropped.len())
                },
                dropped[0].why
            );
            admission
                .verdicts
                .push(verdict(BudgetOutcome::Narrowed, reason, dropped));
        }
        if admitted > 0 {
            let kept: Vec<&Unit<'_>> = units
                .iter()
                .zip(&fits)
                .filter(|(_, fits)| **fits)
                .map(|(unit, _)| unit)
                .collect();
            for account in asked.iter().map(|at| &self.accounts[*at]) {
                if account.action != BudgetAction::Warn {
                    continue;
                }
                if let Some(reason) = kept.iter().find_map(|unit| account.why_not(unit, admitted)) {
                    admission
                        .verdicts
                        .push(verdict(BudgetOutcome::Warned, reason, Vec::new()));
                }
            }
            let worst: Vec<(HourlyPrice, u64)> = kept
                .iter()
                .filter_map(|unit| Some((unit.price?, unit.to_month_end)))
                .collect();
            let any_unpriced = kept.iter().any(|unit| unit.price.is_none());
            for at in asked {
                self.accounts[at].add(admitted, &worst, any_unpriced);
            }
        }
        let mut fits = fits.into_iter();
        admission.offers = offers;
        admission.offers.retain(|_| fits.next() == Some(true));
        admission
    }

    /// Where each limit stands.
    pub(crate) fn lines(&self) -> Vec<BudgetLine> {
        let lines = self.accounts.iter().flat_map(Account::lines);
        lines.collect()
    }

    fn is_unreadable(&self, asked: &[usize]) -> bool {
        asked
            .iter()
            .any(|at| self.accounts[*at].unreadable.is_some())
    }

    /// The budget of the pool and that of the fleet, as far as there are.
    fn accounts_of(&self, pool: &str) -> Vec<usize> {
        let own = self.by_pool.get(pool).copied();
        own.into_iter().chain(self.of_fleet).collect()
    }

    fn spend(&mut self, spent: &MonthSpent) {
        for (pool, sums) in &spent.by_pool {
            for at in self.accounts_of(pool) {
                self.accounts[at].spend(sums);
            }
        }
    }

    /// A node that is there, until the end of the month or its own, if that is known.
    fn count_node(
        &mut self,
        pool: &str,
        id: &NodeId,
        price: Option<HourlyPrice>,
        made: Timestamp,
        ends_at: Option<Timestamp>,
    ) {
        let until = ending(ends_at, self.now, self.month.end);
        let billing = (self.billing)(id.provider());
        let charge = price.map(|price| Charge::new(price, billing, made, until));
        self.count(pool, 1, charge);
    }

    fn count_claim(&mut self, claim: &Claim) {
        let label = claim.request.spec.labels.get(keys::EXPIRY);
        let end = label
            .and_then(|text| text.parse().ok())
            .and_then(|second| Timestamp::from_second(second).ok());
        let until = ending(end, self.now, self.month.end);
        let billing = (self.billing)(claim.provider());
        let price = claim.offer.price;
        let charge = price.map(|price| Charge::new(price, billing, claim.made_at, until));
        self.count(&claim.pool, claim.request.count, charge);
    }

    fn count(&mut self, pool: &str, machines: u32, charge: Option<Charge>) {
        let month = self.month;
        for at in self.accounts_of(pool) {
            self.accounts[at].count(machines, charge.as_ref(), month, self.now);
        }
    }

    fn unit<'o>(&self, offer: &'o Offer, runtime: Option<Span>) -> Unit<'o> {
        let end = runtime.map(|runtime| end_after(self.now, runtime));
        let until = ending(end, self.now, self.month.end);
        let billing = (self.billing)(&offer.provider);
        let to_month_end = offer.price.map_or(0, |price| {
            Charge::new(price, billing, self.now, until).total().micros
        });
        Unit {
            offer,
            price: offer.price,
            to_month_end,
        }
    }
}

/// The open claims, each for the machines that are not among the nodes with these tokens.
pub(crate) fn missing<'t>(
    claims: &[Claim],
    tokens: impl Iterator<Item = Option<&'t Token>>,
) -> Vec<Claim> {
    if claims.is_empty() {
        return Vec::new();
    }
    let mut known: HashMap<&str, u32> = HashMap::new();
    for token in tokens.flatten() {
        *known.entry(token.as_str()).or_default() += 1;
    }
    let mut missing = claims.to_vec();
    for claim in &mut missing {
        let there = known.get(claim.token().as_str()).copied().unwrap_or(0);
        claim.request.count = claim.request.count.saturating_sub(there);
    }
    missing.retain(|claim| claim.request.count > 0);
    missing
}

/// Why a plan that was made before does not fit into the budgets any more; `None` if it does.
pub(crate) fn outgrown(
    fleet: &Fleet,
    observation: &Observation,
    billing: &dyn Fn(&str) -> Billing,
    stored: &Plan,
) -> Option<String> {
    let mut ledger = Ledger::new(fleet, observation, billing);
    stored.steps.iter().find_map(|step| {
        let Action::Create {
            pool,
            count,
            offers,
            ..
        } = &step.action
        else {
            return None;
        };
        let limits = fleet.pools.get(pool).map(|pool| &pool.limits);
        let runtime = limits.and_then(|limits| limits.max_runtime);
        let admission = ledger.admit(pool, runtime, *count, offers.clone());
        let fits = admission.count == *count && admission.offers.len() == offers.len();
        let reason = admission.verdicts.into_iter().next();
        (!fits).then(|| reason.map_or_else(String::new, |verdict| verdict.reason))
    })
}

/// Where each budget of a fleet stands.
pub fn budget_lines(fleet: &Fleet, observation: &Observation) -> Vec<BudgetLine> {
    let billing = |provider: &str| observation.billing(provider);
    Ledger::new(fleet, observation, &billing).lines()
}

/// What is said about a budget of which more counts than may be spent.
pub fn exceeded(line: &BudgetLine) -> String {
    let (whose, now, limit) = (line.whose(), line.now, line.limit);
    match line.period {
        Period::Hour => format!("{whose} is exceeded: {now}/h of {limit}/h"),
        Period::Month => format!("{whose} is exceeded: {now} of {limit} this month"),
    }
}
