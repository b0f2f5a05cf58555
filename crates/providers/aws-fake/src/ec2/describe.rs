//! DescribeInstances and DescribeInstanceStatus: filtered, paged, and late.

use super::filters::{Filters, Page, tag_values, token};
use super::reply;
use super::show::{write_reservations, write_state};
use crate::answer::{Answer, Refusal};
use crate::catalog;
use crate::params::Params;
use crate::request::Request;
use crate::world::World;
use crate::world::instance::{Lifecycle, Record, State};
use crate::world::region::Region;

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>
const PAGE: (u32, u32) = (5, 1000);
/// How many ids a call may name.
const IDS: usize = 1000;

pub(super) fn describe_instances(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let id = world.request_id();
    let region = world.region(&request.region)?;
    let (looked_at, shown, next) = select(world, region, &request.params)?;
    let answer = reply(&id, "DescribeInstances", |xml| {
        write_reservations(xml, world, region, &shown);
        xml.optional("nextToken", next);
    });
    world.looked_at += looked_at;
    Ok(answer)
}

pub(super) fn describe_instance_status(
    world: &mut World,
    request: &Request,
) -> Result<Answer, Refusal> {
    let id = world.request_id();
    let region = world.region(&request.region)?;
    let (_, mut shown, next) = select(world, region, &request.params)?;
    if !request.params.flag("IncludeAllInstances") {
        shown.retain(|(_, state)| *state == State::Running);
    }
    Ok(reply(&id, "DescribeInstanceStatus", |xml| {
        xml.items("instanceStatusSet", shown, |xml, (record, state)| {
            xml.text("instanceId", &record.instance.id);
            xml.text("availabilityZone", &record.instance.zone);
            write_state(xml, "instanceState", state);
            let health = if state == State::Running {
                "ok"
            } else {
                "not-applicable"
            };
            for name in ["systemStatus", "instanceStatus"] {
                xml.within(name, |xml| xml.text("status", health));
            }
        });
        xml.optional("nextToken", next);
    }))
}

type Selected<'a> = (u64, Vec<(&'a Record, State)>, Option<String>);

/// How many instances were looked at, those that a request means, with the state to show, and the
/// token of the next page.
fn select<'a>(world: &World, region: &'a Region, params: &Params) -> Result<Selected<'a>, Refusal> {
    let filters = Filters::read(params)?;
    let ids = params.texts("InstanceId");
    let (now, lag) = (world.now, world.config.listing_lag);
    let passes = |record: &Record, state: State| {
        filters.pass(&|name| values_of(region, record, state, name))
    };
    let mut shown = Vec::new();
    if !ids.is_empty() {
        if params.text("MaxResults").is_some() {
            return Err(Refusal::bad(
                "InvalidParameterCombination",
                "The parameter instancesSet cannot be used with the parameter maxResults",
            ));
        }
        for record in named(world, region, &ids)? {
            if let Some(state) = record.shown(now, lag)
                && passes(record, state)?
            {
                shown.push((record, state));
            }
        }
        return Ok((u64::try_from(ids.len()).unwrap_or(u64::MAX), shown, None));
    }
    let mut looked_at = 0;
    let page = Page::read(params, PAGE, world.config.page_size)?;
    let after = page.after.as_deref();
    let candidates: Box<dyn Iterator<Item = &Record>> = match filters.exact_tag() {
        None => Box::new(region.instances.behind(after)),
        Some((key, values)) => {
            let mut ids: Vec<&String> = values
                .iter()
                .filter_map(|value| region.instances.tagged(key, value))
                .flatten()
                .filter(|id| after.is_none_or(|after| id.as_str() > after))
                .collect();
            ids.sort();
            ids.dedup();
            let find = |id: &String| region.instances.find(id);
            Box::new(ids.into_iter().filter_map(find))
        }
    };
    for record in candidates {
        looked_at += 1;
        let Some(state) = record.shown(now, lag) else {
            continue;
        };
        if !passes(record, state)? {
            continue;
        }
        if shown.len() == page.limit {
            let last = shown.last().map(|(record, _)| record.instance.id.as_str());
            let next = last.map(token);
            return Ok((looked_at, shown, next));
        }
        shown.push((record, state));
    }
    if shown.is_empty() {
        // An unknown filter is refused even if there is nothing that it could reject.
        filters.pass(&|name| is_filter(name).then(Vec::new))?;
    }
    Ok((looked_at, shown, None))
}

/// The instances with these ids that are already shown; a refusal that lists those that are not.
pub(super) fn named<'a>(
    world: &World,
    region: &'a Region,
    ids: &[String],
) -> Result<Vec<&'a Record>, Refusal> {
    well_formed(ids)?;
    let (now, lag) = (world.now, world.config.listing_lag);
    let find = |id: &String| {
        let record = region.instances.find(id)?;
        record.shown(now, lag).map(|_| record)
    };
    let missing: Vec<&str> = ids
        .iter()
        .filter(|id| find(id).is_none())
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        return Err(not_found(&missing));
    }
    Ok(ids.iter().filter_map(find).collect())
}

/// Refuses too many ids and those that are none.
pub(super) fn well_formed(ids: &[String]) -> Result<(), Refusal> {
    if ids.len() > IDS {
        return Err(Refusal::bad(
            "InvalidParameterValue",
            format!("The number of instance IDs must not exceed {IDS}"),
        ));
    }
    let is_formed = |id: &&String| {
        id.strip_prefix("i-").is_some_and(|rest| {
            [8, 17].contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    let malformed: Vec<&str> = ids
        .iter()
        .filter(|id| !is_formed(id))
        .map(String::as_str)
        .collect();
    if malformed.is_empty() {
        return Ok(());
    }
    Err(Refusal::bad(
        "InvalidInstanceID.Malformed",
        format!("Invalid id: \"{}\"", malformed.join(", ")),
    ))
}

/// The refusal of ids that do not exist; EC2 lists them all.
pub(super) fn not_found(missing: &[&str]) -> Refusal {
    let message = match missing {
        [one] => format!("The instance ID '{one}' does not exist"),
        many => format!("The instance IDs '{}' do not exist", many.join(", ")),
    };
    Refusal::bad("InvalidInstanceID.NotFound", message)
}

const FILTERS: [&str; 15] = [
    "instance-state-name",
    "instance-state-code",
    "instance-type",
    "instance-id",
    "image-id",
    "vpc-id",
    "subnet-id",
    "availability-zone",
    "instance-lifecycle",
    "client-token",
    "reservation-id",
    "key-name",
    "private-ip-address",
    "ip-address",
    "architecture",
];

fn is_filter(name: &str) -> bool {
    FILTERS.contains(&name) || name.starts_with("tag:") || ["tag-key", "tag-value"].contains(&name)
}

/// The values of an instance for a filter; `None` if there is no such filter.
fn values_of<'a>(
    region: &'a Region,
    record: &'a Record,
    state: State,
    name: &str,
) -> Option<Vec<&'a str>> {
    let instance = &record.instance;
    let one = match name {
        "instance-state-name" => state.as_str(),
        "instance-state-code" => match state {
            State::Pending => "0",
            State::Running => "16",
            State::ShuttingDown => "32",
            State::Terminated => "48",
        },
        "instance-type" => &instance.instance_type,
        "instance-id" => &instance.id,
        "image-id" => &instance.image,
        "vpc-id" => {
            // A terminated instance has left its network.
            if state == State::Terminated {
                return Some(Vec::new());
            }
            &region.vpc
        }
        "subnet-id" => {
            if state == State::Terminated {
                return Some(Vec::new());
            }
            &instance.subnet
        }
        "availability-zone" => &instance.zone,
        "instance-lifecycle" => {
            if instance.lifecycle == Lifecycle::OnDemand {
                return Some(Vec::new());
            }
            "spot"
        }
        "client-token" => instance.client_token.as_deref().unwrap_or(""),
        "reservation-id" => &instance.reservation,
        "key-name" => return Some(instance.key_name.as_deref().into_iter().collect()),
        "private-ip-address" => &instance.private_ip,
        "ip-address" => return Some(instance.public_ip.as_deref().into_iter().collect()),
        "architecture" => catalog::instance_type(&instance.instance_type)?.architecture,
        _ => return tag_values(name, &instance.tags),
    };
    Some(vec![one])
}
