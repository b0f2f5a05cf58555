//! A provider on a fake of its own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_aws::{AwsConfig, AwsProvider, StaticCredentials};
use fleetwright_aws_fake::{Fake, FakeConfig};
use fleetwright_core::{Clock, Labels, Market, NodeSpec, Secret, Span};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// The secret that must never be seen.
pub(crate) const SECRET: &str = "wJalrXUtnFEMI-the-secret-of-the-tests";
/// The region that tests use.
pub(crate) const REGION: &str = "us-east-1";
/// The zone that tests use.
pub(crate) const ZONE: &str = "us-east-1a";
/// How long the fake does not show what is new.
pub(crate) const LAG: Duration = Duration::from_millis(120);

/// Real time: the fake lives in it.
#[derive(Debug)]
pub(crate) struct RealClock;

#[async_trait]
impl Clock for RealClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that is handed in"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A fake that is as late as EC2 is.
pub(crate) fn fake() -> Fake {
    let config = FakeConfig {
        listing_lag: LAG,
        ..FakeConfig::default()
    };
    Fake::start(config).expect("a port of this machine is free")
}

/// The configuration of a provider on a fake.
pub(crate) fn config(endpoint: String) -> AwsConfig {
    AwsConfig {
        regions: vec![REGION.to_owned(), "eu-west-1".to_owned()],
        endpoint: Some(endpoint),
        listing_lag: Span(LAG),
        fulfil_within: Span(Duration::from_secs(4)),
        call_timeout: Span(Duration::from_millis(1_500)),
        interruption_queue: Some("interruptions".to_owned()),
        ..AwsConfig::default()
    }
}

/// A provider of this configuration.
pub(crate) fn provider(config: AwsConfig) -> AwsProvider {
    let credentials = StaticCredentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret_access_key: Secret::new(SECRET),
        session_token: None,
    };
    AwsProvider::with_credentials("aws", config, Arc::new(RealClock), credentials)
        .expect("the configuration is good")
}

/// The cheapest machine there is.
pub(crate) fn spec(image: &str, options: &Value) -> NodeSpec {
    NodeSpec {
        name: "web".to_owned(),
        instance_type: "t3.micro".to_owned(),
        image: Some(image.to_owned()),
        region: REGION.to_owned(),
        zone: Some(ZONE.to_owned()),
        market: Market::OnDemand,
        ssh_keys: vec!["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5 fleetwright test".to_owned()],
        user_data: None,
        labels: Labels::new(),
        options: options.as_object().cloned().unwrap_or_else(Map::new),
    }
}
