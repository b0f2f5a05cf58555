//! The behavior suite, on machines with local disks and on machines with everything that must go
//! with them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_conformance::{Fault, Point, Subject};
use fleetwright_core::{
    Addresses, Kind, Labels, Market, Node, NodeId, NodeSpec, NodeState, Operation, Provider,
};
use fleetwright_rest::testing::{Fault as WireFault, Reply, Trouble};
use fleetwright_scaleway::ScalewayProvider;
use fleetwright_scaleway::fake::{FakeConfig, Machine, ScalewayFake};
use serde_json::{Value, json};

use crate::support::{self, REGION, ZONE};

struct Conformance {
    fake: ScalewayFake,
    provider: ScalewayProvider,
    spec: NodeSpec,
}

impl Conformance {
    fn new(instance_type: &str, options: &Value) -> Self {
        let fake = support::fake();
        fake.add_balancer(ZONE, "front", "web");
        fake.add_dns_zone("example.com");
        let provider = support::provider(&fake);
        let mut options = support::options(options);
        if options.remove("private_network").is_some() {
            let network = fake.add_network(REGION);
            options.insert("private_networks".to_owned(), json!([network]));
        }
        let spec = NodeSpec {
            instance_type: instance_type.to_owned(),
            options,
            ..support::spec()
        };
        Self {
            fake,
            provider,
            spec,
        }
    }
}

impl Drop for Conformance {
    /// Whatever the case has judged: every request and every reply was one that the contract
    /// allows, and nothing that costs money was left behind.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.fake.server().assert_no_violations();
        // Block storage that is still being detached goes with the next call of `delete`, which
        // some cases do not make.
        assert_eq!(self.fake.left_behind(), [] as [String; 0]);
    }
}

fn reply(status: u16, kind: &str) -> Trouble {
    let body = json!({ "type": kind, "message": format!("the test asked for {kind}") });
    Trouble::Refuse(Reply::json(status, &body))
}

/// An answer that the provider's table translates to this kind.
fn before(kind: Kind) -> Option<Trouble> {
    Some(match kind {
        Kind::Auth => reply(401, "denied_authentication"),
        Kind::Permission => reply(403, "permissions_denied"),
        Kind::RateLimited => Trouble::too_many(Some(0)),
        Kind::Unavailable => Trouble::ResetBefore,
        Kind::Timeout => Trouble::gateway(504),
        Kind::Unexpected => Trouble::Refuse(Reply::text(200, "text/html", "<html>")),
        Kind::Invalid => reply(400, "invalid_arguments"),
        Kind::Conflict => reply(409, "already_exists"),
        Kind::Quota => reply(403, "quotas_exceeded"),
        Kind::Capacity => reply(412, "out_of_stock"),
        _ => return None,
    })
}

fn after(kind: Kind) -> Option<Trouble> {
    match kind {
        Kind::Unavailable => Some(Trouble::ResetAfter),
        Kind::Timeout => Some(Trouble::gateway_after(504)),
        Kind::Unexpected => Some(Trouble::Garbage),
        _ => None,
    }
}

const SERVERS: &str = "/instance/v1/zones/*/servers";

#[async_trait]
impl Subject for Conformance {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(self.provider.clone())
    }

    fn spec(&self) -> NodeSpec {
        self.spec.clone()
    }

    fn spec_in(&self, region: &str) -> Option<NodeSpec> {
        Some(NodeSpec {
            region: region.to_owned(),
            zone: Some(format!("{region}-1")),
            options: serde_json::Map::new(),
            ..self.spec()
        })
    }

    async fn settle(&self, wanted: Duration) {
        tokio::time::sleep(wanted).await;
        self.fake.server().quiet().await;
    }

    async fn truth(&self) -> Vec<Node> {
        self.fake.machines().iter().map(node).collect()
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn unknown_id(&self) -> NodeId {
        id(ZONE, "00000000-1111-2222-3333-444444444444")
    }

    fn page_size(&self) -> Option<u32> {
        Some(5)
    }

    fn secrets(&self) -> Vec<String> {
        vec![FakeConfig::default().secret_key]
    }

    async fn make_foreign(&self) -> Option<NodeId> {
        Some(id(ZONE, &self.fake.add_foreign(ZONE)))
    }

    async fn inject(&self, fault: &Fault) -> bool {
        let zones = fault
            .region
            .as_ref()
            .map_or("*".to_owned(), |region| format!("{region}-1"));
        let servers = SERVERS.replace('*', &zones);
        let (method, path) = match fault.operation {
            Operation::Check | Operation::List => ("GET", servers),
            Operation::Create if fault.point == Point::Midway => {
                ("POST", format!("{servers}/*/action"))
            }
            Operation::Create => ("POST", servers),
            Operation::Get => ("GET", format!("{servers}/*")),
            Operation::Delete => ("POST", format!("{servers}/*/action")),
            Operation::Catalog => ("GET", "/instance/v1/zones/*/products/**".to_owned()),
            Operation::Read | Operation::Change => {
                // Balancers and DNS share these words; only one of them is asked.
                let dns = "/domain/**".to_owned();
                let Some(trouble) = before(fault.kind).filter(|_| fault.point == Point::Before)
                else {
                    return false;
                };
                let server = self.fake.server();
                server.clear_faults();
                server.fault(WireFault::new("*", &dns, trouble.clone()).times(fault.times));
                server.fault(WireFault::new("*", "/lb/**", trouble).times(fault.times));
                return true;
            }
        };
        let is_listing = fault.operation == Operation::List;
        let trouble = match fault.point {
            Point::Before => before(fault.kind),
            Point::Midway if is_listing => before(fault.kind),
            Point::Midway | Point::After => after(fault.kind),
        };
        let Some(trouble) = trouble else { return false };
        self.fake.server().clear_faults();
        self.fake
            .server()
            .fault(WireFault::new(method, &path, trouble).times(fault.times));
        true
    }

    async fn limit(&self, kind: Kind, further: u32) -> bool {
        match kind {
            Kind::Capacity => self.fake.set_stock(Some(further)),
            Kind::Quota => self.fake.set_quota(Some(further)),
            _ => return false,
        }
        true
    }

    async fn kill(&self, node: &NodeId) -> bool {
        let native = node.native().rsplit('/').next().unwrap_or("");
        self.fake.halt(native)
    }
}

fn id(zone: &str, server: &str) -> NodeId {
    let region = zone.rsplit_once('-').unwrap().0;
    NodeId::new("scw", region, &format!("{zone}/{server}")).unwrap()
}

/// What the fake knows, as a node.
fn node(machine: &Machine) -> Node {
    let labels: Labels = machine
        .tags
        .iter()
        .filter_map(|tag| tag.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    Node {
        id: id(&machine.zone, &machine.id),
        name: machine.name.clone(),
        state: match machine.state {
            "starting" => NodeState::Pending,
            "running" => NodeState::Running,
            "stopping" => NodeState::Deleting,
            _ => NodeState::Stopped,
        },
        instance_type: machine.instance_type.clone(),
        zone: Some(machine.zone.clone()),
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

mod plain {
    use super::{Conformance, json};

    fleetwright_conformance::suite!(subject = Conformance::new("DEV1-S", &json!({})));
}

mod with_everything {
    use super::{Conformance, json};

    fleetwright_conformance::suite!(
        subject = Conformance::new(
            "PLAY2-PICO",
            &json!({
                "public_address": "flexible-both",
                "volume": "block",
                "volume_gb": 20,
                "private_network": true,
            })
        )
    );
}
