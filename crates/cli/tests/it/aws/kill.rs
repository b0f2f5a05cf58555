//! The promise, on AWS: killed at any instant, each way of making machines leaves no orphan and no
//! duplicate.

use std::process::Stdio;
use std::time::Duration;

use fleetwright_aws_fake::{Failure, Fake, FakeConfig, How};

use super::{alive, configuration, credentials, pool};
use crate::bed::{Bed, pause};
use crate::kill::{Dice, Tally, run_rounds, start_and_kill};

/// Rounds for each way.
const ROUNDS: usize = 200;
/// Rounds at the same time: most of a round is waiting for answers.
const WORKERS: usize = 8;

/// A way, and the action that makes machines.
struct Way {
    name: &'static str,
    options: &'static str,
    action: &'static str,
}

/// Starts the program and kills it so long after the cloud has got the next create call. Says
/// whether it was killed; a run that has nothing to create ends by itself.
fn kill_at_create(
    bed: &Bed,
    fake: &Fake,
    action: &str,
    arguments: &[&str],
    after: Duration,
) -> bool {
    let creates = || {
        let calls = fake.calls();
        calls.iter().filter(|call| call.action == action).count()
    };
    let before = creates();
    let mut child = bed
        .command(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program can be started");
    let mut ended = false;
    for _ in 0..20_000 {
        ended = child.try_wait().expect("the child can be asked").is_some();
        if ended || creates() > before {
            break;
        }
        pause(Duration::from_millis(1));
    }
    if !ended {
        pause(after);
    }
    let running = child.try_wait().expect("the child can be asked").is_none();
    child.kill().expect("the child can be killed");
    child.wait().expect("the child ends");
    running
}

fn round(way: &Way, seed: u64, tally: &Tally) {
    let mut dice = Dice(seed);
    let fake = Fake::start(FakeConfig {
        listing_lag: Duration::from_millis(if dice.roll(2) == 0 { 0 } else { 100 }),
        latency: Duration::from_millis(12),
        boot_time: Duration::from_millis(40),
        async_delay: Duration::from_millis(30),
        checks: false,
        ..FakeConfig::default()
    })
    .expect("a port of this machine is free");
    let pools = [
        pool("web", "us-east-1", 5, way.options),
        pool("batch", "eu-west-1", 3, way.options),
    ]
    .concat();
    let bed = credentials(Bed::new(&configuration(&fake.endpoint(), &pools)));
    if dice.roll(2) == 0 {
        // One answer is lost, with or without its effect.
        let how = if dice.roll(3) == 0 {
            How::CloseBefore
        } else {
            How::CloseAfter
        };
        fake.fail(Failure {
            skip: u32::try_from(dice.roll(2)).expect("it is below 2"),
            ..Failure::once(way.action, how)
        });
    }
    for _ in 0..=dice.roll(2) {
        let arguments: &[&str] = match dice.roll(6) {
            0 => &["down", "--yes", "--quiet"],
            _ => &["up", "--yes", "--quiet"],
        };
        // Half of the kills strike near a create call, where it hurts; the others anywhere.
        let killed = if dice.roll(2) == 0 {
            let after = Duration::from_micros(dice.roll(60_000));
            kill_at_create(&bed, &fake, way.action, arguments, after)
        } else {
            start_and_kill(&bed, arguments, Duration::from_micros(dice.roll(900_000)))
        };
        tally.count(killed);
    }
    tally.count_open_claims(&bed);

    let up = bed.run(&["up", "--yes", "--timeout", "60s"]);
    let context = format!("seed {seed}, {}\n{}", way.name, up.stderr);
    assert_eq!(
        up.status,
        Some(0),
        "the last `up` did not succeed: {context}"
    );
    let have = (alive(&fake, "web").len(), alive(&fake, "batch").len());
    assert_eq!(have, (5, 3), "not exactly the wanted nodes: {context}");
    assert_eq!(fake.instances().len(), 8, "nodes of no pool: {context}");
    let audit = bed.run(&["audit"]);
    assert_eq!(
        audit.status,
        Some(0),
        "{}{}\n{context}",
        audit.stdout,
        audit.stderr
    );

    let down = bed.run(&["down", "--yes", "--timeout", "60s"]);
    assert_eq!(down.status, Some(0), "{context}\n{}", down.stderr);
    let left = fake.instances();
    assert!(
        left.is_empty(),
        "left over: {left:?}\n{context}\n{}",
        down.stderr
    );
    let leftovers = fake.leftovers();
    assert!(
        leftovers.is_empty(),
        "left over: {leftovers:?}\n{context}\n{}",
        down.stderr
    );
}

fn rounds(way: &Way) {
    let name = format!("kill test on aws, {}", way.name);
    run_rounds(&name, ROUNDS, WORKERS, |seed, tally| {
        round(way, seed, tally);
    });
}

#[test]
fn a_kill_at_any_instant_leaves_no_orphan_and_no_duplicate_of_run_instances() {
    rounds(&Way {
        name: "run",
        options: "{}",
        action: "RunInstances",
    });
}

#[test]
fn a_kill_at_any_instant_leaves_no_orphan_and_no_duplicate_of_a_fleet() {
    rounds(&Way {
        name: "fleet",
        options: "{ launch = \"fleet\" }",
        action: "CreateFleet",
    });
}

#[test]
fn a_kill_at_any_instant_leaves_no_orphan_and_no_duplicate_of_a_spot_fleet() {
    rounds(&Way {
        name: "spot-fleet",
        options: "{ launch = \"spot-fleet\", fleet_type = \"maintain\" }",
        action: "RequestSpotFleet",
    });
}

#[test]
fn a_kill_at_any_instant_leaves_no_orphan_and_no_duplicate_of_a_group() {
    rounds(&Way {
        name: "group",
        options: "{ launch = \"group\" }",
        action: "CreateAutoScalingGroup",
    });
}
