//! Commands over SSH: what they say, how they end, and who may run them.

use std::sync::Arc;
use std::time::Duration;

use fleetwright_core::Exit;
use russh::keys::{Algorithm, PrivateKey};
use russh::{ChannelMsg, Sig};

use crate::support::{World, log_in, run_in, runs, until};

#[tokio::test]
async fn a_command_runs_in_the_home_of_its_node_with_a_clean_environment() {
    let world = World::new();
    let node = world.one().await;
    let home = world.node_dir(&node).join("home").canonicalize().unwrap();
    assert_eq!(
        world.says(&node, "pwd; echo $HOME").await,
        format!("{0}\n{0}\n", home.display())
    );
    let environment = world.says(&node, "env").await;
    for line in environment.lines() {
        let name = line.split('=').next().unwrap();
        let known = [
            "HOME",
            "USER",
            "LOGNAME",
            "SHELL",
            "PATH",
            "LANG",
            "TZ",
            "PWD",
            "OLDPWD",
            "SHLVL",
            "_",
            "FLEETWRIGHT_NODE",
            "FLEETWRIGHT_NODE_DIR",
            "SSH_CONNECTION",
        ];
        assert!(known.contains(&name), "{line}");
    }
    assert!(environment.contains(&format!("FLEETWRIGHT_NODE={}", node.id.native())));
}

#[tokio::test]
async fn both_streams_and_the_exit_status_come_through_apart() {
    let world = World::new();
    let node = world.one().await;
    let output = world.run(&node, "echo out; echo err >&2; exit 7").await;
    assert_eq!(output.stdout, b"out\n");
    assert_eq!(output.stderr, b"err\n");
    assert_eq!(output.exit, Exit::Status { code: 7 });
}

#[tokio::test]
async fn a_signal_that_ends_a_command_is_named() {
    let world = World::new();
    let node = world.one().await;
    for (line, name) in [("kill -9 $$", "KILL"), ("kill -TERM $$", "TERM")] {
        let output = world.run(&node, line).await;
        assert_eq!(output.exit, Exit::Signal { name: name.into() }, "{line}");
    }
}

#[tokio::test]
async fn large_binary_data_comes_back_as_it_went() {
    let world = World::new();
    let node = world.one().await;
    // Several times every window and buffer on the way, both ways at once.
    let mut state = 1_u32;
    let data: Vec<u8> = (0..24 << 20)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect();
    let output = world.run_with(&node, "cat", &data).await;
    assert_eq!(output.stdout.len(), data.len());
    assert!(output.stdout == data, "the bytes differ");
    assert!(output.exit.is_success());
}

#[tokio::test]
async fn a_megabyte_on_each_stream_arrives() {
    let world = World::new();
    let node = world.one().await;
    let line = "head -c 1048576 /dev/zero; head -c 1048576 /dev/zero >&2";
    let output = world.run(&node, line).await;
    assert_eq!(
        (output.stdout.len(), output.stderr.len()),
        (1 << 20, 1 << 20)
    );
}

#[tokio::test]
async fn a_command_that_does_not_read_its_input_ends_all_the_same() {
    let world = World::new();
    let node = world.one().await;
    let output = world.run_with(&node, "echo done", &vec![0; 6 << 20]).await;
    assert_eq!(output.stdout, b"done\n");
}

#[tokio::test]
async fn several_commands_share_a_connection() {
    let world = World::new();
    let node = world.one().await;
    let connection = world.connect(&node).await;
    let mut outputs = Vec::new();
    for n in 0..5 {
        let channel = connection.channel_open_session().await.unwrap();
        outputs.push(async move {
            run_in(channel, &format!("sleep 0.0{n}; echo {n}"), b"")
                .await
                .stdout
        });
    }
    let outputs = futures::future::join_all(outputs).await;
    let wanted: Vec<Vec<u8>> = (0..5).map(|n| format!("{n}\n").into_bytes()).collect();
    assert_eq!(outputs, wanted);
}

#[tokio::test]
async fn only_variables_of_language_and_terminal_are_taken() {
    let world = World::new();
    let node = world.one().await;
    let connection = world.connect(&node).await;
    let channel = connection.channel_open_session().await.unwrap();
    channel.set_env(false, "LC_ALL", "C").await.unwrap();
    channel.set_env(false, "LD_PRELOAD", "x").await.unwrap();
    let output = run_in(channel, "echo $LC_ALL-$LD_PRELOAD-", b"").await;
    assert_eq!(output.stdout, b"C--\n");
}

#[tokio::test]
async fn a_key_that_is_not_authorized_is_refused() {
    let world = World::new();
    let node = world.one().await;
    let stranger = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519);
    let mut access = node.access.clone().unwrap();
    assert!(
        log_in(&access, &Arc::new(stranger.unwrap()))
            .await
            .is_none()
    );
    assert!(log_in(&access, &world.key).await.is_some());
    access.user = "somebody-else".into();
    assert!(log_in(&access, &world.key).await.is_none());
}

#[tokio::test]
async fn a_command_ends_with_its_channel() {
    let world = World::new();
    let node = world.one().await;
    for hangs_on in ["sleep 1000", "trap '' HUP TERM; sleep 1000; true"] {
        let connection = world.connect(&node).await;
        let mut channel = connection.channel_open_session().await.unwrap();
        channel
            .exec(true, format!("echo $$; {hangs_on}"))
            .await
            .unwrap();
        let pid: u32 = loop {
            if let Some(ChannelMsg::Data { data }) = channel.wait().await {
                break std::str::from_utf8(&data).unwrap().trim().parse().unwrap();
            }
        };
        assert!(runs(pid));
        channel.close().await.unwrap();
        until("the command to end", async || (!runs(pid)).then_some(())).await;
    }
}

#[tokio::test]
async fn a_command_ends_with_its_connection() {
    let world = World::new();
    let node = world.one().await;
    let connection = world.connect(&node).await;
    let mut channel = connection.channel_open_session().await.unwrap();
    channel
        .exec(true, "echo $$; exec sleep 1000")
        .await
        .unwrap();
    let pid: u32 = loop {
        if let Some(ChannelMsg::Data { data }) = channel.wait().await {
            break std::str::from_utf8(&data).unwrap().trim().parse().unwrap();
        }
    };
    drop(channel);
    drop(connection);
    until("the command to end", async || (!runs(pid)).then_some(())).await;
}

#[tokio::test]
async fn a_signal_of_the_client_reaches_the_command() {
    let world = World::new();
    let node = world.one().await;
    let connection = world.connect(&node).await;
    let mut channel = connection.channel_open_session().await.unwrap();
    channel
        .exec(
            true,
            "trap 'echo caught; exit 3' USR1; echo ready; while :; do sleep 0.01; done",
        )
        .await
        .unwrap();
    let (mut said, mut status) = (Vec::new(), None);
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                if said.is_empty() {
                    channel.signal(Sig::USR1).await.unwrap();
                }
                said.extend_from_slice(&data);
            }
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            _ => {}
        }
    }
    assert_eq!(String::from_utf8(said).unwrap(), "ready\ncaught\n");
    assert_eq!(status, Some(3));
}

#[tokio::test]
async fn a_terminal_has_the_size_of_the_client_and_follows_it() {
    let world = World::new();
    let node = world.one().await;
    let connection = world.connect(&node).await;
    let mut channel = connection.channel_open_session().await.unwrap();
    channel
        .request_pty(true, "vt100", 100, 30, 0, 0, &[])
        .await
        .unwrap();
    channel
        .exec(
            true,
            "tty; echo $TERM; stty size; read line; stty size; exit 4",
        )
        .await
        .unwrap();
    let (mut said, mut status, mut changed) = (String::new(), None, false);
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => said.push_str(std::str::from_utf8(&data).unwrap()),
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            _ => {}
        }
        if !changed && said.contains("30 100") {
            changed = true;
            channel.window_change(80, 24, 0, 0).await.unwrap();
            channel.data(&b"go\n"[..]).await.unwrap();
        }
    }
    assert!(said.starts_with("/dev/pts/"), "{said}");
    assert!(said.contains("vt100") && said.contains("24 80"), "{said}");
    assert_eq!(status, Some(4));
}

#[tokio::test]
async fn closing_a_terminal_ends_what_runs_in_it() {
    let world = World::new();
    let node = world.one().await;
    let connection = world.connect(&node).await;
    let mut channel = connection.channel_open_session().await.unwrap();
    channel
        .request_pty(true, "vt100", 80, 24, 0, 0, &[])
        .await
        .unwrap();
    channel.request_shell(true).await.unwrap();
    channel
        .data(&b"echo pid=$$.; sleep 1000\n"[..])
        .await
        .unwrap();
    let mut said = String::new();
    let pid = loop {
        if let Some(ChannelMsg::Data { data }) = channel.wait().await {
            said.push_str(&String::from_utf8_lossy(&data));
        }
        let number = said
            .split("pid=")
            .skip(1)
            .find_map(|rest| rest.split_once('.')?.0.parse::<u32>().ok());
        if let Some(pid) = number {
            break pid;
        }
    };
    channel.close().await.unwrap();
    until("the shell to end", async || (!runs(pid)).then_some(())).await;
}

#[tokio::test]
async fn input_ends_for_the_command_when_the_client_says_so() {
    let world = World::new();
    let node = world.one().await;
    let output = world.run_with(&node, "wc -c", b"12345").await;
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "5");
    // Both with and without a command that waits for it.
    let counted = tokio::time::timeout(Duration::from_secs(5), world.says(&node, "cat; echo end"));
    assert_eq!(counted.await.unwrap(), "end\n");
}
