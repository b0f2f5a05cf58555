//! `RunInstances`: one type in one place, one call for many machines.

use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, HttpTokensState, IamInstanceProfileSpecification,
    InstanceInterruptionBehavior, InstanceMarketOptionsRequest, InstanceMetadataOptionsRequest,
    InstanceNetworkInterfaceSpecification, LaunchTemplateSpecification, MarketType, Placement,
    ResourceType, SpotInstanceType, SpotMarketOptions,
};
use fleetwright_core::{Created, Error, Kind, Market, Node, Result, Scope};

use super::Wish;
use crate::api::RegionApi;
use crate::delete::Membership;
use crate::error::At;
use crate::options::AwsOptions;
use crate::provider::AwsProvider;

impl AwsProvider {
    pub(super) async fn run(&self, api: &RegionApi, wish: &Wish<'_>) -> Result<Created> {
        let at = At::new("RunInstances", &api.region);
        let call = request(api, wish)
            .client_token(wish.request.token.as_str())
            .min_count(1)
            .max_count(wish.count());
        let answer = call.send().await.map_err(|error| at.error(error))?;
        let nodes: Vec<Node> = answer
            .instances()
            .iter()
            .map(|instance| self.node(&api.region, instance))
            .collect::<Result<_>>()?;
        self.note_made(&nodes, &Membership::Single);
        let asked = usize::try_from(wish.request.count).unwrap_or(usize::MAX);
        if nodes.is_empty() {
            return Err(at.lacking("instances"));
        }
        if nodes.len() >= asked {
            return Ok(Created::all(nodes));
        }
        // "If you specify a value that is more capacity than Amazon EC2 can launch in the target
        // Availability Zone, Amazon EC2 launches the largest possible number of instances above
        // MinCount."
        let shortfall = Error::new(
            Kind::Capacity,
            format!(
                "EC2 could start {} of {asked} `{}`",
                nodes.len(),
                wish.request.spec.instance_type
            ),
        )
        .with_scope(Scope::Zone)
        .with_context("region", &*api.region);
        Ok(Created::partial(nodes, shortfall))
    }

    /// Asks EC2 whether it would take such a request, without making anything.
    ///
    /// # Errors
    /// What it would be refused with.
    pub(crate) async fn would_run(&self, api: &RegionApi, wish: &Wish<'_>) -> Result<()> {
        let at = At::new("RunInstances", &api.region);
        let call = request(api, wish)
            .min_count(1)
            .max_count(wish.count())
            .dry_run(true);
        match call.send().await {
            // "DryRunOperation: The user has the required permissions, so the request would have
            // succeeded, but the DryRun parameter was used."
            Err(error) if at_code(&error) == Some("DryRunOperation") => Ok(()),
            Err(error) => Err(at.error(error)),
            Ok(_) => Err(Error::new(
                Kind::Unexpected,
                "a dry run was answered as if it had been real",
            )),
        }
    }
}

fn at_code<E, R>(error: &aws_smithy_runtime_api::client::result::SdkError<E, R>) -> Option<&str>
where
    E: aws_smithy_types::error::metadata::ProvideErrorMetadata,
{
    error
        .as_service_error()
        .and_then(aws_smithy_types::error::metadata::ProvideErrorMetadata::code)
}

fn request(
    api: &RegionApi,
    wish: &Wish<'_>,
) -> aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder {
    let (spec, options) = (&wish.request.spec, &wish.options);
    let mut resources = vec![ResourceType::Instance, ResourceType::Volume];
    if spec.market == Market::Spot {
        resources.push(ResourceType::SpotInstancesRequest);
    }
    let mut call = api
        .ec2
        .run_instances()
        .instance_type(spec.instance_type.as_str().into())
        .set_image_id(wish.image.clone())
        .set_user_data(wish.user_data.clone())
        .set_key_name(options.key_name.clone())
        .set_tag_specifications(Some(wish.tag_specifications(&resources)))
        .set_block_device_mappings(root_volume(options))
        .metadata_options(metadata(options))
        .set_iam_instance_profile(instance_profile(options));
    if let Some(id) = &options.launch_template {
        call = call.launch_template(
            LaunchTemplateSpecification::builder()
                .launch_template_id(id)
                .version("$Default")
                .build(),
        );
    }
    if spec.market == Market::Spot {
        call = call.instance_market_options(spot(options));
    }
    let place = wish.places.first();
    let (subnet, zone) = place.map_or((None, None), |p| (p.subnet.clone(), p.zone.clone()));
    let groups = (!options.security_groups.is_empty()).then(|| options.security_groups.clone());
    if let Some(public) = options.public_address {
        // "If you specify a network interface, you must specify any security groups and subnets
        // as part of the network interface."
        call = call.network_interfaces(
            InstanceNetworkInterfaceSpecification::builder()
                .device_index(0)
                .associate_public_ip_address(public)
                .set_subnet_id(subnet.clone())
                .set_groups(groups)
                .build(),
        );
    } else {
        call = call
            .set_subnet_id(subnet.clone())
            .set_security_group_ids(groups);
    }
    match (subnet, zone) {
        (None, Some(zone)) => call.placement(Placement::builder().availability_zone(zone).build()),
        _ => call,
    }
}

fn spot(options: &AwsOptions) -> InstanceMarketOptionsRequest {
    InstanceMarketOptionsRequest::builder()
        .market_type(MarketType::Spot)
        .spot_options(
            SpotMarketOptions::builder()
                .spot_instance_type(SpotInstanceType::OneTime)
                .instance_interruption_behavior(InstanceInterruptionBehavior::Terminate)
                .set_max_price(options.max_spot_price.clone())
                .build(),
        )
        .build()
}

fn metadata(options: &AwsOptions) -> InstanceMetadataOptionsRequest {
    InstanceMetadataOptionsRequest::builder()
        .http_tokens(if options.metadata.tokens_required {
            HttpTokensState::Required
        } else {
            HttpTokensState::Optional
        })
        .http_put_response_hop_limit(options.metadata.hop_limit.into())
        .build()
}

fn instance_profile(options: &AwsOptions) -> Option<IamInstanceProfileSpecification> {
    let profile = options.instance_profile.as_deref()?;
    let builder = IamInstanceProfileSpecification::builder();
    Some(if profile.starts_with("arn:") {
        builder.arn(profile).build()
    } else {
        builder.name(profile).build()
    })
}

fn root_volume(options: &AwsOptions) -> Option<Vec<BlockDeviceMapping>> {
    let volume = options.root_volume.as_ref()?;
    let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    let ebs = EbsBlockDevice::builder()
        .volume_size(number(volume.size_gib))
        .volume_type(volume.kind.as_str().into())
        .set_iops(volume.iops.map(number))
        .set_throughput(volume.throughput_mib.map(number))
        .encrypted(volume.encrypted)
        .delete_on_termination(true)
        .build();
    Some(vec![
        BlockDeviceMapping::builder()
            .device_name(&volume.device)
            .ebs(ebs)
            .build(),
    ])
}
