//! The table of errors, on bodies in the forms that the description gives.

use fleetwright_core::{CreateRequest, Effect, Kind, Provider as _, Scope};
use fleetwright_rest::testing::{Fault, Reply, Trouble};

use crate::support::{self, request};

/// Status, body, and what becomes of it in a launch. Bodies are the defaults and examples of the
/// description 1.8.3 and of <https://docs.lambda.ai/api/cloud>.
const TABLE: [(u16, &str, Kind, Effect, &str); 14] = [
    (
        401,
        r#"{"error":{"code":"global/invalid-api-key","message":"API key was invalid, expired, or deleted.","suggestion":"Check your API key or create a new one, then try again."}}"#,
        Kind::Auth,
        Effect::None,
        "API key was invalid, expired, or deleted",
    ),
    (
        403,
        r#"{"error":{"code":"global/account-inactive","message":"Your account is inactive.","suggestion":"Make sure you have verified your email address and have a valid payment method. Contact Support if problems continue."}}"#,
        Kind::Permission,
        Effect::None,
        "your account is inactive",
    ),
    (
        403,
        r#"{"error":{"code":"global/invalid-address","message":"Your billing address is invalid.","suggestion":"Make sure your billing address is valid. Contact Support if problems continue."}}"#,
        Kind::Permission,
        Effect::None,
        "your billing address is invalid",
    ),
    (
        400,
        r#"{"error":{"code":"instance-operations/launch/insufficient-capacity","message":"Not enough capacity to fulfill launch request.","suggestion":"Choose an instance type with more availability, or try again later."}}"#,
        Kind::Capacity,
        Effect::None,
        "not enough capacity to fulfill launch request",
    ),
    (
        400,
        r#"{"error":{"code":"global/quota-exceeded","message":"Quota exceeded.","suggestion":"Contact Support to increase your quota."}}"#,
        Kind::Quota,
        Effect::None,
        "quota exceeded",
    ),
    (
        400,
        r#"{"error":{"code":"global/invalid-parameters","message":"Invalid request data."}}"#,
        Kind::Invalid,
        Effect::None,
        "invalid request data",
    ),
    (
        400,
        r#"{"error":{"code":"instance-operations/launch/file-system-in-wrong-region","message":"Filesystem is not in the region of the instance."}}"#,
        Kind::Invalid,
        Effect::None,
        "filesystem is not in the region of the instance",
    ),
    (
        404,
        r#"{"error":{"code":"global/object-does-not-exist","message":"The SSH key was not found.","suggestion":"Check it."}}"#,
        Kind::Invalid,
        Effect::None,
        "the SSH key was not found",
    ),
    (
        400,
        r#"{"error":{"code":"global/duplicate","message":"An object of this name exists."}}"#,
        Kind::Conflict,
        Effect::None,
        "an object of this name exists",
    ),
    (
        429,
        r#"{"error":{"code":"global/too-many-requests","message":"Too many requests."}}"#,
        Kind::RateLimited,
        Effect::None,
        "too many requests",
    ),
    (
        500,
        r#"{"error":{"code":"global/internal-error","message":"An internal server error occurred.","suggestion":"Try again later. Contact Support if the problem persists."}}"#,
        Kind::Unavailable,
        Effect::Unknown,
        "an internal server error occurred",
    ),
    (
        400,
        r#"{"error":{"code":"provider/internal-unavailable","message":"Provider unavailable","suggestion":"Try again shortly"}}"#,
        Kind::Unavailable,
        Effect::Unknown,
        "provider unavailable",
    ),
    (
        503,
        "<html><body>upstream connect error</body></html>",
        Kind::Unavailable,
        Effect::Unknown,
        "answered with status 503",
    ),
    (
        418,
        r#"{"error":{"code":"global/teapot","message":""}}"#,
        Kind::Unexpected,
        Effect::None,
        "global/teapot",
    ),
];

async fn refused(reply: Reply) -> fleetwright_core::Error {
    let fake = support::fake();
    let provider = support::provider(support::config(&fake));
    let path = "/api/v1/instance-operations/launch";
    fake.server()
        .fault(Fault::new("POST", path, Trouble::Refuse(reply)));
    let error = provider.create(&request("web")).await.unwrap_err();
    assert!(fake.instances().is_empty());
    error
}

#[tokio::test]
async fn each_refusal_of_a_launch_is_what_the_table_says() {
    for (status, body, kind, effect, message) in TABLE {
        let error = refused(Reply::text(status, "application/json", body)).await;
        assert_eq!(
            (error.kind(), error.effect()),
            (kind, effect),
            "{body}: {error:?}"
        );
        assert_eq!(error.to_string(), message);
        let suggestion = body.contains("suggestion");
        assert_eq!(error.hint().is_some(), suggestion, "{error:?}");
    }
}

#[tokio::test]
async fn how_far_a_refusal_reaches_is_said() {
    for (at, scope) in [(3, Scope::Region), (4, Scope::Provider)] {
        let (status, body, ..) = TABLE[at];
        let error = refused(Reply::text(status, "application/json", body)).await;
        assert_eq!(error.scope(), Some(scope));
    }
}

/// What a newcomer does wrong gets one clear line with the way out, and makes nothing.
#[tokio::test]
async fn wrong_wishes_are_told_with_the_way_out() {
    type Change = fn(&mut CreateRequest);
    let table: [(Change, Kind, &str, &str); 12] = [
        (
            |r| r.spec.ssh_keys.clear(),
            Kind::Invalid,
            "no SSH key is given, and Lambda wants one",
            "options.ssh_key",
        ),
        (
            |r| r.spec.region = "mars-1".into(),
            Kind::Invalid,
            "`lambda` does not use the region `mars-1`",
            "it uses us-east-1",
        ),
        (
            |r| r.spec.zone = Some("a".into()),
            Kind::Invalid,
            "Lambda has no zones, and `a` was asked for",
            "",
        ),
        (
            |r| r.spec.market = fleetwright_core::Market::Spot,
            Kind::Unsupported,
            "Lambda has no spot market",
            "on-demand",
        ),
        (|r| r.spec.name = "x".repeat(70), Kind::Invalid, "", ""),
        (
            |r| r.spec.user_data = Some("#".repeat(1 << 20)),
            Kind::Invalid,
            "user data has 1048576 bytes, and at most 983616 are allowed",
            "bucket",
        ),
        (
            |r| r.spec.image = Some("debian-2".into()),
            Kind::Invalid,
            "there is no image in `us-east-1` named `debian-2`",
            "known: lambda-stack-24-04, ubuntu-lts",
        ),
        (
            |r| {
                r.spec.labels.insert("Team".into(), "ml".into());
            },
            Kind::Invalid,
            "the label `Team` cannot be a tag of Lambda",
            "begin with a letter",
        ),
        (
            |r| {
                r.spec.options.insert("ssh_key".into(), "mine".into());
            },
            Kind::Invalid,
            "there is no SSH key named `mine`",
            "known: ours",
        ),
        (
            |r| {
                r.spec.options.insert("sshkey".into(), "mine".into());
            },
            Kind::Invalid,
            "the options of this pool: unknown field `sshkey`",
            "reference",
        ),
        (
            |r| {
                r.spec
                    .options
                    .insert("firewall_rulesets".into(), serde_json::json!(["db"]));
            },
            Kind::Invalid,
            "there is no firewall ruleset in `us-east-1` named `db`",
            "known: web",
        ),
        (
            |r| {
                r.spec
                    .options
                    .insert("file_systems".into(), serde_json::json!(["home"]));
            },
            Kind::Invalid,
            "there is no file system in `us-east-1` named `home`",
            "known: data",
        ),
    ];
    for (change, kind, message, hint) in table {
        let fake = support::fake();
        let provider = support::provider(support::config(&fake));
        let mut request = request("web");
        change(&mut request);
        let error = provider.create(&request).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.effect()),
            (kind, Effect::None),
            "{error:?}"
        );
        assert!(error.to_string().starts_with(message), "{error}");
        assert!(error.hint().unwrap_or("").contains(hint), "{error:?}");
        // The same is found without making anything.
        let requests = provider.requests().unwrap();
        let early = requests.preflight(&request).await.unwrap_err();
        assert_eq!(early.to_string(), error.to_string());
        assert!(fake.instances().is_empty());
        fake.server().assert_no_violations();
    }
}

#[tokio::test]
async fn an_unknown_type_and_a_bad_key_are_found_by_preflight() {
    let fake = support::fake();
    let provider = support::provider(support::config(&fake));
    let requests = provider.requests().unwrap();
    requests.preflight(&request("web")).await.unwrap();
    let mut wrong = request("web");
    wrong.spec.instance_type = "gpu_9x_b300".to_owned();
    let error = requests.preflight(&wrong).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no instance type `gpu_9x_b300`");
    assert!(error.hint().unwrap().contains("gpu_1x_a10"), "{error:?}");
    fake.set_token("another");
    let error = requests.preflight(&request("web")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Auth);
    fake.server().assert_no_violations();
}
