//! Auto Scaling groups as groups: listed, grown, shrunk by name, removed.
//! <https://docs.aws.amazon.com/autoscaling/ec2/APIReference/Welcome.html>

use async_trait::async_trait;
use aws_sdk_autoscaling::types::{AutoScalingGroup, LifecycleState};
use fleetwright_core::ability::{Group, GroupMember, GroupSpec};
use fleetwright_core::{CreateRequest, Error, Groups, Kind, NodeId, NodeState, Result, Token};
use futures::future::try_join_all;

use crate::api::RegionApi;
use crate::error::At;
use crate::launch::GroupPlan;
use crate::provider::AwsProvider;

#[async_trait]
impl Groups for AwsProvider {
    async fn create_group(&self, spec: &GroupSpec, token: &Token) -> Result<Group> {
        if spec.min > spec.desired || spec.desired > spec.max {
            return Err(Error::new(
                Kind::Invalid,
                format!(
                    "{} machines are not between {} and {}",
                    spec.desired, spec.min, spec.max
                ),
            ));
        }
        let mut request = CreateRequest {
            count: spec.desired,
            spec: spec.node.clone(),
            token: token.clone(),
            replay: false,
            host_key: None,
        };
        // The members carry the token of the group, whatever made the spec.
        let claim = fleetwright_core::keys::CLAIM.to_owned();
        request.spec.labels.insert(claim, token.to_string());
        let api = self.api().region(&spec.node.region).await?;
        let wish = self.wish(api, &request).await?;
        // A group of an unknown type would be made, and never have a machine.
        self.architecture(api, &spec.node.instance_type).await?;
        let plan = GroupPlan {
            name: &spec.name,
            min: spec.min,
            desired: spec.desired,
            max: spec.max,
        };
        self.make_group(api, &wish, &plan).await?;
        let made = self.describe_group(api, &spec.name).await?;
        made.map_or_else(
            || Err(unknown(&spec.name, &api.region)),
            |group| read(&api.region, &group),
        )
    }

    async fn list_groups(&self) -> Result<Vec<Group>> {
        let regions = self.config().regions.iter();
        let pages = try_join_all(regions.map(|region| self.groups_of(region))).await?;
        Ok(pages.into_iter().flatten().collect())
    }

    async fn members(&self, region: &str, group: &str) -> Result<Vec<GroupMember>> {
        let (_, group) = self.group_named(region, group).await?;
        let at = At::new("DescribeAutoScalingGroups", region);
        group
            .instances()
            .iter()
            .map(|member| {
                let native = member
                    .instance_id()
                    .ok_or_else(|| at.lacking("instance id"))?;
                let state = member
                    .lifecycle_state()
                    .ok_or_else(|| at.lacking("lifecycle state"))?;
                Ok(GroupMember {
                    node: NodeId::new(self.name(), region, native)?,
                    state: member_state(state),
                    healthy: member.health_status().map(|health| health == "Healthy"),
                })
            })
            .collect()
    }

    async fn grow(&self, region: &str, group: &str, desired: u32) -> Result<()> {
        let (api, known) = self.group_named(region, group).await?;
        let known = read(region, &known)?;
        if desired < known.desired {
            return Err(Error::new(
                Kind::Invalid,
                format!(
                    "group `{group}` has {} machines, {desired} are fewer",
                    known.desired
                ),
            )
            .with_hint("to shrink it, remove members by id"));
        }
        if desired > known.max {
            return Err(Error::new(
                Kind::Invalid,
                format!(
                    "group `{group}` may have {} machines, {desired} are more",
                    known.max
                ),
            ));
        }
        let at = At::new("SetDesiredCapacity", region);
        api.autoscaling
            .set_desired_capacity()
            .auto_scaling_group_name(group)
            .desired_capacity(i32::try_from(desired).unwrap_or(i32::MAX))
            .honor_cooldown(false)
            .send()
            .await
            .map(drop)
            .map_err(|error| at.error(error))
    }

    async fn remove_members(&self, region: &str, group: &str, nodes: &[NodeId]) -> Result<()> {
        let (api, known) = self.group_named(region, group).await?;
        for node in nodes {
            self.own(node)?;
        }
        let present: Vec<&NodeId> = nodes
            .iter()
            .filter(|node| {
                known.instances().iter().any(|member| {
                    member.instance_id() == Some(node.native())
                        && member
                            .lifecycle_state()
                            .is_none_or(|state| !member_state(state).is_leaving())
                })
            })
            .collect();
        let known = read(region, &known)?;
        let fewer = u32::try_from(present.len()).unwrap_or(u32::MAX);
        if known.desired.saturating_sub(fewer) < known.min {
            return Err(Error::new(
                Kind::Invalid,
                format!(
                    "group `{group}` has {} machines and needs {}: {fewer} fewer are too few",
                    known.desired, known.min
                ),
            ));
        }
        for node in present {
            self.terminate_in_group(api, group, node.native()).await?;
        }
        Ok(())
    }

    async fn delete_group(&self, region: &str, group: &str) -> Result<()> {
        let api = self.api().region(region).await?;
        self.remove_group(api, group).await
    }
}

impl AwsProvider {
    async fn group_named(
        &self,
        region: &str,
        group: &str,
    ) -> Result<(&RegionApi, AutoScalingGroup)> {
        let api = self.api().region(region).await?;
        let known = self.describe_group(api, group).await?;
        known
            .map(|known| (api, known))
            .ok_or_else(|| unknown(group, region))
    }

    /// All groups of a region, over all pages.
    async fn groups_of(&self, region: &str) -> Result<Vec<Group>> {
        let api = self.api().region(region).await?;
        let at = At::new("DescribeAutoScalingGroups", region);
        let mut groups = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let page = api
                .autoscaling
                .describe_auto_scaling_groups()
                .max_records(100)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| at.error(error))?;
            for group in page.auto_scaling_groups() {
                groups.push(read(region, group)?);
            }
            next = page
                .next_token()
                .filter(|t| !t.is_empty())
                .map(str::to_owned);
            if next.is_none() {
                return Ok(groups);
            }
        }
    }

    /// Takes members out of a group without ending them, and lowers its size by their number.
    ///
    /// # Errors
    /// `Invalid` if the size would fall below the minimum.
    pub async fn detach_members(&self, region: &str, group: &str, nodes: &[NodeId]) -> Result<()> {
        let (api, _) = self.group_named(region, group).await?;
        let at = At::new("DetachInstances", region);
        api.autoscaling
            .detach_instances()
            .auto_scaling_group_name(group)
            .set_instance_ids(Some(natives(nodes)))
            .should_decrement_desired_capacity(true)
            .send()
            .await
            .map(drop)
            .map_err(|error| at.error(error))
    }

    /// Says whether the group may end these members when it is made smaller.
    ///
    /// # Errors
    /// `NotFound` if there is no such group.
    pub async fn protect_members(
        &self,
        region: &str,
        group: &str,
        nodes: &[NodeId],
        protected: bool,
    ) -> Result<()> {
        let (api, _) = self.group_named(region, group).await?;
        let at = At::new("SetInstanceProtection", region);
        api.autoscaling
            .set_instance_protection()
            .auto_scaling_group_name(group)
            .set_instance_ids(Some(natives(nodes)))
            .protected_from_scale_in(protected)
            .send()
            .await
            .map(drop)
            .map_err(|error| at.error(error))
    }
}

fn natives(nodes: &[NodeId]) -> Vec<String> {
    nodes.iter().map(|node| node.native().to_owned()).collect()
}

fn unknown(group: &str, region: &str) -> Error {
    Error::new(Kind::NotFound, format!("there is no group `{group}`"))
        .with_context("region", region)
}

fn read(region: &str, group: &AutoScalingGroup) -> Result<Group> {
    let at = At::new("DescribeAutoScalingGroups", region);
    let size = |what: &'static str, value: Option<i32>| {
        value
            .and_then(|value| u32::try_from(value).ok())
            .ok_or_else(|| at.lacking(what))
    };
    Ok(Group {
        name: group
            .auto_scaling_group_name()
            .ok_or_else(|| at.lacking("group name"))?
            .to_owned(),
        region: region.to_owned(),
        min: size("minimum size", group.min_size())?,
        desired: size("desired capacity", group.desired_capacity())?,
        max: size("maximum size", group.max_size())?,
        size: u32::try_from(group.instances().len()).unwrap_or(u32::MAX),
    })
}

/// <https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html>
fn member_state(state: &LifecycleState) -> NodeState {
    let word = state.as_str();
    match word {
        "InService" | "EnteringStandby" | "Standby" => NodeState::Running,
        _ if word.starts_with("Pending") => NodeState::Pending,
        "Terminated" => NodeState::Deleted,
        _ if word.starts_with("Terminat") => NodeState::Deleting,
        "Detaching" | "Detached" => NodeState::Deleting,
        other => NodeState::Unknown(other.to_owned()),
    }
}
