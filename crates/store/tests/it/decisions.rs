//! Decisions: kept while they are of use, and no longer.

use fleetwright_core::{ClaimId, Counts, Decision, DecisionId, Kind, Life, Wish};
use fleetwright_store::{Lease, Store};

use crate::support::{BACK_TO_THE_FIRST, Scratch, at, claim, lease, meddle, offer, record};

const DAY: i64 = 24 * 3_600 * 1_000_000;

fn decision(pool: &str, micros: i64) -> Decision {
    Decision {
        id: DecisionId::new(),
        at: at(micros),
        pool: pool.into(),
        count: 2,
        reason: "pool `web` has 0 nodes and wants 2".into(),
        wish: Wish {
            wanted: 2,
            desired: 2,
            strategy: "priority".into(),
            ..Wish::default()
        },
        counts: Counts::default(),
        offers: vec![offer()],
        further_offers: 0,
        excluded: Vec::new(),
        further_excluded: 0,
        marks: Vec::new(),
        further_marks: 0,
        budgets: Vec::new(),
    }
}

/// A decision with one claim.
async fn used(store: &Store, lease: &Lease, decision: &Decision) -> ClaimId {
    store.put_decision(lease, decision).await.unwrap();
    let mut claim = claim(ClaimId::new(), 1, 0);
    claim.decision = Some(decision.id);
    store.open_claim(lease, &claim, &[]).await.unwrap();
    claim.id
}

#[tokio::test]
async fn a_decision_is_found_by_its_id_its_pool_and_its_claims() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let lease = lease(&store).await;
    let (first, second) = (decision("web", 1), decision("web", 2));
    let claim = used(&store, &lease, &first).await;
    used(&store, &lease, &second).await;
    used(&store, &lease, &decision("gpu", 3)).await;
    assert_eq!(store.decision(first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(store.last_decision("web").await.unwrap(), Some(second));
    assert_eq!(store.last_decision("none").await.unwrap(), None);
    let claims = store.claims_of(first.id).await.unwrap();
    assert_eq!(claims.len(), 1);
    assert_eq!(claims[0].id, claim);
    assert_eq!(claims[0].decision, Some(first.id));
}

#[tokio::test]
async fn a_decision_that_nothing_came_of_gives_way_to_the_next() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let lease = lease(&store).await;
    let (kept, empty, last) = (decision("web", 1), decision("web", 2), decision("web", 3));
    let elsewhere = decision("gpu", 2);
    used(&store, &lease, &kept).await;
    store.put_decision(&lease, &empty).await.unwrap();
    store.put_decision(&lease, &elsewhere).await.unwrap();
    store.put_decision(&lease, &last).await.unwrap();
    assert_eq!(store.decision(empty.id).await.unwrap(), None);
    for one in [kept, elsewhere, last] {
        assert_eq!(store.decision(one.id).await.unwrap(), Some(one));
    }
}

#[tokio::test]
async fn old_decisions_go_unless_a_machine_came_of_them() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let lease = lease(&store).await;
    let (spent, lived) = (decision("web", 1), decision("web", 2));
    used(&store, &lease, &spent).await;
    let claim = used(&store, &lease, &lived).await;
    let mut node = record(1, Life::Ready);
    node.claim = Some(claim);
    store.put_nodes(&lease, &[node], &[]).await.unwrap();
    let soon = decision("web", 29 * DAY);
    used(&store, &lease, &soon).await;
    assert!(store.decision(spent.id).await.unwrap().is_some());
    let late = decision("web", 31 * DAY);
    used(&store, &lease, &late).await;
    assert_eq!(store.decision(spent.id).await.unwrap(), None);
    for one in [lived, soon, late] {
        assert_eq!(store.decision(one.id).await.unwrap(), Some(one));
    }
}

#[tokio::test]
async fn whoever_lost_the_lease_writes_no_decision() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let lost = lease(&store).await;
    meddle(&scratch.journal(), "UPDATE leases SET fence = fence + 1").await;
    let error = store
        .put_decision(&lost, &decision("web", 1))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert_eq!(store.last_decision("web").await.unwrap(), None);
}

/// A journal as version 1 wrote it.
#[tokio::test]
async fn a_journal_without_decisions_is_brought_up_to_date_with_all_it_has() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let lease = lease(&store).await;
    let old = claim(ClaimId::new(), 1, 5);
    store.open_claim(&lease, &old, &[]).await.unwrap();
    store.close().await;
    meddle(&scratch.journal(), BACK_TO_THE_FIRST).await;
    let store = scratch.open().await;
    assert_eq!(store.open_claims().await.unwrap(), [old]);
    assert_eq!(store.last_decision("web").await.unwrap(), None);
}
