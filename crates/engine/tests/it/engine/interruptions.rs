//! What a cloud announces, and what comes of it before the time is over.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::ability::{InterruptionKind, MemberHealth};
use fleetwright_core::{
    Access, Command, EventKind, Exit, Life, Market, NodeId, Operation, Output, OutputSink, Pool,
    Remote, Result,
};
use fleetwright_engine::{BACKGROUND, Engine, Fleet, Round, Watch};
use fleetwright_sim::{SimConfig, SimFaults, SimRegion};

use crate::bed::{Bed, assert_reached, converge, fleet, millis, pool, quick};

/// A pool of spot machines in the east, and in the west when there are none.
fn spot(desired: u32) -> Pool {
    let mut web = pool(desired, &["sim-east", "sim-west"]);
    for candidate in &mut web.candidates {
        candidate.market = Market::Spot;
    }
    web
}

/// The same behind a balancer.
fn balanced(desired: u32) -> Fleet {
    let mut web = spot(desired);
    web.balancer = Some("web".into());
    fleet([("web", web)])
}

/// A cloud whose machines take a while to come up.
fn slow() -> SimConfig {
    SimConfig {
        regions: vec![
            SimRegion::new("sim-east", &["sim-east-a"]),
            SimRegion::new("sim-west", &["sim-west-a"]),
        ],
        boot_time: millis(500),
        ..quick()
    }
}

/// How many machines that are really there are healthy behind the balancer.
async fn serving(bed: &Bed, engine: &Engine) -> usize {
    let provider = engine.providers().get("sim").unwrap();
    let members = provider.balancers().unwrap().members("web").await.unwrap();
    let live = bed.live();
    members
        .iter()
        .filter(|member| member.health == MemberHealth::Healthy && live.contains(&member.node))
        .count()
}

/// Rounds until something holds; at most for ten seconds.
async fn rounds(engine: &Engine, mut until: impl AsyncFnMut(&Round) -> bool) -> Vec<Round> {
    let (mut watch, holder) = (Watch::default(), format!("{BACKGROUND}, a test"));
    let mut all = Vec::new();
    for _ in 0..400 {
        all.push(engine.watch(&mut watch, &holder).await.unwrap());
        if until(all.last().unwrap()).await {
            return all;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it did not come true within ten seconds: {all:#?}");
}

async fn events(engine: &Engine, node: &NodeId) -> Vec<EventKind> {
    let events = engine.store().last_events(200, Some(node)).await.unwrap();
    events.into_iter().map(|event| event.what).collect()
}

/// The time of the last look.
async fn engine_time(engine: &Engine) -> jiff::Timestamp {
    engine.observe().await.unwrap().at
}

async fn reason_of(engine: &Engine, node: &NodeId) -> String {
    let record = engine.store().node(node).await.unwrap().unwrap();
    assert_eq!(record.life, Life::Gone);
    record.reason
}

#[tokio::test]
async fn a_machine_that_is_taken_back_is_replaced_elsewhere_before_it_is_gone() {
    let bed = Bed::new(slow());
    let engine = bed.engine(balanced(3)).await;
    assert_reached(&converge(&engine).await);
    let before = bed.live();
    let taken = before.first().unwrap().clone();
    bed.world.reclaim(&taken, Duration::from_secs(8)).unwrap();

    let mut fewest = usize::MAX;
    let all = rounds(&engine, async |_| {
        fewest = fewest.min(serving(&bed, &engine).await);
        !bed.live().contains(&taken) && engine.store().nodes().await.unwrap().len() == 3
    })
    .await;
    assert_eq!(fewest, 3, "service went below what is wanted");
    assert_eq!(all.iter().map(|round| round.created).sum::<usize>(), 1);
    let after = bed.live();
    let successor: Vec<&NodeId> = after.difference(&before).collect();
    assert_eq!(after.len(), 3);
    assert_eq!(successor[0].region(), "sim-west", "not where one was taken");

    let told = events(&engine, &taken).await;
    let notices = told.iter().filter(|event| {
        let reclaim = InterruptionKind::Reclaim;
        matches!(event, EventKind::InterruptionNoticed { kind, .. } if *kind == reclaim)
    });
    assert_eq!(notices.count(), 1, "{told:?}");
    let marks = engine.store().marks(engine_time(&engine).await).await;
    assert_eq!(marks.unwrap().len(), 1);
    let gone = engine.store().node(&taken).await.unwrap().unwrap();
    let notice = gone.tenure.notice.clone().unwrap();
    assert!(gone.gone_at.unwrap() < notice.at.unwrap(), "it left early");
    let reason = reason_of(&engine, &taken).await;
    assert!(reason.contains("the cloud takes it back at "), "{reason}");
    assert!(reason.ends_with("others are in its place"), "{reason}");
    assert_reached(&converge(&engine).await);
    assert_eq!(bed.live(), after);
}

#[tokio::test]
async fn up_hears_of_it_too() {
    let bed = Bed::new(slow());
    let engine = bed.engine(balanced(2)).await;
    assert_reached(&converge(&engine).await);
    let taken = bed.live().first().unwrap().clone();
    bed.world.reclaim(&taken, Duration::from_secs(8)).unwrap();
    let outcome = converge(&engine).await;
    assert_reached(&outcome);
    assert_eq!((outcome.executed.created, outcome.executed.deleted), (1, 1));
    assert!(!bed.live().contains(&taken));
    assert_eq!(serving(&bed, &engine).await, 2);
}

#[tokio::test]
async fn a_machine_that_was_taken_without_a_warning_is_no_mystery() {
    let bed = Bed::new(slow());
    let engine = bed.engine(fleet([("web", spot(1))])).await;
    assert_reached(&converge(&engine).await);
    let taken = bed.live().first().unwrap().clone();
    bed.world.reclaim(&taken, Duration::from_mins(1)).unwrap();
    // Heard of, and then taken before its time.
    rounds(&engine, async |_| bed.live().len() == 2).await;
    bed.world.kill(&taken).unwrap();
    assert_reached(&converge(&engine).await);
    let reason = reason_of(&engine, &taken).await;
    let announced = "reclaimed by the cloud, as it announced at ";
    assert!(reason.starts_with(announced), "{reason}");

    let next = bed.live().first().unwrap().clone();
    bed.world.reclaim(&next, Duration::ZERO).unwrap();
    assert_reached(&converge(&engine).await);
    let reason = reason_of(&engine, &next).await;
    let told = reason.contains("reclaimed") || reason.contains("taken back");
    assert!(told, "{reason}");
}

#[tokio::test]
async fn a_notice_for_a_machine_of_others_is_not_ours() {
    let bed = Bed::new(slow());
    let (ours, theirs) = (
        bed.engine_on("ours", fleet([("web", spot(1))])).await,
        bed.engine_on("theirs", fleet([("web", spot(1))])).await,
    );
    assert_reached(&converge(&ours).await);
    let own = bed.live();
    assert_reached(&converge(&theirs).await);
    let foreign = bed.live().difference(&own).next().unwrap().clone();
    bed.world
        .reclaim(&foreign, Duration::from_secs(30))
        .unwrap();
    let outcome = converge(&ours).await;
    assert_reached(&outcome);
    assert!(!outcome.executed.has_changes(), "{:?}", outcome.executed);
    let round = rounds(&ours, async |_| true).await.remove(0);
    assert_eq!((round.created, round.removed), (0, 0));
    assert_eq!(bed.live().len(), 2);
    let all = ours.store().last_events(500, None).await.unwrap();
    let heard = all.iter().any(|e| e.what.name() == "interruption-noticed");
    assert!(!heard, "{all:?}");
}

#[tokio::test]
async fn a_source_of_notices_that_fails_is_a_warning_and_nothing_more() {
    let bed = Bed::new(SimConfig {
        faults: SimFaults {
            forbidden: 1_000,
            operations: Some(vec![Operation::Read]),
            ..SimFaults::default()
        },
        ..slow()
    });
    let engine = bed.engine(fleet([("web", spot(2))])).await;
    assert_reached(&converge(&engine).await);
    let before = bed.live();
    let outcome = converge(&engine).await;
    assert_reached(&outcome);
    assert!(!outcome.executed.has_changes());
    let all = engine.store().last_events(500, None).await.unwrap();
    let warned = all.iter().any(|e| e.what.name() == "notices-unseen");
    assert!(warned, "{all:?}");
    let round = rounds(&engine, async |_| true).await.remove(0);
    assert_eq!((round.created, round.removed), (0, 0));
    let trouble = &round.troubles[0];
    assert!(
        trouble.starts_with("what `sim` announces is not seen: "),
        "{trouble}"
    );
    assert_eq!(bed.live(), before);
}

/// Answers each command with the next text, and keeps what it was asked.
#[derive(Debug)]
struct Node {
    says: Mutex<VecDeque<&'static str>>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Remote for Node {
    async fn reach(&self, _: &Access, _: Duration) -> Result<()> {
        Ok(())
    }

    async fn run(&self, _: &Access, command: &Command, _: &dyn OutputSink) -> Result<Output> {
        let script = String::from_utf8(command.stdin.clone()).unwrap();
        self.asked.lock().unwrap().push(script);
        let text = self.says.lock().unwrap().pop_front().unwrap_or("0");
        Ok(Output {
            exit: Exit::Status { code: 0 },
            stdout: format!("{text}\n").into_bytes(),
            stderr: Vec::new(),
            truncated: false,
        })
    }
}

/// Simulated nodes have no address: this one gets one.
async fn give_address(engine: &Engine, node: &NodeId) {
    let mut record = engine.store().node(node).await.unwrap().unwrap();
    record.access = Some(Access {
        host: "127.0.0.1".into(),
        port: 22,
        user: "root".into(),
        host_keys: Vec::new(),
    });
    let (now, ttl) = (record.created_at, Duration::from_mins(1));
    let store = engine.store();
    let lease = store.acquire("reconcile", "a test", now, ttl).await;
    let lease = lease.unwrap();
    store.put_nodes(&lease, &[record], &[]).await.unwrap();
    store.release(lease).await.unwrap();
}

#[tokio::test]
async fn a_node_is_let_go_when_its_drain_command_has_ended() {
    let bed = Bed::new(slow());
    let mut web = spot(1);
    web.interruptions.drain_command = Some("save --to 'there'".into());
    let node = Arc::new(Node {
        says: Mutex::new(VecDeque::from(["running", "running", "3"])),
        asked: Mutex::default(),
    });
    let remote: Arc<dyn Remote> = node.clone();
    let engine = bed.engine_with(fleet([("web", web)]), Some(remote)).await;
    assert_reached(&converge(&engine).await);
    let taken = bed.live().first().unwrap().clone();
    give_address(&engine, &taken).await;

    bed.world.reclaim(&taken, Duration::from_mins(1)).unwrap();
    assert_reached(&converge(&engine).await);
    let asked = node.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 3, "{asked:#?}");
    assert!(
        asked[0].contains(r"save --to '\''there'\''"),
        "{}",
        asked[0]
    );
    let told: BTreeSet<String> = events(&engine, &taken)
        .await
        .into_iter()
        .filter_map(|event| match event {
            EventKind::DrainCommandEnded { reason, .. } => Some(reason),
            _ => None,
        })
        .collect();
    let ended = "its drain command ended with status 3".to_owned();
    assert_eq!(told, BTreeSet::from([ended]));
    reason_of(&engine, &taken).await;
}
