//! A provider on a fake of its own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{
    AccountContext, ClaimId, Clock, CreateRequest, Labels, Market, NodeSpec, Result, Secret,
    SecretRef, SecretSource, Span, Token, fingerprint, keys,
};
use fleetwright_linode::fake::{Fake, FakeConfig};
use fleetwright_linode::{LinodeConfig, LinodeProvider};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// The region that tests use.
pub(crate) const REGION: &str = "us-east";

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

/// Gives the same secret for every reference.
#[derive(Debug)]
pub(crate) struct Given(pub(crate) String);

#[async_trait]
impl SecretSource for Given {
    async fn fetch(&self, _reference: &SecretRef) -> Result<Secret> {
        Ok(Secret::new(self.0.clone()))
    }
}

/// A fake that the vendor's description watches.
pub(crate) fn fake() -> Fake {
    fake_with(FakeConfig::default())
}

/// The same, behaving in another way.
pub(crate) fn fake_with(config: FakeConfig) -> Fake {
    Fake::start(config, Arc::new(RealClock), crate::description::official())
}

/// The configuration of a provider on a fake.
pub(crate) fn config(fake: &Fake) -> LinodeConfig {
    LinodeConfig {
        regions: vec![REGION.to_owned(), "eu-west".to_owned()],
        endpoint: fake.endpoint(),
        page_size: 25,
        drain: Span::seconds(1),
        listing_lag: Span(FakeConfig::default().listing_lag),
        // Each fault is to be met by the next question.
        catalog_age: Span::seconds(0),
        call_timeout: Span::seconds(20),
        ..LinodeConfig::default()
    }
}

/// A provider of this configuration.
pub(crate) fn provider(config: LinodeConfig) -> LinodeProvider {
    provider_with(config, &FakeConfig::default().token)
}

/// A provider with another token.
pub(crate) fn provider_with(config: LinodeConfig, token: &str) -> LinodeProvider {
    let context = AccountContext {
        clock: Arc::new(RealClock),
        secrets: Arc::new(Given(token.to_owned())),
    };
    LinodeProvider::new("linode", config, &context).expect("the configuration is good")
}

/// A request with a token and the labels that the engine sets.
pub(crate) fn request(count: u32, options: &Value) -> CreateRequest {
    request_of(count, spec(options))
}

/// The same for a given spec.
pub(crate) fn request_of(count: u32, mut spec: NodeSpec) -> CreateRequest {
    let claim = ClaimId::new();
    let token = Token::new(claim, 1, &fingerprint(&(count, &spec)));
    let id = claim.as_uuid().simple().to_string();
    spec.name = format!("{}-{}", spec.name, &id[id.len() - 8..]);
    for (key, value) in [
        (keys::MANAGED_BY, keys::MANAGED_BY_VALUE),
        (keys::CLAIM, token.as_str()),
    ] {
        spec.labels.insert(key.to_owned(), value.to_owned());
    }
    CreateRequest {
        count,
        spec,
        token,
        replay: false,
        host_key: None,
    }
}

/// The cheapest machine there is.
pub(crate) fn spec(options: &Value) -> NodeSpec {
    NodeSpec {
        name: "web".to_owned(),
        instance_type: "g6-nanode-1".to_owned(),
        image: Some("linode/debian12".to_owned()),
        region: REGION.to_owned(),
        zone: None,
        market: Market::OnDemand,
        ssh_keys: vec!["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5 fleetwright test".to_owned()],
        user_data: None,
        labels: Labels::new(),
        options: options.as_object().cloned().unwrap_or_else(Map::new),
    }
}
