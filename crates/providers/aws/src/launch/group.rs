//! An Auto Scaling group per request: AWS replaces its dead machines, we remove them by id.
//!
//! Its name holds the token, and a group of that name cannot be made twice.
//! <https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html>

use async_trait::async_trait;
use aws_sdk_autoscaling::types::{
    AutoScalingGroup, InstancesDistribution, LaunchTemplate, LaunchTemplateOverrides,
    LaunchTemplateSpecification, MixedInstancesPolicy, Tag,
};
use fleetwright_core::{Created, Error, Kind, Market, Result, keys};

use super::awaited::{Keeper, Member};
use super::{PARAMETERS, Wish, capacity_words};
use crate::api::RegionApi;
use crate::delete::Membership;
use crate::error::{At, reported};
use crate::node::NAME;
use crate::options::{OnDemandAllocation, SpotAllocation};
use crate::provider::AwsProvider;

/// What a group is made with.
pub(crate) struct GroupPlan<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Fewest machines.
    pub(crate) min: u32,
    /// Machines wanted now.
    pub(crate) desired: u32,
    /// Most machines.
    pub(crate) max: u32,
}

impl AwsProvider {
    pub(super) async fn group(&self, api: &RegionApi, wish: &Wish<'_>) -> Result<Created> {
        let name = format!("fleetwright-{}", wish.request.token);
        let plan = GroupPlan {
            name: &name,
            min: 0,
            desired: wish.request.count,
            max: wish.request.count,
        };
        self.make_group(api, wish, &plan).await?;
        let keeper = GroupKeeper {
            provider: self,
            api,
            group: &name,
            market: wish.request.spec.market,
        };
        self.await_members(api, wish, &keeper).await
    }

    /// Makes a group and its template, or finds the one that the same token made.
    ///
    /// # Errors
    /// `Conflict` if the group was made by another token or with other parameters.
    pub(crate) async fn make_group(
        &self,
        api: &RegionApi,
        wish: &Wish<'_>,
        plan: &GroupPlan<'_>,
    ) -> Result<()> {
        if let Some(group) = self.describe_group(api, plan.name).await? {
            return same(&group, wish, plan.name);
        }
        let template = self.make_template(api, wish).await?;
        let at = At::new("CreateAutoScalingGroup", &api.region);
        let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        let mut call = api
            .autoscaling
            .create_auto_scaling_group()
            .auto_scaling_group_name(plan.name)
            .min_size(number(plan.min))
            .desired_capacity(number(plan.desired))
            .max_size(number(plan.max))
            // Machines go by id, when the plan says so, and never by AWS's choice.
            .new_instances_protected_from_scale_in(true)
            .set_tags(Some(group_tags(wish, plan.name)));
        let subnets: Vec<&str> = wish
            .places
            .iter()
            .filter_map(|p| p.subnet.as_deref())
            .collect();
        if subnets.is_empty() {
            let zones = match wish.places.iter().filter_map(|p| p.zone.clone()).collect() {
                zones if !Vec::<String>::is_empty(&zones) => zones,
                _ => self.default_zones(api).await?,
            };
            call = call.set_availability_zones(Some(zones));
        } else {
            call = call.vpc_zone_identifier(subnets.join(","));
        }
        let from = LaunchTemplateSpecification::builder()
            .launch_template_name(&template)
            .version("$Default")
            .build();
        let mixed = wish.types().len() > 1 || wish.request.spec.market == Market::Spot;
        call = if mixed {
            call.mixed_instances_policy(policy(wish, from))
        } else {
            call.launch_template(from)
        };
        match call.send().await.map_err(|error| at.error(error)) {
            // The answer is empty, so whatever came in its place looks like a success.
            Ok(_) => match self.describe_group(api, plan.name).await {
                Ok(Some(_)) => Ok(()),
                Ok(None) => Err(at.lacking("group")),
                Err(error) => Err(error.with_effect(fleetwright_core::Effect::Unknown)),
            },
            // Made meanwhile: by a twin of this call, or by another token.
            Err(error)
                if error
                    .context()
                    .any(|(n, v)| n == "code" && v.starts_with("AlreadyExists")) =>
            {
                match self.describe_group(api, plan.name).await? {
                    Some(group) => same(&group, wish, plan.name),
                    None => Err(error),
                }
            }
            Err(error) => {
                if error.effect() == fleetwright_core::Effect::None {
                    self.drop_template(api, &template).await;
                }
                Err(error)
            }
        }
    }

    /// A group by its name.
    pub(crate) async fn describe_group(
        &self,
        api: &RegionApi,
        name: &str,
    ) -> Result<Option<AutoScalingGroup>> {
        let at = At::new("DescribeAutoScalingGroups", &api.region);
        let answer = api
            .autoscaling
            .describe_auto_scaling_groups()
            .auto_scaling_group_names(name)
            .send()
            .await
            .map_err(|error| at.error(error))?;
        Ok(answer.auto_scaling_groups().first().cloned())
    }

    /// The zones that have a default subnet.
    async fn default_zones(&self, api: &RegionApi) -> Result<Vec<String>> {
        let at = At::new("DescribeSubnets", &api.region);
        let answer = api
            .ec2
            .describe_subnets()
            .filters(
                aws_sdk_ec2::types::Filter::builder()
                    .name("default-for-az")
                    .values("true")
                    .build(),
            )
            .send()
            .await
            .map_err(|error| at.error(error))?;
        let zones: Vec<String> = answer
            .subnets()
            .iter()
            .filter_map(|subnet| subnet.availability_zone().map(str::to_owned))
            .collect();
        if zones.is_empty() {
            return Err(Error::new(
                Kind::Invalid,
                format!("region `{}` has no default subnets", api.region),
            )
            .with_hint("name `subnets` in the pool's options"));
        }
        Ok(zones)
    }
}

/// Whether a group that is there is the one that this request made.
fn same(group: &AutoScalingGroup, wish: &Wish<'_>, name: &str) -> Result<()> {
    let value = |key: &str| {
        group
            .tags()
            .iter()
            .find(|tag| tag.key() == Some(key))
            .and_then(|tag| tag.value())
    };
    let ours = value(keys::CLAIM) == Some(wish.request.token.as_str());
    if ours && value(PARAMETERS) == Some(wish.request.parameters().short()) {
        return Ok(());
    }
    let why = if ours {
        "was made with other parameters"
    } else {
        "is somebody else's"
    };
    Err(Error::new(
        Kind::Conflict,
        format!("the group `{name}` exists and {why}"),
    ))
}

fn group_tags(wish: &Wish<'_>, group: &str) -> Vec<Tag> {
    let tag = |key: &str, value: &str, machines: bool| {
        Tag::builder()
            .resource_id(group)
            .resource_type("auto-scaling-group")
            .key(key)
            .value(value)
            .propagate_at_launch(machines)
            .build()
    };
    let mut tags: Vec<Tag> = wish
        .tags
        .iter()
        .filter_map(|known| Some((known.key()?, known.value().unwrap_or_default())))
        .filter(|(key, _)| *key != NAME)
        .map(|(key, value)| tag(key, value, true))
        .collect();
    tags.push(tag(NAME, &wish.request.spec.name, true));
    tags.push(tag(PARAMETERS, wish.request.parameters().short(), false));
    tags
}

fn policy(wish: &Wish<'_>, from: LaunchTemplateSpecification) -> MixedInstancesPolicy {
    let options = &wish.options;
    let mut template = LaunchTemplate::builder().launch_template_specification(from);
    for instance_type in wish.types() {
        template = template.overrides(
            LaunchTemplateOverrides::builder()
                .instance_type(instance_type)
                .build(),
        );
    }
    let (base, percent) = match wish.request.spec.market {
        Market::OnDemand => (0, 100),
        Market::Spot => (options.on_demand_base, options.on_demand_percent.into()),
    };
    MixedInstancesPolicy::builder()
        .launch_template(template.build())
        .instances_distribution(
            InstancesDistribution::builder()
                .on_demand_allocation_strategy(match options.on_demand_allocation {
                    OnDemandAllocation::LowestPrice => "lowest-price",
                    OnDemandAllocation::Prioritized => "prioritized",
                })
                .on_demand_base_capacity(i32::try_from(base).unwrap_or(i32::MAX))
                .on_demand_percentage_above_base_capacity(percent)
                .spot_allocation_strategy(match options.spot_allocation {
                    SpotAllocation::CapacityOptimized => "capacity-optimized",
                    SpotAllocation::CapacityOptimizedPrioritized => {
                        "capacity-optimized-prioritized"
                    }
                    SpotAllocation::LowestPrice => "lowest-price",
                    // Groups know no `diversified`.
                    SpotAllocation::PriceCapacityOptimized | SpotAllocation::Diversified => {
                        "price-capacity-optimized"
                    }
                })
                .set_spot_max_price(options.max_spot_price.clone())
                .build(),
        )
        .build()
}

struct GroupKeeper<'a> {
    provider: &'a AwsProvider,
    api: &'a RegionApi,
    group: &'a str,
    market: Market,
}

#[async_trait]
impl Keeper for GroupKeeper<'_> {
    async fn members(&self) -> Result<Vec<Member>> {
        let Some(group) = self.provider.describe_group(self.api, self.group).await? else {
            return Ok(Vec::new());
        };
        let at = At::new("DescribeAutoScalingGroups", &self.api.region);
        group
            .instances()
            .iter()
            .filter(|member| {
                member
                    .lifecycle_state()
                    .is_none_or(|state| !state.as_str().starts_with("Terminat"))
            })
            .map(|member| {
                Ok(Member {
                    id: member
                        .instance_id()
                        .ok_or_else(|| at.lacking("instance id"))?
                        .to_owned(),
                    instance_type: member.instance_type().unwrap_or_default().to_owned(),
                    zone: member.availability_zone().map(str::to_owned),
                    // A group does not say; what EC2 says replaces it.
                    market: self.market,
                })
            })
            .collect()
    }

    fn membership(&self) -> Membership {
        Membership::Group(self.group.to_owned())
    }

    async fn complaints(&self) -> Result<Vec<Error>> {
        let at = At::new("DescribeScalingActivities", &self.api.region);
        let answer = self
            .api
            .autoscaling
            .describe_scaling_activities()
            .auto_scaling_group_name(self.group)
            .send()
            .await
            .map_err(|error| at.error(error));
        let answer = match answer {
            Ok(answer) => answer,
            // The group is gone: it says nothing any more.
            Err(error) if error.kind() == Kind::Invalid => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        Ok(answer
            .activities()
            .iter()
            .filter(|activity| {
                activity
                    .status_code()
                    .is_some_and(|code| code.as_str() == "Failed")
            })
            .filter_map(|activity| activity.status_message())
            .map(|words| {
                let code = capacity_words(words).unwrap_or("InsufficientInstanceCapacity");
                reported("CreateAutoScalingGroup", code, words)
            })
            .collect())
    }

    async fn stop(&self, have: usize) -> Result<()> {
        self.provider.shrink_group(self.api, self.group, have).await
    }

    async fn discard(&self) -> Result<()> {
        self.provider.remove_group(self.api, self.group).await
    }
}
