//! `schedule`: sizes by the time of day.
//!
//! An entry is an interval between two instants. A clock that is changed makes times of day that
//! come twice, and times that never come:
//!
//! ```text
//!  the clock is set back     01:59 ─► 02:00 … 02:59 ─► 02:00 … 02:59 ─► 03:00
//!                                     ▲ an entry begins at the first   ▲ and ends at the second
//!  the clock is set forward  01:59 ─► 03:00
//!                                     ▲ every time between is the instant of the change
//! ```
//! So an entry never holds for less time than the clock on the wall shows, and one that lies within
//! the hour that does not come does not hold on that day.

use fleetwright_core::{Day, Schedule, ScheduleEntry};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::{Basis, Vote, nodes};

pub(super) fn vote(policy: &Schedule, basis: &Basis<'_>) -> Vote {
    let zone = policy.time_zone.rules();
    let holds = policy
        .entries
        .iter()
        .filter(|entry| holds(entry, zone, basis.now))
        // Of several the greatest, so that their order does not matter.
        .max_by_key(|entry| entry.size);
    let (wants, reason) = match (holds, policy.otherwise) {
        (Some(entry), _) => (
            entry.size,
            format!(
                "from {} to {} in {}: {}",
                entry.from,
                entry.to,
                policy.time_zone,
                nodes(entry.size)
            ),
        ),
        (None, Some(size)) => (
            size,
            format!("no entry of the schedule holds: {} otherwise", nodes(size)),
        ),
        (None, None) => (
            basis.desired,
            format!(
                "no entry of the schedule holds: {} as configured",
                nodes(basis.desired)
            ),
        ),
    };
    Vote {
        policy: "schedule",
        signal: None,
        value: None,
        measured_at: None,
        wants: Some(wants),
        reason,
        of: Vec::new(),
    }
}

/// Whether an entry that began today or yesterday holds now.
fn holds(entry: &ScheduleEntry, zone: &TimeZone, now: Timestamp) -> bool {
    let today = zone.to_datetime(now).date();
    [Some(today), today.yesterday().ok()]
        .into_iter()
        .flatten()
        .any(|date| holds_from(entry, zone, date, now).unwrap_or(false))
}

/// Whether an entry that begins on this date holds now. `None` at the ends of the calendar.
fn holds_from(entry: &ScheduleEntry, zone: &TimeZone, date: Date, now: Timestamp) -> Option<bool> {
    if !entry.days.is_empty() && !entry.days.contains(&Day::from(date.weekday())) {
        return Some(false);
    }
    let last = if entry.to > entry.from {
        date
    } else {
        date.tomorrow().ok()?
    };
    let begin = instant(zone, date.to_datetime(entry.from.time()), Edge::Begin)?;
    let end = instant(zone, last.to_datetime(entry.to.time()), Edge::End)?;
    Some(begin <= now && now < end)
}

#[derive(Clone, Copy)]
enum Edge {
    Begin,
    End,
}

/// The instant at which a clock on the wall shows this.
fn instant(zone: &TimeZone, shown: DateTime, edge: Edge) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(shown);
    match (ambiguous.offset(), edge) {
        (AmbiguousOffset::Unambiguous { offset }, _) => offset.to_timestamp(shown).ok(),
        // It comes twice.
        (AmbiguousOffset::Fold { before, .. }, Edge::Begin) => before.to_timestamp(shown).ok(),
        (AmbiguousOffset::Fold { after, .. }, Edge::End) => after.to_timestamp(shown).ok(),
        // It does not come: the clock jumps over it.
        (AmbiguousOffset::Gap { .. }, _) => {
            let before = ambiguous.earlier().ok()?;
            Some(zone.following(before).next()?.timestamp())
        }
    }
}
