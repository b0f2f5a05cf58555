//! Turns: whose it is next is known to all processes, and written with the claim that takes it.

use std::collections::BTreeMap;

use fleetwright_core::{ClaimId, Kind, Turn};

use crate::support::{Scratch, claim, lease};

fn turn(seat: &str) -> Turn {
    Turn {
        seat: seat.into(),
        among: BTreeMap::from([("a".into(), 2), ("b".into(), 1)]),
    }
}

#[tokio::test]
async fn turns_add_up_and_another_process_sees_them() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let held = lease(&store).await;
    assert!(store.turns().await.unwrap().is_empty());
    // Claims for two machines each: `a` pays 2 × (2 - 3), `b` gains 2 × 1; then the other way.
    for (micros, seat) in [(1, "a"), (2, "b")] {
        let claim = claim(ClaimId::new(), 1, micros);
        store
            .open_claim_in_turn(&held, &claim, Some(&turn(seat)), &[])
            .await
            .unwrap();
        let credits = scratch.open().await.turns().await.unwrap();
        let expected = match seat {
            "a" => [("a".to_owned(), -2), ("b".to_owned(), 2)],
            _ => [("a".to_owned(), 2), ("b".to_owned(), -2)],
        };
        assert_eq!(credits["web"], BTreeMap::from(expected));
    }
}

#[tokio::test]
async fn a_claim_that_is_refused_takes_no_turn() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let held = lease(&store).await;
    let first = claim(ClaimId::new(), 1, 1);
    store.open_claim(&held, &first, &[]).await.unwrap();
    let again = store
        .open_claim_in_turn(&held, &first, Some(&turn("a")), &[])
        .await
        .unwrap_err();
    assert_eq!(again.kind(), Kind::Conflict);
    assert!(store.turns().await.unwrap().is_empty());
}
