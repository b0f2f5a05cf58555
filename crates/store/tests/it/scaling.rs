//! Signals and decided sizes.

use fleetwright_core::{Event, EventKind, Kind, Quantity, Sample, SizeRecord, SizedBy};
use fleetwright_store::{SIGNAL_HISTORY, SignalValue, SizeChange};

use crate::support::{Scratch, at, lease, meddle};

fn value(name: &str, second: i64, number: u32) -> SignalValue {
    SignalValue {
        pool: "train".into(),
        name: name.into(),
        sample: Sample {
            at: at(second * 1_000_000),
            value: Quantity::whole(number),
        },
    }
}

fn numbers(samples: &[Sample]) -> Vec<u64> {
    let number = |sample: &Sample| sample.value.as_micros() / 1_000_000;
    samples.iter().map(number).collect()
}

fn record(size: u32, reason: &str) -> SizeRecord {
    SizeRecord {
        pool: "train".into(),
        size,
        by: SizedBy::Policy,
        since: at(0),
        until: None,
        reason: reason.into(),
        last_up: Some(at(0)),
        last_down: None,
        trouble: None,
        evidence: serde_json::json!({ "wants": size }),
    }
}

fn decided(to: u32) -> Event {
    Event {
        sequence: 0,
        at: at(0),
        what: EventKind::SizeDecided {
            pool: "train".into(),
            from: 0,
            to,
            reason: "a test".into(),
        },
    }
}

#[tokio::test]
async fn values_come_back_in_the_order_of_their_time_and_the_newest_in_any_case() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.open().await, scratch.open().await);
    one.put_signals(&[
        value("depth", 20, 2),
        value("depth", 10, 1),
        value("load", 5, 9),
    ])
    .await
    .unwrap();
    two.put_signals(&[value("depth", 20, 3)]).await.unwrap();
    let seen = |since: i64| {
        let store = two.clone();
        async move {
            numbers(
                &store
                    .signal("train", "depth", at(since * 1_000_000))
                    .await
                    .unwrap(),
            )
        }
    };
    assert_eq!(seen(0).await, [1, 3]);
    assert_eq!(seen(15).await, [3]);
    assert_eq!(seen(99).await, [3], "however old it is");
    assert!(two.signal("web", "depth", at(0)).await.unwrap().is_empty());
    let all = one.signals().await.unwrap();
    let told: Vec<_> = all
        .iter()
        .map(|state| (&*state.name, state.count, numbers(&[state.newest])[0]))
        .collect();
    assert_eq!(told, [("depth", 2, 3), ("load", 1, 9)]);
}

#[tokio::test]
async fn only_the_newest_values_are_kept_of_each_signal() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let most = i64::from(SIGNAL_HISTORY);
    let values: Vec<_> = (0..most + 5)
        .map(|second| value("depth", second, 1))
        .collect();
    store.put_signals(&[value("load", 0, 1)]).await.unwrap();
    store.put_signals(&values).await.unwrap();
    let kept = store.signal("train", "depth", at(0)).await.unwrap();
    assert_eq!(i64::try_from(kept.len()).unwrap(), most);
    let oldest = at(5_000_000).as_microsecond();
    assert_eq!(
        kept[0].at.as_microsecond(),
        oldest,
        "the first five are forgotten"
    );
    assert_eq!(store.signals().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_size_is_changed_only_from_what_it_was_decided_on() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let held = lease(&store).await;
    let change = |from, to| SizeChange {
        pool: "train".into(),
        from,
        to,
    };
    let first = record(3, "first");
    store
        .change_sizes(&held, &[change(None, Some(first.clone()))], &[decided(3)])
        .await
        .unwrap();
    let stale = change(None, Some(record(9, "stale")));
    let error = store
        .change_sizes(&held, &[stale], &[decided(9)])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert_eq!(store.sizes().await.unwrap(), std::slice::from_ref(&first));
    assert_eq!(
        store.events_after(0, 9).await.unwrap().len(),
        1,
        "no event of it"
    );
    store
        .change_sizes(&held, &[change(Some(first), None)], &[])
        .await
        .unwrap();
    assert!(store.sizes().await.unwrap().is_empty());
}

#[tokio::test]
async fn whoever_lost_the_lease_decides_on_no_size() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let held = lease(&store).await;
    meddle(&scratch.journal(), "UPDATE leases SET fence = fence + 1").await;
    let change = SizeChange {
        pool: "train".into(),
        from: None,
        to: Some(record(3, "x")),
    };
    let error = store.change_sizes(&held, &[change], &[]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(store.sizes().await.unwrap().is_empty());
}
