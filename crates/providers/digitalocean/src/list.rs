//! Listing: every page of both types of droplets, and then only what was asked for.

use fleetwright_core::{
    Error, Gap, Kind, ListRequest, Listing, Node, Provider as _, Result, Token, keys,
};
use fleetwright_rest::check_region;

use crate::node;
use crate::provider::DigitalOceanProvider;
use crate::wire::Droplet;

impl DigitalOceanProvider {
    /// The team's droplets in the regions that were asked for. DigitalOcean lists a team, not a
    /// region, so what is missing may be in any of them.
    pub(crate) async fn list_nodes(&self, request: &ListRequest) -> Result<Listing> {
        let regions = match &request.regions {
            None => &self.config().regions,
            Some(regions) => {
                for region in regions {
                    self.knows(region)?;
                }
                regions
            }
        };
        let pages = self.api().droplets().await;
        if pages.items.is_empty()
            && let Some(error) = pages.gap
        {
            return Err(error);
        }
        let (droplets, gap) = pages.with_gap(None);
        let mut gaps: Vec<Gap> = gap.into_iter().collect();
        let mut nodes: Vec<Node> = Vec::new();
        for droplet in &droplets {
            match self.node(droplet) {
                Ok(node) => nodes.push(node),
                Err(error) => gaps.push(Gap {
                    region: None,
                    error: error.report(),
                }),
            }
        }
        nodes.retain(|node| {
            regions.iter().any(|region| region == node.id.region())
                && (request.foreign || node.is_managed())
                && request
                    .labels
                    .iter()
                    .all(|(key, value)| node.label(key) == Some(value))
        });
        Ok(Listing::with_gaps(nodes, gaps))
    }

    /// The machines that were made with a token, wherever they are.
    ///
    /// # Errors
    /// If any page is missing: whoever makes what is missing must have seen all. `Permission` if a
    /// droplet with one of these names shows no tags at all: a token without `tag:read` is shown
    /// none, and then nobody can tell what is missing.
    pub(crate) async fn made_with(&self, token: &Token, names: &[String]) -> Result<Vec<Node>> {
        let droplets = self.api().droplets().await.complete()?;
        let bare = |droplet: &&Droplet| droplet.tags.is_empty() && names.contains(&droplet.name);
        if let Some(droplet) = droplets.iter().find(bare) {
            return Err(Error::new(
                Kind::Permission,
                format!("the droplet `{}` shows no tags", droplet.name),
            )
            .with_hint("give the token the scope `tag:read`"));
        }
        let mark = node::tag(keys::CLAIM, token.as_str())?;
        droplets
            .iter()
            .filter(|droplet| {
                droplet
                    .tags
                    .iter()
                    .any(|tag| tag.eq_ignore_ascii_case(&mark))
            })
            .map(|droplet| self.node(droplet))
            .collect()
    }

    /// Checks that a region is configured.
    ///
    /// # Errors
    /// `Invalid`.
    pub(crate) fn knows(&self, region: &str) -> Result<()> {
        check_region(region, self.info())
    }
}
