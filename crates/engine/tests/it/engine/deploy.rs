//! Deployments with machines that answer as the test says, in virtual time.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{
    Access, Clock as _, Command, DeployedNode, DeployedState, Deployment, DeploymentOutcome,
    Effect, Error, EventKind, Exit, Kind, Output, OutputSink, Remote, Result, Rollback,
    RolloutPolicy, Span, Stream, Target, TargetAddress, TargetOrigin,
};
use fleetwright_engine::{
    DeployOptions, DeploySink, DeployWish, Deployed, Engine, Fleet, Recorder,
};
use fleetwright_store::Store;
use jiff::Timestamp;
use tempfile::TempDir;

use crate::bed::{Bed, quick};
use crate::virtual_clock::VirtualClock;

/// What a machine answers next.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// The command ends like this after so many seconds.
    Ends(u32, u64),
    /// Nobody can connect.
    Refused,
    /// Its host key is another one.
    WrongKey,
    /// The connection breaks while the command runs.
    Lost,
}

/// Machines that answer from a list, and with status 0 when it is at its end.
#[derive(Debug)]
pub(crate) struct Scripted {
    clock: VirtualClock,
    answers: Mutex<HashMap<String, VecDeque<Answer>>>,
    pub(crate) ran: Mutex<Vec<(String, String)>>,
    at_once: Mutex<(usize, usize)>,
}

impl Scripted {
    pub(crate) fn new(clock: &VirtualClock) -> Arc<Self> {
        Arc::new(Self {
            clock: clock.clone(),
            answers: Mutex::default(),
            ran: Mutex::default(),
            at_once: Mutex::default(),
        })
    }

    pub(crate) fn says(&self, host: &str, answers: &[Answer]) {
        let mut all = self.answers.lock().unwrap();
        all.insert(host.to_owned(), answers.iter().cloned().collect());
    }

    /// What was run on a machine, in order.
    fn on(&self, host: &str) -> Vec<String> {
        let ran = self.ran.lock().unwrap();
        let here = ran.iter().filter(|(on, _)| on == host);
        here.map(|(_, line)| line.clone()).collect()
    }
}

#[async_trait]
impl Remote for Scripted {
    async fn reach(&self, _: &Access, _: Duration) -> Result<()> {
        Ok(())
    }

    async fn run(
        &self,
        access: &Access,
        command: &Command,
        sink: &dyn OutputSink,
    ) -> Result<Output> {
        let answer = self
            .answers
            .lock()
            .unwrap()
            .get_mut(&access.host)
            .and_then(VecDeque::pop_front)
            .unwrap_or(Answer::Ends(0, 1));
        let lost = |effect| Error::new(Kind::Unavailable, "the line is dead").with_effect(effect);
        let (code, seconds) = match answer {
            Answer::Refused => return Err(lost(Effect::None)),
            Answer::WrongKey => return Err(Error::new(Kind::Conflict, "another key")),
            Answer::Lost => {
                let line = (access.host.clone(), command.line.clone());
                self.ran.lock().unwrap().push(line);
                return Err(lost(Effect::Unknown));
            }
            Answer::Ends(code, seconds) => (code, seconds),
        };
        let line = (access.host.clone(), command.line.clone());
        self.ran.lock().unwrap().push(line);
        {
            let mut at_once = self.at_once.lock().unwrap();
            at_once.0 += 1;
            at_once.1 = at_once.1.max(at_once.0);
        }
        self.clock.sleep_for(Duration::from_secs(seconds)).await;
        self.at_once.lock().unwrap().0 -= 1;
        sink.write(Stream::Stderr, format!("said {code}\n").as_bytes());
        Ok(Output {
            exit: Exit::Status { code },
            stdout: Vec::new(),
            stderr: Vec::new(),
            truncated: false,
        })
    }
}

struct Nobody;

impl DeploySink for Nobody {
    fn began(&self, _: &Deployment, _: usize) {}
    fn turn_began(&self, _: &DeployedNode) {}
    fn retried(&self, _: &str, _: u32, _: &Error) {}
    fn write(&self, _: &str, _: Stream, _: &[u8]) {}
    fn turn_ended(&self, _: &DeployedNode) {}
    fn paused(&self, _: Timestamp) {}
}

struct Stage {
    clock: VirtualClock,
    remote: Arc<Scripted>,
    store: Store,
    engine: Engine,
    _folder: TempDir,
}

impl Stage {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = VirtualClock::new();
        let remote = Scripted::new(&clock);
        let store = Store::open(&folder.path().join("journal.db"))
            .await
            .unwrap();
        let shared: Arc<dyn fleetwright_core::Clock> = Arc::new(clock.clone());
        let recorder = Recorder::new(store.clone(), Arc::clone(&shared), Vec::new());
        let engine = Engine::new(
            Fleet::default(),
            BTreeMap::new(),
            store.clone(),
            Some(remote.clone()),
            shared,
            Arc::new(recorder),
        );
        Self {
            clock,
            remote,
            store,
            engine,
            _folder: folder,
        }
    }

    async fn deploy(&self, wish: DeployWish, machines: usize) -> Deployed {
        let targets = targets(machines);
        let options = options();
        let work = self.engine.deploy(wish, &targets, &options);
        self.clock.run(&[&self.store], work).await.unwrap()
    }

    async fn resume(&self) -> Result<Deployed> {
        let options = options();
        let work = self.engine.resume_deployment(None, &options);
        self.clock.run(&[&self.store], work).await
    }
}

fn options() -> DeployOptions {
    DeployOptions {
        holder: "test".into(),
        force: false,
        total: None,
        sink: Arc::new(Nobody),
    }
}

fn targets(machines: usize) -> Vec<Target> {
    (0..machines)
        .map(|number| Target {
            name: format!("m{number}"),
            access: format!("m{number}")
                .parse::<TargetAddress>()
                .unwrap()
                .access(),
            group: None,
            node: None,
            origins: vec![TargetOrigin::Given],
            labels: fleetwright_core::Labels::new(),
        })
        .collect()
}

fn wish(command: &str) -> DeployWish {
    DeployWish {
        pushes: Vec::new(),
        script: None,
        command: Some(command.to_owned()),
        check: None,
        rollback: None,
        rollback_all: false,
        rollout: RolloutPolicy::default(),
        timeout: Span::minutes(1),
        retries: 2,
    }
}

fn states(deployed: &Deployed) -> Vec<DeployedState> {
    deployed.nodes.iter().map(|node| node.state).collect()
}

#[tokio::test]
async fn only_what_was_certainly_not_begun_is_tried_again() {
    let stage = Stage::new().await;
    stage.remote.says("m0", &[Answer::Refused, Answer::Refused]);
    stage
        .remote
        .says("m1", &[Answer::Refused, Answer::Refused, Answer::Refused]);
    stage.remote.says("m2", &[Answer::Lost]);
    stage.remote.says("m3", &[Answer::WrongKey]);
    stage.remote.says("m4", &[Answer::Ends(1, 1)]);
    let deployed = stage.deploy(wish("switch"), 6).await;
    assert_eq!(
        states(&deployed),
        [
            DeployedState::Succeeded,
            DeployedState::Unreachable,
            DeployedState::Unknown,
            DeployedState::Unreachable,
            DeployedState::Failed,
            DeployedState::Succeeded,
        ]
    );
    let attempts: Vec<u32> = deployed.nodes.iter().map(|node| node.attempts).collect();
    assert_eq!(attempts, [3, 3, 1, 1, 1, 1]);
    assert_eq!(deployed.deployment.outcome, Some(DeploymentOutcome::Failed));
    assert_eq!(deployed.nodes[4].stderr, "said 1\n");
    // What is told is what is written down, and what happened.
    let stored = stage
        .store
        .deployed_nodes(deployed.deployment.id)
        .await
        .unwrap();
    assert_eq!(stored, deployed.nodes);
    let events = stage.store.events_after(0, 100).await.unwrap();
    let ended = events
        .iter()
        .filter(|event| matches!(event.what, EventKind::NodeDeployed { .. }));
    assert_eq!(ended.count(), 6);
}

#[tokio::test]
async fn going_on_runs_all_that_are_not_right_and_nothing_else() {
    let stage = Stage::new().await;
    stage.remote.says("m1", &[Answer::Lost]);
    stage.remote.says("m2", &[Answer::Ends(1, 1)]);
    stage.deploy(wish("switch"), 4).await;
    let again = stage.resume().await.unwrap();
    assert_eq!(again.deployment.outcome, Some(DeploymentOutcome::Succeeded));
    let runs: Vec<usize> = (0..4)
        .map(|m| stage.remote.on(&format!("m{m}")).len())
        .collect();
    assert_eq!(runs, [1, 2, 2, 1]);
    assert_eq!(stage.resume().await.unwrap_err().kind(), Kind::NotFound);
    // It is all there now.
    let third = stage.deploy(wish("switch"), 4).await;
    assert_eq!(third.count(DeployedState::Skipped), 4);
}

#[tokio::test]
async fn what_succeeded_before_is_brought_back_where_it_fails() {
    let stage = Stage::new().await;
    stage.deploy(wish("switch v1"), 2).await;
    stage.remote.says("m0", &[Answer::Ends(7, 1)]);
    let mut next = wish("switch v2");
    next.rollback = Some(Rollback::Previous);
    let deployed = stage.deploy(next, 3).await;
    assert_eq!(states(&deployed)[0], DeployedState::Failed);
    let back = deployed.nodes[0].rolled_back.as_ref().unwrap();
    assert!(back.succeeded, "{back:?}");
    assert_eq!(
        stage.remote.on("m0"),
        ["switch v1", "switch v2", "switch v1"]
    );
    assert_eq!(stage.remote.on("m1"), ["switch v1", "switch v2"]);
    // The third one has no version before, and that is said.
    stage.remote.says("m2", &[Answer::Ends(7, 1)]);
    let mut third = wish("switch v3");
    third.rollback = Some(Rollback::Command("back".into()));
    let deployed = stage.deploy(third, 3).await;
    assert_eq!(
        deployed.nodes[2]
            .rolled_back
            .as_ref()
            .unwrap()
            .command
            .as_deref(),
        Some("back")
    );
    assert_eq!(stage.remote.on("m2"), ["switch v2", "switch v3", "back"]);
}

#[tokio::test]
async fn a_machine_counts_when_its_check_agrees_and_a_slow_one_keeps_its_place() {
    let stage = Stage::new().await;
    stage
        .remote
        .says("m0", &[Answer::Ends(0, 30), Answer::Ends(1, 1)]);
    let mut careful = wish("switch");
    careful.check = Some("is-up".into());
    careful.rollout = RolloutPolicy {
        parallel: 2,
        pause: Span::minutes(5),
        batch: Some("2".parse().unwrap()),
        ..RolloutPolicy::default()
    };
    let before = fleetwright_core::Clock::now(&stage.clock);
    let deployed = stage.deploy(careful, 4).await;
    let took = fleetwright_core::Clock::now(&stage.clock).duration_since(before);
    assert_eq!(deployed.count(DeployedState::Succeeded), 3);
    assert_eq!(
        deployed.nodes[0].error.as_ref().unwrap().message,
        "the check ended with status 1"
    );
    // 30 s and the check, the pause, and two quick ones.
    assert_eq!(took.as_secs(), 31 + 300 + 2);
    assert_eq!(stage.remote.at_once.lock().unwrap().1, 2);
}

#[tokio::test]
async fn nothing_begins_when_the_time_for_all_is_over() {
    let stage = Stage::new().await;
    for machine in 0..4 {
        stage
            .remote
            .says(&format!("m{machine}"), &[Answer::Ends(0, 40)]);
    }
    let mut slow = wish("switch");
    slow.rollout.parallel = 1;
    let options = DeployOptions {
        total: Some(Duration::from_mins(1)),
        ..options()
    };
    let targets = targets(4);
    let work = stage.engine.deploy(slow, &targets, &options);
    let deployed = stage.clock.run(&[&stage.store], work).await.unwrap();
    assert_eq!(
        deployed.deployment.outcome,
        Some(DeploymentOutcome::Stopped)
    );
    assert_eq!(deployed.count(DeployedState::Succeeded), 2);
    assert_eq!(deployed.count(DeployedState::Waiting), 2);
    assert!(
        deployed
            .deployment
            .reason
            .starts_with("the limit of 1m for all is over"),
        "{}",
        deployed.deployment.reason
    );
}

#[tokio::test]
async fn of_two_deployments_at_once_the_second_is_refused() {
    let stage = Stage::new().await;
    let lease = stage
        .store
        .acquire(
            "deploy",
            "another",
            stage.clock.now(),
            Duration::from_mins(1),
        )
        .await
        .unwrap();
    let (targets, options) = (targets(1), options());
    let error = stage
        .engine
        .deploy(wish("switch"), &targets, &options)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(stage.remote.on("m0").is_empty());
    stage.store.release(lease).await.unwrap();
}

#[tokio::test]
async fn without_a_way_to_log_in_nothing_is_written_down() {
    let bed = Bed::new(quick());
    let engine = bed.engine(Fleet::default()).await;
    let deployed = engine.deploy(wish("switch"), &targets(1), &options()).await;
    assert_eq!(deployed.unwrap_err().kind(), Kind::Unsupported);
    assert!(engine.store().deployments(9).await.unwrap().is_empty());
}
