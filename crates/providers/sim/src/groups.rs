//! Groups: the cloud keeps them at their size; see `world::advance` for how.

use std::collections::BTreeSet;

use async_trait::async_trait;
use fleetwright_core::ability::{Group, GroupMember, GroupSpec};
use fleetwright_core::{Groups, NodeId, NodeState, Operation, Result, Token};

use crate::error;
use crate::provider::{SimProvider, end, find};
use crate::world::machine::{self, Batch, Machine, Why};
use crate::world::state::{Change, GroupState, State};
use crate::world::{Step, fill};

#[async_trait]
impl Groups for SimProvider {
    async fn create_group(&self, spec: &GroupSpec, token: &Token) -> Result<Group> {
        if spec.name.is_empty() {
            return Err(error::invalid("a group needs a name"));
        }
        if spec.min > spec.desired || spec.desired > spec.max {
            return Err(error::invalid(format!(
                "sizes {} <= {} <= {} of group `{}` do not hold",
                spec.min, spec.desired, spec.max, spec.name
            ))
            .with_hint("they are read as `min <= desired <= max`"));
        }
        let mut template = self.template(&spec.node, token)?;
        template.group = Some(spec.name.clone());
        let region = spec.node.region.as_str();
        self.ask(Operation::Change, Some(region), |step| {
            let key = GroupState::key(region, &spec.name);
            if let Some(present) = step.state().groups.get(&key) {
                if present.token != token.as_str() {
                    return Err(error::conflict(format!(
                        "there is a group `{}` in `{region}` already",
                        spec.name
                    )));
                }
                return Ok(seen(step, present));
            }
            let group = GroupState {
                name: spec.name.clone(),
                region: region.to_owned(),
                min: spec.min,
                desired: spec.desired,
                max: spec.max,
                token: token.as_str().to_owned(),
                template,
            };
            step.change(Change::Group(Box::new(group.clone())));
            fill(step, group, spec.desired);
            found(step, region, &spec.name).map(|group| seen(step, group))
        })
        .await
    }

    async fn list_groups(&self) -> Result<Vec<Group>> {
        self.ask(Operation::Read, None, |step| {
            let ours = |group: &&GroupState| step.config().region(&group.region).is_some();
            Ok(step
                .state()
                .groups
                .values()
                .filter(ours)
                .map(|group| seen(step, group))
                .collect())
        })
        .await
    }

    async fn members(&self, region: &str, group: &str) -> Result<Vec<GroupMember>> {
        self.region(region)?;
        self.ask(Operation::Read, Some(region), |step| {
            found(step, region, group)?;
            let now = step.now();
            members(step.state(), region, group)
                .filter(|(_, machine, _)| !machine.is_gone(now))
                .map(|(number, machine, batch)| {
                    let state = machine.state(batch, now);
                    Ok(GroupMember {
                        node: NodeId::new(step.provider(), region, &machine::native(number))?,
                        healthy: match state {
                            NodeState::Pending => None,
                            NodeState::Running => Some(true),
                            _ => Some(false),
                        },
                        state,
                    })
                })
                .collect()
        })
        .await
    }

    async fn grow(&self, region: &str, group: &str, desired: u32) -> Result<()> {
        self.region(region)?;
        self.ask(Operation::Change, Some(region), |step| {
            let present = found(step, region, group)?.clone();
            if desired < present.desired || desired > present.max {
                return Err(error::invalid(format!(
                    "group `{group}` cannot grow from {} to {desired}, at most to {}",
                    present.desired, present.max
                ))
                .with_hint("to shrink a group, remove members by their ids"));
            }
            let more = desired - present.desired;
            if more == 0 {
                return Ok(());
            }
            let grown = GroupState { desired, ..present };
            step.change(Change::Group(Box::new(grown.clone())));
            fill(step, grown, more);
            Ok(())
        })
        .await
    }

    async fn remove_members(&self, region: &str, group: &str, nodes: &[NodeId]) -> Result<()> {
        self.region(region)?;
        for node in nodes {
            self.own(node)?;
        }
        self.ask(Operation::Change, Some(region), |step| {
            let present = found(step, region, group)?.clone();
            let leaving = leaving(step, region, group, nodes)?;
            let count = u32::try_from(leaving.len()).unwrap_or(u32::MAX);
            match present.desired.checked_sub(count) {
                Some(desired) if desired >= present.min => {
                    if count > 0 {
                        let smaller = GroupState { desired, ..present };
                        step.change(Change::Group(Box::new(smaller)));
                    }
                    for number in leaving {
                        end(step, number, Why::Removed);
                    }
                    Ok(())
                }
                _ => Err(error::invalid(format!(
                    "without {count} members group `{group}` would fall below its minimum of {}",
                    present.min
                ))),
            }
        })
        .await
    }

    async fn delete_group(&self, region: &str, group: &str) -> Result<()> {
        self.region(region)?;
        self.ask(Operation::Change, Some(region), |step| {
            let key = GroupState::key(region, group);
            if !step.state().groups.contains_key(&key) {
                return Ok(());
            }
            let now = step.now();
            let staying: Vec<u64> = members(step.state(), region, group)
                .filter(|(_, machine, _)| machine.is_staying(now))
                .map(|(number, ..)| number)
                .collect();
            for number in staying {
                end(step, number, Why::Removed);
            }
            step.change(Change::Ungrouped { key });
            Ok(())
        })
        .await
    }
}

fn found<'a>(step: &'a Step<'_>, region: &str, group: &str) -> Result<&'a GroupState> {
    step.state()
        .groups
        .get(&GroupState::key(region, group))
        .ok_or_else(|| error::not_found(format!("there is no group `{group}` in `{region}`")))
}

/// Everything that ever was a member of a group of that name.
fn members<'a>(
    state: &'a State,
    region: &'a str,
    group: &'a str,
) -> impl Iterator<Item = (u64, &'a Machine, &'a Batch)> {
    state.machines_after(0).filter(move |(_, _, batch)| {
        batch.region == region && batch.group.as_deref() == Some(group)
    })
}

/// The given nodes that are still members, each once. Those that are gone do not count.
fn leaving(step: &Step<'_>, region: &str, group: &str, nodes: &[NodeId]) -> Result<BTreeSet<u64>> {
    let mut leaving = BTreeSet::new();
    for node in nodes {
        let Some((number, machine, batch)) = find(step.state(), node) else {
            continue;
        };
        if batch.group.as_deref() != Some(group) || batch.region != region {
            return Err(error::invalid(format!(
                "node `{node}` is not a member of group `{group}`"
            )));
        }
        if machine.is_staying(step.now()) {
            leaving.insert(number);
        }
    }
    Ok(leaving)
}

/// The group as it is reported.
fn seen(step: &Step<'_>, group: &GroupState) -> Group {
    let now = step.now();
    let size = members(step.state(), &group.region, &group.name)
        .filter(|(_, machine, _)| !machine.is_gone(now))
        .count();
    Group {
        name: group.name.clone(),
        region: group.region.clone(),
        min: group.min,
        desired: group.desired,
        max: group.max,
        size: u32::try_from(size).unwrap_or(u32::MAX),
    }
}
