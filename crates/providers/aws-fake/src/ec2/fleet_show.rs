//! DescribeFleets, DescribeFleetInstances and DescribeFleetHistory.

use super::filters::{Filters, Page, tag_values, write_tags};
use super::fleet::{no_fleet, phase_name};
use super::pool::{Choice, Family, Happened, Kind, Member, Phase, Pool};
use super::reply;
use super::show::{moment, spot_request};
use crate::answer::{Answer, Refusal};
use crate::request::Request;
use crate::world::World;
use crate::world::instance::Lifecycle;
use crate::xml::Xml;

pub(super) fn describe(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let request_id = world.request_id();
    let page = Page::read(params, (1, 1000), world.config.page_size)?;
    let filters = Filters::read(params)?;
    let ids = params.texts("FleetId");
    let region = world.region(&request.region)?;
    for id in &ids {
        if !region.ec2.fleets.contains_key(id) {
            return Err(no_fleet(id));
        }
    }
    let mut found = Vec::new();
    for pool in region.ec2.fleets.values() {
        // Instant fleets are only shown to those who name them.
        let is_named = if ids.is_empty() {
            pool.kind != Kind::Instant
        } else {
            ids.contains(&pool.id)
        };
        let is_hit = filters.pass(&|name| match name {
            "fleet-state" => Some(vec![phase_name(pool.phase)]),
            "type" => Some(vec![kind_name(pool.kind)]),
            "activity-status" => Some(vec![activity(world, &request.region, pool)]),
            "excess-capacity-termination-policy" => Some(vec![excess(pool)]),
            _ => tag_values(name, &pool.tags),
        })?;
        if is_named && is_hit {
            found.push(pool);
        }
    }
    let (found, next) = page.cut(found, |pool| pool.id.clone());
    Ok(reply(&request_id, "DescribeFleets", |xml| {
        xml.items("fleetSet", found, |xml, pool| {
            write_fleet(xml, world, &request.region, pool);
        });
        xml.optional("nextToken", next);
    }))
}

fn write_fleet(xml: &mut Xml, world: &World, region: &str, pool: &Pool) {
    let params = &pool.params;
    xml.text("activityStatus", activity(world, region, pool));
    xml.text("createTime", moment(pool.created));
    xml.text("fleetId", &pool.id);
    xml.text("fleetState", phase_name(pool.phase));
    xml.optional("clientToken", params.text("ClientToken"));
    xml.text("excessCapacityTerminationPolicy", excess(pool));
    xml.text("fulfilledCapacity", world.fulfilled(region, pool, None));
    let on_demand = world.fulfilled(region, pool, Some(Lifecycle::OnDemand));
    xml.text("fulfilledOnDemandCapacity", on_demand);
    let configs = params.list("LaunchTemplateConfigs");
    xml.items("launchTemplateConfigs", configs, |xml, config| {
        let spec = config.group_or_empty("LaunchTemplateSpecification");
        let template = pool.choices.iter().find_map(|choice| {
            let template = choice.template.as_ref()?;
            let is_it = spec.text("LaunchTemplateId") == Some(template.id.as_str())
                || spec.text("LaunchTemplateName") == Some(template.name.as_str());
            is_it.then_some(choice)
        });
        if let Some(choice) = template {
            write_template(xml, choice);
        }
        xml.items("overrides", config.list("Overrides"), write_override);
    });
    xml.within("targetCapacitySpecification", |xml| {
        let target = pool.target;
        xml.text("totalTargetCapacity", target.on_demand + target.spot);
        xml.text("onDemandTargetCapacity", target.on_demand);
        xml.text("spotTargetCapacity", target.spot);
        xml.text("defaultTargetCapacityType", target.default.as_str());
    });
    let ends = params.flag("TerminateInstancesWithExpiration");
    xml.text("terminateInstancesWithExpiration", ends);
    xml.text("type", kind_name(pool.kind));
    let replaces = params.flag("ReplaceUnhealthyInstances");
    xml.text("replaceUnhealthyInstances", replaces);
    for (name, element) in [
        ("SpotOptions", "spotOptions"),
        ("OnDemandOptions", "onDemandOptions"),
    ] {
        if let Some(options) = params.group(name) {
            xml.within(element, |xml| {
                xml.optional("allocationStrategy", options.text("AllocationStrategy"));
                xml.optional("minTargetCapacity", options.text("MinTargetCapacity"));
                xml.optional("maxTotalPrice", options.text("MaxTotalPrice"));
            });
        }
    }
    write_tags(xml, &pool.tags);
    if pool.kind == Kind::Instant {
        write_errors(xml, pool);
        write_instances(xml, pool, |_, _| {});
    }
}

/// What was refused, by template and override.
pub(super) fn write_errors(xml: &mut Xml, pool: &Pool) {
    let errors = &pool.errors;
    xml.items("errorSet", errors, |xml, (index, lifecycle, refusal)| {
        write_choice(xml, &pool.choices[*index]);
        xml.text("lifecycle", lifecycle.as_str());
        xml.text("errorCode", &refusal.code);
        xml.text("errorMessage", &refusal.message);
    });
}

/// What was launched, by template, override and lifecycle; `further` adds to each.
pub(super) fn write_instances(
    xml: &mut Xml,
    pool: &Pool,
    mut further: impl FnMut(&mut Xml, &[&str]),
) {
    let mut groups: Vec<(usize, Lifecycle, Vec<&str>)> = Vec::new();
    for member in &pool.members {
        let key = (member.choice, member.lifecycle);
        match groups.iter_mut().find(|group| (group.0, group.1) == key) {
            Some(group) => group.2.push(&member.id),
            None => groups.push((key.0, key.1, vec![&member.id])),
        }
    }
    xml.items("fleetInstanceSet", groups, |xml, group| {
        let (index, lifecycle, ids) = group;
        let choice = &pool.choices[index];
        write_choice(xml, choice);
        xml.text("lifecycle", lifecycle.as_str());
        xml.within("instanceIds", |xml| {
            for id in &ids {
                xml.text("item", id);
            }
        });
        xml.text("instanceType", &choice.order.instance_type);
        further(xml, &ids);
    });
}

fn write_choice(xml: &mut Xml, choice: &Choice) {
    xml.within("launchTemplateAndOverrides", |xml| {
        write_template(xml, choice);
        xml.within("overrides", |xml| write_override(xml, &choice.over));
    });
}

fn write_template(xml: &mut Xml, choice: &Choice) {
    if let Some(template) = &choice.template {
        xml.within("launchTemplateSpecification", |xml| {
            xml.text("launchTemplateId", &template.id);
            xml.text("version", template.version);
        });
    }
}

fn write_override(xml: &mut Xml, over: &crate::params::Params) {
    for (name, element) in [
        ("InstanceType", "instanceType"),
        ("MaxPrice", "maxPrice"),
        ("SpotPrice", "spotPrice"),
        ("SubnetId", "subnetId"),
        ("AvailabilityZone", "availabilityZone"),
        ("WeightedCapacity", "weightedCapacity"),
        ("Priority", "priority"),
        ("ImageId", "imageId"),
    ] {
        xml.optional(element, over.text(name));
    }
}

pub(super) fn describe_instances(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let request_id = world.request_id();
    let fleet = params.required("FleetId")?;
    let page = Page::read(params, (1, 1000), world.config.page_size)?;
    let pool = world
        .pool(&request.region, Family::Fleet, fleet)
        .ok_or_else(|| no_fleet(fleet))?;
    if pool.kind == Kind::Instant {
        return Err(Refusal::bad(
            "UnsupportedOperation",
            "DescribeFleetInstances does not support fleets of type instant. Use DescribeFleets.",
        ));
    }
    let (members, next) = page.cut(active(world, &request.region, pool), |m| m.id.clone());
    Ok(reply(&request_id, "DescribeFleetInstances", |xml| {
        write_active(xml, pool, &members);
        xml.text("fleetId", fleet);
        xml.optional("nextToken", next);
    }))
}

/// The members that are shown as alive.
pub(super) fn active<'a>(world: &World, region: &str, pool: &'a Pool) -> Vec<&'a Member> {
    let (now, lag) = (world.now, world.config.listing_lag);
    let mut members: Vec<&Member> = pool
        .members
        .iter()
        .filter(|member| {
            world
                .regions
                .get(region)
                .and_then(|region| region.instances.find(&member.id))
                .and_then(|record| record.shown(now, lag))
                .is_some_and(crate::world::instance::State::is_alive)
        })
        .collect();
    members.sort_by(|a, b| a.id.cmp(&b.id));
    members
}

/// Members as the describing actions of fleets and spot fleets list them.
pub(super) fn write_active(xml: &mut Xml, pool: &Pool, members: &[&Member]) {
    xml.items("activeInstanceSet", members, |xml, member| {
        xml.text("instanceId", &member.id);
        let choice = &pool.choices[member.choice];
        xml.text("instanceType", &choice.order.instance_type);
        if member.lifecycle == Lifecycle::Spot {
            xml.text("spotInstanceRequestId", spot_request(&member.id));
        }
        xml.text("instanceHealth", "healthy");
    });
}

pub(super) fn describe_history(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let request_id = world.request_id();
    let fleet = params.required("FleetId")?;
    let start = params.required("StartTime")?;
    let now = moment(world.timestamp());
    let page = Page::read(params, (1, 1000), world.config.page_size)?;
    let pool = world
        .pool(&request.region, Family::Fleet, fleet)
        .ok_or_else(|| no_fleet(fleet))?;
    let rows = history(pool, params.text("EventType"));
    let (rows, next) = page.cut(rows, |(key, _)| key.clone());
    Ok(reply(&request_id, "DescribeFleetHistory", |xml| {
        write_history(xml, &rows);
        xml.text("lastEvaluatedTime", now);
        xml.text("fleetId", fleet);
        xml.text("startTime", start);
        xml.optional("nextToken", next);
    }))
}

/// The history of a pool with keys that sort as it happened; all of it, or one kind of events.
pub(super) fn history<'a>(pool: &'a Pool, kind: Option<&str>) -> Vec<(String, &'a Happened)> {
    // Callers write the kinds in the spelling of fleets or of spot fleets.
    let plain = |kind: &str| kind.replace('-', "").to_lowercase();
    pool.history
        .iter()
        .enumerate()
        .filter(|(_, event)| kind.is_none_or(|kind| plain(event.kind).starts_with(&plain(kind))))
        .map(|(index, event)| (format!("{index:09}"), event))
        .collect()
}

/// Entries of a history.
pub(super) fn write_history(xml: &mut Xml, rows: &[(String, &Happened)]) {
    xml.items("historyRecordSet", rows, |xml, (_, event)| {
        xml.within("eventInformation", |xml| {
            xml.text("eventDescription", &event.description);
            xml.text("eventSubType", &event.subtype);
            xml.optional("instanceId", event.instance.as_ref());
        });
        xml.text("eventType", event.kind);
        xml.text("timestamp", moment(event.at));
    });
}

/// What a pool is busy with.
pub(super) fn activity(world: &World, region: &str, pool: &Pool) -> &'static str {
    let wanted = f64::from(pool.target.on_demand + pool.target.spot);
    match pool.phase {
        Phase::EndedTerminating => "pending_termination",
        _ if world.fulfilled(region, pool, None) >= wanted => "fulfilled",
        _ if pool.errors.is_empty() => "pending_fulfillment",
        _ => "error",
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Instant => "instant",
        Kind::Request => "request",
        Kind::Maintain => "maintain",
    }
}

fn excess(pool: &Pool) -> &'static str {
    if pool.ends_excess {
        "termination"
    } else {
        "no-termination"
    }
}
