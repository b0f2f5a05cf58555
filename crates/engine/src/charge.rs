//! What a machine has cost at each instant of its life, and what that means for days and months.
//!
//! ```text
//!            made                                    gone, planned end, or now
//!  charged     │■■■■│■■■■│■■■■│■■■■│■■■■│■■■■│■■■■│■■   │
//!              └────┴────┴────┴────┴────┴────┴────┴────┘
//!                units of the provider's billing; one that has begun is charged
//! ```
//! What is charged up to an instant only grows. A day's share is the difference between its end and
//! its beginning, so shares add up to the whole to the last millionth, however time is cut.

use fleetwright_core::{Amount, Billing, HourlyPrice, Stay};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::life::elapsed;

/// Seconds of a day. Days are those of UTC, which has no others.
pub(crate) const DAY: i64 = 86_400;

/// A calendar month in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Month {
    /// Its first instant.
    pub(crate) start: Timestamp,
    /// The first instant of the next one.
    pub(crate) end: Timestamp,
}

impl Month {
    /// The month that an instant is in.
    pub(crate) fn of(at: Timestamp) -> Self {
        let first = at.to_zoned(TimeZone::UTC).date().first_of_month();
        let begins = |date: Date| date.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp());
        let next = first.checked_add(1.month());
        Self {
            start: begins(first).unwrap_or(Timestamp::MIN),
            end: next.and_then(begins).unwrap_or(Timestamp::MAX),
        }
    }
}

/// A machine of a known price, from when it was made until it is gone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Charge {
    price: HourlyPrice,
    billing: Billing,
    from: Timestamp,
    until: Timestamp,
}

impl Charge {
    /// What is charged for `from` up to `until`. A machine that was there at all is charged the
    /// provider's minimum.
    pub(crate) fn new(
        price: HourlyPrice,
        billing: Billing,
        from: Timestamp,
        until: Timestamp,
    ) -> Self {
        Self {
            price,
            billing,
            from: from.min(until),
            until,
        }
    }

    /// A node as far as it has come: until it was gone, or now. `None` without a price.
    pub(crate) fn so_far(stay: &Stay, billing: Billing, now: Timestamp) -> Option<Self> {
        let until = stay.gone_at.unwrap_or(now);
        Some(Self::new(stay.price?, billing, stay.created_at, until))
    }

    /// The price per hour.
    pub(crate) const fn price(&self) -> HourlyPrice {
        self.price
    }

    /// When it begins.
    pub(crate) const fn from(&self) -> Timestamp {
        self.from
    }

    /// When it ends.
    pub(crate) const fn end(&self) -> Timestamp {
        self.until
    }

    /// All of it.
    pub(crate) fn total(&self) -> Amount {
        self.billing
            .cost(self.price, elapsed(self.from, self.until))
    }

    /// What is charged after `start` and up to `end`.
    pub(crate) fn between(&self, start: Timestamp, end: Timestamp) -> Amount {
        Amount {
            currency: self.price.currency,
            micros: self.at(end).saturating_sub(self.at(start)),
        }
    }

    /// What is charged after an instant.
    pub(crate) fn since(&self, start: Timestamp) -> Amount {
        Amount {
            currency: self.price.currency,
            micros: self.total().micros.saturating_sub(self.at(start)),
        }
    }

    /// What was charged up to an instant, in millionths.
    fn at(&self, instant: Timestamp) -> u64 {
        if instant <= self.from {
            0
        } else {
            let up_to = instant.min(self.until);
            self.billing
                .cost(self.price, elapsed(self.from, up_to))
                .micros
        }
    }
}

/// When a node ends as far as that is known: at its end, if it has one before the horizon.
pub(crate) fn ending(ends_at: Option<Timestamp>, now: Timestamp, horizon: Timestamp) -> Timestamp {
    ends_at.unwrap_or(horizon).min(horizon).max(now)
}

/// The day of an instant, counted from 1970.
pub(crate) fn day_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(DAY)
}

/// The first instant of a day.
pub(crate) fn day_begins(day: i64) -> Timestamp {
    Timestamp::from_second(day.saturating_mul(DAY)).unwrap_or(if day < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn charge(billing: Billing, from: &str, until: &str) -> Charge {
        let price = HourlyPrice::usd_micros(1_000_000);
        Charge::new(price, billing, at(from), at(until))
    }

    #[test]
    fn a_month_is_a_calendar_month_in_utc() {
        for (inside, start, end) in [
            (
                "2026-02-28T23:59:59Z",
                "2026-02-01T00:00:00Z",
                "2026-03-01T00:00:00Z",
            ),
            (
                "2026-12-01T00:00:00Z",
                "2026-12-01T00:00:00Z",
                "2027-01-01T00:00:00Z",
            ),
        ] {
            let month = Month::of(at(inside));
            assert_eq!((month.start, month.end), (at(start), at(end)));
        }
        assert_eq!(Month::of(Timestamp::MAX).end, Timestamp::MAX);
    }

    #[test]
    fn an_hour_is_charged_on_the_day_on_which_it_begins() {
        // 23:30 to 00:40: two hours begin, one on each day.
        let hourly = charge(
            Billing::per_hour(),
            "2026-11-01T23:30:00Z",
            "2026-11-02T00:40:00Z",
        );
        let midnight = at("2026-11-02T00:00:00Z");
        assert_eq!(hourly.total().micros, 2_000_000);
        assert_eq!(hourly.between(Timestamp::MIN, midnight).micros, 1_000_000);
        assert_eq!(hourly.since(midnight).micros, 1_000_000);
        let exact = charge(
            Billing::per_second(0),
            "2026-11-01T23:30:00Z",
            "2026-11-02T00:30:00Z",
        );
        assert_eq!(exact.between(Timestamp::MIN, midnight).micros, 500_000);
        assert_eq!(exact.since(midnight).micros, 500_000);
    }

    #[test]
    fn a_machine_that_was_gone_at_once_is_charged_the_minimum() {
        let moment = charge(
            Billing::per_hour(),
            "2026-11-01T10:00:00Z",
            "2026-11-01T10:00:00Z",
        );
        assert_eq!(moment.total().micros, 1_000_000);
        assert_eq!(moment.since(at("2026-11-01T00:00:00Z")).micros, 1_000_000);
        // One that begins in the future of a wrong clock has begun.
        let early = Charge::new(
            HourlyPrice::usd_micros(7),
            Billing::per_hour(),
            at("2026-11-01T11:00:00Z"),
            at("2026-11-01T10:00:00Z"),
        );
        assert_eq!(early.total().micros, 7);
        assert_eq!(early.from(), at("2026-11-01T10:00:00Z"));
    }
}
