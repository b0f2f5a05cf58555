//! Fleets, Spot Fleet requests and groups of ours: lowered before a member goes, and removed when
//! they have none.
//!
//! Never the other way round: a fleet that maintains its target replaces what goes, and a group
//! whose size is lowered picks its victim itself.

use aws_sdk_ec2::types::{
    FleetData, FleetStateCode, FleetType, Tag, TargetCapacitySpecification,
    TargetCapacitySpecificationRequest,
};
use fleetwright_core::{Error, Kind, Result};

use crate::api::RegionApi;
use crate::delete::Left;
use crate::error::{At, reported};
use crate::launch::template_of;
use crate::provider::AwsProvider;

fn value<'t>(tags: &'t [Tag], key: &str) -> Option<&'t str> {
    tags.iter().find(|tag| tag.key() == Some(key))?.value()
}

// === EC2 Fleet ===

impl AwsProvider {
    /// A fleet by its id; `None` if EC2 does not know it.
    pub(crate) async fn describe_fleet(
        &self,
        api: &RegionApi,
        fleet: &str,
    ) -> Result<Option<FleetData>> {
        let at = At::new("DescribeFleets", &api.region);
        let answer = api.ec2.describe_fleets().fleet_ids(fleet).send().await;
        match answer.map_err(|error| at.error(error)) {
            Ok(answer) => Ok(answer.fleets().first().cloned()),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What a fleet maintains once so many of its machines are gone. A fleet that maintains nothing
    /// is over as soon as it has no machines.
    pub(crate) async fn left_in_fleet(
        &self,
        api: &RegionApi,
        fleet: &str,
        going: usize,
    ) -> Result<Left> {
        let Some(known) = self.describe_fleet(api, fleet).await? else {
            return Ok(Left::Unsaid);
        };
        if known.r#type() != Some(&FleetType::Maintain) || !is_active(&known) {
            return Ok(Left::None);
        }
        let target = known
            .target_capacity_specification()
            .and_then(TargetCapacitySpecification::total_target_capacity)
            .and_then(|target| usize::try_from(target).ok())
            .ok_or_else(|| At::new("DescribeFleets", &api.region).lacking("target capacity"))?;
        Ok(Left::of(target, going))
    }

    /// Sets what a fleet maintains to so many machines, without ending any.
    pub(crate) async fn lower_fleet(
        &self,
        api: &RegionApi,
        fleet: &str,
        machines: usize,
    ) -> Result<()> {
        let at = At::new("ModifyFleet", &api.region);
        let total = i32::try_from(machines).unwrap_or(i32::MAX);
        let known = self.describe_fleet(api, fleet).await?;
        // The on-demand part must not be above the whole.
        let on_demand = known
            .as_ref()
            .and_then(FleetData::target_capacity_specification)
            .and_then(TargetCapacitySpecification::on_demand_target_capacity)
            .map(|part| part.min(total));
        let target = TargetCapacitySpecificationRequest::builder()
            .total_target_capacity(total)
            .set_on_demand_target_capacity(on_demand)
            .set_spot_target_capacity(on_demand.map(|part| total - part))
            .build();
        api.ec2
            .modify_fleet()
            .fleet_id(fleet)
            .excess_capacity_termination_policy(
                aws_sdk_ec2::types::FleetExcessCapacityTerminationPolicy::NoTermination,
            )
            .target_capacity_specification(target)
            .send()
            .await
            .map(drop)
            .map_err(|error| at.error(error))
    }

    /// Deletes a fleet. One that is gone is fine.
    pub(crate) async fn delete_fleet(
        &self,
        api: &RegionApi,
        fleet: &str,
        with_machines: bool,
    ) -> Result<()> {
        let at = At::new("DeleteFleets", &api.region);
        let answer = api
            .ec2
            .delete_fleets()
            .fleet_ids(fleet)
            .terminate_instances(with_machines)
            .send()
            .await
            .map_err(|error| at.error(error))?;
        // The call succeeds although it failed for this fleet.
        for failed in answer.unsuccessful_fleet_deletions() {
            let (code, message) = failed
                .error()
                .map(|e| {
                    (
                        e.code().map_or("", |c| c.as_str()),
                        e.message().unwrap_or_default(),
                    )
                })
                .unwrap_or_default();
            let error = reported("DeleteFleets", code, message);
            let over = matches!(code, "fleetIdDoesNotExist" | "fleetNotInDeletableState");
            if !over {
                return Err(error.with_context("region", &*api.region));
            }
        }
        Ok(())
    }

    /// Removes a fleet with whatever machines it has, its template first.
    pub(crate) async fn remove_fleet(&self, api: &RegionApi, fleet: &str) -> Result<()> {
        let Some(known) = self.describe_fleet(api, fleet).await? else {
            return Ok(());
        };
        if let Some(template) = template_of(|key| value(known.tags(), key)) {
            self.remove_template(api, &template).await?;
        }
        match known.r#type() {
            Some(FleetType::Instant) => Ok(()),
            // Only what is told to keep none takes machines with it.
            kind if is_active(&known) => {
                let maintained = kind == Some(&FleetType::Maintain);
                self.delete_fleet(api, fleet, maintained).await
            }
            _ => Ok(()),
        }
    }
}

fn is_active(fleet: &FleetData) -> bool {
    !matches!(
        fleet.fleet_state(),
        Some(
            FleetStateCode::Deleted
                | FleetStateCode::DeletedRunning
                | FleetStateCode::DeletedTerminatingInstances
                | FleetStateCode::Failed
        )
    )
}

// === Spot Fleet ===

impl AwsProvider {
    /// What a Spot Fleet request maintains once so many of its machines are gone.
    pub(crate) async fn left_in_spot_fleet(
        &self,
        api: &RegionApi,
        request: &str,
        going: usize,
    ) -> Result<Left> {
        let known = self.spot_fleet_requests(api, Some(request)).await?;
        let Some(config) = known
            .first()
            .filter(|known| is_live(known))
            .and_then(|known| known.spot_fleet_request_config())
        else {
            return Ok(Left::None);
        };
        if config.r#type() != Some(&FleetType::Maintain) {
            return Ok(Left::None);
        }
        let target = config
            .target_capacity()
            .and_then(|target| usize::try_from(target).ok())
            .ok_or_else(|| {
                At::new("DescribeSpotFleetRequests", &api.region).lacking("target capacity")
            })?;
        Ok(Left::of(target, going))
    }

    /// Sets what a Spot Fleet request maintains to so many machines, without ending any.
    pub(crate) async fn lower_spot_fleet(
        &self,
        api: &RegionApi,
        request: &str,
        machines: usize,
    ) -> Result<()> {
        let at = At::new("ModifySpotFleetRequest", &api.region);
        let total = i32::try_from(machines).unwrap_or(i32::MAX);
        // The on-demand part must not be above the whole.
        let known = self.spot_fleet_requests(api, Some(request)).await?;
        let on_demand = known
            .first()
            .and_then(|known| {
                known
                    .spot_fleet_request_config()?
                    .on_demand_target_capacity()
            })
            .map(|part| part.min(total));
        api.ec2
            .modify_spot_fleet_request()
            .spot_fleet_request_id(request)
            .target_capacity(total)
            .set_on_demand_target_capacity(on_demand)
            .excess_capacity_termination_policy(
                aws_sdk_ec2::types::ExcessCapacityTerminationPolicy::NoTermination,
            )
            .send()
            .await
            .map(drop)
            .map_err(|error| at.error(error))
    }

    /// Cancels a Spot Fleet request. One that is gone is fine.
    pub(crate) async fn cancel_spot_fleet(
        &self,
        api: &RegionApi,
        request: &str,
        with_machines: bool,
    ) -> Result<()> {
        let at = At::new("CancelSpotFleetRequests", &api.region);
        let answer = api
            .ec2
            .cancel_spot_fleet_requests()
            .spot_fleet_request_ids(request)
            .terminate_instances(with_machines)
            .send()
            .await
            .map_err(|error| at.error(error))?;
        for failed in answer.unsuccessful_fleet_requests() {
            let (code, message) = failed
                .error()
                .map(|e| {
                    (
                        e.code().map_or("", |c| c.as_str()),
                        e.message().unwrap_or_default(),
                    )
                })
                .unwrap_or_default();
            let over = matches!(
                code,
                "fleetRequestIdDoesNotExist" | "fleetRequestNotInCancellableState"
            );
            if !over {
                let error = reported("CancelSpotFleetRequests", code, message);
                return Err(error.with_context("region", &*api.region));
            }
        }
        Ok(())
    }

    /// Removes a Spot Fleet request with whatever machines it has, its template first.
    pub(crate) async fn remove_spot_fleet(&self, api: &RegionApi, request: &str) -> Result<()> {
        let known = match self.spot_fleet_requests(api, Some(request)).await {
            Ok(known) => known,
            Err(error) if error.kind() == Kind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for fleet in known {
            if let Some(template) = template_of(|key| value(fleet.tags(), key)) {
                self.remove_template(api, &template).await?;
            }
            if is_live(&fleet) {
                let maintained = fleet
                    .spot_fleet_request_config()
                    .is_some_and(|config| config.r#type() == Some(&FleetType::Maintain));
                self.cancel_spot_fleet(api, request, maintained).await?;
            }
        }
        Ok(())
    }
}

fn is_live(request: &aws_sdk_ec2::types::SpotFleetRequestConfig) -> bool {
    request
        .spot_fleet_request_state()
        .is_some_and(|state| matches!(state.as_str(), "active" | "submitted" | "modifying"))
}

// === Auto Scaling group ===

impl AwsProvider {
    /// Removes a group with whatever machines it has, its template first. Gone is fine.
    pub(crate) async fn remove_group(&self, api: &RegionApi, group: &str) -> Result<()> {
        let at = At::new("DeleteAutoScalingGroup", &api.region);
        let Some(known) = self.describe_group(api, group).await? else {
            return Ok(());
        };
        let tag = |key: &str| {
            let tags = known.tags();
            tags.iter().find(|tag| tag.key() == Some(key))?.value()
        };
        if let Some(template) = template_of(tag) {
            self.remove_template(api, &template).await?;
        }
        let answer = api
            .autoscaling
            .delete_auto_scaling_group()
            .auto_scaling_group_name(group)
            .force_delete(true)
            .send()
            .await;
        match answer.map_err(|error| at.error(error)) {
            // The answer is empty, so whatever came in its place looks like a success.
            Ok(_) => match self.describe_group(api, group).await? {
                Some(group) if group.status().is_none() => return Err(at.lacking("effect")),
                _ => {}
            },
            Err(error) if is_no_such_group(&error) => {}
            Err(error) => return Err(error),
        }
        // They go with their group; whoever was protected in it goes for certain.
        let members: Vec<String> = known
            .instances()
            .iter()
            .filter_map(|member| member.instance_id().map(str::to_owned))
            .collect();
        self.terminate(api, members).await.map(drop)
    }
}

/// Auto Scaling says it with a `ValidationError`: "AutoScalingGroup name not found".
pub(crate) fn is_no_such_group(error: &Error) -> bool {
    error.kind() == Kind::Invalid && error.to_string().contains("name not found")
}
