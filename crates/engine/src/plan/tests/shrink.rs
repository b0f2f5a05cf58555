//! Removing what is too much: which nodes, how many, and in which order.

use insta::assert_snapshot;

use super::plan_of;

#[test]
fn what_is_not_ready_goes_first_then_the_outdated_then_the_youngest() {
    let script = "
        provider sim east
        pool web 1
        brake 100
        node sim/east/n1 web ready age=9h
        node sim/east/n2 web ready age=2h old
        node sim/east/n3 web ready age=3h
        node sim/east/n4 web booting age=8h
        node sim/east/n5 web ready age=1h
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n4: pool `web` has 5 nodes and wants 1
    delete sim/east/n2: pool `web` has 5 nodes and wants 1
    delete sim/east/n5: pool `web` has 5 nodes and wants 1
    delete sim/east/n3: pool `web` has 5 nodes and wants 1
    ");
}

#[test]
fn of_the_ready_the_youngest_goes() {
    let script = "
        provider sim east
        pool web 2
        node sim/east/n1 web ready age=3h
        node sim/east/n2 web ready age=1h
        node sim/east/n3 web ready age=2h
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n2: pool `web` has 3 nodes and wants 2
    ");
}

#[test]
fn a_failed_node_that_was_kept_goes_before_a_good_one() {
    let script = "
        provider sim east
        pool web 1
        node sim/east/n1 web ready
        node sim/east/n2 web failed boot-failed
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n2: pool `web` has 2 nodes and wants 1
    ");
}

#[test]
fn a_node_that_goes_is_not_put_behind_the_balancer() {
    let script = "
        provider sim east
        pool web 1 balancer=lb
        balancer sim lb
        node sim/east/n1 web ready age=3h
        node sim/east/n2 web ready age=2h
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n2: pool `web` has 2 nodes and wants 1
    register sim/east/n1 with lb: it is ready and not behind the balancer
    ");
}

#[test]
fn nodes_of_a_pool_that_is_not_configured_any_more_go() {
    let script = "
        provider sim east
        pool web 1
        brake 50
        node sim/east/n1 web ready $0.04
        node sim/east/n2 old ready $0.06
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n2: pool `old` is not in the configuration
    cost: $0.10/h -> $0.04/h
    ");
}

#[test]
fn more_than_the_allowed_share_is_only_reported() {
    let script = "
        provider sim east
        pool web 6
        node sim/east/n1 web ready
        node sim/east/n2 web ready
        node sim/east/n3 web ready
        node sim/east/n4 web ready
        node sim/east/n5 web ready
        node sim/east/n6 web ready
        node sim/east/n7 web ready
        node sim/east/n8 web ready
        node sim/east/n9 web ready
        brake 30
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n1: pool `web` has 9 nodes and wants 6
    delete sim/east/n2: pool `web` has 9 nodes and wants 6
    delete sim/east/n3: pool `web` has 9 nodes and wants 6
    brake: the plan removes 3 of 9 nodes; at most 30 % may go at once
    ");
}

#[test]
fn the_brake_counts_against_all_nodes_of_the_fleet() {
    let script = "
        provider sim east
        pool web 0
        pool api 3
        node sim/east/n1 web ready
        node sim/east/n2 web ready
        node sim/east/n3 api ready
        node sim/east/n4 api ready
        node sim/east/n5 api ready
        brake 30
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n1: pool `web` has 2 nodes and wants 0
    delete sim/east/n2: pool `web` has 2 nodes and wants 0
    brake: the plan removes 2 of 5 nodes; at most 30 % may go at once
    ");
}

#[test]
fn one_node_may_always_go() {
    let script = "
        provider sim east
        pool web 1
        node sim/east/n1 web ready age=2h
        node sim/east/n2 web ready age=1h
        brake 0
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n2: pool `web` has 2 nodes and wants 1
    ");
}

#[test]
fn the_brake_is_released_by_an_option() {
    let script = "
        provider sim east
        pool web 0
        node sim/east/n1 web ready
        node sim/east/n2 web ready
        option removal=100
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n1: pool `web` has 2 nodes and wants 0
    delete sim/east/n2: pool `web` has 2 nodes and wants 0
    ");
}

#[test]
fn a_removal_of_all_knows_no_brake_and_fills_nothing_up() {
    let script = "
        provider sim east
        offer sim/east small $0.04
        pool web 3
        claim 1 web 1 sim/east
        node sim/east/n1 web ready $0.04
        node sim/east/n2 web failed boot-failed
        remove all
    ";
    assert_snapshot!(plan_of(script), @r"
    resolve claim 1: 1 machine for pool `web` asked for at 1970-01-01T23:55:00Z, and the answer is not known
    delete sim/east/n1: its removal was asked for
    delete sim/east/n2: its removal was asked for
    cost: $0.04/h -> nothing
    ");
}

#[test]
fn a_provider_that_is_at_work_on_a_removal_is_not_asked_again_before_its_time_is_over() {
    let script = "
        provider sim east
        pool web 0
        node sim/east/n1 web terminating deleting for=1m
        node sim/east/n2 web terminating for=1m
        node sim/east/n3 web terminating deleting for=11m
        accepted sim/east/n1
        accepted sim/east/n2
        accepted sim/east/n3
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n2: its removal has begun: of what happened before
    delete sim/east/n3: it is terminating for more than 10m
    ");
}

#[test]
fn a_removal_that_another_run_began_is_asked_for_again_at_once() {
    let script = "
        provider sim east
        pool web 0
        node sim/east/n1 web terminating deleting for=1s
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n1: its removal has begun: of what happened before
    ");
}

#[test]
fn a_removal_of_some_leaves_the_others() {
    let script = "
        provider sim east
        offer sim/east small $0.04
        pool web 3
        node sim/east/n1 web ready
        node sim/east/n2 web ready
        node sim/east/n3 web terminating
        remove sim/east/n2 sim/east/n3
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n2: its removal was asked for
    delete sim/east/n3: its removal has begun
    ");
}

#[test]
fn a_ready_node_is_put_behind_its_balancer() {
    let script = "
        provider sim east
        balancer sim lb
        pool web 3 balancer=lb
        node sim/east/n1 web ready
        node sim/east/n2 web booting
        node sim/east/n3 web in-service
        member sim lb sim/east/n3 healthy
    ";
    assert_snapshot!(plan_of(script), @r"
    register sim/east/n1 with lb: it is ready and not behind the balancer
    ");
}

#[test]
fn a_balancer_that_cannot_be_seen_gets_nobody() {
    let script = "
        provider sim east
        provider eu north
        balancer sim lb broken
        pool web 2 balancer=lb
        node sim/east/n1 web ready
        node eu/north/n2 web ready
    ";
    assert_snapshot!(plan_of(script), @r"
    withheld, sim/east/n1, register it: the balancer does not answer
    withheld, eu/north/n2, register it: provider `eu` has no balancer `lb`
    ");
}

#[test]
fn a_member_is_drained_before_it_is_deleted() {
    let script = "
        provider sim east
        balancer sim lb
        pool web 1 balancer=lb
        node sim/east/n1 web in-service age=2h
        node sim/east/n2 web in-service age=1h
        member sim lb sim/east/n1 healthy
        member sim lb sim/east/n2 healthy
    ";
    assert_snapshot!(plan_of(script), @r"
    drain sim/east/n2 from lb: pool `web` has 2 nodes and wants 1
    ");
}

#[test]
fn while_it_drains_nothing_is_done() {
    let script = "
        provider sim east
        balancer sim lb
        pool web 1 balancer=lb
        node sim/east/n1 web in-service
        node sim/east/n2 web draining for=4m
        member sim lb sim/east/n1 healthy
        member sim lb sim/east/n2 draining
    ";
    assert_snapshot!(plan_of(script), @r"
    nothing to do
    ");
}

#[test]
fn when_the_balancer_has_let_go_it_is_deleted() {
    let script = "
        provider sim east
        balancer sim lb
        pool web 1 balancer=lb
        node sim/east/n1 web in-service
        node sim/east/n2 web draining for=1m
        member sim lb sim/east/n1 healthy
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n2: its removal has begun: of what happened before
    ");
}

#[test]
fn a_balancer_that_never_lets_go_is_not_waited_for() {
    let script = "
        provider sim east
        balancer sim lb
        pool web 1 balancer=lb
        node sim/east/n1 web in-service
        node sim/east/n2 web draining for=6m
        member sim lb sim/east/n1 healthy
        member sim lb sim/east/n2 draining
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n2: it is draining for more than 5m
    ");
}

#[test]
fn a_member_whose_machine_is_gone_is_not_drained() {
    let script = "
        provider sim east
        balancer sim lb
        pool web 1 balancer=lb
        node sim/east/n1 web in-service
        node sim/east/n2 web failed absent
        member sim lb sim/east/n1 healthy
        member sim lb sim/east/n2 unhealthy
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n2: it failed: of what happened before
    ");
}

#[test]
fn what_is_cordoned_goes_first_and_is_not_put_behind_the_balancer() {
    let script = "
        provider sim east
        pool web 2 balancer=lb
        balancer sim lb
        member sim lb sim/east/n2 healthy
        member sim lb sim/east/n3 healthy
        node sim/east/n1 web ready age=9h
        node sim/east/n2 web in-service age=1h
        node sim/east/n3 web in-service age=2h
        cordoned sim/east/n1
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n1: pool `web` has 3 nodes and wants 2
    ");
    let enough = script.replace("pool web 2", "pool web 3");
    assert_snapshot!(plan_of(&enough), @r"
    nothing to do
    ");
}

#[test]
fn a_plan_to_balance_touches_these_nodes_and_nothing_else() {
    let script = "
        provider sim east
        pool web 5 balancer=lb
        balancer sim lb
        member sim lb sim/east/n1 healthy
        member sim lb sim/east/n2 healthy
        member sim lb sim/east/n3 draining
        node sim/east/n1 web in-service
        node sim/east/n2 web in-service
        node sim/east/n3 web in-service
        node sim/east/n4 web ready
        node sim/east/n5 web terminating
        cordoned sim/east/n1
        cordoned sim/east/n3
        balance sim/east/n1 sim/east/n3 sim/east/n4
    ";
    assert_snapshot!(plan_of(script), @r"
    drain sim/east/n1 from lb: it is cordoned
    register sim/east/n4 with lb: it is ready and not behind the balancer
    ");
}
