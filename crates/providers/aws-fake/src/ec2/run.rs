//! RunInstances: idempotent by client token, as many as there are, in one zone.

use std::collections::BTreeSet;

use super::show::write_reservation;
use super::{reply, templates};
use crate::answer::{Answer, Refusal};
use crate::params::Params;
use crate::request::Request;
use crate::world::World;
use crate::world::launch::Order;

const ACTION: &str = "RunInstances";

pub(super) fn run_instances(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let minimum: u32 = positive(params, "MinCount")?;
    let maximum: u32 = positive(params, "MaxCount")?;
    if minimum > maximum {
        return Err(Refusal::bad(
            "InvalidParameterValue",
            format!(
                "Value ({maximum}) for parameter maxCount is invalid. It must not be less than \
                 minCount."
            ),
        ));
    }
    let token = params.text("ClientToken");
    let region = world.region(&request.region)?;
    let before = region.remembered(ACTION, token, params)?;
    if let Some(reservation) = before {
        return answer(world, request, &reservation).map(|answer| answer.for_machines(maximum));
    }
    let order = order(world, &request.region, params)?;
    let kind = world.check(&request.region, &order)?;
    if params.flag("DryRun") {
        return Err(super::dry_run());
    }
    // Asking for more than the whole account may have says so, whatever the capacity.
    let _ = kind;
    let launched = world.launch(&request.region, &order, minimum, maximum)?;
    world
        .region_mut(&request.region)?
        .remember(ACTION, token, params, &launched.reservation);
    answer(world, request, &launched.reservation).map(|answer| answer.for_machines(maximum))
}

fn positive(params: &Params, name: &str) -> Result<u32, Refusal> {
    params.required(name)?;
    let count: Option<u32> = params.number(name)?;
    count.filter(|count| *count > 0).ok_or_else(|| {
        Refusal::bad(
            "InvalidParameterValue",
            format!("Value for parameter {name} is invalid. Expecting an integer greater than 0."),
        )
    })
}

/// What is asked, on top of what a launch template says.
fn order(world: &World, region: &str, params: &Params) -> Result<Order, Refusal> {
    let mut all = params.clone();
    let mut tags = std::collections::BTreeMap::new();
    if let Some(choice) = params.group("LaunchTemplate") {
        let found = templates::resolve(world, region, choice)?;
        tags = Order::read(&found.data)?.tags;
        all = found.data.overlaid(params);
    }
    check_shape(&all)?;
    let mut order = Order::read(&all)?;
    tags.append(&mut order.tags);
    order.tags = tags;
    order.client_token = params.owned("ClientToken");
    Ok(order)
}

/// Refuses combinations that EC2 refuses.
fn check_shape(params: &Params) -> Result<(), Refusal> {
    let has = |name: &str| params.group(name).is_some();
    if has("NetworkInterface") && (has("SubnetId") || has("SecurityGroupId")) {
        return Err(Refusal::bad(
            "InvalidParameterCombination",
            "Network interfaces and an instance-level subnet ID or security groups may not be \
             specified on the same request",
        ));
    }
    if has("SecurityGroup") && has("SubnetId") {
        return Err(Refusal::bad(
            "InvalidParameterCombination",
            "The parameter groupName cannot be used with the parameter subnet",
        ));
    }
    let is_spot = params.text("InstanceMarketOptions.MarketType") == Some("spot");
    let mut allowed = vec!["instance", "volume", "network-interface", "elastic-gpu"];
    if is_spot {
        allowed.push("spot-instances-request");
    }
    check_tags(params, "TagSpecification", &allowed)
}

/// Refuses tags that EC2 refuses: of other resources, reserved, doubled, too many.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions>
pub(super) fn check_tags(params: &Params, list: &str, allowed: &[&str]) -> Result<(), Refusal> {
    for spec in params.list(list) {
        let resource = spec.text("ResourceType").unwrap_or_default();
        if !allowed.contains(&resource) {
            return Err(Refusal::bad(
                "InvalidParameterValue",
                format!("'{resource}' is not a valid taggable resource type for this operation."),
            ));
        }
        let tags = spec.list("Tag");
        if tags.len() > 50 {
            return Err(Refusal::bad(
                "TagLimitExceeded",
                "More than 50 tags specified",
            ));
        }
        let mut keys = BTreeSet::new();
        for tag in tags {
            let key = tag.required("Key")?;
            let value = tag.text("Value").unwrap_or_default();
            check_tag(key, value)?;
            if !keys.insert(key) {
                return Err(Refusal::bad(
                    "InvalidParameterValue",
                    format!("Duplicate tag key '{key}' specified."),
                ));
            }
        }
    }
    Ok(())
}

/// Refuses one tag that EC2 refuses.
pub(super) fn check_tag(key: &str, value: &str) -> Result<(), Refusal> {
    let reason = if key.starts_with("aws:") {
        "Tag keys starting with 'aws:' are reserved for internal use".to_owned()
    } else if key.is_empty() || key.chars().count() > 128 {
        "Tag key exceeds the maximum length of 128 characters or is empty".to_owned()
    } else if value.chars().count() > 256 {
        "Tag value exceeds the maximum length of 256 characters".to_owned()
    } else {
        return Ok(());
    };
    Err(Refusal::bad("InvalidParameterValue", reason))
}

/// The reservation as it is now: a repeated call shows what became of its instances.
fn answer(world: &mut World, request: &Request, reservation: &str) -> Result<Answer, Refusal> {
    let id = world.request_id();
    let region = world.region(&request.region)?;
    let records: Vec<_> = region
        .reservations
        .get(reservation)
        .into_iter()
        .flatten()
        .filter_map(|id| region.instances.find_any(id))
        .map(|record| (record, record.instance.state))
        .collect();
    Ok(reply(&id, ACTION, |xml| {
        write_reservation(xml, world, region, reservation, &records);
    }))
}
