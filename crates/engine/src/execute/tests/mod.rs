//! The scenarios in `tests/scenarios/run`: a world as a text with the answers of its clouds, and
//! below it what a run did.
//!
//! Besides the words of [`script`](crate::plan::tests::script):
//! ```text
//! refuse PLACE KIND [scope=zone|region|provider] [unknown] [times=N]
//!                                   create calls there are answered with this error; `unknown`:
//!                                   nobody can tell whether it happened
//! stock PLACE N [whole]             N machines are to be had there in all; `whole`: a request for
//!                                   more than are left gets none
//! again [after=10m]                 one more run, later
//! ```
//! Each run looks once, plans once and executes that plan. What comes of it is a line for every
//! call that a cloud got, then what was missing in the end and every attempt, then what is marked.
//! Calls of different steps are made side by side, so they are listed by place.

mod cloud;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{Clock, Provider, parse_duration};
use fleetwright_store::Store;
use jiff::Timestamp;

use self::cloud::{Cloud, Sky};
use crate::plan::tests::scenarios::scenarios;
use crate::plan::tests::script::World;
use crate::{Engine, PlanOptions, Recorder, plan};

/// A clock that only moves when somebody waits.
#[derive(Debug)]
struct Standing(Mutex<Timestamp>);

#[async_trait]
impl Clock for Standing {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        let mut now = self.0.lock().unwrap();
        *now += duration;
    }
}

/// What the runs of a scenario did.
async fn told(text: &str) -> String {
    let (answers, world): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| {
        ["refuse ", "stock ", "again"]
            .iter()
            .any(|word| line.starts_with(word))
    });
    let world = World::read(&world.join("\n"));
    let clock = Arc::new(Standing(Mutex::new(world.observation.at)));
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("journal.db"))
        .await
        .unwrap();
    for mark in &world.observation.marks {
        store.put_mark(mark).await.unwrap();
    }
    let sky = Sky::default();
    let mut runs = vec![Duration::ZERO];
    for line in answers {
        match line.strip_prefix("again") {
            Some(rest) => {
                let after = rest.trim().strip_prefix("after=").unwrap_or("1s");
                runs.push(parse_duration(after).unwrap());
            }
            None => sky.rule(line),
        }
    }
    let mut text = String::new();
    for (at, after) in runs.iter().enumerate() {
        clock.sleep(*after).await;
        if at > 0 {
            writeln!(text, "again").unwrap();
        }
        // A process of its own: nothing is kept but the journal.
        let providers: BTreeMap<String, Arc<dyn Provider>> = world
            .observation
            .providers
            .iter()
            .map(|(name, seen)| {
                let cloud = Cloud::new(seen, sky.clone());
                (name.clone(), Arc::new(cloud) as Arc<dyn Provider>)
            })
            .collect();
        let recorder = Arc::new(Recorder::new(store.clone(), clock.clone(), Vec::new()));
        let engine = Engine::new(
            world.fleet.clone(),
            providers,
            store.clone(),
            None,
            clock.clone(),
            recorder,
        );
        run(&engine, &sky, &mut text).await;
    }
    text
}

async fn run(engine: &Engine, sky: &Sky, text: &mut String) {
    let lease = engine.lease("a test").await.unwrap();
    let look = engine.look().await.unwrap();
    engine.commit(&lease, &look).await.unwrap();
    let purpose = fleetwright_core::Purpose::Converge;
    let next = plan(
        &engine.fleet,
        &look.observation,
        purpose,
        &PlanOptions::default(),
    );
    for withheld in &next.withheld {
        writeln!(text, "withheld, {}: {}", withheld.what, withheld.reason).unwrap();
    }
    let executed = engine
        .execute(&lease, &next, &look.observation)
        .await
        .unwrap();
    for call in sky.calls() {
        writeln!(text, "{call}").unwrap();
    }
    writeln!(text, "{} created", executed.created).unwrap();
    for failure in &executed.failures {
        writeln!(
            text,
            "failed as {}: {}",
            failure.error.kind(),
            failure.error.report()
        )
        .unwrap();
        for attempt in &failure.attempts {
            writeln!(text, "    {attempt}").unwrap();
        }
    }
    let now = engine.clock.now();
    for mark in engine.store.marks(now).await.unwrap() {
        let parts = [Some(mark.provider), mark.region, mark.zone];
        let place: Vec<String> = parts.into_iter().flatten().collect();
        let kind = mark.instance_type.unwrap_or_else(|| "any type".into());
        let market = mark.market.map_or("any market", |market| market.as_str());
        writeln!(text, "marked: {} {kind} {market}", place.join("/")).unwrap();
    }
    engine.store.release(lease).await.unwrap();
}

#[tokio::test]
async fn every_scenario_runs_as_it_is_written_below_it() {
    let mut wrong = Vec::new();
    for scenario in scenarios("run") {
        wrong.extend(scenario.differs(&told(&scenario.lines()).await));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
