//! The lease: one holder, and a fence for those that lost it.

use std::process::{Command, Stdio};

use fleetwright_core::{ClaimId, ClaimState, Effect, Error, Kind, Life};
use fleetwright_store::Store;

use crate::support::{Scratch, TTL, at, braked, claim, lease, record};

#[tokio::test]
async fn a_second_holder_is_told_who_is_first_and_since_when() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let held = store
        .acquire("fleet", "up (pid 12)", at(0), TTL)
        .await
        .unwrap();
    for other in [store.clone(), scratch.open().await] {
        // Long after its time: the holder is alive, so it keeps the lease.
        let error = other
            .acquire("fleet", "down", at(3_600_000_000), TTL)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
        assert_eq!(error.effect(), Effect::None);
        assert_eq!(
            error.to_string(),
            "lease `fleet` is held by `up (pid 12)` since 2026-09-21T14:13:20Z"
        );
        assert!(error.hint().is_some());
    }
    other_names_are_other_leases(&store).await;
    store.renew(&held, at(10), TTL).await.unwrap();
    assert_eq!((held.name(), held.holder()), ("fleet", "up (pid 12)"));
}

async fn other_names_are_other_leases(store: &Store) {
    let other = store.acquire("other", "x", at(0), TTL).await.unwrap();
    store.release(other).await.unwrap();
}

#[tokio::test]
async fn a_lease_that_is_given_back_or_dropped_is_free_at_once_and_its_fence_grows() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.open().await, scratch.open().await);
    let first = lease(&one).await;
    assert_eq!(first.fence(), 1);
    one.release(first).await.unwrap();
    let second = lease(&two).await;
    assert_eq!(second.fence(), 2);
    drop(second);
    let third = lease(&one).await;
    assert_eq!(third.fence(), 3);
}

/// Somebody removes the lock file, and a second process gets the lease although the first one
/// lives: the case that the fence is for.
#[tokio::test]
async fn a_holder_that_lost_its_lease_writes_nothing() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.open().await, scratch.open().await);
    let open = claim(ClaimId::new(), 1, 1);
    let stale = lease(&one).await;
    one.open_claim(&stale, &open, &[]).await.unwrap();

    let lock = scratch.directory().join("state/journal.db.fleet.lock");
    std::fs::remove_file(lock).unwrap();
    let fresh = lease(&two).await;

    let refused = ClaimState::Refused {
        error: Error::new(Kind::Quota, "no").report(),
    };
    let events = [braked("never")];
    let nodes = [record(1, Life::Ready)];
    let another = claim(ClaimId::new(), 1, 2);
    for result in [
        one.renew(&stale, at(5), TTL).await,
        one.put_nodes(&stale, &nodes, &events).await,
        one.open_claim(&stale, &another, &events).await,
        one.mark_sent(&stale, open.id, 1, at(5)).await,
        one.close_claim(&stale, open.id, 1, &refused, at(5), &nodes, &events)
            .await,
    ] {
        let error = result.unwrap_err();
        assert_eq!(
            (error.kind(), error.effect()),
            (Kind::Conflict, Effect::None)
        );
    }
    assert_eq!(one.claims(10).await.unwrap(), [open]);
    assert_eq!(one.nodes_with_gone().await.unwrap(), []);
    assert_eq!(one.events_after(0, 10).await.unwrap(), []);

    // Giving the lost lease back does not take it from its new holder.
    one.release(stale).await.unwrap();
    two.put_nodes(&fresh, &nodes, &[]).await.unwrap();
}

/// Between its `fork` and its `exec` a child process has a copy of the lock.
#[tokio::test]
async fn a_lease_is_free_at_once_although_a_child_process_was_just_started() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    for _ in 0..20 {
        let held = lease(&store).await;
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        drop(held);
        let again = store.acquire("fleet", "next", at(1), TTL).await;
        child.kill().unwrap();
        child.wait().unwrap();
        drop(again.unwrap());
    }
}

#[tokio::test]
async fn a_lease_with_a_name_that_is_a_path_is_refused() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let error = store.acquire("../x", "me", at(0), TTL).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
}
