//! The behavior suite on guarded providers: the same contract, one floor up.
//!
//! The cloud below has latency, lagging listings and small pages, and makes machines exactly once
//! in each of the three ways. The clock is virtual.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_conformance::{Fault, Point, Subject};
use fleetwright_core::{
    Clock, Idempotency, Kind, Labels, Market, Node, NodeId, NodeSpec, Operation, Provider, Span,
};
use fleetwright_engine::{Guarded, Policy};
use fleetwright_sim::{
    Fault as Failure, Injection, QuotaUnit, SimCapacity, SimConfig, SimProvider, SimQuota,
    TokioClock, World,
};

struct GuardedSim {
    guarded: Arc<Guarded>,
    world: World,
    idempotency: Idempotency,
    _folder: tempfile::TempDir,
}

impl GuardedSim {
    fn new(idempotency: Idempotency) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
        let config = SimConfig {
            idempotency,
            listing_lag: Span::seconds(3),
            page_size: 3,
            batch: 50,
            ..SimConfig::default()
        };
        let path = folder.path().join("world");
        let sim = SimProvider::new("sim", config, path, clock.clone()).unwrap();
        let world = sim.world();
        let guarded = Guarded::new(Arc::new(sim), Policy::default(), clock, None, None);
        Self {
            guarded: Arc::new(guarded),
            world,
            idempotency,
            _folder: folder,
        }
    }
}

#[async_trait]
impl Subject for GuardedSim {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(&self.guarded) as Arc<dyn Provider>
    }

    fn retries(&self) -> bool {
        true
    }

    fn spec(&self) -> NodeSpec {
        NodeSpec {
            name: "web".into(),
            instance_type: "sim.small".into(),
            image: None,
            region: "sim-east".into(),
            zone: None,
            market: Market::OnDemand,
            ssh_keys: Vec::new(),
            user_data: None,
            labels: Labels::new(),
            options: serde_json::Map::new(),
        }
    }

    async fn settle(&self, wanted: Duration) {
        tokio::time::sleep(wanted).await;
    }

    async fn truth(&self) -> Vec<Node> {
        self.world.live_nodes().unwrap()
    }

    fn unknown_id(&self) -> NodeId {
        "sim/sim-east/i-0000beef".parse().unwrap()
    }

    fn page_size(&self) -> Option<u32> {
        Some(3)
    }

    async fn make_foreign(&self) -> Option<NodeId> {
        let made = self.world.add_node("sim-east", "stranger", Labels::new());
        Some(made.unwrap())
    }

    async fn inject(&self, fault: &Fault) -> bool {
        let by_machine = self.idempotency != Idempotency::NativeToken;
        let (failure, skipped) = match fault.point {
            Point::Before => (Failure::Before(fault.kind), 0),
            Point::After => (Failure::After(fault.kind), 0),
            Point::Midway if fault.operation == Operation::List => (Failure::Before(fault.kind), 0),
            Point::Midway if fault.operation == Operation::Create && by_machine => {
                (Failure::After(fault.kind), 1)
            }
            Point::Midway => return false,
        };
        let mut injection = Injection::new(fault.operation, failure)
            .times(fault.times)
            .after(skipped);
        match &fault.region {
            Some(region) => injection = injection.in_region(region),
            // A listing goes to both regions at once; without a region both shall fail.
            None if fault.operation == Operation::List => injection = injection.times(2),
            None => {}
        }
        self.world.inject(injection).unwrap();
        true
    }

    async fn limit(&self, kind: Kind, further: u32) -> bool {
        let live = self.world.live_nodes().unwrap().len();
        let count = u32::try_from(live).unwrap() + further;
        match kind {
            Kind::Capacity => {
                let rule = SimCapacity {
                    count,
                    ..SimCapacity::default()
                };
                self.world.set_capacity(vec![rule]).unwrap();
            }
            Kind::Quota => {
                let quota = SimQuota {
                    unit: QuotaUnit::Nodes,
                    region: None,
                    limit: count.into(),
                };
                self.world.set_quota(vec![quota]).unwrap();
            }
            _ => return false,
        }
        true
    }

    async fn kill(&self, node: &NodeId) -> bool {
        self.world.kill(node).unwrap();
        true
    }

    async fn interrupt(&self, node: &NodeId) -> bool {
        self.world.reclaim(node, Duration::from_mins(2)).unwrap();
        true
    }
}

mod native_token {
    use super::{GuardedSim, Idempotency};

    fleetwright_conformance::suite!(
        subject = GuardedSim::new(Idempotency::NativeToken),
        start_paused = true
    );
}

mod deterministic_name {
    use super::{GuardedSim, Idempotency};

    fleetwright_conformance::suite!(
        subject = GuardedSim::new(Idempotency::DeterministicName),
        start_paused = true
    );
}

mod label_then_list {
    use super::{GuardedSim, Idempotency};

    fleetwright_conformance::suite!(
        subject = GuardedSim::new(Idempotency::LabelThenList),
        start_paused = true
    );
}
