//! Each operation × each fault: the right kind, the right effect, nothing twice, nothing lost.

use std::time::Duration;

use fleetwright_core::{CreateRequest, Deletion, Effect, Kind, ListRequest, Provider as _};
use fleetwright_rest::testing::{Fault, Trouble};

use crate::support::{self, request};

/// Fault, kind, and whether a call that changes something may have had an effect.
fn faults() -> Vec<(Trouble, Kind, Effect)> {
    let late = Duration::from_secs(2);
    vec![
        (Trouble::ResetBefore, Kind::Unavailable, Effect::Unknown),
        (Trouble::ResetAfter, Kind::Unavailable, Effect::Unknown),
        (Trouble::DelayBefore(late), Kind::Timeout, Effect::Unknown),
        (Trouble::DelayAfter(late), Kind::Timeout, Effect::Unknown),
        (Trouble::too_many(Some(1)), Kind::RateLimited, Effect::None),
        (Trouble::too_many(None), Kind::RateLimited, Effect::None),
        (Trouble::gateway(500), Kind::Unavailable, Effect::Unknown),
        (Trouble::gateway(502), Kind::Unavailable, Effect::Unknown),
        (
            Trouble::gateway_after(503),
            Kind::Unavailable,
            Effect::Unknown,
        ),
        (Trouble::gateway_after(504), Kind::Timeout, Effect::Unknown),
        (Trouble::Truncate, Kind::Unavailable, Effect::Unknown),
        (Trouble::Garbage, Kind::Unexpected, Effect::Unknown),
        (Trouble::Html, Kind::Unexpected, Effect::Unknown),
    ]
}

#[tokio::test]
async fn a_create_that_met_a_fault_is_put_right_by_its_replay() {
    // The launch itself, and what is looked up and registered before it.
    for (method, path, is_launch) in [
        ("POST", "/api/v1/instance-operations/launch", true),
        ("GET", "/api/v1/ssh-keys", false),
        ("POST", "/api/v1/ssh-keys", false),
    ] {
        for (trouble, kind, effect) in faults() {
            let fake = support::fake();
            let provider = support::provider(support::config(&fake));
            let words = format!("{method} {path} {trouble:?}");
            fake.server().fault(Fault::new(method, path, trouble));
            let request = request("web");
            let error = provider.create(&request).await.unwrap_err();
            let effect = if is_launch { effect } else { Effect::None };
            assert_eq!(
                (error.kind(), error.effect()),
                (kind, effect),
                "{words}: {error:?}"
            );
            // A request that arrived late still has its effect, and then the listing is late.
            for _ in 0..500 {
                if fake.server().count(method, path) > 0 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            tokio::time::sleep(2 * provider.info().listing_lag).await;
            let replay = CreateRequest {
                replay: true,
                ..request
            };
            let created = provider.create(&replay).await.unwrap();
            let real = fake.instances();
            assert_eq!(
                (created.nodes.len(), real.len()),
                (1, 1),
                "{words}: {real:?}"
            );
            assert_eq!(created.nodes[0].id.native(), real[0].id, "{words}");
            assert_eq!(fake.ssh_keys().len(), 2, "{words}");
            fake.server().assert_no_violations();
        }
    }
}

#[tokio::test]
async fn a_replay_that_cannot_list_makes_nothing() {
    for (trouble, kind, _) in faults() {
        let fake = support::fake();
        let provider = support::provider(support::config(&fake));
        let words = format!("{trouble:?}");
        fake.server()
            .fault(Fault::new("GET", "/api/v1/instances", trouble));
        let replay = CreateRequest {
            replay: true,
            ..request("web")
        };
        let error = provider.create(&replay).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.effect()),
            (kind, Effect::Unknown),
            "{words}"
        );
        assert!(fake.instances().is_empty(), "{words}");
    }
}

#[tokio::test]
async fn a_deletion_that_met_a_fault_is_put_right_by_the_next() {
    for (method, path) in [
        ("GET", "/api/v1/instances/*"),
        ("POST", "/api/v1/instance-operations/terminate"),
    ] {
        for (trouble, kind, effect) in faults() {
            let fake = support::fake();
            let provider = support::provider(support::config(&fake));
            let words = format!("{method} {path} {trouble:?}");
            let node = provider
                .create(&request("web"))
                .await
                .unwrap()
                .nodes
                .remove(0);
            fake.server().fault(Fault::new(method, path, trouble));
            let error = provider.delete(&node.id).await.unwrap_err();
            let effect = if method == "GET" {
                Effect::None
            } else {
                effect
            };
            assert_eq!(
                (error.kind(), error.effect()),
                (kind, effect),
                "{words}: {error:?}"
            );
            for _ in 0..100 {
                if provider.delete(&node.id).await.unwrap() == Deletion::Gone {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(fake.instances().is_empty(), "{words}");
            fake.server().assert_no_violations();
        }
    }
}

#[tokio::test]
async fn questions_that_met_a_fault_are_errors_and_never_empty_answers() {
    for (trouble, kind, _) in faults() {
        let fake = support::fake();
        let provider = support::provider(support::config(&fake));
        let node = provider
            .create(&request("web"))
            .await
            .unwrap()
            .nodes
            .remove(0);
        let words = format!("{trouble:?}");
        let strike = |path: &str| {
            fake.server()
                .fault(Fault::new("GET", path, trouble.clone()));
        };
        let judge = |what: &str, error: fleetwright_core::Error| {
            let told = (error.kind(), error.effect());
            assert_eq!(told, (kind, Effect::None), "{what} {words}: {error:?}");
        };
        strike("/api/v1/instances");
        judge(
            "list",
            provider.list(&ListRequest::default()).await.unwrap_err(),
        );
        strike("/api/v1/instances/*");
        judge("get", provider.get(&node.id).await.unwrap_err());
        strike("/api/v1/ssh-keys");
        judge("check", provider.check().await.unwrap_err());
        let catalog = provider.catalog().unwrap();
        strike("/api/v1/instance-types");
        judge("types", catalog.instance_types().await.unwrap_err());
        strike("/api/v1/instance-types");
        judge("offerings", catalog.offerings().await.unwrap_err());
    }
}

#[tokio::test]
async fn without_a_connection_nothing_has_happened() {
    let mut fake = support::fake();
    let provider = support::provider(support::config(&fake));
    fake.server_mut().refuse(true);
    let error = provider.create(&request("web")).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::Unavailable, Effect::None)
    );
    fake.server_mut().refuse(false);
    provider.create(&request("web")).await.unwrap();
    assert_eq!(fake.instances().len(), 1);
}
