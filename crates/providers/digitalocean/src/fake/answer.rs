//! Replies in DigitalOcean's form: errors, and pages with links and totals.

use fleetwright_rest::testing::{Reply, Request};
use serde_json::{Value, json};

/// An error: `id` and `message`.
pub(super) fn error(status: u16, id: &str, message: &str) -> Reply {
    Reply::json(
        status,
        &json!({
            "id": id,
            "message": message,
            "request_id": "4d9d8375-3c56-4925-a3e7-eb137fed17e9",
        }),
    )
}

pub(super) fn unprocessable(message: &str) -> Reply {
    error(422, "unprocessable_entity", message)
}

pub(super) fn not_found() -> Reply {
    error(
        404,
        "not_found",
        "The resource you requested could not be found.",
    )
}

/// The page of `items` that a request asks for, with links to its neighbors.
pub(super) fn page(
    request: &Request,
    address: &str,
    most: usize,
    key: &str,
    items: &[Value],
) -> Reply {
    let size = request.number("per_page", 20);
    let number = request.number("page", 1);
    if size == 0 || size > 200 || number == 0 {
        return error(400, "bad_request", "per_page must be between 1 and 200.");
    }
    let size = size.min(most);
    let last = items.len().div_ceil(size).max(1);
    let shown: Vec<&Value> = items.iter().skip((number - 1) * size).take(size).collect();
    let link = |number: usize| {
        let mut query: Vec<String> = request
            .queries()
            .iter()
            .filter(|(name, _)| name != "page")
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        query.push(format!("page={number}"));
        format!("{address}{}?{}", request.path(), query.join("&"))
    };
    let mut pages = serde_json::Map::new();
    if number < last {
        pages.insert("next".to_owned(), json!(link(number + 1)));
        pages.insert("last".to_owned(), json!(link(last)));
    }
    if number > 1 {
        pages.insert("first".to_owned(), json!(link(1)));
        pages.insert("prev".to_owned(), json!(link(number - 1)));
    }
    let links = if pages.is_empty() {
        json!({})
    } else {
        json!({ "pages": pages })
    };
    Reply::json(
        200,
        &json!({ key: shown, "links": links, "meta": { "total": items.len() } }),
    )
}
