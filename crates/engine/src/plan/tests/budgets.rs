//! Budgets: what they count, what they leave out, and how their three actions differ.

use insta::assert_snapshot;

use super::plan_of;

/// Five machines where a budget has room for three.
fn five_where_three_fit(action: &str) -> String {
    plan_of(&format!(
        "
        provider sim east
        offer sim/east small $1
        pool web 5
        budget web per-hour=$3/h action={action}
    "
    ))
}

#[test]
fn block_makes_none_of_what_does_not_fit() {
    assert_snapshot!(five_where_three_fit("block"), @r"
    withheld, pool web, create 5: 5 cost $5.00/h, and of the $3.00/h in the budget of pool `web` $3.00/h are left
    budget web, $3.00/h: $0.00 -> $0.00, $3.00 left
    blocked web, 0 of 5: 5 cost $5.00/h, and of the $3.00/h in the budget of pool `web` $3.00/h are left
        not sim/east small on-demand: 5 cost $5.00/h, and of the $3.00/h in the budget of pool `web` $3.00/h are left
    ");
}

#[test]
fn shrink_makes_as_many_as_fit() {
    assert_snapshot!(five_where_three_fit("shrink"), @r"
    create 3 in pool web: pool `web` has 0 nodes and wants 5; 3 of 5
        sim/east small on-demand (choice 1 of 1: $1.00/h)
    withheld, pool web, create 2 of 5: 5 cost $5.00/h, and of the $3.00/h in the budget of pool `web` $3.00/h are left
    cost: nothing -> $3.00/h
    budget web, $3.00/h: $0.00 -> $3.00, $0.00 left
    shrunk web, 3 of 5: 5 cost $5.00/h, and of the $3.00/h in the budget of pool `web` $3.00/h are left
    ");
}

#[test]
fn warn_makes_all_and_says_so() {
    assert_snapshot!(five_where_three_fit("warn"), @r"
    create 5 in pool web: pool `web` has 0 nodes and wants 5
        sim/east small on-demand (choice 1 of 1: $1.00/h)
    cost: nothing -> $5.00/h
    budget web, $3.00/h: $0.00 -> $5.00, $0.00 left
    warned web, 5 of 5: 5 cost $5.00/h, and of the $3.00/h in the budget of pool `web` $3.00/h are left
    ");
}

#[test]
fn what_fits_is_made_whatever_the_action() {
    for action in ["block", "shrink", "warn"] {
        let plan = plan_of(&format!(
            "
            provider sim east
            offer sim/east small $1
            pool web 3
            budget web per-hour=$3/h action={action}
        "
        ));
        assert_eq!(
            plan,
            "create 3 in pool web: pool `web` has 0 nodes and wants 3\n    \
             sim/east small on-demand (choice 1 of 1: $1.00/h)\n\
             cost: nothing -> $3.00/h\n\
             budget web, $3.00/h: $0.00 -> $3.00, $0.00 left\n"
        );
    }
}

#[test]
fn dear_offers_are_left_out_before_anything_is_blocked() {
    let script = "
        provider sim east west
        offer sim/east small $1
        offer sim/west small $4
        offer sim/west odd
        pool web 3
        budget web per-hour=$5/h action=block
    ";
    assert_snapshot!(plan_of(script), @r"
    create 3 in pool web: pool `web` has 0 nodes and wants 3
        sim/east small on-demand (choice 1 of 3: $1.00/h)
    cost: nothing -> $3.00/h
    budget web, $5.00/h: $0.00 -> $3.00, $2.00 left
    narrowed web, 3 of 3: 2 offers are left out: 3 cost $12.00/h, and of the $5.00/h in the budget of pool `web` $5.00/h are left
        not sim/west small on-demand: 3 cost $12.00/h, and of the $5.00/h in the budget of pool `web` $5.00/h are left
        not sim/west odd on-demand: its price is unknown, and the budget of pool `web` counts nothing as free
    ");
}

#[test]
fn the_dearest_offer_that_is_kept_is_what_counts() {
    let script = "
        provider sim east west
        offer sim/east small $1
        offer sim/west small $2
        pool api 2
        pool web 2
        budget * per-hour=$7/h action=block
    ";
    assert_snapshot!(plan_of(script), @r"
    create 2 in pool api: pool `api` has 0 nodes and wants 2
        sim/east small on-demand (choice 1 of 2: $1.00/h)
        sim/west small on-demand (choice 2 of 2: $2.00/h)
    create 2 in pool web: pool `web` has 0 nodes and wants 2
        sim/east small on-demand (choice 1 of 2: $1.00/h)
    cost: nothing -> $6.00/h
    budget *, $7.00/h: $0.00 -> $6.00, $1.00 left
    narrowed web, 2 of 2: 1 offer is left out: 2 cost $4.00/h, and of the $7.00/h in the budget of the fleet $3.00/h are left
        not sim/west small on-demand: 2 cost $4.00/h, and of the $7.00/h in the budget of the fleet $3.00/h are left
    ");
}

#[test]
fn pools_share_the_budget_of_the_fleet_in_the_order_of_their_names() {
    let script = "
        provider sim east
        offer sim/east small $1
        pool api 2
        pool web 3
        budget * per-hour=$4/h action=shrink
    ";
    assert_snapshot!(plan_of(script), @r"
    create 2 in pool api: pool `api` has 0 nodes and wants 2
        sim/east small on-demand (choice 1 of 1: $1.00/h)
    create 2 in pool web: pool `web` has 0 nodes and wants 3; 2 of 3
        sim/east small on-demand (choice 1 of 1: $1.00/h)
    withheld, pool web, create 1 of 3: 3 cost $3.00/h, and of the $4.00/h in the budget of the fleet $2.00/h are left
    cost: nothing -> $4.00/h
    budget *, $4.00/h: $0.00 -> $4.00, $0.00 left
    shrunk web, 2 of 3: 3 cost $3.00/h, and of the $4.00/h in the budget of the fleet $2.00/h are left
    ");
}

#[test]
fn nodes_claims_and_orphans_count_even_those_on_their_way_out() {
    let script = "
        provider sim east
        offer sim/east small $1
        pool web 8
        node sim/east/n1 web ready $1
        node sim/east/n2 web terminating $1
        claim 1 web 2 sim/east $1
        node sim/east/n3 web requested $1 claim=1
        orphan sim/east/n4 web $1
        budget web per-hour=$6/h action=shrink
    ";
    assert_snapshot!(plan_of(script), @r"
    resolve claim 1: 2 machines for pool `web` asked for at 1970-01-01T23:55:00Z, and the answer is not known
    adopt sim/east/n4 into pool web: it carries our journal's label and has no record
    delete sim/east/n2: its removal has begun: of what happened before
    create 1 in pool web: pool `web` has 4 nodes and wants 8; 1 of 4
        sim/east small on-demand (choice 1 of 1: $1.00/h)
    withheld, pool web, create 3 of 4: 4 cost $4.00/h, and of the $6.00/h in the budget of pool `web` $1.00/h are left
    budget web, $6.00/h: $5.00 -> $6.00, $0.00 left
    shrunk web, 1 of 4: 4 cost $4.00/h, and of the $6.00/h in the budget of pool `web` $1.00/h are left
    ");
}

#[test]
fn what_has_no_known_price_is_never_free() {
    let script = "
        provider sim east
        offer sim/east odd
        pool web 1
        budget web per-hour=$5/h action=shrink
    ";
    assert_snapshot!(plan_of(script), @r"
    withheld, pool web, create 1: its price is unknown, and the budget of pool `web` counts nothing as free
    budget web, $5.00/h: $0.00 -> $0.00, $5.00 left
    shrunk web, 0 of 1: its price is unknown, and the budget of pool `web` counts nothing as free
        not sim/east odd on-demand: its price is unknown, and the budget of pool `web` counts nothing as free
    ");
    let script = "
        provider sim east
        offer sim/east odd
        pool web 1
        budget web per-hour=$5/h action=warn
    ";
    assert_snapshot!(plan_of(script), @r"
    create 1 in pool web: pool `web` has 0 nodes and wants 1
        sim/east odd on-demand (choice 1 of 1: price unknown)
    budget web, $5.00/h: $0.00 -> $0.00, $5.00 left, 1 unpriced
    warned web, 1 of 1: its price is unknown, and the budget of pool `web` counts nothing as free
    ");
}

#[test]
fn a_node_without_a_price_hides_what_is_left() {
    let script = "
        provider sim east
        offer sim/east small $1
        pool web 2
        node sim/east/n1 web ready
        budget web per-hour=$5/h action=block
    ";
    assert_snapshot!(plan_of(script), @r"
    withheld, pool web, create 1: the price of 1 machine is unknown, so nobody can tell what is left of the budget of pool `web`
    budget web, $5.00/h: $0.00 -> $0.00, $5.00 left, 1 unpriced
    blocked web, 0 of 1: the price of 1 machine is unknown, so nobody can tell what is left of the budget of pool `web`
        not sim/east small on-demand: the price of 1 machine is unknown, so nobody can tell what is left of the budget of pool `web`
    ");
}

#[test]
fn currencies_are_never_converted() {
    let script = "
        provider sim east
        provider eu north
        offer eu/north small €0.01
        offer sim/east small $1
        pool web 2
        budget web per-hour=$5/h action=block
    ";
    assert_snapshot!(plan_of(script), @r"
    create 2 in pool web: pool `web` has 0 nodes and wants 2
        sim/east small on-demand (choice 1 of 2: $1.00/h)
    cost: nothing -> $2.00/h
    budget web, $5.00/h: $0.00 -> $2.00, $3.00 left
    narrowed web, 2 of 2: 1 offer is left out: €0.01/h does not compare with the budget of pool `web`
        not eu/north small on-demand: €0.01/h does not compare with the budget of pool `web`
    ");
    let script = "
        provider sim east
        provider eu north
        offer eu/north small €1
        offer sim/east small $1
        pool web 2
        budget web per-hour=$5/h+€2/h action=block
    ";
    assert_snapshot!(plan_of(script), @r"
    create 2 in pool web: pool `web` has 0 nodes and wants 2
        sim/east small on-demand (choice 1 of 2: $1.00/h)
        eu/north small on-demand (choice 2 of 2: €1.00/h)
    cost: nothing -> $2.00/h + €2.00/h
    budget web, $5.00/h: $0.00 -> $2.00, $3.00 left
    budget web, €2.00/h: €0.00 -> €2.00, €0.00 left
    ");
}

#[test]
fn machines_that_cost_nothing_always_fit() {
    let script = "
        provider sim east
        offer sim/east small $0
        pool web 2
        node sim/east/n1 web ready $9
        budget web per-hour=$5/h action=block
    ";
    assert_snapshot!(plan_of(script), @r"
    create 1 in pool web: pool `web` has 1 node and wants 2
        sim/east small on-demand (choice 1 of 1: $0.00/h)
    budget web, $5.00/h: $9.00 -> $9.00, $0.00 left
    ");
}

#[test]
fn a_budget_that_is_exceeded_removes_nothing_and_lets_nothing_be_made() {
    let script = "
        provider sim east
        offer sim/east small $1
        pool web 3
        node sim/east/n1 web ready $4
        node sim/east/n2 web ready $4
        budget web per-hour=$5/h action=shrink
    ";
    assert_snapshot!(plan_of(script), @r"
    withheld, pool web, create 1: 1 costs $1.00/h, and of the $5.00/h in the budget of pool `web` $0.00/h are left
    budget web, $5.00/h: $8.00 -> $8.00, $0.00 left
    shrunk web, 0 of 1: 1 costs $1.00/h, and of the $5.00/h in the budget of pool `web` $0.00/h are left
        not sim/east small on-demand: 1 costs $1.00/h, and of the $5.00/h in the budget of pool `web` $0.00/h are left
    ");
}

#[test]
fn a_month_counts_what_is_spent_and_what_will_be_until_its_end() {
    // 720 hours are left. Spent: 24 by the node of a day ago, 76 by others. To come: 720.
    let script = "
        provider sim east
        offer sim/east small $1
        pool web 4
        node sim/east/n1 web ready $1 age=24h
        paid web $76
        paid api $1000
        budget web per-month=$2300 action=shrink
    ";
    assert_snapshot!(plan_of(script), @r"
    create 2 in pool web: pool `web` has 1 node and wants 4; 2 of 3
        sim/east small on-demand (choice 1 of 1: $1.00/h)
    withheld, pool web, create 1 of 3: 3 cost $2160.00 until the end of the month, and of the $2300.00 a month in the budget of pool `web` $1480.00 are left
    cost: $1.00/h -> $3.00/h
    budget web, $2300.00 a month: $100.00 spent, $820.00 -> $2260.00, $40.00 left
    shrunk web, 2 of 3: 3 cost $2160.00 until the end of the month, and of the $2300.00 a month in the budget of pool `web` $1480.00 are left
    ");
}

#[test]
fn a_month_knows_when_nodes_end() {
    // With 8 hours of runtime each machine costs 8; n1 has 2 hours left.
    let script = "
        provider sim east
        offer sim/east small $1
        pool web 9 runtime=8h
        node sim/east/n1 web ready $1 age=6h left=2h
        budget web per-month=$30 action=shrink
    ";
    assert_snapshot!(plan_of(script), @r"
    create 2 in pool web: pool `web` has 1 node and wants 9; 2 of 8
        sim/east small on-demand (choice 1 of 1: $1.00/h)
    withheld, pool web, create 6 of 8: 8 cost $64.00 until the end of the month, and of the $30.00 a month in the budget of pool `web` $22.00 are left
    cost: $1.00/h -> $3.00/h
    budget web, $30.00 a month: $6.00 spent, $8.00 -> $24.00, $6.00 left
    shrunk web, 2 of 8: 8 cost $64.00 until the end of the month, and of the $30.00 a month in the budget of pool `web` $22.00 are left
    ");
}

#[test]
fn a_month_counts_time_as_the_provider_bills_it() {
    let script = "
        provider sim east
        billing sim hour
        offer sim/east small $1
        pool web 3 runtime=90m
        node sim/east/n1 web ready $1 age=30m left=15m
        budget web per-month=$3 action=shrink
    ";
    assert_snapshot!(plan_of(script), @r"
    create 1 in pool web: pool `web` has 1 node and wants 3; 1 of 2
        sim/east small on-demand (choice 1 of 1: $1.00/h)
    withheld, pool web, create 1 of 2: 2 cost $4.00 until the end of the month, and of the $3.00 a month in the budget of pool `web` $2.00 are left
    cost: $1.00/h -> $2.00/h
    budget web, $3.00 a month: $1.00 spent, $1.00 -> $3.00, $0.00 left
    shrunk web, 1 of 2: 2 cost $4.00 until the end of the month, and of the $3.00 a month in the budget of pool `web` $2.00 are left
    ");
}

#[test]
fn of_two_budgets_the_one_that_blocks_has_the_last_word() {
    let script = "
        provider sim east
        offer sim/east small $1
        pool web 5
        budget web per-hour=$4/h action=shrink
        budget * per-hour=$3/h action=block
    ";
    assert_snapshot!(plan_of(script), @r"
    withheld, pool web, create 5: 4 cost $4.00/h, and of the $3.00/h in the budget of the fleet $3.00/h are left
    budget web, $4.00/h: $0.00 -> $0.00, $4.00 left
    budget *, $3.00/h: $0.00 -> $0.00, $3.00 left
    blocked web, 0 of 5: 4 cost $4.00/h, and of the $3.00/h in the budget of the fleet $3.00/h are left
        not sim/east small on-demand: 4 cost $4.00/h, and of the $3.00/h in the budget of the fleet $3.00/h are left
    ");
    let script = "
        provider sim east
        offer sim/east small $1
        pool web 5
        budget web per-hour=$2/h action=shrink
        budget * per-hour=$3/h action=block
    ";
    assert_snapshot!(plan_of(script), @r"
    create 2 in pool web: pool `web` has 0 nodes and wants 5; 2 of 5
        sim/east small on-demand (choice 1 of 1: $1.00/h)
    withheld, pool web, create 3 of 5: 5 cost $5.00/h, and of the $2.00/h in the budget of pool `web` $2.00/h are left
    cost: nothing -> $2.00/h
    budget web, $2.00/h: $0.00 -> $2.00, $0.00 left
    budget *, $3.00/h: $0.00 -> $2.00, $1.00 left
    shrunk web, 2 of 5: 5 cost $5.00/h, and of the $2.00/h in the budget of pool `web` $2.00/h are left
    ");
}

#[test]
fn a_budget_that_cannot_be_read_is_not_no_budget() {
    for action in ["block", "shrink", "warn"] {
        let plan = plan_of(&format!(
            "
            provider sim east
            offer sim/east small $0
            pool web 1
            budget web per-hour=much action={action}
        "
        ));
        assert!(plan.starts_with("withheld, pool web, create 1: "), "{plan}");
        assert!(
            plan.contains("cannot be read: `much` is not a price per hour"),
            "{plan}"
        );
    }
}
