//! The table of refusals: recorded bodies, and those of the vendor's own packages.

use fleetwright_core::{Effect, Kind, Provider as _, Scope};
use fleetwright_rest::testing::{Fault, Reply, Trouble};
use serde_json::{Value, json};

use crate::support::{self, ZONE};

/// Status, body, whether the call changes something, and what it means.
struct Row {
    status: u16,
    body: Value,
    kind: Kind,
    effect: Effect,
    scope: Option<Scope>,
    words: &'static str,
}

fn row(status: u16, body: Value, kind: Kind, words: &'static str) -> Row {
    Row {
        status,
        body,
        kind,
        effect: Effect::None,
        scope: None,
        words,
    }
}

/// Recorded: scaleway-sdk-go at 2c5cd81b, `test-create-server-with-incorrect-body`,
/// `test-instance-helpers-block-volume` and `test-get-image-by-label`. The others have the fields
/// of `scw/errors.go` there and of the tests of scaleway-sdk-js.
fn table() -> Vec<Row> {
    vec![
        row(
            400,
            json!({
                "type": "invalid_arguments", "message": "invalid argument(s)", "details": [
                    { "argument_name": "commercial_type", "reason": "required", "help_message": "required key not provided" },
                    { "argument_name": "image", "reason": "required", "help_message": "required key not provided" },
                    { "argument_name": "volumes", "reason": "required", "help_message": "required key not provided" },
                ],
            }),
            Kind::Invalid,
            "invalid argument(s): `commercial_type`: required key not provided; `image`: required \
             key not provided; `volumes`: required key not provided",
        ),
        row(
            404,
            json!({
                "type": "not_found", "message": "resource is not found",
                "resource": "instance_volume", "resource_id": "4f70120c-36f1-49d4-90c2-8850e0896970",
            }),
            // In a create call, what is not found is what the request names.
            Kind::Invalid,
            "resource is not found: instance_volume `4f70120c-36f1-49d4-90c2-8850e0896970`",
        ),
        row(
            401,
            json!({ "type": "denied_authentication", "method": "api_key", "reason": "not_found" }),
            Kind::Auth,
            "denied authentication: not_found",
        ),
        row(
            410,
            json!({
                "type": "expired", "resource": "account_token", "resource_id": "SCWQPD3J3PTKJFJKFQJG",
                "expired_since": "2017-01-15T01:30:15.01Z",
            }),
            Kind::Auth,
            "expired: account_token `SCWQPD3J3PTKJFJKFQJG`",
        ),
        row(
            403,
            json!({
                "type": "permissions_denied", "message": "insufficient permissions",
                "details": [{ "action": "write", "resource": "instance_server" }],
            }),
            Kind::Permission,
            "insufficient permissions: write instance_server",
        ),
        Row {
            scope: Some(Scope::Provider),
            ..row(
                403,
                json!({
                    "type": "quotas_exceeded", "message": "quota(s) exceeded for this resource",
                    "details": [{ "resource": "instance_volume", "quota": 10, "current": 10 }],
                }),
                Kind::Quota,
                "quota(s) exceeded for this resource: 10 of 10 instance_volume",
            )
        },
        Row {
            scope: Some(Scope::Zone),
            ..row(
                412,
                json!({ "type": "out_of_stock", "resource": "L4-1-24G" }),
                Kind::Capacity,
                "out of stock: L4-1-24G",
            )
        },
        Row {
            scope: Some(Scope::Zone),
            ..row(
                503,
                json!({ "type": "out_of_stock", "message": "resource is out of stock" }),
                Kind::Capacity,
                "resource is out of stock",
            )
        },
        row(
            409,
            json!({
                "type": "transient_state", "resource": "instance_server",
                "resource_id": "f974feac-abae-4365-b988-8ec7d1cec10d", "current_state": "starting",
            }),
            Kind::Unavailable,
            "transient state: instance_server `f974feac-abae-4365-b988-8ec7d1cec10d`; state \
             `starting`",
        ),
        row(
            400,
            json!({ "type": "resource_not_usable", "message": "resource is not usable", "resource": "instance_volume" }),
            Kind::Conflict,
            "resource is not usable: instance_volume",
        ),
        row(
            412,
            json!({
                "type": "precondition_failed", "precondition": "resource_still_in_use",
                "help_message": "All servers must be removed from the private network before deleting it.",
            }),
            Kind::Conflict,
            "precondition failed: `resource_still_in_use`; All servers must be removed from the \
             private network before deleting it.",
        ),
        row(
            423,
            json!({ "type": "locked", "resource": "instance_server", "resource_id": "f974feac" }),
            Kind::Conflict,
            "locked: instance_server `f974feac`",
        ),
        row(
            409,
            json!({ "type": "conflict", "message": "Group is in use. You cannot delete it." }),
            Kind::Conflict,
            "Group is in use. You cannot delete it",
        ),
        row(
            400,
            json!({
                "type": "invalid_request_error", "message": "Validation Error",
                "fields": { "commercial_type": ["is not a valid value."] },
            }),
            Kind::Invalid,
            "Validation Error: `commercial_type`: is not a valid value.",
        ),
        row(
            429,
            json!({ "type": "too_many_requests", "help_message": "You are limited to 3 requests per hour", "reset_seconds": 13 }),
            Kind::RateLimited,
            "too many requests: You are limited to 3 requests per hour",
        ),
        Row {
            effect: Effect::Unknown,
            ..row(
                500,
                json!({ "type": "internal_error", "message": "Internal error" }),
                Kind::Unavailable,
                "Internal error",
            )
        },
        // A type that nobody has seen yet: the status counts, and its words stay visible.
        row(
            422,
            json!({ "type": "new_in_2027", "message": "something new" }),
            Kind::Invalid,
            "something new",
        ),
    ]
}

#[tokio::test]
async fn every_refusal_has_its_kind_its_effect_and_its_words() {
    let fake = support::fake();
    let provider = support::provider(&fake);
    for row in table() {
        let reply = Trouble::Refuse(Reply::json(row.status, &row.body));
        let path = format!("/instance/v1/zones/{ZONE}/servers");
        fake.server().fault(Fault::new("POST", &path, reply));
        let request = support::request(support::spec(), 1);
        let error = provider.create(&request).await.unwrap_err();
        let seen = format!("{} {}: {error:?}", row.status, row.body);
        assert_eq!(error.kind(), row.kind, "{seen}");
        assert_eq!(error.effect(), row.effect, "{seen}");
        assert_eq!(error.scope(), row.scope, "{seen}");
        assert_eq!(error.to_string(), row.words, "{seen}");
        let status = error.context().find(|(name, _)| *name == "status");
        assert_eq!(status.unwrap().1, row.status.to_string());
        if row.kind == Kind::RateLimited {
            assert_eq!(error.retry_after().unwrap().as_secs(), 13);
        }
    }
    assert!(fake.machines().is_empty());
}

#[tokio::test]
async fn what_is_no_answer_of_the_vendor_is_not_taken_for_one() {
    let fake = support::fake();
    let provider = support::provider(&fake);
    let path = format!("/instance/v1/zones/{ZONE}/servers");
    for (trouble, kind, effect) in [
        (Trouble::Html, Kind::Unexpected, Effect::Unknown),
        (Trouble::Garbage, Kind::Unexpected, Effect::Unknown),
        (Trouble::Truncate, Kind::Unavailable, Effect::Unknown),
        (Trouble::gateway(502), Kind::Unavailable, Effect::Unknown),
        (Trouble::gateway(504), Kind::Timeout, Effect::Unknown),
        (Trouble::gateway(404), Kind::Invalid, Effect::None),
    ] {
        let seen = format!("{trouble:?}");
        fake.server().fault(Fault::new("POST", &path, trouble));
        let request = support::request(support::spec(), 1);
        let error = provider.create(&request).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.effect()),
            (kind, effect),
            "{seen}: {error:?}"
        );
    }
}
