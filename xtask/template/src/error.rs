//! What Template's refusals mean: the one table from status and code to kind.
//!
//! Quote the vendor's sentence above each arm, with its link, and test it in `tests/it/errors.rs`.

use fleetwright_core::{Error, Kind, Scope};
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
        (401, _) => refusal.error(Kind::Auth, message),
        // The token is good, but only for reading.
        (403, "token_readonly" | "forbidden") => refusal.error(Kind::Permission, message),
        (_, "resource_limit_exceeded") => refusal
            .error(Kind::Quota, message)
            .with_scope(Scope::Provider),
        (_, "resource_unavailable") => refusal
            .error(Kind::Capacity, message)
            .with_scope(Scope::Region),
        (_, "uniqueness_error" | "conflict") => refusal.error(Kind::Conflict, message),
        (429, _) => refusal.error(Kind::RateLimited, message),
        _ => refusal.by_status(message),
    };
    error.with_context("code", said.code)
}
