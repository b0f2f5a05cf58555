//! An answer that says yes.

use bytes::Bytes;
use fleetwright_core::{Effect, Error, Kind, Result};
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;

/// An answer with a status of 2xx, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) changes: bool,
    pub(crate) context: Vec<(&'static str, String)>,
}

impl Answer {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// A header, if it is there and readable.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as a value. Fields that the type does not have are passed over.
    ///
    /// # Errors
    /// `Unexpected` if the body is something else. A change may have happened then.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let read = serde_json::from_slice(&self.body);
        let media_type = self.header("content-type").unwrap_or_default();
        if read.is_err() && media_type.starts_with("text/html") {
            return Err(self
                .unexpected("the answer is a page of `text/html` and not the API's")
                .with_hint(
                    "does a proxy or a login page stand between, or is `endpoint` the address of \
                     a website?",
                ));
        }
        read.map_err(|error| {
            self.unexpected("the answer is not what was expected")
                .with_source(error)
        })
    }

    /// An error about this answer: it cannot be trusted, so a change may have happened.
    pub fn unexpected(&self, message: impl Into<String>) -> Error {
        let effect = if self.changes {
            Effect::Unknown
        } else {
            Effect::None
        };
        let error = Error::new(Kind::Unexpected, message).with_effect(effect);
        self.context.iter().fold(error, |error, (name, value)| {
            error.with_context(*name, value.clone())
        })
    }
}
