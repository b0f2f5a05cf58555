//! The client: one pool of connections, one place that decides about effects.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fleetwright_core::{Clock, Effect, Error, Kind, Result};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use url::Url;

use crate::call::Body;
use crate::credential::Kept;
use crate::limits::{Limits, retry_after};
use crate::{Answer, Call, Classify, Credential, Method, Refusal, tls};

/// What a client is made with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address that every path is put behind, such as `https://api.example.com/v1`.
    pub base: String,
    /// What refusals mean.
    pub classify: Classify,
    /// Longest time for one call, from sending to the last byte of the answer.
    pub timeout: Duration,
    /// Longest time to connect.
    pub connect_timeout: Duration,
    /// Longest body of an answer, in bytes. What is longer is an error.
    pub body_limit: usize,
    /// Headers that may hold the vendor's id of a request, in lower case. The first that is there
    /// becomes the context `request-id` of errors.
    pub request_id: &'static [&'static str],
}

impl Settings {
    /// Settings for this address: 30s per call, 10s to connect, answers of at most 32 MiB.
    pub fn new(base: impl Into<String>, classify: Classify) -> Self {
        Self {
            base: base.into(),
            classify,
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            body_limit: 32 << 20,
            request_id: &["x-request-id", "request-id", "x-correlation-id"],
        }
    }
}

/// Sends calls. Cloning gives another handle to the same connections.
///
/// Connections are reused. Redirects are not followed. Proxies are taken from the environment
/// (`HTTPS_PROXY`, `NO_PROXY`, ...). Nothing is repeated.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    base: Url,
    settings: Settings,
    credential: Credential,
    limits: Limits,
    clock: Arc<dyn Clock>,
}

impl Client {
    /// Makes a client, without connecting.
    ///
    /// # Errors
    /// `Config` if the address is none, beginning with `` `endpoint` ``, or if there is no TLS to
    /// be had on this machine.
    pub fn new(settings: Settings, credential: Credential, clock: Arc<dyn Clock>) -> Result<Self> {
        let base = base(&settings.base)?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("fleetwright/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(settings.connect_timeout)
            .tcp_nodelay(true)
            .tls_backend_preconfigured(tls::config()?);
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| {
            Error::new(Kind::Config, "no HTTP client can be made").with_source(error.without_url())
        })?;
        Ok(Self {
            inner: Arc::new(Inner {
                http,
                base,
                settings,
                credential,
                limits: Limits::default(),
                clock,
            }),
        })
    }

    /// The address that every path is put behind.
    pub fn base(&self) -> &Url {
        &self.inner.base
    }

    /// Sends a call and reads the answer as a value.
    ///
    /// # Errors
    /// Those of [`send`](Self::send) and [`Answer::json`].
    pub async fn fetch<T: DeserializeOwned>(&self, call: Call) -> Result<T> {
        self.send(call).await?.json()
    }

    /// Sends a call of whose answer only the yes counts: it is empty or JSON.
    ///
    /// # Errors
    /// Those of [`send`](Self::send); `Unexpected` if the body is something else, such as the page
    /// of a captive portal: then the yes was not the vendor's.
    pub async fn perform(&self, call: Call) -> Result<()> {
        let answer = self.send(call).await?;
        if answer.body().is_empty() {
            return Ok(());
        }
        answer.json::<serde::de::IgnoredAny>().map(drop)
    }

    /// Sends a call.
    ///
    /// # Errors
    /// What [`Classify`] makes of a refusal. Besides: `Unavailable` if there is no connection or it
    /// broke, `Timeout`, `RateLimited` without a call being sent if the last answer said that
    /// nothing is left, `Config` if there is no token, `Unexpected` if the answer is too long.
    ///
    /// The effect of an error is `None` if the request was surely not sent, or changes nothing;
    /// `Unknown` if it was sent and the answer is missing; what the table says after a refusal.
    /// Each error has the contexts `call` and, if there was an answer, `status` and `request-id`.
    pub async fn send(&self, call: Call) -> Result<Answer> {
        match self.address(&call) {
            Ok(target) => self.send_to(target, call).await,
            Err(error) => Err(unsent(&call, error)),
        }
    }

    /// Sends a call to an address that an answer gave, such as that of the next page.
    ///
    /// # Errors
    /// As [`send`](Self::send); `Unexpected` without a call if the address is on another host: it
    /// must not get the token.
    pub(crate) async fn follow(&self, link: &str, call: Call) -> Result<Answer> {
        let base = &self.inner.base;
        let target = base.join(link).ok().filter(|target| {
            target.host() == base.host()
                && target.port_or_known_default() == base.port_or_known_default()
        });
        let Some(mut target) = target else {
            return Err(unsent(
                &call,
                Error::new(Kind::Unexpected, "the answer points at another host")
                    .with_context("link", link.to_owned()),
            ));
        };
        // A gateway that ends TLS may let links begin with `http:`.
        if target.set_scheme(base.scheme()).is_err() {
            return Err(unsent(
                &call,
                Error::new(Kind::Unexpected, "the answer points at no address")
                    .with_context("link", link.to_owned()),
            ));
        }
        self.send_to(target, call).await
    }

    async fn send_to(&self, target: Url, call: Call) -> Result<Answer> {
        let inner = &*self.inner;
        let bucket = call.bucket();
        if let Some(wait) = inner.limits.wait(&bucket, inner.clock.now()) {
            let error = Error::new(
                Kind::RateLimited,
                "no calls are left until the limit is reset",
            )
            .with_retry_after(wait)
            .with_context(Error::ANNOUNCED, bucket);
            return Err(unsent(&call, error));
        }
        let kept = match inner.credential.kept().await {
            Ok(kept) => kept,
            Err(error) => return Err(unsent(&call, error)),
        };
        let request = match self.request(target, &call, &kept) {
            Ok(request) => request,
            Err(error) => return Err(unsent(&call, error)),
        };
        tracing::debug!(call = call.label(), "sending");
        let response = match inner.http.execute(request).await {
            Ok(response) => response,
            Err(error) => {
                let error = unanswered(&call, &error);
                tracing::debug!(call = call.label(), %error, "no answer");
                return Err(error.with_context("call", call.label()));
            }
        };
        self.judge(&call, &kept, &bucket, response).await
    }

    /// Reads the answer and tells a yes from a no.
    async fn judge(
        &self,
        call: &Call,
        kept: &Kept,
        bucket: &str,
        response: reqwest::Response,
    ) -> Result<Answer> {
        let inner = &*self.inner;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let context = self.context(call, status, &headers);
        tracing::debug!(call = call.label(), status, "answered");
        let now = inner.clock.now();
        inner.limits.learn(bucket, &headers, now);
        let with_context = |error: Error| {
            context.iter().fold(error, |error, (name, value)| {
                error.with_context(*name, value.clone())
            })
        };
        let is_yes = (200..300).contains(&status);
        let body = match read(response, inner.settings.body_limit).await {
            Ok(body) => body,
            // A no stays a no, even if its words were lost.
            Err(_) if !is_yes => Bytes::new(),
            Err(failure) => return Err(with_context(failure.error(call))),
        };
        if is_yes {
            return Ok(Answer {
                status,
                headers,
                body,
                changes: call.changes,
                context,
            });
        }
        if status == 401 {
            inner.credential.forget();
        }
        let body = kept.redact(body);
        let refusal = Refusal {
            call,
            status,
            headers: &headers,
            body: &body,
            retry_after: retry_after(&headers, now),
        };
        let mut error = (inner.settings.classify)(&refusal);
        if error.retry_after().is_none()
            && matches!(error.kind(), Kind::RateLimited | Kind::Unavailable)
            && let Some(after) = refusal.retry_after
        {
            error = error.with_retry_after(after);
        }
        Err(with_context(error))
    }

    fn request(&self, target: Url, call: &Call, kept: &Kept) -> Result<reqwest::Request> {
        let method = match call.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut request = reqwest::Request::new(method, target);
        let headers = request.headers_mut();
        headers.insert("accept", HeaderValue::from_static("application/json"));
        for (name, value) in &call.headers {
            let value = HeaderValue::from_str(value).map_err(|error| {
                Error::new(Kind::Invalid, format!("the header `{name}` cannot be sent"))
                    .with_source(error)
            })?;
            headers.insert(HeaderName::from_static(name), value);
        }
        if let Some(value) = &kept.value {
            headers.insert(HeaderName::from_static(kept.name), value.clone());
        }
        if let Some(Body { media_type, bytes }) = &call.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
            *request.body_mut() = Some(bytes.clone().into());
        }
        let timeout = call.timeout.unwrap_or(self.inner.settings.timeout);
        *request.timeout_mut() = Some(timeout);
        Ok(request)
    }

    /// Where a call goes.
    ///
    /// # Errors
    /// `Invalid` if a segment is empty, `.` or `..`, or holds control characters, which addresses
    /// drop: the call would go to another path, such as that of a whole collection.
    fn address(&self, call: &Call) -> Result<Url> {
        let odd = |part: &&String| {
            matches!(part.as_str(), "" | "." | "..") || part.contains(char::is_control)
        };
        if let Some(part) = call.segments.iter().find(odd) {
            let message = format!("{part:?} is not the id of anything");
            return Err(Error::new(Kind::Invalid, message));
        }
        let mut target = self.inner.base.clone();
        if let Ok(mut path) = target.path_segments_mut() {
            path.pop_if_empty().extend(&call.segments);
        }
        if !call.query.is_empty() {
            target
                .query_pairs_mut()
                .extend_pairs(call.query.iter().map(|(name, value)| (name, value)));
        }
        Ok(target)
    }

    fn context(
        &self,
        call: &Call,
        status: u16,
        headers: &HeaderMap,
    ) -> Vec<(&'static str, String)> {
        let mut context = vec![("call", call.label()), ("status", status.to_string())];
        let id = self
            .inner
            .settings
            .request_id
            .iter()
            .find_map(|name| headers.get(*name)?.to_str().ok());
        context.extend(id.map(|id| ("request-id", id.to_owned())));
        context
    }
}

/// An error before anything was sent.
fn unsent(call: &Call, error: Error) -> Error {
    error
        .with_effect(Effect::None)
        .with_context("call", call.label())
}

fn base(text: &str) -> Result<Url> {
    let wrong = || {
        Error::new(
            Kind::Config,
            format!("`endpoint` is `{text}`, which is no address"),
        )
        .with_hint("write it as `https://api.example.com/v1`")
    };
    let url = Url::parse(text).map_err(|error| wrong().with_source(error))?;
    let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
    let has_more = url.query().is_some() || url.fragment().is_some();
    if !is_http || has_more {
        return Err(wrong());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::new(
            Kind::Config,
            "`endpoint` holds a user name or a password, which would be logged",
        ));
    }
    Ok(url)
}

/// A proxy has no business between us and a server on this machine.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// No answer: was the request sent?
fn unanswered(call: &Call, error: &reqwest::Error) -> Error {
    let host = error.url().map_or_else(String::new, host);
    let kind = if error.is_timeout() {
        Kind::Timeout
    } else {
        Kind::Unavailable
    };
    // Without a connection nothing was sent. Everything later may have arrived.
    let is_sent = !(error.is_connect() || error.is_builder());
    let effect = if is_sent && call.changes {
        Effect::Unknown
    } else {
        Effect::None
    };
    let message = match (kind, is_sent) {
        (Kind::Timeout, true) => format!("no answer from `{host}` in time"),
        (Kind::Timeout, false) => format!("no connection to `{host}` in time"),
        (_, true) => "the connection broke before the answer".to_owned(),
        (_, false) => format!("no connection to `{host}`"),
    };
    let hint = if is_sent {
        "the cloud may be busy: try again"
    } else {
        "is there a way to the internet from here, and is `endpoint` right if you have set it?"
    };
    // The layers of the HTTP client repeat each other; the lowest says what it is.
    Error::new(kind, message)
        .with_effect(effect)
        .with_hint(hint)
        .with_source(lowest(error))
}

/// Host and port of an address.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// The words of the last in a chain of causes.
fn lowest(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .last()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// Why a body could not be read.
enum Unread {
    TooLong(usize),
    Broken(reqwest::Error),
}

impl Unread {
    /// The answer was a yes, so a change has very likely happened.
    fn error(self, call: &Call) -> Error {
        let effect = if call.changes {
            Effect::Unknown
        } else {
            Effect::None
        };
        let error = match self {
            Self::TooLong(limit) => Error::new(
                Kind::Unexpected,
                format!("the answer is longer than {limit} bytes"),
            ),
            Self::Broken(error) if error.is_timeout() => {
                Error::new(Kind::Timeout, "the answer did not end in time")
                    .with_source(error.without_url())
            }
            Self::Broken(error) => Error::new(Kind::Unavailable, "the answer broke off")
                .with_source(error.without_url()),
        };
        error.with_effect(effect)
    }
}

async fn read(mut response: reqwest::Response, limit: usize) -> std::result::Result<Bytes, Unread> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(Unread::Broken)? {
        if body.len() + chunk.len() > limit {
            return Err(Unread::TooLong(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
