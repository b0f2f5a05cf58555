//! Making droplets, exactly once: the token is a tag, and a replay looks for it first.
//!
//! Droplets are told apart by their names, so a replay knows which of them are missing.

use fleetwright_core::{CreateRequest, Created, Effect, Error, Kind, Node, Remedy, Result};
use fleetwright_rest::{create_missing, made_before};

use crate::prepare::{Prepared, Wish};
use crate::provider::DigitalOceanProvider;

impl DigitalOceanProvider {
    pub(crate) async fn make(&self, request: &CreateRequest) -> Result<Created> {
        // As long as nobody has looked, an earlier try may have made what this one is to make.
        let unseen = |error: Error| {
            if request.replay {
                error.with_effect(Effect::Unknown)
            } else {
                error
            }
        };
        let wish = self.checked(request).map_err(unseen)?;
        let found = if request.replay {
            let listed = self.made_with(&request.token, &wish.names).await;
            made_before(request, listed.map_err(unseen)?).map_err(unseen)?
        } else {
            Vec::new()
        };
        let mut created = match self.make_wished(request, &wish, found).await {
            Ok(created) => created,
            Err(error) => {
                let error = self.with_places(error, request).await;
                let is_image = error.kind() == Kind::Invalid && error.to_string().contains("image");
                return Err(match &request.spec.image {
                    Some(image) if is_image => error.with_context("image", image.clone()),
                    _ => error,
                });
            }
        };
        created
            .nodes
            .sort_by_key(|node| wish.names.iter().position(|name| *name == node.name));
        if let Some(error) = created.shortfall.take() {
            created.shortfall = Some(self.with_places(error, request).await);
        }
        Ok(created)
    }

    async fn make_wished(
        &self,
        request: &CreateRequest,
        wish: &Wish,
        found: Vec<Node>,
    ) -> Result<Created> {
        let mut missing = wish.names.clone();
        missing.retain(|name| found.iter().all(|node| node.name != *name));
        if missing.is_empty() && wish.options.project.is_none() {
            return Ok(Created::all(found));
        }
        let prepared = match self.prepare(&request.spec, wish).await {
            Ok(prepared) => prepared,
            Err(error) => return a_part(found, error),
        };
        let created = self
            .make_missing(request, &prepared, &missing, found)
            .await?;
        match &prepared.project {
            Some(project) => self.put_into(project, created).await,
            None => Ok(created),
        }
    }

    /// Makes these droplets in one call. DigitalOcean refuses a call as a whole, so if they are too
    /// many for it, they are asked for one by one, as long as there are some to be had.
    async fn make_missing(
        &self,
        request: &CreateRequest,
        prepared: &Prepared,
        missing: &[String],
        found: Vec<Node>,
    ) -> Result<Created> {
        if missing.len() > 1 {
            match self.make_some(prepared, missing).await {
                Ok(made) => return Ok(Created::all([found, made].concat())),
                Err(error) => {
                    let is_short = error.kind().remedy() == Remedy::TryElsewhere
                        && error.effect() == Effect::None;
                    if !is_short {
                        return a_part(found, error);
                    }
                }
            }
        }
        create_missing(request, found, async |ordinal| {
            let name = request.machine_name(ordinal);
            let mut made = self.make_some(prepared, &[name]).await?;
            made.pop()
                .ok_or_else(|| Error::new(Kind::Unexpected, "the answer has no droplet"))
        })
        .await
    }

    async fn make_some(&self, prepared: &Prepared, names: &[String]) -> Result<Vec<Node>> {
        let made = self.api().create_droplets(&prepared.body, names).await?;
        made.iter()
            .map(|droplet| self.node(droplet))
            .collect::<Result<Vec<Node>>>()
            .map_err(|error| error.with_effect(Effect::Unknown))
    }

    /// Puts droplets into their project. Until they are there the request is not fulfilled: a replay
    /// finds them and tries again.
    async fn put_into(&self, project: &str, created: Created) -> Result<Created> {
        let ids: Vec<&str> = created.nodes.iter().map(|node| node.id.native()).collect();
        match self.api().assign(project, &ids).await {
            Ok(()) => Ok(created),
            Err(error) => Err(error
                .with_effect(Effect::Unknown)
                .with_context("project", project.to_owned())),
        }
    }

    /// Says where a size that is sold out here is to be had.
    async fn with_places(&self, error: Error, request: &CreateRequest) -> Error {
        if error.kind() != Kind::Capacity {
            return error;
        }
        let size = &request.spec.instance_type;
        // This only adds to a refusal, which stands in any case.
        let Ok(sizes) = self.api().sizes().await else {
            return error;
        };
        let regions = sizes
            .iter()
            .find(|known| known.slug == *size && known.available)
            .map(|known| known.regions.join(", "))
            .filter(|regions| !regions.is_empty());
        error.with_hint(match regions {
            Some(regions) => format!("`{size}` is to be had in {regions}"),
            None => format!("`{size}` is not to be had in any region at the moment"),
        })
    }
}

/// What an earlier try made and why there is no more of it; the error, if there is nothing or if
/// more may have been made.
fn a_part(found: Vec<Node>, error: Error) -> Result<Created> {
    if !found.is_empty() && error.effect() == Effect::None {
        return Ok(Created::partial(found, error));
    }
    Err(error)
}
