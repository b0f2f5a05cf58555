//! Sizes that were decided on, in place of the configured ones.

use insta::assert_snapshot;

use super::plan_of;

#[test]
fn a_decided_size_goes_before_the_configured_one() {
    let script = "
        provider sim east
        type sim small 2
        offer sim/east small
        pool web 5
        decided web 2
        pool train 1
        decided train 3
        node sim/east/n1 web ready age=3h
        node sim/east/n2 web ready age=2h
        node sim/east/n3 web ready age=1h
        node sim/east/n4 train ready
    ";
    assert_snapshot!(plan_of(script), @r"
    create 2 in pool train: pool `train` has 1 node and wants 3
        sim/east small on-demand (choice 1 of 1: price unknown)
    delete sim/east/n3: pool `web` has 3 nodes and wants 2
    ");
}

#[test]
fn only_the_pools_that_are_scaled_are_touched() {
    let script = "
        provider sim east
        pool web 1
        pool idle 0
        decided web 0
        node sim/east/n1 web ready
        node sim/east/n2 idle ready
        node sim/east/n3 left-over ready
        claim 1 idle 2 sim/east
        orphan sim/east/n5 idle age=1h
        scale web
    ";
    assert_snapshot!(plan_of(script), @"delete sim/east/n1: pool `web` has 1 node and wants 0");
}

#[test]
fn a_pool_whose_size_was_given_up_meanwhile_is_left_alone() {
    let script = "
        provider sim east
        type sim small 2
        offer sim/east small
        pool web 5
        scale web
    ";
    assert_snapshot!(plan_of(script), @"nothing to do");
}

/// What the brake says of a plan for nine nodes in a pool like this.
fn braked(pool: &str) -> Option<String> {
    let nodes: Vec<String> = (1..=9)
        .map(|number| format!("node sim/east/n{number} web ready age={number}h"))
        .collect();
    let script = format!(
        "provider sim east\n{pool}\nbrake 30\nscale web\n{}",
        nodes.join("\n")
    );
    let plan = plan_of(&script);
    let brake = plan.lines().find(|line| line.starts_with("brake"))?;
    Some(brake.to_owned())
}

#[test]
fn the_brake_does_not_count_a_step_that_was_agreed_to() {
    let agreed = |count: u32| braked(&format!("pool web 9\ndecided web 4 agreed={count}"));
    // Of five removals four are not agreed to: more than 30 % of nine.
    assert_eq!(
        agreed(1).as_deref(),
        Some("brake: the plan removes 4 of 9 nodes; at most 30 % may go at once")
    );
    assert_eq!(agreed(3), None);
    assert_eq!(agreed(5), None);
}

#[test]
fn a_bound_that_was_lowered_by_mistake_still_meets_the_brake() {
    assert_eq!(
        braked("pool web 9 most=1\ndecided web 9 agreed=2").as_deref(),
        Some("brake: the plan removes 6 of 9 nodes; at most 30 % may go at once")
    );
}
