//! A droplet as a node, and labels as tags.

use std::collections::BTreeMap;
use std::net::IpAddr;

use fleetwright_core::{
    Access, Addresses, Error, Kind, Labels, Market, Node, NodeId, NodeState, Result,
};
use jiff::{SignedDuration, Timestamp};

use crate::config::AddressKind;
use crate::wire::{Droplet, Network};
use crate::{DigitalOceanConfig, wire};

/// Longest tag: "There is a limit of 255 characters per tag."
/// <https://docs.digitalocean.com/reference/api/reference/tags/>
const TAG: usize = 255;

/// Translates a droplet.
///
/// # Errors
/// `Unexpected` if its region cannot stand in a node id.
pub(crate) fn node(provider: &str, config: &DigitalOceanConfig, from: &Droplet) -> Result<Node> {
    let id = NodeId::new(provider, &from.region.slug, &from.id.to_string())
        .map_err(|error| Error::new(Kind::Unexpected, error.to_string()))?;
    let state = state(&from.status);
    let addresses = addresses(&from.networks);
    let login = match config.address {
        AddressKind::Public => addresses.public.or(addresses.private),
        AddressKind::Private => addresses.private,
    };
    let access = match (&state, login) {
        (NodeState::Pending | NodeState::Running, Some(host)) if config.ssh => Some(Access {
            host: host.to_string(),
            port: 22,
            user: config.ssh_user.clone(),
            host_keys: Vec::new(),
        }),
        _ => None,
    };
    Ok(Node {
        id,
        name: from.name.clone(),
        state,
        instance_type: from.size_slug.clone(),
        zone: None,
        market: Market::OnDemand,
        addresses,
        access,
        boot: None,
        labels: from.tags.iter().map(|tag| label(tag)).collect(),
        created_at: from.created_at.as_deref().and_then(created_at),
        price: from.size.as_ref().and_then(wire::Size::price),
        message: None,
        metadata: metadata(from),
    })
}

/// The image, by slug or number, and the VPC.
fn metadata(from: &Droplet) -> BTreeMap<String, String> {
    let image = from.image.as_ref().and_then(|image| {
        let id = || image.id.map(|id| id.to_string());
        image.slug.clone().or_else(id)
    });
    [("image", image), ("vpc-uuid", from.vpc_uuid.clone())]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

/// `new`, `active`, `off` or `archive`.
fn state(status: &str) -> NodeState {
    match status {
        "new" => NodeState::Pending,
        "active" => NodeState::Running,
        "off" | "archive" => NodeState::Stopped,
        other => NodeState::Unknown(other.to_owned()),
    }
}

fn addresses(networks: &wire::Networks) -> Addresses {
    let first = |networks: &[Network], kind: &str| -> Option<IpAddr> {
        networks
            .iter()
            .filter(|network| network.kind == kind)
            .find_map(|network| network.ip_address.parse().ok())
    };
    Addresses {
        public: first(&networks.v4, "public").or_else(|| first(&networks.v6, "public")),
        private: first(&networks.v4, "private"),
    }
}

/// Whole seconds, rounded down. The end of that second is taken, so that no node counts as older
/// than it is and as missing before its time.
fn created_at(text: &str) -> Option<Timestamp> {
    let second: Timestamp = text.parse().ok()?;
    second.checked_add(SignedDuration::from_secs(1)).ok()
}

// === labels ===

/// A label as a tag: `key:value`, or the bare word if there is no value.
///
/// # Errors
/// `Invalid` if it cannot be one. "Tags may contain letters, numbers, colons, dashes, and
/// underscores"; and "the capitalization you use when you first create a tag is canonical", so a
/// label with capitals could come back as another.
pub(crate) fn tag(key: &str, value: &str) -> Result<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let tag = if value.is_empty() {
        key.to_owned()
    } else {
        format!("{key}:{value}")
    };
    let fits = !key.is_empty()
        && key.chars().all(plain)
        && value.chars().all(|c| plain(c) || c == ':')
        && tag.len() <= TAG;
    if fits {
        return Ok(tag);
    }
    Err(Error::new(
        Kind::Invalid,
        format!("the label `{key}` cannot be a tag of DigitalOcean"),
    )
    .with_hint(format!(
        "lower-case letters, digits, dashes and underscores, {TAG} characters with its value"
    )))
}

/// A tag as a label. Capitals mean nothing in tags.
pub(crate) fn label(tag: &str) -> (String, String) {
    let tag = tag.to_ascii_lowercase();
    match tag.split_once(':') {
        Some((key, value)) => (key.to_owned(), value.to_owned()),
        None => (tag, String::new()),
    }
}

/// All labels as tags.
pub(crate) fn tags(labels: &Labels) -> Result<Vec<String>> {
    labels.iter().map(|(key, value)| tag(key, value)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn droplet(status: &str) -> Droplet {
        serde_json::from_value(json!({
            "id": 7, "name": "web-0", "status": status, "size_slug": "s-1vcpu-1gb",
            "region": { "slug": "nyc3" }, "created_at": "2026-11-24T10:00:00Z",
            "image": { "id": 63_663_980, "slug": null, "name": "golden" },
            "tags": ["Managed-By:Fleetwright", "web", "a:b:c"],
            "networks": {
                "v4": [
                    { "ip_address": "10.1.0.2", "type": "private" },
                    { "ip_address": "203.0.113.9", "type": "public" }
                ],
                "v6": [{ "ip_address": "2001:db8::9", "type": "public" }]
            }
        }))
        .unwrap()
    }

    #[test]
    fn an_unknown_state_keeps_its_word() {
        let config = DigitalOceanConfig::default();
        for (status, state) in [
            ("new", NodeState::Pending),
            ("active", NodeState::Running),
            ("off", NodeState::Stopped),
            ("archive", NodeState::Stopped),
            ("hibernated", NodeState::Unknown("hibernated".to_owned())),
        ] {
            let node = node("do", &config, &droplet(status)).unwrap();
            assert_eq!(node.state, state);
        }
    }

    #[test]
    fn a_node_says_where_it_is_and_how_to_log_in() {
        let mut config = DigitalOceanConfig::default();
        let seen = node("do", &config, &droplet("active")).unwrap();
        assert_eq!(seen.id.to_string(), "do/nyc3/7");
        assert_eq!(seen.access.unwrap().host, "203.0.113.9");
        assert_eq!(seen.metadata["image"], "63663980");
        assert_eq!(seen.created_at.unwrap().to_string(), "2026-11-24T10:00:01Z");
        config.address = AddressKind::Private;
        let seen = node("do", &config, &droplet("active")).unwrap();
        assert_eq!(seen.access.unwrap().host, "10.1.0.2");
        assert!(
            node("do", &config, &droplet("off"))
                .unwrap()
                .access
                .is_none()
        );
    }

    #[test]
    fn tags_are_labels_whatever_their_capitals() {
        let seen = node("do", &DigitalOceanConfig::default(), &droplet("active")).unwrap();
        assert!(seen.is_managed());
        assert_eq!(seen.label("web"), Some(""));
        assert_eq!(seen.label("a"), Some("b:c"));
    }

    #[test]
    fn labels_survive_the_way_to_a_tag_and_back_or_are_refused() {
        for (key, value) in [("team", "ml"), ("note", ""), ("a_b", "c:d-e"), ("x", "0")] {
            let tag = tag(key, value).unwrap();
            assert_eq!(label(&tag), (key.to_owned(), value.to_owned()), "{tag}");
        }
        let long = "x".repeat(255);
        for (key, value) in [
            ("", "x"),
            ("a:b", "c"),
            ("Team", "ml"),
            ("team", "ML"),
            ("team", "m l"),
            ("team", "ü"),
            ("team", &long),
        ] {
            assert_eq!(tag(key, value).unwrap_err().kind(), Kind::Invalid);
        }
    }
}
