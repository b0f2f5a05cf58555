//! The behavior suite, for each way of making machines exactly once: with latency, lagging
//! listings and small pages, on a virtual clock.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_conformance::{Fault, Point, Subject};
use fleetwright_core::{
    Idempotency, Kind, Labels, Node, NodeId, NodeSpec, Operation, Provider, Span,
};
use fleetwright_sim::{Fault as Failure, Injection, QuotaUnit, SimCapacity, SimConfig, SimQuota};

use crate::support::{self, Sim};

struct Conformance {
    sim: Sim,
    idempotency: Idempotency,
}

impl Conformance {
    fn new(idempotency: Idempotency) -> Self {
        let config = SimConfig {
            idempotency,
            listing_lag: Span::seconds(3),
            page_size: 3,
            batch: 50,
            quota: vec![SimQuota {
                unit: QuotaUnit::Nodes,
                region: None,
                limit: 100,
            }],
            ..SimConfig::default()
        };
        Self {
            sim: Sim::new(config),
            idempotency,
        }
    }
}

#[async_trait]
impl Subject for Conformance {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(self.sim.provider.clone())
    }

    fn spec(&self) -> NodeSpec {
        NodeSpec {
            labels: Labels::new(),
            ..support::spec("web")
        }
    }

    async fn settle(&self, wanted: Duration) {
        tokio::time::sleep(wanted).await;
    }

    async fn truth(&self) -> Vec<Node> {
        self.sim.world.live_nodes().unwrap()
    }

    fn unknown_id(&self) -> NodeId {
        "sim/sim-east/i-0000beef".parse().unwrap()
    }

    fn page_size(&self) -> Option<u32> {
        Some(3)
    }

    async fn make_foreign(&self) -> Option<NodeId> {
        let world = &self.sim.world;
        Some(
            world
                .add_node("sim-east", "stranger", Labels::new())
                .unwrap(),
        )
    }

    async fn inject(&self, fault: &Fault) -> bool {
        let by_machine = self.idempotency != Idempotency::NativeToken;
        let (failure, skipped) = match fault.point {
            Point::Before => (Failure::Before(fault.kind), 0),
            Point::After => (Failure::After(fault.kind), 0),
            // A listing breaks before its first page, a row of calls at its second call.
            Point::Midway if fault.operation == Operation::List => (Failure::Before(fault.kind), 0),
            Point::Midway if fault.operation == Operation::Create && by_machine => {
                (Failure::After(fault.kind), 1)
            }
            // A batch is made in one step: there is no half of it.
            Point::Midway => return false,
        };
        let mut injection = Injection::new(fault.operation, failure)
            .times(fault.times)
            .after(skipped);
        // A listing goes to all regions at once; without a region all of them shall fail.
        match &fault.region {
            Some(region) => injection = injection.in_region(region),
            None if fault.operation == Operation::List => injection = injection.times(2),
            None => {}
        }
        self.sim.world.inject(injection).unwrap();
        true
    }

    async fn limit(&self, kind: Kind, further: u32) -> bool {
        let world = &self.sim.world;
        let count = u32::try_from(world.live_nodes().unwrap().len()).unwrap() + further;
        match kind {
            Kind::Capacity => {
                let rule = SimCapacity {
                    count,
                    ..SimCapacity::default()
                };
                world.set_capacity(vec![rule]).unwrap();
            }
            Kind::Quota => {
                let quota = SimQuota {
                    unit: QuotaUnit::Nodes,
                    region: None,
                    limit: count.into(),
                };
                world.set_quota(vec![quota]).unwrap();
            }
            _ => return false,
        }
        true
    }

    async fn kill(&self, node: &NodeId) -> bool {
        self.sim.world.kill(node).unwrap();
        true
    }

    async fn interrupt(&self, node: &NodeId) -> bool {
        self.sim
            .world
            .reclaim(node, Duration::from_mins(2))
            .unwrap();
        true
    }
}

mod native_token {
    use super::{Conformance, Idempotency};

    fleetwright_conformance::suite!(
        subject = Conformance::new(Idempotency::NativeToken),
        start_paused = true
    );
}

mod deterministic_name {
    use super::{Conformance, Idempotency};

    fleetwright_conformance::suite!(
        subject = Conformance::new(Idempotency::DeterministicName),
        start_paused = true
    );
}

mod label_then_list {
    use super::{Conformance, Idempotency};

    fleetwright_conformance::suite!(
        subject = Conformance::new(Idempotency::LabelThenList),
        start_paused = true
    );
}
