//! Targets: machines that are logged in to, whether they are ours or not.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Access, Disruption, Error, Filter, Healing, Health, Hooks, Kind, Labels, NodeId, Probe, Result,
    glob,
};

/// A machine that can be logged in to, and how it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// A node's name, or the address as it was written.
    pub name: String,
    /// How to log in.
    pub access: Access,
    /// Whose policies hold for it; absent: nobody's.
    pub group: Option<TargetGroupName>,
    /// The node, if a provider knows it.
    pub node: Option<NodeId>,
    /// Everywhere it was found. Never empty.
    pub origins: Vec<TargetOrigin>,
    /// Labels, as far as a provider tells them.
    pub labels: Labels,
}

impl Target {
    /// What two descriptions of the same machine have in common: where its SSH server listens.
    pub fn endpoint(&self) -> (String, u16) {
        (self.access.host.to_ascii_lowercase(), self.access.port)
    }

    /// What tells it from every other machine in the journal: the id of the node if a provider
    /// knows it, so that another machine at the same address is another one, else `ssh://host:port`.
    pub fn key(&self) -> String {
        if let Some(node) = &self.node {
            return node.to_string();
        }
        let (host, port) = self.endpoint();
        format!("ssh://{host}:{port}")
    }

    /// Whether a filter selects it. Besides the properties of nodes it may speak of `group`
    /// (`pools.<name>` or `targets.<name>`), `address` and `origin`, of which one has to match.
    /// `state` is what journal or provider say of it.
    pub fn is_selected(&self, filter: &Filter, state: Option<&str>) -> bool {
        filter.terms().iter().all(|term| match term.key() {
            "origin" => {
                let plain = |origin: &TargetOrigin| glob_any(term.patterns(), &origin.to_string());
                self.origins.iter().any(plain) != term.is_negated()
            }
            "group" => term.matches(&self.group_label().unwrap_or_default()),
            key => term.matches(self.property(key, state).unwrap_or_default()),
        })
    }

    fn property<'a>(&'a self, key: &str, state: Option<&'a str>) -> Option<&'a str> {
        let node = self.node.as_ref();
        match key {
            "id" => node.map(NodeId::as_str),
            "name" => Some(&self.name),
            "address" => Some(&self.access.host),
            "pool" => match &self.group {
                Some(TargetGroupName::Pool(name)) => Some(name),
                _ => None,
            },
            "provider" => node.map(NodeId::provider),
            "region" => node.map(NodeId::region),
            "state" => state,
            _ => key
                .strip_prefix("label.")
                .and_then(|key| self.labels.get(key))
                .map(String::as_str),
        }
    }

    /// `pools.<name>` or `targets.<name>`, or nothing: what a filter and a report call its group.
    pub fn group_label(&self) -> Option<String> {
        self.group.as_ref().map(ToString::to_string)
    }
}

fn glob_any(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| glob(pattern, text))
}

/// What a target belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "of", content = "name", rename_all = "kebab-case")]
pub enum TargetGroupName {
    /// `[pools.<name>]`.
    Pool(String),
    /// `[targets.<name>]`.
    Targets(String),
}

impl fmt::Display for TargetGroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pool(name) => write!(f, "pools.{name}"),
            Self::Targets(name) => write!(f, "targets.{name}"),
        }
    }
}

impl FromStr for TargetGroupName {
    type Err = Error;

    /// Reads what `Display` writes; a name alone is a pool's.
    fn from_str(text: &str) -> Result<Self> {
        let (known, name) = match text.split_once('.') {
            Some(("pools", name)) => (Self::Pool(name.to_owned()), name),
            Some(("targets", name)) => (Self::Targets(name.to_owned()), name),
            Some(_) => (Self::Pool(String::new()), ""),
            None => (Self::Pool(text.to_owned()), text),
        };
        if name.is_empty() {
            return Err(
                Error::new(Kind::Invalid, format!("`{text}` is no group of machines"))
                    .with_hint("write a pool's name, or `targets.<name>`"),
            );
        }
        Ok(known)
    }
}

/// Where a target was found.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum TargetOrigin {
    /// On the command line.
    Given,
    /// In the configuration.
    Configured {
        /// Which `[targets.<name>]`.
        group: String,
    },
    /// In a file of addresses.
    File {
        /// Which.
        path: String,
        /// Which line, from 1.
        line: usize,
    },
    /// In the journal: a node of ours.
    Pool {
        /// Which pool.
        pool: String,
    },
    /// In a provider's listing.
    Discovered {
        /// Which provider.
        provider: String,
        /// By which filter; empty: all that are ours.
        filter: String,
    },
    /// Among the members of a cloud's own group.
    Member {
        /// Which provider.
        provider: String,
        /// Which of its groups.
        group: String,
    },
}

impl fmt::Display for TargetOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given => f.write_str("given"),
            Self::Configured { group } => write!(f, "targets.{group}"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Pool { pool } => write!(f, "pools.{pool}"),
            Self::Discovered { provider, filter } if filter.is_empty() => f.write_str(provider),
            Self::Discovered { provider, filter } => write!(f, "{provider} ({filter})"),
            Self::Member { provider, group } => write!(f, "{provider} group {group}"),
        }
    }
}

/// `user@host:port`: an address to log in to. An IPv6 address stands in brackets if a port follows.
///
/// ```
/// use fleetwright_core::TargetAddress;
///
/// let address: TargetAddress = "admin@[2001:db8::1]:2222".parse().unwrap();
/// assert_eq!((address.host.as_str(), address.port), ("2001:db8::1", 2222));
/// let address: TargetAddress = "10.0.0.7".parse().unwrap();
/// assert_eq!((address.user.as_str(), address.port), ("root", 22));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetAddress {
    /// User; `root` if none is written.
    pub user: String,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port; 22 if none is written.
    pub port: u16,
}

impl TargetAddress {
    /// The user if none is written.
    pub const USER: &str = "root";
    /// The port if none is written.
    pub const PORT: u16 = 22;

    /// How to log in there. Its host key must be known to the user's own `known_hosts`.
    pub fn access(&self) -> Access {
        Access {
            host: self.host.clone(),
            port: self.port,
            user: self.user.clone(),
            host_keys: Vec::new(),
        }
    }
}

impl FromStr for TargetAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = |why: &str| {
            Error::new(Kind::Invalid, format!("`{text}` is no address: {why}"))
                .with_hint("write `user@host:port`, with an IPv6 address in brackets")
        };
        let (user, place) = match text.rsplit_once('@') {
            Some(("", _)) => return Err(bad("the user is missing")),
            Some((user, place)) => (user, place),
            None => (Self::USER, text),
        };
        let (host, port) = if let Some(rest) = place.strip_prefix('[') {
            let (host, after) = rest.split_once(']').ok_or_else(|| bad("`]` is missing"))?;
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(bad("in brackets stands no IPv6 address"));
            }
            match after {
                "" => (host, None),
                _ => match after.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None => return Err(bad("after `]` only a port may follow")),
                },
            }
        } else if place.parse::<std::net::Ipv6Addr>().is_ok() {
            (place, None)
        } else {
            match place.split_once(':') {
                Some((_, port)) if port.contains(':') => {
                    return Err(bad("an IPv6 address with a port stands in brackets"));
                }
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            }
        };
        let port = match port {
            None => Self::PORT,
            Some(port) => match port.parse::<u16>() {
                Ok(port) if port > 0 => port,
                _ => return Err(bad("a port is a number from 1 to 65535")),
            },
        };
        let is_odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '@' | ',');
        if host.is_empty() {
            return Err(bad("the host is missing"));
        }
        if host.starts_with('-') || user.starts_with('-') {
            return Err(bad("neither user nor host begin with `-`"));
        }
        if host.contains(is_odd) || user.contains(is_odd) {
            return Err(bad("it has a character that no user or host has"));
        }
        Ok(Self {
            user: user.to_owned(),
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for TargetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, host, port } = self;
        if host.contains(':') {
            write!(f, "{user}@[{host}]:{port}")
        } else {
            write!(f, "{user}@{host}:{port}")
        }
    }
}

/// Machines that are looked after without being made by us.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TargetGroup {
    /// Addresses: `user@host:port`; `root` and 22 if they are left out.
    pub hosts: Vec<String>,
    /// A file with an address a line; what follows `#` is a comment. A relative path starts at the
    /// configuration file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Machines that providers know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub discover: Vec<Discovery>,
    /// The user on discovered machines, if the provider does not tell one. Default: `root`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// A command that is run once on each machine that is seen for the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub welcome: Option<String>,
    /// What is expected of each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Probe>,
    /// What is done about those that differ.
    #[serde(skip_serializing_if = "Healing::is_default")]
    pub healing: Healing,
    /// How many may be disturbed at once.
    #[serde(skip_serializing_if = "Disruption::is_default")]
    pub disruption: Disruption,
    /// When one counts as unhealthy.
    #[serde(skip_serializing_if = "Health::is_default")]
    pub health: Health,
    /// Commands round cordoning and draining.
    #[serde(skip_serializing_if = "Hooks::is_default")]
    pub hooks: Hooks,
}

/// Machines that a provider knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Discovery {
    /// Name of the provider.
    pub provider: String,
    /// Which of its machines, e.g. `label.role=edge,state=running`. Machines that are not ours are
    /// found too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Only members of this group of the cloud: an Auto Scaling group, a managed instance group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members_of: Option<String>,
    /// Which address is logged in to. Absent: the public one, else the private one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<AddressChoice>,
}

/// Which address of a machine is logged in to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AddressChoice {
    /// The one that is reachable from outside.
    Public,
    /// The one inside the provider's network.
    Private,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_their_defaults() {
        for (text, shown) in [
            ("web1", "root@web1:22"),
            ("admin@web1.example.com:2222", "admin@web1.example.com:2222"),
            ("10.0.0.7:23", "root@10.0.0.7:23"),
            ("::1", "root@[::1]:22"),
            ("[2001:db8::7]", "root@[2001:db8::7]:22"),
            ("a@[2001:db8::7]:99", "a@[2001:db8::7]:99"),
        ] {
            let address: TargetAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse::<TargetAddress>().unwrap(), address);
        }
    }

    #[test]
    fn one_of_several_origins_is_enough_for_a_filter() {
        let target = Target {
            name: "edge-1".into(),
            access: "edge-1.example.com"
                .parse::<TargetAddress>()
                .unwrap()
                .access(),
            group: Some(TargetGroupName::Targets("edge".into())),
            node: None,
            origins: vec![
                TargetOrigin::Configured {
                    group: "edge".into(),
                },
                TargetOrigin::File {
                    path: "/etc/hosts.txt".into(),
                    line: 3,
                },
            ],
            labels: Labels::new(),
        };
        for (text, expected) in [
            ("", true),
            ("name=edge-*", true),
            ("group=targets.edge", true),
            ("origin=targets.edge", true),
            ("origin=/etc/*", true),
            ("origin!=/etc/*", false),
            ("origin=aws*", false),
            ("address=edge-1.*", true),
            ("pool=", true),
            ("state=ready", true),
            ("label.team=ml", false),
        ] {
            let filter: Filter = text.parse().unwrap();
            assert_eq!(
                target.is_selected(&filter, Some("ready")),
                expected,
                "{text}"
            );
        }
        assert_eq!(target.key(), "ssh://edge-1.example.com:22");
    }

    #[test]
    fn what_is_no_address_says_why() {
        for (text, why) in [
            ("", "the host is missing"),
            ("@web", "the user is missing"),
            ("web:", "a port is a number"),
            ("web:0", "a port is a number"),
            ("web:99999", "a port is a number"),
            ("2001:db8::7:22:xx", "brackets"),
            ("[::1", "`]` is missing"),
            ("[web]:22", "no IPv6 address"),
            ("[::1]22", "only a port"),
            ("-oProxyCommand=x", "begin with `-`"),
            ("we b", "a character"),
            ("web/x", "a character"),
        ] {
            let error = text.parse::<TargetAddress>().unwrap_err();
            assert!(error.to_string().contains(why), "{text}: {error}");
        }
    }
}
