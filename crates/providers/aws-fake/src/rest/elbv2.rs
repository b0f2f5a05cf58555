//! ELBv2: target groups, each with a balancer in front of it, and the health of their targets.
//!
//! Health follows from time alone: a target is `initial` for a while, then `healthy`; one that is
//! deregistered is `draining` for a while, then it is gone.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::query::{page, page_size, stamp, texts};
use crate::answer::{Answer, Refusal};
use crate::params::Params;
use crate::request::Request;
use crate::world::World;
use crate::world::instance::State as InstanceState;
use crate::xml::Xml;

const NAMESPACE: &str = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/";

/// What exists in ELBv2.
#[derive(Debug)]
pub(crate) struct State {
    groups: BTreeMap<String, TargetGroup>,
    /// How long a new target is `initial`.
    pub(super) initial: Duration,
    /// How long a deregistered target is `draining`.
    pub(super) draining: Duration,
}

impl Default for State {
    fn default() -> Self {
        Self {
            groups: BTreeMap::new(),
            initial: Duration::from_millis(100),
            draining: Duration::from_millis(300),
        }
    }
}

/// A target group, and the balancer of the same name that sends to it.
#[derive(Debug, Clone)]
struct TargetGroup {
    region: String,
    name: String,
    arn: String,
    balancer: String,
    /// `instance` or `ip`.
    kind: String,
    port: u32,
    created: Timestamp,
    targets: BTreeMap<(String, u32), Target>,
}

#[derive(Debug, Clone)]
struct Target {
    since: Instant,
    /// Since when it is draining.
    left: Option<Instant>,
}

/// What the health check says of a target.
struct Health {
    state: &'static str,
    reason: Option<(&'static str, String)>,
}

/// Adds a target group with a balancer, and gives its ARN.
pub(super) fn add(world: &mut World, region: &str, name: &str, kind: &str) -> String {
    let account = world.config.account.clone();
    let serial = world.next_serial();
    let prefix = format!("arn:aws:elasticloadbalancing:{region}:{account}");
    let arn = format!("{prefix}:targetgroup/{name}/{serial:016x}");
    let group = TargetGroup {
        region: region.to_owned(),
        name: name.to_owned(),
        arn: arn.clone(),
        balancer: format!("{prefix}:loadbalancer/app/{name}/{serial:016x}"),
        kind: kind.to_owned(),
        port: 80,
        created: world.timestamp(),
        targets: BTreeMap::new(),
    };
    world.rest.elbv2.groups.insert(arn.clone(), group);
    arn
}

/// The answer of ELBv2.
pub(super) fn answer(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    world.region(&request.region)?;
    forget_drained(world);
    match request.action.as_str() {
        "DescribeTargetGroups" => describe_groups(world, request),
        "DescribeLoadBalancers" => describe_balancers(world, request),
        "DescribeTargetHealth" => describe_health(world, request),
        "RegisterTargets" => register(world, request),
        "DeregisterTargets" => deregister(world, request),
        action => Err(Refusal::bad(
            "InvalidAction",
            format!("Could not find operation {action} for version 2015-12-01"),
        )),
    }
}

/// Refuses an ARN that is no target group's.
pub(super) fn require(world: &World, region: &str, arn: &str) -> Result<(), Refusal> {
    match world.rest.elbv2.groups.get(arn) {
        Some(group) if group.region == region => Ok(()),
        _ => Err(Refusal::bad(
            "ValidationError",
            format!(
                "Provided Target Groups may not be valid. Please ensure they exist and try again. \
                 ({arn})"
            ),
        )),
    }
}

/// Registers an instance for the Auto Scaling group that launched it.
pub(super) fn register_instance(world: &mut World, arn: &str, id: &str) {
    let now = world.now;
    if let Some(group) = world.rest.elbv2.groups.get_mut(arn) {
        let port = group.port;
        group.register(id.to_owned(), port, now);
    }
}

/// Deregisters an instance for the Auto Scaling group that it leaves.
pub(super) fn deregister_instance(world: &mut World, arn: &str, id: &str) {
    let now = world.now;
    if let Some(group) = world.rest.elbv2.groups.get_mut(arn) {
        group.deregister(id, None, now);
    }
}

impl TargetGroup {
    /// Registers a target. Repeating does nothing; one that is draining is new again.
    fn register(&mut self, id: String, port: u32, now: Instant) {
        let target = self.targets.entry((id, port)).or_insert(Target {
            since: now,
            left: None,
        });
        if target.left.take().is_some() {
            target.since = now;
        }
    }

    fn deregister(&mut self, id: &str, port: Option<u32>, now: Instant) {
        for ((other, at), target) in &mut self.targets {
            if other == id && port.is_none_or(|port| port == *at) {
                target.left.get_or_insert(now);
            }
        }
    }
}

/// Targets that have drained are not targets any more.
fn forget_drained(world: &mut World) {
    let (now, draining) = (world.now, world.rest.elbv2.draining);
    for group in world.rest.elbv2.groups.values_mut() {
        group
            .targets
            .retain(|_, target| target.left.is_none_or(|left| left + draining > now));
    }
}

fn describe_groups(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let names = params.texts("Names.member");
    let arns = params.texts("TargetGroupArns.member");
    let balancer = params.text("LoadBalancerArn");
    let found: Vec<TargetGroup> = in_region(world, request)
        .filter(|group| {
            (names.is_empty() || names.contains(&group.name))
                && (arns.is_empty() || arns.contains(&group.arn))
                && balancer.is_none_or(|balancer| balancer == group.balancer)
        })
        .cloned()
        .collect();
    let is_missing = names
        .iter()
        .any(|name| !found.iter().any(|group| group.name == *name))
        || arns
            .iter()
            .any(|arn| !found.iter().any(|group| group.arn == *arn));
    if is_missing {
        return Err(no_group());
    }
    let vpc = world.region(&request.region)?.vpc.clone();
    let size = page_size(world, asked(params)?, 400, 400);
    let page = page(found, params.text("Marker"), size, "ValidationError")?;
    Ok(reply(world, request, |xml| {
        xml.list("TargetGroups", "member", &page.items, |xml, group| {
            xml.text("TargetGroupArn", &group.arn);
            xml.text("TargetGroupName", &group.name);
            xml.text("Protocol", "HTTP");
            xml.text("Port", group.port);
            xml.text("VpcId", &vpc);
            xml.text("HealthCheckProtocol", "HTTP");
            xml.text("HealthCheckPort", "traffic-port");
            xml.text("HealthCheckEnabled", true);
            xml.text("HealthCheckIntervalSeconds", 30);
            xml.text("HealthCheckTimeoutSeconds", 5);
            xml.text("HealthyThresholdCount", 5);
            xml.text("UnhealthyThresholdCount", 2);
            xml.text("HealthCheckPath", "/");
            xml.within("Matcher", |xml| xml.text("HttpCode", "200"));
            texts(xml, "LoadBalancerArns", [&group.balancer]);
            xml.text("TargetType", &group.kind);
            xml.text("ProtocolVersion", "HTTP1");
            xml.text("IpAddressType", "ipv4");
        });
        xml.optional("NextMarker", page.next);
    }))
}

fn describe_balancers(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let names = params.texts("Names.member");
    let arns = params.texts("LoadBalancerArns.member");
    let found: Vec<TargetGroup> = in_region(world, request)
        .filter(|group| {
            (names.is_empty() || names.contains(&group.name))
                && (arns.is_empty() || arns.contains(&group.balancer))
        })
        .cloned()
        .collect();
    if found.len() < names.len().max(arns.len()) {
        return Err(Refusal::bad(
            "LoadBalancerNotFound",
            "One or more load balancers not found",
        ));
    }
    let region = world.region(&request.region)?;
    let (vpc, zones) = (region.vpc.clone(), region.zones.clone());
    let size = page_size(world, asked(params)?, 400, 400);
    let page = page(found, params.text("Marker"), size, "ValidationError")?;
    let region = &request.region;
    Ok(reply(world, request, |xml| {
        xml.list("LoadBalancers", "member", &page.items, |xml, group| {
            let name = &group.name;
            xml.text("LoadBalancerArn", &group.balancer);
            let host = format!("{name}-1234567890.{region}.elb.amazonaws.com");
            xml.text("DNSName", host);
            xml.text("CanonicalHostedZoneId", "Z35SXDOTRQ7X7K");
            xml.text("CreatedTime", stamp(group.created));
            xml.text("LoadBalancerName", name);
            xml.text("Scheme", "internet-facing");
            xml.text("VpcId", &vpc);
            xml.within("State", |xml| xml.text("Code", "active"));
            xml.text("Type", "application");
            xml.list("AvailabilityZones", "member", &zones, |xml, zone| {
                xml.text("ZoneName", &zone.name);
                xml.text("SubnetId", &zone.subnet);
            });
            xml.text("IpAddressType", "ipv4");
        });
        xml.optional("NextMarker", page.next);
    }))
}

fn describe_health(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let group = group(world, request)?.clone();
    let asked = read_targets(&request.params, &group)?;
    let keys: Vec<(String, u32)> = if asked.is_empty() {
        group.targets.keys().cloned().collect()
    } else {
        asked
    };
    let entries: Vec<((String, u32), Health)> = keys
        .into_iter()
        .map(|key| {
            let health = health(world, &group, group.targets.get(&key), &key.0);
            (key, health)
        })
        .collect();
    Ok(reply(world, request, |xml| {
        xml.list(
            "TargetHealthDescriptions",
            "member",
            entries,
            |xml, entry| {
                let ((id, port), health) = entry;
                xml.within("Target", |xml| {
                    xml.text("Id", id);
                    xml.text("Port", port);
                });
                xml.text("HealthCheckPort", port);
                xml.within("TargetHealth", |xml| {
                    xml.text("State", health.state);
                    if let Some((reason, description)) = &health.reason {
                        xml.text("Reason", reason);
                        xml.text("Description", description);
                    }
                });
            },
        );
    }))
}

fn health(world: &World, group: &TargetGroup, target: Option<&Target>, id: &str) -> Health {
    let said = |state, reason, description: &str| Health {
        state,
        reason: Some((reason, description.to_owned())),
    };
    let Some(target) = target else {
        return said(
            "unused",
            "Target.NotRegistered",
            "Target is not registered to the target group",
        );
    };
    if target.left.is_some() {
        return said(
            "draining",
            "Target.DeregistrationInProgress",
            "Target deregistration is in progress",
        );
    }
    if group.kind == "instance" {
        let state = instance_state(world, &group.region, id);
        if state.is_none_or(|state| !state.is_alive()) {
            let state = state.unwrap_or(InstanceState::Terminated).as_str();
            let description = format!("Target is in the {state} state");
            return said("unused", "Target.InvalidState", &description);
        }
    }
    if target.since + world.rest.elbv2.initial > world.now {
        return said(
            "initial",
            "Elb.RegistrationInProgress",
            "Target registration is in progress",
        );
    }
    Health {
        state: "healthy",
        reason: None,
    }
}

fn register(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let group = group(world, request)?;
    let targets = read_targets(&request.params, group)?;
    if group.kind == "instance" {
        let is_running =
            |id: &str| instance_state(world, &group.region, id) == Some(InstanceState::Running);
        let is_known = |id: &str| instance_state(world, &group.region, id).is_some();
        if let Some((id, _)) = targets.iter().find(|(id, _)| !is_known(id)) {
            return Err(invalid_target(format!("Instance ID '{id}' is not valid")));
        }
        let stopped: Vec<String> = targets
            .iter()
            .filter(|(id, _)| !is_running(id))
            .map(|(id, _)| format!("'{id}'"))
            .collect();
        if !stopped.is_empty() {
            return Err(invalid_target(format!(
                "The following targets are not in a running state and cannot be registered: {}",
                stopped.join(", ")
            )));
        }
    }
    let (arn, now) = (group.arn.clone(), world.now);
    if let Some(group) = world.rest.elbv2.groups.get_mut(&arn) {
        for (id, port) in targets {
            group.register(id, port, now);
        }
    }
    Ok(reply(world, request, |_| {}))
}

fn deregister(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let group = group(world, request)?;
    let (arn, now) = (group.arn.clone(), world.now);
    read_targets(&request.params, group)?;
    let mut targets = Vec::new();
    for target in request.params.list("Targets.member") {
        let id = target.text("Id").unwrap_or_default().to_owned();
        targets.push((id, target.number("Port")?));
    }
    if let Some(group) = world.rest.elbv2.groups.get_mut(&arn) {
        for (id, port) in targets {
            group.deregister(&id, port, now);
        }
    }
    Ok(reply(world, request, |_| {}))
}

/// The targets of a request, with the group's port where they name none.
fn read_targets(params: &Params, group: &TargetGroup) -> Result<Vec<(String, u32)>, Refusal> {
    params
        .list("Targets.member")
        .into_iter()
        .map(|target| {
            let id = target.text("Id").unwrap_or_default();
            if group.kind == "ip" && id.parse::<IpAddr>().is_err() {
                return Err(Refusal::bad(
                    "ValidationError",
                    format!("The IP address '{id}' is not a valid IPv4 address"),
                ));
            }
            let port = target.number("Port")?.unwrap_or(group.port);
            Ok((id.to_owned(), port))
        })
        .collect()
}

fn group<'a>(world: &'a World, request: &Request) -> Result<&'a TargetGroup, Refusal> {
    let arn = request.params.text("TargetGroupArn").unwrap_or_default();
    world
        .rest
        .elbv2
        .groups
        .get(arn)
        .filter(|group| group.region == request.region)
        .ok_or_else(no_group)
}

fn in_region<'a>(world: &'a World, request: &'a Request) -> impl Iterator<Item = &'a TargetGroup> {
    world
        .rest
        .elbv2
        .groups
        .values()
        .filter(|group| group.region == request.region)
}

fn instance_state(world: &World, region: &str, id: &str) -> Option<InstanceState> {
    let record = world.regions.get(region)?.instances.find(id)?;
    Some(record.instance.state)
}

fn asked(params: &Params) -> Result<Option<usize>, Refusal> {
    params.number("PageSize")
}

fn reply(world: &mut World, request: &Request, inner: impl FnOnce(&mut Xml)) -> Answer {
    let id = world.request_id();
    super::query::reply(&id, NAMESPACE, &request.action, inner)
}

fn no_group() -> Refusal {
    Refusal::bad("TargetGroupNotFound", "One or more target groups not found")
}

fn invalid_target(message: String) -> Refusal {
    Refusal::bad("InvalidTarget", message)
}
