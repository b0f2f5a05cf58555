//! Sizes that were decided on, in place of the configured ones.

use insta::assert_snapshot;

use super::plan_of;

#[test]
fn a_decided_size_goes_before_the_configured_one() {
    let script = "
        provider sim east
        type sim small 2
        offer sim/east small 0.10
        pool web 5
        decided web 2
        pool train 1
        decided train 3
        node sim/east/n1 web ready age=3h
        node sim/east/n2 web ready age=2h
        node sim/east/n3 web ready age=1h
        node sim/east/n4 train ready
    ";
    assert_snapshot!(plan_of(script), @"");
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
    assert_snapshot!(plan_of(script), @"");
}

#[test]
fn a_pool_whose_size_was_given_up_meanwhile_is_left_alone() {
    let script = "
        provider sim east
        type sim small 2
        offer sim/east small 0.10
        pool web 5
        scale web
    ";
    assert_snapshot!(plan_of(script), @"");
}

#[test]
fn the_brake_does_not_count_a_step_that_was_agreed_to() {
    let nodes = |agreed: &str| {
        let mut script = format!(
            "
            provider sim east
            pool web 9
            decided web 4 {agreed}
            brake 30
            scale web
            "
        );
        for number in 1..=9 {
            script.push_str(&format!(
                "node sim/east/n{number} web ready age={number}h\n"
            ));
        }
        let plan = plan_of(&script);
        plan.lines()
            .filter(|line| line.starts_with("brake"))
            .collect::<String>()
    };
    // Of five removals one is agreed to, and four are more than 30 % of nine.
    assert_snapshot!(nodes("agreed=1"), @"");
    assert_snapshot!(nodes("agreed=3"), @"");
    assert_snapshot!(nodes("agreed=5"), @"");
}

#[test]
fn a_bound_that_was_lowered_by_mistake_still_meets_the_brake() {
    let mut script = String::from(
        "
        provider sim east
        pool web 9 most=1
        decided web 9 agreed=2
        brake 30
        scale web
        ",
    );
    for number in 1..=9 {
        script.push_str(&format!(
            "node sim/east/n{number} web ready age={number}h\n"
        ));
    }
    let brakes = plan_of(&script);
    let brakes: Vec<&str> = brakes
        .lines()
        .filter(|line| line.starts_with("brake"))
        .collect();
    assert_eq!(
        brakes,
        ["brake: the plan removes 6 of 9 nodes; at most 30 % may go at once"]
    );
}
