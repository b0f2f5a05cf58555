//! The behavior suite.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_conformance::{Fault, Point, Subject};
use fleetwright_core::{
    Addresses, Kind, Labels, Market, Node, NodeId, NodeSpec, NodeState, Operation, Provider,
};
use fleetwright_digitalocean::fake::{FakeSettings, Truth};
use fleetwright_rest::testing::{Fault as WireFault, Reply, Server, Trouble};
use serde_json::json;

use crate::support::{self, Bed, REGION, SIZE};

pub(crate) struct Conformance(Bed);

impl Conformance {
    pub(crate) fn server(&self) -> &Server {
        self.0.fake.server()
    }

    pub(crate) fn new() -> Self {
        let bed = Bed::with(FakeSettings {
            page: 5,
            ..FakeSettings::default()
        });
        bed.fake.add_balancer("web", REGION, None);
        bed.fake.add_domain("example.com");
        Self(bed)
    }
}

impl Drop for Conformance {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.finish();
        }
    }
}

fn refuse(status: u16, id: &str, message: &str) -> Trouble {
    Trouble::Refuse(Reply::json(
        status,
        &json!({ "id": id, "message": message }),
    ))
}

/// What DigitalOcean answers when it means this.
fn before(kind: Kind) -> Option<Trouble> {
    let unprocessable = |message: &str| refuse(422, "unprocessable_entity", message);
    Some(match kind {
        Kind::Auth => refuse(401, "unauthorized", "Unable to authenticate you"),
        Kind::Permission => refuse(
            403,
            "forbidden",
            "You are not authorized to perform this operation",
        ),
        Kind::RateLimited => refuse(429, "too_many_requests", "API rate limit exceeded."),
        Kind::Unavailable => Trouble::ResetBefore,
        Kind::Timeout => Trouble::gateway(504),
        Kind::Unexpected => Trouble::Refuse(Reply::text(200, "text/html", "<html>log in</html>")),
        Kind::Invalid => unprocessable("You specified an invalid image for Droplet creation."),
        Kind::Conflict => refuse(409, "conflict", "The request conflicts with another."),
        Kind::Quota => {
            unprocessable("creating this/these droplet(s) will exceed your droplet limit")
        }
        Kind::Capacity => unprocessable("Size is not available in this region."),
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
        Arc::new(self.0.provider.clone())
    }

    fn spec(&self) -> NodeSpec {
        support::spec()
    }

    async fn settle(&self, wanted: Duration) {
        self.0.settle(wanted).await;
    }

    async fn truth(&self) -> Vec<Node> {
        self.0.fake.droplets().iter().map(node).collect()
    }

    fn unknown_id(&self) -> NodeId {
        NodeId::new("do", REGION, "123").unwrap()
    }

    fn page_size(&self) -> Option<u32> {
        Some(5)
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.0.settings.token.clone()]
    }

    async fn make_foreign(&self) -> Option<NodeId> {
        let id = self
            .0
            .fake
            .add_droplet("stranger", REGION, SIZE, &["Env:Prod", "web"]);
        Some(NodeId::new("do", REGION, &id.to_string()).unwrap())
    }

    async fn inject(&self, fault: &Fault) -> bool {
        // A team is listed as a whole, so no region breaks by itself.
        if fault.region.is_some() {
            return false;
        }
        let trouble = match (fault.point, fault.operation) {
            (Point::Before, _) => before(fault.kind),
            (Point::After, _) => after(fault.kind),
            (Point::Midway, Operation::Create) => {
                self.0.fake.make_half_of_next();
                after(fault.kind)
            }
            (Point::Midway, _) => None,
        };
        let Some(trouble) = trouble else {
            return false;
        };
        let calls: &[(&str, &str)] = match fault.operation {
            Operation::Check => &[("GET", "/v2/account")],
            Operation::Create => &[("POST", "/v2/droplets")],
            Operation::List => &[("GET", "/v2/droplets")],
            Operation::Get => &[("GET", "/v2/droplets/*")],
            Operation::Delete => &[("DELETE", "/v2/droplets/*")],
            Operation::Catalog => &[("GET", "/v2/sizes"), ("GET", "/v2/account")],
            Operation::Read | Operation::Change => {
                &[("GET", "/v2/load_balancers"), ("GET", "/v2/domains/**")]
            }
        };
        self.0.fake.server().clear_faults();
        for (method, path) in calls {
            let fault = WireFault::new(method, path, trouble.clone()).times(fault.times);
            self.0.fake.server().fault(fault);
        }
        true
    }

    async fn limit(&self, kind: Kind, further: u32) -> bool {
        match kind {
            Kind::Capacity => self.0.fake.set_stock(REGION, Some(further.into())),
            Kind::Quota => self.0.fake.allow_further(further.into()),
            _ => return false,
        }
        true
    }

    async fn kill(&self, node: &NodeId) -> bool {
        self.0.fake.switch_off(node.native().parse().unwrap())
    }
}

/// What the fake knows, as a node.
fn node(from: &Truth) -> Node {
    let label = |tag: &String| {
        let (key, value) = tag.split_once(':').unwrap_or((tag, ""));
        (key.to_owned(), value.to_owned())
    };
    Node {
        id: NodeId::new("do", &from.region, &from.id.to_string()).unwrap(),
        name: from.name.clone(),
        state: NodeState::Running,
        instance_type: from.size.clone(),
        zone: None,
        market: Market::OnDemand,
        addresses: Addresses::default(),
        access: None,
        boot: None,
        labels: from.tags.iter().map(label).collect::<Labels>(),
        created_at: None,
        price: None,
        message: None,
        metadata: BTreeMap::new(),
    }
}

fleetwright_conformance::suite!(subject = Conformance::new());
