//! What Hetzner's refusals mean: the one table from status and code to kind.
//!
//! Quotations are from <https://docs.hetzner.cloud/#errors>.

use fleetwright_core::{Effect, Error, Kind, Scope};
use fleetwright_rest::Refusal;
use serde::Deserialize;

#[derive(Deserialize)]
struct Body {
    error: Said,
}

#[derive(Deserialize)]
struct Said {
    code: String,
    message: String,
}

/// Translates a refusal.
pub(crate) fn classify(refusal: &Refusal<'_>) -> Error {
    let Some(Body { error: said }) = refusal.json() else {
        return refusal.by_status(refusal.text());
    };
    let message = said.message;
    let error = match (refusal.status(), said.code.as_str()) {
        // "Request was made with an invalid or unknown token"
        (401, _) => refusal.error(Kind::Auth, message).with_hint(
            "a token belongs to one project: make one under Security, API tokens, and let \
                 `token` refer to it",
        ),
        // "The request is not allowed to be performed by a read-only token"
        (_, "token_readonly") => refusal
            .error(Kind::Permission, message)
            .with_hint("make a token with the permission Read & Write"),
        // "Error when exceeding the maximum quantity of a resource for an account"
        (_, "resource_limit_exceeded") => refusal
            .error(Kind::Quota, message)
            .with_scope(Scope::Provider)
            .with_hint("ask for more under Limits in the console"),
        // "The requested resource is currently unavailable", "The placement group [...] could not
        // place the resource"
        (_, "resource_unavailable" | "placement_error") => refusal
            .error(Kind::Capacity, message)
            .with_scope(Scope::Region),
        // "One or more of the objects fields must be unique"
        (_, "uniqueness_error") => refusal
            .error(Kind::Conflict, message)
            .with_hint("something that was made otherwise has this name: rename it, or the pool"),
        // "Error while parsing or processing the input"
        (_, "invalid_input") if message.contains("image") => {
            refusal.error(Kind::Invalid, message).with_hint(
                "an image is a name such as `debian-12`, or the id of a snapshot; it must fit the \
                 architecture of the type",
            )
        }
        // "The Action you are trying to start is protected for this resource"
        (_, "protected") => refusal
            .error(Kind::Conflict, message)
            .with_hint("switch the protection off in the console"),
        // "The item you are trying to access is locked (there is already an Action running)", "The
        // resource has changed during the request, please retry"
        (_, "locked" | "conflict") => refusal
            .error(Kind::Unavailable, message)
            .with_effect(Effect::None),
        // "Insufficient permissions for this request"
        (403, _) => refusal.error(Kind::Permission, message),
        // "Error when sending too many requests"
        (429, _) => refusal.error(Kind::RateLimited, message),
        _ => refusal.by_status(message),
    };
    error.with_context("code", said.code)
}
