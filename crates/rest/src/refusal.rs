//! A refusal, and what it means.

use std::borrow::Cow;
use std::time::Duration;

use fleetwright_core::{Effect, Error, Kind};
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Call;

/// Says what a refusal means: one function per provider, its table. Status first, then the vendor's
/// code, each arm quoting the vendor's sentence; [`Refusal::by_status`] for the rest.
///
/// What every error needs (the call, the status, the request's id, when to come back) is added
/// afterwards.
pub type Classify = fn(&Refusal<'_>) -> Error;

/// An answer that says no: any status but 2xx.
#[derive(Debug)]
pub struct Refusal<'a> {
    pub(crate) call: &'a Call,
    pub(crate) status: u16,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    pub(crate) retry_after: Option<Duration>,
}

/// Most characters of a body that an error repeats.
const QUOTED: usize = 300;

impl Refusal<'_> {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The call that was refused.
    pub fn call(&self) -> &Call {
        self.call
    }

    /// A header, if it is there and readable.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as the vendor's form of an error; `None` if it is something else, for example a
    /// page of a proxy.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(self.body).ok()
    }

    /// The body, or its beginning, in one line; of JSON its `message`, if it has one. For pages of HTML and empty bodies, the status.
    pub fn text(&self) -> String {
        let message = self.json::<Value>();
        let message = message.as_ref().and_then(|body| body["message"].as_str());
        let text = message.map_or_else(|| String::from_utf8_lossy(self.body), Cow::from);
        let words: Vec<&str> = text.split_whitespace().collect();
        let line = words.join(" ");
        if line.is_empty() || line.starts_with('<') {
            return format!("answered with status {}", self.status);
        }
        match line.char_indices().nth(QUOTED) {
            None => line,
            Some((end, _)) => format!("{}…", &line[..end]),
        }
    }

    /// When the other side wants to be asked again, if it says so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// An error of this kind with the right effect: a refusal in words (4xx) had none; after a
    /// failure of the other side (5xx), nobody knows, if the call changes something.
    ///
    /// An arm of the table that knows better says so with [`Error::with_effect`].
    pub fn error(&self, kind: Kind, message: impl Into<String>) -> Error {
        let effect = if self.call.changes && (self.status >= 500 || self.status < 400) {
            Effect::Unknown
        } else {
            Effect::None
        };
        Error::new(kind, message).with_effect(effect)
    }

    /// What the status alone says, for everything that the vendor has no word of its own for.
    pub fn by_status(&self, message: impl Into<String>) -> Error {
        let kind = match self.status {
            400 | 405 | 406 | 411 | 413..=416 | 422 | 431 => Kind::Invalid,
            401 => Kind::Auth,
            402 => Kind::Quota,
            403 | 451 => Kind::Permission,
            404 | 410 => Kind::NotFound,
            // A gateway gave up waiting.
            408 | 504 => Kind::Timeout,
            409 | 412 | 423 => Kind::Conflict,
            425 | 500 | 502 | 503 | 507 | 508 | 520..=530 => Kind::Unavailable,
            429 => Kind::RateLimited,
            501 | 505 => Kind::Unsupported,
            // Redirects are not followed: a base address that is wrong in the configuration.
            _ => Kind::Unexpected,
        };
        let error = self.error(kind, message);
        if kind == Kind::RateLimited {
            return error.with_hint("wait a while, or look who else uses the account");
        }
        error
    }
}
