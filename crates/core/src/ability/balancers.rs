//! Load balancers: who gets traffic.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{NodeId, Result};

/// Load balancers or target groups that nodes are registered with.
#[async_trait]
pub trait Balancers: Debug + Send + Sync {
    /// All balancers of the configured regions.
    async fn list_balancers(&self) -> Result<Vec<Balancer>>;

    /// The members of a balancer with their health.
    ///
    /// # Errors
    /// `NotFound` if there is no such balancer.
    async fn members(&self, balancer: &str) -> Result<Vec<Member>>;

    /// Adds a node. Adding a member again changes nothing.
    async fn register(&self, balancer: &str, node: &NodeId) -> Result<()>;

    /// Starts to take a node out: it gets no new traffic and is [`MemberHealth::Draining`] until
    /// it leaves the list. Removing what is not there is fine.
    async fn deregister(&self, balancer: &str, node: &NodeId) -> Result<()>;
}

/// A load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balancer {
    /// Name, unique for the provider.
    pub name: String,
    /// Region; absent if it is global.
    pub region: Option<String>,
    /// Where clients connect to, if known.
    pub address: Option<String>,
}

/// A node behind a balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Which node.
    pub node: NodeId,
    /// What the balancer thinks of it.
    pub health: MemberHealth,
}

/// What a balancer thinks of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberHealth {
    /// Registered, not judged yet.
    Initial,
    /// Gets traffic.
    Healthy,
    /// Fails its checks.
    Unhealthy,
    /// Being taken out.
    Draining,
    /// A word that we do not know.
    Unknown(String),
}
