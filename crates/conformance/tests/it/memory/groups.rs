//! Groups of the cloud in memory: filled up whenever somebody looks.

use async_trait::async_trait;
use fleetwright_conformance::Point;
use fleetwright_core::ability::{Group, GroupMember, GroupSpec};
use fleetwright_core::{Error, Groups, Kind, NodeId, Operation, Result, Token};

use super::provider::Memory;
use super::world::{Flaw, GroupState, REGIONS, World};

fn missing(group: &str) -> Error {
    Error::new(Kind::NotFound, format!("there is no group `{group}`"))
}

fn invalid(what: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, what)
}

impl World {
    fn group_at(&self, region: &str, name: &str) -> Result<usize> {
        self.groups
            .iter()
            .position(|g| g.group.name == name && g.group.region == region)
            .ok_or_else(|| missing(name))
    }

    fn members_of(&self, name: &str) -> Vec<NodeId> {
        self.machines
            .iter()
            .filter(|m| m.group.as_deref() == Some(name) && m.gone_at.is_none())
            .filter(|m| !m.killed || self.flaw == Some(Flaw::NeverReplacesMembers))
            .map(|m| m.node.id.clone())
            .collect()
    }

    /// Removes the dead and makes what is missing.
    fn tend(&mut self, at: usize) -> Result<()> {
        let group = self.groups[at].group.clone();
        let dead: Vec<NodeId> = self
            .machines
            .iter()
            .filter(|m| m.group.as_ref() == Some(&group.name) && m.killed)
            .filter(|_| self.flaw != Some(Flaw::NeverReplacesMembers))
            .map(|m| m.node.id.clone())
            .collect();
        for id in dead {
            self.start_removal(&id);
        }
        let spec = self.groups[at].spec.clone();
        let less = u32::from(self.flaw == Some(Flaw::MakesGroupsTooSmall));
        let wanted = usize::try_from(group.desired - less).unwrap_or(usize::MAX);
        for _ in self.members_of(&group.name).len()..wanted {
            let id = self.make(&spec, format!("{}-m", group.name), &group.region)?;
            if let Some(machine) = self.machine_mut(&id) {
                machine.group = Some(group.name.clone());
            }
        }
        let size = self.members_of(&group.name).len();
        self.groups[at].group.size = u32::try_from(size).unwrap_or(u32::MAX);
        Ok(())
    }
}

#[async_trait]
impl Groups for Memory {
    async fn create_group(&self, spec: &GroupSpec, token: &Token) -> Result<Group> {
        self.check_spec(&spec.node)?;
        if !(spec.min..=spec.max).contains(&spec.desired) {
            return Err(invalid("the desired size is outside the limits"));
        }
        self.call(Operation::Change).await?;
        let group = {
            let mut world = self.world();
            let at = match world.group_at(&spec.node.region, &spec.name) {
                Ok(_) if world.flaw == Some(Flaw::RefusesTheSameGroup) => {
                    return Err(Error::new(Kind::Conflict, "the name is taken"));
                }
                Ok(at)
                    if world.groups[at].token == *token
                        || world.flaw == Some(Flaw::AdoptsForeignGroups) =>
                {
                    at
                }
                Ok(_) => return Err(Error::new(Kind::Conflict, "the name is taken")),
                Err(_) => {
                    world.groups.push(GroupState {
                        group: Group {
                            name: spec.name.clone(),
                            region: spec.node.region.clone(),
                            min: spec.min,
                            desired: spec.desired,
                            max: spec.max,
                            size: 0,
                        },
                        spec: spec.node.clone(),
                        token: token.clone(),
                    });
                    world.groups.len() - 1
                }
            };
            world.tend(at)?;
            world.groups[at].group.clone()
        };
        self.trip(Operation::Change, Point::After, REGIONS[0])?;
        Ok(group)
    }

    async fn list_groups(&self) -> Result<Vec<Group>> {
        self.call(Operation::Read).await?;
        let mut world = self.world();
        for at in 0..world.groups.len() {
            world.tend(at)?;
        }
        Ok(world.groups.iter().map(|g| g.group.clone()).collect())
    }

    async fn members(&self, region: &str, group: &str) -> Result<Vec<GroupMember>> {
        self.call(Operation::Read).await?;
        let mut world = self.world();
        let at = match world.group_at(region, group) {
            Err(_) if world.flaw == Some(Flaw::InventsGroups) => return Ok(Vec::new()),
            at => at?,
        };
        world.tend(at)?;
        let ids = world.members_of(group);
        Ok(world
            .nodes(&ids)
            .into_iter()
            .map(|node| GroupMember {
                node: node.id,
                state: node.state,
                healthy: Some(true),
            })
            .collect())
    }

    async fn grow(&self, region: &str, group: &str, desired: u32) -> Result<()> {
        self.call(Operation::Change).await?;
        let mut world = self.world();
        let at = world.group_at(region, group)?;
        let limits = &world.groups[at].group;
        if world.flaw == Some(Flaw::ForgetsToGrow) {
            return Ok(());
        }
        let shrinks = world.flaw == Some(Flaw::ShrinksByGrowing);
        if (desired < limits.desired && !shrinks) || desired > limits.max {
            return Err(invalid(format!("cannot grow to {desired}")));
        }
        world.groups[at].group.desired = desired;
        world.tend(at)
    }

    async fn remove_members(&self, region: &str, group: &str, nodes: &[NodeId]) -> Result<()> {
        self.call(Operation::Change).await?;
        let mut world = self.world();
        let at = world.group_at(region, group)?;
        let present = world.members_of(group);
        let leaving: Vec<&NodeId> = nodes.iter().filter(|id| present.contains(id)).collect();
        let number = u32::try_from(leaving.len()).unwrap_or(u32::MAX);
        let desired = world.groups[at].group.desired.saturating_sub(number);
        let limits = &world.groups[at].group;
        if desired < limits.min && world.flaw != Some(Flaw::IgnoresTheMinimum) {
            return Err(invalid("the group would fall below its minimum"));
        }
        if world.flaw != Some(Flaw::ReplacesRemovedMembers) {
            world.groups[at].group.desired = desired;
        }
        for id in leaving {
            world.start_removal(id);
        }
        world.tend(at)
    }

    async fn delete_group(&self, region: &str, group: &str) -> Result<()> {
        self.call(Operation::Change).await?;
        let mut world = self.world();
        let Ok(at) = world.group_at(region, group) else {
            return Ok(());
        };
        for id in world.members_of(group) {
            world.start_removal(&id);
        }
        world.groups.remove(at);
        Ok(())
    }
}
