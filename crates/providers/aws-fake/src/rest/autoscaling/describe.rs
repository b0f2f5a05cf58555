//! What groups and their members look like from outside.

use super::group::{Group, Member};
use super::{number, reply};
use crate::answer::{Answer, Refusal};
use crate::params::Params;
use crate::request::Request;
use crate::rest::query::{echo, page, page_size, stamp, texts};
use crate::world::World;
use crate::world::instance::State;
use crate::world::region::Region;
use crate::xml::Xml;

/// `DescribeAutoScalingGroups`: by name and by tag, in pages.
pub(super) fn groups(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let names = params.texts("AutoScalingGroupNames.member");
    let filters = filters(params)?;
    let with_instances = params.text("IncludeInstances") != Some("false");
    let found: Vec<Group> = world
        .rest
        .autoscaling
        .groups
        .iter()
        .filter(|((region, name), group)| {
            *region == request.region
                && (names.is_empty() || names.contains(name))
                && filters.iter().all(|filter| filter.matches(group))
        })
        .map(|(_, group)| group.clone())
        .collect();
    let asked = number(params, "MaxRecords")?.and_then(|n| usize::try_from(n).ok());
    let size = page_size(world, asked, 50, 100);
    let page = page(found, params.text("NextToken"), size, "InvalidNextToken")?;
    let request_id = world.request_id();
    let region = world.region(&request.region)?;
    Ok(reply(&request_id, request, |xml| {
        xml.list("AutoScalingGroups", "member", &page.items, |xml, group| {
            write_group(xml, group, region, with_instances);
        });
        xml.optional("NextToken", page.next);
    }))
}

/// `DescribeAutoScalingInstances`.
pub(super) fn instances(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let ids = params.texts("InstanceIds.member");
    let mut found: Vec<(String, String, Member)> = Vec::new();
    for ((region, name), group) in &world.rest.autoscaling.groups {
        for (id, member) in &group.members {
            if *region == request.region && (ids.is_empty() || ids.contains(id)) {
                found.push((id.clone(), name.clone(), member.clone()));
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let asked = number(params, "MaxRecords")?.and_then(|n| usize::try_from(n).ok());
    let size = page_size(world, asked, 50, 50);
    let page = page(found, params.text("NextToken"), size, "InvalidNextToken")?;
    let request_id = world.request_id();
    let region = world.region(&request.region)?;
    Ok(reply(&request_id, request, |xml| {
        xml.list(
            "AutoScalingInstances",
            "member",
            &page.items,
            |xml, entry| {
                let (id, name, member) = entry;
                xml.text("AutoScalingGroupName", name);
                // Here, unlike in the listing of groups, AWS shouts.
                write_member(xml, id, member, region, str::to_uppercase);
            },
        );
        xml.optional("NextToken", page.next);
    }))
}

fn write_group(xml: &mut Xml, group: &Group, region: &Region, with_instances: bool) {
    xml.text("AutoScalingGroupName", &group.name);
    xml.text("AutoScalingGroupARN", &group.arn);
    let name = if group.launch.is_mixed {
        "MixedInstancesPolicy"
    } else {
        "LaunchTemplate"
    };
    echo(xml, name, &group.launch.shown);
    xml.text("MinSize", group.min);
    xml.text("MaxSize", group.max);
    xml.text("DesiredCapacity", group.desired);
    xml.text("DefaultCooldown", group.cooldown);
    let mut zones: Vec<&str> = group
        .places
        .iter()
        .map(|place| place.zone.as_str())
        .collect();
    zones.dedup();
    texts(xml, "AvailabilityZones", zones);
    texts(xml, "LoadBalancerNames", [""; 0]);
    texts(xml, "TargetGroupARNs", &group.target_groups);
    xml.text("HealthCheckType", &group.health_check);
    xml.text("HealthCheckGracePeriod", group.grace);
    if with_instances {
        xml.list(
            "Instances",
            "member",
            &group.members,
            |xml, (id, member)| {
                write_member(xml, id, member, region, str::to_owned);
            },
        );
    }
    xml.text("CreatedTime", stamp(group.created));
    xml.list(
        "SuspendedProcesses",
        "member",
        &group.suspended,
        |xml, name| {
            xml.text("ProcessName", name);
            xml.text("SuspensionReason", "User suspended");
        },
    );
    let subnets = Some(&group.subnets).filter(|subnets| !subnets.is_empty());
    xml.optional("VPCZoneIdentifier", subnets);
    xml.within("EnabledMetrics", |_| {});
    xml.optional("Status", group.is_ending.then_some("Delete in progress"));
    xml.list(
        "Tags",
        "member",
        &group.tags,
        |xml, (key, (value, propagates))| {
            xml.text("ResourceId", &group.name);
            xml.text("ResourceType", "auto-scaling-group");
            xml.text("Key", key);
            xml.text("Value", value);
            xml.text("PropagateAtLaunch", propagates);
        },
    );
    texts(xml, "TerminationPolicies", ["Default"]);
    xml.text("NewInstancesProtectedFromScaleIn", group.protects_new);
}

fn write_member(
    xml: &mut Xml,
    id: &str,
    member: &Member,
    region: &Region,
    case: fn(&str) -> String,
) {
    let state = region
        .instances
        .find(id)
        .map_or(State::Terminated, |record| record.instance.state);
    let lifecycle = match state {
        _ if member.is_leaving => "Terminating",
        State::Pending => "Pending",
        _ => "InService",
    };
    let is_healthy = member.is_leaving || state.is_alive();
    xml.text("InstanceId", id);
    xml.text("InstanceType", &member.kind);
    xml.text("AvailabilityZone", &member.zone);
    let zone = region.zone(&member.zone);
    xml.optional("AvailabilityZoneId", zone.map(|zone| &zone.id));
    xml.text("LifecycleState", lifecycle);
    let health = if is_healthy { "Healthy" } else { "Unhealthy" };
    xml.text("HealthStatus", case(health));
    xml.within("LaunchTemplate", |xml| {
        xml.text("LaunchTemplateId", &member.template.id);
        xml.text("LaunchTemplateName", &member.template.name);
        xml.text("Version", member.template.version);
    });
    xml.text("ProtectedFromScaleIn", member.is_protected);
    let weight = member.is_weighted.then_some(member.weight);
    xml.optional("WeightedCapacity", weight);
}

/// A filter of groups by their tags.
struct Filter {
    name: String,
    values: Vec<String>,
}

impl Filter {
    fn matches(&self, group: &Group) -> bool {
        let has = |text: &String| self.values.contains(text);
        match self.name.strip_prefix("tag:") {
            Some(key) => group.tags.get(key).is_some_and(|(value, _)| has(value)),
            None if self.name == "tag-key" => group.tags.keys().any(has),
            None => group.tags.values().any(|(value, _)| has(value)),
        }
    }
}

fn filters(params: &Params) -> Result<Vec<Filter>, Refusal> {
    params
        .list("Filters.member")
        .into_iter()
        .map(|filter| {
            let name = filter.text("Name").unwrap_or_default();
            let is_known = name.starts_with("tag:") || name == "tag-key" || name == "tag-value";
            if !is_known {
                return Err(super::invalid(format!("Filter type {name} is not valid")));
            }
            Ok(Filter {
                name: name.to_owned(),
                values: filter.texts("Values.member"),
            })
        })
        .collect()
}
