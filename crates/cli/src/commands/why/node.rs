//! Why a node exists, is where it is, costs what it costs, and goes.

use fleetwright_core::{
    Boot, Claim, ClaimState, Decision, Event, EventKind, Life, NodeRecord, Pool,
};

use super::{Answer, choices, grounds, limits, outcome};

/// What is known about a node.
pub(super) struct Facts<'a> {
    pub(super) record: &'a NodeRecord,
    pub(super) pool: Option<&'a Pool>,
    /// The attempt that made it.
    pub(super) claim: Option<&'a Claim>,
    pub(super) decision: Option<&'a Decision>,
    /// All attempts of the decision, in order.
    pub(super) attempts: &'a [Claim],
    pub(super) events: &'a [Event],
}

/// What it is, in one line.
pub(super) fn headline(record: &NodeRecord) -> String {
    let price = record
        .price
        .map_or_else(|| "price unknown".to_owned(), |price| price.to_string());
    let zone = record.zone.as_ref().map(|zone| format!("/{zone}"));
    format!(
        "{} is {}: {}/{}{} {} {}, {price}",
        record.name,
        record.life,
        record.id.provider(),
        record.id.region(),
        zone.unwrap_or_default(),
        record.instance_type,
        record.market
    )
}

/// All that there is to say, in the order in which it happened.
pub(super) fn answers(facts: &Facts<'_>) -> Vec<Answer> {
    let record = facts.record;
    let ends = if record.life == Life::Gone {
        "why it is gone"
    } else if record.life.is_leaving() {
        "why it goes"
    } else {
        "how long it stays"
    };
    [
        Answer::new("why it exists", exists(facts)),
        Answer::new("why there", there(facts)),
        Answer::new("why at this price", price(facts)),
        Answer::new("what was tried before it", before(facts)),
        Answer::new(&format!("why it is {}", record.life), state(facts)),
        Answer::new(ends, end(facts)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn exists(facts: &Facts<'_>) -> Vec<String> {
    let record = facts.record;
    if let Some(decision) = facts.decision {
        return grounds(decision);
    }
    match facts.claim {
        Some(claim) => vec![
            format!(
                "pool `{}` asked for it at {:.0}, with claim {} attempt {}",
                claim.pool, claim.made_at, claim.id, claim.attempt
            ),
            "the decision was not recorded, or is forgotten".to_owned(),
        ],
        None => vec![
            format!("it was found with the label of pool `{}`", record.pool),
            "the journal that asked for it is lost, and the reason with it".to_owned(),
        ],
    }
}

fn there(facts: &Facts<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(claim) = facts.claim {
        let reason = &claim.offer.reason;
        lines.push(if reason.is_empty() {
            claim.offer.label()
        } else {
            format!("{}: {reason}", claim.offer.label())
        });
    }
    if let Some(decision) = facts.decision {
        lines.extend(choices(decision, facts.attempts));
        lines.extend(limits(decision));
    }
    lines
}

fn price(facts: &Facts<'_>) -> Vec<String> {
    let Some(claim) = facts.claim else {
        return facts.record.price.map_or_else(
            || vec!["its price is not known: it was not asked for by this journal".to_owned()],
            |price| vec![format!("{price}, as the provider told when it was found")],
        );
    };
    match claim.offer.price {
        Some(price) => vec![format!(
            "{price} was the price of the offer at {:.0}, and is kept for this node",
            claim.made_at
        )],
        None => vec!["the provider told no price when it was asked for".to_owned()],
    }
}

/// Attempts that gave nothing before this node's own did.
fn before(facts: &Facts<'_>) -> Vec<String> {
    let own = facts.claim.map(Claim::token);
    facts
        .attempts
        .iter()
        .take_while(|claim| Some(claim.token()) != own)
        .filter(|claim| !matches!(claim.state, ClaimState::Fulfilled { .. }))
        .map(|claim| {
            format!(
                "{:.0} {} for {}: {}",
                claim.made_at,
                claim.offer.label(),
                claim.request.count,
                outcome(claim)
            )
        })
        .collect()
}

fn state(facts: &Facts<'_>) -> Vec<String> {
    let mut lines: Vec<String> = facts
        .events
        .iter()
        .filter_map(|event| {
            let told = match &event.what {
                EventKind::NodeChanged { to, reason, .. } => format!("{to}: {reason}"),
                EventKind::StepFailed { step, error, .. } => format!("{step} failed: {error}"),
                EventKind::DrainCommandEnded { reason, .. } => reason.clone(),
                EventKind::InterruptionNoticed { kind, at, .. } => {
                    let at = at.map_or_else(String::new, |at| format!(" at {at:.0}"));
                    format!("announced: {}{at}", kind.in_words())
                }
                EventKind::HealthChanged { to, reason, .. } => format!("{to}: {reason}"),
                EventKind::CordonChanged {
                    phase: Some(phase),
                    reason,
                    ..
                } => format!("{phase}: {reason}"),
                EventKind::CordonChanged { reason, .. } => {
                    format!("not cordoned any more: {reason}")
                }
                EventKind::EndMoved { reason, .. } | EventKind::UseChanged { reason, .. } => {
                    reason.clone()
                }
                _ => return None,
            };
            Some(format!("{:.0} {told}", event.at))
        })
        .collect();
    if lines.is_empty() {
        lines.push(format!("{:.0} {}", facts.record.since, facts.record.reason));
    }
    if let Some(Boot::Failed { log_tail, .. }) = &facts.record.boot {
        lines.push("the last lines of its boot log:".to_owned());
        lines.extend(log_tail.lines().map(|line| format!("  {line}")));
    }
    lines
}

/// Why it goes, or what would make it go.
fn end(facts: &Facts<'_>) -> Vec<String> {
    let record = facts.record;
    if record.life.is_leaving() {
        return vec![format!("{:.0} {}", record.since, record.reason)];
    }
    let tenure = &record.tenure;
    let mut lines = Vec::new();
    if let Some(notice) = &tenure.notice {
        let at = notice
            .at
            .map_or_else(String::new, |at| format!(" at {at:.0}"));
        lines.push(format!(
            "{}{at}: told at {:.0}",
            notice.kind.in_words(),
            notice.told_at
        ));
    }
    if let Some(end) = tenure.ends_at {
        lines.push(format!("its time is over at {end:.0}"));
    }
    let limits = facts.pool.map(|pool| &pool.limits);
    if let Some(limit) = limits.and_then(|limits| limits.idle_after) {
        let now = tenure.idle_since.map_or_else(
            || "it is in use, or nobody can tell".to_owned(),
            |since| format!("unused since {since:.0}"),
        );
        lines.push(format!("it goes when nobody uses it for {limit}: {now}"));
        if let Some(until) = tenure.kept_until {
            lines.push(format!("kept until {until:.0} even if nobody uses it"));
        }
    }
    if let Some(limit) = limits.and_then(|limits| limits.dead_man) {
        lines.push(format!(
            "it powers itself off when nobody renews its timer for {limit}"
        ));
    }
    if facts.pool.is_none() {
        lines.push(format!(
            "pool `{}` is not in the configuration: the next `up` removes it",
            record.pool
        ));
    } else if facts.pool.map(Pool::generation).is_some_and(|generation| {
        record.life.is_wanted() && generation.short() != record.generation
    }) {
        lines.push("it was made from an older definition of its pool".to_owned());
    }
    if lines.is_empty() {
        lines.push("until it is removed: its pool sets no limit".to_owned());
    }
    lines
}
