//! Signals from Prometheus: one number for one query, by the HTTP API's instant queries
//! (<https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries>).
//!
//! What is not exactly one number is an error: no series, several series, a range, `NaN`. A pool's
//! size then stays as it is, which a zero would not do.

mod answer;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{
    Clock, Error, Kind, PrometheusQuery, Quantity, Result, SecretSource, SignalSource,
};
use fleetwright_rest::{Call, Client, Credential, Refusal, Settings};
use serde::Deserialize;

/// Longest time for a query. It is asked again with the next round anyway.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer. One number needs some hundred bytes.
const BODY_LIMIT: usize = 1 << 20;

/// Checks the address of a Prometheus.
///
/// # Errors
/// `Config` with a hint on how to write it.
pub fn check_url(url: &str) -> Result<()> {
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme));
    let host = rest.and_then(|rest| rest.split('/').next());
    // Words of our own: those of the client speak of an endpoint.
    let error = match host {
        None | Some("") => Error::new(Kind::Config, "the address of Prometheus is none"),
        Some(host) if host.contains('@') => Error::new(
            Kind::Config,
            "the address of Prometheus holds a user name or a password, which would be logged",
        ),
        Some(_) if url.contains(['?', '#', ' ']) => {
            Error::new(Kind::Config, "the address of Prometheus is none")
        }
        Some(_) => return Ok(()),
    };
    Err(error.with_hint("write it as `http://127.0.0.1:9090`; a token is given by `token`"))
}

/// A query that is asked again and again.
#[derive(Debug)]
pub struct Prometheus {
    client: Client,
    query: String,
}

impl Prometheus {
    /// Makes a client for a query, without connecting. The token is fetched with the first query.
    ///
    /// # Errors
    /// `Config` if the address is none.
    pub fn new(
        config: &PrometheusQuery,
        secrets: Arc<dyn SecretSource>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        check_url(&config.url)?;
        let credential = match &config.token {
            Some(reference) => Credential::bearer_from(reference.clone(), secrets),
            None => Credential::none(),
        };
        let settings = Settings {
            timeout: TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
            body_limit: BODY_LIMIT,
            ..Settings::new(config.url.trim_end_matches('/'), classify)
        };
        Ok(Self {
            client: Client::new(settings, credential, clock)?,
            query: config.query.clone(),
        })
    }
}

#[async_trait]
impl SignalSource for Prometheus {
    async fn read(&self) -> Result<Quantity> {
        let call = Call::get(&["api", "v1", "query"]).query("query", &self.query);
        let answer: answer::Answer = self.client.fetch(call).await?;
        answer
            .quantity()
            .map_err(|error| error.with_context("query", self.query.clone()))
    }
}

/// Prometheus' own words for an error.
#[derive(Deserialize)]
struct Words {
    #[serde(rename = "errorType")]
    error_type: String,
    error: String,
}

/// The table of refusals. "The JSON returned from the API endpoint ... if there was an error:
/// `errorType`, `error`"; "400 Bad Request when parameters are missing or incorrect, 422
/// Unprocessable Entity when an expression can't be executed, 503 Service Unavailable when queries
/// time out or abort".
fn classify(refusal: &Refusal<'_>) -> Error {
    let Some(words) = refusal.json::<Words>() else {
        return refusal.by_status(refusal.text());
    };
    match (refusal.status(), words.error_type.as_str()) {
        (400 | 422, _) | (_, "bad_data" | "execution") => refusal
            .error(Kind::Invalid, words.error)
            .with_hint("try the query in the web page of Prometheus"),
        (_, "timeout") => refusal.error(Kind::Timeout, words.error),
        _ => refusal.by_status(words.error),
    }
}
