//! Which image a machine starts from: an id, a public parameter, a filter, or Amazon Linux.

use aws_sdk_ec2::types::{ArchitectureType, Filter, Image};
use fleetwright_core::{Error, Kind, Result};

use crate::api::RegionApi;
use crate::error::At;
use crate::provider::AwsProvider;

/// Where AWS publishes the newest Amazon Linux; the architecture is appended.
/// <https://docs.aws.amazon.com/linux/al2023/ug/ec2.html>
const AMAZON_LINUX: &str = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-";

impl AwsProvider {
    /// The id of the image that the words stand for; without words, the newest Amazon Linux for
    /// the type's architecture. Remembered as long as the provider lives.
    ///
    /// # Errors
    /// `Invalid` if nothing fits.
    pub(crate) async fn image(
        &self,
        api: &RegionApi,
        words: Option<&str>,
        instance_type: &str,
    ) -> Result<String> {
        let words = match words {
            Some(id) if id.starts_with("ami-") => return Ok(id.to_owned()),
            Some(words) => words.to_owned(),
            None => {
                let architecture = self.architecture(api, instance_type).await?;
                format!("{AMAZON_LINUX}{architecture}")
            }
        };
        let key = format!("{}/{words}", api.region);
        if let Some(known) = self.remembered(&key) {
            return Ok(known);
        }
        let id = if words.starts_with('/') {
            by_parameter(api, &words).await?
        } else {
            by_filter(api, &words).await?
        };
        self.remember(key, id.clone());
        Ok(id)
    }

    /// `x86_64` or `arm64`: what the type runs.
    pub(crate) async fn architecture(
        &self,
        api: &RegionApi,
        instance_type: &str,
    ) -> Result<String> {
        let key = format!("architecture/{instance_type}");
        if let Some(known) = self.remembered(&key) {
            return Ok(known);
        }
        let at = At::new("DescribeInstanceTypes", &api.region);
        let answer = api
            .ec2
            .describe_instance_types()
            .instance_types(instance_type.into())
            .send()
            .await
            .map_err(|error| at.error(error))?;
        let architecture = answer
            .instance_types()
            .first()
            .and_then(|info| info.processor_info())
            .and_then(|processor| {
                processor
                    .supported_architectures()
                    .iter()
                    .map(ArchitectureType::as_str)
                    .find(|known| matches!(*known, "x86_64" | "arm64"))
            })
            .ok_or_else(|| {
                Error::new(
                    Kind::Invalid,
                    format!("no image is known for `{instance_type}`"),
                )
                .with_hint("name one: `image = \"ami-…\"`")
            })?
            .to_owned();
        self.remember(key, architecture.clone());
        Ok(architecture)
    }
}

async fn by_parameter(api: &RegionApi, name: &str) -> Result<String> {
    let at = At::new("GetParameter", &api.region);
    let answer = api.ssm.get_parameter().name(name).send().await;
    let answer = answer.map_err(|error| {
        let error = at.error(error);
        if error.kind() == Kind::NotFound {
            Error::new(Kind::Invalid, format!("there is no parameter `{name}`"))
                .with_hint("`aws ssm get-parameters-by-path --path /aws/service/…` lists them")
                .with_context("region", &*api.region)
        } else {
            error
        }
    })?;
    answer
        .parameter()
        .and_then(|parameter| parameter.value())
        .map(str::to_owned)
        .ok_or_else(|| at.lacking("parameter value"))
}

/// `owner=amazon,name=al2023-ami-2023.*-x86_64`: the newest image that meets all terms.
async fn by_filter(api: &RegionApi, words: &str) -> Result<String> {
    let at = At::new("DescribeImages", &api.region);
    let mut call = api.ec2.describe_images();
    for term in words.split(',').map(str::trim) {
        let Some((key, value)) = term.split_once('=') else {
            return Err(Error::new(
                Kind::Invalid,
                format!("`image` holds `{term}`, which is neither an id nor a filter"),
            )
            .with_hint(
                "write `ami-…`, `/aws/service/…`, or a filter such as \
                 `owner=amazon,name=al2023-ami-2023.*-x86_64`",
            ));
        };
        call = if key == "owner" {
            call.owners(value)
        } else {
            call.filters(Filter::builder().name(key).values(value).build())
        };
    }
    let answer = call.send().await.map_err(|error| at.error(error))?;
    answer
        .images()
        .iter()
        .max_by_key(|image| (image.creation_date(), image.image_id()))
        .and_then(Image::image_id)
        .map(str::to_owned)
        .ok_or_else(|| {
            Error::new(Kind::Invalid, format!("no image meets `{words}`"))
                .with_context("region", &*api.region)
        })
}
