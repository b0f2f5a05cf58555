//! Sizes that policies decide on: signals that are read, rounds in the background, and races.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{
    Access, Command, Error, EventKind, Exit, Kind, Life, Output, OutputSink, Purpose, Quantity,
    Remote, Result, SignalSource, SizedBy, Span,
};
use fleetwright_engine::{BACKGROUND, Engine, Fleet, Round, Watch};
use serde_json::json;

use crate::bed::{Bed, assert_reached, converge, fleet, options, pool, quick};

/// A source that says what a test put into it.
#[derive(Debug)]
struct Told(Mutex<Result<u32, &'static str>>);

#[async_trait]
impl SignalSource for Told {
    async fn read(&self) -> Result<Quantity> {
        match *self.0.lock().unwrap() {
            Ok(number) => Ok(Quantity::whole(number)),
            Err(why) => Err(Error::new(Kind::Unavailable, why)),
        }
    }
}

impl Told {
    fn say(&self, answer: Result<u32, &'static str>) {
        *self.0.lock().unwrap() = answer;
    }
}

/// One pool that follows a queue that is read from a source, and one without a policy.
fn scaled(limits: serde_json::Value) -> Fleet {
    let mut train = pool(1, &["sim-east"]);
    train.max = Some(12);
    let mut whole = limits;
    whole["policy"] = json!({ "queue": { "signal": "jobs", "per_node": 1 } });
    whole["every"] = json!("1s");
    whole["signals"] = json!({ "jobs": { "prometheus": { "url": "http://p", "query": "jobs" } } });
    train.scaling = Some(serde_json::from_value(whole).unwrap());
    fleet([("train", train), ("web", pool(2, &["sim-east"]))])
}

fn free() -> serde_json::Value {
    json!({ "cool_down": { "up": "0s", "down": "0s" }, "max_step": { "down": 12 } })
}

async fn engine_of(bed: &Bed, fleet: Fleet) -> (Engine, Arc<Told>) {
    let told = Arc::new(Told(Mutex::new(Ok(1))));
    let key = ("train".to_owned(), "jobs".to_owned());
    let source: Arc<dyn SignalSource> = told.clone();
    let engine = bed.engine(fleet).await;
    (engine.with_sources(BTreeMap::from([(key, source)])), told)
}

/// Rounds until one of them says what is wanted; at most for ten seconds.
async fn rounds(engine: &Engine, watch: &mut Watch, until: impl AsyncFn(&Round) -> bool) -> Round {
    let holder = format!("{BACKGROUND}, a test");
    for _ in 0..200 {
        let round = engine.watch(watch, &holder).await.unwrap();
        if until(&round).await {
            return round;
        }
        tokio::time::sleep(round.pause.min(Duration::from_millis(50))).await;
    }
    panic!("no round was like that within ten seconds");
}

async fn count(engine: &Engine, pool: &str) -> usize {
    let nodes = engine.store().nodes().await.unwrap();
    let up = |life: Life| life.is_wanted();
    nodes
        .iter()
        .filter(|n| n.pool == pool && up(n.life))
        .count()
}

async fn size(engine: &Engine) -> Option<u32> {
    let sizes = engine.sizes().await.unwrap();
    let train = sizes.into_iter().find(|size| size.pool == "train").unwrap();
    train.decided.map(|record| record.size)
}

#[tokio::test]
async fn a_pool_follows_its_source_and_no_other_pool_is_touched() {
    let bed = Bed::new(quick());
    let (engine, told) = engine_of(&bed, scaled(free())).await;
    engine.begin_scaling("a test").await.unwrap();
    assert_reached(&converge(&engine).await);
    // Somebody removes a node of the pool that is not scaled: that is for `up` to see.
    let web = engine.store().nodes().await.unwrap();
    let web = web
        .iter()
        .find(|node| node.pool == "web")
        .unwrap()
        .id
        .clone();
    let gone = Purpose::Remove {
        nodes: Some(vec![web]),
    };
    engine.converge(&options(gone)).await.unwrap();

    let mut watch = Watch::default();
    told.say(Ok(5));
    let round = rounds(&engine, &mut watch, async |_| {
        count(&engine, "train").await == 5
    })
    .await;
    assert_eq!((round.scaled, round.is_over()), (1, false));
    told.say(Ok(2));
    let round = rounds(&engine, &mut watch, async |_| {
        count(&engine, "train").await == 2
    })
    .await;
    assert_eq!(round.troubles, [] as [String; 0]);
    assert_eq!(count(&engine, "web").await, 1);
    let events = engine.store().last_events(200, None).await.unwrap();
    let decided: Vec<(u32, u32)> = events
        .iter()
        .filter_map(|event| match &event.what {
            EventKind::SizeDecided { from, to, .. } => Some((*from, *to)),
            _ => None,
        })
        .collect();
    assert_eq!(decided, [(1, 5), (5, 2)]);
    // What was read is there to be seen.
    let signals = engine.store().signals().await.unwrap();
    assert_eq!(signals[0].newest.value, Quantity::whole(2));
}

#[tokio::test]
async fn a_source_that_fails_keeps_the_nodes_and_both_ends_of_it_are_told() {
    let bed = Bed::new(quick());
    let (engine, told) = engine_of(&bed, scaled(free())).await;
    engine.begin_scaling("a test").await.unwrap();
    let mut watch = Watch::default();
    told.say(Ok(4));
    rounds(&engine, &mut watch, async |_| {
        count(&engine, "train").await == 4
    })
    .await;
    told.say(Err("no route to host"));
    let troubled = async |_: &Round| {
        let sizes = engine.store().sizes().await.unwrap();
        sizes[0].trouble.is_some()
    };
    rounds(&engine, &mut watch, troubled).await;
    assert_eq!(
        (count(&engine, "train").await, size(&engine).await),
        (4, Some(4))
    );
    told.say(Ok(4));
    let mended = async |_: &Round| {
        let sizes = engine.store().sizes().await.unwrap();
        sizes[0].trouble.is_none()
    };
    rounds(&engine, &mut watch, mended).await;
    let events = engine.store().last_events(200, None).await.unwrap();
    let kept: Vec<Option<String>> = events
        .into_iter()
        .filter_map(|event| match event.what {
            EventKind::SizeKept { trouble, .. } => Some(trouble),
            _ => None,
        })
        .collect();
    assert_eq!(
        kept,
        [
            Some("the signal `jobs` failed: no route to host".to_owned()),
            None
        ]
    );
}

#[tokio::test]
async fn a_decision_on_a_size_that_was_changed_meanwhile_is_not_written() {
    let bed = Bed::new(quick());
    let (engine, told) = engine_of(&bed, scaled(free())).await;
    engine.begin_scaling("a test").await.unwrap();
    told.say(Ok(9));
    let decided = engine.evaluate(None).await.unwrap();
    assert_eq!((decided[0].decision.from, decided[0].decision.size), (1, 9));
    engine.set_size("train", 3, None, "a test").await.unwrap();
    let error = engine.adopt_sizes(&decided, "a test").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert_eq!(size(&engine).await, Some(3));
    // By hand goes first, as long as it is in force.
    let held = engine.evaluate(None).await.unwrap();
    assert!(held[0].idle.as_ref().unwrap().contains("set by hand"));
    assert_eq!(engine.adopt_sizes(&held, "a test").await.unwrap(), 0);
    engine.release_size("train", "a test").await.unwrap();
    let free = engine.evaluate(None).await.unwrap();
    assert_eq!(engine.adopt_sizes(&free, "a test").await.unwrap(), 1);
    assert_eq!(size(&engine).await, Some(9));
}

#[tokio::test]
async fn cool_down_and_steps_survive_the_process() {
    let bed = Bed::new(quick());
    let limits = json!({ "max_step": { "up": 3 } });
    let (engine, told) = engine_of(&bed, scaled(limits.clone())).await;
    engine.begin_scaling("a test").await.unwrap();
    told.say(Ok(12));
    let decide = async |engine: &Engine| {
        let decided = engine.evaluate(None).await.unwrap();
        engine.adopt_sizes(&decided, "a test").await.unwrap();
        decided[0].decision.reason.clone()
    };
    decide(&engine).await;
    assert_eq!(size(&engine).await, Some(4));
    let (other, told) = engine_of(&bed, scaled(limits)).await;
    told.say(Ok(12));
    let reason = decide(&other).await;
    assert_eq!(size(&other).await, Some(4));
    assert!(reason.contains("and grows again after 1m"), "{reason}");
}

#[tokio::test]
async fn without_a_record_nothing_is_decided_and_nothing_is_made() {
    let bed = Bed::new(quick());
    let (engine, told) = engine_of(&bed, scaled(free())).await;
    told.say(Ok(9));
    let round = engine
        .watch(&mut Watch::default(), BACKGROUND)
        .await
        .unwrap();
    assert!(round.is_over(), "{round:?}");
    let pools: BTreeSet<String> = ["train".to_owned()].into();
    let outcome = engine
        .converge(&options(Purpose::Scale { pools, wait: true }))
        .await
        .unwrap();
    assert!(outcome.plan.is_empty());
    assert!(bed.live().is_empty());
    let idle = engine.evaluate(None).await.unwrap();
    assert_eq!(
        idle[0].idle.as_deref(),
        Some("its scaling begins with `fleetwright up`")
    );
}

#[tokio::test]
async fn records_of_pools_that_are_scaled_no_more_are_not_heeded_and_forgotten() {
    let bed = Bed::new(quick());
    let (engine, told) = engine_of(&bed, scaled(free())).await;
    engine.begin_scaling("a test").await.unwrap();
    told.say(Ok(6));
    let decided = engine.evaluate(None).await.unwrap();
    engine.adopt_sizes(&decided, "a test").await.unwrap();
    let mut without = scaled(free());
    without.pools.get_mut("train").unwrap().scaling = None;
    let engine = bed.engine(without).await;
    let (plan, observation) = engine
        .plan(
            Purpose::Converge,
            &fleetwright_engine::PlanOptions::default(),
        )
        .await
        .unwrap();
    assert!(observation.sizes.is_empty());
    assert_eq!(plan.steps.len(), 2);
    engine.begin_scaling("a test").await.unwrap();
    assert!(engine.store().sizes().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_size_for_a_while_is_kept_by_nobody_and_ended_in_the_background() {
    let bed = Bed::new(quick());
    let engine = bed.engine(fleet([("train", pool(1, &["sim-east"]))])).await;
    assert_reached(&converge(&engine).await);
    let record = engine
        .set_size("train", 6, Some(Span::seconds(2)), "a test")
        .await
        .unwrap();
    assert_eq!(record.by, SizedBy::Hand);
    assert_reached(&converge(&engine).await);
    assert_eq!(count(&engine, "train").await, 6);
    let mut watch = Watch::default();
    let first = engine.watch(&mut watch, BACKGROUND).await.unwrap();
    assert!(first.pause <= Duration::from_secs(2), "{first:?}");
    assert_eq!(count(&engine, "train").await, 6);
    // More than the brake allows, and agreed to beforehand.
    rounds(&engine, &mut watch, async |round| round.is_over()).await;
    assert_eq!(count(&engine, "train").await, 1);
    assert!(engine.store().sizes().await.unwrap().is_empty());
}

/// A node that tells its load.
#[derive(Debug)]
struct Loaded;

#[async_trait]
impl Remote for Loaded {
    async fn reach(&self, _: &Access, _: Duration) -> Result<()> {
        Ok(())
    }

    async fn run(&self, _: &Access, command: &Command, _: &dyn OutputSink) -> Result<Output> {
        assert!(command.line.contains("/proc/loadavg"));
        Ok(Output {
            exit: Exit::Status { code: 0 },
            stdout: b"3.00 4\n".to_vec(),
            stderr: Vec::new(),
            truncated: false,
        })
    }
}

#[tokio::test]
async fn the_load_of_nodes_is_a_signal() {
    let bed = Bed::new(quick());
    let mut train = pool(2, &["sim-east"]);
    train.max = Some(9);
    let scaling = json!({
        "policy": { "reactive": { "signal": "load", "above": 74, "below": 10 } },
        "signals": { "load": { "nodes": "load" } },
    });
    train.scaling = Some(serde_json::from_value(scaling).unwrap());
    let engine = bed
        .engine_with(fleet([("train", train)]), Some(Arc::new(Loaded)))
        .await;
    let early = engine.evaluate(None).await.unwrap();
    assert_eq!(
        early[0].decision.trouble.as_deref(),
        Some("the signal `load` failed: no node of the pool is ready")
    );
    assert_reached(&converge(&engine).await);
    // Simulated nodes have no logins of their own.
    let store = engine.store();
    let mut nodes = store.nodes().await.unwrap();
    for node in &mut nodes {
        node.access = Some(Access {
            host: "127.0.0.1".into(),
            port: 22,
            user: "me".into(),
            host_keys: Vec::new(),
        });
    }
    let now = nodes[0].created_at;
    let lease = store
        .acquire("reconcile", "a test", now, Duration::from_secs(5))
        .await
        .unwrap();
    store.put_nodes(&lease, &nodes, &[]).await.unwrap();
    store.release(lease).await.unwrap();
    let told = engine.evaluate(None).await.unwrap();
    assert_eq!(told[0].decision.reason, "`load` is 75, above 74");
    assert_eq!(told[0].decision.size, 3);
}
