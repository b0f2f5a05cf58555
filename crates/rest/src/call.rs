//! One call, before it is sent.

use std::time::Duration;

use fleetwright_core::{Error, Kind, Result};
use serde::Serialize;

/// The methods that calls are made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes, or acts.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A call: method, path below the client's base address, query and body.
///
/// Path segments and query values are given as they are; they are encoded on the way.
#[derive(Debug, Clone)]
pub struct Call {
    pub(crate) method: Method,
    pub(crate) segments: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<Body>,
    pub(crate) changes: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) family: Option<&'static str>,
}

/// What is sent along.
#[derive(Clone)]
pub(crate) struct Body {
    pub(crate) media_type: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// Bodies may hold user data, and user data may hold secrets: only their length is shown.
impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes of {}", self.bytes.len(), self.media_type)
    }
}

// === impl Call ===

impl Call {
    /// Reads.
    pub fn get(segments: &[&str]) -> Self {
        Self::new(Method::Get, segments)
    }

    /// Makes, or acts.
    pub fn post(segments: &[&str]) -> Self {
        Self::new(Method::Post, segments)
    }

    /// Replaces.
    pub fn put(segments: &[&str]) -> Self {
        Self::new(Method::Put, segments)
    }

    /// Changes.
    pub fn patch(segments: &[&str]) -> Self {
        Self::new(Method::Patch, segments)
    }

    /// Removes.
    pub fn delete(segments: &[&str]) -> Self {
        Self::new(Method::Delete, segments)
    }

    fn new(method: Method, segments: &[&str]) -> Self {
        Self {
            method,
            segments: segments.iter().map(|&part| part.to_owned()).collect(),
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            changes: method != Method::Get,
            timeout: None,
            family: None,
        }
    }

    /// Adds a query parameter. The same name may be given several times.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "numbers and texts are given as they are"
    )]
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    /// Sets a query parameter, in place of any of the same name.
    #[must_use]
    pub fn with_query(mut self, name: &str, value: impl ToString) -> Self {
        self.query.retain(|(known, _)| known != name);
        self.query(name, value)
    }

    /// Adds a header. Credentials do not belong here: see [`Credential`](crate::Credential).
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sends this value as JSON.
    ///
    /// # Errors
    /// `Unexpected` if the value cannot be written as JSON, which is a defect of its type.
    pub fn json(mut self, value: &impl Serialize) -> Result<Self> {
        let bytes = serde_json::to_vec(value).map_err(|error| {
            Error::new(Kind::Unexpected, "a request cannot be written as JSON")
                .with_effect(fleetwright_core::Effect::None)
                .with_source(error)
        })?;
        self.body = Some(Body {
            media_type: "application/json",
            bytes,
        });
        Ok(self)
    }

    /// Sends this text.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.body = Some(Body {
            media_type: "text/plain",
            bytes: text.into().into_bytes(),
        });
        self
    }

    /// Says that the call changes nothing although it is no `GET`: without an answer, its effect
    /// is known all the same.
    #[must_use]
    pub fn reads(mut self) -> Self {
        self.changes = false;
        self
    }

    /// Sets the longest time for this call, in place of the client's.
    #[must_use]
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Names the bucket of limits that the call takes from. Absent: method and first segment.
    #[must_use]
    pub fn family(mut self, family: &'static str) -> Self {
        self.family = Some(family);
        self
    }

    /// Whether it may change something.
    pub fn changes(&self) -> bool {
        self.changes
    }

    /// The call in words: `POST servers/17/actions`. Without the query, whose values may be long.
    pub fn label(&self) -> String {
        format!("{} {}", self.method.as_str(), self.segments.join("/"))
    }

    /// The bucket of limits.
    pub(crate) fn bucket(&self) -> String {
        match (self.family, self.segments.first()) {
            (Some(family), _) => family.to_owned(),
            (None, Some(first)) => format!("{} {first}", self.method.as_str()),
            (None, None) => self.method.as_str().to_owned(),
        }
    }
}
