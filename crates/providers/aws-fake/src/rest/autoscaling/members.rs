//! What callers do to single members of a group.

use super::activity::Activity;
use super::group::Group;
use super::{capacity, invalid, key_of, reply, required, schedule_look};
use crate::answer::{Answer, Refusal};
use crate::request::Request;
use crate::rest::elbv2;
use crate::world::World;

/// `TerminateInstanceInAutoScalingGroup`, with or without lowering what is desired.
pub(super) fn terminate(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    required(params, "ShouldDecrementDesiredCapacity")?;
    let is_lowered = params.flag("ShouldDecrementDesiredCapacity");
    let mut ids = params.texts("InstanceIds.member");
    let is_batch = !ids.is_empty();
    if !is_batch {
        ids.push(required(params, "InstanceId")?.to_owned());
    }
    let key = group_of(world, &request.region, &ids)?;
    let group = group(world, &key)?;
    let weights: u32 = ids
        .iter()
        .filter_map(|id| group.members.get(id))
        .filter(|member| !member.is_leaving)
        .map(|member| member.weight)
        .sum();
    if is_lowered {
        if group.desired < group.min + weights {
            let (desired, min) = (group.desired, group.min);
            let how = if desired == min {
                "equals minSize"
            } else {
                "is too close to minSize"
            };
            return Err(invalid(format!(
                "Currently, desiredSize {how} ({min}). Terminating instance without replacement \
                 will violate group's min size constraint. Either set \
                 shouldDecrementDesiredCapacity flag to false or lower group's min size."
            )));
        }
        group.desired -= weights;
    }
    let mut activities = Vec::new();
    for id in &ids {
        let zone = group_zone(world, &key, id);
        let cause = "an instance was taken out of service in response to a user request";
        activities.push(capacity::leave(world, &key, id, &zone, cause));
    }
    schedule_look(world, &key);
    let request_id = world.request_id();
    Ok(reply(&request_id, request, |xml| {
        if is_batch {
            xml.list("Activities", "member", &activities, |xml, activity| {
                activity.write(xml, &key.1);
            });
        } else if let [activity] = activities.as_slice() {
            xml.within("Activity", |xml| activity.write(xml, &key.1));
        }
    }))
}

/// `DetachInstances`: they live on without the group.
pub(super) fn detach(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let key = key_of(world, request)?;
    required(&request.params, "ShouldDecrementDesiredCapacity")?;
    let is_lowered = request.params.flag("ShouldDecrementDesiredCapacity");
    let ids = request.params.texts("InstanceIds.member");
    let group = group(world, &key)?;
    check_members(group, &ids)?;
    let weights: u32 = ids
        .iter()
        .filter_map(|id| group.members.get(id))
        .map(|member| member.weight)
        .sum();
    if is_lowered {
        if group.desired < group.min + weights {
            return Err(invalid(format!(
                "AutoScalingGroup {} has min-size={}, max-size={}, and desired-size={}. To detach \
                 {} instance, please update the AutoScalingGroup sizes appropriately.",
                key.1,
                group.min,
                group.max,
                group.desired,
                ids.len()
            )));
        }
        group.desired -= weights;
    }
    let arns = group.target_groups.clone();
    let mut activities = Vec::new();
    for id in &ids {
        let zone = group_zone(world, &key, id);
        if let Some(group) = world.rest.autoscaling.groups.get_mut(&key) {
            group.members.remove(id);
        }
        if let Some(region) = world.regions.get_mut(&key.0) {
            region
                .instances
                .untag(id, "aws:autoscaling:groupName", None);
            if let Some(record) = region.instances.find_mut(id) {
                record.instance.group = None;
            }
        }
        for arn in &arns {
            elbv2::deregister_instance(world, arn, id);
        }
        let description = format!("Detaching EC2 instance: {id}");
        let cause = "an instance was detached in response to a user request";
        let activity = Activity::new(world, description, cause, &zone, None);
        capacity::note(world, &key, activity.clone());
        activities.push(activity);
    }
    schedule_look(world, &key);
    let request_id = world.request_id();
    Ok(reply(&request_id, request, |xml| {
        xml.list("Activities", "member", &activities, |xml, activity| {
            activity.write(xml, &key.1);
        });
    }))
}

/// `SetInstanceProtection`.
pub(super) fn protect(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let key = key_of(world, request)?;
    required(&request.params, "ProtectedFromScaleIn")?;
    let is_protected = request.params.flag("ProtectedFromScaleIn");
    let ids = request.params.texts("InstanceIds.member");
    let group = group(world, &key)?;
    check_members(group, &ids)?;
    for id in &ids {
        if let Some(member) = group.members.get_mut(id) {
            member.is_protected = is_protected;
        }
    }
    schedule_look(world, &key);
    let request_id = world.request_id();
    Ok(reply(&request_id, request, |_| {}))
}

fn check_members(group: &Group, ids: &[String]) -> Result<(), Refusal> {
    match ids.iter().find(|id| !group.members.contains_key(*id)) {
        None => Ok(()),
        Some(id) => Err(invalid(format!(
            "The instance {id} is not part of Auto Scaling group {}.",
            group.name
        ))),
    }
}

/// The one group that all of these instances are in.
fn group_of(world: &World, region: &str, ids: &[String]) -> Result<(String, String), Refusal> {
    let not_managed = |id: &str| {
        invalid(format!(
            "Instance Id not found - No managed instance found for instance ID {id}"
        ))
    };
    let mut found: Option<(String, String)> = None;
    for id in ids {
        let (key, _) = world
            .rest
            .autoscaling
            .groups
            .iter()
            .find(|((of, _), group)| of == region && group.members.contains_key(id))
            .ok_or_else(|| not_managed(id))?;
        if found.as_ref().is_some_and(|other| other != key) {
            return Err(invalid("All instances must belong to the same group."));
        }
        found = Some(key.clone());
    }
    found.ok_or_else(|| not_managed(""))
}

fn group<'a>(world: &'a mut World, key: &(String, String)) -> Result<&'a mut Group, Refusal> {
    world
        .rest
        .autoscaling
        .groups
        .get_mut(key)
        .ok_or_else(|| super::not_found(&key.1))
}

fn group_zone(world: &World, key: &(String, String), id: &str) -> String {
    world
        .rest
        .autoscaling
        .groups
        .get(key)
        .and_then(|group| group.members.get(id))
        .map(|member| member.zone.clone())
        .unwrap_or_default()
}
