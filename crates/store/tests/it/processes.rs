//! Several processes at once, and processes that are killed.

use std::path::Path;
use std::time::{Duration, Instant};

use fleetwright_core::Kind;
use fleetwright_store::Store;

use crate::child::{self, WRITES};
use crate::support::{Scratch, TTL, at, braked, lease, reasons};

/// Waits for an event with this reason.
async fn wait_for(store: &Store, reason: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let last = store.last_events(1, None).await.unwrap();
        if reasons(&last)
            .first()
            .is_some_and(|it| it.starts_with(reason))
        {
            return;
        }
        assert!(Instant::now() < deadline, "`{reason}` did not happen");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn four_processes_write_at_once_and_none_fails() {
    let scratch = Scratch::new();
    // They also open it at once: there is no journal yet.
    let mut children: Vec<_> = (0..4)
        .map(|_| child::start("write", &scratch.journal()))
        .collect();
    let store = scratch.open().await;
    let held = lease(&store).await;
    for _ in 0..WRITES {
        store
            .put_nodes(&held, &[], &[braked("guarded")])
            .await
            .unwrap();
    }
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let events = store.events_after(0, 10_000).await.unwrap();
    let count = |wanted: &str| reasons(&events).iter().filter(|it| **it == wanted).count();
    assert_eq!(count("granted"), 50, "the burst, over all processes");
    assert_eq!(count("guarded"), WRITES);
    assert_eq!(events.len(), 5 * WRITES + 50);
}

#[tokio::test]
async fn a_relative_path_is_taken_from_the_current_directory() {
    let scratch = Scratch::new();
    for (path, found) in [
        ("New Dir/J.db", "New Dir/J.db"),
        ("New Dir/../J.db", "J.db"),
    ] {
        let mut child = child::start_in(scratch.directory(), "write", Path::new(path));
        assert!(child.wait().unwrap().success(), "{path}");
        let store = Store::open(&scratch.directory().join(found)).await.unwrap();
        assert_eq!(store.last_events(10, None).await.unwrap().len(), 10);
    }
}

#[tokio::test]
async fn a_claim_of_a_killed_process_stays_open_and_its_lease_is_free_at_once() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let mut child = child::start("hold", &scratch.journal());
    wait_for(&store, "opened").await;
    let error = store.acquire("fleet", "me", at(1), TTL).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.to_string().contains("`the child`"), "{error}");

    // Kept open, so that the process that the child has started lives on; without the lock.
    let stdin = child.stdin.take();
    child.kill().unwrap();
    child.wait().unwrap();
    // Well before the time of the dead holder is over.
    let mine = store.acquire("fleet", "me", at(1), TTL).await.unwrap();
    assert_eq!(mine.fence(), 2);
    assert_eq!(store.open_claims().await.unwrap().len(), 1);
    drop(stdin);
}

#[tokio::test]
async fn a_killed_writer_leaves_whole_transactions() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    for round in 0..5 {
        let mut child = child::start("churn", &scratch.journal());
        wait_for(&store, "round").await;
        tokio::time::sleep(Duration::from_millis(7 * round)).await;
        child.kill().unwrap();
        child.wait().unwrap();

        let nodes = store.nodes().await.unwrap();
        assert_eq!(nodes.len(), 2);
        assert_eq!(nodes[0].reason, nodes[1].reason);
        let last = store.last_events(1, None).await.unwrap();
        assert_eq!(reasons(&last), [nodes[0].reason.as_str()]);
        store.append(&[braked("killed")]).await.unwrap();
    }
}
