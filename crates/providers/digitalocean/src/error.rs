//! What DigitalOcean's refusals mean: status first, then its sentence.
//!
//! The code (`id`) says no more than the status: everything that a request can be refused for comes
//! as 422 `unprocessable_entity`, so there the sentence decides. Sentences without a link are from
//! <https://docs.digitalocean.com/reference/api/reference/> or from what users reported.

use fleetwright_core::{Effect, Error, Kind, Scope};
use fleetwright_rest::Refusal;
use serde::Deserialize;

/// "A message providing additional information about the error, including details to help resolve
/// it when possible."
#[derive(Debug, Deserialize)]
struct Said {
    id: String,
    message: String,
    #[serde(default)]
    request_id: Option<String>,
}

/// What helps against a conflict.
const TAKEN: &str = "something that was made otherwise has this name: rename it, or the pool";

/// The table.
pub(crate) fn classify(refusal: &Refusal<'_>) -> Error {
    let Some(said) = refusal.json::<Said>() else {
        return refusal.by_status(refusal.text());
    };
    let text = said.message.trim().trim_end_matches('.');
    let text = if text.is_empty() { &said.id } else { text };
    let error = match refusal.status() {
        // "Unable to authenticate you."
        401 => refusal.error(Kind::Auth, text).with_hint(
            "make a token at https://cloud.digitalocean.com/account/api/tokens and look at what \
             `token` refers to",
        ),
        // "You are not authorized to perform this operation", "You do not have access for the
        // attempted action." <https://github.com/digitalocean/doctl/issues/1635>
        403 => refusal.error(Kind::Permission, text).with_hint(format!(
            "the token lacks a scope for `{}`: give it full access, or the scopes that the \
             reference of `token` lists",
            refusal.call().label()
        )),
        // "The resource you requested could not be found." What a new droplet names is not there.
        404 if refusal.call().label() == "POST droplets" => refusal.error(Kind::Invalid, text),
        422 => unprocessable(refusal, text),
        // "API rate limit exceeded." Nothing was done.
        429 => refusal
            .error(Kind::RateLimited, text)
            .with_effect(Effect::None),
        409 => refusal.by_status(text).with_hint(TAKEN),
        _ => refusal.by_status(text),
    };
    let error = error.with_context("code", said.id.clone());
    match said.request_id {
        Some(id) if refusal.header("x-request-id").is_none() => {
            error.with_context("request-id", id)
        }
        _ => error,
    }
}

fn unprocessable(refusal: &Refusal<'_>, text: &str) -> Error {
    let lower = text.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|words| lower.contains(words));

    // "creating this/these droplet(s) will exceed your droplet limit"
    // <https://github.com/pry0cc/axiom/issues/422>
    if says(&[
        "exceed your droplet limit",
        "droplet limit",
        "limit exceeded",
    ]) {
        return refusal
            .error(Kind::Quota, text)
            .with_scope(Scope::Provider)
            .with_hint(
                "remove droplets, or ask for more at \
                 https://cloud.digitalocean.com/account/team/droplet_limit_increase",
            );
    }
    // "Size is not available in this region." <https://github.com/ChainSafe/forest-iac/pull/437>
    // "Region is not available" <https://github.com/digitalocean/api-v2/issues/41>
    // "size is unavailable" <https://github.com/inlets/inlets-operator/issues/111>
    if says(&[
        "size is not available",
        "size is unavailable",
        "region is not available",
        "region is unavailable",
        "insufficient capacity",
        "out of capacity",
    ]) {
        return refusal
            .error(Kind::Capacity, text)
            .with_scope(Scope::Region);
    }
    // "Droplet already has a pending event." <https://github.com/hashicorp/packer/issues/1814>
    if says(&["pending event"]) {
        return refusal.error(Kind::Unavailable, text);
    }
    // "SSH Key is already in use on your account", "Name is already in use".
    if says(&["already in use", "already exists"]) {
        return refusal.error(Kind::Conflict, text).with_hint(TAKEN);
    }
    let error = refusal.error(Kind::Invalid, text);
    // "You specified an invalid image for Droplet creation.", "The image is not available in the
    // selected region".
    if says(&["image"]) {
        return error.with_hint(
            "an image is named by its slug (`ubuntu-24-04-x64`), its number, or `name:` and the \
             name of one of your own; it must be in the region of the droplet",
        );
    }
    // "You specified an invalid size for Droplet creation."
    if says(&["size"]) {
        return error.with_hint("https://slugs.do-api.dev lists the sizes");
    }
    // "… are invalid key identifiers for Droplet creation."
    // <https://github.com/digitalocean/doctl/issues/257>
    if says(&["key identifiers", "ssh key"]) {
        return error.with_hint("the key was removed from the team meanwhile: run it again");
    }
    error
}
