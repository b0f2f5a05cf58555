//! EC2: which action is answered where.

mod choices;
mod console;
mod describe;
mod filters;
mod fleet;
mod fleet_show;
mod network;
mod pool;
mod run;
pub(crate) mod show;
mod spot_fleet;
mod tags;
pub(crate) mod templates;
mod terminate;
mod types;

use std::collections::BTreeMap;

use crate::answer::{Answer, Refusal};
use crate::params::Params;
use crate::request::Request;
use crate::world::World;
use crate::world::capacity::bucket_of;
use crate::world::instance::Ending;
use crate::world::launch::too_many_requests;
use crate::xml::Xml;
use pool::{Family, Kind, Pool};
use templates::Template;

const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";

/// Launch templates, fleets and spot fleets of a region.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Launch templates by id.
    pub(crate) templates: BTreeMap<String, Template>,
    /// Those that were deleted; their client tokens still lead to them.
    pub(crate) deleted_templates: BTreeMap<String, Template>,
    /// Fleets by id, the deleted ones included.
    fleets: BTreeMap<String, Pool>,
    /// Spot fleet requests by id, the cancelled ones included.
    spot_fleets: BTreeMap<String, Pool>,
}

impl State {
    /// The tags of a launch template, a fleet or a spot fleet request, to change them.
    fn tags_of(&mut self, resource: &str) -> Option<&mut BTreeMap<String, String>> {
        if let Some(template) = self.templates.get_mut(resource) {
            return Some(&mut template.tags);
        }
        let pool = self.fleets.get_mut(resource);
        let pool = pool.or_else(|| self.spot_fleets.get_mut(resource));
        pool.map(|pool| &mut pool.tags)
    }

    /// Kind, id and tags of everything here that has tags.
    fn tagged(&self) -> impl Iterator<Item = (&'static str, &str, &BTreeMap<String, String>)> {
        let templates = self
            .templates
            .values()
            .map(|template| ("launch-template", template.id.as_str(), &template.tags));
        let fleets = self
            .fleets
            .values()
            .map(|pool| ("fleet", pool.id.as_str(), &pool.tags));
        let spot_fleets = self
            .spot_fleets
            .values()
            .map(|pool| ("spot-fleet-request", pool.id.as_str(), &pool.tags));
        templates.chain(fleets).chain(spot_fleets)
    }
}

/// The answer of EC2.
pub(crate) fn answer(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let now = world.now;
    let (buckets, scale) = (world.config.buckets, world.config.bucket_scale);
    let region = world.region_mut(&request.region)?;
    if buckets
        && !region
            .buckets
            .take(bucket_of(&request.action), 1.0, scale, now)
    {
        return Err(too_many_requests());
    }
    // RunInstances looks at its parameters first.
    if request.params.flag("DryRun") && request.action != "RunInstances" {
        return Err(dry_run());
    }
    match request.action.as_str() {
        "RunInstances" => run::run_instances(world, request),
        "DescribeInstances" => describe::describe_instances(world, request),
        "DescribeInstanceStatus" => describe::describe_instance_status(world, request),
        "TerminateInstances" => terminate::terminate_instances(world, request),
        "CreateTags" => tags::create_tags(world, request),
        "DeleteTags" => tags::delete_tags(world, request),
        "DescribeTags" => tags::describe_tags(world, request),
        "CreateLaunchTemplate" => templates::create(world, request),
        "CreateLaunchTemplateVersion" => templates::create_version(world, request),
        "DeleteLaunchTemplate" => templates::delete(world, request),
        "DescribeLaunchTemplates" => templates::describe(world, request),
        "DescribeLaunchTemplateVersions" => templates::describe_versions(world, request),
        "CreateFleet" => fleet::create(world, request),
        "ModifyFleet" => fleet::modify(world, request),
        "DeleteFleets" => fleet::delete(world, request),
        "DescribeFleets" => fleet_show::describe(world, request),
        "DescribeFleetInstances" => fleet_show::describe_instances(world, request),
        "DescribeFleetHistory" => fleet_show::describe_history(world, request),
        "RequestSpotFleet" => spot_fleet::request(world, request),
        "ModifySpotFleetRequest" => spot_fleet::modify(world, request),
        "CancelSpotFleetRequests" => spot_fleet::cancel(world, request),
        "DescribeSpotFleetRequests" => spot_fleet::describe(world, request),
        "DescribeSpotFleetInstances" => spot_fleet::describe_instances(world, request),
        "DescribeSpotFleetRequestHistory" => spot_fleet::describe_history(world, request),
        "DescribeInstanceTypes" => types::describe(world, request),
        "DescribeInstanceTypeOfferings" => types::describe_offerings(world, request),
        "DescribeSpotPriceHistory" => types::describe_spot_prices(world, request),
        "DescribeImages" => network::describe_images(world, request),
        "DescribeAvailabilityZones" => network::describe_zones(world, request),
        "DescribeRegions" => Ok(network::describe_regions(world, request)),
        "DescribeVpcs" => network::describe_vpcs(world, request),
        "DescribeSubnets" => network::describe_subnets(world, request),
        "DescribeSecurityGroups" => network::describe_security_groups(world, request),
        "DescribeKeyPairs" => network::describe_key_pairs(world, request),
        "ImportKeyPair" => network::import_key_pair(world, request),
        "GetConsoleOutput" => console::console_output(world, request),
        "DescribeInstanceAttribute" => console::describe_attribute(world, request),
        action => Err(Refusal::bad(
            "InvalidAction",
            format!("The action {action} is not valid for this web service."),
        )),
    }
}

/// An answer with its request id, filled in by `inner`.
fn reply(id: &str, action: &str, inner: impl FnOnce(&mut Xml)) -> Answer {
    let mut xml = Xml::document();
    xml.root(&format!("{action}Response"), NAMESPACE, |xml| {
        xml.text("requestId", id);
        inner(xml);
    });
    Answer::xml(xml)
}

/// The tags of a request's tag specifications for one type of resource.
fn own_tags(params: &Params, resource: &str) -> BTreeMap<String, String> {
    params
        .list("TagSpecification")
        .into_iter()
        .filter(|spec| spec.text("ResourceType") == Some(resource))
        .flat_map(|spec| spec.list("Tag"))
        .map(|tag| {
            let text = |name| tag.owned(name).unwrap_or_default();
            (text("Key"), text("Value"))
        })
        .collect()
}

/// What EC2 says if a call would have been allowed.
fn dry_run() -> Refusal {
    Refusal::new(
        412,
        "DryRunOperation",
        "Request would have succeeded, but DryRun flag is set.",
    )
}

/// A fleet's work has become due.
pub(crate) fn fleet_due(world: &mut World, region: &str, id: &str) {
    world.pool_due(region, Family::Fleet, id);
}

/// A spot fleet's work has become due.
pub(crate) fn spot_fleet_due(world: &mut World, region: &str, id: &str) {
    world.pool_due(region, Family::SpotFleet, id);
}

/// An instance began to shut down. A fleet that it belonged to looks for a replacement.
pub(crate) fn instance_ended(world: &mut World, region: &str, id: &str, ending: Ending) {
    world.member_ended(region, id, ending);
}

/// What somebody would still pay for or trip over, in words. Instant fleets are no more than a
/// record of what was launched, so they do not count.
pub(crate) fn leftovers(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    for region in world.regions.values() {
        let place = &region.name;
        for template in region.ec2.templates.values() {
            let (id, name) = (&template.id, &template.name);
            all.push(format!("launch template `{name}` ({id}) in {place}"));
        }
        for pool in region.ec2.fleets.values() {
            if pool.is_at_work() && pool.kind != Kind::Instant {
                all.push(format!("fleet {} in {place} is not deleted", pool.id));
            }
        }
        for pool in region.ec2.spot_fleets.values() {
            if pool.is_at_work() {
                all.push(format!(
                    "spot fleet request {} in {place} is active",
                    pool.id
                ));
            }
        }
    }
    all
}
