//! What is sold where, and what can be said of a request before it is made.

use fleetwright_core::{Availability, CreateRequest, Kind, Market, Provider};
use fleetwright_linode::LinodeConfig;
use serde_json::json;

use crate::support::{self, REGION};

#[tokio::test]
async fn offerings_say_what_is_to_be_had_where_and_for_how_much() {
    let fake = support::fake();
    let provider = support::provider(LinodeConfig {
        regions: ["us-east", "eu-west", "br-gru"].map(str::to_owned).into(),
        ..support::config(&fake)
    });
    let catalog = provider.catalog().unwrap();
    fake.sell_out("eu-west", "g6-standard-2");
    fake.close("br-gru");
    let offerings = catalog.offerings().await.unwrap();
    let of = |name: &str, region: &str| {
        let mut all = offerings.iter();
        let found = all.find(|o| o.instance_type == name && o.region == region)?;
        Some((found.availability, found.price.unwrap().to_string()))
    };
    let sold_out = Availability::SoldOut { until: None };
    for (name, region, expected) in [
        (
            "g6-nanode-1",
            "us-east",
            Some((Availability::Available, "$0.0075/h")),
        ),
        (
            "g6-standard-2",
            "us-east",
            Some((Availability::Available, "$0.036/h")),
        ),
        ("g6-standard-2", "eu-west", Some((sold_out, "$0.036/h"))),
        // The account may not use the region, and the region has its own price.
        ("g6-nanode-1", "br-gru", Some((sold_out, "$0.0105/h"))),
        (
            "g1-gpu-rtx6000-1",
            "us-east",
            Some((Availability::Available, "$1.50/h")),
        ),
        // Neither has GPUs.
        ("g1-gpu-rtx6000-1", "eu-west", None),
        ("g1-gpu-rtx6000-1", "br-gru", None),
    ] {
        let expected = expected.map(|(is, price)| (is, price.to_owned()));
        assert_eq!(of(name, region), expected, "{name} in {region}");
    }
    let types = catalog.instance_types().await.unwrap();
    let gpu = types.iter().find(|t| t.gpus > 0).unwrap();
    assert_eq!(gpu.gpu_model.as_deref(), Some("NVIDIA Quadro RTX 6000"));
    assert_eq!((gpu.gpu_memory_mib, gpu.vcpus), (Some(24_576), 8));
    fake.server().assert_no_violations();
}

#[tokio::test]
async fn what_was_read_is_used_again_for_a_while() {
    let fake = support::fake();
    let provider = support::provider(LinodeConfig {
        catalog_age: LinodeConfig::default().catalog_age,
        ..support::config(&fake)
    });
    let catalog = provider.catalog().unwrap();
    for _ in 0..3 {
        catalog.offerings().await.unwrap();
        catalog.instance_types().await.unwrap();
    }
    assert_eq!(fake.server().count("GET", "/v4beta/linode/types"), 1);
    assert_eq!(
        fake.server().count("GET", "/v4beta/regions/availability"),
        1
    );
}

/// Spoils a good request.
type Change = fn(&mut CreateRequest);

#[tokio::test]
async fn every_wrong_wish_is_told_before_anything_is_made() {
    let fake = support::fake();
    let provider = support::provider(LinodeConfig {
        regions: ["us-east", "br-gru", "xx-nowhere"]
            .map(str::to_owned)
            .into(),
        ..support::config(&fake)
    });
    let requests = provider.requests().unwrap();
    let good = support::request(1, &json!({}));
    requests.preflight(&good).await.unwrap();
    requests.give_up(&good).await.unwrap();
    let wrong: [(&str, Kind, Change); 16] = [
        ("Linode makes 1 to 20 machines", Kind::Invalid, |r| {
            r.count = 21;
        }),
        ("`xx-nowhere`", Kind::Invalid, |r| {
            r.spec.region = "xx-nowhere".to_owned();
        }),
        ("`eu-west`", Kind::Invalid, |r| {
            r.spec.region = "eu-west".to_owned();
        }),
        ("no zones, and `a`", Kind::Invalid, |r| {
            r.spec.zone = Some("a".to_owned());
        }),
        ("spot", Kind::Unsupported, |r| r.spec.market = Market::Spot),
        ("`g9-huge`", Kind::Invalid, |r| {
            r.spec.instance_type = "g9-huge".to_owned();
        }),
        ("not sold in region `br-gru`", Kind::Invalid, |r| {
            r.spec.instance_type = "g1-gpu-rtx6000-1".to_owned();
            r.spec.region = "br-gru".to_owned();
        }),
        ("`linode/beos`", Kind::Invalid, |r| {
            r.spec.image = Some("linode/beos".to_owned());
        }),
        ("`creating`", Kind::Invalid, |r| {
            r.spec.image = Some("private/102".to_owned());
        }),
        ("there is no image `golem`", Kind::Invalid, |r| {
            r.spec.image = Some("golem".to_owned());
        }),
        ("lacks `cloud-init`", Kind::Invalid, |r| {
            r.spec.image = Some("linode/slackware15.0".to_owned());
            r.spec.user_data = Some("#!/bin/sh\n".to_owned());
        }),
        ("lacks `Metadata`", Kind::Invalid, |r| {
            r.spec.region = "br-gru".to_owned();
            r.spec.user_data = Some("#!/bin/sh\n".to_owned());
        }),
        ("65536 bytes", Kind::Invalid, |r| {
            r.spec.user_data = Some("#".repeat(65_536));
        }),
        ("cannot be the name", Kind::Invalid, |r| {
            r.spec.name = "a--b".to_owned();
        }),
        ("`firewal`", Kind::Invalid, |r| {
            r.spec.options = json!({ "firewal": 1 }).as_object().unwrap().clone();
        }),
        ("`image`", Kind::Invalid, |r| {
            r.spec.options = json!({ "image": "" }).as_object().unwrap().clone();
        }),
    ];
    for (words, kind, change) in wrong {
        let mut request = good.clone();
        change(&mut request);
        let error = requests.preflight(&request).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{words}: {error:?}");
        assert!(error.to_string().contains(words), "{words}: {error}");
        assert!(
            error.hint().is_some() || error.to_string().starts_with('`'),
            "{words}: {error:?}"
        );
    }
    assert_eq!(fake.machines(), []);
    assert_eq!(good.spec.region, REGION);
    fake.server().assert_no_violations();
}

#[tokio::test]
async fn a_check_says_who_we_are() {
    let fake = support::fake();
    let provider = support::provider(support::config(&fake));
    let checked = provider.check().await.unwrap();
    assert_eq!(checked.identity.as_deref(), Some("fleet"));
    fake.server().assert_no_violations();
}
