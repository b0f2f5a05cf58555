//! Capacity marks.

use std::time::Duration;

use fleetwright_core::{Error, Kind, Market};
use fleetwright_store::{Admission, Lifetime, Mark, Store};

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
    assert_eq!(two.clear_marks(&|_| true).await.unwrap(), 2);
    assert_eq!(one.marks(at(0)).await.unwrap(), []);
    assert_eq!(one.clear_marks(&|_| true).await.unwrap(), 0);
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
async fn a_zone_that_is_said_to_have_capacity_loses_its_own_mark_and_no_other() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    for zone in ["a", "b"] {
        let mut mark = mark(60, "sold out");
        mark.zone = Some(zone.into());
        store.put_mark(&mark).await.unwrap();
    }
    let mut lifted = offer();
    lifted.zone = Some("a".into());
    store.end_mark(&lifted, at(1)).await.unwrap();
    let left = store.marks(at(2)).await.unwrap();
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
    let lifted = store.remember_success(&offer(), at(101), at(102)).await;
    assert_eq!(lifted.unwrap().len(), 1);
    assert_eq!(spent(50, 101).await, 0, "there was capacity since");
}

const MINUTE: i64 = 60_000_000;

/// How long the next request is held back, in seconds, by what the refusal of an offer at this
/// minute teaches.
async fn refuse(store: &Store, minute: i64) -> i64 {
    let now = at(minute * MINUTE);
    let shortage = store
        .remember_refusal(&mark(0, "sold out"), now)
        .await
        .unwrap();
    shortage.mark.until.duration_since(now).as_secs()
}

/// A machine is given again at this minute, by a request of then.
async fn give(store: &Store, minute: i64) -> usize {
    let now = at(minute * MINUTE);
    store
        .remember_success(&offer(), now, now)
        .await
        .unwrap()
        .len()
}

#[tokio::test]
async fn how_long_an_offer_is_left_alone_follows_from_how_long_shortages_lasted() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    assert_eq!(refuse(&store, 0).await, 180, "nothing is known yet");
    assert_eq!(
        refuse(&store, 40).await,
        180,
        "nobody asked for long: a new shortage"
    );
    // Refused for an hour, whenever its mark is over.
    assert_eq!(refuse(&store, 43).await, 90);
    for minute in [45, 48, 53, 60, 71, 87] {
        refuse(&store, minute).await;
    }
    assert_eq!(
        refuse(&store, 111).await,
        71 * 30,
        "half of what it has lasted"
    );
    assert_eq!(give(&store, 120).await, 1);
    assert_eq!(store.marks(at(120 * MINUTE)).await.unwrap(), []);
    let learned = refuse(&store, 1000).await;
    assert!((45 * 60..75 * 60).contains(&learned), "{learned} s");
    // It is over after a minute, and soon again the next time: the estimate falls.
    assert_eq!(give(&store, 1001).await, 1);
    let shorter = refuse(&store, 2000).await;
    assert!(shorter < learned * 6 / 10, "{shorter} s after {learned} s");
}

#[tokio::test]
async fn what_was_learned_of_one_zone_is_believed_of_another_until_it_is_known_better() {
    let scratch = Scratch::new();
    let (store, other) = (scratch.open().await, scratch.open().await);
    for minute in [0, 3, 6, 12, 24] {
        refuse(&store, minute).await;
    }
    let elsewhere = Mark {
        region: Some("south".into()),
        zone: None,
        ..mark(0, "sold out")
    };
    let now = at(30 * MINUTE);
    let shortage = other.remember_refusal(&elsewhere, now).await.unwrap();
    assert!(
        shortage.lifetime.estimate > Lifetime::START * 2,
        "{shortage:?}"
    );
    assert_eq!(shortage.mark.until, now + shortage.lifetime.estimate);
    let another = Mark {
        market: Some(Market::OnDemand),
        ..elsewhere
    };
    let shortage = other.remember_refusal(&another, now).await.unwrap();
    assert_eq!(shortage.lifetime, Lifetime::default(), "another market");
    let learned = store.learned().await.unwrap();
    let places: Vec<_> = learned
        .iter()
        .map(|one| (one.region.as_deref(), one.zone.as_deref()))
        .collect();
    assert_eq!(places, [(None, None), (Some("north"), Some("north-a"))]);
    assert_eq!(
        store
            .forget_lifetimes(&|one| one.zone.is_some())
            .await
            .unwrap(),
        1
    );
    assert_eq!(store.learned().await.unwrap().len(), 1);
}

#[tokio::test]
async fn after_the_end_of_a_mark_one_request_over_all_processes_goes_first() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.open().await, scratch.open().await);
    let probe = Duration::from_mins(2);
    let minute = |count: i64| at(count * MINUTE);
    let ask = async |store: &Store, now| store.admit(&offer(), minute(now), probe).await.unwrap();
    let writes = one.writes();
    assert_eq!(ask(&one, 0).await, Admission::Free);
    assert_eq!(
        one.writes(),
        writes,
        "nothing is written where nothing is marked"
    );
    refuse(&one, 0).await;
    assert!(matches!(ask(&two, 2).await, Admission::Held(_)));
    assert_eq!(ask(&two, 4).await, Admission::Probe);
    assert!(
        matches!(ask(&one, 4).await, Admission::Held(mark) if mark.until.as_microsecond() == at(6 * MINUTE).as_microsecond()),
        "one at a time"
    );
    assert_eq!(
        one.marks(minute(5)).await.unwrap().len(),
        1,
        "planners wait as well"
    );
    // The prober died: somebody else may.
    assert_eq!(ask(&one, 6).await, Admission::Probe);
    // It is refused: all wait again. Then one is given, and the way is free.
    refuse(&one, 6).await;
    assert!(matches!(ask(&two, 8).await, Admission::Held(_)));
    assert_eq!(ask(&two, 10).await, Admission::Probe);
    assert_eq!(give(&two, 10).await, 1);
    assert_eq!(ask(&one, 10).await, Admission::Free);
    let mut other = offer();
    other.instance_type = "large".into();
    refuse(&one, 10).await;
    assert_eq!(
        two.admit(&other, minute(10), probe).await.unwrap(),
        Admission::Free
    );
}

#[tokio::test]
async fn a_request_that_was_under_way_when_another_was_refused_proves_nothing() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    refuse(&store, 5).await;
    let lifted = store
        .remember_success(&offer(), at(4 * MINUTE), at(6 * MINUTE))
        .await
        .unwrap();
    assert_eq!(lifted, []);
    assert_eq!(store.marks(at(6 * MINUTE)).await.unwrap().len(), 1);
    assert_eq!(store.learned().await.unwrap(), []);
}

#[tokio::test]
async fn refusals_side_by_side_are_one_shortage() {
    let scratch = Scratch::new();
    let store = scratch.open().await;
    for _ in 0..4 {
        refuse(&store, 5).await;
    }
    assert_eq!(
        refuse(&store, 6).await,
        120,
        "its mark is neither longer nor shorter"
    );
    let all = store.shortages(at(6 * MINUTE)).await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(
        all[0].since.as_microsecond(),
        at(5 * MINUTE).as_microsecond()
    );
    assert_eq!(all[0].lifetime, Lifetime::default());
    assert_eq!(
        store
            .clear_marks(&|mark| mark.zone.as_deref() == Some("other"))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        store
            .clear_marks(&|mark| mark.zone.as_deref() == Some("north-a"))
            .await
            .unwrap(),
        1
    );
}
