//! The circuit breaker and the number of calls at the same time.

use std::time::Duration;

use fleetwright_core::{Kind, Provider};
use fleetwright_engine::Policy;
use futures::future::join_all;

use super::fake::{Answer, Setting, Stage, fails, node};

const SECOND: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_secs(10);

/// One try per call, and a breaker that opens after three failures.
fn brittle() -> Setting {
    Setting {
        policy: Policy {
            tries: 1,
            breaker_failures: 3,
            breaker_pause: PAUSE,
            ..Policy::default()
        },
        ..Setting::default()
    }
}

/// A stage whose breaker has just opened.
async fn opened() -> Stage {
    let stage = Stage::with(brittle(), (0..3).map(|_| fails(Kind::Unavailable)));
    for _ in 0..3 {
        let error = stage.guarded.check().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
    }
    stage
}

#[tokio::test(start_paused = true)]
async fn after_failures_in_a_row_nobody_is_asked_for_a_while() {
    let stage = opened().await;
    let error = stage.guarded.check().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Suspended);
    assert_eq!(error.retry_after(), Some(PAUSE));
    assert_eq!(error.hint(), Some("the next try is allowed in 10 s"));
    assert_eq!(stage.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn one_region_that_fails_does_not_close_the_others() {
    let stage = Stage::with(brittle(), (0..3).map(|_| fails(Kind::Unavailable)));
    for _ in 0..3 {
        stage.guarded.delete(&node("north")).await.unwrap_err();
    }
    let error = stage.guarded.delete(&node("north")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Suspended);
    stage.guarded.delete(&node("south")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn after_the_pause_exactly_one_probe_goes_through() {
    let stage = opened().await;
    tokio::time::sleep(PAUSE).await;
    stage.take(SECOND);
    let answers = join_all((0..20).map(|_| stage.guarded.check())).await;
    let refused = answers
        .iter()
        .filter(|answer| matches!(answer, Err(error) if error.kind() == Kind::Suspended));
    assert_eq!(refused.count(), 19);
    assert_eq!(stage.calls().len(), 4);

    // It succeeded, so the way is free.
    let answers = join_all((0..20).map(|_| stage.guarded.check())).await;
    assert!(answers.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_doubles_the_pause() {
    let stage = opened().await;
    stage.then([fails(Kind::Unavailable)]);
    tokio::time::sleep(PAUSE).await;
    let error = stage.guarded.check().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    tokio::time::sleep(PAUSE).await;
    let error = stage.guarded.check().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry_after()),
        (Kind::Suspended, Some(PAUSE))
    );
    tokio::time::sleep(PAUSE).await;
    stage.guarded.check().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_was_dropped_does_not_block_for_ever() {
    let stage = opened().await;
    stage.then([Answer::Silence]);
    tokio::time::sleep(PAUSE).await;
    let probe = tokio::time::timeout(SECOND, stage.guarded.check()).await;
    assert!(probe.is_err(), "it was dropped under way");
    tokio::time::sleep(PAUSE).await;
    stage.guarded.check().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_clear_no_is_a_sign_of_health() {
    let stage = Stage::new(brittle());
    for kind in Kind::ALL {
        if matches!(kind, Kind::Unavailable | Kind::Timeout) {
            continue;
        }
        // Two failures, a no, two failures: never three in a row.
        stage.then([Kind::Timeout, Kind::Unavailable, kind].map(fails));
        for _ in 0..3 {
            stage.guarded.check().await.unwrap_err();
        }
    }
    stage.guarded.check().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_at_the_same_time_than_permitted() {
    let mut setting = Setting::default();
    setting.policy.permits = 3;
    let stage = Stage::new(setting);
    stage.take(SECOND);
    let started = tokio::time::Instant::now();
    let answers = join_all((0..10).map(|_| stage.guarded.check())).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(stage.most_in_flight(), 3);
    assert_eq!(started.elapsed().as_secs(), 4);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_permit_does_not_use_up_the_time_of_a_try() {
    let mut setting = brittle();
    setting.policy.permits = 1;
    setting.policy.timeout = SECOND * 2;
    let stage = Stage::new(setting);
    stage.take(SECOND);
    let answers = join_all((0..5).map(|_| stage.guarded.check())).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}
