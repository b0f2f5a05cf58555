//! What Linode's refusals mean: one table.
//!
//! Linode says no in words only: `{"errors": [{"reason": "…", "field": "…"}]}`, without codes, and
//! with status 400 for almost everything, so the words decide.
//! <https://techdocs.akamai.com/linode-api/reference/errors>

use fleetwright_core::{Effect, Error, Kind, Scope};
use fleetwright_rest::Refusal;

use crate::wire;

/// Words of a refusal that give its kind away, whatever the status. The first that is found counts.
const WORDS: [(&str, Kind); 18] = [
    // "Linode busy.": another job runs on the machine, seen 17 times in recorded sessions. Later it
    // is taken: transient, although 400.
    ("linode busy", Kind::Unavailable),
    // "Stats are unavailable at this time.", recorded.
    ("unavailable at this time", Kind::Unavailable),
    // "Please try again", 408 and 400. <https://github.com/pry0cc/axiom/issues/411>
    ("please try again", Kind::Unavailable),
    // "Label must be unique among your linodes".
    ("must be unique", Kind::Conflict),
    // "Account Limit reached. Please open a support ticket."
    // <https://github.com/pulumi/templates/issues/184>
    ("account limit reached", Kind::Quota),
    ("limit reached", Kind::Quota),
    ("exceeds your limit", Kind::Quota),
    // "A plan of this size is not available to your account" and the like: by support ticket only.
    ("open a support ticket", Kind::Quota),
    // "there is no availability for the selected plan in the selected region", with 403.
    // <https://github.com/linode/manager/pull/6461>
    ("no availability for", Kind::Capacity),
    ("not available in", Kind::Capacity),
    ("currently unavailable", Kind::Capacity),
    ("capacity", Kind::Capacity),
    ("sold out", Kind::Capacity),
    // "Your OAuth token is not authorized to use this endpoint.", with 401: the token is good, but
    // its scopes do not reach so far.
    ("not authorized to use this endpoint", Kind::Permission),
    // "Your account must be activated before you can use this endpoint", with 403 or 400.
    ("must be activated", Kind::Permission),
    // "You must be an unrestricted User in order to add or modify tags on Linodes."
    ("unrestricted user", Kind::Permission),
    // "Invalid Token", "Invalid OAuth Token".
    ("invalid token", Kind::Auth),
    ("invalid oauth token", Kind::Auth),
];

/// What a refusal means.
pub(crate) fn classify(refusal: &Refusal<'_>) -> Error {
    let body: wire::Refusal = refusal.json().unwrap_or_default();
    let reasons: Vec<String> = body.errors.iter().map(in_words).collect();
    let message = if reasons.is_empty() {
        refusal.text()
    } else {
        reasons.join("; ")
    };
    let lower = message.to_lowercase();
    let word = WORDS.iter().find(|(word, _)| lower.contains(word));
    let error = match (refusal.status(), word) {
        // `{"errors": [{"reason": "Not found"}]}` is Linode's word that a thing is gone. A page of
        // somebody else that stands at a wrong address is not.
        (404, _) if reasons.is_empty() => refusal
            .error(Kind::Unexpected, message)
            .with_hint("is `endpoint` the address of Linode's API, with its version?"),
        // Too many requests, and failures of the other side, whatever they say.
        (429 | 500.., _) | (_, None) => refusal.by_status(message),
        // The other side gave up waiting for itself: nobody knows what became of it.
        (408, _) => refusal.by_status(message).with_effect(effect_of(refusal)),
        (_, Some((_, kind))) => refusal.error(*kind, message),
    };
    advised(error)
}

/// A gateway that gave up may have passed a change on.
fn effect_of(refusal: &Refusal<'_>) -> Effect {
    if refusal.call().changes() {
        Effect::Unknown
    } else {
        Effect::None
    }
}

/// "Length must be 3-50 characters (`tags`)".
fn in_words(reason: &wire::Reason) -> String {
    let text = reason.reason.trim_end_matches('.');
    match reason.field.as_deref().filter(|field| !field.is_empty()) {
        Some(field) => format!("{text} (`{field}`)"),
        None => text.to_owned(),
    }
}

/// With how far it reaches, and the way out.
fn advised(error: Error) -> Error {
    match error.kind() {
        Kind::Quota => error.with_scope(Scope::Provider).with_hint(
            "the account may not have more of this; Linode raises limits on a support ticket",
        ),
        Kind::Capacity => error
            .with_scope(Scope::Region)
            .with_hint("take another type or region; `fleetwright offers` shows what is available"),
        Kind::Conflict => error
            .with_hint("a machine that was made otherwise has this name: rename it, or the pool"),
        Kind::Auth => error.with_hint(
            "make a personal access token at https://cloud.linode.com/profile/tokens and let \
             `token` refer to it",
        ),
        Kind::Permission => error.with_hint(
            "the token needs the scope `linodes:read_write` (for balancers and DNS also \
             `nodebalancers:read_write` and `domains:read_write`), and its user must be \
             unrestricted",
        ),
        _ => error,
    }
}
