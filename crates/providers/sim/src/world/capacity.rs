//! Who gets a machine: quotas first, then what the zones have left.

use std::time::Duration;

use fleetwright_core::{Availability, Error, Market};
use jiff::Timestamp;

use super::after;
use super::state::State;
use crate::config::{QuotaUnit, SimCapacity, SimConfig, SimQuota, SimType};
use crate::error;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) region: &'a str,
    pub(crate) zone: Option<&'a str>,
    pub(crate) sold: &'a SimType,
    pub(crate) market: Market,
    pub(crate) count: u32,
}

/// What can be had.
#[derive(Debug)]
pub(crate) struct Placement {
    /// Machines per zone; zones without any are left out.
    pub(crate) zones: Vec<(String, u32)>,
    /// Why these are fewer than asked for.
    pub(crate) shortfall: Option<Error>,
    /// Other zones of the region that have some left, if the cloud chooses to tell.
    pub(crate) hints: Vec<String>,
}

/// Finds places, spread evenly over the zones of the region unless one was asked for.
pub(crate) fn place(
    state: &State,
    config: &SimConfig,
    now: Timestamp,
    wish: Wish<'_>,
) -> Placement {
    let mut count = wish.count;
    let mut shortfall = None;
    for quota in config.quota.iter().chain(&state.quota) {
        let allowed = allowed(state, config, now, quota, wish);
        if allowed < count {
            count = allowed;
            shortfall = Some(error::over_quota(quota));
        }
    }
    let mut scarce = in_force(state, config, now);
    let all = config
        .region(wish.region)
        .map_or(&[][..], |region| &region.zones);
    let mut zones: Vec<(String, u32)> = all
        .iter()
        .filter(|zone| wish.zone.is_none_or(|wanted| wanted == *zone))
        .map(|zone| (zone.clone(), 0))
        .collect();
    // Single machines are spread as well: each begins where the one before ended.
    let start = usize::try_from(state.last_machine).unwrap_or(0) % zones.len().max(1);
    zones.rotate_left(start);
    let mut placed = 0;
    let mut progress = true;
    while placed < count && progress {
        progress = false;
        for (zone, taken) in &mut zones {
            if placed < count && take(&mut scarce, wish, zone) {
                *taken += 1;
                placed += 1;
                progress = true;
            }
        }
    }
    let mut hints = Vec::new();
    if placed < count {
        hints = all
            .iter()
            .filter(|zone| take(&mut scarce, wish, zone))
            .cloned()
            .collect();
        // A cloud names other zones in some of its refusals, not in all.
        if state.calls % 2 == 1 {
            hints.clear();
        }
        shortfall = Some(error::sold_out(
            wish.region,
            wish.zone,
            &wish.sold.name,
            &hints,
        ));
    }
    zones.retain(|(_, taken)| *taken > 0);
    Placement {
        zones,
        shortfall,
        hints,
    }
}

/// Whether such a machine can be had in the zone that the wish names.
pub(crate) fn availability(
    state: &State,
    config: &SimConfig,
    now: Timestamp,
    wish: Wish<'_>,
) -> Availability {
    let zone = wish.zone.unwrap_or("");
    let ends: Vec<Option<Timestamp>> = in_force(state, config, now)
        .into_iter()
        .filter(|rule| rule.left == 0 && rule.matches(wish, zone))
        .map(|rule| rule.rule.to.map(|to| after(state.began, to.0)))
        .collect();
    if ends.is_empty() {
        return Availability::Available;
    }
    let until: Option<Vec<Timestamp>> = ends.into_iter().collect();
    Availability::SoldOut {
        until: until.and_then(|ends| ends.into_iter().max()),
    }
}

/// A scarcity in force.
#[derive(Debug)]
struct Scarcity<'a> {
    rule: &'a SimCapacity,
    left: u32,
}

impl Scarcity<'_> {
    fn matches(&self, wish: Wish<'_>, zone: &str) -> bool {
        matches(self.rule, wish.region, zone, &wish.sold.name, wish.market)
    }
}

fn in_force<'a>(state: &'a State, config: &'a SimConfig, now: Timestamp) -> Vec<Scarcity<'a>> {
    let age = Duration::try_from(now.duration_since(state.began)).unwrap_or_default();
    config
        .capacity
        .iter()
        .chain(&state.capacity)
        .filter(|rule| rule.from.is_none_or(|from| from.0 <= age))
        .filter(|rule| rule.to.is_none_or(|to| age < to.0))
        .map(|rule| {
            let used = state
                .live(now)
                .filter(|(_, machine, batch)| {
                    let zone = batch.zone(machine.place).unwrap_or("");
                    matches(
                        rule,
                        &batch.region,
                        zone,
                        &batch.instance_type,
                        batch.market,
                    )
                })
                .count();
            let used = u32::try_from(used).unwrap_or(u32::MAX);
            Scarcity {
                rule,
                left: rule.count.saturating_sub(used),
            }
        })
        .collect()
}

fn matches(
    rule: &SimCapacity,
    region: &str,
    zone: &str,
    instance_type: &str,
    market: Market,
) -> bool {
    let is = |wanted: &Option<String>, value| wanted.as_deref().is_none_or(|w| w == value);
    is(&rule.region, region)
        && is(&rule.zone, zone)
        && is(&rule.instance_type, instance_type)
        && rule.market.is_none_or(|wanted| wanted == market)
}

/// Takes a place in a zone, if every scarcity that matches leaves one.
fn take(scarce: &mut [Scarcity<'_>], wish: Wish<'_>, zone: &str) -> bool {
    if scarce
        .iter()
        .any(|rule| rule.left == 0 && rule.matches(wish, zone))
    {
        return false;
    }
    for rule in scarce.iter_mut().filter(|rule| rule.matches(wish, zone)) {
        rule.left -= 1;
    }
    true
}

/// How many more such machines a quota allows.
fn allowed(
    state: &State,
    config: &SimConfig,
    now: Timestamp,
    quota: &SimQuota,
    wish: Wish<'_>,
) -> u32 {
    if quota
        .region
        .as_deref()
        .is_some_and(|only| only != wish.region)
    {
        return u32::MAX;
    }
    let each = weight(quota.unit, wish.sold);
    if each == 0 {
        return u32::MAX;
    }
    let left = quota.limit.saturating_sub(used(state, config, now, quota));
    u32::try_from(left / each).unwrap_or(u32::MAX)
}

/// How much of a quota is in use.
pub(crate) fn used(state: &State, config: &SimConfig, now: Timestamp, quota: &SimQuota) -> u64 {
    state
        .live(now)
        .filter(|(_, _, batch)| {
            quota
                .region
                .as_ref()
                .is_none_or(|only| *only == batch.region)
        })
        .filter_map(|(_, _, batch)| config.instance_type(&batch.instance_type))
        .map(|sold| weight(quota.unit, sold))
        .sum()
}

fn weight(unit: QuotaUnit, sold: &SimType) -> u64 {
    match unit {
        QuotaUnit::Nodes => 1,
        QuotaUnit::Vcpus => sold.vcpus.into(),
        QuotaUnit::Gpus => sold.gpus.into(),
    }
}
