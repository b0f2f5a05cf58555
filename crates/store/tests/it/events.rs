//! Events: numbered without gaps, in the order in which they become visible.

use crate::support::{Scratch, braked, changed, lease, node_id, reasons};

#[tokio::test]
async fn events_are_numbered_by_the_journal_and_read_from_any_number() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let mut first = braked("a");
    first.sequence = 77;
    store.append(&[]).await.unwrap();
    store.append(&[first, braked("b")]).await.unwrap();
    store.append(&[braked("c")]).await.unwrap();

    let all = store.events_after(0, 10).await.unwrap();
    assert_eq!(reasons(&all), ["a", "b", "c"]);
    assert_eq!(
        all.iter().map(|e| e.sequence).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_eq!(all[0].at, braked("a").at);
    assert_eq!(reasons(&store.events_after(1, 1).await.unwrap()), ["b"]);
    assert_eq!(store.events_after(3, 10).await.unwrap(), []);
}

#[tokio::test]
async fn the_last_events_of_a_node_come_oldest_first() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    store
        .append(&[
            changed(1, "a"),
            changed(2, "b"),
            braked("c"),
            changed(1, "d"),
        ])
        .await
        .unwrap();
    let of_node = |number| Some(node_id(number));
    for (limit, node, expected) in [
        (10, None, vec!["a", "b", "c", "d"]),
        (2, None, vec!["c", "d"]),
        (10, of_node(1), vec!["a", "d"]),
        (1, of_node(1), vec!["d"]),
        (10, of_node(3), vec![]),
    ] {
        let found = store.last_events(limit, node.as_ref()).await.unwrap();
        assert_eq!(reasons(&found), expected);
    }
}

/// Eight writers over four stores on one file: some through the durable connection, some through
/// the loose one. Nobody fails, and a reader that follows sees every number once, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_follower_misses_no_event_of_eight_writers() {
    const WRITES: usize = 200;
    let scratch = Scratch::new();
    let first = scratch.open().await;
    let lease = std::sync::Arc::new(lease(&first).await);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let store = if writer < 2 {
            first.clone()
        } else if writer % 2 == 0 {
            scratch.open().await
        } else {
            first.clone()
        };
        let lease = std::sync::Arc::clone(&lease);
        writers.spawn(async move {
            for write in 0..WRITES {
                let event = braked(&format!("{writer}/{write}"));
                if writer < 2 {
                    store.put_nodes(&lease, &[], &[event]).await.unwrap();
                } else {
                    store.append(&[event]).await.unwrap();
                }
            }
        });
    }
    let mut followed = Vec::new();
    let reader = scratch.open().await;
    while followed.len() < 8 * WRITES {
        let last = followed.last().copied().unwrap_or(0);
        let news = reader.events_after(last, 50).await.unwrap();
        if news.is_empty() {
            assert!(
                !writers.is_empty(),
                "the writers are done, but {last} was the last event"
            );
            if let Some(done) = writers.try_join_next() {
                done.unwrap();
            }
            tokio::task::yield_now().await;
        }
        followed.extend(news.iter().map(|event| event.sequence));
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    let expected: Vec<i64> = (1..).take(8 * WRITES).collect();
    assert_eq!(followed, expected);
}
