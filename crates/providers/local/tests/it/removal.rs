//! Deleting: nothing is left, whatever the node was doing.

use fleetwright_core::{Deletion, Kind, NodeId, NodeState, Provider as _};

use crate::support::{World, processes_of, until};

fn visible(world: &World) -> Vec<String> {
    std::fs::read_dir(world.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with(".lock") && name != ".deleted")
        .collect()
}

#[tokio::test]
async fn a_deleted_node_is_gone_with_all_that_ran_on_it() {
    let world = World::new();
    // A daemon in a session of its own, one that ignores polite signals, one with no environment.
    let script = "#!/bin/sh\n\
        setsid sleep 1000 &\n\
        (trap '' HUP TERM; setsid sh -c 'sleep 1000; true' &)\n\
        env -i setsid sleep 1000 &\n\
        touch started\n\
        sleep 1000\n";
    let node = world.one_with(Some(script)).await;
    until("the daemons", async || {
        world
            .run(&node, "test -e started")
            .await
            .exit
            .is_success()
            .then_some(())
    })
    .await;
    let dir = world.node_dir(&node).canonicalize().unwrap();
    assert!(processes_of(&dir).len() >= 5);
    assert_eq!(
        world.provider.delete(&node.id).await.unwrap(),
        Deletion::Gone
    );
    assert_eq!(processes_of(&dir), [0_u32; 0]);
    assert_eq!(visible(&world), [""; 0]);
    assert_eq!(world.list().await, []);
    assert_eq!(
        world.provider.get(&node.id).await.unwrap_err().kind(),
        Kind::NotFound
    );
}

#[tokio::test]
async fn what_a_killed_node_left_running_goes_with_it() {
    let world = World::new();
    let node = world
        .one_with(Some(
            "#!/bin/sh\nsetsid sleep 1000 &\nsleep 1000 &\ntouch started\n",
        ))
        .await;
    world.booted(&node).await;
    let dir = world.node_dir(&node).canonicalize().unwrap();
    let pid = std::fs::read_to_string(dir.join("pid")).unwrap();
    let killed = std::process::Command::new("kill")
        .args(["-KILL", &pid])
        .status();
    assert!(killed.unwrap().success());
    until("the end", async || {
        (world.look(&node.id).await.state == NodeState::Failed).then_some(())
    })
    .await;
    assert_eq!(processes_of(&dir).len(), 2);
    assert_eq!(
        world.provider.delete(&node.id).await.unwrap(),
        Deletion::Gone
    );
    assert_eq!(processes_of(&dir), [0_u32; 0]);
    assert_eq!(visible(&world), [""; 0]);
}

#[tokio::test]
async fn deleting_touches_no_other_node() {
    let world = World::new();
    let (one, other) = (world.one().await, world.one().await);
    world.provider.delete(&one.id).await.unwrap();
    assert_eq!(world.says(&other, "echo here").await, "here\n");
    assert_eq!(world.list().await.len(), 1);
}

#[tokio::test]
async fn deleting_what_is_gone_or_never_was_is_fine() {
    let world = World::new();
    let node = world.one().await;
    for _ in 0..2 {
        assert_eq!(
            world.provider.delete(&node.id).await.unwrap(),
            Deletion::Gone
        );
    }
    for native in ["n-never", "../x", "."] {
        let id = NodeId::new("here", "local", native).unwrap();
        assert_eq!(world.provider.delete(&id).await.unwrap(), Deletion::Gone);
    }
    let foreign = NodeId::new("elsewhere", "local", "n-1").unwrap();
    assert_eq!(
        world.provider.delete(&foreign).await.unwrap_err().kind(),
        Kind::Invalid
    );
}

#[tokio::test]
async fn two_deletions_at_once_both_end_with_gone() {
    let world = World::new();
    let node = world
        .one_with(Some("#!/bin/sh\ntrap '' TERM\nsleep 1000\n"))
        .await;
    let (a, b) = tokio::join!(
        world.provider.delete(&node.id),
        world.provider.delete(&node.id)
    );
    assert_eq!((a.unwrap(), b.unwrap()), (Deletion::Gone, Deletion::Gone));
    assert_eq!(visible(&world), [""; 0]);
}

#[tokio::test]
async fn a_deletion_that_was_broken_off_is_finished_by_the_next() {
    let world = World::new();
    let node = world
        .one_with(Some("#!/bin/sh\ntrap '' TERM HUP\nsleep 1000\n"))
        .await;
    let broken_off = tokio::time::timeout(
        std::time::Duration::from_millis(1),
        world.provider.delete(&node.id),
    );
    assert!(broken_off.await.is_err());
    assert_eq!(world.look(&node.id).await.state, NodeState::Deleting);
    assert_eq!(
        world.provider.delete(&node.id).await.unwrap(),
        Deletion::Gone
    );
    assert_eq!(visible(&world), [""; 0]);
}

#[tokio::test]
async fn trash_of_a_killed_deletion_is_no_node_and_goes_with_the_next_listing() {
    let world = World::new();
    let node = world.one().await;
    world.provider.delete(&node.id).await.unwrap();
    let trash = world.root().join(".trash-n-1-x");
    std::fs::create_dir_all(trash.join("home")).unwrap();
    assert_eq!(world.list().await, []);
    assert!(!trash.exists());
}

#[tokio::test]
async fn a_home_that_was_made_read_only_is_removed() {
    let world = World::new();
    let node = world.one().await;
    world
        .says(
            &node,
            "mkdir -p a/b; touch a/b/c; chmod -R a-w a; chmod a-w .",
        )
        .await;
    assert_eq!(
        world.provider.delete(&node.id).await.unwrap(),
        Deletion::Gone
    );
    assert_eq!(visible(&world), [""; 0]);
}
