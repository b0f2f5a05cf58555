//! The behavior suite against the real AWS, when `FLEETWRIGHT_LIVE` says so.
//!
//! | variable | meaning |
//! |---|---|
//! | `FLEETWRIGHT_LIVE` | kinds of clouds, separated by commas; `aws` runs this |
//! | `FLEETWRIGHT_LIVE_AWS_REGION` | the region; default `us-east-1` |
//! | `FLEETWRIGHT_LIVE_AWS_TYPE` | the type; default `t3.nano`, about half a cent per hour |
//! | `FLEETWRIGHT_LIVE_AWS_OPTIONS` | options of the pool as JSON: `{"launch": "fleet"}` |
//! | `FLEETWRIGHT_LIVE_AWS_IMAGE` | an AMI for the foreign instance; without it there is none |
//!
//! Credentials come from AWS's standard chain; the guide's policy is enough, with
//! `ec2:CreateTags` for foreign instances. It ends after [`LIMIT`], has at most [`ROOM`] machines
//! at once, and sweeps before and after: whatever carries the suite's fleet name is removed,
//! together with what would bring it back. Balancers and DNS zones of the account are left alone.
//!
//! That the run itself works is practised on the fake with every run of the tests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ec2::types::{
    Filter, FleetStateCode, Instance, InstanceType, Reservation, ResourceType, Tag,
    TagSpecification,
};
use aws_smithy_http_client::tls;
use fleetwright_aws::{AwsConfig, AwsProvider, StaticCredentials};
use fleetwright_conformance::{CASES, Subject, Verdict, Waiver};
use fleetwright_core::{Labels, Market, Node, NodeId, NodeSpec, Provider, Secret, Span, keys};
use serde_json::Value;

use crate::moto::seen;
use crate::support::{self, RealClock, SECRET};

/// The whole run ends after this time, whatever it has judged by then.
const LIMIT: Duration = Duration::from_mins(45);
/// Most machines at once.
const ROOM: u32 = 3;
/// The fleet that the suite's machines belong to.
const FLEET: &str = "conformance";

/// Where a run takes place.
struct Place {
    region: String,
    instance_type: String,
    options: Value,
    /// Instead of AWS, with these credentials: for practice.
    practice: Option<(String, StaticCredentials)>,
    patience: Duration,
    listing_lag: Span,
    /// How long the judge's own view may be behind.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/query-api-troubleshooting.html#eventual-consistency>
    view_lag: Duration,
}

struct Live {
    place: Place,
    provider: AwsProvider,
    ec2: aws_sdk_ec2::Client,
    autoscaling: aws_sdk_autoscaling::Client,
}

impl Place {
    /// As the environment says; `None` if it does not ask for AWS.
    fn of_environment() -> Option<Self> {
        let kinds = std::env::var("FLEETWRIGHT_LIVE").ok()?;
        if !kinds.split(',').any(|kind| kind.trim() == "aws") {
            return None;
        }
        let set = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let region = set("FLEETWRIGHT_LIVE_AWS_REGION");
        let instance_type = set("FLEETWRIGHT_LIVE_AWS_TYPE");
        let options = set("FLEETWRIGHT_LIVE_AWS_OPTIONS").map_or_else(
            || Value::Object(serde_json::Map::new()),
            |text| serde_json::from_str(&text).expect("FLEETWRIGHT_LIVE_AWS_OPTIONS is JSON"),
        );
        Some(Self {
            region: region.unwrap_or_else(|| "us-east-1".to_owned()),
            instance_type: instance_type.unwrap_or_else(|| "t3.nano".to_owned()),
            options,
            practice: None,
            patience: Duration::from_mins(10),
            listing_lag: AwsConfig::default().listing_lag,
            view_lag: Duration::from_secs(5),
        })
    }
}

impl Live {
    async fn open(place: Place) -> Self {
        let config = AwsConfig {
            regions: vec![place.region.clone()],
            listing_lag: place.listing_lag,
            endpoint: place.practice.as_ref().map(|(url, _)| url.clone()),
            ..AwsConfig::default()
        };
        let clock = Arc::new(RealClock);
        let provider = match place.practice.clone() {
            Some((_, own)) => AwsProvider::with_credentials("aws", config, clock, own),
            None => AwsProvider::new("aws", config, clock),
        };
        let shared = judge(&place).await;
        Self {
            provider: provider.expect("the configuration is good"),
            ec2: aws_sdk_ec2::Client::new(&shared),
            autoscaling: aws_sdk_autoscaling::Client::new(&shared),
            place,
        }
    }

    /// Instances of the suite that are not gone, past our own listing.
    async fn left(&self) -> Vec<Instance> {
        let ours = Filter::builder()
            .name(format!("tag:{}", keys::FLEET))
            .values(FLEET)
            .build();
        let foreign = Filter::builder()
            .name("tag:fleetwright-live")
            .values("foreign")
            .build();
        let mut all = self.instances(Some(ours)).await;
        all.extend(self.instances(Some(foreign)).await);
        all
    }

    async fn instances(&self, filter: Option<Filter>) -> Vec<Instance> {
        let mut pages = self
            .ec2
            .describe_instances()
            .set_filters(filter.map(|filter| vec![filter]))
            .into_paginator()
            .send();
        let mut all = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.expect("the judge can list instances");
            all.extend(
                page.reservations()
                    .iter()
                    .flat_map(Reservation::instances)
                    .filter(|instance| {
                        let state = instance.state().and_then(|state| state.name());
                        state.is_some_and(|name| name.as_str() != "terminated")
                    })
                    .cloned(),
            );
        }
        all
    }

    /// Removes whatever carries the suite's fleet name: first what would bring machines back.
    async fn sweep(&self) {
        let is_ours = |tags: &[Tag]| {
            tags.iter()
                .any(|tag| tag.key() == Some(keys::FLEET) && tag.value() == Some(FLEET))
        };
        let groups = self.autoscaling.describe_auto_scaling_groups().send().await;
        for group in groups.expect("groups can be listed").auto_scaling_groups() {
            let ours = group
                .tags()
                .iter()
                .any(|tag| tag.key() == Some(keys::FLEET) && tag.value() == Some(FLEET));
            if let (true, Some(name)) = (ours, group.auto_scaling_group_name()) {
                let delete = self.autoscaling.delete_auto_scaling_group();
                let deleted = delete
                    .auto_scaling_group_name(name)
                    .force_delete(true)
                    .send()
                    .await;
                deleted.expect("a group can be deleted");
            }
        }
        let fleets = self.ec2.describe_fleets().send().await;
        for fleet in fleets.expect("fleets can be listed").fleets() {
            let alive = fleet.fleet_state() == Some(&FleetStateCode::Active);
            if let (true, true, Some(id)) = (alive, is_ours(fleet.tags()), fleet.fleet_id()) {
                let delete = self.ec2.delete_fleets().fleet_ids(id);
                let deleted = delete.terminate_instances(true).send().await;
                deleted.expect("a fleet can be deleted");
            }
        }
        let requests = self.ec2.describe_spot_fleet_requests().send().await;
        for request in requests
            .expect("spot fleets can be listed")
            .spot_fleet_request_configs()
        {
            let alive = request.spot_fleet_request_state().is_some_and(|state| {
                matches!(state.as_str(), "submitted" | "active" | "modifying")
            });
            if let (true, true, Some(id)) = (
                alive,
                is_ours(request.tags()),
                request.spot_fleet_request_id(),
            ) {
                let cancel = self.ec2.cancel_spot_fleet_requests();
                let cancelled = cancel
                    .spot_fleet_request_ids(id)
                    .terminate_instances(true)
                    .send()
                    .await;
                cancelled.expect("a spot fleet can be cancelled");
            }
        }
        let templates = self.ec2.describe_launch_templates().send().await;
        for template in templates
            .expect("launch templates can be listed")
            .launch_templates()
        {
            if let (true, Some(id)) = (is_ours(template.tags()), template.launch_template_id()) {
                let delete = self.ec2.delete_launch_template().launch_template_id(id);
                delete.send().await.expect("a template can be deleted");
            }
        }
        let deadline = Instant::now() + self.place.patience;
        loop {
            let left = self.left().await;
            if left.is_empty() {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "instances of the suite are left and cost money: {:?}",
                left.iter()
                    .filter_map(Instance::instance_id)
                    .collect::<Vec<_>>()
            );
            let ids = left
                .iter()
                .filter_map(|i| i.instance_id().map(str::to_owned));
            let terminate = self.ec2.terminate_instances();
            let ended = terminate.set_instance_ids(Some(ids.collect())).send().await;
            ended.expect("instances can be terminated");
            tokio::time::sleep(self.place.listing_lag.0.max(Duration::from_millis(50))).await;
        }
    }
}

/// What the judge asks with: the SDK, past all code of ours.
async fn judge(place: &Place) -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(
            tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .region(Region::new(place.region.clone()));
    if let Some((url, own)) = &place.practice {
        loader =
            loader
                .endpoint_url(url)
                .credentials_provider(aws_sdk_ec2::config::Credentials::new(
                    own.access_key_id.clone(),
                    own.secret_access_key.reveal(),
                    None,
                    None,
                    "judge",
                ));
    }
    loader.load().await
}

#[async_trait]
impl Subject for Live {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(self.provider.clone())
    }

    fn spec(&self) -> NodeSpec {
        NodeSpec {
            name: "conformance".to_owned(),
            instance_type: self.place.instance_type.clone(),
            image: None,
            region: self.place.region.clone(),
            zone: None,
            market: Market::OnDemand,
            ssh_keys: Vec::new(),
            user_data: None,
            labels: Labels::new(),
            options: self.place.options.as_object().cloned().unwrap_or_default(),
        }
    }

    async fn settle(&self, wanted: Duration) {
        tokio::time::sleep(wanted).await;
    }

    async fn truth(&self) -> Vec<Node> {
        tokio::time::sleep(self.place.view_lag).await;
        let left = self.left().await;
        left.iter()
            .map(|instance| seen(instance, &self.place.region))
            .collect()
    }

    fn patience(&self) -> Duration {
        self.place.patience
    }

    fn room(&self) -> u32 {
        ROOM
    }

    fn unknown_id(&self) -> NodeId {
        NodeId::new("aws", &self.place.region, "i-00000000000beef00").unwrap()
    }

    fn waivers(&self) -> Vec<Waiver> {
        match self.place.options["launch"].as_str() {
            None | Some("run") => Vec::new(),
            Some(_) => vec![Waiver::new(
                "names_follow_the_request",
                "members of fleets and groups are named by their ids",
            )],
        }
    }

    async fn make_foreign(&self) -> Option<NodeId> {
        let image = std::env::var("FLEETWRIGHT_LIVE_AWS_IMAGE").ok()?;
        let tags = TagSpecification::builder()
            .resource_type(ResourceType::Instance)
            .tags(
                Tag::builder()
                    .key("fleetwright-live")
                    .value("foreign")
                    .build(),
            )
            .build();
        let run = self
            .ec2
            .run_instances()
            .image_id(image)
            .instance_type(InstanceType::from(self.place.instance_type.as_str()))
            .min_count(1)
            .max_count(1)
            .tag_specifications(tags);
        let made = run.send().await.expect("the judge can make an instance");
        let id = made.instances().first()?.instance_id()?.to_owned();
        Some(NodeId::new("aws", &self.place.region, &id).unwrap())
    }

    async fn kill(&self, node: &NodeId) -> bool {
        let call = self.ec2.terminate_instances().instance_ids(node.native());
        call.send().await.is_ok()
    }

    /// The account's own balancers are not touched.
    async fn balancer(&self) -> Option<String> {
        None
    }

    /// Nor its zones.
    async fn zone(&self) -> Option<String> {
        None
    }
}

/// Runs every case until the time is up; what is left is swept, however it ends.
async fn judged(live: &Live) -> (usize, Vec<String>) {
    live.sweep().await;
    let (mut passed, mut failures) = (0, Vec::new());
    let cases = async {
        for case in CASES {
            let before = Instant::now();
            let verdict = fleetwright_conformance::run(case, live).await;
            let took = before.elapsed().as_secs();
            match verdict {
                Verdict::Passed => {
                    passed += 1;
                    println!("{}: passed in {took} s", case.name);
                }
                Verdict::Failed(failure) => failures.push(failure.to_string()),
                Verdict::NotApplicable { why, .. } => {
                    println!("{}: not applicable: {why}", case.name);
                }
            }
        }
    };
    let in_time = tokio::time::timeout(LIMIT, cases).await.is_ok();
    live.sweep().await;
    if !in_time {
        failures.push(format!("not all cases ran within {} s", LIMIT.as_secs()));
    }
    (passed, failures)
}

#[tokio::test]
async fn the_suite_passes_on_aws() {
    let Some(place) = Place::of_environment() else {
        println!("skipped: `FLEETWRIGHT_LIVE` does not name `aws`");
        return;
    };
    let live = Live::open(place).await;
    let (passed, failures) = judged(&live).await;
    println!("{passed} passed on AWS");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(passed > 25, "too few cases ran to prove anything");
}

#[tokio::test]
async fn a_live_run_is_practised_on_the_fake_and_leaves_nothing() {
    let fake = support::fake();
    let practice = StaticCredentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret_access_key: Secret::new(SECRET),
        session_token: None,
    };
    let place = |options: Value| Place {
        region: support::REGION.to_owned(),
        instance_type: "t3.micro".to_owned(),
        options,
        practice: Some((fake.endpoint(), practice.clone())),
        patience: Duration::from_secs(10),
        listing_lag: Span(support::LAG),
        view_lag: support::LAG,
    };
    // What a killed run left behind: instances, and what brings them back.
    for options in [
        serde_json::json!({}),
        serde_json::json!({ "launch": "group" }),
        serde_json::json!({ "launch": "fleet", "fleet_type": "maintain" }),
        serde_json::json!({ "launch": "spot-fleet" }),
    ] {
        let killed = Live::open(place(options)).await;
        let mut spec = killed.spec();
        spec.labels.insert(keys::FLEET.to_owned(), FLEET.to_owned());
        spec.labels.insert(
            keys::MANAGED_BY.to_owned(),
            keys::MANAGED_BY_VALUE.to_owned(),
        );
        let token = fleetwright_core::Token::from_stored(format!("left-{}", fake.calls().len()));
        spec.labels
            .insert(keys::CLAIM.to_owned(), token.to_string());
        let request = fleetwright_core::CreateRequest {
            count: 2,
            spec,
            token,
            replay: false,
            host_key: None,
        };
        let made = killed.provider().create(&request).await.unwrap();
        assert_eq!(made.nodes.len(), 2);
    }
    let stranger = fake
        .add_instance(support::REGION, &[("Name", "somebody else's")])
        .unwrap();
    let live = Live::open(place(serde_json::json!({}))).await;
    let (passed, failures) = judged(&live).await;
    assert_eq!(failures, [] as [String; 0]);
    assert!(passed > 40, "only {passed} cases ran");
    let running: Vec<String> = fake.instances().into_iter().map(|i| i.id).collect();
    assert_eq!(running, [stranger], "the suite's are swept, others are not");
    assert_eq!(fake.leftovers(), [] as [String; 0]);
}
