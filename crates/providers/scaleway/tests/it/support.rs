//! A provider on a fake of its own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{
    AccountContext, ClaimId, Clock, CreateRequest, Error, Kind, Labels, Market, NodeSpec, Result,
    Secret, SecretRef, SecretSource, Span, Token, fingerprint, keys,
};
use fleetwright_scaleway::fake::{FakeConfig, ScalewayFake};
use fleetwright_scaleway::{ScalewayConfig, ScalewayProvider};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// The region that tests use.
pub(crate) const REGION: &str = "fr-par";
/// The zone that tests use.
pub(crate) const ZONE: &str = "fr-par-1";
/// How long the fake does not show what is new.
pub(crate) const LAG: Duration = Duration::from_millis(100);
/// A login key.
pub(crate) const LOGIN_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHfDQ test@example";

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
        // Pauses that are meant for the real cloud are too long for the fake.
        tokio::time::sleep(duration.min(Duration::from_millis(20))).await;
    }
}

/// Secrets by name, as an environment has them.
#[derive(Debug)]
pub(crate) struct Keys(pub(crate) Vec<(&'static str, Secret)>);

#[async_trait]
impl SecretSource for Keys {
    async fn fetch(&self, reference: &SecretRef) -> Result<Secret> {
        let SecretRef::Env(name) = reference else {
            return Err(Error::new(Kind::Config, "only the environment is known"));
        };
        let mut known = self.0.iter();
        known
            .find(|(known, _)| known == name)
            .map(|(_, secret)| secret.clone())
            .ok_or_else(|| Error::new(Kind::Config, format!("`{name}` is not set")))
    }
}

/// A fake that is late.
pub(crate) fn fake() -> ScalewayFake {
    ScalewayFake::start(FakeConfig {
        listing_lag: LAG,
        page: 5,
        ..FakeConfig::default()
    })
}

/// A fake with times that a test can rely on, however busy the machine is.
pub(crate) fn slow_fake(change: impl FnOnce(&mut FakeConfig)) -> ScalewayFake {
    let mut config = FakeConfig {
        page: 5,
        ..FakeConfig::default()
    };
    change(&mut config);
    ScalewayFake::start(config)
}

/// The configuration of a provider on a fake.
pub(crate) fn config(fake: &ScalewayFake) -> ScalewayConfig {
    ScalewayConfig {
        regions: vec![REGION.to_owned(), "nl-ams".to_owned()],
        project_id: FakeConfig::default().project,
        endpoint: fake.server().url(),
        listing_lag: Span(LAG),
        // Long enough however busy the machine is; what is about time limits sets its own.
        call_timeout: Span(Duration::from_mins(1)),
        ..ScalewayConfig::default()
    }
}

/// A provider with the key that may do everything.
pub(crate) fn provider(fake: &ScalewayFake) -> ScalewayProvider {
    with_config(config(fake))
}

pub(crate) fn with_config(config: ScalewayConfig) -> ScalewayProvider {
    let known = FakeConfig::default();
    let keys = Keys(vec![
        ("SCW_SECRET_KEY", Secret::new(known.secret_key)),
        ("READ_ONLY", Secret::new(known.read_only_key)),
        ("WRONG", Secret::new("11111111-2222-3333-4444-555555555555")),
    ]);
    let context = AccountContext {
        clock: Arc::new(RealClock),
        secrets: Arc::new(keys),
    };
    ScalewayProvider::new("scw", config, &context).unwrap()
}

/// A wish for the cheapest machine.
pub(crate) fn spec() -> NodeSpec {
    NodeSpec {
        name: "web".to_owned(),
        instance_type: "DEV1-S".to_owned(),
        image: None,
        region: REGION.to_owned(),
        zone: Some(ZONE.to_owned()),
        market: Market::OnDemand,
        ssh_keys: vec![LOGIN_KEY.to_owned()],
        user_data: None,
        labels: Labels::new(),
        options: Map::new(),
    }
}

/// A request with a fresh token and our labels.
pub(crate) fn request(mut spec: NodeSpec, count: u32) -> CreateRequest {
    let token = Token::new(ClaimId::new(), 1, &fingerprint(&(count, &spec)));
    for (key, value) in [
        (keys::MANAGED_BY, keys::MANAGED_BY_VALUE),
        (keys::FLEET, "test"),
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

/// The same request, marked as a replay.
pub(crate) fn replay(request: &CreateRequest) -> CreateRequest {
    CreateRequest {
        replay: true,
        ..request.clone()
    }
}

/// Options of a pool.
pub(crate) fn options(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// Lets lists catch up.
pub(crate) async fn settle() {
    tokio::time::sleep(LAG + Duration::from_millis(10)).await;
}
