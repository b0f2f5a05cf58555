//! Many nodes at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use fleetwright_core::{
    Access, Command, Effect, Exit, Kind, Output, OutputSink, Remote, Result, Stream,
};
use fleetwright_remote::{FanOut, FanOutSink, HostResult, NoFanOutOutput, Ssh, fan_out};

use crate::peer::{Sshd, command, eventually, free_port, user};

/// Writes down what it is told.
#[derive(Default)]
struct Log {
    started: AtomicUsize,
    output: Mutex<Vec<(usize, String, Stream)>>,
    finished: Mutex<Vec<usize>>,
}

impl FanOutSink for Log {
    fn started(&self, _: usize, _: &str) {
        self.started.fetch_add(1, Ordering::SeqCst);
    }

    fn write(&self, index: usize, label: &str, stream: Stream, _: &[u8]) {
        let entry = (index, label.to_owned(), stream);
        self.output.lock().unwrap().push(entry);
    }

    fn finished(&self, index: usize, _: &HostResult) {
        self.finished.lock().unwrap().push(index);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_nodes_answer_in_order_and_dead_ones_stop_nobody() {
    let mut servers = Vec::new();
    let mut targets: Vec<(String, Access)> = Vec::new();
    for group in 0..7 {
        let addresses: Vec<String> = (1..=16)
            .map(|n| format!("127.0.{}.{n}", 10 + group))
            .collect();
        let list: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let Some(server) = Sshd::with(&list, "").await else {
            return;
        };
        // One key for all.
        if let Some(first) = servers.first() {
            let first: &Sshd = first;
            std::fs::copy(
                first.path("authorized_keys"),
                server.path("authorized_keys"),
            )
            .unwrap();
        }
        targets.extend(
            list.iter()
                .map(|address| (format!("node-{address}"), server.access_at(address))),
        );
        servers.push(server);
    }
    assert_eq!(targets.len(), 112);
    // Nobody there, somebody else there, and one whole group that hangs.
    targets[3].1.port = free_port("127.0.10.4");
    targets[40].1.host_keys = vec![servers[6].host_key()];
    servers[5].signal("STOP");
    let mut options = servers[0].options();
    options.connect_timeout = Duration::from_secs(4);
    let remote = Arc::new(Ssh::new(options).unwrap());
    let sink = Arc::new(Log::default());
    let line = "echo $SSH_CONNECTION; echo to-stderr >&2; exit 7";
    let results = fan_out(
        remote,
        targets.clone(),
        &command(line),
        &FanOut::default(),
        Arc::clone(&sink) as Arc<dyn FanOutSink>,
    )
    .await;

    assert_eq!(results.len(), targets.len());
    for (index, (result, (label, access))) in results.iter().zip(&targets).enumerate() {
        assert_eq!(&result.label, label);
        assert_eq!(&result.access, access);
        let address = format!("{}@{}:{}", user(), access.host, access.port);
        let failed = |kind| {
            let error = result.outcome.as_ref().unwrap_err();
            assert_eq!(error.kind(), kind, "{index}: {error:?}");
            assert_eq!(error.effect(), Effect::None);
            assert!(
                error.context().any(|entry| entry == ("host", &address)),
                "{error:?}"
            );
        };
        match index {
            3 => failed(Kind::Unavailable),
            40 => failed(Kind::Conflict),
            80..96 => failed(Kind::Timeout),
            _ => {
                let output = result.outcome.as_ref().unwrap();
                assert_eq!(output.exit, Exit::Status { code: 7 });
                let text = String::from_utf8_lossy(&output.stdout);
                assert!(
                    text.trim()
                        .ends_with(&format!("{} {}", access.host, access.port)),
                    "{text}"
                );
                assert_eq!(output.stderr, b"to-stderr\n");
            }
        }
    }
    assert_eq!(sink.started.load(Ordering::SeqCst), 112);
    let mut finished = sink.finished.lock().unwrap().clone();
    finished.sort_unstable();
    assert!(finished.into_iter().eq(0..112));
    let output = sink.output.lock().unwrap();
    let streamed = |stream| output.iter().filter(|entry| entry.2 == stream).count();
    assert_eq!(streamed(Stream::Stderr), 94);
    assert!(
        output
            .iter()
            .all(|(index, label, ..)| targets[*index].0 == *label)
    );
}

#[tokio::test]
async fn dropping_a_fan_out_closes_its_connections() {
    let Some(server) = Sshd::start().await else {
        return;
    };
    let targets = vec![
        ("a".to_owned(), server.access()),
        ("b".to_owned(), server.access()),
    ];
    let endless = command("sleep 60");
    let options = FanOut::default();
    let work = fan_out(
        Arc::new(server.client()),
        targets,
        &endless,
        &options,
        Arc::new(NoFanOutOutput),
    );
    tokio::select! {
        _ = work => panic!("it cannot end"),
        () = eventually("both run", || server.log().matches("Starting session").count() == 2) => {}
    }
    let closed =
        |log: String| log.matches("Close session").count() + log.matches("closed by").count();
    eventually("both are closed", || closed(server.log()) >= 2).await;
}

/// Takes its time and counts.
#[derive(Debug, Default)]
struct Slow {
    takes: Duration,
    keeps_to_limit: bool,
    now: AtomicUsize,
    most: AtomicUsize,
    calls: AtomicUsize,
}

#[async_trait]
impl Remote for Slow {
    async fn reach(&self, _: &Access, _: Duration) -> Result<()> {
        Ok(())
    }

    async fn run(&self, _: &Access, command: &Command, _: &dyn OutputSink) -> Result<Output> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let takes = if self.keeps_to_limit {
            self.takes.min(command.timeout)
        } else {
            self.takes
        };
        tokio::time::sleep(takes).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        if takes < self.takes {
            return Err(fleetwright_core::Error::new(Kind::Timeout, "too slow"));
        }
        Ok(Output {
            exit: Exit::Status { code: 0 },
            stdout: Vec::new(),
            stderr: Vec::new(),
            truncated: false,
        })
    }
}

fn targets(count: usize) -> Vec<(String, Access)> {
    let access = Access {
        host: "nowhere".to_owned(),
        port: 22,
        user: "nobody".to_owned(),
        host_keys: Vec::new(),
    };
    (0..count)
        .map(|n| (n.to_string(), access.clone()))
        .collect()
}

async fn all(remote: &Arc<Slow>, count: usize, options: &FanOut) -> Vec<HostResult> {
    let remote = Arc::clone(remote) as Arc<dyn Remote>;
    let command = Command::new("true");
    fan_out(
        remote,
        targets(count),
        &command,
        options,
        Arc::new(NoFanOutOutput),
    )
    .await
}

#[tokio::test(start_paused = true)]
async fn never_more_than_the_limit_run_at_once() {
    let remote = Arc::new(Slow {
        takes: Duration::from_secs(1),
        ..Slow::default()
    });
    let options = FanOut {
        limit: 7,
        ..FanOut::default()
    };
    let started = tokio::time::Instant::now();
    // In a task of its own: the future can be sent between threads.
    let task = tokio::spawn({
        let remote = Arc::clone(&remote);
        async move { all(&remote, 70, &options).await }
    });
    let results = task.await.unwrap();
    assert_eq!(remote.most.load(Ordering::SeqCst), 7);
    assert_eq!(started.elapsed().as_secs(), 10);
    assert!(results.iter().all(|result| result.elapsed.as_secs() == 1));
    let labels: Vec<usize> = results
        .iter()
        .map(|result| result.label.parse().unwrap())
        .collect();
    assert!(labels.into_iter().eq(0..70));
}

#[tokio::test(start_paused = true)]
async fn each_node_has_its_limit_and_one_that_ignores_it_is_given_up() {
    let options = FanOut {
        per_host: Duration::from_secs(5),
        ..FanOut::default()
    };
    for keeps_to_limit in [true, false] {
        let remote = Arc::new(Slow {
            takes: Duration::from_hours(1),
            keeps_to_limit,
            ..Slow::default()
        });
        let started = tokio::time::Instant::now();
        let results = all(&remote, 3, &options).await;
        assert!(started.elapsed() < Duration::from_secs(8));
        for result in results {
            let error = result.outcome.unwrap_err();
            assert_eq!(
                (error.kind(), error.effect()),
                (Kind::Timeout, Effect::Unknown)
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_limit_for_all_is_over_the_rest_is_not_touched() {
    let remote = Arc::new(Slow {
        takes: Duration::from_secs(4),
        keeps_to_limit: true,
        ..Slow::default()
    });
    let options = FanOut {
        limit: 2,
        total: Some(Duration::from_secs(10)),
        ..FanOut::default()
    };
    let started = tokio::time::Instant::now();
    let results = all(&remote, 10, &options).await;
    assert_eq!(started.elapsed().as_secs(), 10);
    assert_eq!(remote.calls.load(Ordering::SeqCst), 6);
    let effects: Vec<Option<Effect>> = results
        .iter()
        .map(|result| {
            result
                .outcome
                .as_ref()
                .err()
                .map(fleetwright_core::Error::effect)
        })
        .collect();
    assert_eq!(effects[..4], [None; 4]);
    assert_eq!(effects[4..6], [Some(Effect::Unknown); 2]);
    assert_eq!(effects[6..], [Some(Effect::None); 4]);
}

#[tokio::test]
async fn no_targets_are_no_results() {
    let started = Instant::now();
    let remote = Arc::new(Slow::default());
    assert!(all(&remote, 0, &FanOut::default()).await.is_empty());
    assert!(started.elapsed() < Duration::from_secs(1));
}
