//! What Lambda's refusals mean: the one table from status and code to kind.
//!
//! Quotations are from the description, <https://docs.lambda.ai/api/cloud>: "When handling errors,
//! avoid relying on the values of `message` or `suggestion` [...]. Instead, use the value of
//! `code`."

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
    #[serde(default)]
    message: String,
    suggestion: Option<String>,
}

/// Translates a refusal.
pub(crate) fn classify(refusal: &Refusal<'_>) -> Error {
    let Some(Body { error: said }) = refusal.json() else {
        return refusal.by_status(refusal.text());
    };
    let message = if said.message.is_empty() {
        said.code.clone()
    } else {
        fragment(&said.message)
    };
    let is_launch = refusal.call().label().ends_with("launch");
    let error = match (refusal.status(), said.code.as_str()) {
        // "API key was invalid, expired, or deleted."
        (401, _) | (_, "global/invalid-api-key") => refusal.error(Kind::Auth, message).with_hint(
            "make a key at https://cloud.lambda.ai/api-keys and look at what `token` refers to",
        ),
        // "Your account is inactive." "Your billing address is invalid."
        (403, _) | (_, "global/account-inactive" | "global/invalid-address") => {
            refusal.error(Kind::Permission, message)
        }
        // "Not enough capacity to fulfill launch request."
        (
            _,
            "instance-operations/launch/insufficient-capacity" | "global/insufficient-capacity",
        ) => refusal
            .error(Kind::Capacity, message)
            .with_scope(Scope::Region),
        // "Quota exceeded." "Contact Support to increase your quota."
        (_, "global/quota-exceeded") => refusal
            .error(Kind::Quota, message)
            .with_scope(Scope::Provider),
        // "Requests to the API are generally limited to one request per second. Requests to the
        // `/instance-operations/launch` endpoint are limited to one request per 12 seconds, or five
        // requests per minute."
        (429, _) => refusal.error(Kind::RateLimited, message),
        // In a launch: "The resource the API was unable to find", such as the type or the key.
        // Elsewhere: "Specified instance does not exist."
        (_, "global/object-does-not-exist") | (404, _) if is_launch => {
            refusal.error(Kind::Invalid, message)
        }
        (_, "global/object-does-not-exist") => refusal.error(Kind::NotFound, message),
        (_, "global/duplicate" | "filesystems/filesystem-in-use") | (409, _) => {
            refusal.error(Kind::Conflict, message)
        }
        // "An internal server error occurred." "Try again later."
        (_, "global/internal-error") => refusal
            .error(Kind::Unavailable, message)
            .with_effect(unknown_if_changing(refusal)),
        // "You might receive errors that come from upstream services/providers rather than
        // directly from Lambda services. You can identify these errors by their error code prefix,
        // `provider/`." Whether the upstream did something, nobody says.
        (_, code) if code.starts_with("provider/") => refusal
            .error(Kind::Unavailable, message)
            .with_effect(unknown_if_changing(refusal)),
        // "Invalid request data.", `global/invalid-parameters`, and what belongs to one call, such
        // as `instance-operations/launch/file-system-in-wrong-region`.
        _ => refusal.by_status(message),
    };
    let error = match said.suggestion {
        Some(suggestion) if !suggestion.is_empty() && error.hint().is_none() => {
            error.with_hint(fragment(&suggestion))
        }
        _ => error,
    };
    error.with_context("code", said.code)
}

fn unknown_if_changing(refusal: &Refusal<'_>) -> Effect {
    if refusal.call().changes() {
        Effect::Unknown
    } else {
        Effect::None
    }
}

/// The vendor's sentence as the fragment of ours: no stop at its end, and a small letter at its
/// beginning unless it is part of an abbreviation.
fn fragment(sentence: &str) -> String {
    let text = sentence.trim().trim_end_matches('.');
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}
