//! Load balancers: a balancer here is a backend of a load balancer, a pool of addresses.
//!
//! Its name is `load-balancer/backend`. A name that is there twice gets the id of the backend
//! behind it: `web/http@1111…`. Members are addresses, so a node is a member by its public address;
//! an address in the pool that is no instance's of the configured regions is not a node, and is left
//! alone. <https://www.scaleway.com/en/developers/api/load-balancer/zoned-api/>

use std::collections::BTreeMap;

use async_trait::async_trait;
use fleetwright_core::ability::{Balancer, Member, MemberHealth};
use fleetwright_core::{Balancers, Error, Kind, NodeId, Result};
use futures::future::try_join_all;

use crate::wire::{Backend, BackendStats, Lb, Server};
use crate::{ScalewayProvider, node, zone};

/// A backend and where it is.
struct Pool {
    name: String,
    zone: String,
    lb: Lb,
    backend: Backend,
}

impl ScalewayProvider {
    /// All backends, each with a name of its own.
    async fn pools(&self) -> Result<Vec<Pool>> {
        let zones = self.zones();
        let of_zones = zones.iter().map(|zone| async move {
            let lbs = self.api().lbs(zone).await.complete()?;
            let backends = lbs.into_iter().map(|lb| async move {
                let backends = self.api().backends(zone, &lb.id).await.complete()?;
                Ok::<_, Error>((lb, backends))
            });
            Ok::<_, Error>((zone, try_join_all(backends).await?))
        });
        let mut pools = Vec::new();
        for (zone, lbs) in try_join_all(of_zones).await? {
            for (lb, backends) in lbs {
                pools.extend(backends.into_iter().map(|backend| Pool {
                    name: format!("{}/{}", lb.name, backend.name),
                    zone: zone.clone(),
                    lb: lb.clone(),
                    backend,
                }));
            }
        }
        let mut times = BTreeMap::new();
        for pool in &pools {
            *times.entry(pool.name.clone()).or_insert(0_u32) += 1;
        }
        for pool in &mut pools {
            if times.get(&pool.name).is_some_and(|times| *times > 1) {
                pool.name = format!("{}@{}", pool.name, pool.backend.id);
            }
        }
        Ok(pools)
    }

    async fn pool(&self, balancer: &str) -> Result<Pool> {
        let pools = self.pools().await?;
        let known: Vec<String> = pools.iter().map(|pool| pool.name.clone()).collect();
        pools
            .into_iter()
            .find(|pool| pool.name == balancer)
            .ok_or_else(|| {
                Error::new(Kind::NotFound, format!("there is no balancer `{balancer}`")).with_hint(
                    if known.is_empty() {
                        "the project has no load balancer with a backend".to_owned()
                    } else {
                        format!(
                            "a name reads `load-balancer/backend`; there are: {}",
                            known.join(", ")
                        )
                    },
                )
            })
    }
}

#[async_trait]
impl Balancers for ScalewayProvider {
    async fn list_balancers(&self) -> Result<Vec<Balancer>> {
        let pools = self.pools().await?;
        Ok(pools
            .into_iter()
            .map(|pool| Balancer {
                region: zone::region_of(&pool.zone).map(str::to_owned),
                address: pool.lb.ip.first().map(|ip| ip.ip_address.clone()),
                name: pool.name,
            })
            .collect())
    }

    async fn members(&self, balancer: &str) -> Result<Vec<Member>> {
        let pool = self.pool(balancer).await?;
        if pool.backend.pool.is_empty() {
            return Ok(Vec::new());
        }
        let stats = self.api().backend_stats(&pool.zone, &pool.lb.id).await;
        let stats = stats.complete()?;
        let servers = self.every_server().await?;
        let mut members: Vec<Member> = Vec::new();
        for address in &pool.backend.pool {
            let holder = servers
                .iter()
                .find(|server| addresses(server).contains(address));
            let Some(server) = holder else { continue };
            let node = node::id(server).node(self.name())?;
            // One with an IPv4 and an IPv6 address in the pool is one member.
            if members.iter().all(|member| member.node != node) {
                let health = health(&stats, &pool.backend.id, address);
                members.push(Member { node, health });
            }
        }
        Ok(members)
    }

    async fn register(&self, balancer: &str, node: &NodeId) -> Result<()> {
        let pool = self.pool(balancer).await?;
        let server = self.server_of(node).await?;
        let addresses = addresses(&server);
        let Some(address) = addresses.first() else {
            return Err(Error::new(
                Kind::Conflict,
                format!("node `{node}` has no public address that a load balancer can send to"),
            )
            .with_hint("wait until it runs; with `public_address = \"none\"` it never has one"));
        };
        if pool
            .backend
            .pool
            .iter()
            .any(|known| addresses.contains(known))
        {
            return Ok(());
        }
        let new = [address.clone()];
        self.api()
            .add_to_backend(&pool.zone, &pool.backend.id, &new)
            .await
    }

    async fn deregister(&self, balancer: &str, node: &NodeId) -> Result<()> {
        let pool = self.pool(balancer).await?;
        let addresses = match self.server_of(node).await {
            Ok(server) => addresses(&server),
            // Nobody can tell any more which address it had.
            Err(error) if error.kind() == Kind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut leaving = pool.backend.pool;
        leaving.retain(|known| addresses.contains(known));
        if leaving.is_empty() {
            return Ok(());
        }
        self.api()
            .take_from_backend(&pool.zone, &pool.backend.id, &leaving)
            .await
    }
}

/// The public addresses of an instance, IPv4 before IPv6.
fn addresses(server: &Server) -> Vec<String> {
    let mut all: Vec<String> = server
        .public_ips
        .iter()
        .map(|ip| ip.address.clone())
        .collect();
    all.sort_by_key(|address| address.contains(':'));
    all
}

/// What the instances of the load balancer think of an address; the worst counts.
/// <https://www.scaleway.com/en/developers/api/load-balancer/zoned-api/#path-backends-list-backend-server-statistics>
fn health(stats: &[BackendStats], backend: &str, address: &str) -> MemberHealth {
    let of_address = stats
        .iter()
        .filter(|stats| stats.backend_id == backend && stats.ip == address)
        .map(
            |stats| match (&*stats.server_state, &*stats.last_health_check_status) {
                ("stopping", _) => MemberHealth::Draining,
                ("stopped", _) | (_, "failed") => MemberHealth::Unhealthy,
                (_, "passed" | "condpass") => MemberHealth::Healthy,
                (_, "unknown" | "neutral") => MemberHealth::Initial,
                (_, other) => MemberHealth::Unknown(other.to_owned()),
            },
        );
    of_address
        .max_by_key(|health| match health {
            MemberHealth::Healthy => 0,
            MemberHealth::Initial => 1,
            MemberHealth::Unknown(_) => 2,
            MemberHealth::Draining => 3,
            MemberHealth::Unhealthy => 4,
        })
        .unwrap_or(MemberHealth::Initial)
}
