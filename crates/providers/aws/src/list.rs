//! What there is: every page of every region, and single instances by id.

use std::collections::{HashMap, VecDeque};

use aws_sdk_ec2::error::SdkError;
use aws_sdk_ec2::operation::describe_instances::{DescribeInstancesError, DescribeInstancesOutput};
use aws_sdk_ec2::types::{Filter, Instance, Reservation};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use fleetwright_core::{Error, Gap, Kind, ListRequest, Listing, Node, NodeId, Result, keys};
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesOrdered;
use tokio::sync::mpsc::{self, UnboundedSender};

use crate::ahead::Ahead;
use crate::api::RegionApi;
use crate::error::At;
use crate::narrow;
use crate::provider::AwsProvider;

/// Instances per page; EC2's most.
const PAGE: i32 = 1_000;

impl AwsProvider {
    pub(crate) async fn list_nodes(&self, request: &ListRequest) -> Result<Listing> {
        let configured = &self.config().regions;
        let regions: Vec<&String> = match &request.regions {
            None => configured.iter().collect(),
            Some(wanted) => {
                for region in wanted {
                    self.api().knows(region)?;
                }
                wanted.iter().collect()
            }
        };
        let asked = regions.len();
        let answers = join_all(
            regions
                .iter()
                .map(|region| self.list_region(region, request)),
        )
        .await;
        let (mut nodes, mut gaps, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for (region, (found, failure)) in regions.into_iter().zip(answers) {
            nodes.extend(found);
            if let Some(error) = failure {
                gaps.push(Gap {
                    region: Some(region.clone()),
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
    async fn list_region(&self, region: &str, request: &ListRequest) -> (Vec<Node>, Option<Error>) {
        let mut nodes = Vec::new();
        let api = match self.api().region(region).await {
            Ok(api) => api,
            Err(error) => return (nodes, Some(error)),
        };
        let mut filters: Vec<Filter> = request
            .labels
            .iter()
            .map(|(key, value)| filter(&format!("tag:{key}"), value))
            .collect();
        if !request.foreign && !request.labels.contains_key(keys::MANAGED_BY) {
            filters.push(filter(
                &format!("tag:{}", keys::MANAGED_BY),
                keys::MANAGED_BY_VALUE,
            ));
        }
        filters.extend(narrow::filters(&request.filter));
        let at = At::new("DescribeInstances", region);
        let (tokens, mut early) = mpsc::unbounded_channel();
        let ask = |next: Option<String>| self.page(api, &filters, next, tokens.clone());
        // The page that is waited for, and behind it the one after, as soon as its token is known.
        let mut pages = FuturesOrdered::from_iter([ask(None)]);
        let mut asked: VecDeque<String> = VecDeque::new();
        loop {
            let answer = tokio::select! {
                biased;
                Some(token) = early.recv() => {
                    asked.push_back(token.clone());
                    pages.push_back(ask(Some(token)));
                    continue;
                }
                Some(answer) = pages.next() => answer,
                else => return (nodes, None),
            };
            let page = match answer {
                Ok(page) => page,
                Err(error) => return (nodes, Some(at.error(error))),
            };
            for instance in page.reservations().iter().flat_map(Reservation::instances) {
                match self.node(region, instance) {
                    Ok(node) => {
                        self.note_membership(region, instance);
                        nodes.push(node);
                    }
                    Err(error) => return (nodes, Some(error)),
                }
            }
            match page.next_token().filter(|token| !token.is_empty()) {
                None => return (nodes, None),
                Some(token) if asked.pop_front().as_deref() == Some(token) => {}
                // Nothing was asked for ahead, or not this: the decoder is right.
                Some(token) => {
                    asked.clear();
                    pages = FuturesOrdered::from_iter([ask(Some(token.to_owned()))]);
                }
            }
        }
    }

    /// One page. Its answer's token goes to `tokens` before the page is decoded.
    async fn page(
        &self,
        api: &RegionApi,
        filters: &[Filter],
        next: Option<String>,
        tokens: UnboundedSender<String>,
    ) -> Result<DescribeInstancesOutput, SdkError<DescribeInstancesError, HttpResponse>> {
        let call = (api.ec2.describe_instances())
            .set_filters(Some(filters.to_vec()))
            .max_results(PAGE)
            .set_next_token(next);
        match api.ec2.config().http_client() {
            Some(http) => {
                let ahead = Ahead::new(http, tokens);
                let config = aws_sdk_ec2::Config::builder().http_client(ahead);
                call.customize().config_override(config).send().await
            }
            None => call.send().await,
        }
    }

    pub(crate) async fn look_at(&self, id: &NodeId) -> Result<Node> {
        let instance = self.instance(id).await?;
        match instance {
            Some(instance) => self.node(id.region(), &instance),
            None => Err(Error::new(
                Kind::NotFound,
                format!("there is no instance `{}`", id.native()),
            )
            .with_context("region", id.region())),
        }
    }

    /// One instance, asked for together with others; `None` if EC2 says that there is none.
    pub(crate) async fn instance(&self, id: &NodeId) -> Result<Option<Instance>> {
        self.own(id)?;
        let api = self.api().region(id.region()).await?;
        let batch = self.batches().looks(id.region());
        batch
            .ask(
                id.native(),
                |ids| async move { self.describe(api, ids).await },
            )
            .await
    }

    /// Instances by id, at most 1,000, each with what EC2 says of it.
    async fn describe(
        &self,
        api: &RegionApi,
        mut ids: Vec<String>,
    ) -> Result<HashMap<String, Result<Option<Instance>>>> {
        let at = At::new("DescribeInstances", &api.region);
        let mut found = HashMap::new();
        while !ids.is_empty() {
            let answer = api
                .ec2
                .describe_instances()
                .set_instance_ids(Some(ids.clone()))
                .send()
                .await;
            match answer.map_err(|error| at.error(error)) {
                Ok(answer) => {
                    for instance in answer
                        .reservations()
                        .iter()
                        .flat_map(Reservation::instances)
                    {
                        if let Some(id) = instance.instance_id() {
                            found.insert(id.to_owned(), Ok(Some(instance.clone())));
                        }
                    }
                    break;
                }
                // One unknown id refuses all; the answer names those that are unknown.
                Err(error) if error.kind() == Kind::NotFound => {
                    let unknown = named(&error.to_string(), &ids);
                    if unknown.is_empty() && ids.len() > 1 {
                        return Err(error);
                    }
                    let unknown = if unknown.is_empty() {
                        ids.clone()
                    } else {
                        unknown
                    };
                    ids.retain(|id| !unknown.contains(id));
                    found.extend(unknown.into_iter().map(|id| (id, Ok(None))));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Those of these instances that can be seen already; what cannot is no error.
    pub(crate) async fn describe_now(
        &self,
        api: &RegionApi,
        ids: &[String],
    ) -> Result<Vec<Instance>> {
        let found = self.describe(api, ids.to_vec()).await?;
        found.into_values().filter_map(Result::transpose).collect()
    }
}

/// The ids that an error names: "The instance IDs 'i-1, i-2' do not exist".
pub(crate) fn named(message: &str, ids: &[String]) -> Vec<String> {
    ids.iter()
        .filter(|id| {
            message
                .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
                .any(|word| word == id.as_str())
        })
        .cloned()
        .collect()
}

pub(crate) fn filter(name: &str, value: &str) -> Filter {
    // In a filter `*` and `?` stand for any text; a label means itself.
    let mut literal = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, '*' | '?' | '\\') {
            literal.push('\\');
        }
        literal.push(c);
    }
    Filter::builder().name(name).values(literal).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_the_sentence_that_names_them() {
        let ids: Vec<String> = ["i-1", "i-12", "i-3"].map(str::to_owned).into();
        let sentence = "The instance IDs 'i-12, i-3' do not exist";
        assert_eq!(named(sentence, &ids), ["i-12", "i-3"]);
        assert_eq!(named("no", &ids), [] as [String; 0]);
    }

    #[test]
    fn a_label_with_a_star_means_the_star() {
        assert_eq!(filter("tag:a", "b*").values(), ["b\\*"]);
    }
}
