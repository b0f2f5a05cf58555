//! Groups of machines that the cloud itself keeps at a size.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{NodeId, NodeSpec, NodeState, Result, Token};

/// Auto Scaling groups, managed instance groups, scale sets.
///
/// Sizes are counted in machines.
#[async_trait]
pub trait Groups: Debug + Send + Sync {
    /// Makes a group, or returns the one that this token made before.
    ///
    /// # Errors
    /// `Conflict` if a group of that name exists and another token made it.
    async fn create_group(&self, spec: &GroupSpec, token: &Token) -> Result<Group>;

    /// All groups of the configured regions, foreign ones included.
    async fn list_groups(&self) -> Result<Vec<Group>>;

    /// The members, with what the group thinks of them.
    ///
    /// # Errors
    /// `NotFound` if there is no such group.
    async fn members(&self, region: &str, group: &str) -> Result<Vec<GroupMember>>;

    /// Asks for another size. Growing only: to shrink, remove members by id, because otherwise the
    /// cloud picks the victims.
    ///
    /// # Errors
    /// `Invalid` if the size is below the present one or above the maximum.
    async fn grow(&self, region: &str, group: &str, desired: u32) -> Result<()>;

    /// Removes these members and lowers the desired size by their number, after checking the
    /// minimum size. Members that are gone already do not count.
    ///
    /// # Errors
    /// `Invalid` if the size would fall below the minimum; nothing is removed then.
    async fn remove_members(&self, region: &str, group: &str, nodes: &[NodeId]) -> Result<()>;

    /// Removes the group and its members. Removing what is gone is fine.
    async fn delete_group(&self, region: &str, group: &str) -> Result<()>;
}

/// What a group shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSpec {
    /// Name, unique per region.
    pub name: String,
    /// Fewest machines.
    pub min: u32,
    /// Machines wanted now.
    pub desired: u32,
    /// Most machines.
    pub max: u32,
    /// What each machine is; its region is the group's.
    pub node: NodeSpec,
}

/// A group as the cloud reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Name.
    pub name: String,
    /// Region.
    pub region: String,
    /// Fewest machines.
    pub min: u32,
    /// Machines wanted.
    pub desired: u32,
    /// Most machines.
    pub max: u32,
    /// Machines there are, in whatever state.
    pub size: u32,
}

/// A machine in a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupMember {
    /// Which node.
    pub node: NodeId,
    /// Its state.
    pub state: NodeState,
    /// Whether the group holds it for healthy; absent if it has not looked yet.
    pub healthy: Option<bool>,
}
