//! Real processes on one file, killed while they write.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fleetwright_core::{Provider, Result, keys};
use fleetwright_sim::{SimConfig, SimProvider, TokioClock, World};

use crate::support::{quick, request};

const WORLD: &str = "FLEETWRIGHT_SIM_TEST_WORLD";
const ROUNDS: u32 = 15;
const MACHINES: u32 = 3;

fn open(path: PathBuf) -> SimProvider {
    let config = SimConfig {
        world: Some(path),
        ..quick()
    };
    SimProvider::new("sim", config, PathBuf::new(), Arc::new(TokioClock::new())).unwrap()
}

fn start(world: &World) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::a_writer_that_never_ends"])
        .env(WORLD, world.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "other processes live in real time"
)]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// The body of a child process; without a world it does nothing.
#[tokio::test]
async fn a_writer_that_never_ends() {
    let Some(path) = std::env::var_os(WORLD) else {
        return;
    };
    let sim = open(path.into());
    loop {
        let created = sim.create(&request(MACHINES)).await.unwrap();
        for node in created.nodes {
            sim.delete(&node.id).await.unwrap();
        }
    }
}

#[test]
fn writers_killed_at_any_instant_leave_whole_operations() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let world = open(folder.path().join("world")).world();
    let mut made = 0;
    for round in 0..ROUNDS {
        let before = world.nodes()?.len();
        let mut writers = [start(&world), start(&world)];
        // Until they are at work, and then a little longer, each round by another bit.
        for _ in 0..2000 {
            if world.nodes()?.len() > before {
                break;
            }
            pause(Duration::from_millis(5));
        }
        pause(Duration::from_micros(u64::from(round) * 1_370));
        for writer in &mut writers {
            writer.kill().unwrap();
            writer.wait().unwrap();
        }
        let nodes = world.nodes()?;
        assert!(nodes.len() > before, "round {round}: nobody wrote");
        let mut by_token = BTreeMap::new();
        for node in &nodes {
            *by_token.entry(node.label(keys::CLAIM)).or_insert(0) += 1;
        }
        for (token, count) in by_token {
            assert_eq!(count, MACHINES, "round {round}: {token:?}");
        }
        made = nodes.len();
        // Somebody who comes new to the file reads the same.
        let fresh = open(world.path().to_owned()).world();
        assert_eq!(fresh.nodes()?, nodes);
    }
    assert!(made > 100, "{made} machines in all");
    Ok(())
}
