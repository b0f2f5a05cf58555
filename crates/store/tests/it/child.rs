//! What runs in the child processes: this test binary again, with a role from its environment.

use std::env;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use fleetwright_core::{ClaimId, Life};
use fleetwright_store::{Draw, Store, Taken};

use crate::support::{TTL, at, braked, changed, claim, record};

const ROLE: &str = "FLEETWRIGHT_STORE_TEST_ROLE";
const JOURNAL: &str = "FLEETWRIGHT_STORE_TEST_JOURNAL";

/// How often a `write` child writes.
pub(crate) const WRITES: usize = 200;

/// Starts a child with a role; its standard input ends with this process.
pub(crate) fn start(role: &str, journal: &Path) -> Child {
    start_in(Path::new("."), role, journal)
}

/// Starts a child in another directory.
pub(crate) fn start_in(directory: &Path, role: &str, journal: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "child::the_role", "--nocapture"])
        .current_dir(directory)
        .env(ROLE, role)
        .env(JOURNAL, journal)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Does nothing in the test run itself: only children have a role.
#[tokio::test]
async fn the_role() {
    let (Ok(role), Some(journal)) = (env::var(ROLE), env::var_os(JOURNAL)) else {
        return;
    };
    let store = Store::open(Path::new(&journal)).await.unwrap();
    match role.as_str() {
        "write" => write(&store).await,
        "hold" => hold(&store).await,
        "churn" => churn(&store).await,
        other => panic!("no role `{other}`"),
    }
}

/// Writes to every table that needs no lease.
async fn write(store: &Store) {
    for number in 0..WRITES {
        store.append(&[braked(&format!("{number}"))]).await.unwrap();
        let draw = Draw {
            burst: 50,
            per_minute: 1,
            amount: 1,
            priority: 0,
            contended: false,
        };
        let taken = store.take("shared", draw, at(0)).await.unwrap();
        if taken == Taken::Granted {
            store.append(&[braked("granted")]).await.unwrap();
        }
    }
}

/// Opens a claim, having started a process that will outlive this one, and waits to be killed.
/// Both end when the test closes their standard input.
async fn hold(store: &Store) {
    let lease = store
        .acquire("fleet", "the child", at(0), TTL)
        .await
        .unwrap();
    let mut survivor = Command::new("cat").stdout(Stdio::null()).spawn().unwrap();
    let claim = claim(ClaimId::new(), 1, 1);
    store
        .open_claim(&lease, &claim, &[braked("opened")])
        .await
        .unwrap();
    survivor.wait().unwrap();
}

/// Writes pairs of records that always agree, until it is killed.
async fn churn(store: &Store) {
    let lease = store
        .acquire("fleet", "the child", at(0), TTL)
        .await
        .unwrap();
    for round in 0.. {
        let mut pair = [record(1, Life::Ready), record(2, Life::Ready)];
        for record in &mut pair {
            record.reason = format!("round {round}");
        }
        store
            .put_nodes(&lease, &pair, &[changed(1, &pair[0].reason)])
            .await
            .unwrap();
    }
}
