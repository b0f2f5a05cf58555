//! Listing: every page of every region, and a gap for each part that failed.

use fleetwright_core::{Error, Gap, Labels, ListRequest, Listing, Node, Operation, Result};
use futures::future::join_all;

use crate::error;
use crate::provider::SimProvider;
use crate::world::Step;

/// One answer of the cloud.
struct Page {
    nodes: Vec<Node>,
    /// Where the next page begins; `None`: this was the last.
    next: Option<u64>,
}

impl SimProvider {
    pub(crate) async fn list_machines(&self, request: &ListRequest) -> Result<Listing> {
        let regions: Vec<&str> = match &request.regions {
            None => self
                .config()
                .regions
                .iter()
                .map(|region| region.name.as_str())
                .collect(),
            Some(wanted) => wanted
                .iter()
                .map(|name| self.region(name).map(|region| region.name.as_str()))
                .collect::<Result<_>>()?,
        };
        let asked = regions.len();
        let answers = join_all(
            regions
                .iter()
                .map(|&region| self.list_region(region, request)),
        )
        .await;
        let (mut nodes, mut gaps, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for (region, (found, failure)) in regions.into_iter().zip(answers) {
            nodes.extend(found);
            if let Some(error) = failure {
                gaps.push(Gap {
                    region: Some(region.to_owned()),
                    error: error.report(),
                });
                failures.push(error);
            }
        }
        match failures.into_iter().next() {
            Some(error) if nodes.is_empty() && gaps.len() == asked => Err(error),
            _ => Ok(Listing::with_gaps(nodes, gaps)),
        }
    }

    /// All pages of a region up to the first that fails.
    pub(crate) async fn list_region(
        &self,
        region: &str,
        request: &ListRequest,
    ) -> (Vec<Node>, Option<Error>) {
        let mut nodes = Vec::new();
        let mut next = Some(0);
        while let Some(cursor) = next {
            let page = self
                .ask(Operation::List, Some(region), |step| {
                    page(step, region, &request.labels, request.foreign, cursor)
                })
                .await;
            match page {
                Ok(page) => {
                    nodes.extend(page.nodes);
                    next = page.next;
                }
                Err(error) => return (nodes, Some(error)),
            }
        }
        (nodes, None)
    }
}

/// The cloud's answer: the machines after `cursor` that can be seen, as many as a page holds.
fn page(
    step: &mut Step<'_>,
    region: &str,
    labels: &Labels,
    foreign: bool,
    cursor: u64,
) -> Result<Page> {
    let (config, now) = (step.config(), step.now());
    let broken = config.broken_listings.iter().any(|name| name == region);
    if broken || step.state().broken.contains(region) {
        return Err(error::listing_broken(region));
    }
    let size = usize::try_from(config.page_size).unwrap_or(usize::MAX);
    let mut page = Page {
        nodes: Vec::new(),
        next: None,
    };
    let mut last = cursor;
    for (number, machine, batch) in step.state().machines_after(cursor) {
        if batch.region != region || !wanted(&batch.labels, labels, foreign) {
            continue;
        }
        let Some(node) = machine.seen(number, batch, step.provider(), now)? else {
            continue;
        };
        if node.state.is_deleted() {
            continue;
        }
        if page.nodes.len() == size {
            page.next = Some(last);
            break;
        }
        page.nodes.push(node);
        last = number;
    }
    Ok(page)
}

fn wanted(has: &Labels, labels: &Labels, foreign: bool) -> bool {
    use fleetwright_core::keys::{MANAGED_BY, MANAGED_BY_VALUE};
    let managed = has.get(MANAGED_BY).is_some_and(|by| by == MANAGED_BY_VALUE);
    (foreign || managed)
        && labels
            .iter()
            .all(|(key, value)| has.get(key) == Some(value))
}
