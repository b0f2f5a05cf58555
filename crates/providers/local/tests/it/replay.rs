//! The same token, the same nodes: whatever happened in between.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use fleetwright_core::{
    CreateRequest, Effect, Kind, ListRequest, Node, NodeState, Provider as _, keys,
};

use crate::support::{World, program, provider_at, request_for, until};

fn ids(nodes: &[Node]) -> BTreeSet<String> {
    nodes.iter().map(|node| node.id.to_string()).collect()
}

#[tokio::test]
async fn the_same_token_gives_the_same_nodes() {
    let world = World::new();
    let mut request = world.request(3);
    let first = world.provider.create(&request).await.unwrap();
    request.replay = true;
    let again = world.provider.create(&request).await.unwrap();
    assert_eq!(ids(&first.nodes), ids(&again.nodes));
    assert_eq!(world.list().await.len(), 3);
    let other = world.provider.create(&world.request(3)).await.unwrap();
    assert!(ids(&first.nodes).is_disjoint(&ids(&other.nodes)));
}

#[tokio::test]
async fn the_same_call_from_many_sides_at_once_makes_its_nodes_once() {
    let world = World::new();
    let request = world.request(2);
    let calls = (0..8).map(|_| {
        let provider = Arc::new(provider_at(&world.root(), 50, program()));
        let request = request.clone();
        async move { provider.create(&request).await.unwrap() }
    });
    let answers = futures::future::join_all(calls).await;
    for answer in &answers {
        assert_eq!(ids(&answer.nodes), ids(&answers[0].nodes));
        assert!(
            answer
                .nodes
                .iter()
                .all(|node| node.state == NodeState::Running)
        );
    }
    assert_eq!(world.list().await.len(), 2);
}

#[tokio::test]
async fn a_token_with_other_parameters_is_a_conflict() {
    let world = World::new();
    let request = world.request(2);
    world.provider.create(&request).await.unwrap();
    let mut fewer = request.clone();
    fewer.count = 1;
    let mut other = request.clone();
    other.spec.labels.insert("a".into(), "b".into());
    for wrong in [fewer, other] {
        let error = world.provider.create(&wrong).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
        assert!(
            error.to_string().contains(request.token.as_str()),
            "{error}"
        );
    }
    assert_eq!(world.list().await.len(), 2);
}

#[tokio::test]
async fn a_deleted_node_does_not_come_back_with_its_token() {
    let world = World::new();
    let request = world.request(2);
    let nodes = world.provider.create(&request).await.unwrap().nodes;
    world.provider.delete(&nodes[0].id).await.unwrap();
    let again = world.provider.create(&request).await.unwrap();
    assert!(again.shortfall.is_none());
    let states: Vec<_> = again
        .nodes
        .iter()
        .map(|n| (&n.id, n.state.clone()))
        .collect();
    assert_eq!(
        states,
        [
            (&nodes[0].id, NodeState::Deleted),
            (&nodes[1].id, NodeState::Running)
        ]
    );
    assert_eq!(ids(&world.list().await), ids(&nodes[1..]));
    let mut other = request.clone();
    other.count = 1;
    let error = world.provider.create(&other).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
}

#[tokio::test]
async fn a_call_that_was_killed_before_its_node_had_a_name_leaves_none() {
    let world = World::new();
    let request = world.request(1);
    let id = world.provider.create(&request).await.unwrap().nodes[0]
        .id
        .clone();
    world.provider.delete(&id).await.unwrap();
    std::fs::remove_file(world.root().join(".deleted").join(id.native())).unwrap();
    // Half written, as the kill left it.
    let half = world.root().join(format!(".new-{}", id.native()));
    std::fs::create_dir(&half).unwrap();
    std::fs::write(half.join("node.json"), "{").unwrap();
    assert_eq!(world.list().await, []);
    let node = world
        .provider
        .create(&request)
        .await
        .unwrap()
        .nodes
        .remove(0);
    assert_eq!((&node.id, &node.state), (&id, &NodeState::Running));
    assert!(!half.exists());
}

#[tokio::test]
async fn a_call_that_was_killed_before_its_process_started_is_finished_by_its_replay() {
    let world = World::new();
    let request = world.request(2);
    let seen = world.half_made(&request).await;
    // They are not hidden.
    assert_eq!(seen.len(), 2);
    for node in &seen {
        assert_eq!(node.state, NodeState::Pending, "{node:?}");
    }
    let again = world.provider.create(&request).await.unwrap();
    assert_eq!(ids(&again.nodes), ids(&seen));
    assert!(again.nodes.iter().all(|n| n.state == NodeState::Running));
}

#[tokio::test]
async fn a_node_that_has_died_is_not_brought_back_by_a_replay() {
    let world = World::new();
    let request = world.request(1);
    let node = world
        .provider
        .create(&request)
        .await
        .unwrap()
        .nodes
        .remove(0);
    let pid = std::fs::read_to_string(world.node_dir(&node).join("pid")).unwrap();
    std::process::Command::new("kill")
        .args(["-KILL", &pid])
        .status()
        .unwrap();
    until("the end", async || {
        (world.look(&node.id).await.state == NodeState::Failed).then_some(())
    })
    .await;
    let again = world.provider.create(&request).await.unwrap();
    assert_eq!(again.nodes[0].id, node.id);
    assert_eq!(again.nodes[0].state, NodeState::Failed);
}

#[tokio::test]
async fn a_dropped_call_leaves_nothing_that_its_replay_does_not_find() {
    for round in 0..10 {
        let world = World::new();
        let request = world.request(3);
        let limit = Duration::from_micros(round * 900);
        let dropped = tokio::time::timeout(limit, world.provider.create(&request)).await;
        let again = world.provider.create(&request).await.unwrap();
        assert_eq!(again.nodes.len(), 3);
        assert_eq!(ids(&world.list().await), ids(&again.nodes), "{dropped:?}");
    }
}

#[tokio::test]
async fn a_deletion_that_was_killed_while_it_removed_files_is_remembered() {
    let world = World::new();
    let request = world.request(1);
    let id = world.provider.create(&request).await.unwrap().nodes[0]
        .id
        .clone();
    world.provider.delete(&id).await.unwrap();
    // As the kill left it: taken out, not yet remembered.
    let trash = world.root().join(format!(".trash-{}-0", id.native()));
    std::fs::create_dir(&trash).unwrap();
    let record = world.root().join(".deleted").join(id.native());
    std::fs::rename(record, trash.join("node.json")).unwrap();
    let again = world.provider.create(&request).await.unwrap();
    assert_eq!(again.nodes[0].state, NodeState::Deleted);
    assert_eq!(world.list().await, []);
    assert!(!trash.exists());
}

const KILLED: &str = "replay::\
    a_maker_that_is_killed_anywhere_is_finished_by_a_replay_and_its_nodes_outlive_it";

#[tokio::test]
async fn a_maker_that_is_killed_anywhere_is_finished_by_a_replay_and_its_nodes_outlive_it() {
    // In the process that is to be killed, this same test is the maker.
    if let Ok(text) = std::env::var("FLEETWRIGHT_TEST_REQUEST") {
        let (root, request): (PathBuf, CreateRequest) = serde_json::from_str(&text).unwrap();
        let provider = provider_at(&root, 50, program());
        provider.create(&request).await.unwrap();
        return;
    }
    let (mut none, mut some) = (0, 0);
    for round in 0..24 {
        let world = World::new();
        let request = world.request(3);
        let mut maker = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", KILLED])
            .env(
                "FLEETWRIGHT_TEST_REQUEST",
                serde_json::to_string(&(world.root(), &request)).unwrap(),
            )
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(2 * round)).await;
        maker.kill().await.unwrap();

        let left = world.list().await;
        if left.is_empty() {
            none += 1;
        } else {
            some += 1;
        }
        let again = world.provider.create(&request).await.unwrap();
        assert_eq!(again.nodes.len(), 3);
        assert!(ids(&left).is_subset(&ids(&again.nodes)), "round {round}");
        assert_eq!(ids(&world.list().await), ids(&again.nodes), "round {round}");
        for node in &again.nodes {
            assert_eq!(node.state, NodeState::Running, "round {round}: {node:?}");
            assert_eq!(world.says(node, "echo here").await, "here\n");
        }
    }
    // Otherwise the rounds did not meet the calls at all.
    assert!(some > 0, "no maker came as far as making anything");
    println!("killed before anything was made: {none}; after: {some}");
}

#[tokio::test]
async fn nodes_of_others_are_listed_only_on_demand_and_labels_select() {
    let world = World::new();
    let mut spec = world.spec();
    spec.labels.remove(keys::MANAGED_BY);
    spec.labels.insert("team".into(), "ml".into());
    let foreign = world.provider.create(&request_for(1, spec)).await.unwrap();
    let ours = world.one().await;
    assert_eq!(ids(&world.list().await), ids(std::slice::from_ref(&ours)));
    let mut wanted = ListRequest {
        foreign: true,
        ..ListRequest::default()
    };
    assert_eq!(world.provider.list(&wanted).await.unwrap().nodes.len(), 2);
    wanted.labels.insert("team".into(), "ml".into());
    let selected = world.provider.list(&wanted).await.unwrap().nodes;
    assert_eq!(ids(&selected), ids(&foreign.nodes));
}

#[tokio::test]
async fn a_call_that_finds_a_half_made_node_and_cannot_start_it_says_that_something_exists() {
    let world = World::new();
    let request = world.request(1);
    world.half_made(&request).await;
    let mut missing = program();
    missing.path = "/no/such/program".into();
    let provider = provider_at(&world.root(), 50, missing);
    let error = provider.create(&request).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::Config, Effect::Unknown)
    );
    assert_eq!(world.list().await.len(), 1);
}
