//! The life of a node, from the request to its end.

use std::collections::BTreeSet;

use fleetwright_core::ability::MemberHealth;
use fleetwright_core::{Boot, Fingerprint, Life};
use fleetwright_engine::{Engine, Fleet, Standing};

use crate::bed::{Bed, assert_reached, converge, fleet, lives, one_pool, pool, quick, remove_all};

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let bed = Bed::new(quick());
    let engine = bed.engine(one_pool(3)).await;
    assert_reached(&converge(&engine).await);
    let before = bed.live();
    let outcome = converge(&engine).await;
    assert_reached(&outcome);
    assert!(!outcome.executed.has_changes(), "{:?}", outcome.executed);
    assert_eq!(bed.live(), before);
    assert!(engine.audit().await.unwrap().is_clean());
}

#[tokio::test]
async fn a_node_that_was_killed_from_outside_is_replaced() {
    let bed = Bed::new(quick());
    let engine = bed.engine(one_pool(3)).await;
    assert_reached(&converge(&engine).await);
    let before = bed.live();
    let dead = before.first().unwrap().clone();
    bed.world.kill(&dead).unwrap();
    let outcome = converge(&engine).await;
    assert_reached(&outcome);
    assert_eq!(outcome.executed.created, 1);
    let after = bed.live();
    assert_eq!(after.len(), 3);
    assert_eq!(after.intersection(&before).count(), 2);
    let record = engine.store().node(&dead).await.unwrap().unwrap();
    assert_eq!(record.life, Life::Gone);
    assert_eq!(
        record.reason,
        "the provider says it is gone; we did not ask for that"
    );
}

async fn health(engine: &Engine) -> Vec<MemberHealth> {
    let provider = engine.providers().get("sim").unwrap();
    let members = provider.balancers().unwrap().members("web").await.unwrap();
    members.into_iter().map(|member| member.health).collect()
}

#[tokio::test]
async fn a_balanced_node_gets_its_traffic_and_loses_it_before_it_goes() {
    let bed = Bed::new(quick());
    let balanced = |desired| {
        let mut pool = pool(desired, &["sim-east"]);
        pool.balancer = Some("web".into());
        fleet([("web", pool)])
    };
    let engine = bed.engine(balanced(2)).await;
    let outcome = converge(&engine).await;
    assert_reached(&outcome);
    let lives_of: Vec<Life> = outcome.observation.records.iter().map(|r| r.life).collect();
    assert_eq!(lives_of, [Life::InService, Life::InService]);
    assert_eq!(
        health(&engine).await,
        [MemberHealth::Healthy, MemberHealth::Healthy]
    );

    let before = bed.live();
    let engine = bed.engine(balanced(1)).await;
    assert_reached(&converge(&engine).await);
    assert_eq!(health(&engine).await, [MemberHealth::Healthy]);
    let after = bed.live();
    let gone: Vec<_> = before.difference(&after).collect();
    assert_eq!((after.len(), gone.len()), (1, 1));
    let passed = lives(&engine, gone[0]).await;
    let end = passed.len().saturating_sub(4);
    let expected = [
        Life::InService,
        Life::Draining,
        Life::Terminating,
        Life::Gone,
    ];
    assert_eq!(passed[end..], expected, "{passed:?}");
    assert_eq!(passed[0], Life::Requested);
}

fn with_script(script: &str) -> Fleet {
    let mut pool = pool(2, &["sim-east"]);
    pool.user_data = Some(script.to_owned());
    fleet([("web", pool)])
}

#[tokio::test]
async fn a_node_whose_boot_failed_is_kept_to_be_looked_at_until_its_definition_changes() {
    let bed = Bed::new(quick());
    let engine = bed.engine(with_script("#!/bin/sh\nexit 3\n")).await;
    let outcome = converge(&engine).await;
    assert!(
        matches!(outcome.standing, Standing::Incomplete),
        "{outcome:#?}"
    );
    for record in &outcome.observation.records {
        assert_eq!(record.life, Life::Failed);
        assert_eq!(record.reason, "its boot script ended with 3");
        let Some(Boot::Failed { log_tail, .. }) = &record.boot else {
            panic!("{record:#?}");
        };
        assert!(!log_tail.is_empty());
    }
    let failed = bed.live();
    let outcome = converge(&engine).await;
    assert!(
        !outcome.executed.has_changes(),
        "making them again would fail again"
    );
    assert_eq!(bed.live(), failed);

    let engine = bed.engine(with_script("#!/bin/sh\nexit 0\n")).await;
    let outcome = converge(&engine).await;
    assert_reached(&outcome);
    assert_eq!(bed.live().len(), 2);
    assert!(bed.live().is_disjoint(&failed));
    let generations: BTreeSet<&str> = outcome
        .observation
        .records
        .iter()
        .map(|r| r.generation.as_str())
        .collect();
    let current: Fingerprint = engine.fleet().pools["web"].generation();
    assert_eq!(generations, BTreeSet::from([current.short()]));
}

#[tokio::test]
async fn after_down_nothing_is_left_and_no_record_says_otherwise() {
    let bed = Bed::new(quick());
    let engine = bed.engine(one_pool(3)).await;
    assert_reached(&converge(&engine).await);
    let outcome = remove_all(&engine).await;
    assert_reached(&outcome);
    assert_eq!(outcome.executed.deleted, 3);
    assert!(bed.live().is_empty());
    assert!(engine.store().nodes().await.unwrap().is_empty());
    let all = engine.store().nodes_with_gone().await.unwrap();
    assert!(
        all.iter()
            .all(|record| record.life == Life::Gone && record.gone_at.is_some())
    );
}
