//! What refusals of Scaleway mean: the one table.
//!
//! ```json
//! {"type": "not_found", "message": "resource is not found", "resource": "instance_volume", "resource_id": "4f70..."}
//! ```
//! The words of `type` and the fields beside them are those of the official SDKs:
//! <https://github.com/scaleway/scaleway-sdk-go/blob/master/scw/errors.go>

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwright_core::{Effect, Error, Kind, Scope};
use fleetwright_rest::Refusal;
use serde::Deserialize;
use serde_json::Value;

/// The vendor's form of an error; every field depends on the type.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    #[serde(rename = "type")]
    kind: String,
    message: Option<String>,
    help_message: Option<String>,
    resource: Option<String>,
    resource_id: Option<String>,
    current_state: Option<String>,
    precondition: Option<String>,
    reason: Option<String>,
    reset_seconds: Option<u64>,
    details: Vec<Detail>,
    fields: BTreeMap<String, Vec<String>>,
}

/// One of several causes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Detail {
    argument_name: Option<String>,
    reason: Option<String>,
    help_message: Option<String>,
    resource: Option<String>,
    action: Option<String>,
    quota: Option<Value>,
    current: Option<Value>,
}

/// The table: status first, then the vendor's `type`.
pub(crate) fn classify(refusal: &Refusal<'_>) -> Error {
    let body: Body = refusal.json().unwrap_or_default();
    let words = words(&body).unwrap_or_else(|| refusal.text());
    let error = |kind| refusal.error(kind, words.clone());
    match (refusal.status(), &*body.kind) {
        // "denied authentication: api_key does not exist"
        (401, _) => error(Kind::Auth).with_hint(
            "look at `token`: it must be the secret key of an API key that has not expired",
        ),
        // "resource account_token with ID SCW... expired since 2017-01-15"
        (410, "expired") if body.resource.as_deref() == Some("account_token") => {
            error(Kind::Auth).with_hint("the API key has expired; make a new one")
        }
        // "Quotas reached: You have reached the maximum number of instance_volume authorized by
        // your Organization. Access the quotas page from your Organization dashboard"
        // <https://www.scaleway.com/en/docs/organizations-and-projects/additional-content/organization-quotas/>
        (_, "quotas_exceeded") => error(Kind::Quota)
            .with_effect(Effect::None)
            .with_scope(Scope::Provider)
            .with_hint("ask for more at https://console.scaleway.com/organization/quotas"),
        // "resource ... is out of stock"; comes with 412 or 503.
        (_, "out_of_stock") => error(Kind::Capacity)
            .with_effect(Effect::None)
            .with_scope(Scope::Zone)
            .with_hint("take another type or another zone, or try it later"),
        // "insufficient permissions: write instance_server"
        (403, _) => error(Kind::Permission).with_hint(
            "the API key that `token` refers to needs the permission sets `InstancesFullAccess` and \
             `BlockStorageFullAccess` for the project",
        ),
        // "resource instance_server with ID ... is in a transient state: starting"
        (_, "transient_state") => error(Kind::Unavailable).with_effect(Effect::None),
        // "You are limited to 3 requests per hour"
        (429, _) => {
            let error = error(Kind::RateLimited);
            match (refusal.retry_after(), body.reset_seconds) {
                (None, Some(seconds)) => error.with_retry_after(Duration::from_secs(seconds)),
                _ => error,
            }
        }
        // "invalid argument(s): commercial_type is required"
        (400, "invalid_arguments" | "invalid_request_error") => error(Kind::Invalid),
        // "resource instance_volume is not usable": it is busy with something else, or broken.
        (_, "resource_not_usable") => error(Kind::Conflict).with_effect(Effect::None),
        // "precondition failed: resource_still_in_use", "resource ... is locked",
        // "resource ... already exists"
        (_, "precondition_failed" | "locked" | "already_exists" | "conflict") => {
            error(Kind::Conflict)
                .with_hint("look at it in the console: something else uses it, or has its name")
        }
        // "resource instance_server with ID ... is not found"
        (404, _) | (_, "not_found") => error(Kind::NotFound),
        _ => refusal.by_status(words),
    }
}

/// The vendor's sentence with what its fields add; `None` if the body has no sentence.
fn words(body: &Body) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(body.details.iter().filter_map(detail));
    for (name, faults) in &body.fields {
        parts.push(format!("`{name}`: {}", faults.join(", ")));
    }
    if let Some(precondition) = &body.precondition {
        parts.push(format!("`{precondition}`"));
    }
    if let Some(resource) = &body.resource {
        let id = body.resource_id.as_deref();
        parts.push(match id.filter(|id| !id.is_empty()) {
            Some(id) => format!("{resource} `{id}`"),
            None => resource.clone(),
        });
    }
    if let Some(state) = &body.current_state {
        parts.push(format!("state `{state}`"));
    }
    parts.extend(body.reason.clone());
    parts.extend(body.help_message.clone().filter(|help| !help.is_empty()));
    let message = body.message.clone().filter(|message| !message.is_empty());
    // Where there is no sentence, the type is one: `out_of_stock`.
    let sentence = message.or_else(|| {
        let words = body.kind.replace('_', " ");
        Some(words).filter(|words| !words.is_empty())
    })?;
    let sentence = sentence.trim_end_matches('.');
    Some(if parts.is_empty() {
        sentence.to_owned()
    } else {
        format!("{sentence}: {}", parts.join("; "))
    })
}

fn detail(detail: &Detail) -> Option<String> {
    let help = detail.help_message.as_ref().or(detail.reason.as_ref());
    match (&detail.argument_name, &detail.resource, &detail.action) {
        (Some(name), _, _) => Some(match help {
            Some(help) => format!("`{name}`: {help}"),
            None => format!("`{name}`"),
        }),
        (None, Some(resource), Some(action)) => Some(format!("{action} {resource}")),
        (None, Some(resource), None) => match (&detail.current, &detail.quota) {
            (Some(current), Some(quota)) => Some(format!("{current} of {quota} {resource}")),
            _ => Some(resource.clone()),
        },
        _ => None,
    }
}
