//! Launch templates: what fleets and groups make machines from.
//!
//! One template per request, named after its token and its parameters: a repeated call finds it
//! again, and a call with other parameters cannot take it for its own. It is removed with the last
//! machine that needs it, or at once where nothing needs it any more.

use aws_sdk_ec2::types::{
    LaunchTemplateBlockDeviceMappingRequest, LaunchTemplateEbsBlockDeviceRequest,
    LaunchTemplateHttpTokensState, LaunchTemplateIamInstanceProfileSpecificationRequest,
    LaunchTemplateInstanceMetadataOptionsRequest,
    LaunchTemplateInstanceNetworkInterfaceSpecificationRequest,
    LaunchTemplateTagSpecificationRequest, RequestLaunchTemplateData, ResourceType,
    TagSpecification,
};
use fleetwright_core::{CreateRequest, Kind, Result, keys};

use super::{PARAMETERS, Wish};
use crate::api::RegionApi;
use crate::error::At;
use crate::options::AwsOptions;
use crate::provider::AwsProvider;

/// What the names of our templates begin with.
const PREFIX: &str = "fleetwright-";

/// The name of a request's template. At most 67 of 128 characters.
pub(crate) fn template_name(request: &CreateRequest) -> String {
    named(request.token.as_str(), request.parameters().short())
}

/// The name of the template of a fleet or group of ours, by its tags: AWS shows templates by id.
pub(crate) fn template_of<'t>(tag: impl Fn(&str) -> Option<&'t str>) -> Option<String> {
    Some(named(tag(keys::CLAIM)?, tag(PARAMETERS)?))
}

fn named(token: &str, parameters: &str) -> String {
    format!("{PREFIX}{token}-{parameters}")
}

impl AwsProvider {
    /// Makes the template of a request, or finds that it is there.
    pub(super) async fn make_template(&self, api: &RegionApi, wish: &Wish<'_>) -> Result<String> {
        let name = template_name(wish.request);
        self.make_template_called(api, wish, &name).await?;
        Ok(name)
    }

    pub(super) async fn make_template_called(
        &self,
        api: &RegionApi,
        wish: &Wish<'_>,
        name: &str,
    ) -> Result<()> {
        let at = At::new("CreateLaunchTemplate", &api.region);
        let answer = api
            .ec2
            .create_launch_template()
            .launch_template_name(name)
            .launch_template_data(data(wish))
            .tag_specifications(
                TagSpecification::builder()
                    .resource_type(ResourceType::LaunchTemplate)
                    .set_tags(Some(wish.keeper_tags()))
                    .build(),
            )
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) => {
                let error = at.error(error);
                let exists = error
                    .context()
                    .any(|(_, v)| v == "InvalidLaunchTemplateName.AlreadyExistsException");
                // Its name holds the hash of what it was made from.
                if exists { Ok(()) } else { Err(error) }
            }
        }
    }

    /// Removes a template of ours. One that is gone is fine; one of somebody else is left alone.
    pub(crate) async fn remove_template(&self, api: &RegionApi, name: &str) -> Result<()> {
        if !name.starts_with(PREFIX) {
            return Ok(());
        }
        let at = At::new("DeleteLaunchTemplate", &api.region);
        let answer = api
            .ec2
            .delete_launch_template()
            .launch_template_name(name)
            .send()
            .await;
        match answer.map_err(|error| at.error(error)) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == Kind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes a template whose machines need it no more. What fails here costs nothing: it is
    /// told in the log, and tried again when the machines are removed.
    pub(super) async fn drop_template(&self, api: &RegionApi, name: &str) {
        if let Err(error) = self.remove_template(api, name).await {
            tracing::warn!(template = name, %error, "a launch template is left over");
        }
    }
}

fn data(wish: &Wish<'_>) -> RequestLaunchTemplateData {
    let options = &wish.options;
    let tags = |resource: ResourceType| {
        LaunchTemplateTagSpecificationRequest::builder()
            .resource_type(resource)
            .set_tags(Some(wish.tags.clone()))
            .build()
    };
    let builder = RequestLaunchTemplateData::builder()
        .instance_type(wish.request.spec.instance_type.as_str().into())
        .set_image_id(wish.image.clone())
        .set_user_data(wish.user_data.clone())
        .set_key_name(options.key_name.clone())
        .set_iam_instance_profile(instance_profile(options))
        .set_block_device_mappings(root_volume(options))
        .metadata_options(
            LaunchTemplateInstanceMetadataOptionsRequest::builder()
                .http_tokens(if options.metadata.tokens_required {
                    LaunchTemplateHttpTokensState::Required
                } else {
                    LaunchTemplateHttpTokensState::Optional
                })
                .http_put_response_hop_limit(options.metadata.hop_limit.into())
                .build(),
        )
        .tag_specifications(tags(ResourceType::Instance))
        .tag_specifications(tags(ResourceType::Volume));
    let groups = (!options.security_groups.is_empty()).then(|| options.security_groups.clone());
    match options.public_address {
        Some(public) => builder.network_interfaces(
            LaunchTemplateInstanceNetworkInterfaceSpecificationRequest::builder()
                .device_index(0)
                .associate_public_ip_address(public)
                .set_groups(groups)
                .build(),
        ),
        None => builder.set_security_group_ids(groups),
    }
    .build()
}

fn instance_profile(
    options: &AwsOptions,
) -> Option<LaunchTemplateIamInstanceProfileSpecificationRequest> {
    let profile = options.instance_profile.as_deref()?;
    let builder = LaunchTemplateIamInstanceProfileSpecificationRequest::builder();
    Some(if profile.starts_with("arn:") {
        builder.arn(profile).build()
    } else {
        builder.name(profile).build()
    })
}

fn root_volume(options: &AwsOptions) -> Option<Vec<LaunchTemplateBlockDeviceMappingRequest>> {
    let volume = options.root_volume.as_ref()?;
    let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    let ebs = LaunchTemplateEbsBlockDeviceRequest::builder()
        .volume_size(number(volume.size_gib))
        .volume_type(volume.kind.as_str().into())
        .set_iops(volume.iops.map(number))
        .set_throughput(volume.throughput_mib.map(number))
        .encrypted(volume.encrypted)
        .delete_on_termination(true)
        .build();
    Some(vec![
        LaunchTemplateBlockDeviceMappingRequest::builder()
            .device_name(&volume.device)
            .ebs(ebs)
            .build(),
    ])
}
