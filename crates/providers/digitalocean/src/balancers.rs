//! Load balancers: who gets traffic.
//!
//! A balancer has a list of droplets, or a tag whose droplets it takes. Its API tells who is on the
//! list and not how its health checks went, so a member counts as healthy when the balancer and the
//! droplet are both active. Nothing drains: a droplet that is taken out gets no traffic at once.
//! <https://docs.digitalocean.com/reference/api/reference/load-balancers/>

use std::collections::HashMap;

use async_trait::async_trait;
use fleetwright_core::ability::{Balancer, Member, MemberHealth};
use fleetwright_core::{Balancers, Error, Kind, NodeId, Result};

use crate::provider::DigitalOceanProvider;
use crate::wire::{Droplet, LoadBalancer};

#[async_trait]
impl Balancers for DigitalOceanProvider {
    async fn list_balancers(&self) -> Result<Vec<Balancer>> {
        let all = self.reachable_balancers().await?;
        Ok(all
            .iter()
            .map(|one| {
                let namesakes = all.iter().filter(|other| other.name == one.name).count();
                Balancer {
                    // Names need not be unique, ids are.
                    name: if namesakes == 1 {
                        one.name.clone()
                    } else {
                        one.id.clone()
                    },
                    region: one.region.as_ref().map(|region| region.slug.clone()),
                    address: one.ip.clone().filter(|ip| !ip.is_empty()),
                }
            })
            .collect())
    }

    async fn members(&self, balancer: &str) -> Result<Vec<Member>> {
        let balancer = self.balancer(balancer).await?;
        if balancer.droplet_ids.is_empty() {
            return Ok(Vec::new());
        }
        let droplets = self.api().droplets().await.complete()?;
        let known: HashMap<u64, &Droplet> = droplets.iter().map(|one| (one.id, one)).collect();
        let mut members = Vec::new();
        for id in &balancer.droplet_ids {
            let droplet = known.get(id).copied();
            let region = droplet
                .map(|droplet| &droplet.region)
                .or(balancer.region.as_ref());
            // A balancer without a region has no droplets of its own.
            if let Some(region) = region {
                members.push(Member {
                    node: NodeId::new(self.name(), &region.slug, &id.to_string())?,
                    health: health(&balancer, droplet),
                });
            }
        }
        Ok(members)
    }

    async fn register(&self, balancer: &str, node: &NodeId) -> Result<()> {
        let droplet = self.own(node)?;
        let balancer = self.balancer(balancer).await?;
        if balancer.droplet_ids.contains(&droplet) {
            return Ok(());
        }
        // "Individual Droplets can not be added to a load balancer configured with a Droplet tag."
        match tag(&balancer) {
            Some(tag) => self.api().tag_droplet(tag, droplet).await,
            None => self.api().add_to_balancer(&balancer.id, droplet).await,
        }
    }

    async fn deregister(&self, balancer: &str, node: &NodeId) -> Result<()> {
        let droplet = self.own(node)?;
        let balancer = self.balancer(balancer).await?;
        if !balancer.droplet_ids.contains(&droplet) {
            return Ok(());
        }
        match tag(&balancer) {
            Some(tag) => self.api().untag_droplet(tag, droplet).await,
            None => self.api().take_from_balancer(&balancer.id, droplet).await,
        }
    }
}

impl DigitalOceanProvider {
    /// Those of the configured regions, and those of none.
    async fn reachable_balancers(&self) -> Result<Vec<LoadBalancer>> {
        let mut all = self.api().load_balancers().await?;
        all.retain(|balancer| {
            let region = balancer.region.as_ref();
            region.is_none_or(|region| self.config().regions.contains(&region.slug))
        });
        Ok(all)
    }

    /// A balancer by its name or id.
    async fn balancer(&self, name: &str) -> Result<LoadBalancer> {
        let mut all = self.reachable_balancers().await?;
        all.retain(|balancer| balancer.name == name || balancer.id == name);
        match (all.pop(), all.len()) {
            (Some(balancer), 0) => Ok(balancer),
            (None, _) => Err(Error::new(
                Kind::NotFound,
                format!("there is no load balancer `{name}`"),
            )),
            (Some(_), others) => Err(Error::new(
                Kind::Conflict,
                format!("{} load balancers are called `{name}`", others + 1),
            )
            .with_hint("name it by its id")),
        }
    }
}

fn tag(balancer: &LoadBalancer) -> Option<&str> {
    balancer.tag.as_deref().filter(|tag| !tag.is_empty())
}

fn health(balancer: &LoadBalancer, droplet: Option<&Droplet>) -> MemberHealth {
    let droplet = droplet.map(|droplet| &*droplet.status);
    match (&*balancer.status, droplet) {
        ("active", Some("active")) => MemberHealth::Healthy,
        ("new", Some("active" | "new")) | ("active", Some("new")) => MemberHealth::Initial,
        (_, Some("off" | "archive")) | ("errored", _) => MemberHealth::Unhealthy,
        // On its list and not among the droplets: gone, or too new to be listed.
        (_, None) => MemberHealth::Unknown("not listed".to_owned()),
        (balancer, Some(droplet)) => MemberHealth::Unknown(format!("{balancer}, {droplet}")),
    }
}
