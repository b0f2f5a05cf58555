//! Auto Scaling: groups that launch, replace and terminate instances by themselves.
//!
//! A group is looked at some time after every change (`async_delay`): it takes out what is not
//! alive any more, and launches or terminates until it has what it wants.

mod activity;
mod capacity;
mod describe;
mod edit;
mod group;
mod members;
mod tags;

use std::collections::BTreeMap;

use crate::answer::{Answer, Refusal};
use crate::params::Params;
use crate::request::Request;
use crate::world::World;
use crate::world::instance::Ending;
use crate::xml::Xml;
use group::Group;

const NAMESPACE: &str = "http://autoscaling.amazonaws.com/doc/2011-01-01/";

/// The groups, by region and name.
#[derive(Debug, Default)]
pub(crate) struct State {
    groups: BTreeMap<(String, String), Group>,
}

/// What is due in a group.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A group looks at what it has and what it wants: region and name.
    Look(String, String),
    /// A member is gone: region, name of the group, id of the instance.
    Gone(String, String, String),
}

/// The answer of Auto Scaling.
pub(crate) fn answer(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    world.region(&request.region)?;
    match request.action.as_str() {
        "CreateAutoScalingGroup" => edit::create(world, request),
        "UpdateAutoScalingGroup" => edit::update(world, request),
        "SetDesiredCapacity" => edit::set_desired(world, request),
        "DeleteAutoScalingGroup" => edit::delete(world, request),
        "SuspendProcesses" => edit::suspend(world, request),
        "ResumeProcesses" => edit::resume(world, request),
        "CreateOrUpdateTags" => tags::put(world, request),
        "DeleteTags" => tags::delete(world, request),
        "DescribeAutoScalingGroups" => describe::groups(world, request),
        "DescribeAutoScalingInstances" => describe::instances(world, request),
        "DescribeScalingActivities" => activity::describe(world, request),
        "TerminateInstanceInAutoScalingGroup" => members::terminate(world, request),
        "DetachInstances" => members::detach(world, request),
        "SetInstanceProtection" => members::protect(world, request),
        action => Err(Refusal::bad(
            "InvalidAction",
            format!("Could not find operation {action} for version 2011-01-01"),
        )),
    }
}

/// Something has become due.
pub(crate) fn due(world: &mut World, event: Event) {
    match event {
        Event::Look(region, name) => capacity::look(world, &region, &name),
        Event::Gone(region, name, id) => capacity::remove(world, &region, &name, &id),
    }
}

/// An instance began to shut down.
pub(crate) fn instance_ended(world: &mut World, region: &str, id: &str, _ending: Ending) {
    let name = world
        .regions
        .get(region)
        .and_then(|region| region.instances.find_any(id)?.instance.group.clone());
    let Some(name) = name else { return };
    let key = (region.to_owned(), name);
    let Some(member) = world
        .rest
        .autoscaling
        .groups
        .get(&key)
        .and_then(|group| group.members.get(id))
    else {
        return;
    };
    if member.is_leaving {
        let shutdown = world.config.shutdown_time;
        let event = Event::Gone(key.0, key.1, id.to_owned());
        world.schedule(shutdown, super::event(event));
    } else {
        schedule_look(world, &key);
    }
}

/// What somebody would still pay for or trip over, in words.
pub(crate) fn leftovers(world: &World) -> Vec<String> {
    world
        .rest
        .autoscaling
        .groups
        .keys()
        .map(|(region, name)| format!("Auto Scaling group `{name}` in {region}"))
        .collect()
}

/// Has a group looked at after the usual delay, once, however often it is asked for until then.
fn schedule_look(world: &mut World, key: &(String, String)) {
    let delay = world.config.async_delay;
    schedule_look_after(world, key, delay);
}

fn schedule_look_after(world: &mut World, key: &(String, String), delay: std::time::Duration) {
    let at = world.now + delay;
    if let Some(group) = world.rest.autoscaling.groups.get_mut(key)
        && group.looks.insert(at)
    {
        let event = Event::Look(key.0.clone(), key.1.clone());
        world.schedule(delay, super::event(event));
    }
}

/// The key of the group that a request is about, if the group exists.
fn key_of(world: &World, request: &Request) -> Result<(String, String), Refusal> {
    let name = required(&request.params, "AutoScalingGroupName")?;
    let key = (request.region.clone(), name.to_owned());
    if world.rest.autoscaling.groups.contains_key(&key) {
        Ok(key)
    } else {
        Err(not_found(name))
    }
}

fn not_found(name: &str) -> Refusal {
    invalid(format!(
        "AutoScalingGroup name not found - AutoScalingGroup '{name}' not found"
    ))
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::bad("ValidationError", message)
}

/// A parameter that must be there, in Auto Scaling's words.
fn required<'a>(params: &'a Params, name: &str) -> Result<&'a str, Refusal> {
    params.text(name).ok_or_else(|| {
        let mut low = name.to_owned();
        low[..1].make_ascii_lowercase();
        invalid(format!(
            "1 validation error detected: Value null at '{low}' failed to satisfy constraint: \
             Member must not be null"
        ))
    })
}

/// A number that may be absent, in Auto Scaling's words.
fn number(params: &Params, name: &str) -> Result<Option<u32>, Refusal> {
    params
        .number(name)
        .map_err(|refusal| invalid(refusal.message))
}

fn reply(id: &str, request: &Request, inner: impl FnOnce(&mut Xml)) -> Answer {
    super::query::reply(id, NAMESPACE, &request.action, inner)
}

fn done(world: &mut World, request: &Request) -> Answer {
    let id = world.request_id();
    super::query::done(&id, NAMESPACE, &request.action)
}
