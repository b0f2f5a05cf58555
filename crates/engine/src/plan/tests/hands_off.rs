//! What the planner keeps its hands off, and why it says so.

use insta::assert_snapshot;

use super::plan_of;

#[test]
fn nodes_that_cannot_be_seen_count_and_are_not_replaced() {
    let script = "
        provider sim east west
        offer sim/east small $0.04
        offer sim/west small $0.04
        blind sim/west
        pool web 3
        node sim/east/n1 web ready
        node sim/west/n2 web ready
        node sim/west/n3 web booting
    ";
    assert_snapshot!(plan_of(script), @r"
    nothing to do
    ");
}

#[test]
fn nodes_that_cannot_be_seen_are_not_removed() {
    let script = "
        provider sim east west
        blind sim/west
        pool web 1
        option removal=100
        node sim/west/n1 web booting
        node sim/west/n2 web failed
        node sim/west/n3 web terminating
        node sim/east/n4 web ready
    ";
    assert_snapshot!(plan_of(script), @r"
    withheld, sim/west/n2, delete sim/west/n2: the listing of sim/west failed: the cloud is down
    withheld, sim/west/n3, delete sim/west/n3: the listing of sim/west failed: the cloud is down
    withheld, sim/west/n1, delete sim/west/n1: the listing of sim/west failed: the cloud is down
    ");
}

#[test]
fn machines_are_made_elsewhere_and_never_where_nobody_can_see() {
    let script = "
        provider sim east west
        offer sim/east small $0.04
        offer sim/west small $0.01
        blind sim/west
        pool web 1
    ";
    assert_snapshot!(plan_of(script), @r"
    create 1 in pool web: pool `web` has 0 nodes and wants 1
        sim/east small on-demand (choice 1 of 1: $0.04/h)
    cost: nothing -> $0.04/h
    ");
}

#[test]
fn a_claim_where_nobody_can_see_stays_open_and_counts() {
    let script = "
        provider sim east
        offer sim/east small $0.04
        blind sim
        pool web 2
        claim 1 web 1 sim/east
    ";
    assert_snapshot!(plan_of(script), @r"
    withheld, claim 00000000-0000-7000-8000-000000000001/1, resolve claim 00000000-0000-7000-8000-000000000001/1: the listing of sim/east failed: the cloud is down
    withheld, pool web, create 1: no offer is left: sim/east small on-demand: nobody can tell what is there already: the cloud is down
    ");
}

#[test]
fn a_removal_of_all_leaves_what_it_cannot_see() {
    let script = "
        provider sim east west
        blind sim/west
        pool web 2
        node sim/east/n1 web ready
        node sim/west/n2 web ready
        remove all
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n1: its removal was asked for
    withheld, sim/west/n2, delete sim/west/n2: the listing of sim/west failed: the cloud is down
    ");
}

#[test]
fn nodes_of_a_provider_that_is_not_configured_any_more_stay() {
    let script = "
        provider sim east
        pool web 1
        node sim/east/n1 web ready
        node old/north/n2 web booting
    ";
    assert_snapshot!(plan_of(script), @r"
    withheld, old/north/n2, delete old/north/n2: provider `old` is not in the configuration
    ");
}

#[test]
fn nodes_of_another_journal_do_not_exist_for_us() {
    let script = "
        provider sim east
        offer sim/east small $0.04
        pool web 1
        stranger sim/east/n1
    ";
    assert_snapshot!(plan_of(script), @r"
    create 1 in pool web: pool `web` has 0 nodes and wants 1
        sim/east small on-demand (choice 1 of 1: $0.04/h)
    cost: nothing -> $0.04/h
    ");
}

#[test]
fn a_node_in_a_blind_spot_is_not_registered() {
    let script = "
        provider sim east west
        blind sim/west
        balancer sim lb
        pool web 2 balancer=lb
        node sim/east/n1 web ready
        node sim/west/n2 web ready
    ";
    assert_snapshot!(plan_of(script), @r"
    register sim/east/n1 with lb: it is ready and not behind the balancer
    withheld, sim/west/n2, register sim/west/n2 with lb: the listing of sim/west failed: the cloud is down
    ");
}
