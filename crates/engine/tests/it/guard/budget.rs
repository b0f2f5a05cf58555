//! Rate budgets: who waits for whom.

use std::time::Duration;

use fleetwright_core::Operation::{Create, Delete, Get, List};
use fleetwright_core::{Kind, LimitUnit, ListRequest, Operation, Provider};
use fleetwright_store::Store;
use futures::future::join_all;
use futures::{FutureExt, join};

use super::fake::{Setting, Stage, later, node, request, shared_bucket};

const SECOND: Duration = Duration::from_secs(1);

fn limited() -> Setting {
    Setting {
        limits: shared_bucket(1, 300),
        ..Setting::default()
    }
}

/// Looking first, removing last: the worst order to queue up in.
async fn ask_in_the_wrong_order(stage: &Stage) {
    let everywhere = ListRequest::default();
    let request = request();
    let (north, south) = (node("north"), node("south"));
    let calls = [
        stage.guarded.list(&everywhere).map(drop).boxed(),
        stage.guarded.get(&north).map(drop).boxed(),
        stage.guarded.create(&request).map(drop).boxed(),
        stage.guarded.delete(&north).map(drop).boxed(),
        stage.guarded.delete(&south).map(drop).boxed(),
    ];
    join_all(calls).await;
}

fn operations(stage: &Stage) -> Vec<Operation> {
    stage.calls().iter().map(|call| call.operation).collect()
}

#[tokio::test(start_paused = true)]
async fn after_a_throttling_answer_everybody_waits_and_the_urgent_go_first() {
    let stage = Stage::with(limited(), [later(Kind::RateLimited, 5)]);
    let everywhere = ListRequest::default();
    let throttled = stage.guarded.list(&everywhere);
    join!(throttled.map(|answer| answer.unwrap()), async {
        tokio::time::sleep(SECOND).await;
        ask_in_the_wrong_order(&stage).await;
    });
    let calls = stage.calls();
    assert!(
        calls[1..].iter().all(|call| call.at >= SECOND * 5),
        "{calls:?}"
    );
    let mut after = operations(&stage)[1..].to_vec();
    assert_eq!(after[..3], [Delete, Delete, Create]);
    after[3..].sort_unstable();
    assert_eq!(after[3..], [List, List, Get]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_one_region_holds_nobody_back_in_another() {
    let stage = Stage::with(limited(), [later(Kind::RateLimited, 60)]);
    let (north, south) = (node("north"), node("south"));
    let waiting = stage.guarded.delete(&north).map(|answer| answer.map(drop));
    let other = async {
        tokio::time::sleep(SECOND).await;
        let queued = stage.guarded.delete(&north);
        let free = async {
            tokio::time::sleep(SECOND).await;
            let started = tokio::time::Instant::now();
            let error = stage.guarded.get(&south).await.unwrap_err();
            assert_eq!(error.kind(), Kind::NotFound);
            started.elapsed()
        };
        join!(queued.map(drop), free).1
    };
    let (_, took) = join!(waiting, other);
    assert!(took < SECOND, "{took:?}");
}

#[tokio::test]
async fn the_budget_in_the_journal_is_given_to_the_urgent_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("journal.db"))
        .await
        .unwrap();
    let stage = Stage::new(Setting {
        store: Some(store.clone()),
        ..limited()
    });
    // Empties both regions' buckets, which gain a token every 200 ms.
    stage.guarded.check().await.unwrap();
    ask_in_the_wrong_order(&stage).await;
    let calls = operations(&stage);
    assert_eq!(calls[1..4], [Delete, Delete, Create]);
    let last = stage.times().pop().unwrap();
    // North gives a token to the check, then to delete, create, get and list: at least 4 × 200 ms.
    assert!(last >= Duration::from_millis(780), "{last:?}");
    store.close().await;
}

#[tokio::test]
async fn two_guards_on_one_journal_share_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("journal.db"))
        .await
        .unwrap();
    let stage = || {
        Stage::new(Setting {
            store: Some(store.clone()),
            limits: shared_bucket(2, 600),
            ..Setting::default()
        })
    };
    let (one, other) = (stage(), stage());
    let place = node("north");
    let ask = async |stage: &Stage| {
        for _ in 0..3 {
            stage.guarded.delete(&place).await.unwrap();
        }
    };
    join!(ask(&one), ask(&other));
    // Six calls, two of them from the full bucket: four have to wait 100 ms each.
    let last = one.times().into_iter().chain(other.times()).max().unwrap();
    assert!(last >= Duration::from_millis(380), "{last:?}");
    store.close().await;
}

#[tokio::test]
async fn machines_of_a_call_that_was_refused_as_too_fast_are_not_paid_for_twice() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("journal.db"))
        .await
        .unwrap();
    let mut limits = shared_bucket(1, 1);
    limits[0].unit = LimitUnit::Machines;
    let setting = Setting {
        store: Some(store.clone()),
        limits,
        ..Setting::default()
    };
    let stage = Stage::with(setting, [later(Kind::RateLimited, 0)]);
    // The bucket holds one machine and gains another after a minute.
    let request = request();
    let made = tokio::time::timeout(SECOND * 10, stage.guarded.create(&request)).await;
    made.unwrap().unwrap();
    assert_eq!(operations(&stage), [Create, Create]);
    store.close().await;
}

#[tokio::test]
async fn machines_of_a_replay_were_paid_for_when_the_request_was_first_sent() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("journal.db"))
        .await
        .unwrap();
    let mut limits = shared_bucket(1, 1);
    limits[0].unit = LimitUnit::Machines;
    let setting = Setting {
        store: Some(store.clone()),
        limits,
        ..Setting::default()
    };
    let stage = Stage::with(setting, []);
    // The bucket holds one machine and gains another after a minute.
    let mut request = request();
    stage.guarded.create(&request).await.unwrap();
    request.replay = true;
    let again = tokio::time::timeout(SECOND * 10, stage.guarded.create(&request)).await;
    again.expect("a replay does not wait").unwrap();
    store.close().await;
}
