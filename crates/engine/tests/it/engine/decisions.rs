//! Why machines were asked for where they were, as it can be read afterwards.

use fleetwright_core::{ClaimState, Decision};
use fleetwright_engine::Engine;
use fleetwright_sim::{SimCapacity, SimConfig};

use crate::bed::{Bed, assert_reached, converge, fleet, one_pool, pool, quick};

async fn last(engine: &Engine) -> Decision {
    let decision = engine.store().last_decision("web").await.unwrap();
    decision.expect("it was decided")
}

#[tokio::test]
async fn every_node_leads_to_the_decision_that_it_came_of() {
    let bed = Bed::new(quick());
    let engine = bed.engine(one_pool(2)).await;
    assert_reached(&converge(&engine).await);
    let decision = last(&engine).await;
    assert_eq!((decision.count, decision.wish.wanted), (2, 2));
    assert_eq!(decision.reason, "pool `web` has 0 nodes and wants 2");
    assert_eq!(decision.wish.strategy(), "priority");
    assert!(!decision.offers.is_empty());
    for record in engine.store().nodes().await.unwrap() {
        let claims = engine.store().claim(record.claim.unwrap()).await.unwrap();
        assert_eq!(claims[0].decision, Some(decision.id));
    }
    // A run that makes nothing decides nothing.
    assert_reached(&converge(&engine).await);
    assert_eq!(last(&engine).await.id, decision.id);
}

#[tokio::test]
async fn what_was_tried_first_is_kept_with_its_answer() {
    let bed = Bed::new(SimConfig {
        capacity: vec![SimCapacity {
            region: Some("sim-east".into()),
            ..SimCapacity::default()
        }],
        ..quick()
    });
    let both = ["sim-east", "sim-west"];
    let engine = bed.engine(fleet([("web", pool(1, &both))])).await;
    assert_reached(&converge(&engine).await);
    let decision = last(&engine).await;
    let claims = engine.store().claims_of(decision.id).await.unwrap();
    assert!(claims.len() > 1, "{claims:#?}");
    let (made, refused) = claims.split_last().unwrap();
    assert!(matches!(made.state, ClaimState::Fulfilled { .. }));
    let is_refused = |state: &ClaimState| matches!(state, ClaimState::Refused { .. });
    assert!(refused.iter().all(|claim| is_refused(&claim.state)));
    // Offers are recorded in the order in which they were tried.
    let tried: Vec<String> = claims.iter().map(|claim| claim.offer.label()).collect();
    let offers: Vec<String> = decision
        .offers
        .iter()
        .map(fleetwright_core::Offer::label)
        .collect();
    let at = |label: &String| offers.iter().position(|offer| offer == label).unwrap();
    assert!(tried.iter().map(at).is_sorted(), "{tried:?} {offers:?}");

    // The next one is made with the marks of this one.
    let engine = bed.engine(fleet([("web", pool(2, &both))])).await;
    assert_reached(&converge(&engine).await);
    let next = last(&engine).await;
    assert_ne!(next.id, decision.id);
    assert_eq!(next.counts.ready, 1);
    assert!(!next.marks.is_empty(), "{next:#?}");
    let mut excluded = next.excluded.iter();
    let marked = excluded.any(|one| one.why.starts_with("taken for sold out until "));
    assert!(marked, "{next:#?}");
}

#[tokio::test]
async fn when_nothing_is_left_the_reasons_are_kept_and_replace_each_other() {
    let bed = Bed::new(quick());
    let mut web = pool(1, &["sim-east"]);
    web.max_price = Some("$0.0001/h".into());
    let engine = bed.engine(fleet([("web", web)])).await;
    converge(&engine).await;
    let first = last(&engine).await;
    assert!(first.is_refusal());
    let why = &first.excluded[0].why;
    assert!(why.contains("above the limit"), "{why}");
    converge(&engine).await;
    let second = last(&engine).await;
    assert_ne!(second.id, first.id);
    assert_eq!(engine.store().decision(first.id).await.unwrap(), None);

    let observation = engine.observe_with_catalogs().await.unwrap();
    let now = engine.decide_now(&observation, "web");
    assert_eq!(now.excluded, second.excluded);
    let kept = last(&engine).await.id;
    assert_eq!(kept, second.id, "asking decides nothing");
}
