//! The promise: killed at any instant, it leaves no orphan and no duplicate.
//!
//! Each round kills a running `fleetwright` with SIGKILL at a random instant, once or several
//! times, while it brings a fleet up, down, or to another size. Then one more `up` must give
//! exactly the wanted nodes, and the audit and the cloud's own books must agree.

use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fleetwright_core::{Idempotency, Operation, Span};
use fleetwright_sim::{SimConfig, SimFaults};

use crate::bed::{Bed, pause, processes_with};

/// Rounds against the simulated cloud; `FLEETWRIGHT_KILL_ROUNDS` sets another number.
const SIM_ROUNDS: usize = 204;
/// Rounds against real processes.
const LOCAL_ROUNDS: usize = 30;
/// Rounds at the same time.
const WORKERS: usize = 3;

/// SplitMix64: a few lines instead of a dependency, and the same everywhere.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % below
    }
}

/// A number from the environment, to repeat a failure or to run longer.
fn setting(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
}

fn first_seed() -> u64 {
    setting("FLEETWRIGHT_KILL_SEED").unwrap_or_else(|| u64::from(std::process::id()) << 20)
}

/// Starts the program and kills it after `delay`, unless it has ended by then. Says whether it was
/// killed.
pub(crate) fn start_and_kill(bed: &Bed, arguments: &[&str], delay: Duration) -> bool {
    let mut child = bed
        .command(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program can be started");
    pause(delay);
    let running = child.try_wait().expect("the child can be asked").is_none();
    // SIGKILL: nothing of the program runs after this.
    child.kill().expect("the child can be killed");
    child.wait().expect("the child ends");
    running
}

fn cloud(seed: u64) -> (SimConfig, &'static str) {
    let modes = [
        (Idempotency::NativeToken, "native token"),
        (Idempotency::DeterministicName, "name"),
        (Idempotency::LabelThenList, "label"),
    ];
    let at = usize::try_from(seed % 3).expect("it is below 3");
    let (idempotency, name) = modes[at];
    let lagging = (seed / 3).is_multiple_of(2);
    let faulty = (seed / 6).is_multiple_of(2);
    let config = SimConfig {
        seed,
        idempotency,
        latency: Span(Duration::from_millis(8)),
        boot_time: Span(Duration::from_millis(60)),
        script_time: Span(Duration::ZERO),
        delete_time: Span(Duration::from_millis(30)),
        listing_lag: Span(Duration::from_millis(if lagging { 150 } else { 0 })),
        batch: 4,
        faults: if faulty {
            SimFaults {
                refused: 30,
                lost_before: 40,
                lost_after: 60,
                operations: Some(vec![Operation::Create, Operation::Delete, Operation::Get]),
                ..SimFaults::default()
            }
        } else {
            SimFaults::default()
        },
        ..SimConfig::default()
    };
    (config, name)
}

fn pools(web: u32, batch: u32) -> String {
    format!(
        "[pools.web]\ndesired = {web}\n\
         candidates = [{{ provider = \"cloud\", region = \"sim-east\", type = \"sim.small\" }}]\n\
         [pools.batch]\ndesired = {batch}\n\
         candidates = [{{ provider = \"cloud\", region = \"sim-west\", type = \"sim.small\" }}]\n"
    )
}

/// What a round did, for the counts that are printed.
#[derive(Default)]
pub(crate) struct Tally {
    kills: AtomicUsize,
    after_the_end: AtomicUsize,
    found_open_claims: AtomicUsize,
}

impl Tally {
    /// Counts a process that was to be killed, and whether it still ran.
    pub(crate) fn count(&self, killed: bool) {
        let counter = if killed {
            &self.kills
        } else {
            &self.after_the_end
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the kills left a claim without an answer: these rounds are the ones that matter.
    pub(crate) fn count_open_claims(&self, bed: &Bed) {
        let open = bed.run(&["audit", "--json"]).stdout.contains("\"attempt\"");
        self.found_open_claims
            .fetch_add(usize::from(open), Ordering::Relaxed);
    }
}

fn sim_round(seed: u64, tally: &Tally) {
    let mut dice = Dice(seed);
    let (config, mode) = cloud(seed);
    let (web, batch) = (6, 3);
    let bed = Bed::sim(&config, &pools(web, batch));
    for _ in 0..=dice.roll(3) {
        // Most kills hit `up`; some hit a removal or a change of size before it.
        let arguments: &[&str] = match dice.roll(6) {
            0 => &["down", "--yes", "--quiet"],
            1 => &["down", "--on", "pool=web", "--yes", "--quiet"],
            _ => &["up", "--yes", "--quiet"],
        };
        let delay = Duration::from_micros(dice.roll(280_000));
        tally.count(start_and_kill(&bed, arguments, delay));
    }
    tally.count_open_claims(&bed);

    let up = bed.run(&["up", "--yes", "--timeout", "60s"]);
    let context = format!("seed {seed}, {mode}, {:?}\n{}", config.faults, up.stderr);
    assert_eq!(
        up.status,
        Some(0),
        "the last `up` did not succeed: {context}"
    );
    let live = bed
        .world(&config)
        .live_nodes()
        .expect("the world can be read");
    let count = |pool: &str| {
        live.iter()
            .filter(|node| node.label("fleetwright-pool") == Some(pool))
            .count()
    };
    assert_eq!(
        (count("web"), count("batch")),
        (6, 3),
        "not exactly the wanted nodes: {context}"
    );
    assert_eq!(live.len(), 9, "nodes that belong to no pool: {context}");
    let audit = bed.run(&["audit"]);
    assert_eq!(
        audit.status,
        Some(0),
        "{}{}\n{context}",
        audit.stdout,
        audit.stderr
    );
}

fn local_round(seed: u64, tally: &Tally) {
    let mut dice = Dice(seed);
    let bed = Bed::new(
        "fleet = \"test\"\n[providers.here]\nkind = \"local\"\n\
         [pools.web]\ndesired = 3\nuser_data = '''#!/bin/sh\necho hello\n'''\n\
         candidates = [{ provider = \"here\", type = \"small\" }]\n",
    );
    for _ in 0..=dice.roll(2) {
        let arguments: &[&str] = match dice.roll(4) {
            0 => &["down", "--yes", "--quiet"],
            _ => &["up", "--yes", "--quiet"],
        };
        let delay = Duration::from_micros(dice.roll(110_000));
        tally.count(start_and_kill(&bed, arguments, delay));
    }
    tally.count_open_claims(&bed);
    let up = bed.run(&["up", "--yes", "--timeout", "60s"]);
    assert_eq!(
        up.status,
        Some(0),
        "seed {seed}: the last `up` failed\n{}",
        up.stderr
    );
    let running = processes_with(&bed.path("state"));
    assert_eq!(
        running.len(),
        3,
        "seed {seed}: processes {running:?}\n{}",
        up.stderr
    );
    let audit = bed.run(&["audit"]);
    assert_eq!(
        audit.status,
        Some(0),
        "seed {seed}: {}{}",
        audit.stdout,
        audit.stderr
    );
    let down = bed.run(&["down", "--yes"]);
    assert_eq!(down.status, Some(0), "seed {seed}: {}", down.stderr);
    assert_eq!(
        processes_with(&bed.path("state")),
        [] as [u32; 0],
        "seed {seed}"
    );
}

pub(crate) fn run_rounds(
    name: &str,
    rounds: usize,
    workers: usize,
    round: impl Fn(u64, &Tally) + Sync,
) {
    let rounds = setting("FLEETWRIGHT_KILL_ROUNDS").map_or(rounds, |rounds| {
        usize::try_from(rounds).expect("a sensible number of rounds")
    });
    let (first, started) = (first_seed(), Instant::now());
    let (next, tally) = (AtomicUsize::new(0), Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= rounds {
                        return;
                    }
                    let seed = first + u64::try_from(at).expect("rounds are few");
                    round(seed, &tally);
                }
            });
        }
    });
    println!(
        "{name}: {rounds} rounds from seed {first}, {} processes killed, {} had ended before, \
         {} rounds with open claims, 0 violations, {} s",
        tally.kills.load(Ordering::Relaxed),
        tally.after_the_end.load(Ordering::Relaxed),
        tally.found_open_claims.load(Ordering::Relaxed),
        started.elapsed().as_secs(),
    );
    assert!(
        tally.kills.load(Ordering::Relaxed) >= rounds / 2,
        "too few kills to prove anything"
    );
}

#[test]
fn a_kill_at_any_instant_leaves_no_orphan_and_no_duplicate_in_a_cloud() {
    run_rounds("kill test on sim", SIM_ROUNDS, WORKERS, sim_round);
}

#[test]
fn a_kill_at_any_instant_leaves_no_orphan_and_no_duplicate_on_this_machine() {
    run_rounds("kill test on local", LOCAL_ROUNDS, WORKERS, local_round);
}
