//! How fast a size may change: steps and cool-down.

use fleetwright_core::{Pool, Scaling};
use serde_json::{Value, json};

use super::super::{SizeState, decide};
use super::{ago, now, pool, readings, run, state};

fn scaling(limits: &Value) -> Scaling {
    let mut whole = limits.clone();
    whole["policy"] = json!({ "queue": { "signal": "s", "per_node": 1 } });
    serde_json::from_value(whole).unwrap()
}

#[test]
fn a_step_is_as_wide_as_it_may_be_and_no_wider() {
    let stepped = scaling(&json!({ "max_step": { "up": 5, "down": 3 } }));
    for (from, wanted, expected, held) in [
        (10, "15", 15, None),
        (10, "16", 15, Some("at most 5 more at once")),
        (10, "7", 7, None),
        (10, "0", 7, Some("at most 3 fewer at once")),
    ] {
        let told = run(&pool(), &stepped, state(from), &readings(&[(0, wanted)]));
        assert_eq!(told.size, expected, "{wanted}");
        let why = told.evidence.held_back.first().map(String::as_str);
        assert_eq!(why, held, "{wanted}");
    }
}

#[test]
fn without_a_step_downwards_the_share_of_the_brake_is_one() {
    let plain = scaling(&json!({}));
    for (from, percent, expected) in [
        (100, 30, 70),
        (3, 30, 2),
        (1, 30, 0),
        (10, 0, 9),
        (10, 100, 0),
    ] {
        let read = readings(&[(0, "0")]);
        let told = decide(&pool(), &plain, state(from), &read, now(), percent);
        assert_eq!(told.size, expected, "{from} at {percent} %");
    }
}

#[test]
fn a_pool_that_grew_grows_again_only_after_its_cool_down() {
    let cooling = scaling(&json!({ "cool_down": { "up": "2m", "down": "0s" } }));
    let grown = |seconds: u64| SizeState {
        last_up: Some(ago(seconds)),
        ..state(10)
    };
    let more = readings(&[(0, "20")]);
    let told = run(&pool(), &cooling, grown(119), &more);
    assert_eq!(told.size, 10);
    assert_eq!(
        told.reason,
        "`s` is 20, at 1 for each node: 20 nodes; it grew 1m 59s ago, and grows again after 2m"
    );
    assert_eq!(
        run(&pool(), &cooling, grown(120), &more).size,
        20,
        "at exactly its end"
    );
    // Having shrunk does not keep it from growing.
    let shrunk = SizeState {
        last_down: Some(ago(1)),
        ..state(10)
    };
    assert_eq!(run(&pool(), &cooling, shrunk, &more).size, 20);
}

#[test]
fn a_pool_that_changed_either_way_shrinks_only_after_its_cool_down() {
    let cooling = scaling(&json!({
        "cool_down": { "up": "0s", "down": "2m" }, "max_step": { "down": 100 }
    }));
    let less = readings(&[(0, "1")]);
    for (up, down, expected) in [
        (None, Some(119), 10),
        (None, Some(120), 1),
        (Some(119), None, 10),
        (Some(120), Some(500), 1),
        (Some(500), Some(119), 10),
    ] {
        let changed = SizeState {
            size: 10,
            last_up: up.map(ago),
            last_down: down.map(ago),
        };
        let told = run(&pool(), &cooling, changed, &less);
        assert_eq!(told.size, expected, "{up:?} {down:?}");
    }
}

#[test]
fn a_size_outside_of_new_bounds_comes_back_at_once() {
    let narrow = Pool {
        min: Some(2),
        max: Some(6),
        ..pool()
    };
    let cooling = scaling(&json!({ "cool_down": { "up": "1h", "down": "1h" } }));
    let just = SizeState {
        size: 10,
        last_up: Some(ago(1)),
        last_down: None,
    };
    let told = run(&narrow, &cooling, just, &readings(&[(0, "1")]));
    assert_eq!((told.from, told.size), (10, 6));
    assert_eq!(
        told.evidence.held_back[0],
        "10 is outside of the pool's bounds by now"
    );
}
