//! Targets that a cloud lists: they come, stay and go as its listings say, and no further.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetwright_core::{Discovery, Filter, Labels, TargetGroup};
use fleetwright_engine::{Engine, Fleet, TargetSet, TargetWish};

use super::deploy::{Answer, Scripted};
use crate::bed::{Bed, quick};
use crate::virtual_clock::VirtualClock;

fn edge() -> Fleet {
    let group = TargetGroup {
        hosts: vec!["static-1".into()],
        discover: vec![Discovery {
            provider: "sim".into(),
            filter: Some("label.role=edge".into()),
            ..Discovery::default()
        }],
        welcome: Some("welcome".into()),
        ..TargetGroup::default()
    };
    Fleet {
        name: "demo".into(),
        targets: BTreeMap::from([("edge".to_owned(), group)]),
        ..Fleet::default()
    }
}

fn role(role: &str) -> Labels {
    Labels::from([("role".to_owned(), role.to_owned())])
}

async fn look(engine: &Engine) -> TargetSet {
    engine.targets(&TargetWish::default()).await.unwrap()
}

fn names(set: &TargetSet) -> Vec<&str> {
    set.targets
        .iter()
        .map(|target| target.name.as_str())
        .collect()
}

#[tokio::test]
async fn a_part_that_cannot_be_listed_makes_nothing_vanish_and_a_full_listing_does() {
    let bed = Bed::new(quick());
    bed.world
        .add_node("sim-east", "east", role("edge"))
        .unwrap();
    let west = bed
        .world
        .add_node("sim-west", "west", role("edge"))
        .unwrap();
    bed.world.add_node("sim-west", "other", role("db")).unwrap();
    let engine = bed.engine(edge()).await;
    let set = look(&engine).await;
    assert_eq!(names(&set), ["static-1", "east", "west"]);
    assert!(set.gaps.is_empty());
    assert_eq!(set.state(&set.targets[1]), Some("running"));

    bed.world.break_listing("sim-west").unwrap();
    bed.world.kill(&west).unwrap();
    // Another process: what was seen is in the journal.
    let engine = bed.engine(edge()).await;
    let set = look(&engine).await;
    assert_eq!(names(&set), ["static-1", "east", "west"]);
    assert_eq!(set.gaps.len(), 1, "{:?}", set.gaps);
    let state = set.state(&set.targets[2]).unwrap();
    assert!(state.starts_with("not seen since "), "{state}");

    bed.world.heal_listing("sim-west").unwrap();
    let set = look(&engine).await;
    assert_eq!(names(&set), ["static-1", "east"]);
    assert!(set.gaps.is_empty());
    // And it does not come back when the region is out of sight again.
    bed.world.break_listing("sim-west").unwrap();
    assert_eq!(names(&look(&engine).await), ["static-1", "east"]);
}

#[tokio::test]
async fn given_names_and_filters_choose_among_them() {
    let bed = Bed::new(quick());
    bed.world
        .add_node("sim-east", "east", role("edge"))
        .unwrap();
    let engine = bed.engine(edge()).await;
    let find = async |given: &[&str], filter: &str| {
        let wish = TargetWish {
            given: given.iter().map(|word| (*word).to_owned()).collect(),
            filter: filter.parse::<Filter>().unwrap(),
        };
        engine.targets(&wish).await.unwrap()
    };
    assert_eq!(
        names(&find(&["east", "10.0.0.9:23"], "").await),
        ["east", "10.0.0.9:23"]
    );
    assert_eq!(names(&find(&[], "label.role=edge").await), ["east"]);
    assert_eq!(names(&find(&[], "origin=targets.edge").await), ["static-1"]);
    assert_eq!(
        names(&find(&[], "group=targets.*,provider=sim").await),
        ["east"]
    );
}

#[tokio::test]
async fn a_new_machine_is_welcomed_exactly_once_and_a_failure_is_tried_again() {
    let bed = Bed::new(quick());
    let clock = VirtualClock::new();
    let remote = Scripted::new(&clock);
    let engine = bed.engine_with(edge(), Some(remote.clone())).await;
    remote.says("static-1", &[Answer::Lost]);
    let welcome = async |engine: &Engine| {
        let set = look(engine).await;
        let work = engine.welcome(&set.targets);
        clock.run(&[engine.store()], work).await.unwrap()
    };
    let first = welcome(&engine).await;
    assert_eq!((first.done, first.failed), (0, 1));
    bed.world
        .add_node("sim-east", "east", role("edge"))
        .unwrap();
    let second = welcome(&engine).await;
    assert_eq!(
        (second.done, second.failed),
        (1, 0),
        "the failed one waits its minute"
    );
    let third = welcome(&engine).await;
    assert_eq!((third.done, third.failed), (0, 0));
    // Two processes at once: one of them does it.
    bed.world
        .add_node("sim-east", "late", role("edge"))
        .unwrap();
    let other = bed
        .engine_with(edge(), Some(Arc::clone(&remote) as _))
        .await;
    let set = look(&engine).await;
    let both = async { tokio::join!(engine.welcome(&set.targets), other.welcome(&set.targets)) };
    let (a, b) = clock.run(&[engine.store(), other.store()], both).await;
    assert_eq!(a.unwrap().done + b.unwrap().done, 1);
    assert_eq!(remote.ran.lock().unwrap().len(), 3);
}
