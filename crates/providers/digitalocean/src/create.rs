//! Making droplets, exactly once: the token is a tag, and a replay looks for it first.
//!
//! Droplets are told apart by their names, so a replay knows which of them are missing.

use fleetwright_core::{CreateRequest, Created, Effect, Error, Kind, Node, NodeId, Remedy, Result};

use crate::prepare::Prepared;
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
            self.made_before(request).await.map_err(unseen)?
        } else {
            Vec::new()
        };
        let mut missing = wish.names.clone();
        missing.retain(|name| found.iter().all(|node| node.name != *name));
        let result = if missing.is_empty() && wish.options.project.is_none() {
            Ok(Created::all(found))
        } else {
            match self.prepare(&request.spec, &wish).await {
                Ok(prepared) => self.make_missing(&prepared, &missing, found).await,
                Err(error) => short(found, error),
            }
        };
        let mut created = match result {
            Ok(created) => created,
            Err(error) => return Err(self.with_places(error, request).await),
        };
        created.nodes.sort_by_key(|node| ordinal(&wish.names, node));
        if let Some(error) = created.shortfall.take() {
            created.shortfall = Some(self.with_places(error, request).await);
        }
        Ok(created)
    }

    /// What an earlier try with this token has made.
    async fn made_before(&self, request: &CreateRequest) -> Result<Vec<Node>> {
        let found = self.made_with(&request.token).await?;
        let spec = &request.spec;
        let other = found.iter().find(|node| {
            node.instance_type != spec.instance_type || node.id.region() != spec.region
        });
        match other {
            None => Ok(found),
            Some(other) => Err(Error::new(
                Kind::Conflict,
                format!(
                    "the token `{}` was used for `{}` in `{}`",
                    request.token,
                    other.instance_type,
                    other.id.region()
                ),
            )),
        }
    }

    /// Makes what is missing and puts all into their project.
    async fn make_missing(
        &self,
        prepared: &Prepared,
        missing: &[String],
        mut nodes: Vec<Node>,
    ) -> Result<Created> {
        let refusal = self.make_most(prepared, missing, &mut nodes).await;
        let created = match refusal {
            None => Created::all(nodes),
            Some(error) => short(nodes, error)?,
        };
        match &prepared.project {
            Some(project) => self.assign(project, created).await,
            None => Ok(created),
        }
    }

    /// Makes these droplets in one call. DigitalOcean refuses a call as a whole, so if they are too
    /// many for it, they are asked for one by one, as long as there are some to be had. Answers with
    /// why some are missing.
    async fn make_most(
        &self,
        prepared: &Prepared,
        names: &[String],
        nodes: &mut Vec<Node>,
    ) -> Option<Error> {
        if names.is_empty() {
            return None;
        }
        let refusal = match self.make_some(prepared, names).await {
            Ok(made) => {
                nodes.extend(made);
                return None;
            }
            Err(error) => error,
        };
        let is_short =
            refusal.kind().remedy() == Remedy::TryElsewhere && refusal.effect() == Effect::None;
        if !is_short || names.len() == 1 {
            return Some(refusal);
        }
        for name in names {
            match self.make_some(prepared, std::slice::from_ref(name)).await {
                Ok(made) => nodes.extend(made),
                Err(error) => return Some(error),
            }
        }
        None
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
    async fn assign(&self, project: &str, created: Created) -> Result<Created> {
        let ids: Vec<u64> = created.nodes.iter().filter_map(|n| number(&n.id)).collect();
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

/// A part of what was asked for; nothing at all, or perhaps more than is known, is an error.
fn short(nodes: Vec<Node>, error: Error) -> Result<Created> {
    if nodes.is_empty() {
        return Err(error);
    }
    // What may still come of it only a replay can tell, and what helps against it is one.
    if error.effect() == Effect::Unknown || error.kind().remedy() == Remedy::RetryHere {
        return Err(error.with_effect(Effect::Unknown));
    }
    Ok(Created::partial(nodes, error))
}

fn number(id: &NodeId) -> Option<u64> {
    id.native().parse().ok()
}

fn ordinal(names: &[String], node: &Node) -> usize {
    let at = names.iter().position(|name| *name == node.name);
    at.unwrap_or(names.len())
}
