//! Rate budgets, shared.

use std::time::Duration;

use fleetwright_core::Kind;
use fleetwright_store::{Draw, Taken, Throttled};

use crate::support::{Scratch, at};

const fn draw(burst: u32, per_minute: u32, amount: u32) -> Draw {
    Draw {
        burst,
        per_minute,
        amount,
        priority: 0,
        contended: false,
    }
}

#[tokio::test]
async fn a_budget_is_shared_and_survives_the_process() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.open().await, scratch.open().await);
    assert_eq!(
        one.take("b", draw(2, 60, 1), at(0)).await.unwrap(),
        Taken::Granted
    );
    assert_eq!(
        two.take("b", draw(2, 60, 1), at(0)).await.unwrap(),
        Taken::Granted
    );
    let second = Taken::Wait(Duration::from_secs(1));
    assert_eq!(one.take("b", draw(2, 60, 1), at(0)).await.unwrap(), second);
    one.close().await;
    two.close().await;
    let three = scratch.open().await;
    assert_eq!(
        three.take("b", draw(2, 60, 1), at(0)).await.unwrap(),
        second
    );
    assert_eq!(
        three.take("other", draw(2, 60, 1), at(0)).await.unwrap(),
        Taken::Granted
    );
    assert_eq!(
        three
            .take("b", draw(2, 60, 1), at(1_000_000))
            .await
            .unwrap(),
        Taken::Granted
    );
}

#[tokio::test]
async fn a_throttling_answer_stops_everybody_until_its_end() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.open().await, scratch.open().await);
    // Also a bucket that nobody took from yet; a shorter penalty does not shorten it.
    for until in [5_000_000, 2_000_000] {
        let answer = Throttled {
            until: at(until),
            sent_at: at(0),
            left: 1,
            refused: true,
        };
        one.penalize("b", draw(9, 60, 1), answer, at(1))
            .await
            .unwrap();
    }
    assert_eq!(
        two.take("b", draw(9, 60, 1), at(0)).await.unwrap(),
        Taken::Wait(Duration::from_secs(5))
    );
    assert_eq!(
        two.take("b", draw(9, 60, 1), at(5_000_000)).await.unwrap(),
        Taken::Granted
    );
}

#[tokio::test]
async fn a_budget_that_never_fills_up_is_an_error() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    assert_eq!(
        store.take("b", draw(1, 0, 1), at(0)).await.unwrap(),
        Taken::Granted
    );
    let error = store.take("b", draw(1, 0, 1), at(0)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
}

#[tokio::test]
async fn a_clock_that_was_set_back_costs_one_wait() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let second = 1_000_000;
    let hour = 3_600 * second;
    let take = async |micros| store.take("b", draw(1, 60, 1), at(micros)).await.unwrap();
    assert_eq!(take(hour).await, Taken::Granted);
    assert_eq!(take(0).await, Taken::Wait(Duration::from_secs(1)));
    assert_eq!(take(second).await, Taken::Granted);
}

/// Eight takers over four stores, each with its own pace through the same ten virtual seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn takers_side_by_side_never_get_more_than_burst_and_rate() {
    const BURST: u32 = 10;
    const PER_MINUTE: u32 = 600;
    const SECONDS: i64 = 10;
    let scratch = Scratch::new();
    let mut takers = tokio::task::JoinSet::new();
    for taker in 0..8_i64 {
        let store = scratch.open().await;
        takers.spawn(async move {
            let mut granted = 0_i64;
            let mut now = 0;
            while now < SECONDS * 1_000_000 {
                match store
                    .take("b", draw(BURST, PER_MINUTE, 1), at(now))
                    .await
                    .unwrap()
                {
                    Taken::Granted => granted += 1,
                    Taken::Wait(wait) => assert!(wait > Duration::ZERO),
                }
                now += 40_000 + taker * 1_000;
            }
            granted
        });
    }
    let granted: i64 = takers.join_all().await.into_iter().sum();
    let allowed = i64::from(BURST) + i64::from(PER_MINUTE) * SECONDS / 60;
    // At least nine tenths: one that stays behind may find its second used up already.
    assert!(
        (allowed * 9 / 10..=allowed).contains(&granted),
        "{granted} of {allowed} were granted"
    );
}

#[tokio::test]
async fn tokens_that_are_given_back_can_be_taken_again_but_never_more_than_the_bucket_holds() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let second = Taken::Wait(Duration::from_secs(1));
    let take = |amount| store.take("b", draw(2, 60, amount), at(0));
    store.give_back("b", 5).await.unwrap();
    assert_eq!(take(2).await.unwrap(), Taken::Granted);
    assert_eq!(take(1).await.unwrap(), second);
    store.give_back("b", 1).await.unwrap();
    assert_eq!(take(1).await.unwrap(), Taken::Granted);
    assert_eq!(take(1).await.unwrap(), second);
    store.give_back("b", 5).await.unwrap();
    assert_eq!(take(2).await.unwrap(), Taken::Granted);
    assert_eq!(take(1).await.unwrap(), second);
}

#[tokio::test]
async fn a_deletion_that_waits_goes_before_the_looks_of_another_process() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.open().await, scratch.open().await);
    let look = Draw {
        priority: 3,
        contended: true,
        ..draw(1, 60, 1)
    };
    let delete = Draw {
        priority: 0,
        ..look
    };
    assert_eq!(two.take("b", look, at(0)).await.unwrap(), Taken::Granted);
    let second = Taken::Wait(Duration::from_secs(1));
    assert_eq!(one.take("b", delete, at(0)).await.unwrap(), second);
    // The token is there, and the look comes first.
    let early = two.take("b", look, at(1_000_000)).await.unwrap();
    assert!(matches!(early, Taken::Wait(_)), "{early:?}");
    let urgent = one.take("b", delete, at(1_000_000)).await.unwrap();
    assert_eq!(urgent, Taken::Granted);
    assert_eq!(
        two.take("b", look, at(2_000_000)).await.unwrap(),
        Taken::Granted
    );
}

#[tokio::test]
async fn a_learned_rate_is_shared_and_shown() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.open().await, scratch.open().await);
    let second = 1_000_000;
    assert_eq!(one.budget("b", 60, at(0)).await.unwrap(), None);
    for now in [second, 3 * second] {
        let answer = Throttled {
            until: at(now),
            sent_at: at(now - second),
            left: 0,
            refused: true,
        };
        one.penalize("b", draw(9, 60, 1), answer, at(now))
            .await
            .unwrap();
    }
    let state = two.budget("b", 60, at(3 * second)).await.unwrap().unwrap();
    assert_eq!(state.milli_rate, Some(45_000));
    // A token takes 60/45 s instead of one.
    assert_eq!(
        two.take("b", draw(9, 60, 1), at(3 * second)).await.unwrap(),
        Taken::Wait(Duration::from_micros(1_333_334))
    );
    let later = two
        .budget("b", 60, at(600 * second))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(later.milli_rate, None, "the documented rate again");
}
