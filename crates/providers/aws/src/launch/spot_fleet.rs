//! `RequestSpotFleet`: the older form of fleets, which takes no token.
//!
//! So the request carries the token as a tag, and before one is made those that are there are
//! looked through; a replay first waits until a listing would show what the call before it made.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RequestSpotFleet.html>

use async_trait::async_trait;
use aws_sdk_ec2::types::{
    AllocationStrategy, ExcessCapacityTerminationPolicy, FleetLaunchTemplateSpecification,
    FleetType as Type, InstanceInterruptionBehavior, LaunchTemplateConfig, LaunchTemplateOverrides,
    OnDemandAllocationStrategy, ResourceType, SpotFleetRequestConfig, SpotFleetRequestConfigData,
    Tag, TagSpecification,
};
use fleetwright_core::{Created, Effect, Error, Kind, Market, Result, keys};

use super::awaited::{Keeper, Member};
use super::{PARAMETERS, Wish};
use crate::api::RegionApi;
use crate::delete::Membership;
use crate::error::At;
use crate::options::{FleetType, OnDemandAllocation, SpotAllocation};
use crate::provider::AwsProvider;

impl AwsProvider {
    pub(super) async fn spot_fleet(&self, api: &RegionApi, wish: &Wish<'_>) -> Result<Created> {
        if wish.request.replay {
            self.clock().sleep(self.config().listing_lag.0).await;
        }
        let request = if let Some(made) = self.made_before(api, wish).await? {
            made
        } else {
            let template = self.make_template(api, wish).await?;
            let asked = self.request_spot_fleet(api, wish, &template).await;
            if asked
                .as_ref()
                .is_err_and(|error| error.effect() == Effect::None)
            {
                self.drop_template(api, &template).await;
            }
            asked?
        };
        let template = super::template_name(wish.request);
        let keeper = SpotFleetKeeper {
            provider: self,
            api,
            request: &request,
            template: &template,
            kind: wish.options.fleet_type,
        };
        self.await_members(api, wish, &keeper).await
    }

    /// The request that carries this token, if there is one.
    async fn made_before(&self, api: &RegionApi, wish: &Wish<'_>) -> Result<Option<String>> {
        let token = wish.request.token.as_str();
        for request in self.spot_fleet_requests(api, None).await? {
            if value(request.tags(), keys::CLAIM) != Some(token) {
                continue;
            }
            if value(request.tags(), PARAMETERS) != Some(wish.request.parameters().short()) {
                return Err(Error::new(
                    Kind::Conflict,
                    format!("token `{token}` was used with other parameters"),
                ));
            }
            return Ok(request.spot_fleet_request_id().map(str::to_owned));
        }
        Ok(None)
    }

    /// Spot Fleet requests, all or one, over all pages.
    pub(crate) async fn spot_fleet_requests(
        &self,
        api: &RegionApi,
        id: Option<&str>,
    ) -> Result<Vec<SpotFleetRequestConfig>> {
        let at = At::new("DescribeSpotFleetRequests", &api.region);
        let mut all = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let page = api
                .ec2
                .describe_spot_fleet_requests()
                .set_spot_fleet_request_ids(id.map(|id| vec![id.to_owned()]))
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| at.error(error))?;
            all.extend_from_slice(page.spot_fleet_request_configs());
            next = page
                .next_token()
                .filter(|t| !t.is_empty())
                .map(str::to_owned);
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    async fn request_spot_fleet(
        &self,
        api: &RegionApi,
        wish: &Wish<'_>,
        template: &str,
    ) -> Result<String> {
        let at = At::new("RequestSpotFleet", &api.region);
        let role = if let Some(role) = &wish.options.spot_fleet_role {
            role.clone()
        } else {
            let account = self.account_id().await?;
            format!("arn:aws:iam::{account}:role/aws-ec2-spot-fleet-tagging-role")
        };
        let answer = api
            .ec2
            .request_spot_fleet()
            .spot_fleet_request_config(config(wish, template, role))
            .send()
            .await
            .map_err(|error| at.error(error))?;
        answer
            .spot_fleet_request_id()
            .map(str::to_owned)
            .ok_or_else(|| at.lacking("spot fleet request id"))
    }
}

fn value<'t>(tags: &'t [Tag], key: &str) -> Option<&'t str> {
    tags.iter().find(|tag| tag.key() == Some(key))?.value()
}

fn config(wish: &Wish<'_>, template: &str, role: String) -> SpotFleetRequestConfigData {
    let options = &wish.options;
    let count = wish.request.count;
    let on_demand = match wish.request.spec.market {
        Market::OnDemand => count,
        Market::Spot => options.on_demand_share(count),
    };
    let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    let mut templates = LaunchTemplateConfig::builder().launch_template_specification(
        FleetLaunchTemplateSpecification::builder()
            .launch_template_name(template)
            .version("1")
            .build(),
    );
    let mut priority = 0.0;
    for instance_type in wish.types() {
        for place in &wish.places {
            templates = templates.overrides(
                LaunchTemplateOverrides::builder()
                    .instance_type(instance_type.into())
                    .set_subnet_id(place.subnet.clone())
                    .set_availability_zone(match place.subnet {
                        Some(_) => None,
                        None => place.zone.clone(),
                    })
                    .set_spot_price(options.max_spot_price.clone())
                    .priority(priority)
                    .build(),
            );
        }
        priority += 1.0;
    }
    let maintain = options.fleet_type == FleetType::Maintain;
    SpotFleetRequestConfigData::builder()
        .client_token(wish.request.token.as_str())
        .iam_fleet_role(role)
        .r#type(if maintain {
            Type::Maintain
        } else {
            Type::Request
        })
        .set_replace_unhealthy_instances(maintain.then_some(false))
        .target_capacity(number(count))
        .on_demand_target_capacity(number(on_demand))
        .allocation_strategy(match options.spot_allocation {
            SpotAllocation::PriceCapacityOptimized => AllocationStrategy::PriceCapacityOptimized,
            SpotAllocation::CapacityOptimized => AllocationStrategy::CapacityOptimized,
            SpotAllocation::CapacityOptimizedPrioritized => {
                AllocationStrategy::CapacityOptimizedPrioritized
            }
            SpotAllocation::Diversified => AllocationStrategy::Diversified,
            SpotAllocation::LowestPrice => AllocationStrategy::LowestPrice,
        })
        .on_demand_allocation_strategy(match options.on_demand_allocation {
            OnDemandAllocation::LowestPrice => OnDemandAllocationStrategy::LowestPrice,
            OnDemandAllocation::Prioritized => OnDemandAllocationStrategy::Prioritized,
        })
        .excess_capacity_termination_policy(ExcessCapacityTerminationPolicy::NoTermination)
        .instance_interruption_behavior(InstanceInterruptionBehavior::Terminate)
        .launch_template_configs(templates.build())
        .tag_specifications(
            TagSpecification::builder()
                .resource_type(ResourceType::SpotFleetRequest)
                .set_tags(Some(wish.keeper_tags()))
                .build(),
        )
        .build()
}

struct SpotFleetKeeper<'a> {
    provider: &'a AwsProvider,
    api: &'a RegionApi,
    request: &'a str,
    template: &'a str,
    kind: FleetType,
}

#[async_trait]
impl Keeper for SpotFleetKeeper<'_> {
    async fn members(&self) -> Result<Vec<Member>> {
        let at = At::new("DescribeSpotFleetInstances", &self.api.region);
        let mut members = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let page = self
                .api
                .ec2
                .describe_spot_fleet_instances()
                .spot_fleet_request_id(self.request)
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
        Membership::SpotFleet(self.request.to_owned())
    }

    async fn complaints(&self) -> Result<Vec<Error>> {
        let at = At::new("DescribeSpotFleetRequestHistory", &self.api.region);
        let answer = self
            .api
            .ec2
            .describe_spot_fleet_request_history()
            .spot_fleet_request_id(self.request)
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
                    .is_some_and(|kind| kind.as_str() == "error")
            })
            .filter_map(|record| record.event_information())
            .map(|told| super::complaint("RequestSpotFleet", told))
            .collect())
    }

    async fn stop(&self, have: usize) -> Result<()> {
        if have == 0 || self.kind != FleetType::Maintain {
            return self
                .provider
                .cancel_spot_fleet(self.api, self.request, false)
                .await;
        }
        self.provider
            .lower_spot_fleet(self.api, self.request, have)
            .await
    }

    async fn discard(&self) -> Result<()> {
        self.provider
            .cancel_spot_fleet(self.api, self.request, true)
            .await?;
        self.provider.remove_template(self.api, self.template).await
    }
}
