//! The time of nodes: how it ends, how it is moved, and who notices.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{
    Access, Command, EventKind, Exit, HourlyPrice, Kind, Life, Limits, NodeRecord, Operation,
    Output, OutputSink, Purpose, Remote, Result, Span, Tenure, keys,
};
use fleetwright_engine::{BACKGROUND, Engine, Extension, Fleet, Round, Watch};

use fleetwright_sim::{SimConfig, SimFaults};

use crate::bed::{Bed, assert_reached, converge, fleet, millis, options, pool, quick};

/// One pool whose nodes have these limits.
fn limited(desired: u32, limits: Limits) -> Fleet {
    let mut web = pool(desired, &["sim-east"]);
    web.limits = limits;
    fleet([("web", web)])
}

fn runtime(limit: Span) -> Limits {
    Limits {
        max_runtime: Some(limit),
        ..Limits::default()
    }
}

/// Rounds until one of them says what is wanted; at most for ten seconds.
async fn rounds(engine: &Engine, watch: &mut Watch, until: impl Fn(&Round) -> bool) -> Round {
    let holder = format!("{BACKGROUND}, a test");
    for _ in 0..200 {
        let round = engine.watch(watch, &holder).await.unwrap();
        if until(&round) {
            return round;
        }
        let pause = round.pause.min(Duration::from_millis(50));
        tokio::time::sleep(pause).await;
    }
    panic!("no round was like that within ten seconds");
}

async fn records(engine: &Engine) -> Vec<NodeRecord> {
    engine.store().nodes().await.unwrap()
}

#[tokio::test]
async fn a_node_whose_time_is_over_goes_and_only_an_up_makes_another() {
    let bed = Bed::new(quick());
    let engine = bed.engine(limited(2, runtime(millis(1_500)))).await;
    assert_reached(&converge(&engine).await);
    let made = records(&engine).await;
    for record in &made {
        let end = record.tenure.ends_at.expect("it has an end");
        // The label tells whole seconds, rounded up.
        let runtime = end.duration_since(record.created_at).as_millis();
        assert!((1_500..=2_500).contains(&runtime), "{runtime} ms");
        assert!(
            record.labels.contains_key(keys::EXPIRY),
            "{:?}",
            record.labels
        );
    }
    let mut watch = Watch::default();
    let first = rounds(&engine, &mut watch, |_| true).await;
    assert_eq!((first.limited, first.removed), (2, 0));
    assert!(first.pause <= Duration::from_millis(2_500), "{first:?}");
    let last = rounds(&engine, &mut watch, Round::is_over).await;
    assert_eq!(last.troubles, [] as [String; 0]);
    assert!(bed.live().is_empty());
    let gone = engine.store().node(&made[0].id).await.unwrap().unwrap();
    assert!(
        gone.reason.starts_with("its time was over at "),
        "{}",
        gone.reason
    );

    let outcome = converge(&engine).await;
    assert_reached(&outcome);
    assert_eq!(outcome.executed.created, 2);
}

#[tokio::test]
async fn machines_whose_request_got_no_answer_are_found_and_ended_too() {
    let bed = Bed::new(SimConfig {
        faults: SimFaults {
            lost_after: 1_000,
            operations: Some(vec![Operation::Create]),
            ..SimFaults::default()
        },
        ..quick()
    });
    let engine = bed.engine(limited(1, runtime(millis(1_000)))).await;
    let mut short = options(Purpose::Converge);
    short.deadline = Duration::from_millis(200);
    engine.converge(&short).await.unwrap();
    assert_eq!(engine.store().open_claims().await.unwrap().len(), 1);
    assert_eq!((bed.live().len(), records(&engine).await.len()), (1, 0));
    let mut watch = Watch::default();
    rounds(&engine, &mut watch, Round::is_over).await;
    assert!(bed.live().is_empty());
    assert_eq!(engine.store().nodes_with_gone().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_limit_that_is_younger_than_its_nodes_counts_from_when_it_is_seen() {
    let bed = Bed::new(quick());
    let engine = bed.engine(limited(1, Limits::default())).await;
    assert_reached(&converge(&engine).await);
    assert_eq!(records(&engine).await[0].tenure, Tenure::default());
    let engine = bed.engine(limited(1, runtime(Span::minutes(60)))).await;
    assert_reached(&converge(&engine).await);
    let end = records(&engine).await[0]
        .tenure
        .ends_at
        .expect("it has one now");
    let left = end.duration_since(records(&engine).await[0].created_at);
    assert!(left.as_secs() >= 3_600, "{left:?}");
}

#[tokio::test]
async fn an_end_is_moved_and_not_beyond_the_cap() {
    let bed = Bed::new(quick());
    let limits = Limits {
        extend_to: Some(Span::minutes(180)),
        ..runtime(Span::minutes(60))
    };
    let engine = bed.engine(limited(2, limits)).await;
    assert_reached(&converge(&engine).await);
    let before = records(&engine).await;
    let extension = |by: Span, nodes: &[NodeRecord]| Extension {
        nodes: nodes.iter().map(|record| record.id.clone()).collect(),
        by,
        holder: "a test".into(),
    };
    let moved = engine
        .extend(&extension(Span::minutes(90), &before[..1]))
        .await
        .unwrap();
    assert_eq!(moved.len(), 1);
    let after = records(&engine).await;
    let (from, to) = (
        before[0].tenure.ends_at.unwrap(),
        after[0].tenure.ends_at.unwrap(),
    );
    assert_eq!(to.duration_since(from).as_secs(), 90 * 60);
    assert_eq!(after[1].tenure, before[1].tenure);
    let events = engine
        .store()
        .last_events(10, Some(&before[0].id))
        .await
        .unwrap();
    let told = events.iter().any(
        |event| matches!(&event.what, EventKind::EndMoved { to: Some(end), .. } if *end == to),
    );
    assert!(told, "{events:?}");

    // Beyond the cap of one of them: none is moved.
    let error = engine
        .extend(&extension(Span::minutes(60), &before))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(
        error
            .to_string()
            .contains("its pool `web` allows at most 3h"),
        "{error}"
    );
    assert!(
        error.hint().unwrap().starts_with("at most 29m")
            || error.hint() == Some("at most 30m more"),
        "{:?}",
        error.hint()
    );
    assert_eq!(records(&engine).await, after);
}

#[tokio::test]
async fn a_node_without_limits_has_no_end_to_be_moved() {
    let bed = Bed::new(quick());
    let engine = bed.engine(limited(1, Limits::default())).await;
    assert_reached(&converge(&engine).await);
    let extension = Extension {
        nodes: records(&engine)
            .await
            .iter()
            .map(|r| r.id.clone())
            .collect(),
        by: Span::minutes(5),
        holder: "a test".into(),
    };
    let error = engine.extend(&extension).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(
        error
            .hint()
            .unwrap()
            .contains("pools.web.limits.max_runtime")
    );
    assert!(!engine.needs_watch(&records(&engine).await));
}

/// Answers each command with the next text; with the last one for ever.
#[derive(Debug)]
struct Says(Mutex<VecDeque<&'static str>>);

#[async_trait]
impl Remote for Says {
    async fn reach(&self, _: &Access, _: Duration) -> Result<()> {
        Ok(())
    }

    async fn run(&self, _: &Access, _: &Command, _: &dyn OutputSink) -> Result<Output> {
        let mut texts = self.0.lock().unwrap();
        let text = if texts.len() > 1 {
            texts.pop_front().unwrap()
        } else {
            texts[0]
        };
        Ok(Output {
            exit: Exit::Status { code: 0 },
            stdout: text.into(),
            stderr: Vec::new(),
            truncated: false,
        })
    }
}

const IDLE: &str = "sessions 0\nload 0.00\ngpu none\n";
const BUSY: &str = "sessions 2\nload 0.00\ngpu none\n";
const SILENT: &str = "";

/// An engine with a node that says this when its use is looked at.
async fn spoken(bed: &Bed, limits: Limits, texts: &[&'static str]) -> Engine {
    let says = Says(Mutex::new(texts.iter().copied().collect()));
    let engine = bed
        .engine_with(limited(1, limits), Some(Arc::new(says)))
        .await;
    assert_reached(&converge(&engine).await);
    // Simulated nodes have no logins of their own.
    let store = engine.store();
    let now = records(&engine).await[0].created_at;
    let lease = store
        .acquire("reconcile", "a test", now, Duration::from_secs(5))
        .await
        .unwrap();
    let mut node = records(&engine).await.remove(0);
    node.access = Some(Access {
        host: "127.0.0.1".into(),
        port: 22,
        user: "me".into(),
        host_keys: Vec::new(),
    });
    store.put_nodes(&lease, &[node], &[]).await.unwrap();
    store.release(lease).await.unwrap();
    engine
}

fn idle_after(limit: Span) -> Limits {
    Limits {
        idle_after: Some(limit),
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_node_that_nobody_uses_goes_and_use_starts_the_clock_anew() {
    let bed = Bed::new(quick());
    let engine = spoken(&bed, idle_after(millis(1_500)), &[IDLE, BUSY, IDLE]).await;
    let node = records(&engine).await.remove(0);
    let mut watch = Watch::default();
    rounds(&engine, &mut watch, Round::is_over).await;
    assert!(bed.live().is_empty());
    let gone = engine.store().node(&node.id).await.unwrap().unwrap();
    assert!(
        gone.reason.starts_with("nobody used it for "),
        "{}",
        gone.reason
    );
    let events = engine
        .store()
        .last_events(100, Some(&node.id))
        .await
        .unwrap();
    let changes: Vec<(bool, String)> = events
        .into_iter()
        .filter_map(|event| match event.what {
            EventKind::UseChanged { idle, reason, .. } => Some((idle, reason)),
            _ => None,
        })
        .collect();
    let idle = || (true, "no SSH session, load 0 %, no GPU".to_owned());
    assert_eq!(changes, [idle(), (false, "2 SSH sessions".into()), idle()]);
}

#[tokio::test]
async fn a_node_about_which_nobody_can_tell_stays() {
    let bed = Bed::new(quick());
    for texts in [&[BUSY][..], &[SILENT]] {
        let engine = spoken(&bed, idle_after(millis(600)), texts).await;
        let mut watch = Watch::default();
        let began = std::time::Instant::now();
        let late = |_: &Round| began.elapsed() > Duration::from_millis(1_800);
        let round = rounds(&engine, &mut watch, late).await;
        assert_eq!((round.limited, round.removed), (1, 0));
        assert_eq!(bed.live().len(), 1);
        assert_eq!(records(&engine).await[0].tenure.idle_since, None);
    }
}

#[tokio::test]
async fn an_extended_node_stays_although_nobody_uses_it() {
    let bed = Bed::new(quick());
    let engine = spoken(&bed, idle_after(millis(600)), &[IDLE]).await;
    let node = records(&engine).await.remove(0);
    let extension = Extension {
        nodes: [node.id.clone()].into(),
        by: millis(2_500),
        holder: "a test".into(),
    };
    let moved = engine.extend(&extension).await.unwrap();
    assert_eq!((moved[0].from, moved[0].to), (None, None));
    let mut watch = Watch::default();
    rounds(&engine, &mut watch, Round::is_over).await;
    let gone = engine.store().node(&node.id).await.unwrap().unwrap();
    assert_eq!(gone.life, Life::Gone);
    assert!(gone.gone_at.unwrap() >= moved[0].kept_until);
}

#[tokio::test]
async fn whoever_works_in_the_foreground_waits_for_the_background_and_not_for_others() {
    let bed = Bed::new(quick());
    let engine = bed.engine(limited(1, Limits::default())).await;
    let store = engine.store();
    let now = jiff::Timestamp::UNIX_EPOCH;
    let hold = |holder: &'static str| store.acquire("reconcile", holder, now, Duration::ZERO);
    let lease = hold("another").await.unwrap();
    let error = engine
        .converge(&options(Purpose::Converge))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    store.release(lease).await.unwrap();

    let lease = hold(BACKGROUND).await.unwrap();
    let release = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        store.release(lease).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(converge(&engine), release);
    assert_reached(&outcome);
}

#[tokio::test]
async fn a_bill_adds_up_what_is_gone_and_what_is_there() {
    let bed = Bed::new(quick());
    let engine = bed.engine(limited(1, Limits::default())).await;
    assert_reached(&converge(&engine).await);
    let there = records(&engine).await.remove(0);
    let price = there.price.expect("the simulated cloud tells prices");
    let mut gone = there.clone();
    let later = |seconds| there.created_at + Duration::from_secs(seconds);
    gone.gone_at = Some(later(1_800));
    let bill = engine.bill([&there, &gone], later(3_600));
    let costs: Vec<u64> = bill.lines.iter().map(|l| l.cost.unwrap().micros).collect();
    assert_eq!(costs, [price.micros_per_hour, price.micros_per_hour / 2]);
    assert_eq!(bill.total[0].micros, costs[0] + costs[1]);
    assert_eq!(bill.per_hour, HourlyPrice::sum([price]));
    assert_eq!(bill.of_pool("web"), bill.total);
    assert_eq!(bill.of_pool("other"), []);
}
