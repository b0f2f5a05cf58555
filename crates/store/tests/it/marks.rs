//! Capacity marks.

use fleetwright_core::{Error, Kind, Market};
use fleetwright_store::Mark;

use crate::support::{Scratch, at, offer};

fn mark(until: i64, why: &str) -> Mark {
    let offer = offer();
    Mark {
        provider: offer.provider,
        region: Some(offer.region),
        zone: offer.zone,
        instance_type: Some(offer.instance_type),
        market: Some(offer.market),
        until: at(until),
        error: Error::new(Kind::Capacity, why).report(),
    }
}

#[tokio::test]
async fn all_stores_see_the_marks_that_are_in_force() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.open().await, scratch.open().await);
    let narrow = mark(100, "sold out");
    let wide = Mark {
        region: None,
        zone: None,
        instance_type: None,
        market: None,
        until: at(200),
        ..mark(0, "quota")
    };
    one.put_mark(&narrow).await.unwrap();
    two.put_mark(&wide).await.unwrap();

    assert_eq!(
        two.marks(at(99)).await.unwrap(),
        [wide.clone(), narrow.clone()]
    );
    assert_eq!(one.marks(at(100)).await.unwrap(), [wide]);
    assert_eq!(one.marks(at(200)).await.unwrap(), []);
    assert_eq!(two.clear_marks().await.unwrap(), 2);
    assert_eq!(one.marks(at(0)).await.unwrap(), []);
    assert_eq!(one.clear_marks().await.unwrap(), 0);
}

#[tokio::test]
async fn of_two_marks_on_the_same_offers_the_longer_one_stays() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    for (until, why) in [(100, "first"), (50, "shorter"), (300, "longer")] {
        store.put_mark(&mark(until, why)).await.unwrap();
    }
    assert_eq!(store.marks(at(0)).await.unwrap(), [mark(300, "longer")]);
}

/// Makes another mark of a mark.
type Change = fn(&mut Mark);

#[test]
fn a_mark_covers_what_it_names_and_any_where_it_names_nothing() {
    let offer = offer();
    assert!(mark(0, "").covers(&offer));
    let cases: [(Change, bool); 9] = [
        (|m| m.region = None, true),
        (|m| m.zone = None, true),
        (|m| m.instance_type = None, true),
        (|m| m.market = None, true),
        (|m| m.provider = "other".into(), false),
        (|m| m.region = Some("other".into()), false),
        (|m| m.zone = Some("other".into()), false),
        (|m| m.instance_type = Some("other".into()), false),
        (|m| m.market = Some(Market::OnDemand), false),
    ];
    for (change, covers) in cases {
        let mut mark = mark(0, "");
        change(&mut mark);
        assert_eq!(mark.covers(&offer), covers, "{mark:?}");
    }
    let mut anywhere = offer;
    anywhere.zone = None;
    assert!(
        !mark(0, "").covers(&anywhere),
        "the provider may find another zone"
    );
}

#[tokio::test]
async fn a_zone_that_has_capacity_again_loses_its_own_mark_and_no_other() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    for zone in ["a", "b"] {
        let mut mark = mark(60, "sold out");
        mark.zone = Some(zone.into());
        store.put_mark(&mark).await.unwrap();
    }
    let mut lifted = offer();
    lifted.zone = Some("a".into());
    store.lift_mark(&lifted).await.unwrap();
    let left = store.marks(at(0)).await.unwrap();
    let zones: Vec<_> = left.iter().map(|mark| mark.zone.as_deref()).collect();
    assert_eq!(zones, [Some("b")]);
}

#[tokio::test]
async fn marks_that_have_run_out_lately_are_known_until_they_are_lifted() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    store.put_mark(&mark(100, "sold out")).await.unwrap();
    let spent = |since, now| {
        let store = store.clone();
        async move { store.spent_marks(at(since), at(now)).await.unwrap().len() }
    };
    assert_eq!(spent(50, 99).await, 0, "it is in force");
    assert_eq!(spent(50, 101).await, 1);
    assert_eq!(spent(100, 101).await, 0, "that is too long ago");
    store.lift_mark(&offer()).await.unwrap();
    assert_eq!(spent(50, 101).await, 0, "there was capacity since");
}
