//! Listings: one question for all regions, page by page.

use fleetwright_core::{Gap, ListRequest, Listing, Result, keys};
use serde_json::{Value, json};

use crate::provider::LinodeProvider;
use crate::tags;

impl LinodeProvider {
    pub(crate) async fn list_nodes(&self, request: &ListRequest) -> Result<Listing> {
        let regions = request.regions.as_ref().unwrap_or(&self.config().regions);
        for region in regions {
            self.knows(region)?;
        }
        let pages = self.api().linodes(&conditions(request, regions)?).await;
        if let (true, Some(error)) = (pages.items.is_empty(), &pages.gap) {
            // Nothing could be listed.
            return Err(error.report().into());
        }
        let mut nodes = Vec::with_capacity(pages.items.len());
        for linode in &pages.items {
            // The filter is only there to save pages: what it let through is looked at again.
            if !regions.contains(&linode.region) {
                continue;
            }
            let node = self.node(linode)?;
            let is_wanted = (request.foreign || node.is_managed())
                && request
                    .labels
                    .iter()
                    .all(|(key, value)| node.label(key) == Some(value));
            if is_wanted {
                nodes.push(node);
            }
        }
        // Machines of all regions are on every page, so all regions have the gap.
        let gaps = pages.gap.map(|error| Gap {
            region: match &regions[..] {
                [only] => Some(only.clone()),
                _ => None,
            },
            error: error.report(),
        });
        Ok(Listing::with_gaps(nodes, gaps.into_iter().collect()))
    }
}

/// What the API shall look for: at most one region and one tag. Several tags at once are not
/// asked for, because nothing says that a machine may match them by different tags.
fn conditions(request: &ListRequest, regions: &[String]) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    if let [only] = regions {
        all.push(json!({ "region": only }));
    }
    let managed = (keys::MANAGED_BY, keys::MANAGED_BY_VALUE);
    let claim = request
        .labels
        .get(keys::CLAIM)
        .map(|token| (keys::CLAIM, &**token));
    let wanted = claim.or((!request.foreign).then_some(managed));
    if let Some((key, value)) = wanted
        && let [tag] = &tags::label_tags(key, value)?[..]
    {
        all.push(json!({ "tags": tag }));
    }
    Ok(all)
}
