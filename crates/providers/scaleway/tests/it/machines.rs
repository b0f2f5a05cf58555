//! What a machine gets, and that a machine which was not completed is found and completed.

use fleetwright_core::{Effect, HostKey, Kind, NodeState, Provider as _, Secret};
use fleetwright_rest::testing::{Fault, Trouble};
use serde_json::json;

use crate::support::{self, LOGIN_KEY, REGION, ZONE, replay, request};

const SERVERS: &str = "/instance/v1/zones/*/servers";

#[tokio::test]
async fn a_machine_gets_everything_that_its_pool_names() {
    let fake = support::fake();
    let provider = support::provider(&fake);
    let (network, group, placement) = (
        fake.add_network(REGION),
        fake.add_security_group(ZONE),
        fake.add_placement_group(ZONE),
    );
    let mut spec = support::spec();
    spec.instance_type = "POP2-2C-8G".to_owned();
    spec.user_data = Some("#!/bin/sh\necho é\n".to_owned());
    spec.options = support::options(&json!({
        "public_address": "flexible-both",
        "volume": "block",
        "volume_gb": 30,
        "security_group": group,
        "placement_group": placement,
        "private_networks": [network],
    }));
    let created = provider.create(&request(spec, 1)).await.unwrap();
    assert_eq!(created.nodes[0].state, NodeState::Pending);
    let machine = fake.machines().remove(0);
    assert_eq!(machine.user_data.as_deref(), Some("#!/bin/sh\necho é\n"));
    assert_eq!(machine.networks, [network]);
    assert_eq!(machine.security_group, Some(group));
    assert_eq!(machine.placement_group, Some(placement));
    assert_eq!(machine.volumes, ["sbs_volume"]);
    assert_eq!(machine.addresses.len(), 2);
    let key = LOGIN_KEY.split(' ').take(2).collect::<Vec<_>>().join("_");
    assert!(machine.tags.contains(&format!("AUTHORIZED_KEY={key}")));
    let node = provider.get(&created.nodes[0].id).await.unwrap();
    let access = node.access.unwrap();
    assert_eq!((&*access.user, access.port), ("root", 22));
    assert!(
        access.host.parse::<std::net::Ipv4Addr>().is_ok(),
        "{access:?}"
    );
    assert!(!node.labels.contains_key("AUTHORIZED_KEY"));
    assert_eq!(node.metadata["private-network-ids"], machine.networks[0]);
    assert_eq!(
        Some(&node.metadata["placement-group-id"]),
        machine.placement_group.as_ref()
    );
    fake.server().assert_no_violations();
}

#[tokio::test]
async fn the_key_of_the_host_travels_in_front_of_the_script() {
    let fake = support::fake();
    let provider = support::provider(&fake);
    let mut spec = support::spec();
    spec.user_data = Some("#!/bin/sh\necho hi\n".to_owned());
    let mut one = request(spec, 1);
    one.host_key = Some(HostKey {
        public: "ssh-ed25519 AAAAhost".to_owned(),
        private: Secret::new("-----BEGIN-----"),
    });
    provider.create(&one).await.unwrap();
    let text = fake.machines().remove(0).user_data.unwrap();
    assert!(text.starts_with("Content-Type: multipart/mixed"), "{text}");
    let (key, script) = (
        text.find("AAAAhost").unwrap(),
        text.find("echo hi").unwrap(),
    );
    assert!(key < script, "{text}");
    assert!(!text.contains(LOGIN_KEY), "login keys are tags");
    fake.server().assert_no_violations();
}

#[tokio::test]
async fn a_type_with_gpus_gets_an_image_with_drivers_unless_one_is_named() {
    let fake = support::fake();
    let provider = support::provider(&fake);
    let mut spec = support::spec();
    spec.instance_type = "L4-1-24G".to_owned();
    provider.create(&request(spec.clone(), 1)).await.unwrap();
    assert_eq!(fake.machines()[0].volumes, ["sbs_volume"]);
    spec.image = Some("ubuntu_noble".to_owned());
    let error = provider.create(&request(spec, 1)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::Invalid, Effect::None)
    );
}

#[tokio::test]
async fn without_a_zone_the_next_one_is_tried_when_one_is_sold_out() {
    let fake = support::fake();
    let provider = support::provider(&fake);
    let mut spec = support::spec();
    spec.zone = None;
    let body = json!({ "type": "out_of_stock", "resource": "DEV1-S" });
    let refuse = Trouble::Refuse(fleetwright_rest::testing::Reply::json(412, &body));
    let first = SERVERS.replace('*', ZONE);
    fake.server()
        .fault(Fault::new("POST", &first, refuse.clone()));
    let one = request(spec.clone(), 1);
    let created = provider.create(&one).await.unwrap();
    assert_eq!(created.nodes[0].zone.as_deref(), Some("fr-par-2"));
    support::settle().await;
    // The replay does not care where it is.
    let again = provider.create(&replay(&one)).await.unwrap();
    assert_eq!(again.nodes[0].id, created.nodes[0].id);
    fake.server()
        .fault(Fault::new("POST", SERVERS, refuse).always());
    let error = provider.create(&request(spec, 1)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Capacity);
    assert_eq!(error.scope(), Some(fleetwright_core::Scope::Region));
}

/// The steps after the birth of an instance, in order.
fn steps() -> [(&'static str, String); 4] {
    [
        ("POST", "/instance/v1/zones/*/ips".to_owned()),
        ("POST", format!("{SERVERS}/*/private_nics")),
        ("PATCH", format!("{SERVERS}/*/user_data/cloud-init")),
        ("POST", format!("{SERVERS}/*/action")),
    ]
}

#[tokio::test]
async fn a_machine_that_was_born_and_not_completed_is_found_and_completed() {
    for (method, path) in steps() {
        for trouble in [
            Trouble::ResetBefore,
            Trouble::ResetAfter,
            Trouble::gateway(503),
        ] {
            let fake = support::fake();
            let provider = support::provider(&fake);
            let mut spec = support::spec();
            spec.user_data = Some("#!/bin/sh\ntrue\n".to_owned());
            spec.options = support::options(&json!({
                "public_address": "flexible", "private_networks": [fake.add_network(REGION)],
            }));
            let two = request(spec, 2);
            let seen = format!("{method} {path} {trouble:?}");
            fake.server().fault(Fault::new(method, &path, trouble));
            let error = provider.create(&two).await.unwrap_err();
            assert_eq!(error.effect(), Effect::Unknown, "{seen}: {error:?}");
            assert_eq!(fake.machines().len(), 2, "{seen}");
            support::settle().await;
            let created = provider.create(&replay(&two)).await.unwrap();
            assert_eq!(created.nodes.len(), 2, "{seen}");
            let machines = fake.machines();
            assert_eq!(machines.len(), 2, "{seen}");
            for machine in machines {
                assert!(machine.user_data.is_some(), "{seen}: {machine:?}");
                assert_eq!(machine.networks.len(), 1, "{seen}: {machine:?}");
                assert_eq!(machine.addresses.len(), 1, "{seen}: {machine:?}");
                assert_ne!(machine.state, "stopped", "{seen}: {machine:?}");
            }
            assert_eq!(fake.left_behind(), [] as [String; 0], "{seen}");
            fake.server().assert_no_violations();
        }
    }
}

#[tokio::test]
async fn a_token_that_was_used_for_something_else_is_a_conflict() {
    let fake = support::fake();
    let provider = support::provider(&fake);
    let one = request(support::spec(), 1);
    provider.create(&one).await.unwrap();
    support::settle().await;
    let mut others = vec![replay(&one), replay(&one), replay(&one)];
    others[0].spec.instance_type = "PLAY2-PICO".to_owned();
    others[1].spec.zone = Some("fr-par-2".to_owned());
    others[2].spec.name = "other".to_owned();
    for other in others {
        let error = provider.create(&other).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict, "{error:?}");
        assert_eq!(
            error.effect(),
            Effect::Unknown,
            "the machine of the token is there"
        );
    }
    assert_eq!(fake.machines().len(), 1);
}

#[tokio::test]
async fn a_replay_that_cannot_look_makes_nothing() {
    let fake = support::fake();
    let provider = support::provider(&fake);
    let one = request(support::spec(), 1);
    fake.server()
        .fault(Fault::new("GET", SERVERS, Trouble::ResetBefore));
    let error = provider.create(&replay(&one)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::Unavailable, Effect::Unknown)
    );
    assert!(fake.machines().is_empty());
}
