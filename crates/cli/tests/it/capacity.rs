//! What processes next to each other know of sold-out places and of clouds that are down.

use std::process::Stdio;
use std::time::Duration;

use fleetwright_core::{Operation, Span};
use fleetwright_sim::{SimCapacity, SimConfig, SimFaults};
use serde_json::Value;

use crate::bed::{Bed, eventually, strings};

fn pool(desired: u32) -> String {
    format!(
        "[pools.web]\ndesired = {desired}\ncandidates = [\
         {{ provider = \"cloud\", region = \"sim-east\", type = \"sim.small\" }}, \
         {{ provider = \"cloud\", region = \"sim-west\", type = \"sim.small\" }}]\n"
    )
}

/// A cloud that has nothing in its first region.
fn short() -> SimConfig {
    SimConfig {
        latency: Span(Duration::from_millis(1)),
        boot_time: Span(Duration::from_secs(3)),
        capacity: vec![SimCapacity {
            region: Some("sim-east".into()),
            ..SimCapacity::default()
        }],
        ..SimConfig::default()
    }
}

/// How often machines were asked for in the region that has none.
fn asked(bed: &Bed, config: &SimConfig) -> usize {
    let calls = bed.world(config).calls().expect("the world can be read");
    calls
        .iter()
        .filter(|call| call.operation == Operation::Create)
        .filter(|call| call.region.as_deref() == Some("sim-east"))
        .count()
}

/// The regions of all offers in a plan.
fn offered(plan: &Value) -> Vec<String> {
    let steps = plan["steps"].as_array().expect("there are steps");
    let offers = steps
        .iter()
        .filter_map(|step| step["action"]["offers"].as_array());
    offers
        .flatten()
        .map(|offer| {
            offer["region"]
                .as_str()
                .expect("it has a region")
                .to_owned()
        })
        .collect()
}

#[test]
fn a_second_process_started_meanwhile_does_not_try_what_the_first_found_sold_out() {
    let config = short();
    let bed = Bed::sim(&config, &pool(2));
    let mut first = bed
        .command(&["up", "--yes"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program can be started");
    eventually("the first process has found machines elsewhere", || {
        bed.state().join("journal.db").is_file()
            && bed.state().join("sim/cloud.world").is_file()
            && bed
                .world(&config)
                .live_nodes()
                .is_ok_and(|nodes| nodes.len() == 2)
    });
    let text = std::fs::read_to_string(bed.path("fleetwright.toml")).expect("it can be read");
    bed.configure(&text.replace("desired = 2", "desired = 3"));
    // Its nodes are still booting.
    assert!(first.try_wait().expect("it can be asked").is_none());
    let plan = bed.json(&["plan"]);
    let offers = offered(&plan);
    assert!(!offers.is_empty(), "{plan:#}");
    assert!(
        offers.iter().all(|region| region == "sim-west"),
        "{offers:?}"
    );
    let capacity = bed.json(&["capacity"]);
    let shortage = &capacity["shortages"][0];
    assert_eq!(shortage["place"]["region"], "sim-east", "{capacity:#}");
    assert_eq!(shortage["place"]["type"], "sim.small");
    assert_eq!(shortage["lifetime_seconds"], 180);
    assert_eq!(shortage["error"]["kind"], "capacity");
    assert!(first.wait().expect("it ends").success());
    let before = asked(&bed, &config);
    bed.must(0, &["up", "--yes"]);
    assert_eq!(
        asked(&bed, &config),
        before,
        "the mark holds for the next process"
    );
    assert_eq!(bed.names().len(), 3);

    // Until somebody knows better.
    let shown = bed.must(0, &["capacity"]);
    assert!(shown.stdout.contains("sim-east"), "{}", shown.stdout);
    assert!(shown.stdout.contains("3m, a guess"), "{}", shown.stdout);
    let wrong = bed.must(4, &["capacity", "--clear", "pool=web"]);
    assert!(
        wrong.stderr.contains("provider, region, zone"),
        "{}",
        wrong.stderr
    );
    assert_eq!(
        bed.json(&["capacity", "--clear", "region=sim-west"])["cleared"],
        0
    );
    let cleared = bed.must(0, &["capacity", "--clear"]);
    assert!(cleared.stderr.contains("forgotten"), "{}", cleared.stderr);
    let none = bed.must(0, &["capacity"]);
    assert!(
        none.stderr.contains("nothing is taken for sold out"),
        "{}",
        none.stderr
    );
    bed.configure(&text.replace("desired = 2", "desired = 4"));
    bed.must(0, &["up", "--yes"]);
    assert!(asked(&bed, &config) > before, "it is asked again");
}

#[test]
fn a_new_process_does_not_ask_a_cloud_that_others_found_down() {
    let config = SimConfig {
        latency: Span(Duration::from_millis(1)),
        faults: SimFaults {
            refused: 1000,
            ..SimFaults::default()
        },
        ..SimConfig::default()
    };
    let bed = Bed::sim(&config, &pool(1));
    let calls = || bed.world(&config).calls().expect("it can be read").len();
    // Five tries to list, then the catalog: the eighth failure opens the breaker.
    bed.run(&["status"]);
    let before = calls();
    let providers = bed.json(&["providers"]);
    let breaker = &providers["providers"][0]["breakers"][0];
    assert_eq!(breaker["open"], true, "{providers:#}");
    assert_eq!(breaker["failures"], 8);
    let status = bed.run(&["status"]);
    assert!(
        status.stderr.contains("cloud/* is not asked until"),
        "{}",
        status.stderr
    );
    assert_eq!(calls(), before, "it is left in peace");
    let rates = bed.json(&["capacity", "--rates"]);
    assert_eq!(
        strings(&rates["rates"], "family"),
        Vec::<String>::new(),
        "it has no limits"
    );
}
