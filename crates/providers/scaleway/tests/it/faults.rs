//! Each operation × each fault: right kind, right effect, no duplicate, no orphan after a replay.

use std::collections::BTreeSet;
use std::time::Duration;

use fleetwright_core::{Deletion, Effect, Error, Kind, ListRequest, NodeId, Provider as _, Result};
use fleetwright_rest::testing::{Fault, Trouble};
use fleetwright_scaleway::ScalewayProvider;
use fleetwright_scaleway::fake::ScalewayFake;
use serde_json::json;

use crate::support::{self, replay, request};

/// How long a delayed answer takes, and how long it is waited for.
const DELAY: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_millis(2_500);

/// A fault, the kind that it comes back as, and whether a change may have happened.
fn faults() -> Vec<(Trouble, Kind, Effect)> {
    let (unknown, none) = (Effect::Unknown, Effect::None);
    vec![
        (Trouble::ResetBefore, Kind::Unavailable, unknown),
        (Trouble::ResetAfter, Kind::Unavailable, unknown),
        (Trouble::DelayBefore(DELAY), Kind::Timeout, unknown),
        (Trouble::DelayAfter(DELAY), Kind::Timeout, unknown),
        (Trouble::too_many(Some(7)), Kind::RateLimited, none),
        (Trouble::too_many(None), Kind::RateLimited, none),
        (Trouble::gateway(500), Kind::Unavailable, unknown),
        (Trouble::gateway(502), Kind::Unavailable, unknown),
        (Trouble::gateway(503), Kind::Unavailable, unknown),
        (Trouble::gateway(504), Kind::Timeout, unknown),
        (Trouble::gateway_after(502), Kind::Unavailable, unknown),
        (Trouble::Truncate, Kind::Unavailable, unknown),
        (Trouble::Garbage, Kind::Unexpected, unknown),
        (Trouble::Html, Kind::Unexpected, unknown),
    ]
}

/// Where nothing is delayed, no call takes too long, however busy the machine is.
fn provider(fake: &ScalewayFake, trouble: &Trouble) -> ScalewayProvider {
    let mut config = support::config(fake);
    let is_delay = matches!(trouble, Trouble::DelayBefore(_) | Trouble::DelayAfter(_));
    config.call_timeout.0 = if is_delay {
        PATIENCE
    } else {
        Duration::from_mins(1)
    };
    support::with_config(config)
}

fn is_right(error: &Error, kind: Kind, effect: Effect, seen: &str) {
    assert_eq!(error.kind(), kind, "{seen}: {error:?}");
    assert_eq!(error.effect(), effect, "{seen}: {error:?}");
    let wanted = seen.contains("seconds: 7") || seen.contains("\"7\"");
    if wanted {
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)), "{seen}");
    }
}

#[tokio::test]
async fn a_creation_under_any_fault_is_exact_after_its_replay() {
    // The birth of the second machine, and the power of the second machine.
    for path in [
        "/instance/v1/zones/*/servers",
        "/instance/v1/zones/*/servers/*/action",
    ] {
        for (trouble, kind, effect) in faults() {
            let fake = support::fake();
            let provider = provider(&fake, &trouble);
            let seen = format!("{path} {trouble:?}");
            let is_late = matches!(trouble, Trouble::DelayBefore(_));
            let mut spec = support::spec();
            spec.options = support::options(&json!({ "public_address": "flexible" }));
            let three = request(spec, 3);
            fake.server()
                .fault(Fault::new("POST", path, trouble).after(1));
            let error = provider.create(&three).await.unwrap_err();
            // Other machines of the request are there in any case.
            let _ = effect;
            is_right(&error, kind, Effect::Unknown, &seen);
            support::settle().await;
            if is_late {
                // A request that is later than the lag is beyond what labels can promise.
                tokio::time::sleep(DELAY).await;
            }
            let created = provider.create(&replay(&three)).await.unwrap();
            let ids: BTreeSet<&NodeId> = created.nodes.iter().map(|node| &node.id).collect();
            assert_eq!(ids.len(), 3, "{seen}");
            let machines = fake.machines();
            assert_eq!(machines.len(), 3, "{seen}: {machines:?}");
            let names: BTreeSet<&String> = machines.iter().map(|one| &one.name).collect();
            assert_eq!(names.len(), 3, "{seen}");
            assert!(machines.iter().all(|one| one.state != "stopped"), "{seen}");
            assert!(
                machines.iter().all(|one| one.addresses.len() == 1),
                "{seen}"
            );
            assert_eq!(fake.left_behind(), [] as [String; 0], "{seen}");
            fake.server().assert_no_violations();
        }
    }
}

#[tokio::test]
async fn a_creation_that_surely_did_not_happen_says_so() {
    for (trouble, kind, effect) in faults() {
        let fake = support::fake();
        let provider = provider(&fake, &trouble);
        let seen = format!("{trouble:?}");
        let path = "/instance/v1/zones/*/servers";
        fake.server().fault(Fault::new("POST", path, trouble));
        let error = provider
            .create(&request(support::spec(), 1))
            .await
            .unwrap_err();
        is_right(&error, kind, effect, &seen);
    }
}

#[tokio::test]
async fn no_server_is_no_effect() {
    let mut fake = support::fake();
    let provider = provider(&fake, &Trouble::ResetBefore);
    fake.server_mut().refuse(true);
    let one = request(support::spec(), 1);
    let error = provider.create(&one).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::Unavailable, Effect::None)
    );
    let error = provider.check().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    let error = provider.list(&ListRequest::default()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    fake.server_mut().refuse(false);
    provider.create(&replay(&one)).await.unwrap();
    assert_eq!(fake.machines().len(), 1);
}

/// One look at the world.
async fn look(provider: &ScalewayProvider, what: &str, id: &NodeId) -> Result<()> {
    match what {
        "check" => provider.check().await.map(drop),
        "get" => provider.get(id).await.map(drop),
        "catalog" => provider.catalog().unwrap().offerings().await.map(drop),
        "balancers" => provider
            .balancers()
            .unwrap()
            .list_balancers()
            .await
            .map(drop),
        _ => provider
            .dns()
            .unwrap()
            .list_records("example.com")
            .await
            .map(drop),
    }
}

#[tokio::test]
async fn a_look_under_any_fault_is_an_error_without_effect() {
    let fake = support::fake();
    fake.add_dns_zone("example.com");
    let maker = support::provider(&fake);
    let created = maker.create(&request(support::spec(), 1)).await.unwrap();
    let id = &created.nodes[0].id;
    for (what, path) in [
        ("check", "/instance/v1/zones/*/servers"),
        ("get", "/instance/v1/zones/*/servers/*"),
        ("catalog", "/instance/v1/zones/fr-par-2/products/servers"),
        ("balancers", "/lb/v1/zones/nl-ams-3/lbs"),
        ("dns", "/domain/v2beta1/dns-zones/*/records"),
    ] {
        for (trouble, kind, _) in faults() {
            let seen = format!("{what} {trouble:?}");
            let provider = provider(&fake, &trouble);
            fake.server().clear_faults();
            fake.server().fault(Fault::new("GET", path, trouble));
            let error = look(&provider, what, id).await.unwrap_err();
            is_right(&error, kind, Effect::None, &seen);
            look(&provider, what, id).await.unwrap();
        }
    }
    fake.server().assert_no_violations();
}

#[tokio::test]
async fn a_listing_under_any_fault_has_a_gap_and_keeps_the_rest() {
    let fake = support::fake();
    let maker = support::provider(&fake);
    let here = maker.create(&request(support::spec(), 7)).await.unwrap();
    let mut there = support::spec();
    (there.region, there.zone) = ("nl-ams".to_owned(), Some("nl-ams-2".to_owned()));
    let there = maker.create(&request(there, 1)).await.unwrap();
    support::settle().await;
    for page in [1, 2] {
        for (trouble, kind, _) in faults() {
            let seen = format!("page {page} {trouble:?}");
            let provider = provider(&fake, &trouble);
            let fault = Fault::new("GET", "/instance/v1/zones/fr-par-1/servers", trouble);
            fake.server().clear_faults();
            fake.server().fault(fault.after(page - 1));
            let listing = provider.list(&ListRequest::default()).await.unwrap();
            let gap = listing.coverage.gap("fr-par").unwrap();
            assert_eq!(gap.region.as_deref(), Some("fr-par"), "{seen}");
            assert_eq!(gap.error.kind, kind, "{seen}");
            assert!(listing.coverage.covers("nl-ams"), "{seen}");
            let mut nodes = listing.nodes.iter();
            assert!(nodes.any(|node| node.id == there.nodes[0].id), "{seen}");
            // What the first page held is kept.
            let kept = if page == 1 { 1 } else { 6 };
            assert_eq!(listing.nodes.len(), kept, "{seen}");
        }
    }
    let listing = maker.list(&ListRequest::default()).await.unwrap();
    assert_eq!(listing.nodes.len(), here.nodes.len() + 1);
    assert!(listing.coverage.gaps().is_empty());
}

#[tokio::test]
async fn a_deletion_under_any_fault_keeps_its_kind_and_can_be_repeated() {
    for (trouble, kind, effect) in faults() {
        let fake = support::fake();
        let provider = provider(&fake, &trouble);
        let created = provider.create(&request(support::spec(), 2)).await.unwrap();
        while fake.machines().iter().any(|one| one.state != "running") {
            tokio::task::yield_now().await;
        }
        let seen = format!("{trouble:?}");
        let path = "/instance/v1/zones/*/servers/*/action";
        fake.server().fault(Fault::new("POST", path, trouble));
        let id = &created.nodes[0].id;
        let error = provider.delete(id).await.unwrap_err();
        is_right(&error, kind, effect, &seen);
        for _ in 0..2_000 {
            if provider.delete(id).await.unwrap() == Deletion::Gone {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let left = fake.machines();
        assert_eq!(left.len(), 1, "{seen}");
        assert!(
            created.nodes[1].id.native().ends_with(&left[0].id),
            "{seen}"
        );
        assert_eq!(fake.left_behind(), [] as [String; 0], "{seen}");
    }
}
