//! The process behind a node: who it outlives, and how its state is known.

use fleetwright_core::{Boot, Coverage, Kind, ListRequest, NodeState, Provider as _};

use crate::support::{World, processes_of, program, provider_at, runs, until};

fn pid_of(world: &World, node: &fleetwright_core::Node) -> u32 {
    let text = std::fs::read_to_string(world.node_dir(node).join("pid")).unwrap();
    text.parse().unwrap()
}

fn kill(signal: &str, pid: u32) {
    let sent = std::process::Command::new("kill")
        .args([signal, &pid.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

#[tokio::test]
async fn a_node_says_where_it_is_and_what_it_is() {
    let world = World::new();
    let node = world.one().await;
    assert_eq!(node.name, "web-0");
    assert_eq!(node.instance_type, "small");
    assert_eq!(node.addresses.private.unwrap().to_string(), "127.0.0.1");
    let access = node.access.clone().unwrap();
    assert_eq!(access.host, "127.0.0.1");
    assert!(
        access.host_keys[0].starts_with("ssh-ed25519 "),
        "{access:?}"
    );
    assert_eq!(world.booted(&node).await, Boot::Succeeded);
    assert_eq!(world.list().await, [world.look(&node.id).await]);
}

#[tokio::test]
async fn its_files_are_for_its_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let node = world.one().await;
    let mode = |path: &str| {
        let path = world.node_dir(&node).join(path);
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    for (path, wanted) in [
        ("", 0o700),
        ("home", 0o700),
        ("host_key", 0o600),
        ("node.json", 0o600),
    ] {
        assert_eq!(mode(path), wanted, "{path}");
    }
}

#[tokio::test]
async fn a_node_leaves_the_session_of_its_maker_and_survives_a_hang_up() {
    let world = World::new();
    let node = world.one().await;
    let pid = pid_of(&world, &node);
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    let (group, session, terminal) = (fields[2], fields[3], fields[4]);
    assert_eq!((group, session), (&*pid.to_string(), &*pid.to_string()));
    assert_eq!(terminal, "0");
    kill("-HUP", pid);
    assert_eq!(world.says(&node, "echo here").await, "here\n");
    assert_eq!(world.look(&node.id).await.state, NodeState::Running);
}

#[tokio::test]
async fn a_node_holds_no_descriptor_of_its_maker() {
    let world = World::new();
    let outside = std::fs::File::create(world.scratch().join("outside")).unwrap();
    let node = world.one().await;
    let pid = pid_of(&world, &node);
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let open: Vec<_> = open
        .filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok())
        .collect();
    assert!(
        !open.iter().any(|path| path.ends_with("outside")),
        "{open:?}"
    );
    assert!(!open.iter().any(|path| path.ends_with(".lock")), "{open:?}");
    drop(outside);
}

#[tokio::test]
async fn a_node_whose_process_was_killed_has_failed_and_says_why() {
    let world = World::new();
    let node = world
        .one_with(Some("#!/bin/sh\necho begun; sleep 1000\n"))
        .await;
    until("the script", async || {
        let log = world.says(&node, "cat ~/.fleetwright/boot.log").await;
        log.contains("begun").then_some(())
    })
    .await;
    kill("-KILL", pid_of(&world, &node));
    let seen = until("the end", async || {
        let seen = world.look(&node.id).await;
        (seen.state == NodeState::Failed).then_some(seen)
    })
    .await;
    assert_eq!(seen.message.as_deref(), Some("its process ended"));
    assert_eq!(seen.access, None);
    let Some(Boot::Failed {
        exit_status: None,
        log_tail,
    }) = seen.boot
    else {
        panic!("the boot goes on without a process: {:?}", seen.boot);
    };
    assert!(log_tail.contains("begun"), "{log_tail}");
}

#[tokio::test]
async fn a_recycled_pid_is_not_taken_for_the_node() {
    let world = World::new();
    let node = world.one().await;
    let mut stranger = tokio::process::Command::new("sleep")
        .arg("1000")
        .spawn()
        .unwrap();
    let strangers_pid = stranger.id().unwrap();
    let pid = pid_of(&world, &node);
    kill("-KILL", pid);
    until("the end", async || (!runs(pid)).then_some(())).await;
    // As if the system had given the number away again.
    std::fs::write(world.node_dir(&node).join("pid"), strangers_pid.to_string()).unwrap();
    assert_eq!(world.look(&node.id).await.state, NodeState::Failed);
    world.provider.delete(&node.id).await.unwrap();
    assert!(runs(strangers_pid), "the stranger was killed");
    stranger.kill().await.unwrap();
}

#[tokio::test]
async fn a_second_process_for_the_same_node_goes_away_by_itself() {
    let world = World::new();
    let node = world.one().await;
    let second = std::process::Command::new(program().path)
        .arg(world.node_dir(&node))
        .status();
    assert!(second.unwrap().success());
    assert_eq!(world.look(&node.id).await, {
        let mut same = node.clone();
        same.boot = world.look(&node.id).await.boot;
        same
    });
    assert_eq!(processes_of(&world.node_dir(&node)).len(), 1);
}

#[tokio::test]
async fn no_zombie_stays_with_a_maker_that_lives_on() {
    let world = World::new();
    let node = world.one().await;
    let pid = pid_of(&world, &node);
    world.provider.delete(&node.id).await.unwrap();
    let status = format!("/proc/{pid}/stat");
    until("the zombie to be reaped", async || {
        (!std::fs::exists(&status).unwrap()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_node_reaps_what_its_commands_leave_behind() {
    let world = World::new();
    let node = world.one().await;
    let said = world
        .says(&node, "(setsid sleep 0.05 >/dev/null 2>&1 & echo $!)")
        .await;
    let orphan: u32 = said.trim().parse().unwrap();
    let status = format!("/proc/{orphan}/stat");
    until("the orphan to be reaped", async || {
        (!std::fs::exists(&status).unwrap()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_directory_that_cannot_be_read_is_a_gap_and_is_not_deleted() {
    let world = World::new();
    let node = world.one().await;
    let odd = world.root().join("n-odd");
    std::fs::create_dir(&odd).unwrap();
    std::fs::write(odd.join("node.json"), "{").unwrap();
    let listing = world.provider.list(&ListRequest::default()).await.unwrap();
    assert_eq!(listing.nodes.len(), 1);
    let Coverage::Partial { gaps } = &listing.coverage else {
        panic!("the listing claims to be complete");
    };
    assert!(gaps[0].error.message.contains("n-odd"), "{gaps:?}");
    let id = fleetwright_core::NodeId::new("here", "local", "n-odd").unwrap();
    assert!(world.provider.get(&id).await.is_err());
    assert!(world.provider.delete(&id).await.is_err());
    assert!(odd.exists());
    std::fs::remove_dir_all(odd).unwrap();
    assert_eq!(world.list().await[0].id, node.id);
}

#[tokio::test]
async fn a_node_program_that_is_missing_leaves_nothing_behind() {
    let world = World::new();
    let mut missing = program();
    missing.path = "/no/such/program".into();
    let provider = provider_at(&world.root(), 5, missing);
    let error = provider.create(&world.request(2)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.to_string().contains("/no/such/program"), "{error}");
    assert_eq!(world.list().await, []);
}

#[tokio::test]
async fn a_root_that_is_a_file_is_an_error_of_the_configuration() {
    let world = World::new();
    let root = world.scratch().join("file");
    std::fs::write(&root, "").unwrap();
    for root in [root.clone(), root.join("below")] {
        let provider = provider_at(&root, 5, program());
        let error = provider.check().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Config, "{error:?}");
        let error = provider.create(&world.request(1)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Config, "{error:?}");
    }
}

#[tokio::test]
async fn a_healthy_root_is_checked_with_its_numbers() {
    let world = World::with_max(7);
    world.one().await;
    let checked = world.provider.check().await.unwrap();
    assert!(
        checked.notes[0].starts_with("1 of 7 nodes in "),
        "{checked:?}"
    );
}

#[tokio::test]
async fn a_process_that_cannot_come_up_says_why() {
    let world = World::new();
    let request = world.request(1);
    let node = world.half_made(&request).await.remove(0);
    std::fs::write(world.node_dir(&node).join("host_key"), "damaged").unwrap();
    let again = world.provider.create(&request).await.unwrap();
    assert_eq!(again.nodes[0].state, NodeState::Failed);
    let message = again.nodes[0].message.clone().unwrap();
    assert!(
        message.starts_with("its process could not come up: "),
        "{message}"
    );
}
