//! A group: what it is told, and what it has.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use jiff::Timestamp;

use super::activity::Activity;
use super::{invalid, required};
use crate::answer::Refusal;
use crate::catalog;
use crate::ec2::templates::resolve;
use crate::params::Params;
use crate::world::World;
use crate::world::launch::Order;

/// A group.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) min: u32,
    pub(super) max: u32,
    pub(super) desired: u32,
    pub(super) cooldown: u32,
    pub(super) grace: u32,
    pub(super) health_check: String,
    pub(super) places: Vec<Place>,
    /// The subnets as they were given; empty if zones were.
    pub(super) subnets: String,
    pub(super) launch: Launch,
    pub(super) tags: BTreeMap<String, (String, bool)>,
    pub(super) target_groups: Vec<String>,
    pub(super) protects_new: bool,
    pub(super) suspended: BTreeSet<String>,
    pub(super) created: Timestamp,
    /// Whether it is being deleted.
    pub(super) is_ending: bool,
    pub(super) members: BTreeMap<String, Member>,
    /// The latest last.
    pub(super) activities: Vec<Activity>,
    /// When it will be looked at.
    pub(super) looks: BTreeSet<Instant>,
}

/// A zone, and the subnet in it if one was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) zone: String,
    pub(super) subnet: Option<String>,
}

/// What a group launches.
#[derive(Debug, Clone)]
pub(super) struct Launch {
    /// What names the launch template, as it was given.
    spec: Params,
    /// The launch template, or the policy with its overrides, as it is shown.
    pub(super) shown: Params,
    /// Whether there is a policy.
    pub(super) is_mixed: bool,
}

/// An instance of a group.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) kind: String,
    pub(super) zone: String,
    pub(super) weight: u32,
    /// Whether the group counts in weights.
    pub(super) is_weighted: bool,
    pub(super) is_spot: bool,
    pub(super) is_protected: bool,
    /// Whether the group is terminating it.
    pub(super) is_leaving: bool,
    pub(super) template: Template,
}

/// A launch template in one version.
#[derive(Debug, Clone)]
pub(super) struct Template {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) version: usize,
}

/// One type that a group may launch.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    pub(super) kind: String,
    pub(super) weight: u32,
    pub(super) is_weighted: bool,
}

impl Group {
    /// The units that the group has, those on their way out left aside.
    pub(super) fn units(&self) -> u32 {
        self.staying().map(|(_, member)| member.weight).sum()
    }

    /// The members that are not on their way out.
    pub(super) fn staying(&self) -> impl Iterator<Item = (&String, &Member)> {
        self.members.iter().filter(|(_, member)| !member.is_leaving)
    }

    /// Refuses a desired capacity outside of the limits.
    pub(super) fn check_sizes(&self) -> Result<(), Refusal> {
        let (min, max, desired) = (self.min, self.max, self.desired);
        if min > max {
            return Err(invalid(format!(
                "Max bound, {max}, must be greater than or equal to min bound, {min}"
            )));
        }
        if desired < min || desired > max {
            return Err(invalid(format!(
                "Desired capacity:{desired} must be between the specified min size:{min} and max \
                 size:{max}"
            )));
        }
        Ok(())
    }
}

impl Launch {
    /// Reads what to launch; `None` if the request does not say.
    pub(super) fn read(
        world: &World,
        region: &str,
        params: &Params,
    ) -> Result<Option<Self>, Refusal> {
        let (mut shown, path, is_mixed) = match (
            params.group("LaunchTemplate"),
            params.group("MixedInstancesPolicy"),
        ) {
            (Some(_), Some(_)) => {
                return Err(invalid(
                    "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, \
                     InstanceId or MixedInstancesPolicy parameter.",
                ));
            }
            (None, None) if params.text("LaunchConfigurationName").is_some() => {
                return Err(invalid("Launch configuration name not found"));
            }
            (None, None) => return Ok(None),
            (Some(template), None) => (template.clone(), "", false),
            (None, Some(policy)) => {
                let path = "LaunchTemplate.LaunchTemplateSpecification.";
                (with_defaults(policy), path, true)
            }
        };
        let mut spec = Params::default();
        for name in ["LaunchTemplateId", "LaunchTemplateName", "Version"] {
            if let Some(text) = shown.owned(&format!("{path}{name}")) {
                spec.set(name, text);
            }
        }
        let mut launch = Self {
            spec,
            shown: shown.clone(),
            is_mixed,
        };
        let (template, data) = launch.template(world, region)?;
        let mut order = Order::read(&data)?;
        for choice in launch.choices(&data)? {
            order.instance_type = choice.kind;
            world
                .check(region, &order)
                .map_err(|refusal| malformed(&refusal))?;
        }
        // AWS shows id and name, whichever was given.
        shown.set(&format!("{path}LaunchTemplateId"), template.id);
        shown.set(&format!("{path}LaunchTemplateName"), template.name);
        launch.shown = shown;
        Ok(Some(launch))
    }

    /// The launch template, and its data.
    pub(super) fn template(
        &self,
        world: &World,
        region: &str,
    ) -> Result<(Template, Params), Refusal> {
        let spec = &self.spec;
        if spec.text("LaunchTemplateId").is_none() && spec.text("LaunchTemplateName").is_none() {
            return Err(invalid(
                "Valid requests must contain either launchTemplateId or LaunchTemplateName",
            ));
        }
        let found = resolve(world, region, spec).map_err(|refusal| malformed(&refusal))?;
        let template = Template {
            id: found.id,
            name: found.name,
            version: found.version,
        };
        Ok((template, found.data))
    }

    /// The types, in the order of preference: the overrides, or the type of the template.
    pub(super) fn choices(&self, data: &Params) -> Result<Vec<Choice>, Refusal> {
        // There are none below a bare launch template.
        let overrides = self.shown.list("LaunchTemplate.Overrides.member");
        if overrides.is_empty() {
            let kind = required(data, "InstanceType").map_err(|_| {
                invalid(
                    "You must use a valid fully-formed launch template. The parameter \
                     InstanceType is missing.",
                )
            })?;
            return Ok(vec![Choice {
                kind: kind.to_owned(),
                weight: 1,
                is_weighted: false,
            }]);
        }
        overrides
            .into_iter()
            .map(|entry| {
                let kind = required(entry, "InstanceType")?;
                if catalog::instance_type(kind).is_none() {
                    return Err(invalid(format!(
                        "The following supplied instance types do not exist: [{kind}]"
                    )));
                }
                let weight = super::number(entry, "WeightedCapacity")?;
                Ok(Choice {
                    kind: kind.to_owned(),
                    weight: weight.unwrap_or(1).max(1),
                    is_weighted: weight.is_some(),
                })
            })
            .collect()
    }

    /// How many of `desired` units are on demand, the rest being spot; all if not told otherwise.
    pub(super) fn on_demand_units(&self, desired: u32) -> u32 {
        if !self.is_mixed {
            return desired;
        }
        let told = |name: &str| {
            self.shown
                .text(&format!("InstancesDistribution.{name}"))
                .and_then(|text| text.parse::<u32>().ok())
        };
        let base = told("OnDemandBaseCapacity").unwrap_or(0).min(desired);
        let percentage = told("OnDemandPercentageAboveBaseCapacity").unwrap_or(100);
        // Rounded up in favor of on demand, as AWS does.
        base + ((desired - base) * percentage.min(100)).div_ceil(100)
    }

    /// The strategy that orders the types.
    pub(super) fn strategy(&self, is_spot: bool) -> &str {
        let name = if is_spot {
            "InstancesDistribution.SpotAllocationStrategy"
        } else {
            "InstancesDistribution.OnDemandAllocationStrategy"
        };
        self.shown.text(name).unwrap_or("prioritized")
    }
}

fn malformed(refusal: &Refusal) -> Refusal {
    invalid(format!(
        "You must use a valid fully-formed launch template. {}",
        refusal.message
    ))
}

/// AWS shows what was not said, too.
fn with_defaults(policy: &Params) -> Params {
    let mut policy = policy.clone();
    for (name, value) in [
        ("OnDemandAllocationStrategy", "prioritized"),
        ("OnDemandBaseCapacity", "0"),
        ("OnDemandPercentageAboveBaseCapacity", "100"),
        ("SpotAllocationStrategy", "lowest-price"),
    ] {
        let path = format!("InstancesDistribution.{name}");
        if policy.text(&path).is_none() {
            policy.set(&path, value.to_owned());
        }
    }
    policy
}

/// Reads where to launch; `None` if the request does not say.
pub(super) fn read_places(
    world: &World,
    region: &str,
    params: &Params,
) -> Result<Option<(Vec<Place>, String)>, Refusal> {
    let region = world.region(region)?;
    let zones = params.texts("AvailabilityZones.member");
    for zone in &zones {
        if region.zone(zone).is_none() {
            return Err(invalid(format!(
                "Invalid Availability Zone(s) ['{zone}'] specified."
            )));
        }
    }
    if let Some(list) = params.text("VPCZoneIdentifier") {
        let mut places = Vec::new();
        for subnet in list.split(',').map(str::trim).filter(|s| !s.is_empty()) {
            let zone = region
                .zone_of_subnet(subnet)
                .ok_or_else(|| invalid(format!("The subnet ID '{subnet}' does not exist")))?;
            places.push(Place {
                zone: zone.name.clone(),
                subnet: Some(subnet.to_owned()),
            });
        }
        return Ok(Some((places, list.to_owned())));
    }
    if zones.is_empty() {
        return Ok(None);
    }
    let places = zones
        .into_iter()
        .map(|zone| Place { zone, subnet: None })
        .collect();
    Ok(Some((places, String::new())))
}
