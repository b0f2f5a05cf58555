//! The exercise that others fail: killed once half of the nodes exist, and run again.

use std::process::Stdio;
use std::time::Duration;

use fleetwright_aws_fake::{Fake, FakeConfig};

use super::{alive, configuration, credentials, pool};
use crate::bed::{Bed, pause};

/// Machines per create call are many, so the half is reached inside one call or between two.
fn exercise(wanted: u32) {
    let fake = Fake::start(FakeConfig {
        listing_lag: Duration::from_millis(100),
        latency: Duration::from_millis(10),
        checks: false,
        ..FakeConfig::default()
    })
    .expect("a port of this machine is free");
    let half = wanted / 2;
    // Two pools, so that there is an instant at which one half exists and the other does not.
    let pools = [
        pool("first", "us-east-1", half, "{}"),
        pool("second", "us-east-1", wanted - half, "{}"),
    ]
    .concat();
    let bed = credentials(Bed::new(&configuration(&fake.endpoint(), &pools)));
    let mut up = bed
        .command(&["up", "--yes", "--quiet"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program can be started");
    let enough = usize::try_from(half).expect("it is small");
    for _ in 0..20_000 {
        if fake.instances().len() >= enough {
            break;
        }
        pause(Duration::from_micros(500));
    }
    up.kill().expect("the child can be killed");
    up.wait().expect("the child ends");
    assert!(fake.instances().len() >= enough, "it was killed too early");

    bed.must(0, &["up", "--yes", "--timeout", "120s"]);
    let have = alive(&fake, "first").len() + alive(&fake, "second").len();
    assert_eq!(have, usize::try_from(wanted).expect("it is small"));
    assert_eq!(
        fake.instances().len(),
        have,
        "there are machines of no pool"
    );
    let ever = fake.all_instances().len();
    assert_eq!(ever, have, "more machines were started than were wanted");
    bed.must(0, &["audit"]);
    bed.must(0, &["down", "--yes", "--timeout", "120s"]);
    assert!(fake.instances().is_empty());
}

#[test]
fn ten_nodes_killed_at_the_half_are_ten_after_the_next_run() {
    exercise(10);
}

#[test]
fn a_hundred_nodes_killed_at_the_half_are_a_hundred_after_the_next_run() {
    exercise(100);
}

#[test]
fn a_thousand_nodes_killed_at_the_half_are_a_thousand_after_the_next_run() {
    exercise(1_000);
}
