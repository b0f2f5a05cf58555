//! Nodes: upserts, the frozen price, what is listed.

use fleetwright_core::{HourlyPrice, Kind, Life, NodeRecord, Stay};

use crate::support::{
    BACK_TO_THE_FIRST, Scratch, at, changed, lease, meddle, node_id, reasons, record,
};

#[tokio::test]
async fn a_record_is_read_back_as_it_was_written() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let lease = lease(&store).await;
    let mut bare = record(2, Life::Booting);
    bare.price = None;
    bare.access = None;
    bare.claim = None;
    let full = record(1, Life::Ready);
    let gone = record(0, Life::Gone);
    let records = [bare.clone(), full.clone(), gone.clone()];
    store
        .put_nodes(&lease, &records, &[changed(1, "one"), changed(2, "two")])
        .await
        .unwrap();

    assert_eq!(store.nodes().await.unwrap(), [full.clone(), bare.clone()]);
    assert_eq!(
        store.nodes_with_gone().await.unwrap(),
        [gone.clone(), full, bare]
    );
    assert_eq!(store.node(&gone.id).await.unwrap(), Some(gone));
    assert_eq!(store.node(&node_id(9)).await.unwrap(), None);
    assert_eq!(
        reasons(&store.events_after(0, 9).await.unwrap()),
        ["one", "two"]
    );
}

#[tokio::test]
async fn the_first_price_of_a_node_is_its_price_for_ever() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let lease = lease(&store).await;
    let euro = record(1, Life::Requested).price;
    let dollar = Some(HourlyPrice::usd_micros(99));
    for (written, kept) in [
        (None, None),
        (euro, euro),
        (dollar, euro),
        (None, euro),
        (Some(HourlyPrice::FREE), euro),
    ] {
        let mut record = record(1, Life::Ready);
        record.price = written;
        record.reason = format!("{written:?}");
        store
            .put_nodes(&lease, std::slice::from_ref(&record), &[])
            .await
            .unwrap();
        let found = store.node(&record.id).await.unwrap().unwrap();
        assert_eq!(found.price, kept, "after writing {written:?}");
        assert_eq!(found.reason, record.reason, "the rest is updated");
    }
}

#[tokio::test]
async fn free_is_a_price_and_not_an_unknown_one() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let lease = lease(&store).await;
    for price in [Some(HourlyPrice::FREE), Some(HourlyPrice::usd_micros(5))] {
        let mut record = record(1, Life::Ready);
        record.price = price;
        store.put_nodes(&lease, &[record], &[]).await.unwrap();
    }
    let found = store.node(&node_id(1)).await.unwrap().unwrap();
    assert_eq!(found.price, Some(HourlyPrice::FREE));
}

#[tokio::test]
async fn one_bad_record_keeps_all_of_them_out() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let lease = lease(&store).await;
    let mut bad = record(2, Life::Ready);
    bad.price = Some(HourlyPrice::usd_micros(u64::MAX));
    let error = store
        .put_nodes(&lease, &[record(1, Life::Ready), bad], &[])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert_eq!(store.nodes_with_gone().await.unwrap(), []);
}

#[tokio::test]
async fn ten_thousand_nodes_are_written_and_listed_in_order() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let lease = lease(&store).await;
    let records: Vec<_> = (0..10_000).map(|n| record(n, Life::Ready)).collect();
    store.put_nodes(&lease, &records, &[]).await.unwrap();
    assert!(store.nodes().await.unwrap() == records);
}

#[tokio::test]
async fn stays_tell_who_was_there_since_an_instant_whatever_version_wrote_them() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let lease = lease(&store).await;
    let gone = |number, micros| NodeRecord {
        gone_at: Some(at(micros)),
        ..record(number, Life::Gone)
    };
    let records = [
        record(1, Life::Ready),
        gone(2, 1_000),
        gone(3, 2_000),
        record(4, Life::Terminating),
    ];
    store.put_nodes(&lease, &records, &[]).await.unwrap();
    let stays = |wanted: &[usize]| -> Vec<Stay> {
        let of = |number: &usize| Stay::from(&records[*number - 1]);
        wanted.iter().map(of).collect()
    };
    // A row of an older version has no such column filled, and says it in its JSON.
    for sql in ["", "UPDATE nodes SET gone_at = NULL"] {
        if !sql.is_empty() {
            meddle(&scratch.journal(), sql).await;
        }
        assert_eq!(store.stays(None).await.unwrap(), stays(&[1, 2, 3, 4]));
        let since = store.stays(Some(at(1_500))).await.unwrap();
        assert_eq!(since, stays(&[1, 3, 4]), "{sql}");
        let at_once = store.gone_stays(at(1_000)).await.unwrap();
        assert_eq!(at_once, stays(&[2, 3]), "{sql}");
        assert_eq!(
            store.gone_stays(at(1_001)).await.unwrap(),
            stays(&[3]),
            "{sql}"
        );
    }
}

#[tokio::test]
async fn a_journal_of_before_there_were_budgets_is_brought_up_to_date() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    let held = lease(&store).await;
    let gone = NodeRecord {
        gone_at: Some(at(7_000)),
        ..record(1, Life::Gone)
    };
    store
        .put_nodes(&held, std::slice::from_ref(&gone), &[])
        .await
        .unwrap();
    store.release(held).await.unwrap();
    store.close().await;
    meddle(&scratch.journal(), BACK_TO_THE_FIRST).await;
    let store = scratch.open().await;
    assert_eq!(
        store.gone_stays(at(7_000)).await.unwrap(),
        [Stay::from(&gone)]
    );
    assert_eq!(store.gone_stays(at(7_001)).await.unwrap(), []);
    let held = lease(&store).await;
    store
        .put_nodes(&held, &[record(2, Life::Ready)], &[])
        .await
        .unwrap();
    assert_eq!(store.nodes_with_gone().await.unwrap().len(), 2);
}
