//! The system's own `ssh` client. Where there is none, these tests say so and judge nothing.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use fleetwright_core::Node;
use russh::keys::ssh_key::LineEnding;

use crate::support::World;

/// How a person would log in to this node; `None` if this machine has no `ssh`.
fn ssh(world: &World, node: &Node) -> Option<Command> {
    if Command::new("ssh").arg("-V").output().is_err() {
        println!("skipped: this machine has no `ssh` client");
        return None;
    }
    let access = node.access.as_ref().unwrap();
    let file = |name: &str, text: &str| -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = world.scratch().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let key = file("key", &world.key.to_openssh(LineEnding::LF).unwrap());
    let host = format!("[{}]:{}", access.host, access.port);
    let known = file("known", &format!("{host} {}\n", access.host_keys[0]));
    let mut command = Command::new("ssh");
    command
        .args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=yes",
        ])
        .args(["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"])
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", known.display()))
        .arg("-i")
        .arg(key)
        .args([
            "-p",
            &access.port.to_string(),
            "-l",
            &access.user,
            &access.host,
        ])
        .stdin(Stdio::null());
    Some(command)
}

async fn run(mut command: Command) -> Output {
    let child = tokio::task::spawn_blocking(move || command.output().unwrap());
    let limit = std::time::Duration::from_secs(30);
    tokio::time::timeout(limit, child).await.unwrap().unwrap()
}

#[tokio::test]
async fn it_runs_a_command_and_gets_its_streams_and_status() {
    let world = World::new();
    let node = world.one().await;
    let Some(mut ssh) = ssh(&world, &node) else {
        return;
    };
    ssh.arg("uname; echo oops >&2; exit 9");
    let output = run(ssh).await;
    let uname = Command::new("uname").output().unwrap().stdout;
    assert_eq!(output.stdout, uname, "{output:?}");
    assert_eq!(output.stderr, b"oops\n");
    assert_eq!(output.status.code(), Some(9));
}

#[tokio::test]
async fn it_logs_in_interactively() {
    let world = World::new();
    let node = world.one().await;
    let Some(mut ssh) = ssh(&world, &node) else {
        return;
    };
    let typed = world.scratch().join("typed");
    std::fs::write(&typed, "echo $((6*7)) on $(tty)\nexit 5\n").unwrap();
    ssh.arg("-tt")
        .env("TERM", "vt100")
        .stdin(std::fs::File::open(typed).unwrap());
    let output = run(ssh).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("42 on /dev/pts/"), "{said}");
    assert_eq!(output.status.code(), Some(5), "{output:?}");
}

#[tokio::test]
async fn it_sends_a_file_through_a_command_unchanged() {
    let world = World::new();
    let node = world.one().await;
    let Some(mut ssh) = ssh(&world, &node) else {
        return;
    };
    let data: Vec<u8> = (0..=255_u8).cycle().take(12 << 20).collect();
    let file = world.scratch().join("data");
    std::fs::write(&file, &data).unwrap();
    ssh.arg("cat").stdin(std::fs::File::open(file).unwrap());
    let output = run(ssh).await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.stdout == data,
        "{} of {} bytes",
        output.stdout.len(),
        data.len()
    );
}

#[tokio::test]
async fn it_refuses_a_node_with_another_host_key() {
    let world = World::new();
    let (node, other) = (world.one().await, world.one().await);
    let mut liar = node.clone();
    liar.access.as_mut().unwrap().host_keys = other.access.unwrap().host_keys;
    let Some(mut ssh) = ssh(&world, &liar) else {
        return;
    };
    ssh.arg("true");
    let output = run(ssh).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(255));
    assert!(said.contains("Host key verification failed"), "{said}");
}
