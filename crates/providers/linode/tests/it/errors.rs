//! What Linode's refusals mean: the table, on recorded bodies and on those that users reported.

use fleetwright_core::{CreateRequest, Effect, Error, Kind, ListRequest, NodeId, Provider, Scope};
use fleetwright_linode::LinodeProvider;
use fleetwright_linode::fake::Fake;
use fleetwright_rest::testing::{Fault, Reply, Trouble};
use serde_json::json;

use crate::support::{self, REGION};

struct Case {
    status: u16,
    body: &'static str,
    kind: Kind,
    effect: Effect,
    scope: Option<Scope>,
}

const fn case(status: u16, body: &'static str, kind: Kind) -> Case {
    Case {
        status,
        body,
        kind,
        effect: Effect::None,
        scope: None,
    }
}

const fn unknown(status: u16, body: &'static str, kind: Kind) -> Case {
    Case {
        effect: Effect::Unknown,
        ..case(status, body, kind)
    }
}

const fn scoped(status: u16, body: &'static str, kind: Kind, scope: Scope) -> Case {
    Case {
        scope: Some(scope),
        ..case(status, body, kind)
    }
}

const CASES: &[Case] = &[
    // Recorded: linodego's sessions, 17 times.
    case(
        400,
        r#"{"errors": [{"reason": "Linode busy."}]}"#,
        Kind::Unavailable,
    ),
    // Recorded: TestNodeBalancerStats_Get.
    case(
        400,
        r#"{"errors": [{"reason": "Stats are unavailable at this time."}]}"#,
        Kind::Unavailable,
    ),
    // Recorded: TestVPC_Create_Invalid.
    case(
        400,
        r#"{"errors": [{"reason": "Must only use ASCII letters, numbers, and underscores", "field": "label"}]}"#,
        Kind::Invalid,
    ),
    // Recorded: TestInstance_TestExpectedError…
    case(
        400,
        r#"{"errors": [{"reason": "Must provide valid root_pass, authorized_keys, or authorized_users"}]}"#,
        Kind::Invalid,
    ),
    // Recorded: TestType_GetMissing, TestSSHKey_GetMissing.
    case(
        404,
        r#"{"errors": [{"reason": "Not found"}]}"#,
        Kind::NotFound,
    ),
    // Not Linode's word: a page of somebody else at a wrong address.
    case(404, "<html>404 page not found</html>", Kind::Unexpected),
    // linode/manager: its own handling of a name that is taken.
    case(
        400,
        r#"{"errors": [{"reason": "Label must be unique among your linodes", "field": "label"}]}"#,
        Kind::Conflict,
    ),
    // https://github.com/pulumi/templates/issues/184
    scoped(
        400,
        r#"{"errors": [{"reason": "Account Limit reached. Please open a support ticket."}]}"#,
        Kind::Quota,
        Scope::Provider,
    ),
    // https://github.com/linode/manager/pull/6461
    scoped(
        403,
        r#"{"errors": [{"reason": "There is no availability for the selected plan in the selected region"}]}"#,
        Kind::Capacity,
        Scope::Region,
    ),
    case(
        401,
        r#"{"errors": [{"reason": "Invalid Token"}]}"#,
        Kind::Auth,
    ),
    case(
        401,
        r#"{"errors": [{"reason": "Invalid OAuth Token"}]}"#,
        Kind::Auth,
    ),
    case(
        401,
        r#"{"errors": [{"reason": "Your OAuth token is not authorized to use this endpoint."}]}"#,
        Kind::Permission,
    ),
    case(
        403,
        r#"{"errors": [{"reason": "Unauthorized"}]}"#,
        Kind::Permission,
    ),
    // https://github.com/pry0cc/axiom/issues/411: some of these machines were made.
    unknown(
        408,
        r#"{"errors": [{"reason": "Please try again"}]}"#,
        Kind::Timeout,
    ),
    case(
        429,
        r#"{"errors": [{"reason": "Too many requests"}]}"#,
        Kind::RateLimited,
    ),
    // https://github.com/linode/linode_api4-python/issues/72
    unknown(
        500,
        r#"{"errors": [{"reason": "Internal server error"}]}"#,
        Kind::Unavailable,
    ),
    unknown(502, "<html>bad gateway</html>", Kind::Unavailable),
    unknown(
        503,
        r#"{"errors": [{"reason": "Service at capacity"}]}"#,
        Kind::Unavailable,
    ),
    unknown(504, "", Kind::Timeout),
    case(
        400,
        r#"{"errors": [{"reason": "A reason that nobody has heard of"}]}"#,
        Kind::Invalid,
    ),
    case(418, "{}", Kind::Unexpected),
];

fn request() -> CreateRequest {
    support::request(1, &json!({}))
}

async fn refused(provider: &LinodeProvider, fake: &Fake, case: &Case) -> Error {
    let reply = Reply::text(case.status, "application/json", case.body);
    let trouble = Trouble::Refuse(reply.with_header("x-request-id", "abc"));
    fake.fault("POST", "/linode/instances", |method, path| {
        Fault::new(method, path, trouble)
    });
    provider.create(&request()).await.unwrap_err()
}

#[tokio::test]
async fn every_refusal_has_its_kind_effect_and_scope() {
    let fake = support::fake();
    let provider = support::provider(support::config(&fake));
    for case in CASES {
        let error = refused(&provider, &fake, case).await;
        let seen = (error.kind(), error.effect(), error.scope());
        let expected = (case.kind, case.effect, case.scope);
        assert_eq!(seen, expected, "{} {}: {error:?}", case.status, case.body);
        let context: Vec<_> = error.context().collect();
        assert!(context.contains(&("request-id", "abc")), "{context:?}");
        assert_eq!(fake.machines(), []);
    }
}

#[tokio::test]
async fn a_refusal_says_what_and_where_and_the_way_out() {
    let fake = support::fake();
    let provider = support::provider(support::config(&fake));
    let body = r#"{"errors": [
        {"reason": "Length must be 3-50 characters", "field": "tags"},
        {"reason": "region is not valid", "field": "region"}
    ]}"#;
    let error = refused(&provider, &fake, &case(400, body, Kind::Invalid)).await;
    assert_eq!(
        error.to_string(),
        "Length must be 3-50 characters (`tags`); region is not valid (`region`)"
    );
    for (status, reason, hint) in [
        (401, "Invalid Token", "cloud.linode.com/profile/tokens"),
        (403, "Unauthorized", "linodes:read_write"),
        (400, "Account Limit reached.", "support ticket"),
        (400, "sold out", "fleetwright offers"),
    ] {
        let reply = Reply::json(status, &json!({ "errors": [{ "reason": reason }] }));
        fake.fault("POST", "/linode/instances", |method, path| {
            Fault::new(method, path, Trouble::Refuse(reply))
        });
        let error = provider.create(&request()).await.unwrap_err();
        assert!(error.hint().unwrap().contains(hint), "{error:?}");
    }
}

#[tokio::test]
async fn reading_has_no_effect_whatever_becomes_of_it() {
    let fake = support::fake();
    let provider = support::provider(support::config(&fake));
    let id = NodeId::new("linode", REGION, "1").unwrap();
    for status in [500, 502, 504] {
        for path in ["/linode/instances", "/linode/instances/1"] {
            fake.fault("GET", path, |method, path| {
                Fault::new(method, path, Trouble::gateway(status))
            });
        }
        let listed = provider.list(&ListRequest::default()).await.unwrap_err();
        assert_eq!(listed.effect(), Effect::None);
        assert_eq!(provider.get(&id).await.unwrap_err().effect(), Effect::None);
    }
}

#[tokio::test]
async fn a_token_that_is_wrong_or_only_looks_is_told_apart() {
    let fake = support::fake();
    let config = support::config(&fake);
    let wrong = support::provider_with(config.clone(), "no-such-token");
    let error = wrong.check().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Auth);
    assert!(!format!("{error:?}").contains("no-such-token"), "{error:?}");
    let looks = support::provider_with(config, "the-token-that-only-looks");
    let error = looks.check().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Permission);
    assert!(error.hint().unwrap().contains("linodes:read_write"));
    let error = looks.create(&request()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::Permission, Effect::None)
    );
    looks.list(&ListRequest::default()).await.unwrap();
    fake.server().assert_no_violations();
}
