//! How a group gets what it wants: it takes out what is dead, launches, and terminates.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::activity::Activity;
use super::group::{Choice, Group, Launch, Member, Place, Template};
use super::{schedule_look, schedule_look_after};
use crate::answer::Refusal;
use crate::catalog;
use crate::params::Params;
use crate::rest::elbv2;
use crate::world::World;
use crate::world::instance::Ending;
use crate::world::launch::Order;

/// A group that cannot get what it wants tries again after this many times the usual delay.
const RETRY: u32 = 10;

/// A group looks at what it has and what it wants.
pub(super) fn look(world: &mut World, region: &str, name: &str) {
    let key = (region.to_owned(), name.to_owned());
    let now = world.now;
    let Some(group) = world.rest.autoscaling.groups.get_mut(&key) else {
        return;
    };
    group.looks.retain(|at| *at > now);
    if group.is_ending {
        return;
    }
    replace_dead(world, &key);
    let Some(group) = world.rest.autoscaling.groups.get(&key) else {
        return;
    };
    let (units, desired) = (group.units(), group.desired);
    if units < desired && !group.suspended.contains("Launch") {
        let group = group.clone();
        Launching::new(world, key, group).run();
    } else if units > desired && !group.suspended.contains("Terminate") {
        scale_in(world, &key);
    }
}

/// Terminates a member that is marked as leaving already.
pub(super) fn end(world: &mut World, key: &(String, String), id: &str, ending: Ending) {
    let arns = world
        .rest
        .autoscaling
        .groups
        .get(key)
        .map(|group| group.target_groups.clone())
        .unwrap_or_default();
    for arn in arns {
        elbv2::deregister_instance(world, &arn, id);
    }
    if !is_alive(world, &key.0, id) {
        // It ended before, so nobody will say so again.
        let shutdown = world.config.shutdown_time;
        let event = super::Event::Gone(key.0.clone(), key.1.clone(), id.to_owned());
        world.schedule(shutdown, crate::rest::event(event));
        return;
    }
    world.end(&key.0, id, ending);
}

/// A member is gone.
pub(super) fn remove(world: &mut World, region: &str, name: &str, id: &str) {
    let key = (region.to_owned(), name.to_owned());
    let groups = &mut world.rest.autoscaling.groups;
    let Some(group) = groups.get_mut(&key) else {
        return;
    };
    group.members.remove(id);
    if group.is_ending {
        if group.members.is_empty() {
            groups.remove(&key);
        }
    } else {
        schedule_look(world, &key);
    }
}

/// Takes out members that somebody else terminated.
fn replace_dead(world: &mut World, key: &(String, String)) {
    let Some(group) = world.rest.autoscaling.groups.get(key) else {
        return;
    };
    let checks = ["HealthCheck", "ReplaceUnhealthy", "Terminate"];
    if checks.iter().any(|name| group.suspended.contains(*name)) {
        return;
    }
    let staying: Vec<(String, String)> = group
        .staying()
        .map(|(id, member)| (id.clone(), member.zone.clone()))
        .collect();
    let cause = "an instance was taken out of service in response to an EC2 health check \
                 indicating it has been terminated or stopped";
    for (id, zone) in staying {
        if !is_alive(world, &key.0, &id) {
            leave(world, key, &id, &zone, cause);
        }
    }
}

/// Terminates what is too much, unless it is protected: in the fullest zone first, the oldest first.
fn scale_in(world: &mut World, key: &(String, String)) {
    let Some(group) = world.rest.autoscaling.groups.get(key) else {
        return;
    };
    let mut excess = group.units().saturating_sub(group.desired);
    let mut crowds: BTreeMap<String, usize> = BTreeMap::new();
    // The oldest first: ids sort by age.
    let mut free: BTreeMap<String, VecDeque<(String, u32)>> = BTreeMap::new();
    for (id, member) in group.staying() {
        *crowds.entry(member.zone.clone()).or_default() += 1;
        if !member.is_protected {
            let zone = free.entry(member.zone.clone()).or_default();
            zone.push_back((id.clone(), member.weight));
        }
    }
    let has_protected = group.staying().any(|(_, member)| member.is_protected);
    while excess > 0 {
        let fullest = free
            .iter()
            .filter(|(_, members)| members.iter().any(|(_, weight)| *weight <= excess))
            .max_by_key(|(zone, _)| crowds.get(*zone).copied())
            .map(|(zone, _)| zone.clone());
        let Some(zone) = fullest else { break };
        let members = free.entry(zone.clone()).or_default();
        let fitting = members.iter().position(|(_, weight)| *weight <= excess);
        let Some((id, weight)) = fitting.and_then(|index| members.remove(index)) else {
            break;
        };
        excess -= weight;
        if let Some(crowd) = crowds.get_mut(&zone) {
            *crowd -= 1;
        }
        let cause = "an instance was taken out of service in response to a difference between \
                     desired and actual capacity";
        leave(world, key, &id, &zone, cause);
    }
    if excess > 0 && has_protected {
        let failure = "Could not scale to desired capacity because all remaining instances are \
                       protected from scale in.";
        let activity = Activity::new(
            world,
            "Terminating EC2 instance",
            "a difference between desired and actual capacity was found",
            "",
            Some(failure.to_owned()),
        );
        note(world, key, activity);
    }
}

/// Terminates a member and says why.
pub(super) fn leave(
    world: &mut World,
    key: &(String, String),
    id: &str,
    zone: &str,
    cause: &str,
) -> Activity {
    if let Some(group) = world.rest.autoscaling.groups.get_mut(key)
        && let Some(member) = group.members.get_mut(id)
    {
        member.is_leaving = true;
    }
    let description = format!("Terminating EC2 instance: {id}");
    let activity = Activity::new(world, description, cause, zone, None);
    note(world, key, activity.clone());
    end(world, key, id, Ending::Owner);
    activity
}

/// Notes an activity.
pub(super) fn note(world: &mut World, key: &(String, String), activity: Activity) {
    if let Some(group) = world.rest.autoscaling.groups.get_mut(key) {
        group.note(activity);
    }
}

fn is_alive(world: &World, region: &str, id: &str) -> bool {
    world
        .regions
        .get(region)
        .and_then(|region| region.instances.find(id))
        .is_some_and(|record| record.instance.state.is_alive())
}

/// One round of launching.
struct Launching<'a> {
    world: &'a mut World,
    key: (String, String),
    group: Group,
    /// How many staying members each zone has.
    zones: BTreeMap<String, usize>,
    /// Zones and types that were refused in this round, by whether spot was asked for.
    refused: BTreeSet<(String, String, bool)>,
}

impl<'a> Launching<'a> {
    fn new(world: &'a mut World, key: (String, String), group: Group) -> Self {
        let mut zones: BTreeMap<String, usize> = BTreeMap::new();
        for (_, member) in group.staying() {
            *zones.entry(member.zone.clone()).or_default() += 1;
        }
        Self {
            world,
            key,
            group,
            zones,
            refused: BTreeSet::new(),
        }
    }

    fn run(mut self) {
        let prepared = self
            .group
            .launch
            .template(self.world, &self.key.0)
            .and_then(|(template, data)| {
                let choices = self.group.launch.choices(&data)?;
                let order = Order::read(&data)?;
                Ok((template, data, choices, order))
            });
        let (template, data, choices, mut order) = match prepared {
            Ok(prepared) => prepared,
            Err(refusal) => {
                self.fail("", false, &refusal);
                self.retry();
                return;
            }
        };
        order.group = Some(self.key.1.clone());
        for (key, (value, propagates)) in &self.group.tags {
            if *propagates {
                order.tags.insert(key.clone(), value.clone());
            }
        }
        let is_spot_template = is_spot(&data);
        let (mut units, mut on_demand) = (self.group.units(), 0);
        for (_, member) in self.group.staying() {
            if !member.is_spot {
                on_demand += member.weight;
            }
        }
        while units < self.group.desired {
            let wanted = self.group.launch.on_demand_units(self.group.desired);
            let is_spot = is_spot_template || on_demand >= wanted;
            order.is_spot = is_spot;
            let Some(weight) = self.launch_one(&template, &choices, &mut order) else {
                self.retry();
                return;
            };
            units += weight;
            if !is_spot {
                on_demand += weight;
            }
        }
    }

    /// Launches one instance where there is one to be had, and gives its weight.
    fn launch_one(
        &mut self,
        template: &Template,
        choices: &[Choice],
        order: &mut Order,
    ) -> Option<u32> {
        let mut places = self.group.places.clone();
        places.sort_by_key(|place| self.zones.get(&place.zone).copied().unwrap_or(0));
        for choice in ordered(choices, &self.group.launch, order.is_spot, &places) {
            for place in &places {
                let pair = (place.zone.clone(), choice.kind.clone(), order.is_spot);
                if self.refused.contains(&pair) {
                    continue;
                }
                order.instance_type.clone_from(&choice.kind);
                order.zone = Some(place.zone.clone());
                order.subnet.clone_from(&place.subnet);
                let launched = self.world.launch(&self.key.0, order, 1, 1);
                match launched.map(|launched| launched.ids.into_iter().next()) {
                    Ok(Some(id)) => {
                        self.join(&id, template, choice, place, order.is_spot);
                        return Some(choice.weight);
                    }
                    Ok(None) => return None,
                    Err(refusal) => {
                        self.fail(&place.zone, order.is_spot, &refusal);
                        self.refused.insert(pair);
                    }
                }
            }
        }
        None
    }

    fn join(
        &mut self,
        id: &str,
        template: &Template,
        choice: &Choice,
        place: &Place,
        is_spot: bool,
    ) {
        *self.zones.entry(place.zone.clone()).or_default() += 1;
        let activity = Activity::new(
            self.world,
            format!("Launching a new EC2 instance: {id}"),
            "an instance was started in response to a difference between desired and actual \
             capacity, increasing the capacity",
            &place.zone,
            None,
        );
        let member = Member {
            kind: choice.kind.clone(),
            zone: place.zone.clone(),
            weight: choice.weight,
            is_weighted: choice.is_weighted,
            is_spot,
            is_protected: self.group.protects_new,
            is_leaving: false,
            template: template.clone(),
        };
        if let Some(group) = self.world.rest.autoscaling.groups.get_mut(&self.key) {
            group.members.insert(id.to_owned(), member);
            group.note(activity);
        }
        for arn in &self.group.target_groups {
            elbv2::register_instance(self.world, arn, id);
        }
    }

    fn fail(&mut self, zone: &str, is_spot: bool, refusal: &Refusal) {
        let mut message = refusal.message.clone();
        if self.group.launch.is_mixed {
            let what = if is_spot { "Spot" } else { "On-Demand" };
            message = format!(
                "Could not launch {what} Instances. {} - {message}",
                refusal.code
            );
        }
        let activity = Activity::new(
            self.world,
            "Launching a new EC2 instance",
            "an instance was started in response to a difference between desired and actual \
             capacity",
            zone,
            Some(format!("{message} Launching EC2 instance failed.")),
        );
        note(self.world, &self.key, activity);
    }

    fn retry(&mut self) {
        let delay = self.world.config.async_delay * RETRY;
        let delay = delay.max(std::time::Duration::from_millis(50));
        schedule_look_after(self.world, &self.key, delay);
    }
}

fn is_spot(data: &Params) -> bool {
    data.text("InstanceMarketOptions.MarketType") == Some("spot")
}

/// The types in the order in which the strategy tries them: by price for each unit where it says
/// price, as they were named otherwise.
fn ordered<'a>(
    choices: &'a [Choice],
    launch: &Launch,
    is_spot: bool,
    places: &[Place],
) -> Vec<&'a Choice> {
    let mut choices: Vec<&Choice> = choices.iter().collect();
    let strategy = launch.strategy(is_spot);
    if strategy.contains("price") {
        let zone = places.first().map_or("", |place| place.zone.as_str());
        choices.sort_by_key(|choice| {
            let price = catalog::instance_type(&choice.kind).map_or(u64::MAX, |kind| {
                if is_spot {
                    kind.spot_price(zone)
                } else {
                    kind.price
                }
            });
            price / u64::from(choice.weight)
        });
    }
    choices
}
