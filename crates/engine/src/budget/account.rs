//! One budget while a plan is made: what counts for it, and how many machines still fit.

use fleetwright_core::{
    Amount, Budget, BudgetAction, BudgetLimit, BudgetLine, HourlyPrice, Offer, Period,
};
use jiff::Timestamp;

use crate::charge::{Charge, Month};

/// One budget.
pub(super) struct Account {
    pool: Option<String>,
    pub(super) action: BudgetAction,
    entries: Vec<Entry>,
    /// Set if the budget cannot be read: nothing is made then.
    pub(super) unreadable: Option<String>,
    unpriced: u32,
    other_currency: u32,
}

/// One limit of a budget, in millionths.
struct Entry {
    limit: BudgetLimit,
    spent: u64,
    now: u64,
    added: u64,
}

/// What machines of an offer cost each.
pub(super) struct Unit<'a> {
    pub(super) offer: &'a Offer,
    pub(super) price: Option<HourlyPrice>,
    pub(super) to_month_end: u64,
}

impl Account {
    pub(super) fn new(pool: Option<&String>, budget: &Budget) -> Self {
        let (limits, unreadable) = match budget.limits() {
            Ok(limits) => (limits, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        Self {
            pool: pool.cloned(),
            action: budget.action,
            entries: limits
                .into_iter()
                .map(|limit| Entry {
                    limit,
                    spent: 0,
                    now: 0,
                    added: 0,
                })
                .collect(),
            unreadable,
            unpriced: 0,
            other_currency: 0,
        }
    }

    pub(super) fn spend(&mut self, sums: &[Amount]) {
        for sum in sums {
            for entry in self.entries.iter_mut().filter(|entry| {
                entry.limit.period == Period::Month && entry.limit.most.currency == sum.currency
            }) {
                entry.spent = entry.spent.saturating_add(sum.micros);
                entry.now = entry.now.saturating_add(sum.micros);
            }
        }
    }

    pub(super) fn count(
        &mut self,
        machines: u32,
        charge: Option<&Charge>,
        month: Month,
        now: Timestamp,
    ) {
        let Some(charge) = charge else {
            self.unpriced = self.unpriced.saturating_add(machines);
            return;
        };
        let price = charge.price();
        if price.micros_per_hour == 0 {
            return;
        }
        if !self.knows(price) {
            self.other_currency = self.other_currency.saturating_add(machines);
            return;
        }
        let times = u64::from(machines);
        for entry in &mut self.entries {
            if entry.limit.most.currency != price.currency {
                continue;
            }
            let micros = match entry.limit.period {
                Period::Hour => price.micros_per_hour,
                Period::Month => {
                    let past = charge.between(month.start, now.min(charge.end())).micros;
                    entry.spent = entry.spent.saturating_add(past.saturating_mul(times));
                    charge.since(month.start).micros
                }
            };
            entry.now = entry.now.saturating_add(micros.saturating_mul(times));
        }
    }

    /// Counts machines of the plan: at the dearest price in each currency.
    pub(super) fn add(&mut self, machines: u32, offers: &[(HourlyPrice, u64)], any_unpriced: bool) {
        for entry in &mut self.entries {
            let dearest = offers
                .iter()
                .filter(|(price, _)| price.currency == entry.limit.most.currency)
                .map(|(price, to_month_end)| entry.cost(*price, *to_month_end))
                .max()
                .unwrap_or(0);
            let micros = dearest.saturating_mul(u64::from(machines));
            entry.added = entry.added.saturating_add(micros);
        }
        if any_unpriced {
            self.unpriced = self.unpriced.saturating_add(machines);
        }
        let is_other =
            |(price, _): &(HourlyPrice, u64)| price.micros_per_hour > 0 && !self.knows(*price);
        if offers.iter().any(is_other) {
            self.other_currency = self.other_currency.saturating_add(machines);
        }
    }

    fn knows(&self, price: HourlyPrice) -> bool {
        let currency = price.currency;
        self.entries
            .iter()
            .any(|entry| entry.limit.most.currency == currency)
    }

    /// Why nothing can be said about what is left, if so.
    fn obscured(&self) -> Option<String> {
        let whose = Budget::whose(self.pool.as_deref());
        if let Some(error) = &self.unreadable {
            return Some(format!("{whose} cannot be read: {error}"));
        }
        let machines = |count: u32| match count {
            1 => "1 machine".to_owned(),
            _ => format!("{count} machines"),
        };
        if self.unpriced > 0 {
            let machines = machines(self.unpriced);
            return Some(format!(
                "the price of {machines} is unknown, so nobody can tell what is left of {whose}"
            ));
        }
        (self.other_currency > 0).then(|| {
            let machines = machines(self.other_currency);
            format!("{whose} has no sum in the currency of {machines} that count for it")
        })
    }

    /// The greatest number of machines of an offer that fits.
    pub(super) fn most(&self, unit: &Unit<'_>) -> u32 {
        if self.unreadable.is_some() {
            return 0;
        }
        let Some(price) = unit.price else { return 0 };
        if price.micros_per_hour == 0 {
            return u32::MAX;
        }
        if !self.knows(price) || self.obscured().is_some() {
            return 0;
        }
        let number = |entry: &Entry| match entry.cost(price, unit.to_month_end) {
            0 => u32::MAX,
            each => u32::try_from(entry.left() / each).unwrap_or(u32::MAX),
        };
        self.entries
            .iter()
            .filter(|entry| entry.limit.most.currency == price.currency)
            .map(number)
            .min()
            .unwrap_or(0)
    }

    /// Why so many machines of an offer do not fit; `None` if they do.
    pub(super) fn why_not(&self, unit: &Unit<'_>, count: u32) -> Option<String> {
        if self.most(unit) >= count {
            return None;
        }
        let whose = Budget::whose(self.pool.as_deref());
        let Some(price) = unit.price else {
            return Some(format!(
                "its price is unknown, and {whose} counts nothing as free"
            ));
        };
        if self.unreadable.is_none() && !self.knows(price) {
            return Some(format!("{price} does not compare with {whose}"));
        }
        if let Some(why) = self.obscured() {
            return Some(why);
        }
        self.entries
            .iter()
            .filter(|entry| entry.limit.most.currency == price.currency)
            .find_map(|entry| {
                let each = entry.cost(price, unit.to_month_end);
                let all = each.saturating_mul(u64::from(count));
                (all > entry.left()).then(|| entry.too_much(count, each, &whose))
            })
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = BudgetLine> {
        self.entries.iter().map(|entry| {
            let sum = |micros| Amount {
                micros,
                ..entry.limit.most
            };
            BudgetLine {
                pool: self.pool.clone(),
                period: entry.limit.period,
                action: self.action,
                limit: entry.limit.most,
                spent: (entry.limit.period == Period::Month).then(|| sum(entry.spent)),
                now: sum(entry.now),
                after: sum(entry.now.saturating_add(entry.added)),
                left: sum(entry.left()),
                unpriced: self.unpriced,
                other_currency: self.other_currency,
            }
        })
    }
}

impl Entry {
    const fn left(&self) -> u64 {
        let counted = self.now.saturating_add(self.added);
        self.limit.most.micros.saturating_sub(counted)
    }

    /// What one machine counts.
    const fn cost(&self, price: HourlyPrice, to_month_end: u64) -> u64 {
        match self.limit.period {
            Period::Hour => price.micros_per_hour,
            Period::Month => to_month_end,
        }
    }

    fn too_much(&self, count: u32, each: u64, whose: &str) -> String {
        let sum = |micros| Amount {
            micros,
            ..self.limit.most
        };
        let all = sum(each.saturating_mul(u64::from(count)));
        let (left, limit) = (sum(self.left()), self.limit.most);
        let machines = if count == 1 { "1 costs" } else { "cost" };
        let number = if count == 1 {
            String::new()
        } else {
            format!("{count} ")
        };
        match self.limit.period {
            Period::Hour => format!(
                "{number}{machines} {all}/h, and of the {limit}/h in {whose} {left}/h are left"
            ),
            Period::Month => format!(
                "{number}{machines} {all} until the end of the month, and of the {limit} a month \
                 in {whose} {left} are left"
            ),
        }
    }
}
