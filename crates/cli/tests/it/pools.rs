//! Pools with strategies, over several processes: turns, mixed markets, and what was tried.

use std::time::Duration;

use fleetwright_core::{Market, Span};
use fleetwright_sim::{SimCapacity, SimConfig};

use crate::bed::Bed;

fn cloud() -> SimConfig {
    SimConfig {
        latency: Span(Duration::from_millis(1)),
        boot_time: Span(Duration::from_millis(10)),
        script_time: Span(Duration::ZERO),
        delete_time: Span(Duration::from_millis(10)),
        ..SimConfig::default()
    }
}

fn sold_out(region: &str, count: u32) -> SimCapacity {
    SimCapacity {
        region: Some(region.into()),
        count,
        ..SimCapacity::default()
    }
}

/// A pool with a candidate in each region.
fn pool(desired: u32, more: &str) -> String {
    format!(
        "[pools.web]\ndesired = {desired}\n{more}\n\
         [[pools.web.candidates]]\nprovider = \"cloud\"\nregion = \"sim-east\"\n\
         type = \"sim.small\"\nweight = 2\n\
         [[pools.web.candidates]]\nprovider = \"cloud\"\nregion = \"sim-west\"\n\
         type = \"sim.small\"\n"
    )
}

/// How many nodes the cloud has in each region.
fn live(bed: &Bed) -> (usize, usize) {
    let live = bed.world(&cloud()).live_nodes().expect("it can be read");
    let count = |region: &str| {
        live.iter()
            .filter(|node| node.id.region() == region)
            .count()
    };
    (count("sim-east"), count("sim-west"))
}

#[test]
fn candidates_take_turns_over_several_processes() {
    let bed = Bed::sim(&cloud(), &pool(0, ""));
    // Two of three are the first candidate's, and never two of the second's in a row.
    for (desired, expected) in [
        (1, (1, 0)),
        (2, (1, 1)),
        (3, (2, 1)),
        (4, (3, 1)),
        (6, (4, 2)),
    ] {
        let grown = Bed::sim(&cloud(), &pool(desired, "strategy = \"round-robin\""));
        std::fs::copy(grown.path("fleetwright.toml"), bed.path("fleetwright.toml"))
            .expect("it is writable");
        bed.must(0, &["up", "--yes", "--timeout", "30s"]);
        assert_eq!(live(&bed), expected, "{desired}");
    }
    // By priority all of them had gone to the first.
    let plain = Bed::sim(&cloud(), &pool(6, "strategy = \"priority\""));
    plain.must(0, &["up", "--yes", "--timeout", "30s"]);
    assert_eq!(live(&plain), (6, 0));
}

#[test]
fn a_pool_is_spread_and_stays_spread_when_it_grows() {
    let spread = "strategy = { spread = \"regions\" }";
    let bed = Bed::sim(&cloud(), &pool(4, spread));
    bed.must(0, &["up", "--yes", "--timeout", "30s"]);
    assert_eq!(live(&bed), (2, 2));
    let grown = Bed::sim(&cloud(), &pool(6, spread));
    std::fs::copy(grown.path("fleetwright.toml"), bed.path("fleetwright.toml"))
        .expect("it is writable");
    let plan = bed.json(&["plan"]);
    let steps = plan["steps"].as_array().expect("a list");
    assert_eq!(steps.len(), 2, "a step for each region: {plan:#}");
    bed.must(0, &["up", "--yes", "--timeout", "30s"]);
    assert_eq!(live(&bed), (3, 3));
    bed.must(0, &["up", "--yes"]);
    assert_eq!(live(&bed), (3, 3), "a second run changes nothing");
}

#[test]
fn markets_are_mixed_and_a_sold_out_spot_market_is_said_to_be() {
    let markets = "markets = { on_demand_base = 1, spot_percent = 50 }";
    let bed = Bed::sim(&cloud(), &pool(5, markets));
    bed.must(0, &["up", "--yes", "--timeout", "30s"]);
    let spot = |bed: &Bed| {
        let live = bed.world(&cloud()).live_nodes().expect("it can be read");
        live.iter()
            .filter(|node| node.market == Market::Spot)
            .count()
    };
    assert_eq!(spot(&bed), 2);

    let none = SimConfig {
        capacity: vec![SimCapacity {
            market: Some(Market::Spot),
            ..SimCapacity::default()
        }],
        ..cloud()
    };
    let waits = "markets = { spot_percent = 50, spot_sold_out = \"wait\" }";
    let bed = Bed::sim(&none, &pool(4, waits));
    let up = bed.must(20, &["up", "--yes", "--timeout", "5s"]);
    assert_eq!((spot(&bed), live(&bed)), (0, (2, 0)), "{}", up.stderr);
    assert!(up.stderr.contains("create 2 spot"), "{}", up.stderr);
    let buys = "markets = { spot_percent = 50, spot_sold_out = \"on-demand\" }";
    let bed = Bed::sim(&none, &pool(4, buys));
    bed.must(0, &["up", "--yes", "--timeout", "5s"]);
    assert_eq!((spot(&bed), live(&bed)), (0, (4, 0)));
}

#[test]
fn a_total_failure_lists_every_attempt_in_text_and_json() {
    let scarce = SimConfig {
        capacity: vec![sold_out("sim-east", 1), sold_out("sim-west", 0)],
        ..cloud()
    };
    let bed = Bed::sim(&scarce, &pool(3, ""));
    let up = bed.must(20, &["up", "--yes", "--timeout", "5s"]);
    assert_eq!(live(&bed), (1, 0));
    assert!(
        up.stderr
            .contains("2 of 3 machines of pool `web` cannot be had"),
        "{}",
        up.stderr
    );
    for line in ["1 of 3 made: ", "none of 2 made: "] {
        let told = up.stderr.lines().filter(|told| told.contains(line)).count();
        assert!(told >= 1, "{line}: {}", up.stderr);
    }

    let bed = Bed::sim(&scarce, &pool(3, ""));
    let up = bed.must(20, &["up", "--yes", "--timeout", "5s", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&up.stdout).expect("stdout is JSON");
    let attempts = told["attempts"][0]["attempts"].as_array().expect("a list");
    assert!(attempts.len() >= 2, "{told:#}");
    let first = &attempts[0];
    assert_eq!(
        (first["asked"].as_u64(), first["made"].as_u64()),
        (Some(3), Some(1))
    );
    for attempt in attempts {
        assert!(
            attempt["offer"]
                .as_str()
                .is_some_and(|offer| offer.starts_with("cloud/sim-"))
        );
        assert_eq!(attempt["error"]["kind"], "capacity", "{attempt:#}");
    }
}

#[test]
fn a_wrong_strategy_is_shown_with_its_place_and_the_known_ones() {
    let bed = Bed::sim(
        &cloud(),
        &pool(1, "strategy = [\"availability\", \"cheap\"]"),
    );
    let ran = bed.must(3, &["validate"]);
    for part in [
        "`cheap` is not a value of `pools.web.strategy[1]`",
        "fleetwright.toml:",
        "`priority`, `cost`, `availability`, `round-robin`, `spread`",
    ] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
}
