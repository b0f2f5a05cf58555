//! What the providers have, whether we made it or not: for people, and for targets that are not
//! ours.

use std::collections::BTreeMap;

use fleetwright_core::{Coverage, Filter, ListRequest, Listing, Provider};
use futures::future::join_all;

use crate::Engine;

impl Engine {
    /// Asks the providers for the nodes that match, of any fleet; with `foreign`, also for those
    /// that Fleetwright did not make. Providers and regions that the filter rules out are not
    /// asked. A provider that did not answer is a gap in its listing. Nothing is written.
    pub async fn discover(&self, filter: &Filter, foreign: bool) -> BTreeMap<String, Listing> {
        let asked = self.providers.iter().filter_map(|(name, provider)| {
            let request = request(&**provider, filter, foreign)?;
            Some(async move {
                let mut listing = match provider.list(&request).await {
                    Ok(listing) => listing,
                    Err(error) => Listing {
                        nodes: Vec::new(),
                        coverage: Coverage::failed(&error),
                    },
                };
                listing
                    .nodes
                    .retain(|node| filter.matches(&|key| node.property(key)));
                (name.clone(), listing)
            })
        });
        join_all(asked).await.into_iter().collect()
    }
}

/// What to ask a provider; `None` if nothing of it can match.
fn request(provider: &dyn Provider, filter: &Filter, foreign: bool) -> Option<ListRequest> {
    let may_be = |key: &str, value: &str| {
        let about = |term: &&fleetwright_core::Term| term.key() == key;
        filter
            .terms()
            .iter()
            .filter(about)
            .all(|t| t.matches(value))
    };
    let info = provider.info();
    if !may_be("provider", &info.name) {
        return None;
    }
    let regions: Vec<String> = info
        .regions
        .iter()
        .filter(|region| may_be("region", region))
        .cloned()
        .collect();
    if regions.is_empty() {
        return None;
    }
    Some(ListRequest {
        regions: (regions.len() < info.regions.len()).then_some(regions),
        foreign,
        filter: filter.clone(),
        ..ListRequest::default()
    })
}
