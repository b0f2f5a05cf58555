//! What holds for every policy, every signal and every state.

use fleetwright_core::{Pool, Quantity, Sample, Scaling, Span};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Reading, Readings, SizeState, decide, step_down};
use super::{ago, now};

fn policy() -> impl Strategy<Value = Value> {
    let signal = prop_oneof![Just("a"), Just("b"), Just("never")];
    let leaf = prop_oneof![
        (signal.clone(), 0..500_u32, 1..500_u32, 1..50_u32, 1..50_u32).prop_map(
            |(signal, below, more, up, down)| json!({ "reactive": {
                "signal": signal, "below": below, "above": below + more, "up": up, "down": down
            } })
        ),
        (signal.clone(), 1..100_u32)
            .prop_map(|(signal, each)| json!({ "queue": { "signal": signal, "per_node": each } })),
        (signal, 1..100_u32, 1..60_u32, 0..60_u32).prop_map(|(signal, each, window, ahead)| {
            json!({ "predictive": {
                "signal": signal, "per_node": each,
                "window": format!("{window}m"), "ahead": format!("{ahead}m")
            } })
        }),
        (0..24_u32, 0..24_u32, 0..300_u32).prop_map(|(from, to, size)| json!({ "schedule": {
            "time_zone": "Europe/Berlin",
            "entries": [{
                "from": format!("{from:02}:00"), "to": format!("{to:02}:00"), "size": size
            }]
        } })),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let combine = prop_oneof![Just("max"), Just("min"), Just("average")];
        (combine, prop::collection::vec(inner, 1..4))
            .prop_map(|(combine, of)| json!({ "composite": { "combine": combine, "of": of } }))
    })
}

fn scaling() -> impl Strategy<Value = Scaling> {
    let step = || prop::option::of(1..40_u32);
    (policy(), 0..200_u64, 0..200_u64, step(), step()).prop_map(
        |(policy, cool_up, cool_down, up, down)| {
            let mut whole: Scaling = serde_json::from_value(json!({ "policy": policy })).unwrap();
            whole.cool_down.up = Span::seconds(cool_up);
            whole.cool_down.down = Span::seconds(cool_down);
            whole.max_step.up = up;
            whole.max_step.down = down;
            whole
        },
    )
}

fn reading() -> impl Strategy<Value = Reading> {
    let values = prop::collection::vec((0..900_u64, 0..1_000_000_000_u64), 0..8);
    (values, prop::option::weighted(0.1, Just("down".to_owned()))).prop_map(
        |(mut values, failure)| {
            values.sort_unstable_by(|a, b| b.cmp(a));
            let sample = |(seconds, micros): (u64, u64)| Sample {
                at: ago(seconds),
                value: Quantity::from_micros(micros).unwrap(),
            };
            Reading {
                samples: values.into_iter().map(sample).collect(),
                failure,
            }
        },
    )
}

fn readings() -> impl Strategy<Value = Readings> {
    (reading(), reading()).prop_map(|(a, b)| [("a".to_owned(), a), ("b".to_owned(), b)].into())
}

fn pool() -> impl Strategy<Value = Pool> {
    (0..50_u32, 0..200_u32, 0..300_u32).prop_map(|(min, more, desired)| Pool {
        desired,
        min: Some(min),
        max: Some(min + more),
        ..Pool::default()
    })
}

fn state() -> impl Strategy<Value = SizeState> {
    let last = || prop::option::of((0..400_u64).prop_map(ago));
    (0..300_u32, last(), last()).prop_map(|(size, last_up, last_down)| SizeState {
        size,
        last_up,
        last_down,
    })
}

proptest! {
    #[test]
    fn a_size_is_within_bounds_and_a_step_away_at_most(
        pool in pool(), scaling in scaling(), state in state(), read in readings(), percent in 0..=100_u8,
    ) {
        let present = pool.within_bounds(state.size);
        let state = SizeState { size: present, ..state };
        let told = decide(&pool, &scaling, state, &read, now(), percent);
        prop_assert_eq!(told.size, pool.within_bounds(told.size));
        if let Some(most) = scaling.max_step.up {
            prop_assert!(told.size <= present + most);
        }
        let most = step_down(&scaling, present, percent);
        prop_assert!(told.size >= present.saturating_sub(most));
    }

    #[test]
    fn the_same_input_gives_the_same_decision(
        pool in pool(), scaling in scaling(), state in state(), read in readings(),
    ) {
        let one = decide(&pool, &scaling, state, &read, now(), 30);
        let two = decide(&pool, &scaling.clone(), state, &read.clone(), now(), 30);
        prop_assert_eq!(one, two);
    }

    #[test]
    fn without_a_signal_that_can_be_relied_on_no_size_changes(
        pool in pool(), scaling in scaling(), state in state(), read in readings(), stale in any::<bool>(),
    ) {
        let mut broken = read;
        for reading in broken.values_mut() {
            if stale {
                reading.samples.retain(|sample| sample.at < ago(300));
            } else {
                reading.failure = Some("down".to_owned());
            }
        }
        let told = decide(&pool, &scaling, state, &broken, now(), 30);
        // What needs no signal may go on.
        let needs_none = told.evidence.vote.wants.is_some();
        prop_assert!(needs_none || told.size == state.size);
        prop_assert_eq!(needs_none, has_schedule(&scaling));
        prop_assert_eq!(told.trouble.is_some(), !scaling.policy.signals().is_empty());
    }

    #[test]
    fn while_it_cools_down_nothing_moves(
        pool in pool(), scaling in scaling(), size in 0..300_u32, read in readings(),
    ) {
        let mut scaling = scaling;
        scaling.cool_down.up = Span::seconds(60);
        scaling.cool_down.down = Span::seconds(60);
        let present = pool.within_bounds(size);
        let just = SizeState { size: present, last_up: Some(ago(59)), last_down: None };
        let told = decide(&pool, &scaling, just, &read, now(), 30);
        prop_assert_eq!(told.size, present);
    }
}

fn has_schedule(scaling: &Scaling) -> bool {
    serde_json::to_string(&scaling.policy)
        .unwrap()
        .contains("schedule")
}
