//! The behavior suite, for each way of making machines, against our own fake.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_aws::{AwsConfig, AwsProvider, WAIVERS};
use fleetwright_aws_fake::{Failure, Fake, How, Instance, Lifecycle, Notice, State};
use fleetwright_conformance::{Fault, Point, Subject, Waiver};
use fleetwright_core::{
    Addresses, Kind, Market, Node, NodeId, NodeSpec, NodeState, Operation, Provider, Span,
};
use serde_json::{Value, json};

use crate::support::{self, REGION, SECRET, ZONE};

/// A way of making machines, with what the suite must know of it.
struct Way {
    options: Value,
    /// The action that makes machines.
    action: &'static str,
}

struct Conformance {
    fake: Fake,
    provider: AwsProvider,
    way: Way,
}

impl Conformance {
    fn new(way: Way) -> Self {
        let fake = support::fake();
        fake.add_queue(REGION, "interruptions");
        fake.add_target_group(REGION, "web", "instance");
        fake.add_zone("example.com");
        let provider = support::provider(AwsConfig {
            // Each fault is to be met by the next question.
            catalog_age: Span::seconds(0),
            ..support::config(fake.endpoint())
        });
        Self {
            fake,
            provider,
            way,
        }
    }

    fn id(region: &str, native: &str) -> NodeId {
        NodeId::new("aws", region, native).unwrap()
    }
}

impl Drop for Conformance {
    /// Whatever the case has judged: every request and every answer was one that the vendor's own
    /// description allows, and nothing is left that made machines.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let mut violations = self.fake.violations();
        // The description that is beside the checkout lacks this action.
        violations
            .retain(|found| found != "ec2 DescribeFleetHistory: request: `ec2` has no such action");
        // Asked for on purpose by the suite.
        violations.retain(|found| !found.contains("conformance-no-such-type"));
        violations.sort_unstable();
        violations.dedup();
        assert_eq!(violations, [] as [String; 0]);
    }
}

/// Calls of groups, balancers, DNS and the queue.
const ABILITIES: &str = "DescribeAutoScalingGroups|CreateAutoScalingGroup|SetDesiredCapacity|\
                         DescribeTargetGroups|DescribeTargetHealth|RegisterTargets|\
                         DeregisterTargets|ListHostedZones|ListResourceRecordSets|\
                         ChangeResourceRecordSets|GetQueueUrl|ReceiveMessage";
const CATALOG: &str = "DescribeInstanceTypes|DescribeInstanceTypeOfferings|\
                       DescribeSpotPriceHistory|GetServiceQuota|ListServiceQuotas|GetProducts";

fn refuse(status: u16, code: &str) -> How {
    How::Refuse {
        status,
        code: code.to_owned(),
        message: format!("The test asked for {code}."),
    }
}

/// An answer that the provider's table translates to this kind.
fn before(kind: Kind) -> Option<How> {
    Some(match kind {
        Kind::Auth => refuse(401, "AuthFailure"),
        Kind::Permission => refuse(403, "UnauthorizedOperation"),
        Kind::RateLimited => refuse(503, "RequestLimitExceeded"),
        Kind::Unavailable => How::CloseBefore,
        Kind::Timeout => refuse(400, "RequestTimeout"),
        Kind::Unexpected => How::Html { status: 200 },
        Kind::Invalid => refuse(400, "InvalidParameterValue"),
        Kind::Conflict => refuse(400, "IdempotentParameterMismatch"),
        Kind::Quota => refuse(400, "VcpuLimitExceeded"),
        Kind::Capacity => refuse(500, "InsufficientInstanceCapacity"),
        _ => return None,
    })
}

fn after(kind: Kind) -> Option<How> {
    Some(match kind {
        Kind::Unavailable => How::CloseAfter,
        Kind::Timeout => How::Delay(Duration::from_secs(2)),
        Kind::Unexpected => How::Garbage,
        _ => return None,
    })
}

#[async_trait]
impl Subject for Conformance {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(self.provider.clone())
    }

    fn spec(&self) -> NodeSpec {
        let image = self.fake.images(REGION).remove(0);
        support::spec(&image, &self.way.options)
    }

    fn spec_in(&self, region: &str) -> Option<NodeSpec> {
        Some(NodeSpec {
            region: region.to_owned(),
            zone: Some(format!("{region}a")),
            image: Some(self.fake.images(region).remove(0)),
            ..self.spec()
        })
    }

    async fn settle(&self, wanted: Duration) {
        tokio::time::sleep(wanted).await;
    }

    async fn truth(&self) -> Vec<Node> {
        let mut all = self.fake.all_instances();
        all.retain(|instance| instance.state != State::Terminated);
        all.iter().map(node).collect()
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn unknown_id(&self) -> NodeId {
        Self::id(REGION, "i-00000000000beef00")
    }

    fn page_size(&self) -> Option<u32> {
        Some(5)
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.to_owned()]
    }

    fn waivers(&self) -> Vec<Waiver> {
        let options = &self.way.options;
        let launch = match (options["launch"].as_str(), options["fleet_type"].as_str()) {
            (Some("fleet"), Some(kind)) => format!("fleet ({kind})"),
            (launch, _) => launch.unwrap_or("run").to_owned(),
        };
        WAIVERS
            .iter()
            .filter(|(ways, ..)| ways.contains(&&*launch))
            .map(|(_, case, why)| Waiver::new(case, *why))
            .collect()
    }

    async fn make_foreign(&self) -> Option<NodeId> {
        let native = self.fake.add_instance(REGION, &[("Name", "stranger")])?;
        Some(Self::id(REGION, &native))
    }

    async fn inject(&self, fault: &Fault) -> bool {
        let action = match fault.operation {
            Operation::Check => "GetCallerIdentity",
            Operation::Create => self.way.action,
            Operation::List | Operation::Get => "DescribeInstances",
            Operation::Delete => {
                "TerminateInstances|TerminateInstanceInAutoScalingGroup|DeleteFleets|\
                 CancelSpotFleetRequests|DeleteAutoScalingGroup"
            }
            Operation::Catalog => CATALOG,
            Operation::Read | Operation::Change => ABILITIES,
        };
        let how = match fault.point {
            Point::Before => before(fault.kind),
            Point::After => after(fault.kind),
            // A listing breaks before its first page; machines are made in one step.
            Point::Midway if fault.operation == Operation::List => before(fault.kind),
            Point::Midway => None,
        };
        let Some(how) = how else {
            return false;
        };
        // A listing goes to all regions at once; without a region all of them shall fail.
        let everywhere = fault.region.is_none()
            && matches!(fault.operation, Operation::List | Operation::Catalog);
        self.fake.fail(Failure {
            action: action.to_owned(),
            region: fault.region.clone(),
            skip: 0,
            times: if everywhere {
                fault.times * 2
            } else {
                fault.times
            },
            how,
        });
        true
    }

    async fn limit(&self, kind: Kind, further: u32) -> bool {
        match kind {
            Kind::Capacity => {
                self.fake
                    .set_capacity(REGION, Some(ZONE), None, Some(further));
                true
            }
            // A request above the quota is refused whole, so there is no part of it to be had.
            _ => false,
        }
    }

    async fn kill(&self, node: &NodeId) -> bool {
        self.fake.terminate(node.native())
    }

    async fn interrupt(&self, node: &NodeId) -> bool {
        self.fake.interrupt(node.native(), Notice::Rebalance)
    }
}

/// What the fake knows, as a node.
fn node(from: &Instance) -> Node {
    let mut labels = from.tags.clone();
    labels.retain(|key, _| key != "Name" && !key.starts_with("aws:"));
    Node {
        id: Conformance::id(&from.region, &from.id),
        name: from.tags.get("Name").cloned().unwrap_or_default(),
        state: match from.state {
            State::Pending => NodeState::Pending,
            State::Running => NodeState::Running,
            State::ShuttingDown => NodeState::Deleting,
            State::Terminated => NodeState::Deleted,
        },
        instance_type: from.instance_type.clone(),
        zone: Some(from.zone.clone()),
        market: match from.lifecycle {
            Lifecycle::OnDemand => Market::OnDemand,
            Lifecycle::Spot => Market::Spot,
        },
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

fn way(action: &'static str, options: Value) -> Way {
    Way { options, action }
}

mod run {
    use super::{Conformance, json, way};

    fleetwright_conformance::suite!(subject = Conformance::new(way("RunInstances", json!({}))));
}

mod instant_fleet {
    use super::{Conformance, json, way};

    fleetwright_conformance::suite!(
        subject = Conformance::new(way("CreateFleet", json!({ "launch": "fleet" })))
    );
}

mod request_fleet {
    use super::{Conformance, json, way};

    fleetwright_conformance::suite!(
        subject = Conformance::new(way(
            "CreateFleet",
            json!({ "launch": "fleet", "fleet_type": "request" })
        ))
    );
}

mod maintain_fleet {
    use super::{Conformance, json, way};

    fleetwright_conformance::suite!(
        subject = Conformance::new(way(
            "CreateFleet",
            json!({ "launch": "fleet", "fleet_type": "maintain" })
        ))
    );
}

mod spot_fleet {
    use super::{Conformance, json, way};

    fleetwright_conformance::suite!(
        subject = Conformance::new(way(
            "RequestSpotFleet",
            json!({ "launch": "spot-fleet", "fleet_type": "maintain" })
        ))
    );
}

mod group {
    use super::{Conformance, json, way};

    fleetwright_conformance::suite!(
        subject = Conformance::new(way("CreateAutoScalingGroup", json!({ "launch": "group" })))
    );
}
