//! Many machines.

use std::time::{Duration, Instant};

use fleetwright_core::{ListRequest, Provider as _};

use crate::support::{self, REGION};

#[tokio::test]
async fn two_thousand_machines_are_listed_at_once() {
    let fake = support::fake();
    let config = fleetwright_lambda::LambdaConfig {
        call_timeout: fleetwright_core::Span::seconds(30),
        ..support::config(&fake)
    };
    let provider = support::provider(config);
    for _ in 0..2_000 {
        fake.add_instance(REGION, &[("managed-by", "fleetwright")]);
    }
    let start = Instant::now();
    let listing = provider.list(&ListRequest::default()).await.unwrap();
    assert_eq!(listing.nodes.len(), 2_000);
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(fake.server().count("GET", "/api/v1/instances"), 1);
    fake.server().assert_no_violations();
}
