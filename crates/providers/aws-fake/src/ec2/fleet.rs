//! CreateFleet, ModifyFleet and DeleteFleets.

use super::choices::from_templates;
use super::fleet_show::{write_errors, write_instances};
use super::pool::{Family, Kind, Phase, Pool, Strategy, Target};
use super::run::check_tags;
use super::{own_tags, reply};
use crate::answer::{Answer, Refusal};
use crate::params::Params;
use crate::request::Request;
use crate::world::World;
use crate::world::instance::{Ending, Lifecycle};
use crate::xml::Xml;

const CREATE: &str = "CreateFleet";

pub(super) fn create(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let region = &request.region;
    let token = params.text("ClientToken");
    let wanted = params.number("TargetCapacitySpecification.TotalTargetCapacity")?;
    let machines = wanted.unwrap_or(0);
    let before = world.region(region)?.remembered(CREATE, token, params)?;
    let id = match before {
        Some(id) => id,
        None => create_new(world, request)?,
    };
    let request_id = world.request_id();
    let pool = world
        .pool(region, Family::Fleet, &id)
        .ok_or_else(|| Refusal::new(500, "InternalError", "the fleet has vanished"))?;
    let answer = reply(&request_id, CREATE, |xml| {
        xml.text("fleetId", &id);
        if pool.kind == Kind::Instant {
            write_errors(xml, pool);
            write_instances(xml, pool, |xml, ids| write_zone(xml, world, region, ids));
        }
    });
    Ok(answer.for_machines(machines))
}

/// Where the instances of one choice are; only the answer of CreateFleet says so.
fn write_zone(xml: &mut Xml, world: &World, region: &str, ids: &[&str]) {
    let first = ids
        .first()
        .and_then(|id| world.regions.get(region)?.instances.find_any(id));
    if let Some(record) = first {
        xml.text("availabilityZone", &record.instance.zone);
        xml.text("subnetId", &record.instance.subnet);
    }
}

fn create_new(world: &mut World, request: &Request) -> Result<String, Refusal> {
    let params = &request.params;
    let region = &request.region;
    let kind = match params.text("Type") {
        None | Some("maintain") => Kind::Maintain,
        Some("request") => Kind::Request,
        Some("instant") => Kind::Instant,
        Some(other) => return Err(invalid(&format!("Invalid fleet type '{other}'"))),
    };
    // Only instant fleets tag their instances; the others leave that to the launch template.
    let taggable: &[&str] = match kind {
        Kind::Instant => &["fleet", "instance", "volume", "network-interface"],
        Kind::Request | Kind::Maintain => &["fleet"],
    };
    check_tags(params, "TagSpecification", taggable)?;
    let configs = params.list("LaunchTemplateConfigs");
    let mut choices = from_templates(world, region, &configs)?;
    let instance_tags = own_tags(params, "instance");
    for choice in &mut choices {
        choice.order.tags.extend(instance_tags.clone());
    }
    let spec = params.group_or_empty("TargetCapacitySpecification");
    let target = target(&spec, None)?;
    let pool = Pool {
        id: world.new_uuid("fleet-"),
        family: Family::Fleet,
        kind,
        phase: Phase::Submitted,
        created: world.timestamp(),
        tags: own_tags(params, "fleet"),
        params: params.clone(),
        choices,
        target,
        ends_excess: params.text("ExcessCapacityTerminationPolicy") != Some("no-termination"),
        spot_strategy: strategy(params.text("SpotOptions.AllocationStrategy"))?,
        on_demand_strategy: strategy(params.text("OnDemandOptions.AllocationStrategy"))?,
        members: Vec::new(),
        errors: Vec::new(),
        history: Vec::new(),
        is_alarmed: false,
    };
    let id = pool.id.clone();
    let event = pool.event(region);
    let place = world.region_mut(region)?;
    place.ec2.fleets.insert(id.clone(), pool);
    place.remember(CREATE, params.text("ClientToken"), params, &id);
    if kind == Kind::Instant {
        world.pool_due(region, Family::Fleet, &id);
        keep_minimum(world, region, &id, params)?;
    } else {
        world.schedule(world.config.async_delay, event);
    }
    Ok(id)
}

/// An instant fleet that does not reach its minimum has nothing.
fn keep_minimum(world: &mut World, region: &str, id: &str, params: &Params) -> Result<(), Refusal> {
    for (options, lifecycle) in [
        ("OnDemandOptions", Lifecycle::OnDemand),
        ("SpotOptions", Lifecycle::Spot),
    ] {
        let path = format!("{options}.MinTargetCapacity");
        let Some(minimum) = params.number::<u32>(&path)? else {
            continue;
        };
        let Some(pool) = world.pool(region, Family::Fleet, id).cloned() else {
            continue;
        };
        if world.fulfilled(region, &pool, Some(lifecycle)) >= f64::from(minimum) {
            continue;
        }
        for member in pool.members.iter().filter(|m| m.lifecycle == lifecycle) {
            world.end(region, &member.id, Ending::Owner);
        }
        if let Some(pool) = world.pool_mut(region, Family::Fleet, id) {
            pool.members.retain(|member| member.lifecycle != lifecycle);
        }
    }
    Ok(())
}

/// Reads a target; what is not said stays as it was.
fn target(spec: &Params, before: Option<Target>) -> Result<Target, Refusal> {
    let total: u32 = spec
        .number("TotalTargetCapacity")?
        .ok_or_else(|| invalid("TotalTargetCapacity is missing"))?;
    let on_demand: Option<u32> = spec.number("OnDemandTargetCapacity")?;
    let spot: Option<u32> = spec.number("SpotTargetCapacity")?;
    let default = match spec.text("DefaultTargetCapacityType") {
        Some("spot") => Lifecycle::Spot,
        Some("on-demand") => Lifecycle::OnDemand,
        Some(other) => return Err(invalid(&format!("Invalid capacity type '{other}'"))),
        None => before.map_or(Lifecycle::OnDemand, |before| before.default),
    };
    let rest = total
        .checked_sub(on_demand.unwrap_or(0) + spot.unwrap_or(0))
        .ok_or_else(|| {
            Refusal::bad(
                "InvalidTargetCapacitySpecification",
                "The sum of SpotTargetCapacity and OnDemandTargetCapacity must not be greater than \
                 TotalTargetCapacity.",
            )
        })?;
    let share = |lifecycle| if default == lifecycle { rest } else { 0 };
    Ok(Target {
        on_demand: on_demand.unwrap_or(0) + share(Lifecycle::OnDemand),
        spot: spot.unwrap_or(0) + share(Lifecycle::Spot),
        default,
    })
}

/// Reads an allocation strategy, in the spelling of fleets or of spot fleets.
pub(super) fn strategy(name: Option<&str>) -> Result<Strategy, Refusal> {
    match name {
        None | Some("lowest-price" | "lowestPrice") => Ok(Strategy::LowestPrice),
        Some("prioritized" | "capacity-optimized-prioritized" | "capacityOptimizedPrioritized") => {
            Ok(Strategy::Prioritized)
        }
        Some(
            "capacity-optimized"
            | "capacityOptimized"
            | "price-capacity-optimized"
            | "priceCapacityOptimized",
        ) => Ok(Strategy::Capacity),
        Some("diversified") => Ok(Strategy::Diversified),
        Some(other) => Err(invalid(&format!("Invalid allocation strategy '{other}'"))),
    }
}

pub(super) fn modify(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let id = params.required("FleetId")?.to_owned();
    let configs = params.list("LaunchTemplateConfig");
    let choices = if configs.is_empty() {
        None
    } else {
        Some(from_templates(world, &request.region, &configs)?)
    };
    let pool = world
        .pool_mut(&request.region, Family::Fleet, &id)
        .ok_or_else(|| no_fleet(&id))?;
    if pool.kind != Kind::Maintain || !pool.is_at_work() {
        return Err(Refusal::bad(
            "FleetNotInModifiableState",
            format!("The fleet '{id}' is not in a modifiable state."),
        ));
    }
    if let Some(spec) = params.group("TargetCapacitySpecification") {
        pool.target = target(spec, Some(pool.target))?;
    }
    match params.text("ExcessCapacityTerminationPolicy") {
        None => {}
        Some(policy) => pool.ends_excess = policy != "no-termination",
    }
    if let Some(choices) = choices {
        // Members point at their choices, so the old ones stay.
        for choice in &mut pool.choices {
            choice.is_retired = true;
        }
        pool.choices.extend(choices);
    }
    let event = pool.event(&request.region);
    world.schedule(world.config.async_delay, event);
    let request_id = world.request_id();
    Ok(reply(&request_id, "ModifyFleet", |xml| {
        xml.text("return", true);
    }))
}

pub(super) fn delete(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let ids = params.texts("FleetId");
    let with_machines = params.text("TerminateInstances").ok_or_else(|| {
        Refusal::bad(
            "MissingParameter",
            "The request must contain the parameter TerminateInstances",
        )
    })? == "true";
    let mut deleted = Vec::new();
    let mut kept = Vec::new();
    for id in ids {
        let pool = world.pool(&request.region, Family::Fleet, &id);
        let kind = pool.map(|pool| pool.kind);
        let refusal = if !id.starts_with("fleet-") {
            Some(("fleetIdMalformed", "The fleet ID is malformed"))
        } else if kind.is_none() {
            Some(("fleetIdDoesNotExist", "The fleet ID does not exist"))
        } else if kind == Some(Kind::Instant) && !with_machines {
            Some((
                "unexpectedError",
                "NoTerminateInstances option is not supported for instant fleet",
            ))
        } else {
            None
        };
        if let Some((code, message)) = refusal {
            kept.push((id, code, message));
            continue;
        }
        match world.end_pool(&request.region, Family::Fleet, &id, with_machines) {
            Some(before) => deleted.push((id, before)),
            None => kept.push((
                id,
                "fleetNotInDeletableState",
                "The fleet is not in a deletable state",
            )),
        }
    }
    let request_id = world.request_id();
    Ok(reply(&request_id, "DeleteFleets", |xml| {
        xml.items(
            "successfulFleetDeletionSet",
            deleted,
            |xml, (id, before)| {
                let now = if with_machines {
                    Phase::EndedTerminating
                } else {
                    Phase::EndedRunning
                };
                xml.text("currentFleetState", phase_name(now));
                xml.text("previousFleetState", phase_name(before));
                xml.text("fleetId", id);
            },
        );
        xml.items("unsuccessfulFleetDeletionSet", kept, |xml, kept| {
            xml.within("error", |xml| {
                xml.text("code", kept.1);
                xml.text("message", kept.2);
            });
            xml.text("fleetId", kept.0);
        });
    }))
}

/// The state of a fleet on the wire.
pub(super) fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Submitted => "submitted",
        Phase::Active => "active",
        Phase::EndedRunning => "deleted_running",
        Phase::EndedTerminating => "deleted_terminating",
        Phase::Ended => "deleted",
    }
}

/// The refusal of a fleet that does not exist.
pub(super) fn no_fleet(id: &str) -> Refusal {
    Refusal::bad(
        "InvalidFleetId.NotFound",
        format!("The fleet ID '{id}' does not exist"),
    )
}

/// The refusal of a fleet that cannot be.
pub(super) fn invalid(message: &str) -> Refusal {
    Refusal::bad("InvalidParameterValue", message)
}
