//! The hooks of the cloud in memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_conformance::{Fault, Point, Subject};
use fleetwright_core::ability::{Interruption, InterruptionKind};
use fleetwright_core::{
    Idempotency, Kind, Labels, Market, Node, NodeId, NodeSpec, Operation, Provider,
};
use tokio::time::Instant;

use super::provider::{KEY, Memory, PATIENCE};
use super::world::{Flaw, PAGE, REGIONS, TYPES, World, ZONE};

/// A fresh cloud in memory.
pub(crate) struct MemorySubject {
    world: Arc<Mutex<World>>,
    provider: Arc<dyn Provider>,
}

impl MemorySubject {
    pub(crate) fn new(idempotency: Idempotency) -> Self {
        Self::build(idempotency, None)
    }

    pub(crate) fn with_flaw(idempotency: Idempotency, flaw: Flaw) -> Self {
        Self::build(idempotency, Some(flaw))
    }

    fn build(idempotency: Idempotency, flaw: Option<Flaw>) -> Self {
        let world = Arc::new(Mutex::new(World {
            flaw,
            ..World::default()
        }));
        Self {
            provider: Arc::new(Memory::new(Arc::clone(&world), idempotency)),
            world,
        }
    }

    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().expect("no test panics with the lock")
    }
}

#[async_trait]
impl Subject for MemorySubject {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(&self.provider)
    }

    fn spec(&self) -> NodeSpec {
        cheapest()
    }

    async fn settle(&self, wanted: Duration) {
        tokio::time::sleep(wanted).await;
    }

    async fn truth(&self) -> Vec<Node> {
        let world = self.world();
        world
            .machines
            .iter()
            .filter(|machine| !machine.is_gone())
            .map(|machine| machine.report(None))
            .collect()
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn page_size(&self) -> Option<u32> {
        u32::try_from(PAGE).ok()
    }

    fn secrets(&self) -> Vec<String> {
        vec![KEY.to_owned()]
    }

    async fn make_foreign(&self) -> Option<NodeId> {
        let spec = self.spec();
        let mut world = self.world();
        let id = world.make(&spec, "theirs".to_owned(), &spec.region).ok()?;
        world.machine_mut(&id)?.listed_from = Instant::now();
        Some(id)
    }

    async fn inject(&self, fault: &Fault) -> bool {
        let known = match fault.point {
            Point::Before => true,
            Point::Midway => matches!(fault.operation, Operation::Create | Operation::List),
            Point::After => matches!(
                fault.operation,
                Operation::Create | Operation::Delete | Operation::Change
            ),
        };
        if known {
            self.world().faults.push(fault.clone());
        }
        known
    }

    async fn limit(&self, kind: Kind, further: u32) -> bool {
        self.world().limit = Some((kind, further));
        true
    }

    async fn kill(&self, node: &NodeId) -> bool {
        self.world()
            .machine_mut(node)
            .map(|machine| machine.killed = true)
            .is_some()
    }

    async fn interrupt(&self, node: &NodeId) -> bool {
        self.world().notices.push(Interruption {
            node: node.clone(),
            kind: InterruptionKind::Reclaim,
            at: None,
        });
        true
    }
}

/// The cheapest machine there is.
pub(crate) fn cheapest() -> NodeSpec {
    NodeSpec {
        name: "base".to_owned(),
        instance_type: TYPES[0].to_owned(),
        image: None,
        region: REGIONS[0].to_owned(),
        zone: Some(ZONE.to_owned()),
        market: Market::OnDemand,
        ssh_keys: Vec::new(),
        user_data: None,
        labels: Labels::new(),
        options: serde_json::Map::new(),
    }
}
