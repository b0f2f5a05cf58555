//! Why a pool has the size that it has.

use fleetwright_core::{Claim, Decision, Event, EventKind, Pool};
use fleetwright_engine::{PoolStatus, Shortage};

use super::{Answer, choices, grounds, limits};
use crate::output::count;

/// What is known about a pool.
pub(super) struct Facts<'a> {
    pub(super) status: &'a PoolStatus,
    /// Its definition; absent: it is not in the configuration any more.
    pub(super) pool: Option<&'a Pool>,
    pub(super) shortage: Option<&'a Shortage>,
    /// The last one.
    pub(super) decision: Option<&'a Decision>,
    pub(super) attempts: &'a [Claim],
    pub(super) withheld: &'a [Event],
}

/// What it is, in one line.
pub(super) fn headline(status: &PoolStatus, is_configured: bool) -> String {
    let PoolStatus {
        name,
        desired,
        ready,
        starting,
        failed,
        leaving,
        pending,
        ..
    } = status;
    if !is_configured {
        return format!("pool `{name}` is not in the configuration");
    }
    format!(
        "pool `{name}` wants {desired}: {ready} ready, {starting} starting, {failed} failed, \
         {leaving} leaving, {pending} asked for"
    )
}

/// All that there is to say.
pub(super) fn answers(facts: &Facts<'_>) -> Vec<Answer> {
    let last = facts.decision.map(|decision| {
        let mut lines = grounds(decision);
        lines.extend(choices(decision, facts.attempts));
        lines.extend(limits(decision));
        lines
    });
    [
        Answer::new("why this size", size(facts)),
        Answer::new("why it is short", short(facts)),
        Answer::new(
            "what was withheld when it was last planned",
            withheld(facts),
        ),
        Answer::new(
            "what was decided when machines were last asked for",
            last.unwrap_or_default(),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn size(facts: &Facts<'_>) -> Vec<String> {
    let Some(pool) = facts.pool else {
        return vec!["its nodes are removed by the next `up`".to_owned()];
    };
    let mut lines = vec![format!("{} in the configuration", pool.desired)];
    for (name, bound) in [("least", pool.min), ("most", pool.max)] {
        if let Some(bound) = bound {
            lines.push(format!("{bound} at {name}"));
        }
    }
    if facts.status.desired != pool.desired {
        lines.push(format!(
            "{} is the size in force: within the bounds, or decided on since",
            facts.status.desired
        ));
    }
    lines
}

fn short(facts: &Facts<'_>) -> Vec<String> {
    let Some(shortage) = facts.shortage else {
        return Vec::new();
    };
    let mut lines = vec![format!("{} missing", count(shortage.missing, "node"))];
    if shortage.expired > 0 {
        lines.push(format!(
            "the time of {} was over: nothing is made in their place until the next `up`",
            shortage.expired
        ));
    }
    if shortage.reclaimed > 0 {
        lines.push(format!("the cloud took {} back", shortage.reclaimed));
    }
    for left in &shortage.left {
        lines.push(format!(
            "{:.0} {} left: {}",
            left.at, left.name, left.reason
        ));
    }
    lines
}

fn withheld(facts: &Facts<'_>) -> Vec<String> {
    facts
        .withheld
        .iter()
        .filter_map(|event| match &event.what {
            EventKind::Withheld {
                subject,
                what,
                reason,
            } => Some(format!("{:.0} {subject}, {what}: {reason}", event.at)),
            _ => None,
        })
        .collect()
}
