//! Requests and replies as the fake sees them.

use std::time::Instant;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::Trouble;

/// A request that arrived.
#[derive(Debug, Clone)]
pub struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    pub(super) at: Instant,
}

/// What the world answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Headers besides `content-type` and `content-length`.
    pub headers: Vec<(String, String)>,
    /// The media type; empty if there is no body.
    pub media_type: String,
    /// The body.
    pub body: Bytes,
}

/// One request with what came of it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The request.
    pub request: Request,
    /// What the world answered; `None` if the request did not reach it.
    pub reply: Option<Reply>,
    /// The fault that struck, if one did.
    pub trouble: Option<Trouble>,
}

// === impl Request ===

impl Request {
    /// `GET`, `POST`, ...
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path as it was sent, encoded, without the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The parts of the path, decoded only if nothing in them was encoded: a fake matches on
    /// plain words.
    pub fn segments(&self) -> Vec<&str> {
        self.path
            .split('/')
            .filter(|part| !part.is_empty())
            .collect()
    }

    /// The first value of a query parameter, decoded.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// All query parameters in order, decoded.
    pub fn queries(&self) -> &[(String, String)] {
        &self.query
    }

    /// A number in the query, or this default if it is absent or no number.
    pub fn number(&self, name: &str, default: usize) -> usize {
        self.query(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    }

    /// The first value of a header; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The token of `Authorization: Bearer`.
    pub fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as JSON; `null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// When it arrived.
    pub fn at(&self) -> Instant {
        self.at
    }
}

// === impl Reply ===

impl Reply {
    /// JSON with this status.
    pub fn json(status: u16, value: &impl Serialize) -> Self {
        Self {
            status,
            headers: Vec::new(),
            media_type: "application/json".to_owned(),
            body: serde_json::to_vec(value)
                .expect("a reply of a fake can be written as JSON")
                .into(),
        }
    }

    /// No body, with this status.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            media_type: String::new(),
            body: Bytes::new(),
        }
    }

    /// A text with this status and media type.
    pub fn text(status: u16, media_type: &str, text: impl Into<String>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            media_type: media_type.to_owned(),
            body: text.into().into(),
        }
    }

    /// Adds a header.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "numbers and texts are given as they are"
    )]
    pub fn with_header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// The body as JSON; `null` if it is none.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}
