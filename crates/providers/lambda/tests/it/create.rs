//! What a launch carries, and what is registered for it.

use fleetwright_core::{CreateRequest, HourlyPrice, ListRequest, Provider as _};
use serde_json::json;

use crate::support::{self, KEY, REGION, request};

#[tokio::test]
async fn everything_that_is_asked_for_travels_with_the_launch() {
    let fake = support::fake();
    let provider = support::provider(support::config(&fake));
    let mut request = request("web");
    let spec = &mut request.spec;
    spec.image = Some("ubuntu-lts".to_owned());
    spec.user_data = Some("#!/bin/sh\ntrue\n".to_owned());
    spec.labels.insert("team".to_owned(), "ml".to_owned());
    spec.options = json!({
        "firewall_rulesets": ["web"],
        "file_systems": ["data"],
        "mount_points": { "data": "/data/set" },
    })
    .as_object()
    .cloned()
    .unwrap();
    let created = provider.create(&request).await.unwrap();
    let made = &fake.instances()[0];
    assert_eq!(made.name, "web-0");
    assert_eq!(
        made.image.as_deref(),
        Some("43336648-096d-4cba-9aa2-f9bb77276002")
    );
    assert_eq!(made.user_data.as_deref(), Some("#!/bin/sh\ntrue\n"));
    assert_eq!(made.firewall_rulesets, ["c4d291f47f9d436fa39f58493ce3b50d"]);
    assert_eq!(made.tags["team"], "ml");
    assert_eq!(made.tags["fleetwright-claim"], request.token.as_str());
    let exchange = fake.server().exchanges().pop().unwrap();
    let mounts = &exchange.request.json()["file_system_mounts"];
    assert_eq!(mounts[0]["mount_point"], "/data/set");
    assert_eq!(exchange.request.json()["hostname"], "web-0");

    let node = provider.get(&created.nodes[0].id).await.unwrap();
    assert!(node.created_at.is_some() && !node.labels.contains_key("fleetwright-created"));
    assert_eq!(node.price, Some(HourlyPrice::usd_micros(750_000)));
    fake.server().assert_no_violations();
}

#[tokio::test]
async fn a_key_is_registered_once_and_the_others_travel_in_user_data() {
    let fake = support::fake();
    let provider = support::provider(support::config(&fake));
    let other = "ssh-rsa AAAAB3NzaC1yc2EAAA other";
    for name in ["one", "two"] {
        let mut request = request(name);
        // The comment of a key is no part of it.
        request.spec.ssh_keys = vec![format!("{KEY} {name}"), other.to_owned()];
        provider.create(&request).await.unwrap();
    }
    let keys = fake.ssh_keys();
    assert_eq!(keys.len(), 2, "the fake's own and one more: {keys:?}");
    for made in fake.instances() {
        assert_eq!(made.ssh_keys, [keys[1].0.clone()]);
        let user_data = made.user_data.unwrap();
        assert!(
            user_data.contains(other) && !user_data.contains(KEY),
            "{user_data}"
        );
    }
    // A key that Lambda knows under a name of its own is found by what it is.
    let mut known = request("three");
    known.spec.ssh_keys = vec!["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOurs elsewhere".to_owned()];
    provider.create(&known).await.unwrap();
    assert_eq!(fake.instances()[2].ssh_keys, ["ours"]);
    assert_eq!(fake.ssh_keys().len(), 2);
    fake.server().assert_no_violations();
}

#[tokio::test]
async fn a_token_of_another_region_is_a_conflict() {
    let fake = support::fake();
    let provider = support::provider(support::config(&fake));
    let request = request("web");
    provider.create(&request).await.unwrap();
    tokio::time::sleep(provider.info().listing_lag).await;
    let mut replay = CreateRequest {
        replay: true,
        ..request
    };
    replay.spec.region = "us-west-1".to_owned();
    let error = provider.create(&replay).await.unwrap_err();
    assert_eq!(error.kind(), fleetwright_core::Kind::Conflict);
    assert_eq!(fake.instances().len(), 1);
}

#[tokio::test]
async fn regions_that_are_not_configured_stay_out() {
    let fake = support::fake();
    let provider = support::provider(support::config(&fake));
    fake.add_instance(REGION, &[("managed-by", "fleetwright")]);
    fake.add_instance("europe-central-1", &[("managed-by", "fleetwright")]);
    let listing = provider.list(&ListRequest::default()).await.unwrap();
    assert_eq!(listing.nodes.len(), 1);
    assert_eq!(listing.nodes[0].id.region(), REGION);
}
