//! Circuit breakers, shared.

use std::time::Duration;

use fleetwright_store::Patience;

use crate::support::{Scratch, at, meddle};

const PATIENCE: Patience = Patience {
    failures: 2,
    pause: Duration::from_secs(10),
};
const SECOND: i64 = 1_000_000;

#[tokio::test]
async fn failures_of_several_processes_open_one_breaker_and_one_of_them_probes() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.open().await, scratch.open().await);
    let (_, opened) = one
        .count_failure("a", "north", false, PATIENCE, "down".into(), at(0))
        .await
        .unwrap();
    assert!(!opened);
    let (circuit, opened) = two
        .count_failure("a", "north", false, PATIENCE, "still down".into(), at(1))
        .await
        .unwrap();
    assert!(opened);
    assert_eq!(
        one.circuits("a").await.unwrap()["north"].error,
        "still down"
    );
    assert_eq!(circuit.failures, 2);
    assert!(one.circuits("b").await.unwrap().is_empty());

    let probe = async |store: &fleetwright_store::Store, now| {
        let pause = PATIENCE.pause;
        store
            .claim_probe("a", "north", pause, at(now))
            .await
            .unwrap()
    };
    assert!(!probe(&one, 9 * SECOND).await, "its pause is not over");
    assert!(probe(&one, 11 * SECOND).await);
    assert!(!probe(&two, 11 * SECOND).await, "one at a time");
    assert!(probe(&two, 22 * SECOND).await, "the prober died");
    assert!(two.close_circuit("a", "north").await.unwrap());
    assert!(!one.close_circuit("a", "north").await.unwrap());
    assert!(one.circuits("a").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_journal_of_the_first_version_is_brought_up_to_date_with_its_marks_and_budgets() {
    let scratch = Scratch::new();
    std::fs::create_dir_all(scratch.journal().parent().unwrap()).unwrap();
    meddle(
        &scratch.journal(),
        "CREATE TABLE schema_version (version BIGINT PRIMARY KEY, name TEXT NOT NULL);
         INSERT INTO schema_version VALUES (1, 'journal');",
    )
    .await;
    meddle(
        &scratch.journal(),
        include_str!("../../migrations/0001_journal.sql"),
    )
    .await;
    meddle(
        &scratch.journal(),
        "INSERT INTO budgets VALUES ('b', 500000, 1790000000000000, 0);
         INSERT INTO marks VALUES ('cloud', 'north', '', 'small', 'spot', 1790000180000000,
         '{\"provider\":\"cloud\",\"region\":\"north\",\"zone\":null,\"instance_type\":\"small\",
           \"market\":\"spot\",\"until\":\"2026-09-21T13:16:20Z\",
           \"error\":{\"kind\":\"capacity\",\"effect\":\"none\",\"message\":\"sold out\"}}');",
    )
    .await;
    let store = scratch.open().await;
    let shortages = store.shortages(at(SECOND)).await.unwrap();
    assert_eq!(shortages.len(), 1);
    assert_eq!(shortages[0].since.as_second(), 1_790_000_000);
    assert_eq!(store.marks(at(SECOND)).await.unwrap().len(), 1);
    let budget = store.budget("b", 60, at(SECOND)).await.unwrap().unwrap();
    assert_eq!((budget.milli_rate, budget.throttled_at), (None, None));
}
