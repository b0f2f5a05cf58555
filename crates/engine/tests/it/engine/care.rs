//! Health over runs, cordons with hooks and balancers, and messages that arrive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::ability::MemberHealth;
use fleetwright_core::{
    Access, Command, CordonPhase, Effect, Error, EventKind, Exit, Health, HealthProbe, HealthState,
    Hook, HookPlace, Incident, IncidentKind, Kind, Life, Message, Messenger, Output, OutputSink,
    Remote, Result, SecretRef, Severity, Span, Target, TargetGroupName, TargetOrigin, Webhook,
    WebhookFormat,
};
use fleetwright_engine::{CordonRequest, Engine, Fleet};
use jiff::Timestamp;
use uuid::Uuid;

use crate::bed::{Bed, assert_reached, converge, fleet, one_pool, pool, quick};

/// How each machine answers, by host, and the lines that were run there.
#[derive(Debug, Default)]
struct Machines {
    lost: Mutex<BTreeSet<String>>,
    sick: Mutex<BTreeSet<String>>,
    failing: Mutex<BTreeSet<String>>,
    ran: Mutex<Vec<String>>,
}

#[async_trait]
impl Remote for Machines {
    async fn reach(&self, _: &Access, _: Duration) -> Result<()> {
        Ok(())
    }

    async fn run(&self, access: &Access, command: &Command, _: &dyn OutputSink) -> Result<Output> {
        if self.lost.lock().unwrap().contains(&access.host) {
            return Err(Error::new(Kind::Unavailable, "no route").with_effect(Effect::None));
        }
        let output = |code: u32, stdout: &str, stderr: &str| {
            Ok(Output {
                exit: Exit::Status { code },
                stdout: stdout.into(),
                stderr: stderr.into(),
                truncated: false,
            })
        };
        if command.line == "sh -s" {
            let sick = self.sick.lock().unwrap().contains(&access.host);
            let status = if sick { "1 it hurts" } else { "0 " };
            return output(0, &format!("probe 0 {status}\nend\n"), "");
        }
        self.ran.lock().unwrap().push(command.line.clone());
        let failing = self.failing.lock().unwrap();
        match failing
            .iter()
            .find(|word| command.line.contains(word.as_str()))
        {
            Some(_) => output(3, "", "the scheduler says no"),
            None => output(0, "", ""),
        }
    }
}

impl Machines {
    fn set(what: &Mutex<BTreeSet<String>>, host: &str, on: bool) {
        let mut what = what.lock().unwrap();
        if on {
            what.insert(host.to_owned());
        } else {
            what.remove(host);
        }
    }

    /// The hooks that ran, by the word in their command.
    fn hooks(&self) -> Vec<&'static str> {
        let ran = self.ran.lock().unwrap();
        ran.iter()
            .filter_map(|line| {
                ["uncordon-hook", "cordon-hook", "drain-hook"]
                    .into_iter()
                    .find(|word| line.contains(word))
            })
            .collect()
    }
}

fn health() -> Health {
    Health {
        probes: vec![HealthProbe {
            name: "it".into(),
            command: "true".into(),
            timeout: Span::seconds(1),
        }],
        ..Health::default()
    }
}

fn hook(word: &str) -> Hook {
    Hook {
        run: word.into(),
        on: HookPlace::Node,
        timeout: Span::seconds(5),
    }
}

fn guarded(desired: u32, balancer: bool) -> Fleet {
    let mut web = pool(desired, &["sim-east"]);
    web.balancer = balancer.then(|| "web".into());
    web.health = health();
    web.hooks.cordon = Some(hook("cordon-hook"));
    web.hooks.drain = Some(hook("drain-hook"));
    web.hooks.uncordon = Some(hook("uncordon-hook"));
    fleet([("web", web)])
}

/// The nodes of an engine, as if they had addresses: their names.
async fn targets(engine: &Engine) -> Vec<Target> {
    let records = engine.store().nodes().await.unwrap();
    records
        .iter()
        .map(|record| Target {
            name: record.name.clone(),
            access: Access {
                host: record.name.clone(),
                port: 22,
                user: "root".into(),
                host_keys: Vec::new(),
            },
            group: Some(TargetGroupName::Pool(record.pool.clone())),
            node: Some(record.id.clone()),
            origins: vec![TargetOrigin::Pool {
                pool: record.pool.clone(),
            }],
            labels: record.labels.clone(),
        })
        .collect()
}

async fn states(engine: &Engine) -> Vec<HealthState> {
    let all = engine.examine(&targets(engine).await).await.unwrap();
    all.into_iter().map(|one| one.health.state).collect()
}

fn request(targets: Vec<Target>) -> CordonRequest {
    CordonRequest {
        targets,
        reason: "a fan is loud".into(),
        timeout: Duration::from_secs(10),
        holder: "a test".into(),
    }
}

async fn setup(fleet: Fleet) -> (Bed, Arc<Machines>, Engine) {
    let bed = Bed::new(quick());
    let machines = Arc::new(Machines::default());
    let remote: Arc<dyn Remote> = machines.clone();
    let engine = bed.engine_with(fleet, Some(remote)).await;
    assert_reached(&converge(&engine).await);
    (bed, machines, engine)
}

#[tokio::test]
async fn reports_are_counted_over_processes() {
    use HealthState::{Healthy, Unhealthy, Unreachable};
    let (bed, machines, engine) = setup(guarded(2, false)).await;
    assert_eq!(states(&engine).await, [Healthy, Healthy]);
    let all = targets(&engine).await;
    let (first, second) = (all[0].name.clone(), all[1].name.clone());
    Machines::set(&machines.sick, &first, true);
    assert_eq!(states(&engine).await, [Healthy, Healthy]);
    assert_eq!(states(&engine).await, [Healthy, Healthy]);
    // Another process, which has only the journal, goes on counting.
    let remote: Arc<dyn Remote> = machines.clone();
    let other = bed.engine_with(guarded(2, false), Some(remote)).await;
    assert_eq!(states(&other).await, [Unhealthy, Healthy]);
    Machines::set(&machines.sick, &first, false);
    Machines::set(&machines.lost, &second, true);
    assert_eq!(states(&engine).await, [Unhealthy, Healthy]);
    assert_eq!(states(&other).await, [Healthy, Healthy]);
    assert_eq!(states(&engine).await, [Healthy, Unreachable]);
    Machines::set(&machines.lost, &second, false);
    assert_eq!(states(&engine).await, [Healthy, Unhealthy]);
    assert_eq!(states(&engine).await, [Healthy, Healthy]);
    let told: Vec<(HealthState, HealthState)> = engine
        .store()
        .last_events(200, None)
        .await
        .unwrap()
        .into_iter()
        .filter_map(|event| match event.what {
            EventKind::HealthChanged { from, to, .. } => Some((from, to)),
            _ => None,
        })
        .collect();
    assert_eq!(
        told[2..],
        [
            (Healthy, Unhealthy),
            (Unhealthy, Healthy),
            (Healthy, Unreachable),
            (Unreachable, Unhealthy),
            (Unhealthy, Healthy),
        ]
    );
}

#[tokio::test]
async fn when_not_one_answers_nothing_is_counted() {
    let (_bed, machines, engine) = setup(guarded(3, false)).await;
    states(&engine).await;
    let all = targets(&engine).await;
    for target in &all {
        Machines::set(&machines.lost, &target.name, true);
    }
    for _ in 0..5 {
        let seen = engine.examine(&all).await.unwrap();
        for one in seen {
            assert_eq!(one.health.state, HealthState::Healthy);
            assert_eq!((one.health.failures, one.reached), (0, None));
            let why = &one.health.unknown[0];
            assert!(why.contains("the network here"), "{why}");
        }
    }
}

/// Which nodes the balancer still has.
async fn members(engine: &Engine) -> BTreeMap<String, MemberHealth> {
    let provider = engine.providers().get("sim").unwrap();
    let members = provider.balancers().unwrap().members("web").await.unwrap();
    members
        .into_iter()
        .map(|member| (member.node.to_string(), member.health))
        .collect()
}

#[tokio::test]
async fn a_drained_node_leaves_its_balancer_stays_and_comes_back() {
    let (bed, machines, engine) = setup(guarded(2, true)).await;
    let all = targets(&engine).await;
    let chosen = request(vec![all[0].clone()]);
    let drained = engine.drain(&chosen).await.unwrap();
    assert_eq!(drained[0].phase, Some(CordonPhase::Drained), "{drained:?}");
    assert_eq!(drained[0].error, None);
    let id = all[0].node.clone().unwrap().to_string();
    assert!(!members(&engine).await.contains_key(&id));
    assert_eq!(machines.hooks(), ["cordon-hook", "drain-hook"]);
    let line = machines.ran.lock().unwrap()[0].clone();
    assert!(
        line.contains("FLEETWRIGHT_REASON='a fan is loud'"),
        "{line}"
    );
    assert!(line.contains("FLEETWRIGHT_GROUP='pools.web'"), "{line}");
    // Nobody deletes it, replaces it or puts it back meanwhile.
    assert_reached(&converge(&engine).await);
    assert_eq!(bed.live().len(), 2);
    assert!(!members(&engine).await.contains_key(&id));
    assert_eq!(engine.cordons().await.unwrap().len(), 1);
    // Again: nothing to do.
    let again = engine.drain(&chosen).await.unwrap();
    assert_eq!((again[0].changed, machines.hooks().len()), (false, 2));

    let free = engine.uncordon(&chosen).await.unwrap();
    assert_eq!((free[0].phase, free[0].error.clone()), (None, None));
    assert!(members(&engine).await.contains_key(&id));
    assert!(engine.cordons().await.unwrap().is_empty());
    assert_eq!(machines.hooks().last(), Some(&"uncordon-hook"));
}

#[tokio::test]
async fn a_hook_that_fails_undoes_the_cordon() {
    let (_bed, machines, engine) = setup(guarded(2, true)).await;
    let all = targets(&engine).await;
    let chosen = request(vec![all[0].clone()]);
    let id = all[0].node.clone().unwrap().to_string();

    Machines::set(&machines.failing, "'cordon-hook'", true);
    let result = engine.cordon(&chosen).await.unwrap().remove(0);
    assert_eq!(result.phase, None);
    let error = result.error.unwrap();
    assert!(error.message.contains("the hook `cordon`"), "{error:?}");
    assert!(engine.cordons().await.unwrap().is_empty());
    assert_eq!(machines.hooks(), ["cordon-hook", "uncordon-hook"]);
    Machines::set(&machines.failing, "'cordon-hook'", false);

    machines.ran.lock().unwrap().clear();
    Machines::set(&machines.failing, "drain-hook", true);
    let result = engine.drain(&chosen).await.unwrap().remove(0);
    assert_eq!(result.phase, None);
    assert!(result.error.unwrap().message.contains("the hook `drain`"));
    assert!(engine.cordons().await.unwrap().is_empty());
    assert!(members(&engine).await.contains_key(&id), "it serves again");
    assert_eq!(
        machines.hooks(),
        ["cordon-hook", "drain-hook", "uncordon-hook"]
    );
    let told: Vec<Option<CordonPhase>> = engine
        .store()
        .last_events(200, all[0].node.as_ref())
        .await
        .unwrap()
        .into_iter()
        .filter_map(|event| match event.what {
            EventKind::CordonChanged { phase, .. } => Some(phase),
            _ => None,
        })
        .collect();
    assert_eq!(told, [None, Some(CordonPhase::Cordoned), None]);
}

#[tokio::test]
async fn if_the_undoing_fails_too_the_node_stays_cordoned_and_is_seen() {
    let (_bed, machines, engine) = setup(guarded(1, false)).await;
    let chosen = request(targets(&engine).await);
    Machines::set(&machines.failing, "cordon-hook", true);
    let result = engine.cordon(&chosen).await.unwrap().remove(0);
    assert_eq!(result.phase, Some(CordonPhase::Uncordoning));
    let kept = engine.cordons().await.unwrap().remove(0);
    let trouble = kept.trouble.unwrap();
    assert!(
        trouble.contains("`cordon`") && trouble.contains("`uncordon`"),
        "{trouble}"
    );
    // The next run goes on.
    Machines::set(&machines.failing, "cordon-hook", false);
    let result = engine.uncordon(&chosen).await.unwrap().remove(0);
    assert_eq!((result.phase, result.error), (None, None));
    assert!(engine.cordons().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_drain_that_was_killed_is_gone_on_with() {
    let (bed, machines, engine) = setup(guarded(2, true)).await;
    let chosen = request(targets(&engine).await.split_off(1));
    {
        // Dropped in the middle, wherever it is by then.
        let drain = engine.drain(&chosen);
        let cut = tokio::time::timeout(Duration::from_millis(20), drain).await;
        drop(cut);
    }
    let remote: Arc<dyn Remote> = machines.clone();
    let next = bed.engine_with(guarded(2, true), Some(remote)).await;
    let result = next.drain(&chosen).await.unwrap().remove(0);
    assert_eq!(
        (result.phase, result.error),
        (Some(CordonPhase::Drained), None)
    );
    let id = chosen.targets[0].node.clone().unwrap().to_string();
    assert!(!members(&next).await.contains_key(&id));
    assert_eq!(bed.live().len(), 2);
}

#[tokio::test]
async fn a_cordoned_node_goes_first_when_a_pool_shrinks_and_its_cordon_with_it() {
    let (bed, _, engine) = setup(guarded(3, false)).await;
    let all = targets(&engine).await;
    let chosen = all[1].clone();
    engine.cordon(&request(vec![chosen.clone()])).await.unwrap();
    let smaller = bed.engine_with(guarded(2, false), None).await;
    assert_reached(&converge(&smaller).await);
    assert!(!bed.live().contains(chosen.node.as_ref().unwrap()));
    let gone = smaller.store().node(chosen.node.as_ref().unwrap()).await;
    assert_eq!(gone.unwrap().unwrap().life, Life::Gone);
    assert!(smaller.cordons().await.unwrap().is_empty());
}

/// Takes messages, or does not.
#[derive(Debug, Default)]
struct Receiver {
    answers: Mutex<Vec<Error>>,
    got: Mutex<Vec<Message>>,
    tries: Mutex<usize>,
}

#[async_trait]
impl Messenger for Receiver {
    async fn send(&self, message: &Message, _: Timestamp) -> Result<()> {
        *self.tries.lock().unwrap() += 1;
        if let Some(error) = self.answers.lock().unwrap().pop() {
            return Err(error);
        }
        self.got.lock().unwrap().push(message.clone());
        Ok(())
    }
}

impl Receiver {
    fn events(&self) -> Vec<String> {
        let got = self.got.lock().unwrap();
        got.iter().map(|message| message.event.clone()).collect()
    }
}

fn incident(id: u128, over: bool) -> Incident {
    let at: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
    Incident {
        id: Uuid::from_u128(id),
        kind: IncidentKind::Unhealthy,
        target: "web-1".into(),
        group: None,
        node: None,
        subject: String::new(),
        severity: Severity::High,
        opened_at: at,
        resolved_at: over.then_some(at),
        message: "it hurts".into(),
    }
}

async fn told(bed: &Bed) -> (Arc<Receiver>, Engine) {
    let mut fleet = one_pool(0);
    fleet.notifications = vec![Webhook {
        name: "ops".into(),
        url: SecretRef::Env("URL".into()),
        secret: None,
        format: WebhookFormat::Json,
        events: Vec::new(),
        min_severity: None,
        timeout: Span::seconds(1),
    }];
    let receiver = Arc::new(Receiver::default());
    let messengers: BTreeMap<String, Arc<dyn Messenger>> =
        BTreeMap::from([("ops".to_owned(), receiver.clone() as Arc<dyn Messenger>)]);
    let engine = bed.engine(fleet).await.with_messengers(messengers);
    (receiver, engine)
}

fn busy(after: Option<u64>) -> Error {
    let error = Error::new(Kind::RateLimited, "too many").with_effect(Effect::None);
    match after {
        Some(seconds) => error.with_retry_after(Duration::from_secs(seconds)),
        None => error,
    }
}

#[tokio::test]
async fn one_message_per_incident_and_one_when_it_is_over() {
    let bed = Bed::new(quick());
    let (receiver, engine) = told(&bed).await;
    assert_eq!(engine.tell(&[incident(1, false)]).await.unwrap(), 1);
    for _ in 0..3 {
        engine.tell(&[incident(1, false)]).await.unwrap();
        engine.send_due(Duration::ZERO).await.unwrap();
    }
    assert_eq!(receiver.events(), ["unhealthy-opened"]);
    for _ in 0..3 {
        engine.tell(&[incident(1, true)]).await.unwrap();
        engine.send_due(Duration::ZERO).await.unwrap();
    }
    assert_eq!(
        receiver.events(),
        ["unhealthy-opened", "unhealthy-resolved"]
    );
    assert_eq!(*receiver.tries.lock().unwrap(), 2);
}

#[tokio::test]
async fn what_is_not_taken_is_tried_again_in_order_and_with_the_same_id() {
    let bed = Bed::new(quick());
    let (receiver, engine) = told(&bed).await;
    receiver.answers.lock().unwrap().push(busy(None));
    engine.tell(&[incident(1, false)]).await.unwrap();
    engine.tell(&[incident(1, true)]).await.unwrap();
    let sent = engine.send_due(Duration::ZERO).await.unwrap();
    assert_eq!((sent.delivered, sent.put_off.len()), (0, 1), "{sent:?}");
    let id = sent.put_off[0].id;
    assert!(sent.put_off[0].due_at.is_some());
    // The end is not told before the beginning.
    let sent = engine.send_due(Duration::ZERO).await.unwrap();
    assert_eq!((sent.delivered, *receiver.tries.lock().unwrap()), (0, 1));
    let sent = engine.send_due(Duration::from_secs(10)).await.unwrap();
    assert_eq!((sent.delivered, sent.put_off.len()), (2, 0), "{sent:?}");
    assert_eq!(
        receiver.events(),
        ["unhealthy-opened", "unhealthy-resolved"]
    );
    assert_eq!(receiver.got.lock().unwrap()[0].id, id);
}

#[tokio::test]
async fn a_pause_that_was_asked_for_is_kept_to_and_a_clear_no_is_final() {
    let bed = Bed::new(quick());
    let (receiver, engine) = told(&bed).await;
    receiver.answers.lock().unwrap().push(busy(Some(3_600)));
    engine.tell(&[incident(1, false)]).await.unwrap();
    let sent = engine.send_due(Duration::from_secs(1)).await.unwrap();
    let due = sent.put_off[0].due_at.unwrap();
    let made = engine.store().last_deliveries(1).await.unwrap()[0]
        .message
        .at;
    assert!(due.duration_since(made).as_secs() >= 3_600);
    assert_eq!(*receiver.tries.lock().unwrap(), 1);

    let gone = Error::new(Kind::NotFound, "no such hook");
    receiver.answers.lock().unwrap().push(gone);
    engine.tell(&[incident(2, false)]).await.unwrap();
    let sent = engine.send_due(Duration::ZERO).await.unwrap();
    assert_eq!(sent.lost.len(), 1, "{sent:?}");
    let sent = engine.send_due(Duration::ZERO).await.unwrap();
    assert_eq!((sent.lost.len(), *receiver.tries.lock().unwrap()), (0, 2));
    let lost = engine.store().last_events(50, None).await.unwrap();
    let lost = lost.iter().filter(|e| e.what.name() == "notification-lost");
    assert_eq!(lost.count(), 1);
}

#[tokio::test]
async fn a_sender_that_was_killed_does_not_lose_the_message() {
    let bed = Bed::new(quick());
    let (_, engine) = told(&bed).await;
    engine.tell(&[incident(1, false)]).await.unwrap();
    let taken = engine.store().open_deliveries().await.unwrap().remove(0);
    // Killed after it took the message; its time is over at once here.
    assert!(
        engine
            .store()
            .take_delivery(&taken, taken.message.at)
            .await
            .unwrap()
    );
    let (receiver, next) = told(&bed).await;
    let sent = next.send_due(Duration::ZERO).await.unwrap();
    assert_eq!((sent.delivered, receiver.events().len()), (1, 1));
    assert_eq!(receiver.got.lock().unwrap()[0].id, taken.message.id);
}
