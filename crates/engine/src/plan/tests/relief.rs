//! Nodes that their cloud takes away: successors at once, service without a gap.

use insta::assert_snapshot;

use super::plan_of;

/// A pool of three spot machines, one of which is taken back in two minutes.
const RECLAIMED: &str = "
    provider sim east west
    offer sim/west small $1.00/h spot
    pool web 3
    candidate web sim/west small spot
    node sim/east/n1 web ready reclaim=2m
    node sim/east/n2 web ready
    node sim/east/n3 web ready
";

/// The same behind a balancer.
const BALANCED: &str = "
    provider sim east west
    offer sim/west small $1.00/h spot
    pool web 3 balancer=lb
    candidate web sim/west small spot
    balancer sim lb
    member sim lb sim/east/n1 healthy
    member sim lb sim/east/n2 healthy
    member sim lb sim/east/n3 healthy
    node sim/east/n2 web in-service
    node sim/east/n3 web in-service
";

#[test]
fn a_node_that_is_taken_back_is_replaced_at_once_and_stays_until_then() {
    assert_snapshot!(plan_of(RECLAIMED), @r"
    create 1 in pool web: pool `web` has 2 nodes besides 1 that the cloud takes away and wants 3
        sim/west small spot (choice 1 of 1: candidate 1, $1.00/h)
    cost: nothing -> $1.00/h
    ");
    let coming = format!("{RECLAIMED} node sim/west/n4 web booting age=10s");
    assert_snapshot!(plan_of(&coming), @r"
    nothing to do
    ");
}

#[test]
fn it_goes_as_soon_as_another_serves_in_its_place() {
    let replaced = format!("{RECLAIMED} node sim/west/n4 web ready age=1m");
    assert_snapshot!(plan_of(&replaced), @r"
    delete sim/east/n1: the cloud takes it back at 1970-01-02T00:02:00Z, and others are in its place
    ");
}

#[test]
fn behind_a_balancer_it_leaves_when_the_second_half_of_its_time_begins() {
    let early = format!(
        "{BALANCED} node sim/east/n1 web in-service reclaim=61s told=59s\n node sim/west/n4 web booting age=10s"
    );
    assert_snapshot!(plan_of(&early), @r"
    nothing to do
    ");
    let late = format!(
        "{BALANCED} node sim/east/n1 web in-service reclaim=60s told=60s\n node sim/west/n4 web booting age=10s"
    );
    assert_snapshot!(plan_of(&late), @r"
    drain sim/east/n1 from lb: the cloud takes it back at 1970-01-02T00:01:00Z
    ");
}

#[test]
fn a_successor_counts_only_once_it_is_in_service() {
    let up = format!(
        "{BALANCED} node sim/east/n1 web in-service reclaim=90s told=30s\n node sim/west/n4 web ready age=30s"
    );
    assert_snapshot!(plan_of(&up), @r"
    register sim/west/n4 with lb: it is ready and not behind the balancer
    ");
    let serving =
        up.replace("n4 web ready", "n4 web in-service") + "\n member sim lb sim/west/n4 healthy";
    assert_snapshot!(plan_of(&serving), @r"
    drain sim/east/n1 from lb: the cloud takes it back at 1970-01-02T00:01:30Z, and others are in its place
    ");
}

#[test]
fn without_a_balancer_it_works_to_the_last_second_if_nobody_replaces_it() {
    let script = "
        provider sim east
        pool web 1
        candidate web sim/east small spot
        mark sim/east small spot
        node sim/east/n1 web ready reclaim=1s told=2m
    ";
    assert_snapshot!(plan_of(script), @r"
    withheld, pool web, create 1: no offer is left: sim/east small spot: taken for sold out until 1970-01-02T00:02:00Z: no capacity
    ");
}

#[test]
fn it_is_held_until_its_drain_command_has_ended_or_time_runs_out() {
    let script = "
        provider sim east west
        pool web 1 drains
        node sim/east/n1 web ready reclaim=90s told=30s login
        node sim/west/n2 web ready age=10s
    ";
    assert_snapshot!(plan_of(script), @r"
    nothing to do
    ");
    let ended = script.replace(" login", " login drained");
    assert_snapshot!(plan_of(&ended), @r"
    delete sim/east/n1: the cloud takes it back at 1970-01-02T00:01:30Z, and others are in its place
    ");
    let unreachable = script.replace(" login", "");
    assert_snapshot!(plan_of(&unreachable), @r"
    delete sim/east/n1: the cloud takes it back at 1970-01-02T00:01:30Z, and others are in its place
    ");
}

#[test]
fn advice_to_move_is_followed_only_if_the_pool_says_so_and_maintenance_is_only_told() {
    let script = |pool: &str, notice: &str| {
        format!(
            "provider sim east west\n offer sim/west small $1.00/h\n pool web 1 {pool}\n
             candidate web sim/west small\n node sim/east/n1 web ready {notice}"
        )
    };
    assert_snapshot!(plan_of(&script("", "rebalance=1h")), @"nothing to do");
    assert_snapshot!(plan_of(&script("", "maintenance=1h")), @"nothing to do");
    assert_snapshot!(plan_of(&script("rebalance", "maintenance=1h")), @"nothing to do");
    assert_snapshot!(plan_of(&script("rebalance", "rebalance=1h")), @r"
    create 1 in pool web: pool `web` has 0 nodes besides 1 that the cloud takes away and wants 1
        sim/west small on-demand (choice 1 of 1: candidate 1, $1.00/h)
    cost: nothing -> $1.00/h
    ");
}

#[test]
fn what_the_cloud_takes_is_no_matter_for_the_brake() {
    let script = "
        provider sim east west
        offer sim/west small $1.00/h
        pool web 3
        candidate web sim/west small
        brake 0
        node sim/east/n1 web booting reclaim=2m
        node sim/east/n2 web booting reclaim=2m
        node sim/east/n3 web booting reclaim=2m
    ";
    assert_snapshot!(plan_of(script), @r"
    create 3 in pool web: pool `web` has 0 nodes besides 3 that the cloud takes away and wants 3
        sim/west small on-demand (choice 1 of 1: candidate 1, $1.00/h)
    delete sim/east/n1: the cloud takes it back at 1970-01-02T00:02:00Z, and it does not serve
    delete sim/east/n2: the cloud takes it back at 1970-01-02T00:02:00Z, and it does not serve
    delete sim/east/n3: the cloud takes it back at 1970-01-02T00:02:00Z, and it does not serve
    cost: nothing -> $3.00/h
    ");
}

#[test]
fn in_the_background_only_what_is_taken_is_replaced() {
    // Short of two for another reason, and one is taken.
    let script = "
        provider sim east west
        offer sim/west small $1.00/h
        pool web 4
        pool other 9
        candidate web sim/west small
        node sim/east/n1 web ready reclaim=2m
        node sim/east/n2 web ready
        node sim/east/n9 gone-pool ready
        relieve sim/east/n1
    ";
    assert_snapshot!(plan_of(script), @r"
    create 1 in pool web: pool `web` has 1 node besides 1 that the cloud takes away and wants 4
        sim/west small on-demand (choice 1 of 1: candidate 1, $1.00/h)
    cost: nothing -> $1.00/h
    ");
    let coming = format!("{script} node sim/west/n3 web booting age=0s");
    assert_snapshot!(plan_of(&coming), @"nothing to do");
    let claimed = format!("{script} claim 7 web 1 sim/west");
    assert_snapshot!(plan_of(&claimed), @r"
    resolve claim 7: 1 machine for pool `web` asked for at 1970-01-01T23:55:00Z, and the answer is not known
    create 1 in pool web: pool `web` has 2 nodes besides 1 that the cloud takes away and wants 4
        sim/west small on-demand (choice 1 of 1: candidate 1, $1.00/h)
    cost: nothing -> $1.00/h
    ");
    let up = format!("{script} node sim/west/n3 web ready age=0s");
    assert_snapshot!(plan_of(&up), @r"
    delete sim/east/n1: the cloud takes it back at 1970-01-02T00:02:00Z, and others are in its place
    ");
}

#[test]
fn a_timer_that_cannot_be_put_into_the_user_data_makes_no_machines() {
    let script = "
        provider sim east
        offer sim/east small $1.00/h
        pool web 1 dead-man=30m user-data=#cloud-config\\nruncmd:[]
        candidate web sim/east small
    ";
    assert_snapshot!(plan_of(script), @r"
    withheld, pool web, create 1: the dead-man timer cannot be put into the `runcmd` of the user data
    ");
}
