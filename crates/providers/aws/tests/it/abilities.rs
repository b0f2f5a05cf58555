//! Balancers, DNS and interruptions: what the behavior suite does not ask.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use fleetwright_aws::{AwsConfig, AwsProvider, StaticCredentials};
use fleetwright_aws_fake::{Fake, How};
use fleetwright_core::{
    ClaimId, Clock, CreateRequest, Kind, Market, Node, Provider, Secret, Token, fingerprint, keys,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::support::{self, REGION, RealClock, SECRET};

mod balancers;
mod dns;
mod interruptions;

/// Real time, moved by what the test says; its sleeps move it instead of taking any.
#[derive(Debug, Default)]
struct MovedClock(Mutex<SignedDuration>);

impl MovedClock {
    fn advance(&self, by: SignedDuration) {
        *self.0.lock().unwrap() += by;
    }
}

#[async_trait]
impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        RealClock.now() + *self.0.lock().unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        self.advance(SignedDuration::try_from(duration).unwrap());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Another process: a provider that has seen nothing yet.
fn provider_at(fake: &Fake, clock: Arc<dyn Clock>) -> AwsProvider {
    provider_with(support::config(fake.endpoint()), clock)
}

fn provider_with(config: AwsConfig, clock: Arc<dyn Clock>) -> AwsProvider {
    let credentials = StaticCredentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret_access_key: Secret::new(SECRET),
        session_token: None,
    };
    AwsProvider::with_credentials("aws", config, clock, credentials).unwrap()
}

/// What somebody else would use: the SDK itself.
fn sdk(fake: &Fake) -> aws_config::SdkConfig {
    let tls = aws_smithy_http_client::tls::Provider::Rustls(
        aws_smithy_http_client::tls::rustls_provider::CryptoMode::Ring,
    );
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls)
        .build_https();
    let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", SECRET, None, None, "tests");
    aws_config::SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(fake.endpoint())
        .http_client(http)
        .credentials_provider(
            aws_credential_types::provider::SharedCredentialsProvider::new(credentials),
        )
        .build()
}

/// Running nodes of ours.
async fn nodes(fake: &Fake, provider: &AwsProvider, count: u32, market: Market) -> Vec<Node> {
    let image = fake.images(REGION).remove(0);
    let mut spec = support::spec(&image, &json!({}));
    spec.market = market;
    let token = Token::new(ClaimId::new(), 1, &fingerprint(&count));
    for (key, value) in [
        (keys::MANAGED_BY, keys::MANAGED_BY_VALUE),
        (keys::CLAIM, token.as_str()),
    ] {
        spec.labels.insert(key.to_owned(), value.to_owned());
    }
    let request = CreateRequest {
        count,
        spec,
        token,
        replay: false,
        host_key: None,
    };
    let created = provider.create(&request).await.unwrap();
    let made = created.nodes;
    assert_eq!(made.len(), usize::try_from(count).unwrap());
    for node in &made {
        until("a new node runs", async || {
            let seen = provider.get(&node.id).await;
            seen.is_ok_and(|node| node.state == fleetwright_core::NodeState::Running)
        })
        .await;
    }
    made
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within 8 s: {what}");
}

fn refuse(code: &str, message: &str) -> How {
    How::Refuse {
        status: 400,
        code: code.to_owned(),
        message: message.to_owned(),
    }
}

fn calls(fake: &Fake, action: &str) -> usize {
    let all = fake.calls();
    all.iter().filter(|call| call.action == action).count()
}

/// Nothing was asked or answered that the vendor's own description does not allow.
fn assert_by_the_book(fake: &Fake) {
    assert_eq!(fake.violations(), [] as [String; 0]);
}

fn kind<T: std::fmt::Debug>(result: fleetwright_core::Result<T>) -> Kind {
    result.unwrap_err().kind()
}
