//! The user's own prices: they decide what is taken, and no more machines are planned at a committed
//! rate than it has left.

use std::sync::Arc;

use fleetwright_core::{PriceRule, Prices};
use insta::assert_snapshot;

use super::script::World;
use super::show::show;
use crate::offers::{Rates, taken};

/// The plan for a world in which the user knows better what some machines cost.
fn plan_with(script: &str, rules: serde_json::Value) -> String {
    let mut world = World::read(script);
    let rules: Vec<PriceRule> = serde_json::from_value(rules).unwrap();
    let prices = Arc::new(Prices::new(rules).unwrap());
    let seen = &mut world.observation;
    seen.taken = taken(&prices, &seen.records, &seen.claims);
    for (name, provider) in &mut seen.providers {
        if let Some(catalog) = &mut provider.catalog {
            let rates = Rates {
                prices: &prices,
                taken: &seen.taken,
            };
            catalog.correct(name, rates);
        }
    }
    seen.prices = prices;
    show(&world.plan())
}

#[test]
fn a_discount_makes_another_offer_the_cheapest() {
    let script = "
        provider one east
        provider two west
        offer one/east small $1.00
        offer two/west small $1.10
        pool web 2 cost
    ";
    let rules = serde_json::json!([{ "provider": "two", "discount_percent": 20 }]);
    assert_snapshot!(plan_with(script, rules), @r"
    create 2 in pool web: pool `web` has 0 nodes and wants 2
        two/west small on-demand (choice 1 of 2 by cost: $0.88/h)
        one/east small on-demand (choice 2 of 2 by cost: $1.00/h)
    cost: nothing -> $2.00/h
    ");
}

#[test]
fn a_committed_rate_is_planned_as_often_as_it_has_left_and_the_others_cost_the_list_price() {
    let script = "
        provider one east
        provider two west
        offer one/east small $1.00
        offer two/west small $0.80
        pool api 1 cost
        pool web 4 cost
        node one/east/a web ready $0.50
        claim 1 web 1 one/east
    ";
    let rules = serde_json::json!([
        { "provider": "one", "type": "small", "price": "$0.50/h", "committed": 4 },
    ]);
    assert_snapshot!(plan_with(script, rules), @r"
    resolve claim 1: 1 machine for pool `web` asked for at 1970-01-01T23:55:00Z, and the answer is not known
    create 1 in pool api: pool `api` has 0 nodes and wants 1
        one/east small on-demand (choice 1 of 2 by cost: $0.50/h)
        two/west small on-demand (choice 2 of 2 by cost: $0.80/h)
    create 1 in pool web: pool `web` has 2 nodes and wants 4; 1 of 2
        one/east small on-demand (choice 1 of 2 by cost: $0.50/h)
        two/west small on-demand (choice 2 of 2 by cost: $0.80/h)
    create 1 in pool web: pool `web` has 2 nodes and wants 4; 1 of 2
        two/west small on-demand (choice 1 of 2 by cost: $0.80/h)
        one/east small on-demand (choice 2 of 2 by cost: $1.00/h)
    cost: $0.50/h -> $3.10/h
    ");
}

#[test]
fn a_price_cap_is_held_against_the_price_that_all_of_the_step_can_have() {
    let script = "
        provider one east
        provider two west
        offer one/east small $1.00
        offer two/west small $0.20
        pool web 3 max=$0.60
        candidate web two small
        candidate web one small
    ";
    let rules = serde_json::json!([
        { "provider": "one", "price": "$0.50/h", "committed": 1 },
    ]);
    assert_snapshot!(plan_with(script, rules), @r"
    create 3 in pool web: pool `web` has 0 nodes and wants 3
        two/west small on-demand (choice 1 of 2: candidate 1, $0.20/h)
    cost: nothing -> $0.60/h
    ");
}
