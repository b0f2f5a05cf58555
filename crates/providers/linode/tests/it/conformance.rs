//! The behavior suite.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_conformance::{Fault, Point, Subject, Waiver};
use fleetwright_core::{
    Addresses, Kind, Market, Node, NodeId, NodeSpec, NodeState, Operation, Provider,
};
use fleetwright_linode::LinodeProvider;
use fleetwright_linode::fake::{Fake, FakeConfig, Machine};
use fleetwright_rest::testing::{Fault as Wire, Reply, Server, Trouble};
use serde_json::json;

use crate::support::{self, REGION};

pub(crate) struct Conformance {
    fake: Fake,
    provider: LinodeProvider,
}

impl Conformance {
    pub(crate) fn server(&self) -> &Server {
        self.fake.server()
    }

    pub(crate) fn new() -> Self {
        let fake = support::fake();
        fake.add_balancer(REGION, "web", &[80, 443]);
        fake.add_domain("example.com", "master");
        let provider = support::provider(support::config(&fake));
        Self { fake, provider }
    }

    fn id(region: &str, native: u64) -> NodeId {
        NodeId::new("linode", region, &native.to_string()).expect("a name without slashes")
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

/// A refusal in Linode's words.
pub(crate) fn refusal(status: u16, reason: &str) -> Trouble {
    let body = json!({ "errors": [{ "reason": reason }] });
    Trouble::Refuse(Reply::json(status, &body))
}

/// An answer that the provider's table translates to this kind.
fn before(kind: Kind) -> Option<Trouble> {
    Some(match kind {
        Kind::Auth => refusal(401, "Invalid Token"),
        Kind::Permission => refusal(
            401,
            "Your OAuth token is not authorized to use this endpoint.",
        ),
        Kind::RateLimited => Trouble::too_many(Some(1)),
        Kind::Unavailable => refusal(400, "Linode busy."),
        Kind::Timeout => Trouble::gateway(504),
        Kind::Unexpected => Trouble::Refuse(Reply::text(200, "text/html", "<html></html>")),
        Kind::Invalid => refusal(400, "Length must be 3-50 characters"),
        Kind::Conflict => refusal(400, "Label must be unique among your linodes"),
        Kind::Quota => refusal(400, "Account Limit reached. Please open a support ticket."),
        Kind::Capacity => refusal(
            403,
            "There is no availability for the selected plan in the selected region",
        ),
        _ => return None,
    })
}

fn after(kind: Kind) -> Option<Trouble> {
    Some(match kind {
        Kind::Unavailable => Trouble::ResetAfter,
        Kind::Timeout => Trouble::gateway_after(504),
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
        support::spec(&json!({ "private_ip": true }))
    }

    async fn settle(&self, wanted: Duration) {
        tokio::time::sleep(wanted).await;
        self.fake.server().quiet().await;
    }

    async fn truth(&self) -> Vec<Node> {
        self.fake.machines().iter().map(node).collect()
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }

    fn unknown_id(&self) -> NodeId {
        Self::id(REGION, 999_999_999)
    }

    fn page_size(&self) -> Option<u32> {
        Some(25)
    }

    fn secrets(&self) -> Vec<String> {
        let passwords = self.fake.machines();
        let passwords = passwords.iter().filter_map(Fake::password);
        passwords.chain([FakeConfig::default().token]).collect()
    }

    fn waivers(&self) -> Vec<Waiver> {
        fleetwright_linode::WAIVERS
            .iter()
            .map(|(case, why)| Waiver::new(case, *why))
            .collect()
    }

    async fn make_foreign(&self) -> Option<NodeId> {
        Some(Self::id(REGION, self.fake.add_foreign(REGION, "stranger")))
    }

    async fn inject(&self, fault: &Fault) -> bool {
        // One listing holds the machines of all regions: there is no page of one region to break.
        if fault.region.is_some() {
            return false;
        }
        let (method, path) = match fault.operation {
            Operation::Check => ("GET", "/profile"),
            Operation::Create => ("POST", "/linode/instances"),
            Operation::List => ("GET", "/linode/instances"),
            Operation::Get => ("GET", "/linode/instances/*"),
            Operation::Delete => ("DELETE", "/linode/instances/*"),
            Operation::Catalog => ("GET", "/linode/types"),
            Operation::Read | Operation::Change => ("*", "*"),
        };
        let trouble = match fault.point {
            Point::Before => before(fault.kind),
            Point::After => after(fault.kind),
            // The second of several machines is made, and its answer lost.
            Point::Midway if fault.operation == Operation::Create => after(fault.kind),
            Point::Midway => None,
        };
        let Some(trouble) = trouble else {
            return false;
        };
        let skip = u32::from(fault.point == Point::Midway);
        let paths = match path {
            "*" => vec!["/nodebalancers/**", "/domains/**"],
            path => vec![path],
        };
        for path in paths {
            let trouble = trouble.clone();
            self.fake.fault(method, path, |method, path| {
                Wire::new(method, path, trouble)
                    .times(fault.times)
                    .after(skip)
            });
        }
        true
    }

    async fn limit(&self, kind: Kind, further: u32) -> bool {
        match kind {
            Kind::Capacity => self.fake.set_capacity(Some(further)),
            Kind::Quota => self.fake.set_quota(Some(further)),
            _ => return false,
        }
        true
    }

    async fn kill(&self, node: &NodeId) -> bool {
        node.native().parse().is_ok_and(|id| self.fake.kill(id))
    }
}

/// What the fake knows, as a node.
fn node(from: &Machine) -> Node {
    Node {
        id: Conformance::id(&from.region, from.id),
        name: from.label.clone(),
        state: if from.is_leaving {
            NodeState::Deleting
        } else {
            NodeState::Running
        },
        instance_type: from.instance_type.clone(),
        zone: None,
        market: Market::OnDemand,
        addresses: Addresses::default(),
        access: None,
        boot: None,
        labels: Fake::labels(from),
        created_at: None,
        price: None,
        message: None,
        metadata: BTreeMap::new(),
    }
}

fleetwright_conformance::suite!(subject = Conformance::new());
