//! Schedules: days, midnight, and clocks that are changed.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::{Readings, decide};
use super::{free, pool, state};

/// The size at an instant; 7 is what is configured.
fn at(zone: &str, entries: &Value, instant: &str) -> u32 {
    let policy = json!({ "schedule": { "time_zone": zone, "entries": entries } });
    let instant: Timestamp = instant.parse().unwrap();
    let told = decide(
        &pool(),
        &free(&policy),
        state(1),
        &Readings::new(),
        instant,
        30,
    );
    told.size
}

fn check(zone: &str, entries: &Value, table: &[(&str, u32)]) {
    for (instant, expected) in table {
        assert_eq!(at(zone, entries, instant), *expected, "{zone} {instant}");
    }
}

#[test]
fn an_entry_holds_from_its_beginning_to_before_its_end_on_its_days() {
    let office = json!([{
        "days": ["mon", "tue", "wed", "thu", "fri"], "from": "08:00", "to": "18:00", "size": 20
    }]);
    // 2026-11-24 is a Tuesday.
    check(
        "Europe/Berlin",
        &office,
        &[
            ("2026-11-24T07:59:59+01", 7),
            ("2026-11-24T08:00:00+01", 20),
            ("2026-11-24T17:59:59+01", 20),
            ("2026-11-24T18:00:00+01", 7),
            ("2026-11-27T12:00:00+01", 20),
            ("2026-11-28T12:00:00+01", 7),
            // In New York it is still Sunday, but not in Berlin.
            ("2026-11-22T22:00:00-05", 7),
            ("2026-11-23T02:00:00-05", 20),
        ],
    );
}

#[test]
fn over_midnight_the_day_is_that_on_which_it_begins() {
    let night = json!([{ "days": ["fri"], "from": "22:00", "to": "06:00", "size": 20 }]);
    // 2026-11-27 is a Friday.
    check(
        "Europe/Berlin",
        &night,
        &[
            ("2026-11-27T05:00:00+01", 7),
            ("2026-11-27T21:59:59+01", 7),
            ("2026-11-27T22:00:00+01", 20),
            ("2026-11-28T00:00:00+01", 20),
            ("2026-11-28T05:59:59+01", 20),
            ("2026-11-28T06:00:00+01", 7),
            ("2026-11-28T22:00:00+01", 7),
        ],
    );
}

#[test]
fn whole_days_and_the_midnight_at_their_end() {
    let saturday = json!([{ "days": ["sat"], "from": "00:00", "to": "24:00", "size": 20 }]);
    let evening = json!([{ "days": ["sat"], "from": "20:00", "to": "24:00", "size": 20 }]);
    let around = json!([{ "days": ["sat"], "from": "09:00", "to": "09:00", "size": 20 }]);
    let table = |begin: &'static str, end: &'static str| [(begin, 20), (end, 7)];
    let utc = "UTC";
    check(
        utc,
        &saturday,
        &table("2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z"),
    );
    check(
        utc,
        &saturday,
        &[("2026-11-27T23:59:59Z", 7), ("2026-11-28T23:59:59Z", 20)],
    );
    check(
        utc,
        &evening,
        &table("2026-11-28T23:59:59Z", "2026-11-29T00:00:00Z"),
    );
    check(
        utc,
        &around,
        &table("2026-11-29T08:59:59Z", "2026-11-29T09:00:00Z"),
    );
}

#[test]
fn of_entries_that_overlap_the_greatest_counts_in_any_order() {
    let day = json!({ "from": "08:00", "to": "20:00", "size": 10 });
    let noon = json!({ "from": "11:00", "to": "13:00", "size": 30 });
    let quiet = json!({ "from": "12:00", "to": "12:30", "size": 2 });
    for entries in [json!([day, noon, quiet]), json!([quiet, noon, day])] {
        check(
            "UTC",
            &entries,
            &[
                ("2026-11-24T10:59:00Z", 10),
                ("2026-11-24T12:15:00Z", 30),
                ("2026-11-24T13:00:00Z", 10),
                ("2026-11-24T20:00:00Z", 7),
            ],
        );
    }
}

/// On 2026-03-29 in Berlin 02:00 to 02:59 do not come: 01:00Z is 03:00.
#[test]
fn in_berlin_the_clock_is_set_forward() {
    let zone = "Europe/Berlin";
    let from_gap = json!([{ "from": "02:30", "to": "05:00", "size": 20 }]);
    check(
        zone,
        &from_gap,
        &[
            ("2026-03-28T01:29:59Z", 7),
            ("2026-03-28T01:30:00Z", 20),
            ("2026-03-29T00:59:59Z", 7),
            ("2026-03-29T01:00:00Z", 20),
            ("2026-03-29T02:59:59Z", 20),
            ("2026-03-29T03:00:00Z", 7),
            ("2026-03-30T00:30:00Z", 20),
        ],
    );
    let to_gap = json!([{ "from": "01:00", "to": "02:30", "size": 20 }]);
    check(
        zone,
        &to_gap,
        &[
            ("2026-03-29T00:00:00Z", 20),
            ("2026-03-29T00:59:59Z", 20),
            ("2026-03-29T01:00:00Z", 7),
        ],
    );
    let within_gap = json!([{ "from": "02:10", "to": "02:50", "size": 20 }]);
    check(
        zone,
        &within_gap,
        &[
            ("2026-03-29T00:30:00Z", 7),
            ("2026-03-29T01:00:00Z", 7),
            ("2026-03-29T01:30:00Z", 7),
            ("2026-03-30T00:30:00Z", 20),
        ],
    );
    let night = json!([{ "days": ["sat"], "from": "22:00", "to": "06:00", "size": 20 }]);
    check(
        zone,
        &night,
        &[("2026-03-29T03:59:59Z", 20), ("2026-03-29T04:00:00Z", 7)],
    );
}

/// On 2026-10-25 in Berlin 02:00 to 02:59 come twice: from 00:00Z and from 01:00Z on.
#[test]
fn in_berlin_the_clock_is_set_back() {
    let zone = "Europe/Berlin";
    let from_fold = json!([{ "from": "02:30", "to": "05:00", "size": 20 }]);
    check(
        zone,
        &from_fold,
        &[
            ("2026-10-25T00:29:59Z", 7),
            ("2026-10-25T00:30:00Z", 20),
            // The clock shows 02:15 again; it goes on.
            ("2026-10-25T01:15:00Z", 20),
            ("2026-10-25T03:59:59Z", 20),
            ("2026-10-25T04:00:00Z", 7),
        ],
    );
    let to_fold = json!([{ "from": "00:00", "to": "02:30", "size": 20 }]);
    check(
        zone,
        &to_fold,
        &[
            ("2026-10-25T00:45:00Z", 20),
            ("2026-10-25T01:29:59Z", 20),
            ("2026-10-25T01:30:00Z", 7),
        ],
    );
    let night = json!([{ "days": ["sat"], "from": "22:00", "to": "06:00", "size": 20 }]);
    check(
        zone,
        &night,
        &[("2026-10-25T04:59:59Z", 20), ("2026-10-25T05:00:00Z", 7)],
    );
}

/// On 2026-03-08 in New York 07:00Z is 03:00; on 2026-11-01 the hour from 01:00 comes from 05:00Z
/// and from 06:00Z on.
#[test]
fn in_new_york_the_clock_is_set_forward_and_back() {
    let zone = "America/New_York";
    let in_spring = json!([{ "from": "02:30", "to": "04:00", "size": 20 }]);
    check(
        zone,
        &in_spring,
        &[
            ("2026-03-08T06:59:59Z", 7),
            ("2026-03-08T07:00:00Z", 20),
            ("2026-03-08T08:00:00Z", 7),
        ],
    );
    let in_autumn = json!([{ "from": "01:30", "to": "02:00", "size": 20 }]);
    check(
        zone,
        &in_autumn,
        &[
            ("2026-11-01T05:29:59Z", 7),
            ("2026-11-01T05:30:00Z", 20),
            ("2026-11-01T06:15:00Z", 20),
            ("2026-11-01T06:59:59Z", 20),
            ("2026-11-01T07:00:00Z", 7),
        ],
    );
    let sunday = json!([{ "days": ["sun"], "from": "00:00", "to": "24:00", "size": 20 }]);
    // 25 hours long.
    check(
        zone,
        &sunday,
        &[
            ("2026-11-01T03:59:59Z", 7),
            ("2026-11-01T04:00:00Z", 20),
            ("2026-11-02T04:59:59Z", 20),
            ("2026-11-02T05:00:00Z", 7),
        ],
    );
}

#[test]
fn a_schedule_says_which_entry_holds() {
    let policy = json!({ "schedule": {
        "time_zone": "UTC", "otherwise": 1,
        "entries": [{ "from": "11:00", "to": "13:00", "size": 5 }]
    } });
    let told = |instant: &str| {
        let instant: Timestamp = instant.parse().unwrap();
        let read = Readings::new();
        decide(&pool(), &free(&policy), state(1), &read, instant, 30).reason
    };
    assert_eq!(
        told("2026-11-24T12:00:00Z"),
        "from 11:00 to 13:00 in UTC: 5 nodes"
    );
    assert_eq!(
        told("2026-11-24T13:00:00Z"),
        "no entry of the schedule holds: 1 node otherwise"
    );
}
