//! The behavior suite. What is judged by an official description must hold it, too.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_conformance::{Fault, Point, Subject};
use fleetwright_core::{
    Addresses, Kind, Labels, Market, Node, NodeId, NodeSpec, NodeState, Operation, Provider,
};
use fleetwright_hetzner::HetznerProvider;
use fleetwright_hetzner::fake::{FakeMachine, HetznerFake, TOKEN};
use fleetwright_rest::testing::{Fault as WireFault, Reply, Server, Trouble};
use serde_json::json;

use crate::support::{self, REGION};

pub(crate) struct Conformance {
    fake: HetznerFake,
    provider: HetznerProvider,
}

impl Conformance {
    pub(crate) fn server(&self) -> &Server {
        self.fake.server()
    }

    pub(crate) fn new() -> Self {
        let fake = HetznerFake::start();
        let provider = support::provider(&fake);
        Self { fake, provider }
    }

    fn id(region: &str, native: u64) -> NodeId {
        NodeId::new("hetzner", region, &native.to_string()).unwrap()
    }
}

impl Drop for Conformance {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.fake.server().assert_no_violations();
        }
    }
}

fn said(status: u16, code: &str) -> Trouble {
    let error = json!({ "code": code, "message": "the test asked for it" });
    Trouble::Refuse(Reply::json(status, &json!({ "error": error })))
}

/// An answer that the provider's table translates to this kind.
fn before(kind: Kind) -> Option<Trouble> {
    Some(match kind {
        Kind::Auth => said(401, "unauthorized"),
        Kind::Permission => said(403, "token_readonly"),
        Kind::RateLimited => Trouble::too_many(None),
        Kind::Unavailable => Trouble::ResetBefore,
        Kind::Timeout => Trouble::gateway(504),
        Kind::Unexpected => Trouble::Refuse(Reply::text(200, "text/html", "<html>portal</html>")),
        Kind::Invalid => said(422, "invalid_input"),
        Kind::Conflict => said(409, "uniqueness_error"),
        Kind::Quota => said(403, "resource_limit_exceeded"),
        Kind::Capacity => said(412, "resource_unavailable"),
        _ => return None,
    })
}

fn after(kind: Kind) -> Option<Trouble> {
    Some(match kind {
        Kind::Unavailable => Trouble::ResetAfter,
        Kind::Timeout => Trouble::DelayAfter(Duration::from_secs(2)),
        Kind::Unexpected => Trouble::Garbage,
        _ => return None,
    })
}

#[async_trait]
impl Subject for Conformance {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(self.provider.clone())
    }

    fn spec(&self) -> NodeSpec {
        support::spec()
    }

    async fn settle(&self, wanted: Duration) {
        tokio::time::sleep(wanted).await;
        self.fake.server().quiet().await;
    }

    async fn truth(&self) -> Vec<Node> {
        self.fake.machines().iter().map(node).collect()
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn unknown_id(&self) -> NodeId {
        Self::id(REGION, 999_999)
    }

    fn page_size(&self) -> Option<u32> {
        Some(5)
    }

    fn secrets(&self) -> Vec<String> {
        vec![TOKEN.to_owned()]
    }

    async fn make_foreign(&self) -> Option<NodeId> {
        let native = self.fake.add(REGION, &Labels::new());
        Some(Self::id(REGION, native))
    }

    async fn inject(&self, fault: &Fault) -> bool {
        let (method, path) = match fault.operation {
            Operation::Create => ("POST", "/v1/servers"),
            Operation::List => ("GET", "/v1/servers"),
            Operation::Get => ("GET", "/v1/servers/*"),
            Operation::Delete => ("DELETE", "/v1/servers/*"),
            Operation::Check | Operation::Catalog => ("GET", "/v1/server_types"),
            Operation::Read | Operation::Change => return false,
        };
        let (trouble, passing) = match fault.point {
            Point::Before => (before(fault.kind), 0),
            Point::After => (after(fault.kind), 0),
            // The second page, or the second machine.
            Point::Midway => (before(fault.kind), 1),
        };
        // The vendor's listing holds all regions.
        let Some(trouble) = trouble.filter(|_| fault.region.is_none()) else {
            return false;
        };
        let fault = WireFault::new(method, path, trouble).times(fault.times);
        self.fake.server().fault(fault.after(passing));
        true
    }

    async fn limit(&self, kind: Kind, further: u32) -> bool {
        match kind {
            Kind::Capacity => self.fake.set_capacity(further),
            Kind::Quota => self.fake.set_quota(further),
            _ => return false,
        }
        true
    }

    async fn kill(&self, node: &NodeId) -> bool {
        self.fake.end(node.native())
    }
}

/// What the fake knows, as a node.
fn node(from: &FakeMachine) -> Node {
    Node {
        id: Conformance::id(&from.region, from.id),
        name: from.name.clone(),
        state: match from.status() {
            "initializing" => NodeState::Pending,
            "running" => NodeState::Running,
            _ => NodeState::Deleting,
        },
        instance_type: from.kind.clone(),
        zone: None,
        market: Market::OnDemand,
        addresses: Addresses::default(),
        access: None,
        boot: None,
        labels: from.labels.clone(),
        created_at: None,
        price: None,
        message: None,
        metadata: Labels::new(),
    }
}

fleetwright_conformance::suite!(subject = Conformance::new());
