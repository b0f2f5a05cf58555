//! Targets that a cloud lists: they come, stay and go as its listings say, and no further.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fleetwright_core::ability::GroupSpec;
use fleetwright_core::{
    ClaimId, Discovery, Filter, Labels, Market, NodeSpec, Provider, TargetGroup, Token, fingerprint,
};
use fleetwright_engine::{
    Engine, EngineEyes, Fleet, TargetSet, TargetWish, Upkeep, UpkeepOptions, UpkeepRound,
};

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

/// A group in the east that the cloud keeps at two machines, and that nobody but the cloud knows of.
async fn kept_by_the_cloud(provider: &dyn Provider, name: &str) {
    let spec = GroupSpec {
        name: name.into(),
        min: 0,
        desired: 2,
        max: 9,
        node: NodeSpec {
            name: name.into(),
            instance_type: "sim.small".into(),
            image: None,
            region: "sim-east".into(),
            zone: None,
            market: Market::OnDemand,
            ssh_keys: Vec::new(),
            user_data: None,
            labels: Labels::new(),
            options: serde_json::Map::new(),
        },
    };
    let token = Token::new(ClaimId::new(), 1, &fingerprint(&spec));
    let groups = provider.groups().expect("the simulated cloud has groups");
    groups.create_group(&spec, &token).await.unwrap();
}

#[tokio::test]
async fn what_a_group_of_the_cloud_adds_is_welcomed_once_and_what_leaves_it_goes_without_alarm() {
    let bed = Bed::new(quick());
    bed.world.add_node("sim-east", "loner", role("db")).unwrap();
    let group = TargetGroup {
        discover: vec![Discovery {
            provider: "sim".into(),
            members_of: Some("workers".into()),
            ..Discovery::default()
        }],
        welcome: Some("join".into()),
        ..TargetGroup::default()
    };
    let fleet = Fleet {
        name: "demo".into(),
        targets: BTreeMap::from([("workers".to_owned(), group)]),
        ..Fleet::default()
    };
    let clock = VirtualClock::new();
    let remote = Scripted::new(&clock);
    let engine = bed.engine_with(fleet, Some(remote.clone())).await;
    let provider = Arc::clone(&engine.providers()["sim"]);
    let groups = provider.groups().expect("the simulated cloud has groups");
    kept_by_the_cloud(&*provider, "workers").await;
    kept_by_the_cloud(&*provider, "others").await;

    let options = UpkeepOptions {
        holder: "test".into(),
        report_only: false,
        on: Filter::default(),
        gap: Duration::from_mins(5),
        here: None,
    };
    let eyes = EngineEyes(engine.clone());
    let mut memory = Upkeep::default();
    let mut round = async || {
        let work = engine.upkeep(&eyes, &mut memory, &options);
        clock.run(&[engine.store()], work).await.unwrap()
    };
    let seen = |round: &UpkeepRound| (round.targets, round.welcomed);
    assert_eq!(seen(&round().await), (2, 2));
    groups.grow("sim-east", "workers", 4).await.unwrap();
    assert_eq!(seen(&round().await), (4, 2));
    assert_eq!(seen(&round().await), (4, 0));

    let members = groups.members("sim-east", "workers").await.unwrap();
    let gone = std::slice::from_ref(&members[0].node);
    let removed = groups.remove_members("sim-east", "workers", gone).await;
    removed.unwrap();
    let last = round().await;
    assert_eq!(seen(&last), (3, 0));
    assert!(
        last.opened.is_empty() && last.troubles.is_empty(),
        "{last:?}"
    );
    assert_eq!(remote.ran.lock().unwrap().len(), 4);
}
