//! A thousand machines, at speed.

use std::time::{Duration, Instant};

use fleetwright_core::{ListRequest, Provider as _};
use fleetwright_scaleway::fake::{FakeConfig, ScalewayFake};
use futures::future::join_all;

use crate::support::{self, request};

#[tokio::test]
async fn a_thousand_machines_are_made_listed_and_told_apart() {
    let fake = ScalewayFake::start(FakeConfig::default());
    let mut config = support::config(&fake);
    config.call_timeout.0 = Duration::from_mins(2);
    let provider = support::with_config(config);
    let start = Instant::now();
    let requests: Vec<_> = (0..20).map(|_| request(support::spec(), 50)).collect();
    let made = join_all(requests.iter().map(|request| provider.create(request))).await;
    let made: usize = made.into_iter().map(|one| one.unwrap().nodes.len()).sum();
    assert_eq!(made, 1_000);
    let made_in = start.elapsed();
    let start = Instant::now();
    let listing = provider.list(&ListRequest::default()).await.unwrap();
    assert_eq!(listing.nodes.len(), 1_000);
    assert!(listing.coverage.gaps().is_empty());
    let listed_in = start.elapsed();
    println!("made in {made_in:?}, listed in {listed_in:?}");
    assert!(listed_in < Duration::from_mins(1), "{listed_in:?}");
    fake.server().assert_no_violations();
}
