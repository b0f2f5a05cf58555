//! Nothing that costs money stays behind: not after a deletion, not after a creation that failed.

use std::time::Duration;

use fleetwright_core::{Deletion, Effect, Kind, NodeId, Provider as _};
use fleetwright_rest::testing::{Fault, Reply, Trouble};
use fleetwright_scaleway::ScalewayProvider;
use fleetwright_scaleway::fake::ScalewayFake;
use serde_json::{Value, json};

use crate::support::{self, REGION, ZONE, request};

/// A machine with block storage and flexible addresses.
fn costly() -> Value {
    json!({ "public_address": "flexible-both", "volume": "block" })
}

async fn one(fake: &ScalewayFake, provider: &ScalewayProvider, options: &Value) -> NodeId {
    let mut spec = support::spec();
    spec.options = support::options(options);
    let created = provider.create(&request(spec, 1)).await.unwrap();
    while fake.machines()[0].state != "running" {
        tokio::task::yield_now().await;
    }
    created.nodes[0].id.clone()
}

/// Calls `delete` until it says that nothing is left; errors on the way are for a retry.
async fn delete(provider: &ScalewayProvider, id: &NodeId) {
    for _ in 0..2_000 {
        if let Ok(Deletion::Gone) = provider.delete(id).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("`{id}` does not go");
}

fn is_empty(fake: &ScalewayFake) {
    assert_eq!(fake.machines(), []);
    assert_eq!(fake.left_behind(), [] as [String; 0]);
    fake.server().assert_no_violations();
}

#[tokio::test]
async fn addresses_and_volumes_go_with_the_machine() {
    for options in [json!({}), json!({ "volume": "local" }), costly()] {
        let fake = support::fake();
        let provider = support::provider(&fake);
        let id = one(&fake, &provider, &options).await;
        delete(&provider, &id).await;
        is_empty(&fake);
    }
}

#[tokio::test]
async fn whatever_breaks_in_a_deletion_the_next_call_goes_on() {
    let everything = ["GET", "PATCH", "POST", "DELETE"];
    for method in everything {
        for trouble in [
            Trouble::ResetBefore,
            Trouble::ResetAfter,
            Trouble::gateway(500),
            Trouble::too_many(None),
            Trouble::Truncate,
        ] {
            for skip in 0..3 {
                let fake = support::fake();
                let provider = support::provider(&fake);
                let id = one(&fake, &provider, &costly()).await;
                fake.server()
                    .fault(Fault::new(method, "/**", trouble.clone()).after(skip));
                delete(&provider, &id).await;
                is_empty(&fake);
            }
        }
    }
}

#[tokio::test]
async fn a_machine_that_is_powered_off_goes_last() {
    let fake = support::slow_fake(|config| config.detach_time = Duration::from_secs(2));
    let provider = support::provider(&fake);
    // Born, and not powered on.
    let action = "/instance/v1/zones/*/servers/*/action";
    fake.server()
        .fault(Fault::new("POST", action, Trouble::ResetBefore));
    let mut spec = support::spec();
    spec.options = support::options(&costly());
    provider.create(&request(spec, 1)).await.unwrap_err();
    let machine = fake.machines().remove(0);
    let id = NodeId::new("scw", REGION, &format!("{ZONE}/{}", machine.id)).unwrap();
    // Its volume is detached, and takes a while.
    assert_eq!(provider.delete(&id).await.unwrap(), Deletion::Started);
    assert_eq!(fake.machines().len(), 1, "it shows that something is left");
    delete(&provider, &id).await;
    is_empty(&fake);
}

#[tokio::test]
async fn a_creation_that_is_refused_half_way_takes_everything_away_again() {
    let quota = json!({
        "type": "quotas_exceeded", "message": "quota(s) exceeded for this resource",
        "details": [{ "resource": "instance_ip", "quota": 1, "current": 1 }],
    });
    let stock = json!({ "type": "out_of_stock", "resource": "DEV1-S" });
    let servers = "/instance/v1/zones/*/servers/*";
    for (method, path, status, body, kind) in [
        (
            "POST",
            "/instance/v1/zones/*/ips".to_owned(),
            403,
            &quota,
            Kind::Quota,
        ),
        (
            "POST",
            format!("{servers}/action"),
            412,
            &stock,
            Kind::Capacity,
        ),
        (
            "PATCH",
            format!("{servers}/user_data/*"),
            403,
            &json!({ "type": "permissions_denied" }),
            Kind::Permission,
        ),
    ] {
        for volume in ["local", "block"] {
            let fake = support::fake();
            let provider = support::provider(&fake);
            let refuse = Trouble::Refuse(Reply::json(status, body));
            fake.server()
                .fault(Fault::new(method, &path, refuse).always());
            let mut spec = support::spec();
            spec.user_data = Some("#!/bin/sh\ntrue\n".to_owned());
            spec.options = support::options(&json!({
                "public_address": "flexible", "volume": volume,
            }));
            let error = provider.create(&request(spec, 2)).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.effect()),
                (kind, Effect::None),
                "{error:?}"
            );
            is_empty(&fake);
        }
    }
}

#[tokio::test]
async fn stock_that_ends_at_power_on_is_a_shortfall_without_remains() {
    let fake = support::fake();
    let provider = support::provider(&fake);
    fake.set_late_stock(true);
    fake.set_stock(Some(2));
    let mut spec = support::spec();
    spec.options = support::options(&costly());
    let created = provider.create(&request(spec, 4)).await.unwrap();
    assert_eq!(created.nodes.len(), 2);
    assert_eq!(created.shortfall.unwrap().kind(), Kind::Capacity);
    assert_eq!(fake.machines().len(), 2);
    assert_eq!(fake.left_behind(), [] as [String; 0]);
    fake.server().assert_no_violations();
}

#[tokio::test]
async fn what_could_not_be_taken_away_is_told_and_may_have_happened() {
    let fake = support::fake();
    let provider = support::provider(&fake);
    let action = "/instance/v1/zones/*/servers/*/action";
    let stock = json!({ "type": "out_of_stock", "resource": "DEV1-S" });
    let refuse = Trouble::Refuse(Reply::json(412, &stock));
    fake.server().fault(Fault::new("POST", action, refuse));
    fake.server()
        .fault(Fault::new("DELETE", "/**", Trouble::ResetBefore).always());
    let error = provider
        .create(&request(support::spec(), 1))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::Capacity, Effect::Unknown)
    );
    let left = error.context().find(|(name, _)| *name == "left-behind");
    assert_eq!(left.unwrap().1, fake.machines()[0].id);
}

#[tokio::test]
async fn a_protected_machine_is_not_deleted_and_the_reason_is_told() {
    let fake = support::fake();
    let provider = support::provider(&fake);
    let id = one(&fake, &provider, &costly()).await;
    let native = fake.machines()[0].id.clone();
    fake.protect(&native, true);
    let error = provider.delete(&id).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.to_string().contains("protected"), "{error}");
    assert_eq!(
        fake.machines()[0].addresses.len(),
        2,
        "nothing of it was touched"
    );
    fake.protect(&native, false);
    delete(&provider, &id).await;
    is_empty(&fake);
}
