//! Asking whether DigitalOcean would take a request.
//!
//! It cannot be asked as such, but it tells enough: the account, the sizes, the regions, the
//! images, the networks.

use async_trait::async_trait;
use fleetwright_core::{CreateRequest, Error, Kind, Requests, Result};

use crate::catalog::is_sold;
use crate::options::ImageRef;
use crate::provider::DigitalOceanProvider;

#[async_trait]
impl Requests for DigitalOceanProvider {
    async fn preflight(&self, request: &CreateRequest) -> Result<()> {
        let wish = self.checked(request)?;
        self.account_is_good().await?;
        let spec = &request.spec;
        self.size_is_there(&spec.instance_type, &spec.region)
            .await?;
        self.image_is_there(&wish.image, &spec.region).await?;
        if let Some(vpc) = &wish.options.vpc {
            self.vpc(vpc, &spec.region).await?;
        }
        Ok(())
    }

    /// Nothing comes of a request after its answer, and whatever its call has made is listed.
    async fn give_up(&self, _: &CreateRequest) -> Result<()> {
        Ok(())
    }
}

impl DigitalOceanProvider {
    async fn account_is_good(&self) -> Result<()> {
        let account = self.api().account().await?;
        if account.status == "locked" {
            return Err(Error::new(
                Kind::Permission,
                format!("the account is locked: {}", account.status_message),
            )
            .with_hint("open a ticket at https://cloudsupport.digitalocean.com"));
        }
        if account.droplet_limit == 0 {
            return Err(Error::new(
                Kind::Quota,
                "the account may have no droplets at all",
            )
            .with_hint(
                "ask for some at https://cloud.digitalocean.com/account/team/droplet_limit_increase",
            ));
        }
        Ok(())
    }

    /// Only a size or region that does not exist is refused: what is sold out now may be back.
    async fn size_is_there(&self, size: &str, region: &str) -> Result<()> {
        let (sizes, regions) = futures::try_join!(self.api().sizes(), self.api().regions())?;
        if !regions.iter().any(|known| known.slug == region) {
            let known: Vec<&str> = regions.iter().map(|known| &*known.slug).collect();
            return Err(
                Error::new(Kind::Invalid, format!("there is no region `{region}`"))
                    .with_hint(format!("there are {}", known.join(", "))),
            );
        }
        let Some(known) = sizes.iter().find(|known| known.slug == size) else {
            return Err(
                Error::new(Kind::Invalid, format!("there is no size `{size}`"))
                    .with_hint("https://slugs.do-api.dev lists the sizes"),
            );
        };
        if is_sold(known, region, &regions) {
            return Ok(());
        }
        let error = Error::new(
            Kind::Capacity,
            format!("`{size}` is not to be had in `{region}`"),
        );
        Err(if known.regions.is_empty() {
            error.with_hint("it is not to be had in any region at the moment")
        } else {
            error.with_hint(format!("it is to be had in {}", known.regions.join(", ")))
        })
    }

    async fn image_is_there(&self, image: &ImageRef, region: &str) -> Result<()> {
        let reference = match image {
            ImageRef::Name(name) => return self.own_image(name, region).await.map(drop),
            ImageRef::Slug(slug) => slug.clone(),
            ImageRef::Id(id) => id.to_string(),
        };
        let known = self.api().image(&reference).await.map_err(|error| {
            if error.kind() == Kind::NotFound {
                Error::new(Kind::Invalid, format!("there is no image `{reference}`")).with_hint(
                    "an image is named by its slug (`ubuntu-24-04-x64`), its number, or `name:` \
                     and the name of one of your own",
                )
            } else {
                error
            }
        })?;
        if known.regions.iter().any(|known| known == region) {
            return Ok(());
        }
        Err(Error::new(
            Kind::Invalid,
            format!("the image `{reference}` is not in `{region}`"),
        )
        .with_hint(format!("it is in {}", known.regions.join(", "))))
    }
}
