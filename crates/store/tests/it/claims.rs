//! Claims: their way from open to closed.

use fleetwright_core::{ClaimId, ClaimState, Effect, Error, Kind, Life, Token};

use crate::support::{Scratch, at, braked, changed, claim, lease, node_id, reasons, record};

#[tokio::test]
async fn a_claim_is_read_back_as_it_was_written() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let lease = lease(&store).await;
    let id = ClaimId::new();
    let (first, second) = (claim(id, 1, 10), claim(id, 2, 20));
    store
        .open_claim(&lease, &first, &[braked("first")])
        .await
        .unwrap();
    store.open_claim(&lease, &second, &[]).await.unwrap();

    assert_eq!(
        store.claim(id).await.unwrap(),
        [first.clone(), second.clone()]
    );
    assert_eq!(
        store.open_claims().await.unwrap(),
        [first.clone(), second.clone()]
    );
    assert_eq!(
        store.claims(10).await.unwrap(),
        [second.clone(), first.clone()]
    );
    assert_eq!(store.claims(1).await.unwrap(), [second]);
    assert_eq!(
        store.claim_by_token(first.token()).await.unwrap(),
        Some(first)
    );
    assert_eq!(
        store
            .claim_by_token(&Token::from_stored("another"))
            .await
            .unwrap(),
        None
    );
    assert_eq!(store.claim(ClaimId::new()).await.unwrap(), []);
    assert_eq!(
        reasons(&store.events_after(0, 10).await.unwrap()),
        ["first"]
    );
}

#[tokio::test]
async fn closing_a_claim_writes_its_outcome_its_nodes_and_its_events_together() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let lease = lease(&store).await;
    let mut claim = claim(ClaimId::new(), 1, 10);
    store.open_claim(&lease, &claim, &[]).await.unwrap();
    store.mark_sent(&lease, claim.id, 1, at(30)).await.unwrap();
    let shortfall = Error::new(Kind::Capacity, "only one left").with_context("zone", "a");
    claim.state = ClaimState::Fulfilled {
        nodes: vec![node_id(1)],
        shortfall: Some(shortfall.report()),
    };
    let node = record(1, Life::Requested);
    store
        .close_claim(
            &lease,
            claim.id,
            1,
            &claim.state,
            at(40),
            std::slice::from_ref(&node),
            &[changed(1, "made")],
        )
        .await
        .unwrap();

    claim.sent_at = at(30);
    claim.closed_at = Some(at(40));
    assert_eq!(store.claim(claim.id).await.unwrap(), [claim]);
    assert_eq!(store.open_claims().await.unwrap(), []);
    assert_eq!(store.nodes().await.unwrap(), [node]);
    assert_eq!(reasons(&store.events_after(0, 10).await.unwrap()), ["made"]);
}

#[tokio::test]
async fn an_attempt_is_opened_once_closed_once_and_never_reopened() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let lease = lease(&store).await;
    let claim = claim(ClaimId::new(), 1, 10);
    let refused = ClaimState::Refused {
        error: Error::new(Kind::Quota, "no more").report(),
    };
    store.open_claim(&lease, &claim, &[]).await.unwrap();

    // The same attempt; the same token under another attempt; the token of another claim.
    let mut same_token = claim.clone();
    same_token.attempt = 2;
    let mut stolen_token = claim.clone();
    stolen_token.id = ClaimId::new();
    for again in [&claim, &same_token, &stolen_token] {
        let error = store
            .open_claim(&lease, again, &[braked("never")])
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.effect()),
            (Kind::Conflict, Effect::None)
        );
    }

    let close = async |attempt: u32, state: &ClaimState| {
        let events = [braked("never")];
        let nodes = [record(1, Life::Requested)];
        store
            .close_claim(&lease, claim.id, attempt, state, at(9), &nodes, &events)
            .await
            .map_err(|error| error.kind())
    };
    assert_eq!(close(1, &ClaimState::Open).await, Err(Kind::Invalid));
    assert_eq!(close(7, &refused).await, Err(Kind::NotFound));
    store
        .close_claim(&lease, claim.id, 1, &refused, at(9), &[], &[])
        .await
        .unwrap();
    assert_eq!(close(1, &refused).await, Err(Kind::Conflict));
    let sent = store.mark_sent(&lease, claim.id, 1, at(10)).await;
    assert_eq!(sent.unwrap_err().kind(), Kind::Conflict);
    let sent = store.mark_sent(&lease, claim.id, 7, at(10)).await;
    assert_eq!(sent.unwrap_err().kind(), Kind::NotFound);

    let mut closed = claim.clone();
    closed.state = refused;
    let error = store.open_claim(&lease, &closed, &[]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);

    // What failed left nothing behind.
    assert_eq!(store.claims(10).await.unwrap().len(), 1);
    assert_eq!(store.nodes_with_gone().await.unwrap(), []);
    assert_eq!(store.events_after(0, 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_store_that_is_opened_again_finds_the_open_claim() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let journal = store.journal().to_owned();
    let claim = claim(ClaimId::new(), 1, 10);
    let held = lease(&store).await;
    store.open_claim(&held, &claim, &[]).await.unwrap();
    store.release(held).await.unwrap();
    store.close().await;

    let store = scratch.open().await;
    assert_eq!(store.journal(), journal);
    assert_eq!(store.open_claims().await.unwrap(), [claim]);
}
