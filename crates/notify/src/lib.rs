//! Notifications by HTTP: one message, one `POST`, once. Repeating it is up to the caller.
//!
//! A receiver knows by three headers what it got:
//!
//! | header | what it is |
//! |---|---|
//! | `X-Fleetwright-Delivery` | the id of the message: the same when it is sent again |
//! | `X-Fleetwright-Timestamp` | when this attempt was made, in seconds since 1970 |
//! | `X-Fleetwright-Signature` | `sha256=` and the HMAC-SHA256 of `<timestamp>.<body>`, in hexadecimal digits |
//!
//! The signature is there if the webhook has a `secret`. Neither the secret nor the address is ever
//! part of an error: such addresses often hold a secret.

mod body;
mod sign;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{
    Clock, Effect, Error, Kind, Message, Messenger, Result, SecretRef, SecretSource, Webhook,
    WebhookFormat,
};
use fleetwright_rest::{Call, Client, Credential, Refusal, Settings};
use jiff::Timestamp;
use url::Url;

pub use self::sign::signature;

/// Longest time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer that is read. Nobody is interested in it.
const BODY_LIMIT: usize = 64 << 10;

/// A webhook that can be told something.
pub struct WebhookMessenger {
    name: String,
    url: SecretRef,
    secret: Option<SecretRef>,
    format: WebhookFormat,
    timeout: Duration,
    secrets: Arc<dyn SecretSource>,
    clock: Arc<dyn Clock>,
}

impl WebhookMessenger {
    /// A messenger for a webhook. Address and secret are fetched with each message.
    pub fn new(webhook: &Webhook, secrets: Arc<dyn SecretSource>, clock: Arc<dyn Clock>) -> Self {
        Self {
            name: webhook.name.clone(),
            url: webhook.url.clone(),
            secret: webhook.secret.clone(),
            format: webhook.format,
            timeout: webhook.timeout.0,
            secrets,
            clock,
        }
    }

    /// What is posted, and where.
    async fn call(&self, message: &Message, at: Timestamp) -> Result<(Client, Call)> {
        let address = self.secrets.fetch(&self.url).await?;
        let url = self.address(address.reveal())?;
        let (mut base, mut query) = (url.clone(), Vec::new());
        for (name, value) in url.query_pairs() {
            query.push((name.into_owned(), value.into_owned()));
        }
        base.set_query(None);
        let settings = Settings {
            timeout: self.timeout,
            connect_timeout: CONNECT_TIMEOUT.min(self.timeout),
            body_limit: BODY_LIMIT,
            ..Settings::new(base.as_str(), classify)
        };
        let client = Client::new(settings, Credential::none(), Arc::clone(&self.clock))?;
        let body = body::of(message, self.format)?;
        let bytes = body.to_string();
        let timestamp = at.as_second().to_string();
        let mut call = Call::post(&[])
            .json(&body)?
            .header("x-fleetwright-event", message.event.clone())
            .header("x-fleetwright-delivery", message.id.to_string())
            .header("x-fleetwright-timestamp", timestamp.clone());
        if let Some(secret) = &self.secret {
            let secret = self.secrets.fetch(secret).await?;
            let signature = signature(secret.reveal(), &timestamp, bytes.as_bytes());
            call = call.header("x-fleetwright-signature", signature);
        }
        for (name, value) in query {
            call = call.query(&name, value);
        }
        Ok((client, call))
    }

    /// The address, in words of our own if it is none: those of the parser repeat it.
    fn address(&self, text: &str) -> Result<Url> {
        let bad = |why: &str| {
            Error::new(
                Kind::Config,
                format!("the address of the notification `{}` {why}", self.name),
            )
            .with_effect(Effect::None)
            .with_hint("it is what `url` refers to, and begins with `https://` or `http://`")
        };
        let url = Url::parse(text.trim()).map_err(|_| bad("is none"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(bad("is none of HTTP"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("holds a user or a password, which is not supported"));
        }
        if url.fragment().is_some() {
            return Err(bad("has a part after `#`"));
        }
        Ok(url)
    }
}

#[async_trait]
impl Messenger for WebhookMessenger {
    async fn send(&self, message: &Message, at: Timestamp) -> Result<()> {
        let (client, call) = self.call(message, at).await?;
        client
            .send(call)
            .await
            .map(drop)
            .map_err(|error| error.with_context("notification", self.name.clone()))
    }
}

impl fmt::Debug for WebhookMessenger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookMessenger")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The table of refusals. What the receiver says is not repeated: it may hold the address. A
/// redirect is not followed: the body would go to somebody whom nobody named.
fn classify(refusal: &Refusal<'_>) -> Error {
    let status = refusal.status();
    let error = refusal.by_status(format!("the receiver answered with status {status}"));
    match status {
        300..=399 => {
            error.with_hint("redirects are not followed: configure the address they lead to")
        }
        401 | 403 | 404 | 410 => error.with_hint("is the address still right?"),
        429 => error.with_hint("it is tried again when the receiver takes messages again"),
        _ => error,
    }
}
