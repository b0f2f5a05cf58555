//! Measuring: what becomes of nodes that say nothing, half of it, or never hang up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{
    Access, Check, Command, CommandCheck, Error, Exit, Expectation, ExpectationSource, FileCheck,
    Kind, Output, OutputSink, Probe, Remote, Result, Severity, Span, Stream, Target, TargetAddress,
    TargetGroup, TargetGroupName, TargetOrigin,
};
use fleetwright_engine::{Condition, Engine, Fleet, MeasureOptions, Measured};

use crate::bed::{Bed, quick};

/// Says something and ends somehow, by the name of the host.
#[derive(Debug, Default)]
struct Scripted {
    logins: AtomicUsize,
}

#[async_trait]
impl Remote for Scripted {
    async fn reach(&self, access: &Access, _: Duration) -> Result<()> {
        self.logins.fetch_add(1, Ordering::SeqCst);
        match access.host.as_str() {
            "dead" => Err(Error::new(Kind::Unavailable, "nobody there")),
            _ => Ok(()),
        }
    }

    async fn run(
        &self,
        access: &Access,
        command: &Command,
        sink: &dyn OutputSink,
    ) -> Result<Output> {
        self.logins.fetch_add(1, Ordering::SeqCst);
        assert!(
            command.stdin.starts_with(b"\n"),
            "the script comes in by standard input"
        );
        let begin = "measure 1\nprobe 0\n 6f 6b 0a\nstatus 0\nend\n\nended 0 0\n";
        let rest = "probe 1\n 6f 6b\nstatus 0\nend\n\nended 1 0\ndone\n";
        let ended = |code, stderr: &str| {
            Ok(Output {
                exit: Exit::Status { code },
                stdout: Vec::new(),
                stderr: stderr.into(),
                truncated: false,
            })
        };
        let say = |text: &str| sink.write(Stream::Stdout, text.as_bytes());
        match access.host.as_str() {
            "good" => {
                say(begin);
                say(rest);
                ended(0, "")
            }
            "lost" => {
                say(begin);
                say("probe 1\n 6f");
                Err(Error::new(Kind::Unavailable, "the connection broke"))
            }
            "stays" => {
                say(begin);
                say(rest);
                std::future::pending().await
            }
            "no-shell" => ended(127, "motd\nsh: not found\n"),
            "dead" => Err(Error::new(Kind::Unavailable, "nobody there")),
            other => panic!("{other}"),
        }
    }
}

fn probe(name: &str) -> Probe {
    Probe {
        name: name.into(),
        severity: Severity::Medium,
        check: Check::Command(CommandCheck {
            run: "true".into(),
            output: Some("ok".into()),
            ..CommandCheck::default()
        }),
        fix: None,
        timeout: Span::seconds(5),
    }
}

fn target(host: &str) -> Target {
    let address: TargetAddress = host.parse().unwrap();
    Target {
        name: host.into(),
        access: address.access(),
        group: Some(TargetGroupName::Targets("edge".into())),
        node: None,
        origins: vec![TargetOrigin::Given],
        labels: fleetwright_core::Labels::default(),
    }
}

fn fleet(probes: Vec<Probe>) -> Fleet {
    let group = TargetGroup {
        probes,
        ..TargetGroup::default()
    };
    Fleet {
        name: "demo".into(),
        targets: [("edge".to_owned(), group)].into(),
        ..Fleet::default()
    }
}

async fn measure(engine: &Engine, hosts: &[&str]) -> Vec<Measured> {
    let targets: Vec<Target> = hosts.iter().map(|host| target(host)).collect();
    let expectations = engine.expectations(&targets).await;
    let options = MeasureOptions::default();
    engine
        .measure(&targets, &expectations, &options)
        .await
        .unwrap()
}

fn verdicts(measured: &Measured) -> Vec<(&str, Option<&str>)> {
    let findings = measured.findings.iter();
    findings
        .map(|finding| (finding.verdict.as_str(), finding.verdict.reason()))
        .collect()
}

#[tokio::test]
async fn half_an_answer_is_half_known_and_a_session_that_stays_open_keeps_nobody() {
    let bed = Bed::new(quick());
    let remote = Arc::new(Scripted::default());
    let probes = vec![probe("first"), probe("second")];
    let engine = bed.engine_with(fleet(probes), Some(remote.clone())).await;
    let hosts = ["good", "lost", "stays", "no-shell", "dead"];
    let started = std::time::Instant::now();
    let all = measure(&engine, &hosts).await;
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(
        remote.logins.load(Ordering::SeqCst),
        hosts.len(),
        "one login each"
    );
    let agrees = ("agrees", None);
    let broken = "the connection ended before it was measured";
    let silent = "the node's shell did not run the script: sh: not found";
    assert_eq!(verdicts(&all[0]), [agrees, agrees]);
    assert_eq!(verdicts(&all[1]), [agrees, ("unknown", Some(broken))]);
    assert_eq!(verdicts(&all[2]), [agrees, agrees]);
    assert_eq!(verdicts(&all[3]), [("unknown", Some(silent)); 2]);
    assert_eq!(verdicts(&all[4]), []);
    let conditions: Vec<Condition> = all.iter().map(Measured::condition).collect();
    assert_eq!(
        conditions,
        [
            Condition::Congruent,
            Condition::Unknown,
            Condition::Congruent,
            Condition::Unknown,
            Condition::Unreachable
        ]
    );
    assert!(engine.known_drift().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_verdict_keeps_its_age_across_engines_and_probes_that_are_gone_are_forgotten() {
    let bed = Bed::new(quick());
    let differs = Probe {
        check: Check::Command(CommandCheck {
            output: Some("other".into()),
            ..CommandCheck::default()
        }),
        severity: Severity::High,
        ..probe("first")
    };
    let remote = || -> Option<Arc<dyn Remote>> { Some(Arc::new(Scripted::default())) };
    let good = vec![probe("first"), probe("second")];
    let bad = vec![differs, probe("second")];
    let engine = bed.engine_with(fleet(good), remote()).await;
    let clean = measure(&engine, &["good"]).await.remove(0);
    let engine = bed.engine_with(fleet(bad.clone()), remote()).await;
    let first = measure(&engine, &["good"]).await.remove(0);
    assert_eq!(first.severity(), Some(Severity::High));
    assert_eq!(first.findings[0].since, first.at);
    assert_eq!(first.findings[1].since, clean.at);
    assert_eq!(first.since, clean.since);
    let engine = bed.engine_with(fleet(bad.clone()), remote()).await;
    let second = measure(&engine, &["good"]).await.remove(0);
    assert!(second.at > first.at);
    assert_eq!(second.findings[0].since, first.at);
    let known = engine.known_drift().await.unwrap();
    assert_eq!(
        (&*known[0].node, known[0].severity),
        ("good", Severity::High)
    );

    let engine = bed
        .engine_with(fleet(vec![bad[1].clone(), probe("third")]), remote())
        .await;
    measure(&engine, &["good"]).await;
    let rows = engine.store().measurements().await.unwrap();
    let names: Vec<&str> = rows[0]
        .findings
        .iter()
        .map(|one| one.probe.as_str())
        .collect();
    assert_eq!(names, ["second", "third"]);
    let engine = bed.engine_with(fleet(Vec::new()), remote()).await;
    assert!(
        engine.known_drift().await.unwrap().is_empty(),
        "nothing is expected any more"
    );
    let reached = measure(&engine, &["good", "dead"]).await;
    let conditions: Vec<Condition> = reached.iter().map(Measured::condition).collect();
    assert_eq!(conditions, [Condition::Congruent, Condition::Unreachable]);
}

/// Counts how often it is asked.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

#[async_trait]
impl ExpectationSource for Counting {
    async fn expectation(&self, probe: &Probe) -> Result<Expectation> {
        let asked = self.0.fetch_add(1, Ordering::SeqCst);
        match &probe.check {
            Check::Command(_) => Ok(Expectation::Output(format!("ok{}", asked / 2).into())),
            _ => Err(Error::new(Kind::Unsupported, "no such program")),
        }
    }
}

#[tokio::test]
async fn what_is_expected_is_asked_once_a_round_and_what_nobody_knows_is_unknown() {
    let bed = Bed::new(quick());
    let from = |name: &str, line: &str| Probe {
        check: Check::Command(CommandCheck {
            run: "true".into(),
            expect_from: Some(line.into()),
            ..CommandCheck::default()
        }),
        ..probe(name)
    };
    let file = Probe {
        check: Check::File(FileCheck {
            path: "/a".into(),
            source: Some("a".into()),
            ..FileCheck::default()
        }),
        ..probe("file")
    };
    let probes = vec![from("first", "make-it"), file];
    let source = Arc::new(Counting::default());
    let remote: Arc<dyn Remote> = Arc::new(Scripted::default());
    let mut fleet = fleet(probes);
    let twin = fleet.targets["edge"].clone();
    fleet.targets.insert("twin".into(), twin);
    let engine = bed
        .engine_with(fleet, Some(remote))
        .await
        .with_expectations(source.clone());
    let mut targets = vec![target("good"), target("lost")];
    targets[1].group = Some(TargetGroupName::Targets("twin".into()));
    let expectations = engine.expectations(&targets).await;
    assert_eq!(
        source.0.load(Ordering::SeqCst),
        2,
        "the same check is looked up once"
    );
    let failures: Vec<String> = expectations
        .failures()
        .map(|(group, probe, error)| format!("{group} {probe} {error}"))
        .collect();
    assert_eq!(
        failures,
        [
            "targets.edge file no such program",
            "targets.twin file no such program"
        ]
    );
    let options = MeasureOptions::default();
    let all = engine
        .measure(&targets, &expectations, &options)
        .await
        .unwrap();
    assert_eq!(all[0].findings[0].verdict.as_str(), "differs");
    assert_eq!(all[0].findings[0].expected.as_deref(), Some("ok0"));
    assert_eq!(all[0].findings[1].verdict.as_str(), "unknown");
    assert_eq!(all[0].findings[1].expected, None);
    engine.expectations(&targets).await;
    assert_eq!(
        source.0.load(Ordering::SeqCst),
        4,
        "and again in the next round"
    );
}
