//! Each policy by itself, without bounds, steps and cool-down.

use fleetwright_core::Pool;
use serde_json::{Value, json};

use super::super::{Decision, Readings};
use super::{free, pool, reading, readings, run, state};

fn decided(policy: &Value, size: u32, read: &Readings) -> Decision {
    run(&pool(), &free(policy), state(size), read)
}

fn size(policy: &Value, from: u32, read: &Readings) -> u32 {
    decided(policy, from, read).size
}

fn reactive() -> Value {
    json!({ "reactive": { "signal": "s", "above": 80, "below": 20.5, "up": 3, "down": 2 } })
}

fn queue(per_node: u32) -> Value {
    json!({ "queue": { "signal": "s", "per_node": per_node } })
}

fn predictive() -> Value {
    json!({ "predictive": {
        "signal": "s", "per_node": 10, "window": "10m", "ahead": "5m"
    } })
}

#[test]
fn reactive_does_nothing_at_exactly_a_threshold() {
    for (value, expected) in [
        ("80.000001", 13),
        ("80", 10),
        ("50", 10),
        ("20.5", 10),
        ("20.499999", 8),
        ("0", 8),
    ] {
        assert_eq!(
            size(&reactive(), 10, &readings(&[(9, value)])),
            expected,
            "{value}"
        );
    }
    assert_eq!(
        size(&reactive(), 1, &readings(&[(9, "0")])),
        0,
        "never below none"
    );
}

#[test]
fn reactive_says_what_it_saw() {
    let told = decided(&reactive(), 10, &readings(&[(9, "93.5")]));
    assert_eq!(told.reason, "`s` is 93.5, above 80");
    assert_eq!(told.evidence.vote.value, Some("93.5".parse().unwrap()));
    let told = decided(&reactive(), 10, &readings(&[(9, "50")]));
    assert_eq!(told.reason, "`s` is 50, not above 80 and not below 20.5");
}

#[test]
fn a_queue_is_shared_out_and_rounded_up() {
    for (depth, expected) in [("0", 0), ("1", 1), ("4", 1), ("4.1", 2), ("41", 11)] {
        assert_eq!(
            size(&queue(4), 10, &readings(&[(9, depth)])),
            expected,
            "{depth}"
        );
    }
    let told = decided(&queue(4), 10, &readings(&[(9, "41")]));
    assert_eq!(told.reason, "`s` is 41, at 4 for each node: 11 nodes");
}

#[test]
fn a_trend_is_followed_ahead_and_the_present_is_served_in_any_case() {
    // Ten more each minute: in five minutes it is 100 + 50.
    let rising = readings(&[
        (240, "60"),
        (180, "70"),
        (120, "80"),
        (60, "90"),
        (0, "100"),
    ]);
    let told = decided(&predictive(), 10, &rising);
    assert_eq!(told.size, 15);
    assert_eq!(
        told.reason,
        "`s` is 100 and will be 150 in 5m, by 5 values of the last 10m, at 10 for each node: \
         15 nodes"
    );
    // The same backwards: the line says 10, but there are 60 to be worked on.
    let falling = readings(&[
        (240, "100"),
        (180, "90"),
        (120, "80"),
        (60, "70"),
        (0, "60"),
    ]);
    assert_eq!(size(&predictive(), 10, &falling), 6);
    // A line that crosses zero ends there.
    let ending = readings(&[(120, "100"), (60, "50"), (0, "0")]);
    assert_eq!(size(&predictive(), 10, &ending), 0);
    // The line goes through the middle of what scatters: 0 + 2/3 a minute, at 6.67 ± something.
    let scattered = readings(&[(120, "0"), (60, "20"), (0, "10")]);
    assert_eq!(size(&predictive(), 10, &scattered), 4);
}

#[test]
fn a_trend_needs_three_values_within_its_window() {
    for (values, why) in [
        (
            &[(700, "10"), (60, "20"), (0, "30")][..],
            "the signal `s` has 2 values of the last 10m, too few for a trend",
        ),
        (
            &[(0, "10"), (0, "20"), (0, "30")],
            "the values of the signal `s` give no trend",
        ),
    ] {
        let told = decided(&predictive(), 10, &readings(values));
        assert_eq!((told.size, told.trouble.as_deref()), (10, Some(why)));
    }
    // At exactly the beginning of the window a value counts.
    let whole = readings(&[(600, "10"), (300, "10"), (0, "10")]);
    assert_eq!(size(&predictive(), 10, &whole), 1);
}

#[test]
fn the_greatest_values_give_a_trend_without_overflow() {
    let greatest = "1000000000000";
    let values: Vec<(u64, &str)> = (0..1_000).rev().map(|n| (n * 2_600, greatest)).collect();
    let policy = json!({ "predictive": {
        "signal": "s", "per_node": 1000, "window": "744h", "ahead": "744h"
    } });
    let told = decided(&policy, 10, &readings(&values));
    assert_eq!((told.size, told.trouble), (1_000, None));
}

#[test]
fn a_composite_takes_the_greatest_the_least_or_the_average() {
    let read: Readings = [
        ("a".to_owned(), reading(&[(9, "2")])),
        ("b".to_owned(), reading(&[(9, "9")])),
    ]
    .into();
    let inner = |signal: &str| json!({ "queue": { "signal": signal, "per_node": 1 } });
    for (combine, expected) in [("max", 9), ("min", 2), ("average", 6)] {
        let policy = json!({ "composite": {
            "combine": combine, "of": [inner("a"), inner("b")]
        } });
        assert_eq!(size(&policy, 4, &read), expected, "{combine}");
    }
}

#[test]
fn a_composite_within_a_composite_is_a_policy_like_others() {
    let read: Readings = [
        ("a".to_owned(), reading(&[(9, "2")])),
        ("b".to_owned(), reading(&[(9, "9")])),
    ]
    .into();
    let inner = |signal: &str| json!({ "queue": { "signal": signal, "per_node": 1 } });
    let policy = json!({ "composite": { "combine": "max", "of": [
        { "schedule": { "time_zone": "UTC", "otherwise": 3, "entries": [
            { "from": "00:00", "to": "01:00", "size": 50 }
        ] } },
        { "composite": { "combine": "min", "of": [inner("a"), inner("b")] } },
    ] } });
    assert_eq!(size(&policy, 4, &read), 3);
}

#[test]
fn one_that_cannot_tell_stands_for_the_present_size() {
    let known = readings(&[(9, "1")]);
    let inner = |signal: &str| json!({ "queue": { "signal": signal, "per_node": 1 } });
    for (combine, expected) in [("max", 8), ("min", 1), ("average", 5)] {
        let policy = json!({ "composite": {
            "combine": combine, "of": [inner("s"), inner("silent")]
        } });
        let told = decided(&policy, 8, &known);
        assert_eq!(told.size, expected, "{combine}");
        assert_eq!(
            told.trouble.as_deref(),
            Some("the signal `silent` has no value"),
            "it is said all the same"
        );
        let none = json!({ "composite": {
            "combine": combine, "of": [inner("silent"), inner("silent")]
        } });
        let told = decided(&none, 8, &known);
        assert_eq!(
            (told.size, told.evidence.vote.wants),
            (8, None),
            "{combine}"
        );
    }
}

#[test]
fn a_signal_that_fails_is_missing_or_stale_keeps_the_size_and_says_so() {
    let mut failing = readings(&[(9, "900")]);
    failing.entry("s".to_owned()).or_default().failure = Some("no route to host".into());
    let stale = readings(&[(301, "900")]);
    for (read, why) in [
        (Readings::new(), "the signal `s` has no value"),
        (readings(&[]), "the signal `s` has no value"),
        (failing, "the signal `s` failed: no route to host"),
        (
            stale,
            "the signal `s` is stale: its newest value is of 2026-11-24T11:54:59Z, and one counts \
             for 5m",
        ),
    ] {
        for policy in [reactive(), queue(4), predictive()] {
            let told = decided(&policy, 5, &read);
            assert_eq!(told.size, 5);
            assert_eq!(told.trouble.as_deref(), Some(why));
            assert_eq!(told.reason, why);
        }
    }
    let just = readings(&[(300, "40")]);
    assert_eq!(
        size(&queue(4), 5, &just),
        10,
        "at exactly five minutes it counts"
    );
}

/// If one policy were another, this table would show it: every two of them differ somewhere.
#[test]
fn no_policy_can_stand_for_another() {
    let rising = readings(&[(120, "10"), (60, "50"), (0, "90")]);
    let schedule = json!({ "schedule": { "time_zone": "UTC", "entries": [
        { "from": "11:00", "to": "13:00", "size": 40 }
    ] } });
    let composite = json!({ "composite": {
        "combine": "average", "of": [queue(10), schedule.clone()]
    } });
    let policies = [reactive(), queue(10), schedule, predictive(), composite];
    let sizes: Vec<u32> = policies.iter().map(|p| size(p, 5, &rising)).collect();
    assert_eq!(sizes, [8, 9, 40, 29, 25]);
}

#[test]
fn bounds_hold_whatever_a_policy_says() {
    let bounded = Pool {
        min: Some(2),
        max: Some(6),
        ..pool()
    };
    for (depth, expected, why) in [
        ("400", 6, Some("the pool has 6 at most")),
        ("0", 2, Some("the pool has 2 at least")),
        ("16", 4, None),
    ] {
        let told = run(
            &bounded,
            &free(&queue(4)),
            state(3),
            &readings(&[(9, depth)]),
        );
        assert_eq!(told.size, expected);
        let held = told.evidence.held_back.first().map(String::as_str);
        assert_eq!(held, why, "{depth}");
    }
}
