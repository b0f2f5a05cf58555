//! Commands: what they say, how they end, and how they do not.

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use fleetwright_core::{Access, Command, Effect, Exit, Kind, NoOutput, Remote as _};
use fleetwright_remote::{Ssh, SshOptions, failure};

use crate::peer::{Collected, Sshd, command, eventually, free_port, refused, run, user};

#[tokio::test]
async fn a_command_gives_its_output_both_streams_apart_and_its_status() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let line = "printf out; printf err >&2; exit 3";
    let output = run(&server.client(), &server.access(), line).await;
    assert_eq!(output.stdout, b"out");
    assert_eq!(output.stderr, b"err");
    assert_eq!(output.exit, Exit::Status { code: 3 });
    assert!(!output.truncated);
    let error = failure("web-1", &command(line), &output);
    assert_eq!(
        error.to_string(),
        format!("`{line}` ended with status 3 on `web-1`")
    );
}

#[tokio::test]
async fn a_command_ended_by_a_signal_says_which() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    for name in ["TERM", "KILL", "SEGV"] {
        let output = run(
            &server.client(),
            &server.access(),
            &format!("kill -{name} $$"),
        )
        .await;
        assert_eq!(
            output.exit,
            Exit::Signal {
                name: name.to_owned()
            }
        );
        assert!(!output.exit.is_success());
    }
}

#[tokio::test]
async fn input_arrives_whole_and_ends() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let mut cat = command("cat");
    cat.stdin = (0..3_000_000_u32)
        .flat_map(u32::to_le_bytes)
        .take(3_000_000)
        .collect();
    cat.keep = 4_000_000;
    let output = server
        .client()
        .run(&server.access(), &cat, &NoOutput)
        .await
        .unwrap();
    assert!(
        output.stdout == cat.stdin,
        "{} bytes came back",
        output.stdout.len()
    );
}

#[tokio::test]
async fn a_command_that_ignores_its_input_ends_all_the_same() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let mut ignoring = command("exit 4");
    ignoring.stdin = vec![b'x'; 8_000_000];
    let output = server
        .client()
        .run(&server.access(), &ignoring, &NoOutput)
        .await
        .unwrap();
    assert_eq!(output.exit, Exit::Status { code: 4 });
}

#[tokio::test]
async fn a_megabyte_of_binary_output_is_intact_and_the_sink_sees_what_is_not_kept() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let file = server.path("random");
    let mut random = command(format!(
        "head -c 1048576 /dev/urandom | tee {}",
        file.display()
    ));
    let sink = Collected::default();
    let output = server
        .client()
        .run(&server.access(), &random, &sink)
        .await
        .unwrap();
    let written = fs::read(&file).unwrap();
    assert_eq!(written.len(), 1 << 20);
    assert!(output.stdout == written);
    assert!(!output.truncated);
    assert!(sink.0.lock().unwrap().0 == written);

    random.line = format!("cat {}", file.display());
    random.keep = 1000;
    let sink = Collected::default();
    let output = server
        .client()
        .run(&server.access(), &random, &sink)
        .await
        .unwrap();
    assert!(output.truncated);
    assert!(output.stdout == written[written.len() - 1000..]);
    assert!(sink.0.lock().unwrap().0 == written);
}

#[tokio::test]
async fn a_command_beyond_its_limit_is_ended_and_reported_with_its_last_words() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let file = server.path("pid");
    let line = format!(
        "echo $$ > {}; echo working >&2; exec sleep 60",
        file.display()
    );
    let slow = Command::new(line).with_timeout(Duration::from_secs(2));
    let started = Instant::now();
    let error = server
        .client()
        .run(&server.access(), &slow, &NoOutput)
        .await
        .unwrap_err();
    assert!(
        started.elapsed() < Duration::from_secs(6),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(error.kind(), Kind::Timeout);
    assert_eq!(error.effect(), Effect::Unknown);
    let context: Vec<_> = error.context().collect();
    assert_eq!(
        context[0],
        ("host", &*format!("{}@127.0.0.1:{}", user(), server.port))
    );
    assert_eq!(context[1].0, "command");
    assert_eq!(context[2], ("stderr", "working"));
    let pid = fs::read_to_string(&file).unwrap();
    let process = format!("/proc/{}", pid.trim());
    // For root OpenSSH writes down that it was asked, and no more.
    let was_refused = || {
        server
            .log()
            .contains("signalling requires privilege separation")
    };
    let is_gone = || fs::metadata(&process).is_err();
    eventually("the command is told to end", || was_refused() || is_gone()).await;
}

#[tokio::test]
async fn the_limit_holds_while_input_waits_to_be_taken() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let mut deaf = Command::new("exec sleep 30").with_timeout(Duration::from_secs(2));
    deaf.stdin = vec![b'x'; 8_000_000];
    let started = Instant::now();
    let error = server
        .client()
        .run(&server.access(), &deaf, &NoOutput)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
    assert!(
        started.elapsed() < Duration::from_secs(6),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_connection_that_breaks_while_the_command_runs_leaves_the_effect_unknown() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let file = server.path("started");
    let line = format!("echo begun >&2; touch {}; sleep 60", file.display());
    let (client, access, endless) = (server.client(), server.access(), command(line));
    let (error, ()) = tokio::join!(
        async { client.run(&access, &endless, &NoOutput).await.unwrap_err() },
        async {
            eventually("the command runs", || file.exists()).await;
            for session in server.sessions() {
                // The first ones take the others with them.
                drop(
                    std::process::Command::new("kill")
                        .args(["-KILL", &session.to_string()])
                        .stderr(std::process::Stdio::null())
                        .status(),
                );
            }
        }
    );
    assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
    assert_eq!(error.effect(), Effect::Unknown);
    assert_eq!(error.context().last(), Some(("stderr", "begun")));
    assert!(
        error.to_string().contains("was lost while the command ran"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_within_the_connect_limit() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let mut options = server.options();
    options.connect_timeout = Duration::from_millis(300);
    let client = Ssh::new(options).unwrap();
    server.signal("STOP");
    let started = Instant::now();
    let error = refused(&client, &server.access()).await;
    let reached = client
        .reach(&server.access(), Duration::from_secs(20))
        .await;
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(error.kind(), Kind::Timeout);
    assert_eq!(error.effect(), Effect::None);
    assert_eq!(error.to_string(), "no login within 0.3s");
    assert_eq!(reached.unwrap_err().kind(), Kind::Timeout);
    server.signal("CONT");
    client
        .reach(&server.access(), Duration::from_secs(20))
        .await
        .unwrap();
}

#[tokio::test]
async fn nobody_listening_and_no_way_there_are_unavailable_without_effect() {
    let client = Ssh::new(SshOptions::default()).unwrap();
    let access = |host: &str, port| Access {
        host: host.to_owned(),
        port,
        user: "nobody".to_owned(),
        host_keys: Vec::new(),
    };
    let port = free_port("127.0.0.1");
    let error = refused(&client, &access("127.0.0.1", port)).await;
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(error.effect(), Effect::None);
    assert_eq!(
        error.to_string(),
        format!("`127.0.0.1:{port}` refuses connections")
    );

    // No TCP goes to the broadcast address: the kernel answers that it has no route.
    let error = refused(&client, &access("255.255.255.255", 22)).await;
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(error.to_string(), "`255.255.255.255:22` cannot be reached");
}

#[tokio::test]
async fn what_is_no_ssh_server_is_told_apart_and_a_silent_one_is_let_go() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = Ssh::new(SshOptions {
        connect_timeout: Duration::from_millis(500),
        ..SshOptions::default()
    })
    .unwrap();
    let access = Access {
        host: "127.0.0.1".to_owned(),
        port,
        user: "nobody".to_owned(),
        host_keys: Vec::new(),
    };
    let peer = std::thread::spawn(move || {
        // First: closed at once. Second: says hello and then nothing more, which is the point at
        // which a half-made connection could stay behind.
        drop(listener.accept().unwrap());
        let (mut stream, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut stream, b"SSH-2.0-silent\r\n").unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).map(|_| received)
    });
    let error = refused(&client, &access).await;
    assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
    assert_eq!(error.effect(), Effect::None);
    let error = refused(&client, &access).await;
    assert_eq!(error.kind(), Kind::Timeout);
    let received = tokio::task::spawn_blocking(|| peer.join().unwrap())
        .await
        .unwrap();
    assert!(received.unwrap().starts_with(b"SSH-2.0-fleetwright_"));
}

#[tokio::test]
async fn dropping_a_run_ends_its_session_even_with_input_under_way() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let file = server.path("started");
    let mut endless = command(format!("touch {}; sleep 60", file.display()));
    // More than the window takes, so that the connection waits to send.
    endless.stdin = vec![b'x'; 8_000_000];
    let (client, access) = (server.client(), server.access());
    tokio::select! {
        _ = client.run(&access, &endless, &NoOutput) => panic!("it cannot end"),
        () = eventually("the command runs", || file.exists()) => {}
    }
    // `sleep` itself may go on: it reads nothing and is told nothing. The connection must not.
    eventually("the connection is closed", || {
        server.log().contains("Connection closed by")
            || server.log().contains("Connection reset by")
            || server.log().contains("Read error")
    })
    .await;
}
