//! Which offers are taken, in which order, and why the others not.

use insta::assert_snapshot;

use super::plan_of;

#[test]
fn by_priority_the_order_of_the_candidates_comes_before_the_price() {
    let script = "
        provider sim east west
        offer sim/east small $0.09
        offer sim/west small $0.01
        pool web 1
        candidate web sim/east small
        candidate web sim/west small
    ";
    assert_snapshot!(plan_of(script), @r"
    create 1 in pool web: pool `web` has 0 nodes and wants 1
        sim/east small on-demand (choice 1 of 2: candidate 1, $0.09/h)
        sim/west small on-demand (choice 2 of 2: candidate 2, $0.01/h)
    cost: nothing -> $0.09/h
    ");
}

#[test]
fn by_cost_the_cheapest_comes_first_and_the_unknown_last() {
    let script = "
        provider sim east west
        provider eu north
        offer sim/east small $0.09
        offer sim/west small $0.01
        offer eu/north small
        pool web 1 cost
        candidate web eu small
        candidate web sim small
    ";
    assert_snapshot!(plan_of(script), @r"
    create 1 in pool web: pool `web` has 0 nodes and wants 1
        sim/west small on-demand (choice 1 of 3 by cost: $0.01/h)
        sim/east small on-demand (choice 2 of 3 by cost: $0.09/h)
        eu/north small on-demand (choice 3 of 3 by cost: price unknown)
    cost: nothing -> $0.09/h
    ");
}

#[test]
fn what_costs_too_much_or_nobody_knows_how_much_is_left_out() {
    let script = "
        provider sim east
        provider eu north
        offer sim/east small $0.05
        offer sim/east large $0.10
        offer sim/east odd
        offer eu/north small €0.01
        pool web 1 max=$0.05/h
    ";
    assert_snapshot!(plan_of(script), @r"
    create 1 in pool web: pool `web` has 0 nodes and wants 1
        sim/east small on-demand (choice 1 of 1: $0.05/h)
    cost: nothing -> $0.05/h
    ");
}

#[test]
fn if_nothing_is_cheap_enough_nothing_is_made() {
    let script = "
        provider sim east
        offer sim/east small $0.06
        offer sim/east large $0.10
        offer sim/east odd
        pool web 2 max=$0.05/h
    ";
    assert_snapshot!(plan_of(script), @r"
    withheld, pool web, create 2: no offer is left: sim/east small on-demand: $0.06/h is above the limit $0.05/h; sim/east large on-demand: $0.10/h is above the limit $0.05/h; sim/east odd on-demand: its price is unknown, and at most $0.05/h may be paid
    ");
}

#[test]
fn what_is_taken_for_sold_out_is_left_out() {
    let script = "
        provider sim east west
        offer sim/east/a small $0.01
        offer sim/east/b small $0.02
        offer sim/west/a small $0.03
        offer sim/west/a large $0.04
        offer sim/west/b small $0.05 sold-out
        mark sim/east/a
        mark sim/west small
        pool web 1
    ";
    assert_snapshot!(plan_of(script), @r"
    create 1 in pool web: pool `web` has 0 nodes and wants 1
        sim/east/b small on-demand (choice 1 of 2: $0.02/h)
        sim/west/a large on-demand (choice 2 of 2: $0.04/h)
    cost: nothing -> $0.04/h
    ");
}

#[test]
fn a_mark_on_one_market_leaves_the_other() {
    let script = "
        provider sim east
        offer sim/east small $0.04
        offer sim/east small $0.01 spot
        mark sim/east small spot
        pool web 1
        candidate web sim small spot
        candidate web sim small
    ";
    assert_snapshot!(plan_of(script), @r"
    create 1 in pool web: pool `web` has 0 nodes and wants 1
        sim/east small on-demand (choice 1 of 1: candidate 2, $0.04/h)
    cost: nothing -> $0.04/h
    ");
}

#[test]
fn without_a_catalog_only_what_is_named_can_be_asked_for() {
    let script = "
        provider sim east west
        no-catalog sim
        pool web 1
        candidate web sim/west small
        candidate web sim
    ";
    assert_snapshot!(plan_of(script), @r"
    create 1 in pool web: pool `web` has 0 nodes and wants 1
        sim/west small on-demand (choice 1 of 1: candidate 1, price unknown)
    ");
}

#[test]
fn without_a_catalog_and_a_name_nothing_can_be_asked_for() {
    let script = "
        provider sim east
        no-catalog sim
        pool web 1
    ";
    assert_snapshot!(plan_of(script), @r"
    withheld, pool web, create 1: no offer is left: sim: no type is named, and its catalog cannot be read: down
    ");
}

#[test]
fn a_type_that_does_not_meet_the_requirements_is_left_out() {
    let script = "
        provider sim east
        type sim large 8
        offer sim/east small $0.04
        offer sim/east large $0.20
        pool web 1 vcpus=4
    ";
    assert_snapshot!(plan_of(script), @r"
    create 1 in pool web: pool `web` has 0 nodes and wants 1
        sim/east large on-demand (choice 1 of 1: $0.20/h)
    cost: nothing -> $0.20/h
    ");
}

#[test]
fn if_no_type_meets_the_requirements_it_says_what_lacks() {
    let script = "
        provider sim east
        offer sim/east small $0.04
        pool web 1 vcpus=4
    ";
    assert_snapshot!(plan_of(script), @r"
    withheld, pool web, create 1: no offer is left: sim small: 2 vCPUs, 4 wanted
    ");
}

#[test]
fn zone_and_market_are_those_of_the_candidate() {
    let script = "
        provider sim east
        offer sim/east/a small $0.04
        offer sim/east/b small $0.04
        offer sim/east/b small $0.01 spot
        pool web 1
        candidate web sim/east/b small spot
        candidate web sim/east/b small
    ";
    assert_snapshot!(plan_of(script), @r"
    create 1 in pool web: pool `web` has 0 nodes and wants 1
        sim/east/b small spot (choice 1 of 2: candidate 1, $0.01/h)
        sim/east/b small on-demand (choice 2 of 2: candidate 2, $0.04/h)
    cost: nothing -> $0.04/h
    ");
}

#[test]
fn a_candidate_that_does_not_exist_is_named() {
    let script = "
        provider sim east
        offer sim/east/a small $0.04
        pool web 1
        candidate web gone/east small
        candidate web sim/east huge
        candidate web sim/east/z small
        candidate web sim/east small spot
    ";
    assert_snapshot!(plan_of(script), @r"
    withheld, pool web, create 1: no offer is left: gone: no such provider is configured; sim huge: the provider's catalog has no such type; sim small on-demand: not sold in the wanted place and market; sim small spot: not sold in the wanted place and market
    ");
}

#[test]
fn an_offer_is_taken_once_at_its_best_place() {
    let script = "
        provider sim east west
        offer sim/east small $0.04
        offer sim/west small $0.01
        pool web 1
        candidate web sim/east small
        candidate web sim small
    ";
    assert_snapshot!(plan_of(script), @r"
    create 1 in pool web: pool `web` has 0 nodes and wants 1
        sim/east small on-demand (choice 1 of 2: candidate 1, $0.04/h)
        sim/west small on-demand (choice 2 of 2: candidate 2, $0.01/h)
    cost: nothing -> $0.04/h
    ");
}

#[test]
fn without_candidates_the_price_decides_whichever_the_provider() {
    let script = "
        provider aaa east
        provider zzz east
        offer aaa/east small $0.09
        offer zzz/east small $0.01
        pool web 1
    ";
    assert_snapshot!(plan_of(script), @r"
    create 1 in pool web: pool `web` has 0 nodes and wants 1
        zzz/east small on-demand (choice 1 of 2: $0.01/h)
        aaa/east small on-demand (choice 2 of 2: $0.09/h)
    cost: nothing -> $0.09/h
    ");
}

#[test]
fn a_limit_that_cannot_be_read_is_not_no_limit() {
    let script = "
        provider sim east
        offer sim/east small $0.04
        pool web 1 max=cheap
    ";
    assert_snapshot!(plan_of(script), @r"
    withheld, pool web, create 1: no offer is left: max_price: `cheap` is not a price per hour
    ");
}
