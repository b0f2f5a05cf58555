//! The table of errors, on recorded bodies.

use fleetwright_core::{ClaimId, CreateRequest, Effect, Kind, Provider as _, Token, fingerprint};
use fleetwright_hetzner::fake::HetznerFake;
use fleetwright_rest::testing::{Fault, Reply, Trouble};

use crate::support;

/// Status, body, and what becomes of it when a machine is made.
const TABLE: [(u16, &str, Kind, Effect); 10] = [
    (
        401,
        r#"{"error":{"code":"unauthorized","message":"unable to authenticate","details":null}}"#,
        Kind::Auth,
        Effect::None,
    ),
    (
        403,
        r#"{"error":{"code":"token_readonly","message":"only reading is allowed"}}"#,
        Kind::Permission,
        Effect::None,
    ),
    (
        403,
        r#"{"error":{"code":"resource_limit_exceeded","message":"server limit exceeded"}}"#,
        Kind::Quota,
        Effect::None,
    ),
    (
        412,
        r#"{"error":{"code":"resource_unavailable","message":"nothing is left"}}"#,
        Kind::Capacity,
        Effect::None,
    ),
    (
        409,
        r#"{"error":{"code":"uniqueness_error","message":"server name is already used"}}"#,
        Kind::Conflict,
        Effect::None,
    ),
    (
        412,
        r#"{"error":{"code":"placement_error","message":"error during placement","details":{}}}"#,
        Kind::Capacity,
        Effect::None,
    ),
    (
        423,
        r#"{"error":{"code":"locked","message":"server is locked"}}"#,
        Kind::Unavailable,
        Effect::None,
    ),
    (
        403,
        r#"{"error":{"code":"forbidden","message":"insufficient permissions for this request"}}"#,
        Kind::Permission,
        Effect::None,
    ),
    (
        503,
        r#"{"error":{"code":"unavailable","message":"service is unavailable"}}"#,
        Kind::Unavailable,
        Effect::Unknown,
    ),
    (
        502,
        "<html><body>Bad Gateway</body></html>",
        Kind::Unavailable,
        Effect::Unknown,
    ),
];

#[tokio::test]
async fn each_refusal_is_what_the_table_says() {
    for (status, body, kind, effect) in TABLE {
        let fake = HetznerFake::start();
        let reply = Reply::text(status, "application/json", body);
        fake.server()
            .fault(Fault::new("POST", "/v1/servers", Trouble::Refuse(reply)));
        let spec = support::spec();
        let request = CreateRequest {
            count: 1,
            token: Token::new(ClaimId::new(), 1, &fingerprint(&spec)),
            spec,
            replay: false,
            host_key: None,
        };
        let provider = support::provider(&fake);
        let error = provider.create(&request).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.effect()),
            (kind, effect),
            "{body}: {error:?}"
        );
        assert!(fake.machines().is_empty());
    }
}
