//! A provider on a fake of its own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{
    AccountContext, Clock, Labels, Market, NodeSpec, Result, Secret, SecretRef, SecretSource, Span,
};
use fleetwright_lambda::fake::{FakeConfig, LambdaFake};
use fleetwright_lambda::{LambdaConfig, LambdaProvider};
use jiff::Timestamp;
use serde_json::Map;

/// The secret that must never be seen.
pub(crate) const SECRET: &str = "secret_fleetwright-tests_d34db33f";
/// The region that tests use.
pub(crate) const REGION: &str = "us-east-1";
/// The type that tests use.
pub(crate) const TYPE: &str = "gpu_1x_a10";
/// A key that the fake does not know.
pub(crate) const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5tests fleetwright test";

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

/// A source that knows one secret.
#[derive(Debug)]
pub(crate) struct OneSecret;

#[async_trait]
impl SecretSource for OneSecret {
    async fn fetch(&self, _reference: &SecretRef) -> Result<Secret> {
        Ok(Secret::new(SECRET))
    }
}

/// A fake that takes the secret.
pub(crate) fn fake() -> LambdaFake {
    LambdaFake::start(FakeConfig {
        token: SECRET.to_owned(),
        ..FakeConfig::default()
    })
}

/// The configuration of a provider on a fake.
pub(crate) fn config(fake: &LambdaFake) -> LambdaConfig {
    LambdaConfig {
        regions: vec![REGION.to_owned(), "us-west-1".to_owned()],
        endpoint: fake.server().url(),
        listing_lag: Span(FakeConfig::default().listing_lag),
        call_timeout: Span(Duration::from_millis(1_500)),
        ..LambdaConfig::default()
    }
}

/// A provider of this configuration.
pub(crate) fn provider(config: LambdaConfig) -> LambdaProvider {
    let context = AccountContext {
        clock: Arc::new(RealClock),
        secrets: Arc::new(OneSecret),
    };
    LambdaProvider::new("lambda", config, &context).expect("the configuration is good")
}

/// The cheapest machine there is.
pub(crate) fn spec() -> NodeSpec {
    NodeSpec {
        name: "web".to_owned(),
        instance_type: TYPE.to_owned(),
        image: None,
        region: REGION.to_owned(),
        zone: None,
        market: Market::OnDemand,
        ssh_keys: vec![KEY.to_owned()],
        user_data: None,
        labels: Labels::new(),
        options: Map::new(),
    }
}
