//! A provider on a fake, a clock that tests turn, and the cheapest machine there is.

use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{
    AccountContext, ClaimId, Clock, CreateRequest, Labels, Market, NodeSpec, Result, Secret,
    SecretRef, SecretSource, Span, Token, fingerprint, keys,
};
use fleetwright_digitalocean::fake::{Fake, FakeSettings};
use fleetwright_digitalocean::{DigitalOceanConfig, DigitalOceanProvider};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

/// The region that tests use.
pub(crate) const REGION: &str = "nyc3";
/// The size that tests use.
pub(crate) const SIZE: &str = "s-1vcpu-1gb";
/// A public key.
pub(crate) const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEdeb9spQCjS+utTxoAcxlvuCaPLw7Ojde3ukHdJplj0 me@here";

/// Time that stands still until it is turned.
#[derive(Debug)]
pub(crate) struct TestClock(Mutex<Timestamp>);

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        let start: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        Arc::new(Self(Mutex::new(start)))
    }

    pub(crate) fn turn(&self, by: Duration) {
        *self.0.lock().unwrap() += SignedDuration::try_from(by).unwrap();
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        self.turn(duration);
    }
}

/// A provider, the fake that it works on, and their clock.
pub(crate) struct Bed {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) fake: Fake,
    pub(crate) settings: FakeSettings,
    pub(crate) provider: DigitalOceanProvider,
}

impl Bed {
    pub(crate) fn new() -> Self {
        Self::with(FakeSettings::default())
    }

    pub(crate) fn with(settings: FakeSettings) -> Self {
        let clock = TestClock::new();
        let fake = Fake::start(settings.clone(), Arc::clone(&clock) as Arc<dyn Clock>);
        let provider = provider_at(config(fake.endpoint()), &settings.token, &clock);
        Self {
            clock,
            fake,
            settings,
            provider,
        }
    }

    /// The same with another token.
    pub(crate) fn provider_with(&self, token: &str) -> DigitalOceanProvider {
        provider_at(config(self.fake.endpoint()), token, &self.clock)
    }

    /// Lets time pass, and what is on its way arrive.
    pub(crate) async fn settle(&self, wanted: Duration) {
        self.clock.turn(wanted);
        tokio::time::sleep(wanted.min(Duration::from_millis(20))).await;
        self.fake.server().quiet().await;
    }

    /// Ends the test if anything was said that the description does not allow.
    pub(crate) fn finish(&self) {
        self.fake.server().assert_no_violations();
    }
}

impl Deref for Bed {
    type Target = DigitalOceanProvider;

    fn deref(&self) -> &DigitalOceanProvider {
        &self.provider
    }
}

/// Secrets that a test gives: whatever they refer to.
#[derive(Debug)]
struct Given(String);

#[async_trait]
impl SecretSource for Given {
    async fn fetch(&self, _: &SecretRef) -> Result<Secret> {
        Ok(Secret::new(self.0.clone()))
    }
}

pub(crate) fn provider_at(
    config: DigitalOceanConfig,
    token: &str,
    clock: &Arc<TestClock>,
) -> DigitalOceanProvider {
    let context = AccountContext {
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        secrets: Arc::new(Given(token.to_owned())),
    };
    DigitalOceanProvider::new("do", config, &context).expect("the configuration is good")
}

/// The configuration of a provider on a fake.
pub(crate) fn config(endpoint: String) -> DigitalOceanConfig {
    DigitalOceanConfig {
        regions: vec![REGION.to_owned(), "fra1".to_owned(), "tor1".to_owned()],
        endpoint,
        listing_lag: Span::seconds(4),
        call_timeout: Span::seconds(20),
        ..DigitalOceanConfig::default()
    }
}

/// The cheapest machine there is.
pub(crate) fn spec() -> NodeSpec {
    NodeSpec {
        name: "web".to_owned(),
        instance_type: SIZE.to_owned(),
        image: Some("ubuntu-24-04-x64".to_owned()),
        region: REGION.to_owned(),
        zone: None,
        market: Market::OnDemand,
        ssh_keys: vec![KEY.to_owned()],
        user_data: None,
        labels: Labels::new(),
        options: Map::new(),
    }
}

/// The same with these options.
pub(crate) fn spec_with(options: &Value) -> NodeSpec {
    NodeSpec {
        options: options.as_object().unwrap().clone(),
        ..spec()
    }
}

/// A request for it, as the engine would make it.
pub(crate) fn request(mut spec: NodeSpec, count: u32) -> CreateRequest {
    let managed = (
        keys::MANAGED_BY.to_owned(),
        keys::MANAGED_BY_VALUE.to_owned(),
    );
    spec.labels.extend([managed]);
    let token = Token::new(ClaimId::new(), 1, &fingerprint(&(count, &spec)));
    spec.labels
        .insert(keys::CLAIM.to_owned(), token.as_str().to_owned());
    CreateRequest {
        count,
        spec,
        token,
        replay: false,
        host_key: None,
    }
}

/// The same request once more, marked.
pub(crate) fn replay(request: &CreateRequest) -> CreateRequest {
    CreateRequest {
        replay: true,
        ..request.clone()
    }
}
