//! The behavior suite, with every exchange judged by the official description.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_conformance::{Fault, Point, Subject};
use fleetwright_core::{
    Addresses, Kind, Market, Node, NodeId, NodeSpec, NodeState, Operation, Provider,
};
use fleetwright_lambda::LambdaProvider;
use fleetwright_lambda::fake::{FakeInstance, LambdaFake};
use fleetwright_rest::testing::{Fault as WireFault, Reply, Server, Trouble};
use serde_json::json;

use crate::support::{self, REGION, SECRET, TYPE};

pub(crate) struct Conformance {
    fake: LambdaFake,
    provider: LambdaProvider,
}

impl Conformance {
    pub(crate) fn server(&self) -> &Server {
        self.fake.server()
    }

    pub(crate) fn new() -> Self {
        let fake = support::fake();
        let provider = support::provider(support::config(&fake));
        Self { fake, provider }
    }

    fn id(region: &str, native: &str) -> NodeId {
        NodeId::new("lambda", region, native).unwrap()
    }
}

impl Drop for Conformance {
    /// Whatever the case has judged: every request and every answer was one that the vendor's own
    /// description allows.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.fake.server().assert_no_violations();
        }
    }
}

fn said(status: u16, code: &str) -> Trouble {
    let error = json!({ "code": code, "message": "The test asked for it.", "suggestion": "Wait." });
    Trouble::Refuse(Reply::json(status, &json!({ "error": error })))
}

/// An answer that the provider's table translates to this kind.
fn before(kind: Kind) -> Option<Trouble> {
    Some(match kind {
        Kind::Auth => said(401, "global/invalid-api-key"),
        Kind::Permission => said(403, "global/account-inactive"),
        Kind::RateLimited => Trouble::too_many(None),
        Kind::Unavailable => Trouble::ResetBefore,
        Kind::Timeout => Trouble::gateway(504),
        Kind::Unexpected => Trouble::Refuse(Reply::text(200, "text/html", "<html>portal</html>")),
        Kind::Invalid => said(400, "global/invalid-parameters"),
        Kind::Conflict => said(400, "global/duplicate"),
        Kind::Quota => said(400, "global/quota-exceeded"),
        Kind::Capacity => said(400, "instance-operations/launch/insufficient-capacity"),
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
        self.fake.instances().iter().map(node).collect()
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn unknown_id(&self) -> NodeId {
        Self::id(REGION, "0920582c7ff041399e34823a0beef000")
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.to_owned()]
    }

    async fn make_foreign(&self) -> Option<NodeId> {
        let native = self.fake.add_instance(REGION, &[("team", "others")]);
        Some(Self::id(REGION, &native))
    }

    async fn inject(&self, fault: &Fault) -> bool {
        let (method, path) = match fault.operation {
            Operation::Check => ("GET", "/api/v1/ssh-keys"),
            Operation::Create => ("POST", "/api/v1/instance-operations/launch"),
            Operation::List => ("GET", "/api/v1/instances"),
            Operation::Get => ("GET", "/api/v1/instances/*"),
            Operation::Delete => ("POST", "/api/v1/instance-operations/terminate"),
            Operation::Catalog => ("GET", "/api/v1/instance-types"),
            Operation::Read | Operation::Change => return false,
        };
        let trouble = match fault.point {
            Point::Before => before(fault.kind),
            Point::After => after(fault.kind),
            // One call makes one machine, and one answer holds all of them.
            Point::Midway => None,
        };
        // One answer holds all regions, too.
        let Some(trouble) = trouble.filter(|_| fault.region.is_none()) else {
            return false;
        };
        self.fake
            .server()
            .fault(WireFault::new(method, path, trouble).times(fault.times));
        true
    }

    async fn limit(&self, kind: Kind, further: u32) -> bool {
        match kind {
            Kind::Capacity => self.fake.set_capacity(TYPE, REGION, further),
            Kind::Quota => self.fake.set_quota(Some(further)),
            _ => return false,
        }
        true
    }

    async fn kill(&self, node: &NodeId) -> bool {
        self.fake.terminate(node.native())
    }
}

/// What the fake knows, as a node.
fn node(from: &FakeInstance) -> Node {
    let mut labels = from.tags.clone();
    labels.remove("fleetwright-created");
    Node {
        id: Conformance::id(&from.region, &from.id),
        name: from.name.clone(),
        state: match from.status {
            "booting" => NodeState::Pending,
            "active" => NodeState::Running,
            _ => NodeState::Deleting,
        },
        instance_type: from.instance_type.clone(),
        zone: None,
        market: Market::OnDemand,
        addresses: Addresses::default(),
        access: None,
        boot: None,
        labels,
        created_at: None,
        price: None,
        message: None,
        metadata: BTreeMap::new(),
    }
}

fleetwright_conformance::suite!(subject = Conformance::new());
