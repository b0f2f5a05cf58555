//! Asking whether EC2 would take a request, and giving one up.
//!
//! A fleet that is not instant, and a group, launch machines after the call that made them has
//! been answered. To give such a request up is to find what it made, and to tell that to launch no
//! more. Machines that it has stay; the engine finds them by their label.

use async_trait::async_trait;
use aws_sdk_ec2::types::{FleetData, FleetType as Type};
use fleetwright_core::{CreateRequest, Error, Kind, Requests, Result, keys};

use crate::api::RegionApi;
use crate::error::At;
use crate::launch::template_name;
use crate::options::{AwsOptions, FleetType, Launch};
use crate::provider::AwsProvider;

#[async_trait]
impl Requests for AwsProvider {
    async fn preflight(&self, request: &CreateRequest) -> Result<()> {
        self.checked(request)?;
        let api = self.api().region(&request.spec.region).await?;
        let wish = self.wish(api, request).await?;
        for further in &wish.options.types {
            self.architecture(api, further).await?;
        }
        self.would_run(api, &wish).await
    }

    async fn give_up(&self, request: &CreateRequest) -> Result<()> {
        let options = AwsOptions::read(&request.spec.options)?;
        let api = self.api().region(&request.spec.region).await?;
        let token = request.token.as_str();
        let lists = match options.launch {
            Launch::Fleet => options.fleet_type != FleetType::Instant,
            Launch::SpotFleet => true,
            Launch::Run | Launch::Group => false,
        };
        if lists {
            // What was made a moment ago may not be listed yet.
            self.clock().sleep(self.config().listing_lag.0).await;
        }
        match (options.launch, options.fleet_type) {
            // The answer of these is all that ever comes.
            (Launch::Run, _) => return Ok(()),
            (Launch::Fleet, FleetType::Instant) => {}
            (Launch::Fleet, _) => {
                for fleet in self.fleets_of(api, token).await? {
                    if let Some(id) = fleet.fleet_id() {
                        self.delete_fleet(api, id, false).await?;
                    }
                }
            }
            (Launch::SpotFleet, _) => {
                for fleet in self.spot_fleet_requests(api, None).await? {
                    let ours = fleet
                        .tags()
                        .iter()
                        .any(|tag| tag.key() == Some(keys::CLAIM) && tag.value() == Some(token));
                    if let (true, Some(id)) = (ours, fleet.spot_fleet_request_id()) {
                        self.cancel_spot_fleet(api, id, false).await?;
                    }
                }
            }
            (Launch::Group, _) => {
                let name = format!("fleetwright-{token}");
                if let Some(group) = self.describe_group(api, &name).await? {
                    let have = group.instances().len();
                    self.shrink_group(api, &name, have).await?;
                    if have > 0 {
                        // Its members need its template until they are gone.
                        return Ok(());
                    }
                    self.remove_group(api, &name).await?;
                }
            }
        }
        if self.has_machines(api, token).await? {
            return Ok(());
        }
        self.remove_template(api, &template_name(request)).await
    }
}

impl AwsProvider {
    /// The fleets that launch on their own and were made with this token.
    async fn fleets_of(&self, api: &RegionApi, token: &str) -> Result<Vec<FleetData>> {
        let at = At::new("DescribeFleets", &api.region);
        let mut found = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let page = api
                .ec2
                .describe_fleets()
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| at.error(error))?;
            found.extend(
                page.fleets()
                    .iter()
                    .filter(|fleet| {
                        fleet.client_token() == Some(token)
                            && fleet.r#type() != Some(&Type::Instant)
                    })
                    .cloned(),
            );
            next = page
                .next_token()
                .filter(|t| !t.is_empty())
                .map(str::to_owned);
            if next.is_none() {
                return Ok(found);
            }
        }
    }

    /// Sets a group to the size that it has, so that it launches no more.
    pub(crate) async fn shrink_group(
        &self,
        api: &RegionApi,
        group: &str,
        have: usize,
    ) -> Result<()> {
        let at = At::new("UpdateAutoScalingGroup", &api.region);
        let have = i32::try_from(have).map_err(|e| {
            Error::new(Kind::Unexpected, "more machines than can be").with_source(e)
        })?;
        api.autoscaling
            .update_auto_scaling_group()
            .auto_scaling_group_name(group)
            .min_size(0)
            .desired_capacity(have)
            .max_size(have)
            .send()
            .await
            .map(drop)
            .map_err(|error| at.error(error))
    }
}
