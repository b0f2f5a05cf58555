//! Accounting: what a fleet costs, has cost and will cost, by whatever one asks. Pure.
//!
//! Everything follows from when nodes were there ([`Stay`]), at the price that was frozen when they
//! were asked for, in the units that their providers bill. It is no invoice: discounts, traffic and
//! storage are not known here. Sums of groups add up to the total, to the last millionth.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use fleetwright_core::{
    Amount, Billing, BudgetLine, Claim, Error, HourlyPrice, Kind, Result, Stay,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::Engine;
use crate::budget::{Ledger, missing};
use crate::charge::{Charge, Month, day_begins, day_of, ending};

/// What costs are added up by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CostKey {
    /// The pool.
    #[default]
    Pool,
    /// The provider, by its name in the configuration.
    Provider,
    /// Provider and region.
    Region,
    /// The instance type.
    Type,
    /// Who answers for the node, by its label.
    Owner,
    /// The day, in UTC.
    Day,
    /// On-demand or spot.
    Market,
}

impl CostKey {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Pool,
        Self::Provider,
        Self::Region,
        Self::Type,
        Self::Owner,
        Self::Day,
        Self::Market,
    ];

    /// The word used on the command line and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Provider => "provider",
            Self::Region => "region",
            Self::Type => "type",
            Self::Owner => "owner",
            Self::Day => "day",
            Self::Market => "market",
        }
    }
}

impl fmt::Display for CostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for CostKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = || Self::ALL.map(Self::as_str).join(", ");
        Self::ALL
            .into_iter()
            .find(|key| key.as_str() == text)
            .ok_or_else(|| {
                Error::new(
                    Kind::Invalid,
                    format!("costs cannot be added up by `{text}`"),
                )
                .with_hint(format!("known: {}", known()))
            })
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct CostQuery {
    /// What costs are added up by.
    pub by: CostKey,
    /// Only what was spent after this instant; absent: everything since the first node.
    pub since: Option<Timestamp>,
}

/// What a fleet costs, has cost and will cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CostReport {
    /// When.
    pub at: Timestamp,
    /// From when on `spent` counts; absent: from the first node.
    pub since: Option<Timestamp>,
    /// When the present month began, in UTC.
    pub month_began_at: Timestamp,
    /// When it ends.
    pub month_ends_at: Timestamp,
    /// All nodes together.
    pub total: Cost,
    /// Machines that were asked for and that nobody knows about yet; in none of the sums.
    pub in_flight: InFlight,
    /// What the groups are.
    pub by: CostKey,
    /// The groups, in order of their keys.
    pub groups: Vec<CostGroup>,
    /// Where each budget stands.
    pub budgets: Vec<BudgetLine>,
}

/// A group and what it costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CostGroup {
    /// What they have in common; absent: they have no such thing, as nodes without an owner.
    pub key: Option<String>,
    /// What they cost.
    pub cost: Cost,
}

/// What some nodes cost. Sums are by currency, and currencies are never added up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Nodes that were there in the time asked about.
    pub nodes: usize,
    /// Those of them that are still there.
    pub present: usize,
    /// How long they ran in that time, in seconds.
    pub node_seconds: u64,
    /// What those that are there cost per hour. Not for days.
    pub per_hour: Vec<HourlyPrice>,
    /// What was spent in the time asked about.
    pub spent: Vec<Amount>,
    /// What was spent in this calendar month (UTC) so far. Not for days.
    pub this_month: Vec<Amount>,
    /// What will have been spent at the end of the month, if everything stays as it is and nodes
    /// whose end is known end then. Not for days.
    pub forecast: Vec<Amount>,
    /// Nodes without a known price, which are in none of the sums.
    pub unpriced: usize,
}

/// Machines of open claims that the journal does not know yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct InFlight {
    /// How many.
    pub machines: u32,
    /// What they would cost per hour.
    pub per_hour: Vec<HourlyPrice>,
    /// Those of them without a known price.
    pub unpriced: u32,
}

/// Adds up what nodes cost. `claims` are the open ones; `billing` says how a provider counts time.
pub fn cost(
    stays: &[Stay],
    claims: &[Claim],
    billing: &dyn Fn(&str) -> Billing,
    query: CostQuery,
    now: Timestamp,
) -> CostReport {
    let month = Month::of(now);
    let mut sheet = Sheet {
        query,
        now,
        month,
        total: Cost::default(),
        groups: BTreeMap::new(),
        days: BTreeMap::new(),
    };
    for stay in stays {
        sheet.enter(stay, billing(stay.id.provider()));
    }
    let mut groups: Vec<CostGroup> = sheet
        .groups
        .into_iter()
        .map(|(key, cost)| CostGroup { key, cost })
        .collect();
    groups.extend(sheet.days.into_iter().map(|(day, cost)| {
        let date = day_begins(day).to_zoned(TimeZone::UTC).date();
        CostGroup {
            key: Some(date.to_string()),
            cost,
        }
    }));
    CostReport {
        at: now,
        since: query.since,
        month_began_at: month.start,
        month_ends_at: month.end,
        total: sheet.total,
        in_flight: in_flight(claims),
        by: query.by,
        groups,
        budgets: Vec::new(),
    }
}

/// The sums while nodes are entered one by one.
struct Sheet {
    query: CostQuery,
    now: Timestamp,
    month: Month,
    total: Cost,
    groups: BTreeMap<Option<String>, Cost>,
    days: BTreeMap<i64, Cost>,
}

impl Sheet {
    fn enter(&mut self, stay: &Stay, billing: Billing) {
        let start = self.query.since.unwrap_or(Timestamp::MIN);
        let until = stay.gone_at.unwrap_or(self.now);
        let from = stay.created_at.min(until);
        let entry = Entry {
            counts: stay.gone_at.is_none_or(|gone| gone > start),
            charge: Charge::so_far(stay, billing, self.now),
            planned: self.planned(stay, billing),
            present: stay.gone_at.is_none(),
            start: from.max(start),
            until,
        };
        entry.add_whole(&mut self.total, self.month);
        if self.query.by == CostKey::Day {
            if entry.counts {
                self.enter_days(&entry);
            }
            return;
        }
        let key = key_of(stay, self.query.by);
        // Asking first saves a copy of the key for all nodes but the first of a group.
        let group = match self.groups.get_mut(&key) {
            Some(group) => group,
            None => self.groups.entry(key).or_default(),
        };
        entry.add_whole(group, self.month);
    }

    /// The charge of a node that is there as it will be at the end of the month.
    fn planned(&self, stay: &Stay, billing: Billing) -> Option<Charge> {
        let until = match stay.gone_at {
            Some(gone) => gone,
            None => ending(stay.tenure.ends_at, self.now, self.month.end),
        };
        Some(Charge::new(stay.price?, billing, stay.created_at, until))
    }

    fn enter_days(&mut self, entry: &Entry) {
        let first = day_of(entry.start);
        // What ends at midnight ends on the day before.
        let last = if entry.until > entry.start && day_begins(day_of(entry.until)) == entry.until {
            day_of(entry.until) - 1
        } else {
            day_of(entry.until)
        };
        for day in first..=last.max(first) {
            let begins = day_begins(day).max(entry.start);
            let ends = day_begins(day + 1).min(entry.until);
            let cost = self.days.entry(day).or_default();
            cost.count(entry);
            cost.node_seconds += seconds(begins, ends);
            if let Some(charge) = &entry.charge {
                // From before it began to after it ended, where it did: nothing is lost at the ends.
                let share = match (day == first, day >= last) {
                    (true, true) => entry.spent(charge),
                    (true, false) => charge.between(entry.counts_from(), day_begins(day + 1)),
                    (false, false) => charge.between(day_begins(day), day_begins(day + 1)),
                    (false, true) => charge.since(day_begins(day)),
                };
                share.add_to(&mut cost.spent);
            }
        }
    }
}

/// A node while it is added to sums.
struct Entry {
    /// Whether it was there in the time asked about. The month is another time.
    counts: bool,
    charge: Option<Charge>,
    planned: Option<Charge>,
    present: bool,
    /// When it begins to count: when it was made, or later if only a part is asked about.
    start: Timestamp,
    until: Timestamp,
}

impl Entry {
    /// The instant after which charges count. The first unit of a node is charged as it begins.
    fn counts_from(&self) -> Timestamp {
        match &self.charge {
            Some(charge) if charge.from() < self.start => self.start,
            _ => Timestamp::MIN,
        }
    }

    fn spent(&self, charge: &Charge) -> Amount {
        charge.since(self.counts_from())
    }

    fn add_whole(&self, cost: &mut Cost, month: Month) {
        if self.counts {
            cost.count(self);
            cost.node_seconds += seconds(self.start, self.until);
        }
        let Some(charge) = &self.charge else { return };
        if self.counts {
            self.spent(charge).add_to(&mut cost.spent);
        }
        let in_month =
            |charge: &Charge| (charge.end() > month.start).then(|| charge.since(month.start));
        if let Some(amount) = in_month(charge) {
            amount.add_to(&mut cost.this_month);
        }
        if let Some(amount) = self.planned.as_ref().and_then(in_month) {
            amount.add_to(&mut cost.forecast);
        }
        if self.present {
            add_price(&mut cost.per_hour, charge.price());
        }
    }
}

impl Cost {
    fn count(&mut self, entry: &Entry) {
        self.nodes += 1;
        self.present += usize::from(entry.present);
        self.unpriced += usize::from(entry.charge.is_none());
    }
}

fn key_of(stay: &Stay, by: CostKey) -> Option<String> {
    Some(match by {
        CostKey::Pool => stay.pool.clone(),
        CostKey::Provider => stay.id.provider().to_owned(),
        CostKey::Region => format!("{}/{}", stay.id.provider(), stay.id.region()),
        CostKey::Type => stay.instance_type.clone(),
        CostKey::Market => stay.market.as_str().to_owned(),
        CostKey::Owner => return stay.labels.owner.clone(),
        CostKey::Day => return None,
    })
}

fn in_flight(claims: &[Claim]) -> InFlight {
    let mut all = InFlight::default();
    for claim in claims.iter().filter(|claim| claim.is_open()) {
        let count = claim.request.count;
        all.machines = all.machines.saturating_add(count);
        match claim.offer.price {
            Some(price) => add_price(&mut all.per_hour, price.times(count)),
            None => all.unpriced = all.unpriced.saturating_add(count),
        }
    }
    all
}

fn add_price(sums: &mut Vec<HourlyPrice>, price: HourlyPrice) {
    if let Some(sum) = sums.iter_mut().find(|sum| sum.currency == price.currency) {
        sum.micros_per_hour = sum.micros_per_hour.saturating_add(price.micros_per_hour);
    } else {
        sums.push(price);
        sums.sort_unstable();
    }
}

fn seconds(from: Timestamp, until: Timestamp) -> u64 {
    u64::try_from(until.as_second() - from.as_second()).unwrap_or(0)
}

impl Engine {
    /// What the fleet costs, has cost and will cost, from the journal alone: nobody is asked.
    ///
    /// # Errors
    /// From the journal.
    pub async fn cost(&self, query: CostQuery) -> Result<CostReport> {
        let now = self.clock.now();
        // What was gone before the month began is of no use for the forecast, either.
        let gone_since = query.since.map(|since| since.min(Month::of(now).start));
        let stays = self.store.stays(gone_since).await?;
        let tokens = stays.iter().map(|stay| stay.token.as_ref());
        let claims = missing(&self.store.open_claims().await?, tokens);
        let billing = |provider: &str| self.billing(provider);
        let ledger = Ledger::of_journal(&self.fleet, &stays, &claims, &billing, now);
        Ok(CostReport {
            budgets: ledger.lines(),
            ..cost(&stays, &claims, &billing, query, now)
        })
    }

    /// How a provider counts time; one that is not configured any more: as it is.
    pub(crate) fn billing(&self, provider: &str) -> Billing {
        self.providers
            .get(provider)
            .map_or(Billing::per_second(0), |provider| provider.info().billing)
    }
}

#[cfg(test)]
mod tests;
