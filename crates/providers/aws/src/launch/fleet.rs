//! `CreateFleet`: several types and places, AWS chooses.
//!
//! An instant fleet answers with its machines and its errors together; a request or maintain fleet
//! is waited for. <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFleet.html>

use async_trait::async_trait;
use aws_sdk_ec2::types::{
    DefaultTargetCapacityType, FleetExcessCapacityTerminationPolicy,
    FleetLaunchTemplateConfigRequest, FleetLaunchTemplateOverridesRequest,
    FleetLaunchTemplateSpecificationRequest, FleetOnDemandAllocationStrategy, FleetType as Type,
    InstanceLifecycle, InstanceType, OnDemandOptionsRequest, ResourceType, SpotAllocationStrategy,
    SpotInstanceInterruptionBehavior, SpotOptionsRequest, TagSpecification,
    TargetCapacitySpecificationRequest,
};
use fleetwright_core::{Created, Error, Kind, Market, Result};

use super::Wish;
use super::awaited::{Keeper, Member};
use crate::api::RegionApi;
use crate::delete::Membership;
use crate::error::{At, reported};
use crate::options::{AwsOptions, FleetType, OnDemandAllocation, SpotAllocation};
use crate::provider::AwsProvider;

impl AwsProvider {
    pub(super) async fn fleet(&self, api: &RegionApi, wish: &Wish<'_>) -> Result<Created> {
        let (template, own) = match &wish.options.launch_template {
            Some(id) => (id.clone(), false),
            None => (self.make_template(api, wish).await?, true),
        };
        let created = self.fleet_from(api, wish, &template, own).await;
        let needed = wish.options.fleet_type != FleetType::Instant && created.is_ok();
        // After an unclear answer the replay needs it again.
        let unsure = matches!(&created, Err(e) if e.effect() == fleetwright_core::Effect::Unknown);
        if own && !needed && !unsure {
            self.drop_template(api, &template).await;
        }
        created
    }

    async fn fleet_from(
        &self,
        api: &RegionApi,
        wish: &Wish<'_>,
        template: &str,
        own: bool,
    ) -> Result<Created> {
        let at = At::new("CreateFleet", &api.region);
        let options = &wish.options;
        let instant = options.fleet_type == FleetType::Instant;
        // "If the fleet type is instant, specify a resource type of instance to tag the instances
        // at launch. For request or maintain, specify tags in the launch template."
        let mut tags = vec![
            TagSpecification::builder()
                .resource_type(ResourceType::Fleet)
                .set_tags(Some(wish.keeper_tags()))
                .build(),
        ];
        if instant {
            tags.extend(wish.tag_specifications(&[ResourceType::Instance, ResourceType::Volume]));
        }
        let call = api
            .ec2
            .create_fleet()
            .client_token(wish.request.token.as_str())
            .r#type(match options.fleet_type {
                FleetType::Instant => Type::Instant,
                FleetType::Request => Type::Request,
                FleetType::Maintain => Type::Maintain,
            })
            .launch_template_configs(config(wish, template, own))
            .target_capacity_specification(target(wish))
            .set_tag_specifications(Some(tags));
        let call = match wish.request.spec.market {
            Market::Spot => call
                .spot_options(spot(options))
                .on_demand_options(on_demand(options)),
            Market::OnDemand => call.on_demand_options(on_demand(options)),
        };
        let call = if options.fleet_type == FleetType::Maintain {
            call.excess_capacity_termination_policy(
                FleetExcessCapacityTerminationPolicy::NoTermination,
            )
        } else {
            call
        };
        let answer = call.send().await.map_err(|error| at.error(error))?;
        let fleet = answer.fleet_id().ok_or_else(|| at.lacking("fleet id"))?;
        if !instant {
            let keeper = FleetKeeper {
                provider: self,
                api,
                fleet,
                template: own.then_some(template),
                kind: options.fleet_type,
            };
            return self.await_members(api, wish, &keeper).await;
        }
        let members: Vec<Member> = answer
            .instances()
            .iter()
            .flat_map(|set| {
                let chosen = set
                    .launch_template_and_overrides()
                    .and_then(|both| both.overrides());
                let zone = set
                    .availability_zone()
                    .or_else(|| chosen.and_then(|chosen| chosen.availability_zone()));
                set.instance_ids().iter().map(move |id| Member {
                    id: id.clone(),
                    instance_type: set
                        .instance_type()
                        .map(|t| t.as_str().to_owned())
                        .unwrap_or_default(),
                    zone: zone.map(str::to_owned),
                    market: market(set.lifecycle()),
                })
            })
            .collect();
        let errors: Vec<Error> = answer
            .errors()
            .iter()
            .map(|error| {
                let place = error
                    .launch_template_and_overrides()
                    .and_then(|both| both.overrides());
                let mut told = reported(
                    "CreateFleet",
                    error.error_code().unwrap_or("Unknown"),
                    error.error_message().unwrap_or_default(),
                )
                .with_context("region", &*api.region);
                if let Some(place) = place {
                    let words: Vec<&str> = [
                        place.instance_type().map(InstanceType::as_str),
                        place.availability_zone(),
                        place.subnet_id(),
                    ]
                    .into_iter()
                    .flatten()
                    .collect();
                    told = told.with_context("override", words.join(" "));
                }
                told
            })
            .collect();
        self.instant(api, wish, fleet, &members, errors)
    }

    /// What an instant fleet answered: machines and errors together are a partial success.
    fn instant(
        &self,
        api: &RegionApi,
        wish: &Wish<'_>,
        fleet: &str,
        members: &[Member],
        errors: Vec<Error>,
    ) -> Result<Created> {
        let nodes = members
            .iter()
            .map(|member| self.promised(&api.region, wish, member))
            .collect::<Result<Vec<_>>>()?;
        self.note_made(&nodes, &Membership::Fleet(fleet.to_owned()));
        let asked = usize::try_from(wish.request.count).unwrap_or(usize::MAX);
        if nodes.len() >= asked {
            return Ok(Created::all(nodes));
        }
        let shortfall = worst(errors).unwrap_or_else(|| {
            Error::new(
                Kind::Capacity,
                format!("the fleet has {} of {asked} machines", nodes.len()),
            )
            .with_scope(fleetwright_core::Scope::Zone)
        });
        if nodes.is_empty() {
            return Err(shortfall.with_effect(fleetwright_core::Effect::None));
        }
        Ok(Created::partial(nodes, shortfall))
    }
}

/// The error that decides what happens next, with the others as context.
fn worst(errors: Vec<Error>) -> Option<Error> {
    let others: Vec<String> = errors
        .iter()
        .map(|error| {
            let place = error.context().find(|(name, _)| *name == "override");
            format!("{}: {error}", place.map_or("a fleet", |(_, place)| place))
        })
        .collect();
    let chosen = errors.into_iter().min_by_key(|error| match error.kind() {
        Kind::Auth | Kind::Permission => 0,
        Kind::Quota => 1,
        Kind::Capacity => 2,
        Kind::RateLimited | Kind::Unavailable | Kind::Timeout => 3,
        _ => 4,
    })?;
    Some(chosen.with_context("overrides", others.join("; ")))
}

pub(super) fn market(lifecycle: Option<&InstanceLifecycle>) -> Market {
    match lifecycle {
        Some(InstanceLifecycle::Spot) => Market::Spot,
        _ => Market::OnDemand,
    }
}

fn config(wish: &Wish<'_>, template: &str, own: bool) -> FleetLaunchTemplateConfigRequest {
    let specification = FleetLaunchTemplateSpecificationRequest::builder().version("$Default");
    let specification = if own {
        specification.launch_template_name(template).build()
    } else {
        specification.launch_template_id(template).build()
    };
    let mut config =
        FleetLaunchTemplateConfigRequest::builder().launch_template_specification(specification);
    let mut priority = 0.0;
    for instance_type in wish.types() {
        for place in &wish.places {
            config = config.overrides(
                FleetLaunchTemplateOverridesRequest::builder()
                    .instance_type(instance_type.into())
                    .set_subnet_id(place.subnet.clone())
                    .set_availability_zone(match place.subnet {
                        Some(_) => None,
                        None => place.zone.clone(),
                    })
                    .set_max_price(wish.options.max_spot_price.clone())
                    .priority(priority)
                    .set_image_id(if own { None } else { wish.image.clone() })
                    .build(),
            );
        }
        priority += 1.0;
    }
    config.build()
}

fn target(wish: &Wish<'_>) -> TargetCapacitySpecificationRequest {
    let count = wish.request.count;
    let on_demand = match wish.request.spec.market {
        Market::OnDemand => count,
        Market::Spot => wish.options.on_demand_share(count),
    };
    let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    TargetCapacitySpecificationRequest::builder()
        .total_target_capacity(number(count))
        .on_demand_target_capacity(number(on_demand))
        .spot_target_capacity(number(count - on_demand))
        .default_target_capacity_type(match wish.request.spec.market {
            Market::OnDemand => DefaultTargetCapacityType::OnDemand,
            Market::Spot => DefaultTargetCapacityType::Spot,
        })
        .build()
}

fn spot(options: &AwsOptions) -> SpotOptionsRequest {
    SpotOptionsRequest::builder()
        .allocation_strategy(match options.spot_allocation {
            SpotAllocation::PriceCapacityOptimized => {
                SpotAllocationStrategy::PriceCapacityOptimized
            }
            SpotAllocation::CapacityOptimized => SpotAllocationStrategy::CapacityOptimized,
            SpotAllocation::CapacityOptimizedPrioritized => {
                SpotAllocationStrategy::CapacityOptimizedPrioritized
            }
            SpotAllocation::Diversified => SpotAllocationStrategy::Diversified,
            SpotAllocation::LowestPrice => SpotAllocationStrategy::LowestPrice,
        })
        .instance_interruption_behavior(SpotInstanceInterruptionBehavior::Terminate)
        .build()
}

fn on_demand(options: &AwsOptions) -> OnDemandOptionsRequest {
    OnDemandOptionsRequest::builder()
        .allocation_strategy(match options.on_demand_allocation {
            OnDemandAllocation::LowestPrice => FleetOnDemandAllocationStrategy::LowestPrice,
            OnDemandAllocation::Prioritized => FleetOnDemandAllocationStrategy::Prioritized,
        })
        .build()
}

struct FleetKeeper<'a> {
    provider: &'a AwsProvider,
    api: &'a RegionApi,
    fleet: &'a str,
    template: Option<&'a str>,
    kind: FleetType,
}

#[async_trait]
impl Keeper for FleetKeeper<'_> {
    async fn members(&self) -> Result<Vec<Member>> {
        let at = At::new("DescribeFleetInstances", &self.api.region);
        let mut members = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let page = self
                .api
                .ec2
                .describe_fleet_instances()
                .fleet_id(self.fleet)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| at.error(error))?;
            for active in page.active_instances() {
                members.push(Member::active(&at, active)?);
            }
            next = page
                .next_token()
                .filter(|t| !t.is_empty())
                .map(str::to_owned);
            if next.is_none() {
                return Ok(members);
            }
        }
    }

    fn membership(&self) -> Membership {
        Membership::Fleet(self.fleet.to_owned())
    }

    async fn complaints(&self) -> Result<Vec<Error>> {
        let at = At::new("DescribeFleetHistory", &self.api.region);
        let answer = self
            .api
            .ec2
            .describe_fleet_history()
            .fleet_id(self.fleet)
            .start_time(aws_smithy_types::DateTime::from_secs(
                self.provider.clock().now().as_second() - super::HISTORY,
            ))
            .send()
            .await
            .map_err(|error| at.error(error))?;
        Ok(answer
            .history_records()
            .iter()
            .filter(|record| {
                record
                    .event_type()
                    .is_some_and(|kind| kind.as_str().to_ascii_lowercase().contains("error"))
            })
            .filter_map(|record| record.event_information())
            .map(|told| super::complaint("CreateFleet", told))
            .collect())
    }

    async fn stop(&self, have: usize) -> Result<()> {
        if have == 0 || self.kind == FleetType::Request {
            // A request fleet cannot be modified; deleted without its machines it launches no more.
            return self
                .provider
                .delete_fleet(self.api, self.fleet, false)
                .await;
        }
        self.provider.lower_fleet(self.api, self.fleet, have).await
    }

    async fn discard(&self) -> Result<()> {
        self.provider
            .delete_fleet(self.api, self.fleet, true)
            .await?;
        match self.template {
            Some(template) => self.provider.remove_template(self.api, template).await,
            None => Ok(()),
        }
    }
}
