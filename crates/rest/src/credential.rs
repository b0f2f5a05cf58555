//! Where the credential comes from and where in a call it stands.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use fleetwright_core::{Effect, Error, Kind, Result, Secret, SecretRef, SecretSource};
use reqwest::header::HeaderValue;

/// A token and the header it is sent in.
///
/// A token by reference is fetched at the first call and kept. Once the other side has refused it,
/// it is fetched again for the next call: it may have been replaced meanwhile.
#[derive(Clone)]
pub struct Credential {
    header: &'static str,
    prefix: &'static str,
    origin: Origin,
    kept: Arc<Mutex<Option<Kept>>>,
}

/// A token that was fetched, ready to be sent.
#[derive(Clone)]
pub(crate) struct Kept {
    /// Name of the header.
    pub(crate) name: &'static str,
    /// Its value, marked as sensitive, so that nothing logs it; `None` if nothing is sent.
    pub(crate) value: Option<HeaderValue>,
    token: Secret,
}

impl Kept {
    /// Takes the token out of a body that repeats it, so that no error can.
    pub(crate) fn redact(&self, body: Bytes) -> Bytes {
        let token = self.token.reveal();
        match std::str::from_utf8(&body) {
            Ok(text) if !token.is_empty() && text.contains(token) => {
                text.replace(token, "[redacted]").into()
            }
            _ => body,
        }
    }
}

#[derive(Clone)]
enum Origin {
    Nowhere,
    Given(Secret),
    Fetched(SecretRef, Arc<dyn SecretSource>),
}

// === impl Credential ===

impl Credential {
    /// Nothing: the other side asks for no credential.
    pub fn none() -> Self {
        Self::new("authorization", "", Origin::Nowhere)
    }

    /// `Authorization: Bearer <token>`.
    pub fn bearer(token: Secret) -> Self {
        Self::new("authorization", "Bearer ", Origin::Given(token))
    }

    /// `Authorization: Bearer <token>`, the token being fetched when it is needed.
    pub fn bearer_from(reference: SecretRef, source: Arc<dyn SecretSource>) -> Self {
        let origin = Origin::Fetched(reference, source);
        Self::new("authorization", "Bearer ", origin)
    }

    /// The token in a header of its own, such as `X-Auth-Token`. The name is in lower case.
    pub fn header(name: &'static str, token: Secret) -> Self {
        Self::new(name, "", Origin::Given(token))
    }

    /// The token in a header of its own, being fetched when it is needed. The name is in lower
    /// case.
    pub fn header_from(
        name: &'static str,
        reference: SecretRef,
        source: Arc<dyn SecretSource>,
    ) -> Self {
        Self::new(name, "", Origin::Fetched(reference, source))
    }

    fn new(header: &'static str, prefix: &'static str, origin: Origin) -> Self {
        Self {
            header,
            prefix,
            origin,
            kept: Arc::default(),
        }
    }

    /// The header, fetching the token if that was not done yet.
    pub(crate) async fn kept(&self) -> Result<Kept> {
        let kept = self
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(kept) = kept {
            return Ok(kept);
        }
        let token = match &self.origin {
            Origin::Nowhere => {
                return Ok(Kept {
                    name: self.header,
                    value: None,
                    token: Secret::new(""),
                });
            }
            Origin::Given(token) => token.clone(),
            Origin::Fetched(reference, source) => source
                .fetch(reference)
                .await
                .map_err(|error| error.with_effect(Effect::None))?,
        };
        let text = Secret::new(format!("{}{}", self.prefix, token.reveal()));
        // The error says nothing about the text, and neither do we.
        let mut value = HeaderValue::from_str(text.reveal()).map_err(|_| {
            Error::new(
                Kind::Config,
                "the token holds characters that cannot be sent",
            )
            .with_hint(match &self.origin {
                Origin::Nowhere | Origin::Given(_) => {
                    "a token is one line of letters, digits and signs".to_owned()
                }
                Origin::Fetched(reference, _) => {
                    format!("look at what `{reference}` gives: a token is one line of text")
                }
            })
        })?;
        value.set_sensitive(true);
        let kept = Kept {
            name: self.header,
            value: Some(value),
            token,
        };
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept.clone());
        Ok(kept)
    }

    /// Forgets a token that was refused, so that the next call fetches it anew.
    pub(crate) fn forget(&self) {
        if matches!(self.origin, Origin::Fetched(..)) {
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Nowhere => f.write_str("none"),
            Origin::Given(_) => write!(f, "{}: [redacted]", self.header),
            Origin::Fetched(reference, _) => write!(f, "{}: {reference}", self.header),
        }
    }
}
