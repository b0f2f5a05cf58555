//! An instance as a node.

use std::collections::BTreeMap;
use std::net::IpAddr;

use fleetwright_core::{Access, Addresses, Market, Node, NodeState, Result};

use crate::wire::{Named, Server};
use crate::zone::ServerId;
use crate::{AddressKind, ScalewayConfig, tags};

/// The node that an instance is.
///
/// # Errors
/// `Unexpected` if it is in a zone that is none.
pub(crate) fn node(provider: &str, config: &ScalewayConfig, server: &Server) -> Result<Node> {
    let addresses = addresses(server);
    let host = match config.address {
        AddressKind::Public => addresses.public,
        AddressKind::Private => addresses.private,
    };
    let access = host.filter(|_| config.ssh).map(|host| Access {
        host: host.to_string(),
        port: 22,
        user: config.ssh_user.clone(),
        host_keys: Vec::new(),
    });
    let detail = server.state_detail.clone();
    Ok(Node {
        id: id(server).node(provider)?,
        name: server.name.clone(),
        state: state(&server.state),
        instance_type: server.commercial_type.clone(),
        zone: Some(server.zone.clone()),
        market: Market::OnDemand,
        addresses,
        access,
        boot: None,
        labels: tags::labels(&server.tags),
        created_at: server.creation_date,
        price: None,
        message: detail.filter(|text| !text.is_empty()),
        metadata: metadata(server),
    })
}

/// What else there is to know, for people and filters.
fn metadata(server: &Server) -> BTreeMap<String, String> {
    let one = |named: &Option<Named>| named.as_ref().map(|named| named.id.clone());
    let joined = |ids: Vec<&str>| (!ids.is_empty()).then(|| ids.join(","));
    let networks = server.private_nics.iter();
    let networks = networks
        .map(|nic| nic.private_network_id.as_str())
        .collect();
    let volumes = server.volumes.values().map(|volume| volume.id.as_str());
    [
        ("image-id", one(&server.image)),
        ("security-group-id", one(&server.security_group)),
        ("placement-group-id", one(&server.placement_group)),
        ("private-network-ids", joined(networks)),
        ("volume-ids", joined(volumes.collect())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect()
}

/// Where an instance is.
pub(crate) fn id(server: &Server) -> ServerId {
    ServerId {
        zone: server.zone.clone(),
        id: server.id.clone(),
    }
}

/// The states of an instance. A word that is not known is kept.
/// <https://www.scaleway.com/en/docs/instances/reference-content/understanding-differences-instance-states/>
pub(crate) fn state(word: &str) -> NodeState {
    match word {
        "starting" => NodeState::Pending,
        "running" => NodeState::Running,
        // Powered off, or on standby, which costs as much as running.
        "stopped" | "stopped in place" | "stopped_in_place" => NodeState::Stopped,
        // On its way to be powered off; a machine that is terminated goes through this, too.
        "stopping" => NodeState::Deleting,
        other => NodeState::Unknown(other.to_owned()),
    }
}

/// The addresses that can be read; IPv4 before IPv6.
fn addresses(server: &Server) -> Addresses {
    let mut public: Vec<IpAddr> = server
        .public_ips
        .iter()
        .filter_map(|ip| ip.address.parse().ok())
        .collect();
    public.sort_by_key(IpAddr::is_ipv6);
    Addresses {
        public: public.first().copied(),
        private: server.private_ip.as_ref().and_then(|ip| ip.parse().ok()),
    }
}
