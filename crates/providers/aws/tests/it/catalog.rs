//! Types, offerings, prices and quotas, as our own fake tells them.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on shall end there"
)]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_aws::{AwsConfig, AwsProvider, PriceSource, StaticCredentials};
use fleetwright_aws_fake::{Failure, Fake, FakeConfig, How};
use fleetwright_core::ability::Offering;
use fleetwright_core::{
    Availability, Catalog, Clock, HourlyPrice, InstanceType, Kind, Market, Quotas, Secret,
};
use futures::future::try_join;
use jiff::{SignedDuration, Timestamp};

use crate::support::{self, REGION, SECRET};

const OTHER: &str = "eu-west-1";
/// What the fake sells: 27 types in 3 zones, 3 of them not in the last; on two markets.
const TYPES: usize = 27;
const OFFERINGS: usize = (27 * 3 - 3) * 2;
/// One question of each kind; the fake's answers fit in one page.
const CALLS_PER_REGION: usize = 5;

/// A clock that stands still until it is set forward.
#[derive(Debug)]
struct SetClock(Mutex<Timestamp>);

impl SetClock {
    fn forward(&self, by: SignedDuration) {
        *self.0.lock().unwrap() += by;
    }
}

#[async_trait]
impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

struct World {
    fake: Fake,
    clock: Arc<SetClock>,
    provider: AwsProvider,
}

impl World {
    fn new() -> Self {
        Self::with(FakeConfig::default(), |_| {})
    }

    fn with(fake: FakeConfig, change: impl FnOnce(&mut AwsConfig)) -> Self {
        let fake = Fake::start(fake).unwrap();
        let mut config = support::config(fake.endpoint());
        change(&mut config);
        let clock = Arc::new(SetClock(Mutex::new(
            "2026-11-24T12:00:00Z".parse().unwrap(),
        )));
        let credentials = StaticCredentials {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: Secret::new(SECRET),
            session_token: None,
        };
        let clock_of_provider = Arc::clone(&clock) as Arc<dyn Clock>;
        let provider =
            AwsProvider::with_credentials("aws", config, clock_of_provider, credentials).unwrap();
        Self {
            fake,
            clock,
            provider,
        }
    }

    async fn types(&self) -> Vec<InstanceType> {
        self.provider.instance_types().await.unwrap()
    }

    async fn offerings(&self) -> Vec<Offering> {
        self.provider.offerings().await.unwrap()
    }

    /// The one offering of a type in a zone on a market.
    async fn offering(&self, name: &str, zone: &str, market: Market) -> Offering {
        let mut found: Vec<Offering> = self.offerings().await;
        found.retain(|o| {
            o.instance_type == name && o.zone.as_deref() == Some(zone) && o.market == market
        });
        assert_eq!(found.len(), 1, "{name} {zone} {market}: {found:?}");
        found.remove(0)
    }

    /// How often an action was called in a region; `*` for all actions.
    fn calls(&self, region: &str, action: &str) -> usize {
        let calls = self.fake.calls().into_iter();
        calls
            .filter(|call| call.region == region && (action == "*" || call.action == action))
            .count()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.fake.violations(), [] as [String; 0]);
        }
    }
}

fn dollars(text: &str) -> HourlyPrice {
    text.parse().unwrap()
}

#[tokio::test]
async fn every_page_of_every_region_is_read() {
    let whole = World::new();
    let paged = World::with(
        FakeConfig {
            page_size: Some(5),
            ..FakeConfig::default()
        },
        |config| config.prices = PriceSource::Api,
    );
    let types = paged.types().await;
    assert_eq!(types.len(), TYPES);
    assert_eq!(types, whole.types().await);
    let offerings = paged.offerings().await;
    assert_eq!(offerings.len(), OFFERINGS * 2);
    let distinct: BTreeSet<String> = offerings
        .iter()
        .map(|o| format!("{} {:?} {} {}", o.region, o.zone, o.instance_type, o.market))
        .collect();
    assert_eq!(distinct.len(), offerings.len());
    assert!(offerings.iter().all(|o| o.price.is_some()));
    let names: BTreeSet<&str> = types.iter().map(|t| &*t.name).collect();
    assert!(offerings.iter().all(|o| names.contains(&*o.instance_type)));
    assert!(
        !offerings.iter().any(|o| {
            o.instance_type == "p5.48xlarge" && o.zone.as_deref() == Some("us-east-1c")
        })
    );
    for region in [REGION, OTHER] {
        assert_eq!(
            paged.calls(region, "DescribeInstanceTypes"),
            27_usize.div_ceil(5)
        );
        assert_eq!(
            paged.calls(region, "DescribeInstanceTypeOfferings"),
            78_usize.div_ceil(5)
        );
        assert_eq!(
            paged.calls(region, "DescribeSpotPriceHistory"),
            78_usize.div_ceil(5)
        );
    }
}

#[tokio::test]
async fn a_region_needs_one_call_of_each_kind() {
    let world = World::new();
    let (types, offerings) = try_join(world.provider.instance_types(), world.provider.offerings())
        .await
        .unwrap();
    assert_eq!(types.len(), TYPES);
    assert_eq!(offerings.len(), OFFERINGS * 2);
    for region in [REGION, OTHER] {
        for action in [
            "DescribeInstanceTypes",
            "DescribeInstanceTypeOfferings",
            "DescribeSpotPriceHistory",
            "GetServiceQuota",
            "ListServiceQuotas",
        ] {
            assert_eq!(world.calls(region, action), 1, "{region} {action}");
        }
        assert_eq!(world.calls(region, "*"), CALLS_PER_REGION);
    }
}

#[tokio::test]
async fn types_say_what_they_have() {
    let world = World::new();
    let types = world.types().await;
    let named = |name: &str| types.iter().find(|t| t.name == name).unwrap();
    assert_eq!(
        named("g4dn.12xlarge"),
        &InstanceType {
            name: "g4dn.12xlarge".to_owned(),
            vcpus: 48,
            memory_mib: 196_608,
            architecture: "x86_64".to_owned(),
            gpus: 4,
            gpu_model: Some("NVIDIA T4".to_owned()),
            gpu_memory_mib: Some(16_384),
        }
    );
    assert_eq!(named("c7g.large").architecture, "arm64");
    // Accelerators that run no CUDA are not GPUs.
    for name in ["inf2.xlarge", "trn1.2xlarge", "m5.large"] {
        let plain = named(name);
        assert_eq!(
            (plain.gpus, &plain.gpu_model, plain.gpu_memory_mib),
            (0, &None, None)
        );
    }
}

#[tokio::test]
async fn an_offering_has_the_price_of_its_market_and_zone() {
    let world = World::new();
    for (zone, market, price) in [
        ("us-east-1a", Market::OnDemand, Some(dollars("$0.096"))),
        ("us-east-1c", Market::OnDemand, Some(dollars("$0.096"))),
        ("us-east-1a", Market::Spot, Some(dollars("$0.0384"))),
        ("us-east-1b", Market::Spot, Some(dollars("$0.0336"))),
        // The table has no figures of this region: none is better than a wrong one.
        ("eu-west-1a", Market::OnDemand, None),
        ("eu-west-1a", Market::Spot, Some(dollars("$0.0384"))),
    ] {
        let offering = world.offering("m5.large", zone, market).await;
        assert_eq!(offering.price, price, "{zone} {market}");
        assert_eq!(offering.availability, Availability::Unknown);
        assert_eq!(offering.region, zone[..9]);
    }
}

#[tokio::test]
async fn prices_of_the_api_are_those_of_the_region_and_are_read_once() {
    let world = World::with(FakeConfig::default(), |config| {
        config.prices = PriceSource::Api;
    });
    let here = world
        .offering("m5.large", "us-east-1a", Market::OnDemand)
        .await;
    assert_eq!(here.price, Some(dollars("$0.096")));
    let there = world
        .offering("m5.large", "eu-west-1a", Market::OnDemand)
        .await;
    assert_eq!(there.price, Some(dollars("$0.1056")));
    // The fake's is not the table's.
    let gpu = world
        .offering("p4d.24xlarge", "us-east-1a", Market::OnDemand)
        .await;
    assert_eq!(gpu.price, Some(dollars("$32.7726")));
    // Machines and bare metal, of two regions; all is asked in the API's own region.
    assert_eq!(world.calls(REGION, "GetProducts"), 4);
    world.clock.forward(SignedDuration::from_hours(1));
    world.offerings().await;
    assert_eq!(world.calls(REGION, "GetProducts"), 4);
    assert_eq!(world.calls(REGION, "DescribeSpotPriceHistory"), 2);
}

#[tokio::test]
async fn answers_are_remembered_for_five_minutes() {
    let world = World::new();
    world.types().await;
    world.offerings().await;
    world.fake.forget_calls();
    world.clock.forward(SignedDuration::from_secs(299));
    assert_eq!(world.types().await.len(), TYPES);
    assert_eq!(world.offerings().await.len(), OFFERINGS * 2);
    assert_eq!(world.fake.calls(), []);
    world.clock.forward(SignedDuration::from_secs(1));
    world.offerings().await;
    assert_eq!(world.calls(REGION, "*"), CALLS_PER_REGION);
    world.provider.forget_catalog();
    world.offerings().await;
    assert_eq!(world.calls(REGION, "*"), CALLS_PER_REGION * 2);
}

#[tokio::test]
async fn one_region_that_fails_is_an_error_and_is_asked_again() {
    for action in [
        "DescribeInstanceTypes",
        "DescribeInstanceTypeOfferings",
        "DescribeSpotPriceHistory",
        "GetServiceQuota",
        "ListServiceQuotas",
    ] {
        let world = World::new();
        world.fake.fail(Failure {
            region: Some(OTHER.to_owned()),
            ..Failure::once(action, refuse(403, "UnauthorizedOperation"))
        });
        let error = world.provider.offerings().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Permission, "{action}");
        let report = format!("{error:?}");
        assert!(
            report.contains(action) && report.contains(OTHER),
            "{report}"
        );
        assert_eq!(world.offerings().await.len(), OFFERINGS * 2, "{action}");
        // What the first attempt has read is not read again.
        assert_eq!(world.calls(REGION, "*"), CALLS_PER_REGION, "{action}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_shorter_list() {
    for action in ["DescribeInstanceTypes", "DescribeSpotPriceHistory"] {
        for how in [
            How::HalfBody,
            How::Garbage,
            How::CloseBefore,
            How::Html { status: 200 },
        ] {
            let world = World::with(
                FakeConfig {
                    page_size: Some(10),
                    ..FakeConfig::default()
                },
                |_| {},
            );
            // On the second page of one region.
            world.fake.fail(Failure {
                region: Some(REGION.to_owned()),
                skip: 1,
                ..Failure::once(action, how.clone())
            });
            let error = world.provider.offerings().await.unwrap_err();
            let kinds = [Kind::Unavailable, Kind::Unexpected];
            assert!(kinds.contains(&error.kind()), "{action} {how:?}: {error:?}");
            assert_eq!(world.offerings().await.len(), OFFERINGS * 2);
        }
    }
}

#[tokio::test]
async fn a_quota_below_one_machine_forbids_it() {
    let world = World::new();
    world.fake.set_vcpu_quota(REGION, Some(4));
    world.fake.set_spot_vcpu_quota(REGION, Some(0));
    let no_quota = Availability::NoQuota;
    for (name, zone, market, expected) in [
        ("m5.2xlarge", "us-east-1a", Market::OnDemand, no_quota),
        (
            "m5.xlarge",
            "us-east-1a",
            Market::OnDemand,
            Availability::Unknown,
        ),
        ("g4dn.12xlarge", "us-east-1b", Market::OnDemand, no_quota),
        ("m5.large", "us-east-1a", Market::Spot, no_quota),
        ("p5.48xlarge", "us-east-1a", Market::Spot, no_quota),
        (
            "m5.2xlarge",
            "eu-west-1a",
            Market::OnDemand,
            Availability::Unknown,
        ),
        (
            "m5.large",
            "eu-west-1a",
            Market::Spot,
            Availability::Unknown,
        ),
    ] {
        let offering = world.offering(name, zone, market).await;
        assert_eq!(offering.availability, expected, "{name} {zone} {market}");
    }
}

#[tokio::test]
async fn quotas_are_told_by_region_in_vcpus() {
    let world = World::with(
        FakeConfig {
            page_size: Some(4),
            ..FakeConfig::default()
        },
        |_| {},
    );
    world.fake.set_vcpu_quota(REGION, Some(1_152));
    let quotas = world.provider.quotas().await.unwrap();
    assert_eq!(quotas.len(), 22);
    let standard = |region: &str| {
        let of_region = |q: &&fleetwright_core::ability::Quota| {
            q.region.as_deref() == Some(region) && q.name.starts_with("Running On-Demand Standard")
        };
        quotas.iter().find(of_region).unwrap()
    };
    assert_eq!(standard(REGION).limit, 1_152);
    assert_eq!(standard(OTHER).limit, 1_000_000);
    assert!(quotas.iter().all(|q| q.unit == "vcpus" && q.used.is_none()));
    let first = world.calls(REGION, "ListServiceQuotas");
    assert_eq!(first, 11_usize.div_ceil(4));
    world.offerings().await;
    assert_eq!(world.calls(REGION, "ListServiceQuotas"), first);
}

#[tokio::test]
async fn a_region_whose_quotas_are_unknown_sells_all_the_same() {
    let world = World::new();
    // What Service Quotas says where it does not know EC2.
    let how = refuse(400, "NoSuchResourceException");
    world.fake.fail(Failure::always("GetServiceQuota", how));
    assert_eq!(world.provider.quotas().await.unwrap(), []);
    let offerings = world.offerings().await;
    assert!(
        offerings
            .iter()
            .all(|o| o.availability == Availability::Unknown)
    );
}

fn refuse(status: u16, code: &str) -> How {
    How::Refuse {
        status,
        code: code.to_owned(),
        message: format!("The test asked for {code}."),
    }
}

#[tokio::test]
async fn every_cause_of_failure_comes_back_as_its_kind_and_only_once() {
    let world = World::new();
    for (kind, how) in [
        (Kind::Auth, refuse(401, "AuthFailure")),
        (Kind::Permission, refuse(400, "AccessDeniedException")),
        (Kind::RateLimited, refuse(503, "RequestLimitExceeded")),
        (Kind::RateLimited, refuse(400, "TooManyRequestsException")),
        (Kind::Unavailable, How::CloseBefore),
        (Kind::Timeout, How::Delay(Duration::from_secs(2))),
        (Kind::Unexpected, How::Html { status: 200 }),
    ] {
        // Both regions fail, at every question.
        let fault = Failure::always(
            "DescribeInstanceTypes|DescribeInstanceTypeOfferings|DescribeSpotPriceHistory|\
             ListServiceQuotas",
            how,
        );
        world.provider.forget_catalog();
        world.fake.fail(fault);
        let errors = [
            world.provider.instance_types().await.unwrap_err(),
            world.provider.offerings().await.unwrap_err(),
            world.provider.quotas().await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), kind, "{error:?}");
            assert!(!format!("{error:?}").contains(SECRET));
        }
        world.fake.stop_failing();
        assert_eq!(world.types().await.len(), TYPES);
        assert_eq!(world.offerings().await.len(), OFFERINGS * 2);
        assert_eq!(world.provider.quotas().await.unwrap().len(), 22);
    }
}
