//! The five fields of cron, and the windows that begin at their times.
//!
//! ```text
//!  minute  hour  day of month  month  day of week
//!   0-59   0-23      1-31      1-12      0-7        0 and 7 are Sunday
//! ```
//! `*`, lists (`1,15`), ranges (`mon-fri`), steps (`*/15`, `8-18/2`) and English names of months
//! and days. If both days are restricted, either will do, as `crontab(5)` has it:
//! <https://man7.org/linux/man-pages/man5/crontab.5.html>.
//!
//! A time of day that comes twice because a clock is set back begins a window at the first; one
//! that never comes begins it when the clock jumps over it.

use std::str::FromStr;
use std::time::Duration;

use fleetwright_core::{Error, Kind, Result};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Times that come again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether both days are restricted: then either will do.
    either_day: bool,
}

/// What a field may hold.
struct Field {
    name: &'static str,
    least: u8,
    most: u8,
    names: &'static [&'static str],
    /// The number of the first name.
    first: u8,
}

const FIELDS: [Field; 5] = [
    Field::numbers("minute", 0, 59),
    Field::numbers("hour", 0, 23),
    Field::numbers("day of month", 1, 31),
    Field {
        name: "month",
        least: 1,
        most: 12,
        names: &MONTHS,
        first: 1,
    },
    Field {
        name: "day of week",
        least: 0,
        most: 7,
        names: &DAYS,
        first: 0,
    },
];

impl FromStr for Cron {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let written = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            other => other,
        };
        let parts: Vec<&str> = written.split_whitespace().collect();
        let bad =
            |why: String| {
                Error::new(Kind::Invalid, format!("`{text}` is no cron schedule: {why}")).with_hint(
                "write minute, hour, day of month, month and day of week, e.g. `0 9 * * mon-fri`",
            )
            };
        let [minutes, hours, days, months, weekdays] = parts.as_slice() else {
            return Err(bad(format!("it has {} fields, not 5", parts.len())));
        };
        let read = |field: &Field, text: &str| field.read(text).map_err(bad);
        let [minute, hour, day, month, weekday] = &FIELDS;
        let mut on = read(weekday, weekdays)?;
        if on & (1 << 7) != 0 {
            on = (on & !(1 << 7)) | 1;
        }
        let found = Self {
            minutes: read(minute, minutes)?,
            hours: read(hour, hours)?,
            days: read(day, days)?,
            months: read(month, months)?,
            weekdays: on,
            either_day: !days.starts_with('*') && !weekdays.starts_with('*'),
        };
        if !found.ever_comes() {
            return Err(bad("no month has such a day".to_owned()));
        }
        Ok(found)
    }
}

impl Cron {
    /// The last time at or before `now` for which a window of this length is still open; `None` if
    /// none is.
    pub fn open_since(
        &self,
        zone: &TimeZone,
        now: Timestamp,
        length: Duration,
    ) -> Option<Timestamp> {
        let from = now.checked_sub(length).ok()?;
        let mut date = zone.to_datetime(now).date();
        // A day more: a clock may have been changed by hours meanwhile.
        let first = zone.to_datetime(from).date().yesterday().ok()?;
        loop {
            if self.is_on(date) {
                let begun = self.times(date).filter_map(|at| begin(zone, at));
                if let Some(at) = begun.filter(|at| from < *at && *at <= now).max() {
                    return Some(at);
                }
            }
            if date <= first {
                return None;
            }
            date = date.yesterday().ok()?;
        }
    }

    fn is_on(&self, date: Date) -> bool {
        let has = |set: u64, number: i8| u32::try_from(number).is_ok_and(|n| set & (1 << n) != 0);
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        let fits = if self.either_day {
            day || weekday
        } else {
            day && weekday
        };
        has(self.months, date.month()) && fits
    }

    fn times(&self, date: Date) -> impl Iterator<Item = DateTime> {
        let (hours, minutes) = (self.hours, self.minutes);
        let hours = (0..24_i8).filter(move |hour| hours & (1 << *hour) != 0);
        hours.flat_map(move |hour| {
            let minutes = (0..60_i8).filter(move |minute| minutes & (1 << *minute) != 0);
            minutes.map(move |minute| date.at(hour, minute, 0, 0))
        })
    }

    /// Whether there is a day in some year.
    fn ever_comes(&self) -> bool {
        const LENGTHS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        self.either_day
            || (1..=12_u32)
                .zip(LENGTHS)
                .filter(|(month, _)| self.months & (1 << month) != 0)
                .any(|(_, days)| (1..=days).any(|day| self.days & (1 << day) != 0))
    }
}

impl Field {
    const fn numbers(name: &'static str, least: u8, most: u8) -> Self {
        Self {
            name,
            least,
            most,
            names: &[],
            first: 0,
        }
    }

    /// The numbers that a field names, as bits.
    fn read(&self, text: &str) -> std::result::Result<u64, String> {
        let mut all = 0;
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => {
                    let step = step.parse::<u8>().ok().filter(|step| *step > 0);
                    let step =
                        step.ok_or_else(|| format!("`{part}` has no step that is a number"))?;
                    (range, step)
                }
                None => (part, 1),
            };
            let (from, to) = match range.split_once('-') {
                _ if range == "*" => (self.least, self.most),
                Some((from, to)) => (self.number(from)?, self.number(to)?),
                None if part.contains('/') => (self.number(range)?, self.most),
                None => {
                    let only = self.number(range)?;
                    (only, only)
                }
            };
            if from > to {
                return Err(format!("`{part}` ends before it begins"));
            }
            for number in (from..=to).step_by(usize::from(step)) {
                all |= 1 << number;
            }
        }
        Ok(all)
    }

    fn number(&self, text: &str) -> std::result::Result<u8, String> {
        let lower = text.to_ascii_lowercase();
        let named = self
            .names
            .iter()
            .zip(self.first..)
            .find(|(name, _)| **name == lower);
        if let Some((_, number)) = named {
            return Ok(number);
        }
        match text.parse::<u8>() {
            Ok(number) if (self.least..=self.most).contains(&number) => Ok(number),
            _ => Err(format!(
                "`{text}` is no {}, which is from {} to {}",
                self.name, self.least, self.most
            )),
        }
    }
}

/// The first instant at which a clock on the wall shows this, or jumps over it.
fn begin(zone: &TimeZone, shown: DateTime) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(shown);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(shown).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(shown).ok(),
        AmbiguousOffset::Gap { .. } => {
            let before = ambiguous.earlier().ok()?;
            Some(zone.following(before).next()?.timestamp())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(cron: &str, zone: &str, now: &str, hours: u64) -> Option<String> {
        let zone = TimeZone::get(zone).unwrap();
        let cron: Cron = cron.parse().unwrap();
        let since = cron.open_since(&zone, now.parse().unwrap(), Duration::from_hours(hours));
        since.map(|at| at.to_string())
    }

    #[test]
    fn windows_begin_at_their_times_and_last_as_long_as_they_say() {
        // 2026-11-25 is a Wednesday.
        for (cron, zone, now, hours, since) in [
            (
                "0 9 * * mon-fri",
                "UTC",
                "2026-11-25T09:00:00Z",
                8,
                Some("2026-11-25T09:00:00Z"),
            ),
            (
                "0 9 * * mon-fri",
                "UTC",
                "2026-11-25T16:59:59Z",
                8,
                Some("2026-11-25T09:00:00Z"),
            ),
            ("0 9 * * mon-fri", "UTC", "2026-11-25T17:00:00Z", 8, None),
            ("0 9 * * mon-fri", "UTC", "2026-11-28T12:00:00Z", 8, None),
            (
                "0 9 * * mon-fri",
                "Europe/Berlin",
                "2026-11-25T08:00:00Z",
                8,
                Some("2026-11-25T08:00:00Z"),
            ),
            // Over midnight, and over several days.
            (
                "0 22 * * 5",
                "UTC",
                "2026-11-28T03:00:00Z",
                8,
                Some("2026-11-27T22:00:00Z"),
            ),
            (
                "0 0 1 * *",
                "UTC",
                "2026-11-05T00:00:00Z",
                120,
                Some("2026-11-01T00:00:00Z"),
            ),
            (
                "*/15 * * * *",
                "UTC",
                "2026-11-25T10:44:00Z",
                1,
                Some("2026-11-25T10:30:00Z"),
            ),
            (
                "30 8-18/2 * * *",
                "UTC",
                "2026-11-25T09:00:00Z",
                1,
                Some("2026-11-25T08:30:00Z"),
            ),
            ("30 8-18/2 * * *", "UTC", "2026-11-25T10:00:00Z", 1, None),
            // Either day will do if both are restricted.
            (
                "0 0 13 * fri",
                "UTC",
                "2026-11-13T01:00:00Z",
                2,
                Some("2026-11-13T00:00:00Z"),
            ),
            (
                "0 0 13 * fri",
                "UTC",
                "2026-11-20T01:00:00Z",
                2,
                Some("2026-11-20T00:00:00Z"),
            ),
            (
                "0 0 * * 7",
                "UTC",
                "2026-11-29T01:00:00Z",
                2,
                Some("2026-11-29T00:00:00Z"),
            ),
            (
                "@daily",
                "UTC",
                "2026-11-25T01:00:00Z",
                2,
                Some("2026-11-25T00:00:00Z"),
            ),
        ] {
            assert_eq!(
                open(cron, zone, now, hours).as_deref(),
                since,
                "{cron} at {now}"
            );
        }
    }

    #[test]
    fn a_changed_clock_neither_doubles_nor_loses_a_window() {
        let zone = "Europe/Berlin";
        // 02:30 does not come on 2026-03-29: the window begins at 03:00 summer time.
        let jumped = open("30 2 * * *", zone, "2026-03-29T01:00:00Z", 1);
        assert_eq!(jumped.as_deref(), Some("2026-03-29T01:00:00Z"));
        // 02:30 comes twice on 2026-10-25: it begins at the first.
        let twice = open("30 2 * * *", zone, "2026-10-25T00:45:00Z", 1);
        assert_eq!(twice.as_deref(), Some("2026-10-25T00:30:00Z"));
        assert_eq!(open("30 2 * * *", zone, "2026-10-25T01:35:00Z", 1), None);
    }

    #[test]
    fn what_is_no_schedule_says_why() {
        for (text, why) in [
            ("", "0 fields"),
            ("0 9 * *", "4 fields"),
            ("60 9 * * *", "`60` is no minute"),
            ("0 24 * * *", "`24` is no hour"),
            ("0 9 0 * *", "no day of month"),
            ("0 9 * foo *", "`foo` is no month"),
            ("0 9 * * fri-mon", "ends before it begins"),
            ("*/0 * * * *", "no step"),
            ("0 0 31 feb,apr *", "no month has such a day"),
        ] {
            let error = text.parse::<Cron>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
