//! Spot fleet requests. A client token in their configuration makes nothing idempotent: every call
//! makes one more request.

use std::collections::BTreeMap;

use super::choices::{from_specifications, from_templates};
use super::filters::{Page, write_tags};
use super::fleet::{invalid, strategy};
use super::fleet_show::{active, activity, history, write_active, write_history};
use super::pool::{Family, Kind, Phase, Pool, Target};
use super::run::check_tags;
use super::show::moment;
use super::{own_tags, reply};
use crate::answer::{Answer, Refusal};
use crate::params::Params;
use crate::request::Request;
use crate::world::World;
use crate::world::instance::Lifecycle;
use crate::xml::Xml;

pub(super) fn request(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let config = request.params.group_or_empty("SpotFleetRequestConfig");
    let region = &request.region;
    let kind = match config.text("Type") {
        None | Some("maintain") => Kind::Maintain,
        Some("request") => Kind::Request,
        Some(other) => return Err(invalid(&format!("Invalid spot fleet type '{other}'"))),
    };
    config.required("IamFleetRole")?;
    let total: u32 = config
        .number("TargetCapacity")?
        .ok_or_else(|| invalid("TargetCapacity is missing"))?;
    let on_demand: u32 = config.number("OnDemandTargetCapacity")?.unwrap_or(0);
    let spot = total.checked_sub(on_demand).ok_or_else(|| {
        Refusal::bad(
            "InvalidSpotFleetRequestConfig",
            "OnDemandTargetCapacity must not be greater than TargetCapacity",
        )
    })?;
    check_tags(&config, "TagSpecification", &["spot-fleet-request"])?;
    let templates = config.list("LaunchTemplateConfigs");
    let specs = config.list("LaunchSpecifications");
    let choices = match (templates.is_empty(), specs.is_empty()) {
        (false, true) => from_templates(world, region, &templates)?,
        (true, false) => from_specifications(&specs)?,
        _ => {
            return Err(Refusal::bad(
                "InvalidSpotFleetRequestConfig",
                "Specify either LaunchSpecifications or LaunchTemplateConfigs.",
            ));
        }
    };
    if !specs.is_empty() && on_demand > 0 {
        return Err(Refusal::bad(
            "InvalidSpotFleetRequestConfig",
            "OnDemandTargetCapacity requires LaunchTemplateConfigs.",
        ));
    }
    let pool = Pool {
        id: world.new_uuid("sfr-"),
        family: Family::SpotFleet,
        kind,
        phase: Phase::Submitted,
        created: world.timestamp(),
        tags: own_tags(&config, "spot-fleet-request"),
        choices,
        target: Target {
            on_demand,
            spot,
            default: Lifecycle::Spot,
        },
        ends_excess: ends_excess(&config).unwrap_or(true),
        spot_strategy: strategy(config.text("AllocationStrategy"))?,
        on_demand_strategy: strategy(config.text("OnDemandAllocationStrategy"))?,
        params: config,
        members: Vec::new(),
        errors: Vec::new(),
        history: Vec::new(),
        is_alarmed: false,
    };
    let id = pool.id.clone();
    let event = pool.event(region);
    let place = world.region_mut(region)?;
    place.ec2.spot_fleets.insert(id.clone(), pool);
    world.schedule(world.config.async_delay, event);
    let request_id = world.request_id();
    let answer = reply(&request_id, "RequestSpotFleet", |xml| {
        xml.text("spotFleetRequestId", id);
    });
    Ok(answer.for_machines(total))
}

/// Whether machines above the target are terminated, if a request says so.
fn ends_excess(params: &Params) -> Option<bool> {
    let policy = params.text("ExcessCapacityTerminationPolicy")?;
    Some(!policy.eq_ignore_ascii_case("noTermination"))
}

pub(super) fn modify(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let id = params.required("SpotFleetRequestId")?.to_owned();
    let total: Option<u32> = params.number("TargetCapacity")?;
    let on_demand: Option<u32> = params.number("OnDemandTargetCapacity")?;
    let pool = world
        .pool_mut(&request.region, Family::SpotFleet, &id)
        .ok_or_else(|| no_request(&id))?;
    if pool.kind != Kind::Maintain || !pool.is_at_work() {
        return Err(Refusal::bad(
            "SpotFleetRequestNotInModifiableState",
            format!("The spot fleet request '{id}' is not in a modifiable state."),
        ));
    }
    let target = &mut pool.target;
    let total = total.unwrap_or(target.on_demand + target.spot);
    let on_demand = on_demand.unwrap_or(target.on_demand);
    target.spot = total
        .checked_sub(on_demand)
        .ok_or_else(|| invalid("OnDemandTargetCapacity must not be greater than TargetCapacity"))?;
    target.on_demand = on_demand;
    pool.ends_excess = ends_excess(params).unwrap_or(pool.ends_excess);
    let event = pool.event(&request.region);
    world.schedule(world.config.async_delay, event);
    let request_id = world.request_id();
    Ok(reply(&request_id, "ModifySpotFleetRequest", |xml| {
        xml.text("return", true);
    }))
}

pub(super) fn cancel(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let with_machines = params.required("TerminateInstances")? == "true";
    let mut cancelled = Vec::new();
    let mut kept = Vec::new();
    for id in params.texts("SpotFleetRequestId") {
        if world
            .pool(&request.region, Family::SpotFleet, &id)
            .is_none()
        {
            kept.push((id, "fleetRequestIdDoesNotExist"));
            continue;
        }
        match world.end_pool(&request.region, Family::SpotFleet, &id, with_machines) {
            Some(before) => cancelled.push((id, before)),
            None => kept.push((id, "fleetRequestNotInCancellableState")),
        }
    }
    let request_id = world.request_id();
    Ok(reply(&request_id, "CancelSpotFleetRequests", |xml| {
        xml.items(
            "successfulFleetRequestSet",
            cancelled,
            |xml, (id, before)| {
                let now = if with_machines {
                    Phase::EndedTerminating
                } else {
                    Phase::EndedRunning
                };
                xml.text("currentSpotFleetRequestState", phase_name(now));
                xml.text("previousSpotFleetRequestState", phase_name(before));
                xml.text("spotFleetRequestId", id);
            },
        );
        xml.items("unsuccessfulFleetRequestSet", kept, |xml, (id, code)| {
            xml.within("error", |xml| {
                xml.text("code", code);
                xml.text("message", "The spot fleet request cannot be cancelled.");
            });
            xml.text("spotFleetRequestId", id);
        });
    }))
}

pub(super) fn describe(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let request_id = world.request_id();
    let page = Page::read(params, (1, 1000), world.config.page_size)?;
    let ids = params.texts("SpotFleetRequestId");
    let region = world.region(&request.region)?;
    for id in &ids {
        if !region.ec2.spot_fleets.contains_key(id) {
            return Err(no_request(id));
        }
    }
    let found: Vec<&Pool> = region
        .ec2
        .spot_fleets
        .values()
        .filter(|pool| ids.is_empty() || ids.contains(&pool.id))
        .collect();
    let (found, next) = page.cut(found, |pool| pool.id.clone());
    Ok(reply(&request_id, "DescribeSpotFleetRequests", |xml| {
        xml.items("spotFleetRequestConfigSet", found, |xml, pool| {
            write_request(xml, world, &request.region, pool);
        });
        xml.optional("nextToken", next);
    }))
}

fn write_request(xml: &mut Xml, world: &World, region: &str, pool: &Pool) {
    let config = &pool.params;
    xml.text("activityStatus", activity(world, region, pool));
    xml.text("createTime", moment(pool.created));
    xml.within("spotFleetRequestConfig", |xml| {
        for (name, element) in [
            ("AllocationStrategy", "allocationStrategy"),
            ("OnDemandAllocationStrategy", "onDemandAllocationStrategy"),
            ("ClientToken", "clientToken"),
            ("IamFleetRole", "iamFleetRole"),
            ("SpotPrice", "spotPrice"),
            ("ValidUntil", "validUntil"),
        ] {
            xml.optional(element, config.text(name));
        }
        let policy = if pool.ends_excess {
            "default"
        } else {
            "noTermination"
        };
        xml.text("excessCapacityTerminationPolicy", policy);
        xml.text("fulfilledCapacity", world.fulfilled(region, pool, None));
        let on_demand = world.fulfilled(region, pool, Some(Lifecycle::OnDemand));
        xml.text("onDemandFulfilledCapacity", on_demand);
        let target = pool.target;
        xml.text("targetCapacity", target.on_demand + target.spot);
        xml.text("onDemandTargetCapacity", target.on_demand);
        let kind = if pool.kind == Kind::Maintain {
            "maintain"
        } else {
            "request"
        };
        xml.text("type", kind);
        write_choices(xml, pool);
    });
    xml.text("spotFleetRequestId", &pool.id);
    xml.text("spotFleetRequestState", phase_name(pool.phase));
    write_tags(xml, &pool.tags);
}

/// The choices, as templates with overrides or as specifications.
fn write_choices(xml: &mut Xml, pool: &Pool) {
    let mut by_template: BTreeMap<(&str, usize), Vec<&Params>> = BTreeMap::new();
    for choice in &pool.choices {
        if let Some(template) = &choice.template {
            by_template
                .entry((&template.id, template.version))
                .or_default()
                .push(&choice.over);
        }
    }
    if by_template.is_empty() {
        xml.items("launchSpecifications", &pool.choices, |xml, choice| {
            xml.text("imageId", &choice.order.image);
            xml.text("instanceType", &choice.order.instance_type);
            xml.optional("subnetId", choice.order.subnet.as_ref());
            xml.text("weightedCapacity", choice.weight);
        });
        return;
    }
    xml.items("launchTemplateConfigs", by_template, |xml, (key, overs)| {
        xml.within("launchTemplateSpecification", |xml| {
            xml.text("launchTemplateId", key.0);
            xml.text("version", key.1);
        });
        xml.items("overrides", overs, |xml, over| {
            for (name, element) in [
                ("InstanceType", "instanceType"),
                ("SpotPrice", "spotPrice"),
                ("SubnetId", "subnetId"),
                ("AvailabilityZone", "availabilityZone"),
                ("WeightedCapacity", "weightedCapacity"),
                ("Priority", "priority"),
            ] {
                xml.optional(element, over.text(name));
            }
        });
    });
}

pub(super) fn describe_instances(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let request_id = world.request_id();
    let fleet = params.required("SpotFleetRequestId")?;
    let page = Page::read(params, (1, 1000), world.config.page_size)?;
    let pool = world
        .pool(&request.region, Family::SpotFleet, fleet)
        .ok_or_else(|| no_request(fleet))?;
    let (members, next) = page.cut(active(world, &request.region, pool), |m| m.id.clone());
    Ok(reply(&request_id, "DescribeSpotFleetInstances", |xml| {
        write_active(xml, pool, &members);
        xml.text("spotFleetRequestId", fleet);
        xml.optional("nextToken", next);
    }))
}

pub(super) fn describe_history(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let request_id = world.request_id();
    let fleet = params.required("SpotFleetRequestId")?;
    let start = params.required("StartTime")?;
    let now = moment(world.timestamp());
    let page = Page::read(params, (1, 1000), world.config.page_size)?;
    let pool = world
        .pool(&request.region, Family::SpotFleet, fleet)
        .ok_or_else(|| no_request(fleet))?;
    let rows = history(pool, params.text("EventType"));
    let (rows, next) = page.cut(rows, |(key, _)| key.clone());
    Ok(reply(
        &request_id,
        "DescribeSpotFleetRequestHistory",
        |xml| {
            write_history(xml, &rows);
            xml.text("lastEvaluatedTime", now);
            xml.text("spotFleetRequestId", fleet);
            xml.text("startTime", start);
            xml.optional("nextToken", next);
        },
    ))
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Submitted => "submitted",
        Phase::Active => "active",
        Phase::EndedRunning => "cancelled_running",
        Phase::EndedTerminating => "cancelled_terminating",
        Phase::Ended => "cancelled",
    }
}

fn no_request(id: &str) -> Refusal {
    Refusal::bad(
        "InvalidSpotFleetRequestId.NotFound",
        format!("The spot fleet request ID '{id}' does not exist"),
    )
}
