//! The wrong inputs of a newcomer: each one clear line, with the way out, before anything is made.

use fleetwright_core::{Effect, Error, Kind, Market, NodeSpec, Provider as _, SecretRef};
use fleetwright_rest::testing::{Fault, Reply, Trouble};
use fleetwright_scaleway::ScalewayConfig;
use fleetwright_scaleway::fake::ScalewayFake;
use serde_json::{Value, json};

use crate::support::{self, request};

const NOWHERE: &str = "11111111-2222-3333-4444-555555555555";

fn clear(error: &Error, kind: Kind, words: &[&str]) {
    let hint = error.hint().unwrap_or("");
    let line = format!("{error} {hint}");
    assert_eq!(error.kind(), kind, "{error:?}");
    assert_eq!(error.effect(), Effect::None, "{error:?}");
    for word in words {
        assert!(line.contains(word), "`{word}` is not said: {line}");
    }
    assert!(!error.to_string().contains('\n'), "{error}");
}

/// What a spec that is changed like this is refused with.
async fn refused(fake: &ScalewayFake, change: impl FnOnce(&mut NodeSpec)) -> Error {
    let mut spec = support::spec();
    change(&mut spec);
    let error = support::provider(fake).create(&request(spec, 1)).await;
    let error = error.unwrap_err();
    assert!(fake.machines().is_empty(), "{error:?}");
    assert_eq!(fake.left_behind(), [] as [String; 0]);
    error
}

fn with(options: &Value) -> impl FnOnce(&mut NodeSpec) + use<> {
    let options = support::options(options);
    move |spec| spec.options = options
}

#[tokio::test]
async fn a_wrong_key_and_a_key_that_may_only_read() {
    let fake = support::fake();
    let keyed = |name: &str| {
        support::with_config(ScalewayConfig {
            token: SecretRef::Env(name.to_owned()),
            ..support::config(&fake)
        })
    };
    let error = keyed("WRONG").check().await.unwrap_err();
    clear(
        &error,
        Kind::Auth,
        &["api", "`token`", "secret key"].map(|w| if w == "api" { "denied" } else { w }),
    );
    let error = keyed("UNSET").check().await.unwrap_err();
    clear(&error, Kind::Config, &["UNSET"]);
    let reader = keyed("READ_ONLY");
    reader.check().await.unwrap();
    let error = reader
        .create(&request(support::spec(), 1))
        .await
        .unwrap_err();
    clear(
        &error,
        Kind::Permission,
        &["write instance_server", "InstancesFullAccess"],
    );
}

#[tokio::test]
async fn places_and_types_that_are_not_there() {
    let fake = support::fake();
    let error = refused(&fake, |spec| {
        (spec.region, spec.zone) = ("pl-waw".to_owned(), None);
    });
    clear(&error.await, Kind::Invalid, &["`pl-waw`", "fr-par, nl-ams"]);
    let error = refused(&fake, |spec| spec.zone = Some("nl-ams-1".to_owned()));
    clear(
        &error.await,
        Kind::Invalid,
        &["`nl-ams-1`", "fr-par-1, fr-par-2"],
    );
    let error = refused(&fake, |spec| spec.instance_type = "DEV1-XXL".to_owned());
    clear(&error.await, Kind::Invalid, &["DEV1-XXL"]);
    // Sold elsewhere.
    let error = refused(&fake, |spec| {
        spec.instance_type = "L4-1-24G".to_owned();
        (spec.region, spec.zone) = ("nl-ams".to_owned(), Some("nl-ams-1".to_owned()));
    });
    clear(&error.await, Kind::Invalid, &["L4-1-24G", "nl-ams-1"]);
    let error = refused(&fake, |spec| spec.instance_type = "START1-S".to_owned());
    clear(&error.await, Kind::Invalid, &["START1-S"]);
}

#[tokio::test]
async fn images_volumes_and_networks_that_do_not_fit() {
    let fake = support::fake();
    let error = refused(&fake, |spec| spec.image = Some("ubunto".to_owned()));
    clear(
        &error.await,
        Kind::Invalid,
        &["`ubunto`", "`fr-par-1`", "ubuntu_noble"],
    );
    // An image of another zone.
    let error = refused(&fake, |spec| spec.image = Some(NOWHERE.to_owned()));
    clear(
        &error.await,
        Kind::Invalid,
        &["instance_image", NOWHERE, "same zone"],
    );
    let error = refused(&fake, |spec| {
        spec.instance_type = "PLAY2-PICO".to_owned();
        with(&json!({ "volume": "local" }))(spec);
    });
    clear(
        &error.await,
        Kind::Invalid,
        &["PLAY2-PICO", "`volume = \"block\"`"],
    );
    for (key, value) in [
        ("security_group", json!(NOWHERE)),
        ("placement_group", json!(NOWHERE)),
        ("private_networks", json!([NOWHERE])),
    ] {
        let error = refused(&fake, with(&json!({ key: value }))).await;
        clear(
            &error,
            Kind::Invalid,
            &[NOWHERE, "must exist in the same zone"],
        );
    }
    // A network of another region.
    let network = fake.add_network("nl-ams");
    let error = refused(&fake, with(&json!({ "private_networks": [network] }))).await;
    clear(&error, Kind::Invalid, &[&network, "region"]);
    let error = refused(&fake, with(&json!({ "security_group": "web" }))).await;
    clear(&error, Kind::Invalid, &["`security_group`", "`web`"]);
    let error = refused(&fake, with(&json!({ "colour": "red" }))).await;
    clear(&error, Kind::Invalid, &["colour", "expected one of"]);
}

#[tokio::test]
async fn wishes_that_cannot_be_fulfilled() {
    let fake = support::fake();
    let error = refused(&fake, |spec| spec.market = Market::Spot);
    clear(&error.await, Kind::Unsupported, &["spot", "on-demand"]);
    let error = refused(&fake, |spec| spec.user_data = Some("x".repeat(125_951)));
    clear(&error.await, Kind::Invalid, &["125951 bytes", "125950"]);
    let error = refused(&fake, |spec| {
        spec.ssh_keys = vec!["~/.ssh/id_rsa".to_owned()];
    });
    clear(
        &error.await,
        Kind::Invalid,
        &["~/.ssh/id_rsa", "ssh-ed25519"],
    );
    let error = refused(&fake, |spec| {
        spec.labels.insert("a,b".to_owned(), "c".to_owned());
    });
    clear(&error.await, Kind::Invalid, &["`a,b`", "commas"]);
    fake.set_quota(Some(0));
    let error = refused(&fake, |_| {}).await;
    clear(
        &error,
        Kind::Quota,
        &[
            "instance_server",
            "console.scaleway.com/organization/quotas",
        ],
    );
    fake.set_quota(None);
    fake.set_stock(Some(0));
    let error = refused(&fake, |_| {}).await;
    clear(&error, Kind::Capacity, &["out of stock", "DEV1-S"]);
    fake.set_stock(None);
    fake.set_address_quota(Some(0));
    let error = refused(&fake, with(&json!({ "public_address": "flexible" }))).await;
    clear(&error, Kind::Quota, &["instance_ip"]);
}

#[tokio::test]
async fn what_a_look_ahead_finds_without_making_anything() {
    let fake = support::fake();
    let provider = support::provider(&fake);
    let ahead = async |change: &dyn Fn(&mut NodeSpec)| {
        let mut spec = support::spec();
        change(&mut spec);
        let requests = provider.requests().unwrap();
        requests.preflight(&request(spec, 1)).await
    };
    ahead(&|_| {}).await.unwrap();
    // In any zone of the region.
    ahead(&|spec| {
        spec.instance_type = "L4-1-24G".to_owned();
        spec.zone = None;
    })
    .await
    .unwrap();
    let error = ahead(&|spec| {
        spec.instance_type = "L4-1-24G".to_owned();
        spec.zone = Some("fr-par-3".to_owned());
    });
    clear(
        &error.await.unwrap_err(),
        Kind::Invalid,
        &["`fr-par-3`", "`L4-1-24G`"],
    );
    let error = ahead(&|spec| spec.image = Some("ubunto".to_owned())).await;
    clear(&error.unwrap_err(), Kind::Invalid, &["`ubunto`"]);
    assert_eq!(fake.server().count("POST", "/"), 0);
}

#[tokio::test]
async fn a_page_of_a_proxy_is_told_as_what_it_is() {
    let fake = support::fake();
    let provider = support::provider(&fake);
    let page = Reply::text(403, "text/html", "<html>blocked by the firewall</html>");
    let path = "/instance/v1/zones/*/servers";
    fake.server()
        .fault(Fault::new("GET", path, Trouble::Refuse(page)));
    let error = provider.check().await.unwrap_err();
    clear(&error, Kind::Permission, &["status 403"]);
}
