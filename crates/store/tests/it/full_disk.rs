//! A full disk, made by a limit on the size of the file.

use fleetwright_core::{ClaimId, Effect, Kind, Life};

use crate::support::{Scratch, braked, claim, lease, record};

#[tokio::test]
async fn a_full_disk_is_said_leaves_nothing_half_written_and_passes() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let lease = lease(&store).await;
    let records: Vec<_> = (0..100).map(|n| record(n, Life::Ready)).collect();
    let before = claim(ClaimId::new(), 1, 1);
    store.open_claim(&lease, &before, &[]).await.unwrap();

    store.limit_pages(3).await.unwrap();
    let error = store
        .put_nodes(&lease, &records, &[braked("never")])
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::Unavailable, Effect::None)
    );
    assert!(error.to_string().starts_with("the disk is full"), "{error}");
    assert!(error.hint().is_some());
    assert_eq!(store.nodes_with_gone().await.unwrap(), []);
    assert_eq!(store.events_after(0, 1).await.unwrap(), []);
    assert_eq!(store.open_claims().await.unwrap(), [before]);

    // There is room again: the same store goes on.
    store.put_nodes(&lease, &records, &[]).await.unwrap();
    assert_eq!(store.nodes().await.unwrap().len(), 100);
}
