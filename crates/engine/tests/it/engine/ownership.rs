//! Whose nodes they are: what others made is never touched.

use std::collections::BTreeSet;

use fleetwright_core::{Labels, NodeId, Purpose, keys};
use fleetwright_engine::Standing;

use crate::bed::{Bed, assert_reached, converge, one_pool, options, quick, remove_all};

#[tokio::test]
async fn what_others_made_is_never_touched() {
    let bed = Bed::new(quick());
    let engine = bed.engine(one_pool(2)).await;
    let mut of_another_journal = Bed::labels(&engine, "web");
    of_another_journal.insert(keys::JOURNAL.into(), "another".into());
    let world = &bed.world;
    let others = BTreeSet::from([
        world
            .add_node("sim-east", "by-hand", Labels::new())
            .unwrap(),
        world
            .add_node("sim-east", "web-9", of_another_journal)
            .unwrap(),
    ]);
    assert_reached(&converge(&engine).await);
    assert_eq!(bed.live().len(), 4, "they do not count");
    assert_eq!(engine.audit().await.unwrap().strangers.len(), 1);
    assert_reached(&remove_all(&engine).await);
    assert_eq!(bed.live(), others);
}

#[tokio::test]
async fn without_its_journal_nodes_are_strangers_until_they_are_adopted() {
    let bed = Bed::new(quick());
    assert_reached(&converge(&bed.engine(one_pool(2)).await).await);
    let old = bed.live();

    let engine = bed.engine_on("new", one_pool(2)).await;
    assert_reached(&converge(&engine).await);
    assert!(bed.live().is_superset(&old));
    assert_eq!(bed.live().len(), 4, "the new journal has its own");
    let strangers = engine.audit().await.unwrap().strangers;
    let strangers: BTreeSet<NodeId> = strangers.into_iter().map(|node| node.id).collect();
    assert_eq!(strangers, old);
    assert_reached(&remove_all(&engine).await);
    assert_eq!(bed.live(), old);

    assert_eq!(engine.adopt_strangers("a test").await.unwrap().len(), 2);
    assert!(engine.audit().await.unwrap().strangers.is_empty());
    let outcome = converge(&engine).await;
    assert_reached(&outcome);
    assert_eq!(outcome.executed.created, 0, "the adopted ones count");
    assert_eq!(bed.live(), old);
    assert_reached(&remove_all(&engine).await);
    assert!(bed.live().is_empty());
}

#[tokio::test]
async fn a_node_that_lost_its_record_is_adopted() {
    let bed = Bed::new(quick());
    let engine = bed.engine(one_pool(1)).await;
    let labels = Bed::labels(&engine, "web");
    let orphan = bed.world.add_node("sim-east", "web-1", labels).unwrap();
    let outcome = converge(&engine).await;
    assert_reached(&outcome);
    assert_eq!((outcome.executed.adopted, outcome.executed.created), (1, 0));
    let record = engine.store().node(&orphan).await.unwrap().unwrap();
    assert_eq!(record.pool, "web");
}

#[tokio::test]
async fn two_at_once_are_told_apart_by_the_lease() {
    let mut config = quick();
    config.boot_time = crate::bed::millis(600);
    let bed = Bed::new(config);
    let (first, second) = (bed.engine(one_pool(2)).await, bed.engine(one_pool(2)).await);
    let (first, second) = futures::join!(converge(&first), async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let mut late = options(Purpose::Converge);
        late.holder = "the late one".into();
        second.converge(&late).await
    });
    assert_reached(&first);
    let error = second.unwrap_err();
    assert_eq!(error.kind(), fleetwright_core::Kind::Conflict);
    assert!(
        error.to_string().contains("held by `a test` since "),
        "{error}"
    );
    assert_eq!(bed.live().len(), 2);
}

#[tokio::test]
async fn a_stored_plan_is_executed_once_and_refused_when_the_world_has_moved_on() {
    let bed = Bed::new(quick());
    let engine = bed.engine(one_pool(2)).await;
    let plan_options = fleetwright_engine::PlanOptions::default();
    let (plan, _) = engine.plan(Purpose::Converge, &plan_options).await.unwrap();
    let stored = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
    let run = options(Purpose::Converge);
    assert_reached(&engine.apply(&stored, &run).await.unwrap());
    assert_eq!(bed.live().len(), 2);

    let error = engine.apply(&stored, &run).await.unwrap_err();
    assert_eq!(error.kind(), fleetwright_core::Kind::Conflict);
    assert!(error.to_string().contains("stale"), "{error}");
    assert_eq!(bed.live().len(), 2);

    let wider = bed.engine(one_pool(3)).await;
    let (plan, _) = wider.plan(Purpose::Converge, &plan_options).await.unwrap();
    let error = engine.apply(&plan, &run).await.unwrap_err();
    assert!(
        error.to_string().contains("stale"),
        "the wish is another: {error}"
    );
}

#[tokio::test]
async fn a_run_that_removes_too_much_does_nothing() {
    let bed = Bed::new(quick());
    assert_reached(&converge(&bed.engine(one_pool(6)).await).await);
    let before = bed.live();
    let outcome = converge(&bed.engine(one_pool(1)).await).await;
    assert!(
        matches!(outcome.standing, Standing::Braked(_)),
        "{outcome:#?}"
    );
    assert_eq!(bed.live(), before);
}
