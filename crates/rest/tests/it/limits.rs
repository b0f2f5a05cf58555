//! Limits learned from headers.

use std::time::Duration;

use fleetwright_core::{Effect, Error, Kind};
use fleetwright_rest::Call;

use crate::support::Setup;

#[tokio::test]
async fn a_call_that_would_be_refused_is_not_sent() {
    let setup = Setup::new(1);
    *setup.cloud.headers.lock().unwrap() = vec![
        ("ratelimit-remaining", "0".to_owned()),
        ("ratelimit-reset", "20".to_owned()),
    ];
    setup.client.send(Call::get(&["numbers"])).await.unwrap();
    setup.cloud.headers.lock().unwrap().clear();
    setup.clock.pass(5);
    let error = setup
        .client
        .send(Call::get(&["numbers"]))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::RateLimited, Effect::None)
    );
    assert_eq!(error.retry_after(), Some(Duration::from_secs(15)));
    // The guard tells this from a refusal by the cloud.
    let announced = error.context().find(|(name, _)| *name == Error::ANNOUNCED);
    assert_eq!(announced, Some((Error::ANNOUNCED, "GET numbers")));
    assert_eq!(setup.server.count("GET", "/v1/numbers"), 1);
    // Another bucket is not concerned, and neither is one of the caller's own naming.
    setup.client.send(Call::get(&["links"])).await.unwrap();
    setup
        .client
        .send(Call::get(&["numbers"]).family("mine"))
        .await
        .unwrap();
    setup.clock.pass(15);
    setup.client.send(Call::get(&["numbers"])).await.unwrap();
}
