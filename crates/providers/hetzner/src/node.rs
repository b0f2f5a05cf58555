//! Machines as nodes.

use fleetwright_core::{Access, Addresses, Labels, Market, Node, NodeId, NodeState, Result};

use crate::HetznerConfig;
use crate::api::{Address, Machine};

/// The node that a machine is.
pub(crate) fn node(provider: &str, config: &HetznerConfig, machine: &Machine) -> Result<Node> {
    let addresses = Addresses {
        public: address(machine.public_net.ipv4.as_ref()),
        private: address(machine.private_net.first()),
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
        id: NodeId::new(
            provider,
            &machine.datacenter.location.name,
            &machine.id.to_string(),
        )?,
        name: machine.name.clone(),
        state: state(&machine.status),
        instance_type: machine.server_type.name.clone(),
        zone: None,
        market: Market::OnDemand,
        addresses,
        access,
        boot: None,
        labels: machine.labels.clone(),
        created_at: machine.created.as_ref().and_then(|text| text.parse().ok()),
        price: None,
        message: None,
        metadata: Labels::new(),
    })
}

/// A word that is not known stays a word of the vendor's.
fn state(status: &str) -> NodeState {
    match status {
        "initializing" | "starting" | "rebuilding" => NodeState::Pending,
        // A migration moves a running server to another host.
        "running" | "migrating" => NodeState::Running,
        "stopping" | "off" => NodeState::Stopped,
        "deleting" => NodeState::Deleting,
        other => NodeState::Unknown(other.to_owned()),
    }
}

fn address(address: Option<&Address>) -> Option<std::net::IpAddr> {
    address?.ip.as_ref()?.parse().ok()
}
