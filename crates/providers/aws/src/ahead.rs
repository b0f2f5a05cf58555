//! Asking for the next page of a listing before the present one is decoded.
//!
//! A page of 1,000 instances takes a tenth of a second of a processor to decode, and EC2 some
//! tenths to answer. The token of the next page is near the end of the answer as it comes from the
//! wire, so the next request goes out first and the decoding falls into the time in which EC2 works
//! on it. The SDK decodes in the same step in which it returns, so the look is taken below it, in
//! its HTTP client. What is not read is cut out there as well: see [`trim`].

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::{
    RuntimeComponents, RuntimeComponentsBuilder,
};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::config_bag::ConfigBag;
use tokio::sync::mpsc::UnboundedSender;

use crate::trim::trim;

/// How often others get their turn between the look and the decoding: on a runtime with one thread
/// they send the next request in it.
const TURNS: usize = 16;

/// How much of the end of an answer is looked at.
const END: usize = 4_096;

/// The SDK's HTTP client, which also tells the token of the next page as soon as an answer is here.
#[derive(Debug)]
pub(crate) struct Ahead {
    inner: SharedHttpClient,
    tokens: UnboundedSender<String>,
}

#[derive(Debug)]
struct Connector {
    inner: SharedHttpConnector,
    tokens: UnboundedSender<String>,
}

impl Ahead {
    pub(crate) const fn new(inner: SharedHttpClient, tokens: UnboundedSender<String>) -> Self {
        Self { inner, tokens }
    }
}

impl HttpClient for Ahead {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector {
            inner: self.inner.http_connector(settings, components),
            tokens: self.tokens.clone(),
        })
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.inner.validate_base_client_config(components, config)
    }

    fn validate_final_config(
        &self,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.inner.validate_final_config(components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.inner.call(request);
        let tokens = self.tokens.clone();
        HttpConnectorFuture::new(async move {
            let mut response = answer.await?;
            let body = ByteStream::new(response.take_body())
                .collect()
                .await
                .map_err(|e| ConnectorError::io(e.into()))?
                .into_bytes();
            if response.status().is_success()
                && let Some(token) = next_token(&body)
                // Nobody listens any more if the listing was given up.
                && tokens.send(token).is_ok()
            {
                for _ in 0..TURNS {
                    tokio::task::yield_now().await;
                }
            }
            let kept = if response.status().is_success() {
                trim(&body)
            } else {
                None
            };
            *response.body_mut() = match kept {
                Some(kept) => SdkBody::from(kept),
                None => SdkBody::from(body),
            };
            Ok(response)
        })
    }
}

/// The token of the next page, if the end of an answer shows it plainly.
///
/// A tag's value cannot look like it: its `<` would be escaped.
fn next_token(body: &[u8]) -> Option<String> {
    const OPEN: &[u8] = b"<nextToken>";
    let end = &body[body.len().saturating_sub(END)..];
    let at = end.windows(OPEN.len()).rposition(|bytes| bytes == OPEN)?;
    let rest = &end[at + OPEN.len()..];
    let length = rest.iter().position(|byte| *byte == b'<')?;
    let token = std::str::from_utf8(&rest[..length]).ok()?.trim();
    // What is escaped is left to the decoder.
    (!token.is_empty() && !token.contains('&')).then(|| token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_read_only_where_it_is_plain() {
        let page =
            |end: &str| format!("<Response><set>{}</set>{end}</Response>", "x".repeat(9_000));
        let read = |end: &str| next_token(page(end).as_bytes());
        assert_eq!(read("<nextToken>abc=</nextToken>").as_deref(), Some("abc="));
        assert_eq!(read("<nextToken> abc </nextToken>").as_deref(), Some("abc"));
        for none in [
            "",
            "<nextToken/>",
            "<nextToken></nextToken>",
            "<nextToken>a&amp;b</nextToken>",
            "<nextToken>cut off",
            "&lt;nextToken&gt;abc</nextToken>",
        ] {
            let end = if none == "<nextToken>cut off" {
                let whole = page(none);
                next_token(&whole.as_bytes()[..whole.len() - "</Response>".len()])
            } else {
                read(none)
            };
            assert_eq!(end, None, "{none}");
        }
    }
}
