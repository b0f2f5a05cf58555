//! Creating, changing and deleting groups.

use std::collections::{BTreeMap, BTreeSet};

use super::group::{Group, Launch, read_places};
use super::{done, invalid, key_of, number, required, schedule_look, tags};
use crate::answer::{Answer, Refusal};
use crate::request::Request;
use crate::rest::elbv2;
use crate::world::World;
use crate::world::instance::Ending;

/// The processes that can be suspended.
const PROCESSES: [&str; 9] = [
    "Launch",
    "Terminate",
    "AddToLoadBalancer",
    "AlarmNotification",
    "AZRebalance",
    "HealthCheck",
    "InstanceRefresh",
    "ReplaceUnhealthy",
    "ScheduledActions",
];

/// `CreateAutoScalingGroup`.
pub(super) fn create(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let name = required(params, "AutoScalingGroupName")?.to_owned();
    let key = (request.region.clone(), name.clone());
    if let Some(old) = world.rest.autoscaling.groups.get(&key) {
        let how = if old.is_ending {
            " and is pending delete"
        } else {
            ""
        };
        return Err(Refusal::bad(
            "AlreadyExists",
            format!(
                "AutoScalingGroup by this name already exists - A group with the name {name} \
                 already exists{how}"
            ),
        ));
    }
    let launch = Launch::read(world, &request.region, params)?.ok_or_else(|| {
        invalid(
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, \
             InstanceId or MixedInstancesPolicy parameter.",
        )
    })?;
    let (places, subnets) = read_places(world, &request.region, params)?
        .filter(|(places, _)| !places.is_empty())
        .ok_or_else(|| invalid("At least one Availability Zone or VPC Subnet is required."))?;
    let target_groups = params.texts("TargetGroupARNs.member");
    for arn in &target_groups {
        elbv2::require(world, &request.region, arn)?;
    }
    required(params, "MinSize")?;
    required(params, "MaxSize")?;
    let min = number(params, "MinSize")?.unwrap_or(0);
    let max = number(params, "MaxSize")?.unwrap_or(0);
    let id = world.new_uuid("");
    let (region, account) = (&request.region, &world.config.account);
    let arn = format!(
        "arn:aws:autoscaling:{region}:{account}:autoScalingGroup:{id}:autoScalingGroupName/{name}"
    );
    let group = Group {
        name,
        arn,
        min,
        max,
        desired: number(params, "DesiredCapacity")?.unwrap_or(min),
        cooldown: number(params, "DefaultCooldown")?.unwrap_or(300),
        grace: number(params, "HealthCheckGracePeriod")?.unwrap_or(0),
        health_check: params.owned("HealthCheckType").unwrap_or("EC2".to_owned()),
        places,
        subnets,
        launch,
        tags: tags::read(params)?,
        target_groups,
        protects_new: params.flag("NewInstancesProtectedFromScaleIn"),
        suspended: BTreeSet::new(),
        created: world.timestamp(),
        is_ending: false,
        members: BTreeMap::new(),
        activities: Vec::new(),
        looks: BTreeSet::new(),
    };
    group.check_sizes()?;
    world.rest.autoscaling.groups.insert(key.clone(), group);
    schedule_look(world, &key);
    Ok(done(world, request))
}

/// `UpdateAutoScalingGroup`: what is not said stays.
pub(super) fn update(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let key = key_of(world, request)?;
    let launch = Launch::read(world, &request.region, params)?;
    let places = read_places(world, &request.region, params)?;
    let group = group_mut(world, &key)?;
    let mut changed = group.clone();
    changed.min = number(params, "MinSize")?.unwrap_or(changed.min);
    changed.max = number(params, "MaxSize")?.unwrap_or(changed.max);
    match number(params, "DesiredCapacity")? {
        Some(desired) => changed.desired = desired,
        // New limits move what was desired.
        None if changed.min <= changed.max => {
            changed.desired = changed.desired.clamp(changed.min, changed.max);
        }
        None => {}
    }
    changed.check_sizes()?;
    changed.cooldown = number(params, "DefaultCooldown")?.unwrap_or(changed.cooldown);
    changed.grace = number(params, "HealthCheckGracePeriod")?.unwrap_or(changed.grace);
    if let Some(health_check) = params.owned("HealthCheckType") {
        changed.health_check = health_check;
    }
    if params.text("NewInstancesProtectedFromScaleIn").is_some() {
        changed.protects_new = params.flag("NewInstancesProtectedFromScaleIn");
    }
    if let Some(launch) = launch {
        changed.launch = launch;
    }
    if let Some((places, subnets)) = places {
        (changed.places, changed.subnets) = (places, subnets);
    }
    *group = changed;
    schedule_look(world, &key);
    Ok(done(world, request))
}

/// `SetDesiredCapacity`.
pub(super) fn set_desired(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let key = key_of(world, request)?;
    required(&request.params, "DesiredCapacity")?;
    let desired = number(&request.params, "DesiredCapacity")?.unwrap_or(0);
    let group = group_mut(world, &key)?;
    let bound = if desired > group.max {
        Some(format!("above max value {}", group.max))
    } else if desired < group.min {
        Some(format!("below min value {}", group.min))
    } else {
        None
    };
    if let Some(bound) = bound {
        return Err(invalid(format!(
            "New SetDesiredCapacity value {desired} is {bound} for the AutoScalingGroup."
        )));
    }
    group.desired = desired;
    schedule_look(world, &key);
    Ok(done(world, request))
}

/// `DeleteAutoScalingGroup`.
pub(super) fn delete(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let key = key_of(world, request)?;
    let Some(group) = world.rest.autoscaling.groups.get_mut(&key) else {
        return Err(super::not_found(&key.1));
    };
    let ids: Vec<String> = group.staying().map(|(id, _)| id.clone()).collect();
    if request.params.flag("ForceDelete") {
        group.is_ending = true;
        for member in group.members.values_mut() {
            member.is_leaving = true;
        }
        if group.members.is_empty() {
            world.rest.autoscaling.groups.remove(&key);
        }
        for id in ids {
            super::capacity::end(world, &key, &id, Ending::Owner);
        }
        return Ok(done(world, request));
    }
    if !ids.is_empty() {
        return Err(Refusal::bad(
            "ResourceInUse",
            "You cannot delete an AutoScalingGroup while there are instances or pending Spot \
             instance request(s) still in the group.",
        ));
    }
    let is_launching = group.desired > 0 && !group.suspended.contains("Launch");
    if !group.members.is_empty() || is_launching {
        return Err(Refusal::bad(
            "ScalingActivityInProgress",
            "You cannot delete an AutoScalingGroup while there are scaling activities in progress \
             for that group.",
        ));
    }
    world.rest.autoscaling.groups.remove(&key);
    Ok(done(world, request))
}

/// `SuspendProcesses`: all if none is named.
pub(super) fn suspend(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let key = key_of(world, request)?;
    let processes = processes(request)?;
    group_mut(world, &key)?.suspended.extend(processes);
    Ok(done(world, request))
}

/// `ResumeProcesses`: all if none is named.
pub(super) fn resume(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let key = key_of(world, request)?;
    let processes = processes(request)?;
    let group = group_mut(world, &key)?;
    group.suspended.retain(|name| !processes.contains(name));
    schedule_look(world, &key);
    Ok(done(world, request))
}

fn processes(request: &Request) -> Result<Vec<String>, Refusal> {
    let named = request.params.texts("ScalingProcesses.member");
    if let Some(unknown) = named
        .iter()
        .find(|name| !PROCESSES.contains(&name.as_str()))
    {
        return Err(invalid(format!("Invalid scaling process name: {unknown}")));
    }
    if named.is_empty() {
        return Ok(PROCESSES.iter().map(ToString::to_string).collect());
    }
    Ok(named)
}

/// A group to change. One that is being deleted cannot be changed.
fn group_mut<'a>(world: &'a mut World, key: &(String, String)) -> Result<&'a mut Group, Refusal> {
    match world.rest.autoscaling.groups.get_mut(key) {
        Some(group) if group.is_ending => Err(invalid(format!(
            "AutoScalingGroup '{}' is pending delete",
            key.1
        ))),
        Some(group) => Ok(group),
        None => Err(super::not_found(&key.1)),
    }
}
