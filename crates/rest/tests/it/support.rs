//! A small cloud, and a client of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{Clock, Error, Kind, Secret};
use fleetwright_rest::testing::{Reply, Request, Server, World};
use fleetwright_rest::{Client, Credential, Refusal, Settings};
use jiff::Timestamp;
use serde_json::json;

/// The token that is good.
pub(crate) const TOKEN: &str = "t0ken-of-the-tests";

/// A clock that stands.
#[derive(Debug)]
pub(crate) struct Standing(pub(crate) Mutex<Timestamp>);

impl Standing {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new("2026-11-24T12:00:00Z".parse().unwrap())))
    }

    pub(crate) fn pass(&self, seconds: i64) {
        let mut now = self.0.lock().unwrap();
        *now += jiff::SignedDuration::from_secs(seconds);
    }
}

#[async_trait]
impl Clock for Standing {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    async fn sleep(&self, _duration: Duration) {}
}

/// Servers with numbers, two on a page in five ways of paging.
#[derive(Default)]
pub(crate) struct Cloud {
    pub(crate) servers: Mutex<Vec<u64>>,
    /// How many servers are still to go, one after each page of `totals`.
    pub(crate) leaving: Mutex<usize>,
    /// Headers on every answer.
    pub(crate) headers: Mutex<Vec<(&'static str, String)>>,
}

impl World for Cloud {
    fn answer(&self, request: &Request) -> Reply {
        let mut servers = self.servers.lock().unwrap();
        if request.bearer() != Some(TOKEN) {
            let given = request.header("authorization").unwrap_or("none");
            let words = format!("the header `{given}` is not good");
            return Reply::json(401, &json!({ "message": words }))
                .with_header("x-request-id", "r1");
        }
        let page = request.number("page", 1);
        let items: Vec<_> = servers.iter().skip((page - 1) * 2).take(2).collect();
        let last = servers.len().div_ceil(2).max(1);
        let reply = match (request.method(), request.segments().as_slice()) {
            ("GET", ["v1", "totals"]) => Reply::json(200, &json!({ "servers": items }))
                .with_header("x-total-count", servers.len()),
            ("GET", ["v1", "numbers"]) => Reply::json(
                200,
                &json!({ "servers": items, "page": page, "pages": last }),
            ),
            ("GET", ["v1", "links"]) => {
                let host = request.header("host").unwrap();
                let next =
                    (page < last).then(|| format!("http://{host}/v1/links?page={}", page + 1));
                Reply::json(200, &json!({ "servers": items, "next": next }))
            }
            ("GET", ["v1", "cursors"]) => {
                let at = request.number("after", 0);
                let items: Vec<_> = servers.iter().skip(at).take(2).collect();
                let next = (at + 2 < servers.len()).then(|| (at + 2).to_string());
                Reply::json(200, &json!({ "servers": items, "next": next }))
            }
            ("GET", ["v1", "circle"]) => Reply::json(
                200,
                &json!({ "servers": items, "next": "/v1/circle?page=1" }),
            ),
            ("GET", ["v1", "elsewhere"]) => Reply::json(
                200,
                &json!({ "servers": items, "next": "http://localhost:1/v1/links" }),
            ),
            ("GET", ["v1", "large"]) => Reply::text(200, "text/plain", "x".repeat(100_000)),
            ("GET", ["v1", "moved"]) => Reply::empty(302).with_header("location", "/v1/numbers"),
            ("POST", ["v1", "servers"]) => {
                let id = servers.len() as u64 + 1;
                servers.push(id);
                Reply::json(201, &json!({ "id": id }))
            }
            _ => Reply::json(404, &json!({ "message": "no such thing" }))
                .with_header("x-request-id", "r2"),
        };
        let mut leaving = self.leaving.lock().unwrap();
        if request.path() == "/v1/totals" && *leaving > 0 && !servers.is_empty() {
            servers.remove(0);
            *leaving -= 1;
        }
        let headers = self.headers.lock().unwrap();
        headers
            .iter()
            .fold(reply, |reply, (name, value)| reply.with_header(name, value))
    }
}

/// A table with one word of its own.
pub(crate) fn classify(refusal: &Refusal<'_>) -> Error {
    match refusal.status() {
        422 => refusal.error(Kind::Quota, refusal.text()),
        _ => refusal.by_status(refusal.text()),
    }
}

/// A fake, its world, and a client.
pub(crate) struct Setup {
    pub(crate) server: Server,
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) client: Client,
    pub(crate) clock: Arc<Standing>,
}

impl Setup {
    pub(crate) fn with(servers: u64, credential: Credential) -> Self {
        let cloud = Arc::new(Cloud {
            servers: Mutex::new((1..=servers).collect()),
            ..Cloud::default()
        });
        let server = Server::start(Arc::clone(&cloud) as Arc<dyn World>, None);
        let settings = Settings {
            timeout: Duration::from_millis(500),
            body_limit: 10_000,
            ..Settings::new(format!("{}/v1", server.url()), classify)
        };
        let clock = Standing::new();
        let client =
            Client::new(settings, credential, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        Self {
            server,
            cloud,
            client,
            clock,
        }
    }

    pub(crate) fn new(servers: u64) -> Self {
        Self::with(servers, Credential::bearer(Secret::new(TOKEN)))
    }
}
