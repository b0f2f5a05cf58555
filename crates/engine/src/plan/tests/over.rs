//! Nodes whose time is over.

use insta::assert_snapshot;

use super::plan_of;

#[test]
fn what_is_over_goes_and_nothing_is_made_in_its_place() {
    let script = "
        provider sim east
        offer sim/east small $0.04
        pool gpu 3 runtime=8h
        pool web 2
        node sim/east/n1 gpu ready $0.04 age=9h over=1h
        node sim/east/n2 gpu failed $0.04 age=9h over=1m
        node sim/east/n3 gpu ready $0.04 left=1m
        node sim/east/n4 web ready $0.04
        expire
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n1: its time was over at 1970-01-01T23:00:00Z, after 8h
    delete sim/east/n2: its time was over at 1970-01-01T23:59:00Z, after 8h 59m
    cost: $0.16/h -> $0.08/h
    ");
}

#[test]
fn an_unused_node_goes_only_if_it_was_just_seen_to_be() {
    let script = "
        provider sim east
        pool gpu 4 idle-after=30m
        node sim/east/n1 gpu ready idle=31m
        node sim/east/n2 gpu ready idle=31m
        node sim/east/n3 gpu ready idle=29m
        node sim/east/n4 gpu ready idle=2h kept=1m
        expire sim/east/n1 sim/east/n3 sim/east/n4
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n1: nobody used it for 31m; its pool allows 30m
    ");
}

#[test]
fn a_removal_that_has_begun_is_finished_and_claims_of_limited_pools_are_settled() {
    let script = "
        provider sim east
        pool gpu 2 runtime=8h
        pool web 2
        node sim/east/n1 gpu terminating
        node sim/east/n2 web draining
        claim 1 gpu 1 sim/east
        claim 2 web 1 sim/east
        expire
    ";
    assert_snapshot!(plan_of(script), @r"
    resolve claim 1: 1 machine for pool `gpu` asked for at 1970-01-01T23:55:00Z, and the answer is not known
    delete sim/east/n1: its removal has begun: of what happened before
    delete sim/east/n2: its removal has begun: of what happened before
    ");
}

#[test]
fn what_cannot_be_seen_is_not_ended() {
    let script = "
        provider sim east
        blind sim
        pool gpu 1 runtime=8h
        node sim/east/n1 gpu ready over=1h
        expire
    ";
    assert_snapshot!(plan_of(script), @r"
    withheld, sim/east/n1, delete sim/east/n1: the listing of sim/east failed: the cloud is down
    ");
}

#[test]
fn an_up_replaces_what_is_over_and_the_brake_does_not_count_it() {
    let script = "
        provider sim east
        type sim small 2
        offer sim/east small $0.04
        pool gpu 4 runtime=8h
        node sim/east/n1 gpu ready age=9h over=1h
        node sim/east/n2 gpu ready age=9h over=1h
        node sim/east/n3 gpu ready age=9h over=1h
        node sim/east/n4 gpu ready left=5m idle=9h
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n1: its time was over at 1970-01-01T23:00:00Z, after 8h
    delete sim/east/n2: its time was over at 1970-01-01T23:00:00Z, after 8h
    delete sim/east/n3: its time was over at 1970-01-01T23:00:00Z, after 8h
    create 3 in pool gpu: pool `gpu` has 1 node besides 3 whose time is over and wants 4
        sim/east small on-demand (choice 1 of 1: $0.04/h)
    cost: nothing -> $0.12/h
    ");
}
