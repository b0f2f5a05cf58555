//! What happens by itself: scheduled reclaims, and groups that replace what they lost.
//!
//! Nobody watches the world, so it catches up whenever somebody looks.

use fleetwright_core::Market;
use jiff::{SignedDuration, Timestamp};

use super::capacity::Wish;
use super::machine::Notice;
use super::state::{Change, GroupState, State};
use super::{Step, after};
use crate::config::{SimConfig, SimReclaim};

/// Lets happen what is due.
pub(super) fn advance(step: &mut Step<'_>) {
    reclaim(step);
    let groups: Vec<String> = step.state().groups.keys().cloned().collect();
    for key in groups {
        heal(step, &key);
    }
}

fn reclaim(step: &mut Step<'_>) {
    let (state, now) = (step.state(), step.now());
    let due: Vec<(Timestamp, &SimReclaim)> = step
        .config()
        .reclaims
        .iter()
        .map(|rule| (after(state.began, rule.at.0), rule))
        .filter(|(at, _)| *at >= state.swept && *at <= now)
        .collect();
    if due.is_empty() {
        return;
    }
    let mut changes = Vec::new();
    for (given_at, rule) in due {
        let notice = Notice {
            given_at,
            gone_at: after(given_at, rule.notice.0),
        };
        let most = rule.count.map_or(usize::MAX, |count| {
            usize::try_from(count).unwrap_or(usize::MAX)
        });
        changes.extend(
            victims(state, rule, given_at)
                .take(most)
                .map(|machine| Change::Noticed { machine, notice }),
        );
    }
    let to = now
        .checked_add(SignedDuration::from_nanos(1))
        .unwrap_or(Timestamp::MAX);
    changes.push(Change::Swept { to });
    for change in changes {
        step.change(change);
    }
}

fn victims<'a>(
    state: &'a State,
    rule: &'a SimReclaim,
    at: Timestamp,
) -> impl Iterator<Item = u64> + 'a {
    let is = |only: &Option<String>, value: Option<&str>| {
        only.as_deref().is_none_or(|only| Some(only) == value)
    };
    state
        .live(at)
        .filter(move |(_, machine, batch)| {
            batch.market == Market::Spot
                && batch.made_at <= at
                && machine.notice.is_none()
                && is(&rule.region, Some(&batch.region))
                && is(&rule.zone, batch.zone(machine.place))
        })
        .map(|(number, ..)| number)
}

/// Brings a group to its size, except for losses that are too fresh.
fn heal(step: &mut Step<'_>, key: &str) {
    let now = step.now();
    let Some(group) = step.state().groups.get(key) else {
        return;
    };
    let delay = step.config().heal_time.0;
    let (mut staying, mut fresh) = (0u32, 0u32);
    for (_, machine, batch) in step.state().machines_after(0) {
        if batch.group.as_deref() != Some(&group.name) || batch.region != group.region {
            continue;
        }
        if machine.is_staying(now) {
            staying += 1;
        } else if machine
            .lost_at()
            .is_some_and(|lost| now < after(lost, delay))
        {
            fresh += 1;
        }
    }
    let missing = group.desired.saturating_sub(staying).saturating_sub(fresh);
    if missing > 0 {
        let group = group.clone();
        fill(step, group, missing);
    }
}

/// Makes members, as far as there is capacity; the rest comes when there is some.
pub(crate) fn fill(step: &mut Step<'_>, mut group: GroupState, count: u32) {
    let config: &SimConfig = step.config();
    let Some(sold) = config.instance_type(&group.template.instance_type) else {
        return;
    };
    let wish = Wish {
        region: &group.region,
        zone: None,
        sold,
        market: group.template.market,
        count,
    };
    let placement = step.place(wish);
    if placement.zones.is_empty() {
        return;
    }
    let mut batch = group.template.clone();
    batch.zones = placement.zones;
    batch.made_at = step.now();
    let made = batch.count();
    group.template.first_ordinal = Some(
        group
            .template
            .first_ordinal
            .unwrap_or(0)
            .saturating_add(made),
    );
    step.change(Change::Made(Box::new(batch)));
    step.change(Change::Group(Box::new(group)));
}
