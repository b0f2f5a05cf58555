//! When a node's time is over: pure functions of its record, its pool and the time.
//!
//! Two things end a node. Its *end* is written into its record when it is made and moved only by
//! `extend`. Its *idleness* is watched: see [`crate::Watch`].

use std::time::Duration;

use fleetwright_core::{Claim, Node, NodeRecord, Pool, Span, Tenure, keys};
use jiff::Timestamp;

use crate::life::elapsed;

/// How the reason of a node begins that goes because nobody used it.
pub(crate) const UNUSED: &str = "nobody used it";

/// Why a node is to go because its time is over; `None` if it is not.
pub(crate) fn is_over(record: &NodeRecord, now: Timestamp) -> Option<String> {
    let end = record.tenure.ends_at.filter(|end| *end <= now)?;
    let ran = Span(Duration::from_secs(
        elapsed(record.created_at, end).as_secs(),
    ));
    Some(format!("its time was over at {end:.0}, after {ran}"))
}

/// Why a node is to go that was found idle just now; `None` if it may stay.
pub(crate) fn is_idle_too_long(
    record: &NodeRecord,
    pool: Option<&Pool>,
    now: Timestamp,
) -> Option<String> {
    let limit = pool?.limits.idle_after?;
    let since = record.tenure.idle_since?;
    let kept = record.tenure.kept_until.is_some_and(|until| until > now);
    let idle = elapsed(since, now);
    (!kept && idle >= limit.0).then(|| {
        let idle = Span(Duration::from_secs(idle.as_secs()));
        format!("{UNUSED} for {idle}; its pool allows {limit}")
    })
}

/// The tenure of a new record. The runtime that was promised counts from when the machine was made,
/// so that a machine that came late is not cheated.
///
/// A node without a claim tells its end by its label, if that is still to come: the journal that
/// knew better is lost.
pub(crate) fn first_tenure(
    node: &Node,
    claim: Option<&Claim>,
    made: Timestamp,
    now: Timestamp,
) -> Tenure {
    let ends_at = match claim {
        Some(claim) => expiry(claim.request.spec.labels.get(keys::EXPIRY))
            .map(|end| made + elapsed(claim.made_at, end)),
        None => expiry(node.labels.get(keys::EXPIRY)).filter(|end| *end > now),
    };
    Tenure {
        ends_at,
        ..Tenure::default()
    }
}

/// The end of a node that has none although its pool has a limit: the limit is younger than the
/// node, and counts from now.
pub(crate) fn late_end(
    record: &NodeRecord,
    pool: Option<&Pool>,
    now: Timestamp,
) -> Option<Timestamp> {
    let limit = pool?.limits.max_runtime?;
    (record.tenure.ends_at.is_none() && !record.life.is_leaving()).then(|| end_after(now, limit))
}

/// The value of the expiry label for a node that is asked for now: whole seconds, rounded up, so
/// that nobody gets less than what was promised.
pub(crate) fn expiry_label(now: Timestamp, limit: Span) -> String {
    let end = end_after(now, limit);
    let begun = i64::from(end.subsec_nanosecond() > 0);
    (end.as_second() + begun).to_string()
}

/// A time later by a span; the last instant there is if that is too far.
pub(crate) fn end_after(now: Timestamp, span: Span) -> Timestamp {
    now.checked_add(span.0).unwrap_or(Timestamp::MAX)
}

fn expiry(label: Option<&String>) -> Option<Timestamp> {
    Timestamp::from_second(label?.parse().ok()?).ok()
}
