//! A region that cannot be listed: nothing is touched there, and every command says why.

use fleetwright_core::Span;
use fleetwright_sim::SimConfig;
use std::time::Duration;

use crate::bed::Bed;

fn cloud(broken: &[&str]) -> SimConfig {
    SimConfig {
        latency: Span(Duration::from_millis(1)),
        boot_time: Span(Duration::from_millis(20)),
        script_time: Span(Duration::ZERO),
        delete_time: Span(Duration::from_millis(20)),
        broken_listings: broken.iter().map(|&region| region.to_owned()).collect(),
        ..SimConfig::default()
    }
}

fn pools(east: u32, west: u32) -> String {
    format!(
        "[pools.east]\ndesired = {east}\n\
         candidates = [{{ provider = \"cloud\", region = \"sim-east\", type = \"sim.small\" }}]\n\
         [pools.west]\ndesired = {west}\n\
         candidates = [{{ provider = \"cloud\", region = \"sim-west\", type = \"sim.small\" }}]\n"
    )
}

/// How many nodes the cloud itself has in each region.
fn live(bed: &Bed) -> (usize, usize) {
    let live = bed
        .world(&cloud(&[]))
        .live_nodes()
        .expect("the world can be read");
    let count = |region: &str| {
        live.iter()
            .filter(|node| node.id.region() == region)
            .count()
    };
    (count("sim-east"), count("sim-west"))
}

#[test]
fn a_region_that_cannot_be_listed_is_not_touched() {
    let bed = Bed::sim(&cloud(&[]), &pools(2, 2));
    bed.must(0, &["up", "--yes", "--timeout", "30s"]);
    assert_eq!(live(&bed), (2, 2));

    // From here on the west is dark. Both pools are to grow.
    let broken = Bed::sim(&cloud(&["sim-west"]), &pools(3, 3));
    std::fs::copy(
        broken.path("fleetwright.toml"),
        bed.path("fleetwright.toml"),
    )
    .expect("it is writable");

    let plan = bed.must(0, &["plan"]);
    assert!(plan.stderr.contains("withheld"), "{}", plan.stderr);
    assert!(plan.stderr.contains("sim-west"), "{}", plan.stderr);

    let audit = bed.must(21, &["audit"]);
    assert!(audit.stdout.contains("not seen"), "{}", audit.stdout);
    assert!(audit.stdout.contains("sim-west"), "{}", audit.stdout);
    assert!(!audit.stdout.contains("ghost"), "{}", audit.stdout);

    let up = bed.must(20, &["up", "--yes", "--timeout", "2s"]);
    assert!(up.stderr.contains("withheld"), "{}", up.stderr);
    assert!(up.stderr.contains("sim-west"), "{}", up.stderr);
    assert_eq!(live(&bed), (3, 2), "{}", up.stderr);

    let status = bed.must(20, &["status"]);
    assert!(status.stderr.contains("not seen"), "{}", status.stderr);

    let down = bed.must(20, &["down", "--yes", "--timeout", "2s"]);
    assert!(down.stderr.contains("withheld"), "{}", down.stderr);
    assert_eq!(live(&bed), (0, 2), "{}", down.stderr);
    assert_eq!(
        bed.names().len(),
        2,
        "the journal forgot nodes it cannot see"
    );

    // Light again: the rest goes too.
    let mended = Bed::sim(&cloud(&[]), &pools(3, 3));
    std::fs::copy(
        mended.path("fleetwright.toml"),
        bed.path("fleetwright.toml"),
    )
    .expect("it is writable");
    bed.must(0, &["down", "--yes", "--timeout", "30s"]);
    assert_eq!(live(&bed), (0, 0));
}
