//! NodeBalancers: each port has backends of its own, and a node is one of all ports.
//!
//! ```text
//!  register ──► backend `fw-<id>`, mode accept                 for every port
//!  deregister ► mode drain, renamed `fw-<id>-<since>`          no new connections
//!  members ───► removes what has drained for long enough       open ones had time to end
//! ```
//! Linode drains for ever and does not say since when, so that stands in the backend's label: any
//! process can end what another began. A backend that somebody else set to drain is left alone.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use async_trait::async_trait;
use fleetwright_core::ability::{Balancer, Member, MemberHealth};
use fleetwright_core::{Balancers, Error, Kind, NodeId, Result};
use jiff::Timestamp;
use serde_json::json;

use crate::node::signed;
use crate::provider::LinodeProvider;
use crate::wire::{Backend, BackendChange, Linode, Listener, NewBackend, NodeBalancer};

/// Beginning of the labels of our backends.
const OURS: &str = "fw-";

#[async_trait]
impl Balancers for LinodeProvider {
    async fn list_balancers(&self) -> Result<Vec<Balancer>> {
        let all: Vec<NodeBalancer> = self.api().all(&["nodebalancers"], None).await?;
        Ok(all
            .into_iter()
            .filter(|balancer| self.knows(&balancer.region).is_ok())
            .filter_map(|balancer| {
                Some(Balancer {
                    name: balancer.label.filter(|label| !label.is_empty())?,
                    region: Some(balancer.region),
                    address: balancer.ipv4,
                })
            })
            .collect())
    }

    async fn members(&self, balancer: &str) -> Result<Vec<Member>> {
        let balancer = self.balancer(balancer).await?;
        let mut linodes: Option<Vec<Linode>> = None;
        let mut members: BTreeMap<u64, MemberHealth> = BTreeMap::new();
        for port in self.ports(&balancer).await? {
            for backend in self.backends(&balancer, &port).await? {
                if self.has_drained(&backend) {
                    self.remove_backend(&balancer, &port, &backend).await?;
                    continue;
                }
                let mut id = labeled(&backend).map(|(id, _)| id);
                if id.is_none() {
                    if linodes.is_none() {
                        let here = json!({ "region": balancer.region });
                        linodes = Some(self.api().linodes(&[here]).await.complete()?);
                    }
                    let host = host(&backend);
                    let mut all = linodes.iter().flatten();
                    let own = all.find(|linode| host.is_some_and(|host| has(linode, host)));
                    id = own.map(|linode| linode.id);
                }
                // What is no machine of this account is nobody's member here.
                if let Some(id) = id {
                    let health = health(&backend);
                    let known = members.entry(id).or_insert(MemberHealth::Healthy);
                    if rank(&health) > rank(known) {
                        *known = health;
                    }
                }
            }
        }
        members
            .into_iter()
            .map(|(id, health)| {
                let node = NodeId::new(self.name(), &balancer.region, &id.to_string())?;
                Ok(Member { node, health })
            })
            .collect()
    }

    async fn register(&self, balancer: &str, node: &NodeId) -> Result<()> {
        let balancer = self.balancer(balancer).await?;
        let linode = self.instance(node).await?.ok_or_else(|| {
            Error::new(
                Kind::NotFound,
                format!("there is no instance `{}`", node.native()),
            )
        })?;
        if linode.region != balancer.region {
            return Err(Error::new(
                Kind::Invalid,
                format!(
                    "`{node}` is not in region `{}`, where the NodeBalancer is",
                    balancer.region
                ),
            )
            .with_hint("\"NodeBalancers only support backends in the same Region\""));
        }
        let private = private(&linode).ok_or_else(|| {
            Error::new(
                Kind::Invalid,
                format!("`{node}` has no private address, by which NodeBalancers reach nodes"),
            )
            .with_hint("set `private_ip = true` in the pool's `options`")
        })?;
        let ports = self.ports(&balancer).await?;
        if ports.is_empty() {
            return Err(Error::new(
                Kind::Conflict,
                "the NodeBalancer has no port configured yet",
            ));
        }
        for port in ports {
            self.register_at(&balancer, &port, &linode, private).await?;
        }
        Ok(())
    }

    async fn deregister(&self, balancer: &str, node: &NodeId) -> Result<()> {
        let id = self.own(node)?;
        let balancer = self.balancer(balancer).await?;
        let mut linode: Option<Option<Linode>> = None;
        for port in self.ports(&balancer).await? {
            for backend in self.backends(&balancer, &port).await? {
                let is_its = if let Some((own, _)) = labeled(&backend) {
                    own == id
                } else {
                    if linode.is_none() {
                        linode = Some(self.instance(node).await?);
                    }
                    let known = linode.as_ref().and_then(Option::as_ref);
                    host(&backend)
                        .zip(known)
                        .is_some_and(|(host, linode)| has(linode, host))
                };
                if !is_its {
                    continue;
                }
                let is_draining = backend.mode == "drain" && since(&backend).is_some();
                if self.config().drain.0.is_zero() || self.has_drained(&backend) {
                    self.remove_backend(&balancer, &port, &backend).await?;
                } else if !is_draining {
                    let now = self.clock().now().as_second();
                    let label = format!("{OURS}{id}-{now}");
                    self.change(&balancer, &port, &backend, "drain", &label)
                        .await?;
                }
            }
        }
        Ok(())
    }
}

impl LinodeProvider {
    /// The NodeBalancer of this name. "These must be unique on your Account."
    async fn balancer(&self, name: &str) -> Result<NodeBalancer> {
        let has = |balancer: &NodeBalancer| balancer.label.as_deref() == Some(name);
        let found = self.api().named(&["nodebalancers"], "label", name, has);
        let found = found.await?.into_iter().next();
        found
            .filter(|balancer| self.knows(&balancer.region).is_ok())
            .ok_or_else(|| {
                Error::new(Kind::NotFound, format!("there is no NodeBalancer `{name}`"))
                    .with_hint("in the configured regions, that is")
            })
    }

    async fn ports(&self, balancer: &NodeBalancer) -> Result<Vec<Listener>> {
        let id = balancer.id.to_string();
        self.api()
            .all(&["nodebalancers", &id, "configs"], None)
            .await
    }

    async fn backends(&self, balancer: &NodeBalancer, port: &Listener) -> Result<Vec<Backend>> {
        let (id, port) = (balancer.id.to_string(), port.id.to_string());
        let path = ["nodebalancers", &id, "configs", &port, "nodes"];
        self.api().all(&path, None).await
    }

    async fn register_at(
        &self,
        balancer: &NodeBalancer,
        port: &Listener,
        linode: &Linode,
        private: Ipv4Addr,
    ) -> Result<()> {
        let backends = self.backends(balancer, port).await?;
        let label = format!("{OURS}{}", linode.id);
        let mut known = backends
            .iter()
            .filter(|backend| host(backend) == Some(IpAddr::V4(private)));
        if let Some(backend) = known.next() {
            if backend.mode == "accept" || backend.mode == "backup" {
                return Ok(());
            }
            return self.change(balancer, port, backend, "accept", &label).await;
        }
        let others = backends.iter().find_map(|backend| {
            let (_, port) = backend.address.rsplit_once(':')?;
            port.parse::<u16>().ok()
        });
        let to = self.config().backend_port.or(others).unwrap_or(port.port);
        let (id, port) = (balancer.id.to_string(), port.id.to_string());
        let new = NewBackend {
            address: &format!("{private}:{to}"),
            label: &label,
            mode: "accept",
        };
        let path = ["nodebalancers", &id, "configs", &port, "nodes"];
        self.api().post::<Backend>(&path, &new).await.map(drop)
    }

    async fn change(
        &self,
        balancer: &NodeBalancer,
        port: &Listener,
        backend: &Backend,
        mode: &'static str,
        label: &str,
    ) -> Result<()> {
        let path = path(balancer, port, backend);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let change = BackendChange { mode, label };
        self.api().put(&path, &change).await.map(drop)
    }

    async fn remove_backend(
        &self,
        balancer: &NodeBalancer,
        port: &Listener,
        backend: &Backend,
    ) -> Result<()> {
        let path = path(balancer, port, backend);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        self.api().remove(&path).await.map(drop)
    }

    /// Whether it drains by our word, and for as long as was asked.
    fn has_drained(&self, backend: &Backend) -> bool {
        let Some(since) = since(backend).filter(|_| backend.mode == "drain") else {
            return false;
        };
        self.clock().now().duration_since(since) >= signed(self.config().drain.0)
    }
}

fn path(balancer: &NodeBalancer, port: &Listener, backend: &Backend) -> [String; 6] {
    [
        "nodebalancers".to_owned(),
        balancer.id.to_string(),
        "configs".to_owned(),
        port.id.to_string(),
        "nodes".to_owned(),
        backend.id.to_string(),
    ]
}

/// Which machine one of our backends stands for, and since when it drains.
fn labeled(backend: &Backend) -> Option<(u64, Option<i64>)> {
    let rest = backend.label.strip_prefix(OURS)?;
    let (id, since) = match rest.split_once('-') {
        Some((id, since)) => (id, Some(since.parse().ok()?)),
        None => (rest, None),
    };
    Some((id.parse().ok()?, since))
}

fn since(backend: &Backend) -> Option<Timestamp> {
    let (_, since) = labeled(backend)?;
    Timestamp::from_second(since?).ok()
}

fn host(backend: &Backend) -> Option<IpAddr> {
    let (host, _) = backend.address.rsplit_once(':')?;
    host.trim_matches(['[', ']']).parse().ok()
}

fn has(linode: &Linode, address: IpAddr) -> bool {
    linode.ipv4.iter().any(|own| own.parse() == Ok(address))
}

fn private(linode: &Linode) -> Option<Ipv4Addr> {
    let all = linode
        .ipv4
        .iter()
        .filter_map(|a| a.parse::<Ipv4Addr>().ok());
    all.into_iter().find(Ipv4Addr::is_private)
}

fn health(backend: &Backend) -> MemberHealth {
    match (&*backend.mode, &*backend.status.to_lowercase()) {
        ("drain" | "reject", _) => MemberHealth::Draining,
        (_, "up") => MemberHealth::Healthy,
        (_, "down") => MemberHealth::Unhealthy,
        (_, "unknown") => MemberHealth::Initial,
        _ => MemberHealth::Unknown(backend.status.clone()),
    }
}

/// Of several ports, the one that is worst off speaks for the node.
fn rank(health: &MemberHealth) -> u8 {
    match health {
        MemberHealth::Healthy => 0,
        MemberHealth::Initial => 1,
        MemberHealth::Unknown(_) => 2,
        MemberHealth::Unhealthy => 3,
        MemberHealth::Draining => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(label: &str, mode: &str, status: &str) -> Backend {
        Backend {
            id: 1,
            address: "192.168.1.2:80".to_owned(),
            label: label.to_owned(),
            status: status.to_owned(),
            mode: mode.to_owned(),
        }
    }

    #[test]
    fn a_label_says_whose_backend_it_is_and_since_when_it_drains() {
        let labels = [
            ("fw-12", Some((12, None))),
            ("fw-12-1795521612", Some((12, Some(1_795_521_612)))),
            ("fw-x", None),
            ("fw-12-soon", None),
            ("web-12", None),
        ];
        for (label, expected) in labels {
            assert_eq!(
                labeled(&backend(label, "accept", "UP")),
                expected,
                "{label}"
            );
        }
        let longest = format!("{OURS}{}-{}", 999_999_999_999_u64, 99_999_999_999_i64);
        assert!(longest.len() <= 32, "{longest}");
    }

    #[test]
    fn words_of_health_that_are_not_known_stay_visible() {
        for (mode, status, expected) in [
            ("accept", "UP", MemberHealth::Healthy),
            ("backup", "UP", MemberHealth::Healthy),
            ("accept", "DOWN", MemberHealth::Unhealthy),
            ("accept", "Unknown", MemberHealth::Initial),
            ("drain", "UP", MemberHealth::Draining),
            (
                "accept",
                "Warming",
                MemberHealth::Unknown("Warming".to_owned()),
            ),
        ] {
            assert_eq!(
                health(&backend("fw-1", mode, status)),
                expected,
                "{mode} {status}"
            );
        }
    }
}
