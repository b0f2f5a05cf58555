//! Instances as nodes.

use fleetwright_core::{
    Access, Addresses, HourlyPrice, Labels, Market, Node, NodeId, NodeState, Result,
};
use jiff::Timestamp;
use std::collections::BTreeMap;

use crate::LambdaConfig;
use crate::api::{Instance, InstanceType};

/// The tag that holds when an instance was asked for, in seconds since 1970: Lambda does not tell.
/// It is no label of the node.
pub(crate) const CREATED: &str = "fleetwright-created";

/// The node that an instance is.
pub(crate) fn node(provider: &str, config: &LambdaConfig, instance: &Instance) -> Result<Node> {
    let mut labels: Labels = instance
        .tags
        .iter()
        .map(|tag| (tag.key.clone(), tag.value.clone()))
        .collect();
    let created_at = labels
        .remove(CREATED)
        .and_then(|seconds| seconds.parse().ok())
        .and_then(|seconds| Timestamp::from_second(seconds).ok());
    let addresses = Addresses {
        public: address(instance.ip.as_deref()),
        private: address(instance.private_ip.as_deref()),
    };
    let access = addresses
        .public
        .filter(|_| config.ssh)
        .map(|address| Access {
            host: address.to_string(),
            port: 22,
            user: config.ssh_user.clone(),
            host_keys: Vec::new(),
        });
    Ok(Node {
        id: NodeId::new(provider, &instance.region.name, &instance.id)?,
        name: instance.name.clone().unwrap_or_default(),
        state: state(&instance.status),
        instance_type: instance.kind.name.clone(),
        zone: None,
        market: Market::OnDemand,
        addresses,
        access,
        boot: None,
        labels,
        created_at,
        price: Some(price(&instance.kind)),
        message: None,
        metadata: BTreeMap::new(),
    })
}

/// Whole cents per hour.
pub(crate) fn price(instance_type: &InstanceType) -> HourlyPrice {
    HourlyPrice::usd_micros(instance_type.price_cents_per_hour.saturating_mul(10_000))
}

/// Lambda's words: booting, active, unhealthy, terminated, terminating, preempted. What `unhealthy`
/// means for the work on it, nobody says: so it stays a word of Lambda's.
fn state(status: &str) -> NodeState {
    match status {
        "booting" => NodeState::Pending,
        "active" => NodeState::Running,
        "terminating" => NodeState::Deleting,
        "terminated" => NodeState::Deleted,
        "preempted" => NodeState::Failed,
        other => NodeState::Unknown(other.to_owned()),
    }
}

fn address(text: Option<&str>) -> Option<std::net::IpAddr> {
    text?.parse().ok()
}
