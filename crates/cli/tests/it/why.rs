//! `why` and `why-not`: what was decided and on what grounds, word by word.

use std::time::Duration;

use fleetwright_core::{Market, Span};
use fleetwright_sim::{SimCapacity, SimConfig, SimRegion};
use insta::assert_snapshot;

use crate::bed::Bed;

/// A cloud of two regions; there are no small machines in the east.
fn scarce() -> SimConfig {
    let none = Span(Duration::ZERO);
    SimConfig {
        latency: none,
        boot_time: none,
        script_time: none,
        delete_time: none,
        regions: vec![
            SimRegion::new("sim-east", &["sim-east-a"]),
            SimRegion::new("sim-west", &["sim-west-a"]),
        ],
        capacity: vec![SimCapacity {
            region: Some("sim-east".into()),
            ..SimCapacity::default()
        }],
        ..SimConfig::default()
    }
}

/// Wants two of them, in the east if possible.
const POOL: &str = "[pools.web]\ndesired = 2\nmax = 5\nmax_price = \"$1.00/h\"\ncandidates = [\n\
    { provider = \"cloud\", region = \"sim-east\", type = \"sim.small\" },\n\
    { provider = \"cloud\", region = \"sim-west\", type = \"sim.small\" },\n\
    { provider = \"cloud\", region = \"sim-west\", type = \"sim.h100x8\" },\n]\n";

/// A text without what differs from run to run.
fn steady(text: &str) -> String {
    let mut shown = String::new();
    for line in text.lines() {
        let words: Vec<String> = line
            .split(' ')
            .map(|word| {
                let end = word.trim_end_matches([':', ',', ';']);
                let tail = &word[end.len()..];
                let is_time = end.len() >= 20 && end.starts_with("20") && end.ends_with('Z');
                let digits = end.strip_prefix("test-web-");
                match digits {
                    _ if is_time => format!("TIME{tail}"),
                    Some(rest) if rest.len() >= 8 => format!("NODE{tail}"),
                    _ => word.to_owned(),
                }
            })
            .collect();
        shown.push_str(&words.join(" "));
        shown.push('\n');
    }
    shown
}

#[test]
fn a_node_tells_why_it_is_there_and_what_was_tried_before() {
    let bed = Bed::sim(&scarce(), POOL);
    bed.must(0, &["up", "--yes"]);
    let name = bed.names().remove(0);
    let why = bed.must(0, &["why", &name]);
    assert_snapshot!(steady(&why.stdout), @r"
    NODE is ready: cloud/sim-west/sim-west-a sim.small on-demand, $0.0416/h

    why it exists
      decided at TIME: 2 missing, because pool `web` has 0 nodes and wants 2
      wanted: 2 (2 configured, at most 5)
      there were: 0 ready, 0 starting, 0 failed, 0 leaving, 0 asked for

    why there
      cloud/sim-west/sim-west-a sim.small on-demand: choice 2 of 2: candidate 2, $0.0416/h
      1. cloud/sim-east/sim-east-a sim.small on-demand, $0.0416/h: refused: not enough `sim.small` capacity in `sim-east-a`
      2. cloud/sim-west/sim-west-a sim.small on-demand, $0.0416/h: gave 2 nodes
      strategy: priority
      most that a node may cost: $1.00/h
      1 offer left out: `fleetwright why-not web` lists them

    why at this price
      $0.0416/h was the price of the offer at TIME, and is kept for this node

    what was tried before it
      TIME cloud/sim-east/sim-east-a sim.small on-demand for 2: refused: not enough `sim.small` capacity in `sim-east-a`

    why it is ready
      TIME requested: asked for as cloud/sim-west/sim-west-a sim.small on-demand
      TIME ready: its boot script succeeded

    how long it stays
      until it is removed: its pool sets no limit
    ");
    // The journal is enough: the cloud is not even configured any more.
    bed.configure("fleet = \"test\"\n[providers.here]\nkind = \"local\"\n");
    let offline = bed.must(0, &["why", &name]);
    for line in ["what was tried before it", "why it exists", "  decided at "] {
        assert!(offline.stdout.contains(line), "{}", offline.stdout);
    }
}

#[test]
fn a_pool_tells_why_it_has_its_size_and_who_is_missing() {
    let bed = Bed::sim(&scarce(), POOL);
    bed.must(0, &["up", "--yes"]);
    let why = bed.must(0, &["why", "web"]);
    assert_snapshot!(steady(&why.stdout), @r"
    pool `web` wants 2: 2 ready, 0 starting, 0 failed, 0 leaving, 0 asked for

    why this size
      2 in the configuration
      5 at most

    what was decided when machines were last asked for
      decided at TIME: 2 missing, because pool `web` has 0 nodes and wants 2
      wanted: 2 (2 configured, at most 5)
      there were: 0 ready, 0 starting, 0 failed, 0 leaving, 0 asked for
      1. cloud/sim-east/sim-east-a sim.small on-demand, $0.0416/h: refused: not enough `sim.small` capacity in `sim-east-a`
      2. cloud/sim-west/sim-west-a sim.small on-demand, $0.0416/h: gave 2 nodes
      strategy: priority
      most that a node may cost: $1.00/h
      1 offer left out: `fleetwright why-not web` lists them
    ");

    let cheap = POOL.replace("$1.00/h", "$0.0001/h");
    let bed = Bed::sim(&scarce(), &cheap);
    bed.must(20, &["up", "--yes"]);
    let why = bed.must(0, &["why", "web"]);
    assert_snapshot!(steady(&why.stdout), @r"
    pool `web` wants 2: 0 ready, 0 starting, 0 failed, 0 leaving, 0 asked for

    why this size
      2 in the configuration
      5 at most

    why it is short
      2 nodes missing

    what was withheld when it was last planned
      TIME pool web, create 2: no offer is left: cloud/sim-east/sim-east-a sim.small on-demand: $0.0416/h is above the limit $0.0001/h; cloud/sim-west/sim-west-a sim.small on-demand: $0.0416/h is above the limit $0.0001/h; cloud/sim-west/sim-west-a sim.h100x8 on-demand: $55.04/h is above the limit $0.0001/h

    what was decided when machines were last asked for
      decided at TIME: 2 missing, because pool `web` wants more than it has; nothing was left to be asked for
      wanted: 2 (2 configured, at most 5)
      there were: 0 ready, 0 starting, 0 failed, 0 leaving, 0 asked for
      strategy: priority
      most that a node may cost: $0.0001/h
      3 offers left out: `fleetwright why-not web` lists them
    ");
}

#[test]
fn an_offer_tells_why_it_was_not_taken_and_whether_it_would_be_now() {
    let bed = Bed::sim(&scarce(), POOL);
    let before = bed.must(0, &["why-not", "web", "sim-east"]);
    assert_snapshot!(steady(&before.stdout), @r"
    why pool `web` has no `sim-east`

    decided so far
      nothing: this pool has asked for no machine yet

    would be decided now for 2 machines, by priority
      1. cloud/sim-east/sim-east-a sim.small on-demand, $0.0416/h: it would be asked for first (choice 1 of 2: candidate 1, $0.0416/h)
    ");
    bed.must(0, &["up", "--yes"]);
    let all = bed.must(0, &["why-not", "web", "--recorded"]);
    assert_snapshot!(steady(&all.stdout), @r"
    what was considered for pool `web`

    decided at TIME for 2 machines, by priority
      1. cloud/sim-east/sim-east-a sim.small on-demand, $0.0416/h: refused: not enough `sim.small` capacity in `sim-east-a` (choice 1 of 2: candidate 1, $0.0416/h)
      2. cloud/sim-west/sim-west-a sim.small on-demand, $0.0416/h: gave 2 nodes (choice 2 of 2: candidate 2, $0.0416/h)
      -  cloud/sim-west/sim-west-a sim.h100x8 on-demand: $55.04/h is above the limit $1.00/h
    ");
    let east = bed.must(0, &["why-not", "web", "sim-east"]);
    assert_snapshot!(steady(&east.stdout), @r"
    why pool `web` has no `sim-east`

    decided at TIME for 2 machines, by priority
      1. cloud/sim-east/sim-east-a sim.small on-demand, $0.0416/h: refused: not enough `sim.small` capacity in `sim-east-a` (choice 1 of 2: candidate 1, $0.0416/h)

    would be decided now for 1 machine, by priority
      -  cloud/sim-east/sim-east-a sim.small on-demand: taken for sold out until TIME: not enough `sim.small` capacity in `sim-east-a`
    ");
    let part = bed.must(0, &["why-not", "web", "H100"]);
    assert_snapshot!(steady(&part.stdout), @r"
    why pool `web` has no `H100`

    decided at TIME for 2 machines, by priority
      -  cloud/sim-west/sim-west-a sim.h100x8 on-demand: $55.04/h is above the limit $1.00/h

    would be decided now for 1 machine, by priority
      -  cloud/sim-west/sim-west-a sim.h100x8 on-demand: $55.04/h is above the limit $1.00/h
    ");
    let elsewhere = bed.must(0, &["why-not", "web", "sim.large"]);
    assert_snapshot!(steady(&elsewhere.stdout), @r"
    why pool `web` has no `sim.large`

    decided at TIME for 2 machines, by priority
      nothing of that name was considered

    would be decided now for 1 machine, by priority
      -  cloud sim.large: no candidate of the pool stands for it
    ");
    let json = bed.json(&["why-not", "web", "sim-east"]);
    assert_eq!(json["recorded"]["verdicts"][0]["rank"], 1);
    assert!(json["now"]["verdicts"][0].get("rank").is_none(), "{json}");
}

#[test]
fn names_that_do_not_exist_get_a_suggestion() {
    let bed = Bed::sim(&scarce(), POOL);
    bed.must(0, &["up", "--yes"]);
    for (arguments, words) in [
        (&["why", "wbe"][..], "did you mean `web`?"),
        (
            &["why", "nothing-like-it"],
            "`fleetwright nodes` lists the nodes",
        ),
        (&["why-not", "wbe"], "did you mean `web`?"),
        (
            &["why-not", "web", "sim.smal1"],
            "did you mean `sim.small`?",
        ),
        (
            &["why-not", "web", "mars"],
            "`fleetwright why-not web` lists everything",
        ),
    ] {
        let ran = bed.must(7, arguments);
        assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn a_machine_that_is_taken_back_tells_so() {
    let config = SimConfig {
        capacity: Vec::new(),
        ..scarce()
    };
    let pool = POOL.replace(
        "type = \"sim.small\"",
        "type = \"sim.small\", market = \"spot\"",
    );
    let bed = Bed::sim(&config, &pool);
    bed.must(0, &["up", "--yes"]);
    let world = bed.world(&config);
    let taken = world.live_nodes().expect("it can be read").remove(0);
    assert_eq!(taken.market, Market::Spot);
    world
        .reclaim(&taken.id, Duration::from_mins(10))
        .expect("there is such a machine");
    // Or the process in the background is faster: it comes to the same.
    bed.must(0, &["up", "--yes"]);
    let why = bed.must(0, &["why", &taken.name]);
    for words in ["why it is gone", "announced: the cloud takes it back at"] {
        assert!(why.stdout.contains(words), "{}", why.stdout);
    }
    assert_eq!(bed.names().len(), 2);
    bed.must(0, &["down", "--yes"]);
}
