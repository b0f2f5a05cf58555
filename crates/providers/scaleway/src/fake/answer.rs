//! From a request to a reply: who asks, where to, and the vendor's forms of pages and errors.

use fleetwright_rest::testing::{Reply, Request};
use serde_json::{Map, Value, json};

use super::state::State;
use super::{balancers, dns, instances, networks, products, storage};
use crate::zone;

/// What a handler gives: both are replies.
pub(super) type Answer = Result<Reply, Reply>;

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    if let Err(refusal) = authorize(state, request) {
        return refusal;
    }
    let path = request.segments();
    let path: &[&str] = &path;
    let reply = match path {
        ["instance", "v1", "zones", zone, rest @ ..] if has_instances(zone) => {
            instance(state, request, zone, rest)
        }
        ["block", "v1", "zones", zone, rest @ ..] if has_instances(zone) => {
            storage::block(state, request, zone, rest)
        }
        ["marketplace", "v2", "local-images"] => products::images(state, request),
        ["lb", "v1", "zones", zone, rest @ ..] => balancers::answer(state, request, zone, rest),
        ["domain", "v2beta1", "dns-zones", rest @ ..] => dns::answer(state, request, rest),
        _ => Err(not_found("endpoint", request.path())),
    };
    reply.unwrap_or_else(|refusal| refusal)
}

fn has_instances(name: &str) -> bool {
    zone::KNOWN.contains(&name)
}

fn instance(state: &mut State, request: &Request, zone: &str, rest: &[&str]) -> Answer {
    match rest {
        ["servers", ..] => instances::answer(state, request, zone, rest),
        ["volumes", ..] => storage::local(state, request, zone, rest),
        ["ips", ..] => networks::addresses(state, request, zone, rest),
        ["products", "servers", rest @ ..] => products::types(state, request, zone, rest),
        _ => Err(not_found("endpoint", request.path())),
    }
}

/// The key in `X-Auth-Token`.
fn authorize(state: &State, request: &Request) -> Result<(), Reply> {
    let key = request.header("x-auth-token").unwrap_or("");
    if key == state.config.secret_key {
        return Ok(());
    }
    if key != state.config.read_only_key {
        let reason = if key.is_empty() {
            "invalid_argument"
        } else {
            "not_found"
        };
        return Err(Reply::json(
            401,
            &json!({ "type": "denied_authentication", "method": "api_key", "reason": reason }),
        ));
    }
    if request.method() == "GET" {
        return Ok(());
    }
    Err(Reply::json(
        403,
        &json!({
            "type": "permissions_denied",
            "message": "insufficient permissions",
            "details": [{ "resource": "instance_server", "action": "write" }],
        }),
    ))
}

// === the vendor's forms ===

/// A page in the form of the instances' API: the total is a header. Only what is on the page is
/// described.
pub(super) fn page<T>(
    state: &State,
    request: &Request,
    field: &str,
    all: Vec<T>,
    describe: impl Fn(T) -> Value,
) -> Reply {
    let (total, items) = slice(state, request, "per_page", all);
    let items: Vec<Value> = items.into_iter().map(describe).collect();
    Reply::json(200, &json!({ field: items })).with_header("x-total-count", total)
}

/// The same for items by name.
pub(super) fn page_by_name(state: &State, request: &Request, all: Map<String, Value>) -> Reply {
    let (total, items) = slice(state, request, "per_page", all.into_iter().collect());
    let items: Map<String, Value> = items.into_iter().collect();
    Reply::json(200, &json!({ "servers": items })).with_header("x-total-count", total)
}

/// A page in the form of all other APIs: the total stands in the body.
pub(super) fn counted(state: &State, request: &Request, field: &str, all: Vec<Value>) -> Reply {
    let (total, items) = slice(state, request, "page_size", all);
    Reply::json(200, &json!({ field: items, "total_count": total }))
}

fn slice<T>(state: &State, request: &Request, size: &str, all: Vec<T>) -> (usize, Vec<T>) {
    let size = request.number(size, 50).clamp(1, state.config.page);
    let number = request.number("page", 1).max(1);
    let total = all.len();
    let items = all.into_iter().skip((number - 1) * size).take(size);
    (total, items.collect())
}

/// As recorded: `{"type": "not_found", "message": "resource is not found", ...}`.
pub(super) fn not_found(resource: &str, id: &str) -> Reply {
    Reply::json(
        404,
        &json!({
            "type": "not_found",
            "message": "resource is not found",
            "resource": resource,
            "resource_id": id,
        }),
    )
}

/// As recorded: `{"type": "invalid_arguments", "message": "invalid argument(s)", "details": [...]}`.
pub(super) fn invalid(name: &str, reason: &str, help: &str) -> Reply {
    Reply::json(
        400,
        &json!({
            "type": "invalid_arguments",
            "message": "invalid argument(s)",
            "details": [{ "argument_name": name, "reason": reason, "help_message": help }],
        }),
    )
}

pub(super) fn transient(resource: &str, id: &str, state: &str) -> Reply {
    Reply::json(
        409,
        &json!({
            "type": "transient_state",
            "message": "resource is in a transient state",
            "resource": resource,
            "resource_id": id,
            "current_state": state,
        }),
    )
}

pub(super) fn not_usable(resource: &str, id: &str, help: &str) -> Reply {
    Reply::json(
        400,
        &json!({
            "type": "resource_not_usable",
            "message": "resource is not usable",
            "resource": resource,
            "resource_id": id,
            "help_message": help,
        }),
    )
}

pub(super) fn in_use(help: &str) -> Reply {
    Reply::json(
        412,
        &json!({
            "type": "precondition_failed",
            "message": "precondition is not respected",
            "precondition": "resource_still_in_use",
            "help_message": help,
        }),
    )
}

pub(super) fn out_of_stock(resource: &str) -> Reply {
    Reply::json(
        412,
        &json!({ "type": "out_of_stock", "message": "resource is out of stock", "resource": resource }),
    )
}

pub(super) fn quota(resource: &str) -> Reply {
    Reply::json(
        403,
        &json!({
            "type": "quotas_exceeded",
            "message": "quota(s) exceeded for this resource",
            "details": [{ "resource": resource, "quota": 10, "current": 10 }],
        }),
    )
}

/// An instant in the vendor's form. The fake's own time is of no interest to anybody.
pub(super) const DATE: &str = "2025-09-05T15:46:15.876097+00:00";
