//! Listing: every page of every zone of every region.

use std::collections::BTreeMap;

use fleetwright_core::{Error, Gap, Kind, ListRequest, Listing, Node, Result, keys};
use futures::future::join_all;

use crate::wire::Server;
use crate::{ScalewayProvider, tags};

impl ScalewayProvider {
    /// The nodes of a request. A zone that broke is a gap of its region.
    ///
    /// # Errors
    /// `Invalid` for an unknown region; the first zone's if no zone could be read at all.
    pub(crate) async fn list_nodes(&self, request: &ListRequest) -> Result<Listing> {
        let regions = request.regions.as_ref().unwrap_or(&self.config().regions);
        let mut zones = BTreeMap::new();
        for region in regions {
            for zone in self.zones_of(region)? {
                zones.insert(zone, region.clone());
            }
        }
        let filter = filter(request);
        let listings = zones.iter().map(|(zone, region)| {
            let filter = &filter;
            async move { (zone, region, self.api().servers(zone, filter).await) }
        });
        let (mut nodes, mut gaps) = (Vec::new(), Vec::new());
        let mut whole = 0;
        let mut first = None;
        for (zone, region, pages) in join_all(listings).await {
            let (found, odd) = self.nodes(&pages.items, request);
            nodes.extend(found);
            match pages.gap.or(odd) {
                None => whole += 1,
                Some(error) => {
                    let error = error.with_context("zone", zone.clone());
                    gaps.push(Gap {
                        region: Some(region.clone()),
                        error: error.report(),
                    });
                    first.get_or_insert(error);
                }
            }
        }
        match first {
            Some(error) if whole == 0 && nodes.is_empty() => Err(error),
            _ => Ok(Listing::with_gaps(nodes, gaps)),
        }
    }

    /// What of these instances was asked for, and why one could not be read.
    fn nodes(&self, servers: &[Server], request: &ListRequest) -> (Vec<Node>, Option<Error>) {
        let (mut nodes, mut odd) = (Vec::new(), None);
        for server in servers {
            match self.node(server) {
                Ok(node) => nodes.push(node),
                Err(error) => odd = Some(error),
            }
        }
        nodes.retain(|node| {
            let mut wanted = request.labels.iter();
            (request.foreign || node.is_managed())
                && wanted.all(|(key, value)| node.label(key) == Some(value))
        });
        (nodes, odd)
    }

    /// The instances that carry a token, in all zones of a region.
    ///
    /// # Errors
    /// Any gap: what was not seen may be there.
    pub(crate) async fn claimed(&self, region: &str, token: &str) -> Result<Vec<Server>> {
        let filter = [tags::managed(), tags::tag(keys::CLAIM, token)];
        let zones = self.zones_of(region)?;
        let listings = zones.iter().map(|zone| self.api().servers(zone, &filter));
        let mut servers = Vec::new();
        for (zone, pages) in zones.iter().zip(join_all(listings).await) {
            let pages = pages.complete();
            servers.extend(pages.map_err(|error| error.with_context("zone", zone.clone()))?);
        }
        // The filter is the vendor's word; the tags are what counts.
        servers.retain(|server| server.tags.contains(&filter[1]));
        Ok(servers)
    }

    /// Every instance of every zone, ours or not.
    ///
    /// # Errors
    /// Any gap.
    pub(crate) async fn every_server(&self) -> Result<Vec<Server>> {
        let zones = self.zones();
        let listings = zones.iter().map(|zone| self.api().servers(zone, &[]));
        let mut servers = Vec::new();
        for pages in join_all(listings).await {
            servers.extend(pages.complete()?);
        }
        Ok(servers)
    }
}

/// What the vendor can filter by: our mark and our token, whose values hold no commas.
fn filter(request: &ListRequest) -> Vec<String> {
    let mut filter = Vec::new();
    if !request.foreign {
        filter.push(tags::managed());
    }
    if let Some(token) = request.labels.get(keys::CLAIM) {
        filter.push(tags::tag(keys::CLAIM, token));
    }
    filter
}

/// A request that names what is not there is wrong; there is nothing to be found.
pub(crate) fn as_invalid(error: Error) -> Error {
    if error.kind() != Kind::NotFound {
        return error;
    }
    let mut invalid = Error::new(Kind::Invalid, error.to_string()).with_effect(error.effect());
    let context: Vec<(String, String)> = error
        .context()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for (name, value) in context {
        invalid = invalid.with_context(name, value);
    }
    invalid.with_hint("it must exist in the same zone or region, and in the same project")
}
