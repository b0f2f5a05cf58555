//! Making what is missing: how many, and what counts as there.

use insta::assert_snapshot;

use super::plan_of;

#[test]
fn an_empty_fleet_is_filled_up() {
    let script = "
        provider sim east
        offer sim/east small $0.04
        pool web 3
    ";
    assert_snapshot!(plan_of(script), @r"
    create 3 in pool web: pool `web` has 0 nodes and wants 3
        sim/east small on-demand (choice 1 of 1: $0.04/h)
    cost: nothing -> $0.12/h
    ");
}

#[test]
fn only_what_is_missing_is_made() {
    let script = "
        provider sim east
        offer sim/east small $0.04
        pool web 3
        node sim/east/n1 web ready $0.04
        node sim/east/n2 web booting $0.04
    ";
    assert_snapshot!(plan_of(script), @r"
    create 1 in pool web: pool `web` has 2 nodes and wants 3
        sim/east small on-demand (choice 1 of 1: $0.04/h)
    cost: $0.08/h -> $0.12/h
    ");
}

#[test]
fn where_all_is_well_there_is_nothing_to_do() {
    let script = "
        provider sim east
        offer sim/east small $0.04
        pool web 2
        node sim/east/n1 web ready $0.04
        node sim/east/n2 web ready $0.04
    ";
    assert_snapshot!(plan_of(script), @r"
    nothing to do
    ");
}

#[test]
fn an_open_claim_is_resolved_first_and_stands_for_its_machines() {
    let script = "
        provider sim east
        offer sim/east small $0.04
        pool web 5
        claim 1 web 3 sim/east
        node sim/east/n1 web requested claim=1
    ";
    assert_snapshot!(plan_of(script), @r"
    resolve claim 1: 3 machines for pool `web` asked for at 1970-01-01T23:55:00Z, and the answer is not known
    create 2 in pool web: pool `web` has 3 nodes and wants 5
        sim/east small on-demand (choice 1 of 1: $0.04/h)
    cost: nothing -> $0.08/h
    ");
}

#[test]
fn a_machine_that_died_is_replaced() {
    let script = "
        provider sim east
        offer sim/east small $0.04
        pool web 2
        node sim/east/n1 web ready $0.04
        node sim/east/n2 web failed $0.04
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n2: it failed: of what happened before
    create 1 in pool web: pool `web` has 1 node and wants 2
        sim/east small on-demand (choice 1 of 1: $0.04/h)
    ");
}

#[test]
fn a_node_whose_boot_failed_is_kept_and_counts() {
    let script = "
        provider sim east
        offer sim/east small $0.04
        pool web 2
        node sim/east/n1 web ready $0.04
        node sim/east/n2 web failed $0.04 boot-failed
    ";
    assert_snapshot!(plan_of(script), @r"
    nothing to do
    ");
}

#[test]
fn a_node_whose_boot_failed_is_replaced_when_its_definition_has_changed() {
    let script = "
        provider sim east
        offer sim/east small $0.04
        pool web 2
        node sim/east/n1 web ready $0.04
        node sim/east/n2 web failed $0.04 boot-failed old
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n2: it failed: of what happened before
    create 1 in pool web: pool `web` has 1 node and wants 2
        sim/east small on-demand (choice 1 of 1: $0.04/h)
    ");
}

#[test]
fn a_node_whose_boot_failed_is_replaced_on_request() {
    let script = "
        provider sim east
        offer sim/east small $0.04
        pool web 2
        node sim/east/n1 web ready $0.04
        node sim/east/n2 web failed $0.04 boot-failed
        option replace-failed
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n2: it failed: of what happened before
    create 1 in pool web: pool `web` has 1 node and wants 2
        sim/east small on-demand (choice 1 of 1: $0.04/h)
    ");
}

#[test]
fn a_removal_that_has_begun_is_finished_and_made_up_for() {
    let script = "
        provider sim east
        offer sim/east small $0.04
        pool web 2
        node sim/east/n1 web ready $0.04
        node sim/east/n2 web terminating $0.04
        node sim/east/n3 web terminating $0.04 for=11m
    ";
    assert_snapshot!(plan_of(script), @r"
    delete sim/east/n2: its removal has begun: of what happened before
    delete sim/east/n3: it is terminating for more than 10m
    create 1 in pool web: pool `web` has 1 node and wants 2
        sim/east small on-demand (choice 1 of 1: $0.04/h)
    cost: $0.12/h -> $0.08/h
    ");
}

#[test]
fn an_orphan_is_adopted_unless_it_is_too_young_to_be_judged() {
    let script = "
        provider sim east
        pool web 0
        orphan sim/east/n1 web age=31s
        orphan sim/east/n2 web age=29s
        orphan sim/east/n3 web deleting
    ";
    assert_snapshot!(plan_of(script), @r"
    adopt sim/east/n1 into pool web: it carries our journal's label and has no record
    withheld, sim/east/n2, adopt it: it has no record, and is younger than 30 s
    ");
}

#[test]
fn the_cost_afterwards_is_that_of_the_dearest_way() {
    let script = "
        provider sim east
        provider eu north
        offer sim/east small $0.04
        offer sim/east large $0.10
        offer eu/north small €0.05
        pool web 4
        node sim/east/n1 web ready $0.02
        node eu/north/n2 web ready €0.03
    ";
    assert_snapshot!(plan_of(script), @r"
    create 2 in pool web: pool `web` has 2 nodes and wants 4
        sim/east small on-demand (choice 1 of 3: $0.04/h)
        sim/east large on-demand (choice 2 of 3: $0.10/h)
        eu/north small on-demand (choice 3 of 3: €0.05/h)
    cost: $0.02/h + €0.03/h -> $0.22/h + €0.13/h
    ");
}

#[test]
fn an_orphan_counts_so_that_nothing_is_made_in_its_stead() {
    let script = "
        provider sim east
        offer sim/east small $0.04
        pool web 3
        orphan sim/east/n1 web age=1h
        orphan sim/east/n2 web age=1s
        orphan sim/east/n3 api age=1h
    ";
    assert_snapshot!(plan_of(script), @r"
    adopt sim/east/n1 into pool web: it carries our journal's label and has no record
    adopt sim/east/n3 into pool api: it carries our journal's label and has no record
    create 1 in pool web: pool `web` has 2 nodes and wants 3
        sim/east small on-demand (choice 1 of 1: $0.04/h)
    withheld, sim/east/n2, adopt it: it has no record, and is younger than 30 s
    cost: nothing -> $0.04/h
    ");
}

#[test]
fn an_orphan_too_many_is_adopted_first_and_judged_later() {
    let script = "
        provider sim east
        pool web 1
        node sim/east/n1 web ready
        orphan sim/east/n2 web age=1h
    ";
    assert_snapshot!(plan_of(script), @r"
    adopt sim/east/n2 into pool web: it carries our journal's label and has no record
    ");
}
