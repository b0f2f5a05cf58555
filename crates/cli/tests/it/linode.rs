//! The promise on a cloud that takes no token: killed at any instant, a command leaves no orphan
//! and no duplicate on Linode, against the provider's own fake.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use fleetwright_engine::SystemClock;
use fleetwright_linode::fake::{Fake, FakeConfig};
use fleetwright_rest::testing::{Fault, Trouble};

use crate::bed::{Bed, FLEET, pause};
use crate::kill::{Dice, Tally, run_rounds, start_and_kill};

const ROUNDS: usize = 50;
/// Rounds at the same time: most of a round is waiting for answers.
const WORKERS: usize = 8;
/// How long the fake does not show what is new.
const LAG: Duration = Duration::from_millis(100);

fn bed(fake: &Fake) -> Bed {
    let pool = |name: &str, region: &str, desired: u32| {
        format!(
            "[pools.{name}]\ndesired = {desired}\n\
             candidates = [{{ provider = \"cloud\", region = \"{region}\", type = \"g6-nanode-1\" }}]\n"
        )
    };
    let text = format!(
        "fleet = \"{FLEET}\"\n[safety]\nage_floor = \"1s\"\n\
         [providers.cloud]\nkind = \"linode\"\nregions = [\"us-east\", \"eu-west\"]\n\
         endpoint = \"{}\"\nssh = false\nlisting_lag = \"150ms\"\n{}{}",
        fake.endpoint(),
        pool("web", "us-east", 5),
        pool("batch", "eu-west", 3),
    );
    Bed::new(&text).with("LINODE_TOKEN", &FakeConfig::default().token)
}

/// How many machines a pool has that are not on their way out.
fn alive(fake: &Fake, pool: &str) -> usize {
    let of_pool = |labels: fleetwright_core::Labels| {
        labels
            .get("fleetwright-pool")
            .is_some_and(|name| name == pool)
    };
    fake.machines()
        .iter()
        .filter(|machine| !machine.is_leaving && of_pool(Fake::labels(machine)))
        .count()
}

/// Starts the program and kills it so long after the cloud has got the next create call. Says
/// whether it was killed; a run that has nothing to create ends by itself.
fn kill_at_create(bed: &Bed, fake: &Fake, arguments: &[&str], after: Duration) -> bool {
    let creates = || fake.server().count("POST", "/v4beta/linode/instances");
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

fn round(seed: u64, tally: &Tally) {
    let mut dice = Dice(seed);
    let config = FakeConfig {
        listing_lag: if dice.roll(2) == 0 {
            Duration::ZERO
        } else {
            LAG
        },
        boot: Duration::from_millis(40),
        removal: Duration::from_millis(40),
        ..FakeConfig::default()
    };
    let fake = Fake::start(config, Arc::new(SystemClock), None);
    let bed = bed(&fake);
    if dice.roll(2) == 0 {
        // One answer is lost, with or without its effect.
        let trouble = if dice.roll(3) == 0 {
            Trouble::ResetBefore
        } else {
            Trouble::ResetAfter
        };
        let skip = u32::try_from(dice.roll(4)).expect("it is below 4");
        fake.fault("POST", "/linode/instances", |method, path| {
            Fault::new(method, path, trouble).after(skip)
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
            kill_at_create(&bed, &fake, arguments, after)
        } else {
            start_and_kill(&bed, arguments, Duration::from_micros(dice.roll(900_000)))
        };
        tally.count(killed);
    }
    tally.count_open_claims(&bed);

    let up = bed.run(&["up", "--yes", "--timeout", "90s"]);
    let context = format!("seed {seed}\n{}", up.stderr);
    assert_eq!(
        up.status,
        Some(0),
        "the last `up` did not succeed: {context}"
    );
    let have = (alive(&fake, "web"), alive(&fake, "batch"));
    assert_eq!(have, (5, 3), "not exactly the wanted nodes: {context}");
    let audit = bed.run(&["audit"]);
    assert_eq!(
        audit.status,
        Some(0),
        "{}{}\n{context}",
        audit.stdout,
        audit.stderr
    );
    let down = bed.run(&["down", "--yes", "--timeout", "90s"]);
    assert_eq!(down.status, Some(0), "{context}\n{}", down.stderr);
    let left = fake.machines();
    assert!(
        left.is_empty(),
        "left over: {left:?}\n{context}\n{}",
        down.stderr
    );
}

#[test]
fn a_kill_at_any_instant_leaves_no_orphan_and_no_duplicate() {
    run_rounds("kill test on linode", ROUNDS, WORKERS, round);
}
