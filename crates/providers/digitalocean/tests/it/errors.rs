//! The table: what DigitalOcean says, and what is made of it.

use std::time::Duration;

use fleetwright_core::{Effect, Error, Kind, NodeId, Provider as _, Scope};
use fleetwright_rest::testing::{Fault, Reply, Trouble};
use serde_json::json;

use crate::support::{Bed, REGION, request, spec};

/// A refusal as users and the description have recorded it.
struct Said {
    status: u16,
    id: &'static str,
    message: &'static str,
}

const fn said(status: u16, id: &'static str, message: &'static str) -> Said {
    Said {
        status,
        id,
        message,
    }
}

const fn unprocessable(message: &'static str) -> Said {
    said(422, "unprocessable_entity", message)
}

impl Said {
    fn reply(&self) -> Reply {
        Reply::json(
            self.status,
            &json!({
                "id": self.id,
                "message": self.message,
                "request_id": "4d9d8375-3c56-4925-a3e7-eb137fed17e9",
            }),
        )
    }
}

/// Meets a create call with it.
async fn refused(bed: &Bed, reply: Reply) -> Error {
    let fault = Fault::new("POST", "/v2/droplets", Trouble::Refuse(reply));
    bed.fake.server().fault(fault.always());
    let error = bed.create(&request(spec(), 1)).await.unwrap_err();
    bed.fake.server().clear_faults();
    error
}

#[tokio::test]
async fn every_sentence_has_its_kind_effect_and_reach() {
    use Effect::{None as Not, Unknown};
    let bed = Bed::new();
    for (said, kind, effect, scope) in [
        (
            said(401, "unauthorized", "Unable to authenticate you"),
            Kind::Auth,
            Not,
            None,
        ),
        (
            said(
                403,
                "forbidden",
                "You are not authorized to perform this operation",
            ),
            Kind::Permission,
            Not,
            None,
        ),
        (
            said(
                403,
                "Forbidden",
                "You do not have access for the attempted action.",
            ),
            Kind::Permission,
            Not,
            None,
        ),
        // What a droplet shall be made of is not there.
        (
            said(
                404,
                "not_found",
                "The resource you were accessing could not be found.",
            ),
            Kind::Invalid,
            Not,
            None,
        ),
        (
            said(409, "conflict", "The request conflicts with another."),
            Kind::Conflict,
            Not,
            None,
        ),
        (
            unprocessable("creating this/these droplet(s) will exceed your droplet limit"),
            Kind::Quota,
            Not,
            Some(Scope::Provider),
        ),
        (
            unprocessable("Size is not available in this region."),
            Kind::Capacity,
            Not,
            Some(Scope::Region),
        ),
        (
            unprocessable("Region is not available"),
            Kind::Capacity,
            Not,
            Some(Scope::Region),
        ),
        (
            unprocessable("Droplet already has a pending event."),
            Kind::Unavailable,
            Not,
            None,
        ),
        (
            unprocessable("You specified an invalid image for Droplet creation."),
            Kind::Invalid,
            Not,
            None,
        ),
        (
            unprocessable("You specified an invalid region for Droplet creation."),
            Kind::Invalid,
            Not,
            None,
        ),
        (
            unprocessable(
                "42:f8:d8:d4:ba:55:9e:1a:fb:9b:85:f7:9a:97:4b:fe are invalid key identifiers for \
                 Droplet creation.",
            ),
            Kind::Invalid,
            Not,
            None,
        ),
        (
            unprocessable(
                "Name Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)",
            ),
            Kind::Invalid,
            Not,
            None,
        ),
        (
            said(429, "too_many_requests", "API rate limit exceeded."),
            Kind::RateLimited,
            Not,
            None,
        ),
        (
            said(500, "server_error", "Unexpected server-side error"),
            Kind::Unavailable,
            Unknown,
            None,
        ),
        (
            said(
                503,
                "service_unavailable",
                "Service temporarily unavailable",
            ),
            Kind::Unavailable,
            Unknown,
            None,
        ),
        (
            said(504, "gateway_timeout", "Gateway timeout"),
            Kind::Timeout,
            Unknown,
            None,
        ),
        // A word that nobody knows yet.
        (
            said(418, "teapot", "I am one."),
            Kind::Unexpected,
            Not,
            None,
        ),
    ] {
        let error = refused(&bed, said.reply()).await;
        let seen = (error.kind(), error.effect(), error.scope());
        assert_eq!(seen, (kind, effect, scope), "{}", said.message);
        let message = said.message.trim_end_matches('.');
        assert_eq!(error.to_string(), message);
        for known in [
            ("code", said.id),
            ("call", "POST droplets"),
            ("request-id", "4d9d8375-3c56-4925-a3e7-eb137fed17e9"),
        ] {
            assert!(error.context().any(|c| c == known), "{known:?}: {error:?}");
        }
    }
    assert!(bed.fake.droplets().is_empty());
}

#[tokio::test]
async fn a_key_or_a_name_that_is_taken_is_a_conflict() {
    let bed = Bed::new();
    // Seen by none of the provider's ways, since it takes such a key for its own.
    let reply = unprocessable("SSH Key is already in use on your account").reply();
    assert_eq!(refused(&bed, reply).await.kind(), Kind::Conflict);
}

#[tokio::test]
async fn pages_of_something_in_between_are_told_by_their_status() {
    let bed = Bed::new();
    for (status, kind, effect) in [
        (502, Kind::Unavailable, Effect::Unknown),
        (504, Kind::Timeout, Effect::Unknown),
        (403, Kind::Permission, Effect::None),
        (407, Kind::Unexpected, Effect::None),
    ] {
        let reply = Reply::text(status, "text/html", "<html>no</html>");
        let error = refused(&bed, reply).await;
        assert_eq!((error.kind(), error.effect()), (kind, effect), "{status}");
        assert!(!error.to_string().contains('<'), "{error}");
    }
}

#[tokio::test]
async fn a_throttled_call_says_when_to_come_back() {
    let bed = Bed::new();
    let reply = || said(429, "too_many_requests", "API rate limit exceeded.").reply();
    let error = refused(&bed, reply().with_header("retry-after", 17)).await;
    assert_eq!(error.retry_after(), Some(Duration::from_secs(17)));
    // The hourly budget has no `Retry-After`, but an instant at which it is refilled.
    let at = "2026-11-24T12:00:40Z".parse::<jiff::Timestamp>().unwrap();
    let reply = reply()
        .with_header("ratelimit-remaining", 1)
        .with_header("ratelimit-reset", at.as_second())
        .with_header("date", "Tue, 24 Nov 2026 12:00:00 GMT");
    let error = refused(&bed, reply).await;
    assert_eq!(error.retry_after(), Some(Duration::from_secs(40)));
}

#[tokio::test]
async fn whoever_may_not_is_told_what_to_do() {
    let bed = Bed::new();
    let wrong = bed.provider_with("dop_v1_wrong");
    let error = wrong.check().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Auth);
    assert!(error.hint().unwrap().contains("`token`"), "{error:?}");

    let reader = bed.provider_with(&bed.settings.read_only_token);
    reader.check().await.unwrap();
    let error = reader.create(&request(spec(), 1)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Permission);
    assert_eq!(error.effect(), Effect::None);
    assert!(error.hint().unwrap().contains("scope"), "{error:?}");

    let id = bed.fake.add_droplet("web", REGION, "s-1vcpu-1gb", &[]);
    let id = NodeId::new("do", REGION, &id.to_string()).unwrap();
    let error = reader.delete(&id).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Permission);
    bed.finish();
}
