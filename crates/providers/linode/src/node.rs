//! An instance as a node of ours.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use fleetwright_core::{Access, Addresses, Market, Node, NodeId, NodeState, Result};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::config::{AddressKind, LinodeConfig};
use crate::tags;
use crate::wire::Linode;

/// For how long a machine that is off is taken for one that has not been on yet: a new one is
/// `provisioning`, then `offline`, then `booting`.
const FIRST_BOOT: SignedDuration = SignedDuration::from_mins(5);

/// An instance as a node.
pub(crate) fn node(
    provider: &str,
    config: &LinodeConfig,
    linode: &Linode,
    now: Timestamp,
) -> Result<Node> {
    let created_at = linode.created.as_deref().and_then(timestamp);
    let addresses = addresses(linode);
    let host = match config.address {
        AddressKind::Public => addresses.public.or(addresses.private),
        AddressKind::Private => addresses.private,
    };
    let young = created_at.is_some_and(|at| now.duration_since(at) < FIRST_BOOT);
    Ok(Node {
        id: NodeId::new(provider, &linode.region, &linode.id.to_string())?,
        name: linode.label.clone(),
        state: state(&linode.status, young),
        instance_type: linode.instance_type.clone().unwrap_or_default(),
        zone: None,
        market: Market::OnDemand,
        access: host.filter(|_| config.ssh).map(|host| Access {
            host: host.to_string(),
            port: config.ssh_port,
            user: config.ssh_user.clone(),
            host_keys: Vec::new(),
        }),
        addresses,
        boot: None,
        labels: tags::labels(&linode.tags),
        created_at,
        price: None,
        message: message(&linode.status),
        metadata: metadata(linode),
    })
}

/// A status as a state.
/// <https://techdocs.akamai.com/linode-api/reference/get-linode-instance>
fn state(status: &str, young: bool) -> NodeState {
    match status {
        "provisioning" | "booting" | "rebooting" | "rebuilding" | "restoring" | "cloning" => {
            NodeState::Pending
        }
        "running" => NodeState::Running,
        "offline" if young => NodeState::Pending,
        "offline" | "stopped" | "shutting_down" | "billing_suspension" => NodeState::Stopped,
        "deleting" => NodeState::Deleting,
        other => NodeState::Unknown(other.to_owned()),
    }
}

/// What a status says that a state does not.
fn message(status: &str) -> Option<String> {
    match status {
        "stopped" => Some("stopped by Linode, such as for maintenance".to_owned()),
        "billing_suspension" => Some("suspended until the bill is paid".to_owned()),
        _ => None,
    }
}

/// What Linode says besides.
fn metadata(linode: &Linode) -> BTreeMap<String, String> {
    let all = [("image", &linode.image), ("ipv6", &linode.ipv6)];
    all.into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)))
        .collect()
}

/// The addresses, told apart by their networks: "may get a single private IPv4 address".
fn addresses(linode: &Linode) -> Addresses {
    let v4: Vec<Ipv4Addr> = linode.ipv4.iter().filter_map(|a| a.parse().ok()).collect();
    let v6 = linode
        .ipv6
        .as_deref()
        .and_then(|range| range.split('/').next())
        .and_then(|address| address.parse().ok())
        .map(IpAddr::V6);
    let of = |private: bool| v4.iter().find(|a| a.is_private() == private).copied();
    Addresses {
        public: of(false).map(IpAddr::V4).or(v6),
        private: of(true).map(IpAddr::V4),
    }
}

fn timestamp(text: &str) -> Option<Timestamp> {
    let civil: DateTime = text.parse().ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp())
}

/// How long a number of seconds is.
pub(crate) fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_not_known_stay_visible() {
        for (status, young, expected) in [
            ("provisioning", true, NodeState::Pending),
            ("offline", true, NodeState::Pending),
            ("offline", false, NodeState::Stopped),
            ("running", false, NodeState::Running),
            ("billing_suspension", true, NodeState::Stopped),
            ("deleting", false, NodeState::Deleting),
            (
                "migrating",
                false,
                NodeState::Unknown("migrating".to_owned()),
            ),
            ("dreaming", true, NodeState::Unknown("dreaming".to_owned())),
        ] {
            assert_eq!(state(status, young), expected, "{status}");
        }
    }

    #[test]
    fn addresses_are_told_apart() {
        let linode = |ipv4: &[&str], ipv6: Option<&str>| Linode {
            id: 1,
            label: "web-0".to_owned(),
            status: "running".to_owned(),
            created: Some("2018-01-02T03:04:05".to_owned()),
            instance_type: Some("g6-nanode-1".to_owned()),
            ipv4: ipv4.iter().map(|a| (*a).to_owned()).collect(),
            ipv6: ipv6.map(str::to_owned),
            image: None,
            region: "us-east".to_owned(),
            tags: vec!["managed-by:fleetwright".to_owned()],
        };
        let config = LinodeConfig::default();
        let now = Timestamp::UNIX_EPOCH;
        let both = linode(&["192.168.133.7", "203.0.113.9"], Some("2001:db8::1/128"));
        let both = node("linode", &config, &both, now).unwrap();
        assert_eq!(both.addresses.public, Some("203.0.113.9".parse().unwrap()));
        assert_eq!(
            both.addresses.private,
            Some("192.168.133.7".parse().unwrap())
        );
        assert_eq!(both.created_at.unwrap().to_string(), "2018-01-02T03:04:05Z");
        assert!(both.is_managed());
        let only_v6 = linode(&[], Some("2001:db8::1/128"));
        let only_v6 = node("linode", &config, &only_v6, now).unwrap();
        assert_eq!(only_v6.access.unwrap().host, "2001:db8::1");
        let inside = LinodeConfig {
            address: AddressKind::Private,
            ..config
        };
        let inside = node("linode", &inside, &linode(&["203.0.113.9"], None), now).unwrap();
        assert_eq!(inside.access, None);
    }
}
