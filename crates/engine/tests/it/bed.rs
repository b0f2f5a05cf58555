//! What the tests of whole runs share: a quick simulated cloud, a journal and a fleet.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fleetwright_core::{
    Candidate, Clock, Labels, Life, NodeId, Plan, Pool, Provider, Purpose, Remote, Span,
};
use fleetwright_engine::{
    Approval, ConvergeOptions, Engine, Fleet, Guarded, Outcome, PlanOptions, Policy, Recorder,
    Safety, Standing,
};
use fleetwright_sim::{SimConfig, SimProvider, TokioClock, World};
use fleetwright_store::Store;
use tempfile::TempDir;

/// A cloud and the folder that it and the journals live in.
pub(crate) struct Bed {
    folder: TempDir,
    config: SimConfig,
    clock: Arc<dyn Clock>,
    pub(crate) world: World,
}

/// A span of milliseconds.
pub(crate) const fn millis(count: u64) -> Span {
    Span(Duration::from_millis(count))
}

/// A cloud that answers at once and whose nodes are up and gone at once.
pub(crate) fn quick() -> SimConfig {
    SimConfig {
        latency: millis(0),
        boot_time: millis(0),
        script_time: millis(0),
        delete_time: millis(0),
        health_time: millis(50),
        drain_time: millis(50),
        ..SimConfig::default()
    }
}

impl Bed {
    pub(crate) fn new(config: SimConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
        let world = provider(&folder.path().join("world"), &config, &clock).world();
        Self {
            folder,
            config,
            clock,
            world,
        }
    }

    /// From now on engines see the same cloud with another configuration, such as other prices.
    pub(crate) fn reconfigure(&mut self, config: SimConfig) {
        self.config = config;
    }

    /// An engine as a process of its own would have it, on the journal of this name.
    pub(crate) async fn engine_on(&self, journal: &str, fleet: Fleet) -> Engine {
        self.build(journal, fleet, None).await
    }

    /// An engine that can log in.
    pub(crate) async fn engine_with(
        &self,
        fleet: Fleet,
        remote: Option<Arc<dyn Remote>>,
    ) -> Engine {
        self.build("state", fleet, remote).await
    }

    async fn build(&self, journal: &str, fleet: Fleet, remote: Option<Arc<dyn Remote>>) -> Engine {
        let path = self.folder.path().join(journal).join("journal.db");
        let store = Store::open(&path).await.unwrap();
        let recorder = Arc::new(Recorder::new(store.clone(), self.clock.clone(), Vec::new()));
        let sim = provider(&self.folder.path().join("world"), &self.config, &self.clock);
        let policy = Policy {
            tries: 2,
            backoff: Duration::from_millis(1),
            ..Policy::default()
        };
        let guarded = Guarded::new(
            Arc::new(sim),
            policy,
            self.clock.clone(),
            Some(recorder.clone()),
            Some(store.clone()),
        );
        let providers =
            BTreeMap::from([("sim".to_owned(), Arc::new(guarded) as Arc<dyn Provider>)]);
        Engine::new(
            fleet,
            providers,
            store,
            remote,
            self.clock.clone(),
            recorder,
        )
    }

    pub(crate) async fn engine(&self, fleet: Fleet) -> Engine {
        self.engine_on("state", fleet).await
    }

    /// What really is there.
    pub(crate) fn live(&self) -> BTreeSet<NodeId> {
        let nodes = self.world.live_nodes().unwrap();
        nodes.into_iter().map(|node| node.id).collect()
    }

    /// What really is there in a region.
    pub(crate) fn live_in(&self, region: &str) -> BTreeSet<NodeId> {
        let mut live = self.live();
        live.retain(|id| id.region() == region);
        live
    }

    /// The labels of a node that an engine on this journal made for a pool.
    pub(crate) fn labels(engine: &Engine, pool: &str) -> Labels {
        let mut labels = engine.fleet().owned_labels(engine.store().journal());
        labels.insert(fleetwright_core::keys::POOL.into(), pool.into());
        labels
    }
}

fn provider(world: &std::path::Path, config: &SimConfig, clock: &Arc<dyn Clock>) -> SimProvider {
    SimProvider::new("sim", config.clone(), PathBuf::from(world), clock.clone()).unwrap()
}

/// A pool of small machines in these regions, in this order.
pub(crate) fn pool(desired: u32, regions: &[&str]) -> Pool {
    let candidate = |region: &&str| Candidate {
        provider: "sim".into(),
        region: Some((*region).to_owned()),
        instance_type: Some("sim.small".into()),
        ..Candidate::default()
    };
    Pool {
        desired,
        candidates: regions.iter().map(candidate).collect(),
        ..Pool::default()
    }
}

/// A fleet whose nodes may be judged as soon as they are there.
pub(crate) fn fleet(pools: impl IntoIterator<Item = (&'static str, Pool)>) -> Fleet {
    Fleet {
        name: "demo".into(),
        pools: pools
            .into_iter()
            .map(|(name, pool)| (name.to_owned(), pool))
            .collect(),
        safety: Safety {
            age_floor: Duration::ZERO,
            ..Safety::default()
        },
        ..Fleet::default()
    }
}

/// A fleet of one pool in one region.
pub(crate) fn one_pool(desired: u32) -> Fleet {
    fleet([("web", pool(desired, &["sim-east"]))])
}

pub(crate) fn options(purpose: Purpose) -> ConvergeOptions {
    ConvergeOptions {
        purpose,
        deadline: Duration::from_secs(20),
        approval: Approval::Everything,
        plan: PlanOptions::default(),
        holder: "a test".into(),
    }
}

/// Runs until the fleet is what it should be, or cannot be.
pub(crate) async fn converge(engine: &Engine) -> Outcome {
    engine.converge(&options(Purpose::Converge)).await.unwrap()
}

/// Removes all nodes of the fleet.
pub(crate) async fn remove_all(engine: &Engine) -> Outcome {
    let all = Purpose::Remove { nodes: None };
    engine.converge(&options(all)).await.unwrap()
}

#[track_caller]
pub(crate) fn assert_reached(outcome: &Outcome) {
    assert!(
        matches!(outcome.standing, Standing::Reached),
        "{outcome:#?}"
    );
}

/// What a plan withheld, one line each.
pub(crate) fn withheld(plan: &Plan) -> Vec<String> {
    let line = |w: &fleetwright_core::Withheld| format!("{}: {}: {}", w.subject, w.what, w.reason);
    plan.withheld.iter().map(line).collect()
}

/// The states that a node went through, oldest first.
pub(crate) async fn lives(engine: &Engine, node: &NodeId) -> Vec<Life> {
    let events = engine.store().last_events(100, Some(node)).await.unwrap();
    let to = |event: fleetwright_core::Event| match event.what {
        fleetwright_core::EventKind::NodeChanged { to, .. } => Some(to),
        _ => None,
    };
    events.into_iter().filter_map(to).collect()
}
