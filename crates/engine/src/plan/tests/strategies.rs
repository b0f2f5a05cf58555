//! Each strategy is itself: in one world no two of them make the same plan.

use std::collections::BTreeMap;

use fleetwright_core::{Action, Plan, Pool};
use insta::assert_snapshot;

use super::script::{World, strategies};
use super::show::show;

/// One world in which every strategy sees something else: the first candidate is dear and known to
/// be available in one of its zones, where nodes are already; the second was sold out lately and is
/// cheap; the third is known to be available in another cloud.
const WORLD: &str = "
    provider one east
    provider two east
    offer one/east/a small $0.05 available
    offer one/east/b small $0.04
    offer one/east/b cheap $0.01
    offer two/east/c small $0.02 available
    offer two/east/c small $0.03 spot
    spent one/east/b cheap
    pool web 7
    candidate web one/east small weight=3
    candidate web one/east cheap
    candidate web two/east small
    node one/east/n1 web ready $0.05 zone=a age=2h
    node one/east/n2 web ready $0.05 zone=a age=2h
";

const ALL: [&str; 10] = [
    "priority",
    "cost",
    "availability",
    "round-robin",
    "spread:zones",
    "spread:regions",
    "spread:zones:3,cost",
    "availability,cost",
    "availability,round-robin",
    "round-robin,availability",
];

fn plan_by(strategy: &str) -> Plan {
    let mut world = World::read(WORLD);
    world.fleet.pools.get_mut("web").unwrap().strategy = strategies(strategy);
    world.plan()
}

/// How many machines go where first, and where they fall back to: the plan without its words.
fn shape(plan: &Plan) -> Vec<(u32, Vec<String>)> {
    let steps = plan.steps.iter();
    steps
        .filter_map(|step| match &step.action {
            Action::Create { count, offers, .. } => Some((
                *count,
                offers.iter().map(fleetwright_core::Offer::label).collect(),
            )),
            _ => None,
        })
        .collect()
}

#[test]
fn no_strategy_can_be_replaced_by_another() {
    for (at, one) in ALL.iter().enumerate() {
        let mine = shape(&plan_by(one));
        let machines: u32 = mine.iter().map(|(count, _)| count).sum();
        assert_eq!(machines, 5, "{one}");
        for other in &ALL[..at] {
            assert_ne!(
                mine,
                shape(&plan_by(other)),
                "`{one}` does what `{other}` does"
            );
        }
    }
}

#[test]
fn what_each_strategy_does() {
    let told: Vec<String> = ALL
        .iter()
        .map(|strategy| format!("by {strategy}\n{}", show(&plan_by(strategy))))
        .collect();
    assert_snapshot!(told.join("\n"));
}

#[test]
fn no_way_of_mixing_markets_can_be_replaced_by_another() {
    let script = |markets: &str, spot: &str| {
        format!(
            "
            provider one east
            offer one/east small $0.05
            {spot}
            pool web 10 {markets}
            candidate web one small
            node one/east/n1 web ready
            node one/east/n2 web ready spot
            "
        )
    };
    let sold = "offer one/east small $0.02 spot";
    // Without a share the market of the candidate is taken, which is the same as a share of nothing.
    let ways = ["", "spot=50", "spot=100", "spot=100 base=4", "spot=50 wait"];
    let mut seen: BTreeMap<Vec<(u32, Vec<String>)>, &str> = BTreeMap::new();
    for way in ways {
        let plan = World::read(&script(way, sold)).plan();
        if let Some(other) = seen.insert(shape(&plan), way) {
            panic!("`{way}` does what `{other}` does");
        }
    }
    // With nobody who sells spot: one buys on demand, the other waits.
    let now = |way| show(&World::read(&script(way, "")).plan());
    assert!(
        now("spot=50").contains("in place of spot"),
        "{}",
        now("spot=50")
    );
    assert!(now("spot=50 wait").contains("withheld, pool web, create 4 spot"));
}

#[test]
fn the_least_of_several_pools_with_bounds_is_kept() {
    for (size, expected) in [("0", 2), ("9", 4), ("3", 3)] {
        let script = format!(
            "
            provider sim east
            offer sim/east small $0.04
            pool web 3 min=2 most=4
            size web {size}
            "
        );
        let plan = World::read(&script).plan();
        let machines: u32 = shape(&plan).iter().map(|(count, _)| count).sum();
        assert_eq!(machines, expected, "{size}");
    }
    assert_eq!(Pool::default().within_bounds(7), 7);
}
