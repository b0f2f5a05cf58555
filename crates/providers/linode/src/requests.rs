//! What can be said of a request before it is made.

use async_trait::async_trait;
use fleetwright_core::{CreateRequest, Error, Kind, Requests, Result};

use crate::image::is_usable;
use crate::provider::LinodeProvider;

#[async_trait]
impl Requests for LinodeProvider {
    /// Looks at type, region and image, and whether the three go together.
    async fn preflight(&self, request: &CreateRequest) -> Result<()> {
        let options = self.possible(request)?;
        let spec = &request.spec;
        let invalid = |message: String| Error::new(Kind::Invalid, message);
        let market = self.read_market().await?;
        let Some(region) = market.regions.get(&spec.region) else {
            return Err(invalid(format!("Linode has no region `{}`", spec.region))
                .with_hint("`regions` of the provider names it"));
        };
        let Some(plan) = market
            .plans
            .iter()
            .find(|plan| plan.id == spec.instance_type)
        else {
            return Err(
                invalid(format!("there is no type `{}`", spec.instance_type))
                    .with_hint("`fleetwright offers` shows the types"),
            );
        };
        if market.availability(plan, &spec.region).is_none() {
            return Err(invalid(format!(
                "`{}` is not sold in region `{}`",
                plan.id, region.id
            ))
            .with_hint("`fleetwright offers` shows where each type is sold"));
        }
        let image = spec.image.as_deref().unwrap_or(&options.image);
        let image = self.image(image).await?;
        if !is_usable(&image) {
            let status = image.status.as_deref().unwrap_or("unknown");
            return Err(invalid(format!(
                "image `{}` cannot be used yet: its status is `{status}`",
                image.id
            ))
            .with_hint("wait until it is `available`, or take another image"));
        }
        let plants = self.config().ssh && self.config().plant_host_keys;
        // "Requires a compatible Region. You can determine compatible Regions by checking for
        // `Metadata` under `capabilities`"; the same of images and `cloud-init`. A host key is user
        // data as well; an image that passes it over does no harm.
        let has_script = spec.user_data.is_some();
        for (is_needed, what, name, has, needs) in [
            (
                has_script || plants,
                "region",
                &region.id,
                &region.capabilities,
                "Metadata",
            ),
            (
                has_script,
                "image",
                &image.id,
                &image.capabilities,
                "cloud-init",
            ),
        ] {
            if is_needed && !has.iter().any(|capability| capability == needs) {
                return Err(invalid(format!(
                    "{what} `{name}` does not run user data: it lacks `{needs}`"
                ))
                .with_hint(format!(
                    "take another {what}, or neither user data nor `plant_host_keys`"
                )));
            }
        }
        Ok(())
    }

    /// Nothing makes machines after a call's end here, so there is nothing to take back.
    async fn give_up(&self, _request: &CreateRequest) -> Result<()> {
        Ok(())
    }
}
