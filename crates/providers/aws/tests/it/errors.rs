//! The table of errors, over the wire: what AWS answers, and what comes of it.
//!
//! Sentences are those of the vendor's list of error codes and of answers that were seen.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>

use std::time::Duration;

use fleetwright_aws_fake::{Failure, How};
use fleetwright_core::{
    ClaimId, CreateRequest, Effect, Error, Kind, Provider, Remedy, Scope, Token, fingerprint,
};
use serde_json::{Value, json};

use crate::support::{self, REGION};

fn request(spec: fleetwright_core::NodeSpec) -> CreateRequest {
    let token = Token::new(ClaimId::new(), 1, &fingerprint(&spec));
    let mut request = CreateRequest {
        count: 1,
        spec,
        token,
        replay: false,
        host_key: None,
    };
    for (key, value) in [
        (
            fleetwright_core::keys::MANAGED_BY,
            fleetwright_core::keys::MANAGED_BY_VALUE.to_owned(),
        ),
        (fleetwright_core::keys::CLAIM, request.token.to_string()),
    ] {
        request.spec.labels.insert(key.to_owned(), value);
    }
    request
}

type Row = (u16, &'static str, &'static str, Kind, Effect, Option<Scope>);

const TABLE: &[Row] = &[
    (
        500,
        "InsufficientInstanceCapacity",
        "We currently do not have sufficient g4dn.xlarge capacity in the Availability Zone you \
         requested (eu-west-3b). Our system will be working on provisioning additional capacity. \
         You can currently get g4dn.xlarge capacity by not specifying an Availability Zone in your \
         request or choosing eu-west-3a, eu-west-3c.",
        Kind::Capacity,
        Effect::None,
        Some(Scope::Zone),
    ),
    (
        500,
        "InsufficientHostCapacity",
        "There is not enough capacity on your Dedicated Host.",
        Kind::Capacity,
        Effect::None,
        Some(Scope::Zone),
    ),
    (
        400,
        "InsufficientReservedInstanceCapacity",
        "Not enough available reserved instances.",
        Kind::Capacity,
        Effect::None,
        Some(Scope::Zone),
    ),
    (
        400,
        "InsufficientFreeAddressesInSubnet",
        "Not enough free addresses in subnet subnet-1.",
        Kind::Capacity,
        Effect::None,
        Some(Scope::Zone),
    ),
    (
        400,
        "ReservationCapacityExceeded",
        "The targeted Capacity Reservation does not have enough available instance capacity.",
        Kind::Capacity,
        Effect::None,
        Some(Scope::Zone),
    ),
    (
        400,
        "SpotMaxPriceTooLow",
        "Your Spot request price of 0.001 is lower than the minimum required Spot request fulfillment price of 0.0031.",
        Kind::Capacity,
        Effect::None,
        Some(Scope::Zone),
    ),
    (
        400,
        "Unsupported",
        "Your requested instance type (p5.48xlarge) is not supported in your requested Availability Zone (us-east-1e). Please retry your request by not specifying an Availability Zone or choosing us-east-1a, us-east-1b.",
        Kind::Capacity,
        Effect::None,
        Some(Scope::Zone),
    ),
    (
        400,
        "Unsupported",
        "The requested configuration is currently not supported. Please check the documentation for supported configurations.",
        Kind::Invalid,
        Effect::None,
        None,
    ),
    (
        400,
        "VcpuLimitExceeded",
        "You have requested more vCPU capacity than your current vCPU limit of 32 allows for the instance bucket that the specified instance type belongs to.",
        Kind::Quota,
        Effect::None,
        Some(Scope::Region),
    ),
    (
        400,
        "InstanceLimitExceeded",
        "Your quota allows for 0 more running instance(s). You requested at least 1",
        Kind::Quota,
        Effect::None,
        Some(Scope::Region),
    ),
    (
        400,
        "MaxSpotInstanceCountExceeded",
        "Max spot instance count exceeded",
        Kind::Quota,
        Effect::None,
        Some(Scope::Region),
    ),
    (
        503,
        "RequestLimitExceeded",
        "Request limit exceeded.",
        Kind::RateLimited,
        Effect::None,
        None,
    ),
    (
        400,
        "Throttling",
        "Rate exceeded",
        Kind::RateLimited,
        Effect::None,
        None,
    ),
    (
        503,
        "Unavailable",
        "The service is unavailable. Please try again shortly.",
        Kind::Unavailable,
        Effect::Unknown,
        None,
    ),
    (
        500,
        "InternalError",
        "An internal error has occurred",
        Kind::Unavailable,
        Effect::Unknown,
        None,
    ),
    (
        401,
        "AuthFailure",
        "AWS was not able to validate the provided access credentials",
        Kind::Auth,
        Effect::None,
        None,
    ),
    (
        400,
        "RequestExpired",
        "Request has expired.",
        Kind::Auth,
        Effect::None,
        None,
    ),
    (
        403,
        "ExpiredToken",
        "The security token included in the request is expired",
        Kind::Auth,
        Effect::None,
        None,
    ),
    (
        403,
        "InvalidClientTokenId",
        "The security token included in the request is invalid.",
        Kind::Auth,
        Effect::None,
        None,
    ),
    (
        401,
        "OptInRequired",
        "In order to use this AWS Marketplace product you need to accept terms and subscribe.",
        Kind::Auth,
        Effect::None,
        None,
    ),
    (
        403,
        "UnauthorizedOperation",
        "You are not authorized to perform this operation.",
        Kind::Permission,
        Effect::None,
        None,
    ),
    (
        400,
        "IdempotentParameterMismatch",
        "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
        Kind::Conflict,
        Effect::None,
        None,
    ),
    (
        400,
        "InvalidAMIID.NotFound",
        "The image id '[ami-1]' does not exist",
        Kind::Invalid,
        Effect::None,
        None,
    ),
    (
        400,
        "InvalidSubnetID.NotFound",
        "The subnet ID 'subnet-1' does not exist",
        Kind::Invalid,
        Effect::None,
        None,
    ),
    (
        400,
        "InvalidGroup.NotFound",
        "The security group 'sg-1' does not exist",
        Kind::Invalid,
        Effect::None,
        None,
    ),
    (
        400,
        "InvalidKeyPair.NotFound",
        "The key pair 'x' does not exist",
        Kind::Invalid,
        Effect::None,
        None,
    ),
    (
        400,
        "VPCIdNotSpecified",
        "No default VPC for this user",
        Kind::Invalid,
        Effect::None,
        None,
    ),
    (
        400,
        "MissingParameter",
        "The request must contain the parameter ImageId",
        Kind::Invalid,
        Effect::None,
        None,
    ),
    (
        400,
        "ACodeThatNobodyKnows",
        "What it says.",
        Kind::Invalid,
        Effect::None,
        None,
    ),
    (
        418,
        "ACodeThatNobodyKnows",
        "What it says.",
        Kind::Invalid,
        Effect::None,
        None,
    ),
    (
        502,
        "ACodeThatNobodyKnows",
        "What it says.",
        Kind::Unavailable,
        Effect::Unknown,
        None,
    ),
];

#[tokio::test]
async fn every_answer_has_its_kind_its_effect_and_its_reach() {
    let fake = support::fake();
    let provider = support::provider(support::config(fake.endpoint()));
    let image = fake.images(REGION).remove(0);
    for &(status, code, message, kind, effect, scope) in TABLE {
        fake.fail(Failure::once(
            "RunInstances",
            How::Refuse {
                status,
                code: code.to_owned(),
                message: message.to_owned(),
            },
        ));
        let request = request(support::spec(&image, &json!({})));
        let error = provider.create(&request).await.unwrap_err();
        let seen = (error.kind(), error.effect(), error.scope());
        assert_eq!(seen, (kind, effect, scope), "{status} {code}: {error:?}");
        let words = message.trim_end_matches('.');
        assert_eq!(error.to_string(), words, "the vendor's own words are shown");
        let codes: Vec<&str> = error
            .context()
            .filter(|c| c.0 == "code")
            .map(|c| c.1)
            .collect();
        assert_eq!(codes, [code]);
    }
    assert!(fake.all_instances().is_empty());
}

#[tokio::test]
async fn zones_that_the_refusal_names_are_kept_as_a_hint() {
    let fake = support::fake();
    let provider = support::provider(support::config(fake.endpoint()));
    let image = fake.images(REGION).remove(0);
    fake.set_capacity(REGION, Some("us-east-1a"), None, Some(0));
    let request = request(support::spec(&image, &json!({})));
    let error = provider.create(&request).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Capacity);
    let zones: Vec<&str> = error
        .context()
        .filter(|(name, _)| *name == Error::ZONES)
        .map(|(_, zones)| zones)
        .collect();
    assert_eq!(zones, ["us-east-1b, us-east-1c"], "{error:?}");
}

/// A fault, the kind and remedy that it must have, and whether it struck after the effect.
fn faults() -> Vec<(&'static str, How, Kind, bool)> {
    let refuse = |status, code: &str, message: &str| How::Refuse {
        status,
        code: code.to_owned(),
        message: message.to_owned(),
    };
    vec![
        ("broken before", How::CloseBefore, Kind::Unavailable, false),
        ("broken after", How::CloseAfter, Kind::Unavailable, true),
        ("half a body", How::HalfBody, Kind::Unavailable, true),
        (
            "html, 503",
            How::Html { status: 503 },
            Kind::Unavailable,
            false,
        ),
        (
            "html, 200",
            How::Html { status: 200 },
            Kind::Unexpected,
            false,
        ),
        (
            "too late",
            How::Delay(Duration::from_secs(3)),
            Kind::Timeout,
            true,
        ),
        (
            "throttled",
            refuse(503, "RequestLimitExceeded", "Request limit exceeded."),
            Kind::RateLimited,
            false,
        ),
        (
            "sold out",
            refuse(
                500,
                "InsufficientInstanceCapacity",
                "There is no Spot capacity available that matches your request.",
            ),
            Kind::Capacity,
            false,
        ),
        (
            "expired",
            refuse(400, "RequestExpired", "Request has expired."),
            Kind::Auth,
            false,
        ),
    ]
}

async fn survives(action: &str, options: Value) {
    for (what, how, kind, happened) in faults() {
        let fake = support::fake();
        let provider = support::provider(support::config(fake.endpoint()));
        let image = fake.images(REGION).remove(0);
        let mut request = request(support::spec(&image, &options));
        request.count = 3;
        fake.fail(Failure::once(action, how));
        let error = provider.create(&request).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{action}, {what}: {error:?}");
        let remedy = match kind {
            Kind::Capacity => Remedy::TryElsewhere,
            Kind::Auth | Kind::Unexpected => Remedy::GiveUp,
            _ => Remedy::RetryHere,
        };
        assert_eq!(error.kind().remedy(), remedy);
        if happened {
            assert_eq!(
                error.effect(),
                Effect::Unknown,
                "{action}, {what}: {error:?}"
            );
        }
        // The same request again, as recovery sends it: three machines, no more, no fewer.
        request.replay = true;
        let created = provider.create(&request).await;
        let created = created.unwrap_or_else(|e| panic!("{action}, {what}, replay: {e:?}"));
        assert_eq!(created.nodes.len(), 3, "{action}, {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
        let real = fake.all_instances();
        assert_eq!(real.len(), 3, "{action}, {what}: {real:?}");
        for node in &created.nodes {
            assert!(
                real.iter().any(|r| r.id == node.id.native()),
                "{action}, {what}"
            );
        }
    }
}

#[tokio::test]
async fn run_instances_survives_every_fault() {
    survives("RunInstances", json!({})).await;
}

#[tokio::test]
async fn create_fleet_survives_every_fault() {
    survives("CreateFleet", json!({ "launch": "fleet" })).await;
}

#[tokio::test]
async fn a_maintained_fleet_survives_every_fault() {
    let options = json!({ "launch": "fleet", "fleet_type": "maintain" });
    survives("CreateFleet", options).await;
}

#[tokio::test]
async fn request_spot_fleet_survives_every_fault() {
    survives("RequestSpotFleet", json!({ "launch": "spot-fleet" })).await;
}

#[tokio::test]
async fn a_group_survives_every_fault() {
    survives("CreateAutoScalingGroup", json!({ "launch": "group" })).await;
}
