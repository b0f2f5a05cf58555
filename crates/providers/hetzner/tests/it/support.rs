//! A provider on a fake of its own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{
    AccountContext, Clock, Labels, Market, NodeSpec, Result, Secret, SecretRef, SecretSource, Span,
};
use fleetwright_hetzner::fake::{HetznerFake, LAG, TOKEN};
use fleetwright_hetzner::{HetznerConfig, HetznerProvider};
use jiff::Timestamp;
use serde_json::Map;

/// The region that tests use.
pub(crate) const REGION: &str = "fsn1";

/// Real time: the fake lives in it.
#[derive(Debug)]
struct RealClock;

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
struct OneSecret;

#[async_trait]
impl SecretSource for OneSecret {
    async fn fetch(&self, _reference: &SecretRef) -> Result<Secret> {
        Ok(Secret::new(TOKEN))
    }
}

/// A provider on a fake.
pub(crate) fn provider(fake: &HetznerFake) -> HetznerProvider {
    let config = HetznerConfig {
        regions: vec![REGION.to_owned(), "nbg1".to_owned()],
        endpoint: fake.endpoint(),
        listing_lag: Span(LAG),
        call_timeout: Span(Duration::from_millis(1_500)),
        ..HetznerConfig::default()
    };
    let context = AccountContext {
        clock: Arc::new(RealClock),
        secrets: Arc::new(OneSecret),
    };
    HetznerProvider::new("hetzner", config, &context).expect("the configuration is good")
}

/// The cheapest machine there is.
pub(crate) fn spec() -> NodeSpec {
    NodeSpec {
        name: "web".to_owned(),
        instance_type: "cx22".to_owned(),
        image: None,
        region: REGION.to_owned(),
        zone: None,
        market: Market::OnDemand,
        ssh_keys: vec!["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5 test".to_owned()],
        user_data: None,
        labels: Labels::new(),
        options: Map::new(),
    }
}
