//! What a newcomer gets wrong: one clear line each, with the way out.

use fleetwright_core::{
    CreateRequest, Effect, Error, Kind, Market, NodeSpec, Provider as _, Requests as _,
};
use serde_json::json;

use crate::support::{Bed, REGION, request, spec, spec_with};

async fn preflight(bed: &Bed, spec: NodeSpec) -> Error {
    bed.preflight(&request(spec, 1)).await.unwrap_err()
}

async fn refused(bed: &Bed, request: &CreateRequest) -> Error {
    let error = bed.create(request).await.unwrap_err();
    assert_eq!(error.effect(), Effect::None, "{error:?}");
    assert!(bed.fake.droplets().is_empty(), "{error:?}");
    error
}

#[tokio::test]
async fn what_can_be_seen_offline_is_refused_before_any_call() {
    let bed = Bed::new();
    let with = |change: fn(&mut NodeSpec)| {
        let mut spec = spec();
        change(&mut spec);
        request(spec, 1)
    };
    for (what, wrong, kind) in [
        ("11 machines", request(spec(), 11), Kind::Invalid),
        ("0 machines", request(spec(), 0), Kind::Invalid),
        (
            "region",
            with(|s| "ams3".clone_into(&mut s.region)),
            Kind::Invalid,
        ),
        (
            "zone",
            with(|s| s.zone = Some("nyc3a".to_owned())),
            Kind::Invalid,
        ),
        ("spot", with(|s| s.market = Market::Spot), Kind::Unsupported),
        (
            "user data",
            with(|s| s.user_data = Some("#".repeat((62 << 10) + 1))),
            Kind::Invalid,
        ),
        (
            "`My_Name`",
            with(|s| "My_Name".clone_into(&mut s.name)),
            Kind::Invalid,
        ),
        (
            "`ssh_keys`",
            with(|s| s.ssh_keys = vec!["~/.ssh/id_ed25519.pub".to_owned()]),
            Kind::Invalid,
        ),
        (
            "`Ubuntu 24.04`",
            with(|s| s.image = Some("Ubuntu 24.04".to_owned())),
            Kind::Invalid,
        ),
        (
            "`Team`",
            with(|s| {
                s.labels.insert("Team".to_owned(), "ml".to_owned());
            }),
            Kind::Invalid,
        ),
        (
            "`vpc_uuid`",
            request(spec_with(&json!({ "vpc_uuid": "x" })), 1),
            Kind::Invalid,
        ),
    ] {
        let error = refused(&bed, &wrong).await;
        assert_eq!(error.kind(), kind, "{error:?}");
        let told = format!("{error} {}", error.hint().unwrap_or_default());
        assert!(told.contains(what), "{told}");
        assert!(!told.contains('\n'), "{told}");
    }
    assert_eq!(bed.fake.server().count("*", "/"), 0);
}

#[tokio::test]
async fn names_that_do_not_exist_are_told_with_those_that_do() {
    let bed = Bed::new();
    bed.fake.add_vpc("inner", REGION);
    bed.fake.add_firewall("ssh-only");
    bed.fake.add_project("training");
    bed.fake.add_image("golden", &["fra1"]);
    for (options, image, words) in [
        (json!({ "vpc": "outer" }), None, ["`outer`", "inner"]),
        (
            json!({ "firewalls": ["none"] }),
            None,
            ["`none`", "ssh-only"],
        ),
        (json!({ "project": "x" }), None, ["`x`", "training"]),
        (json!({}), Some("name:silver"), ["`silver`", "golden"]),
        (json!({}), Some("name:golden"), ["`nyc3`", "fra1"]),
    ] {
        let mut spec = spec_with(&options);
        if let Some(image) = image {
            spec.image = Some(image.to_owned());
        }
        let error = refused(&bed, &request(spec, 1)).await;
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains(words[0]), "{error:?}");
        assert!(error.hint().unwrap().contains(words[1]), "{error:?}");
    }
    assert_eq!(bed.fake.server().count("POST", "/v2/droplets"), 0);
    bed.finish();
}

#[tokio::test]
async fn a_preflight_finds_what_would_be_refused_without_making_anything() {
    let bed = Bed::new();
    bed.preflight(&request(spec(), 3)).await.unwrap();
    let far = bed.fake.add_image("golden", &["fra1"]);
    let with = |change: &dyn Fn(&mut NodeSpec)| {
        let mut spec = spec();
        change(&mut spec);
        spec
    };
    for (spec, kind, told, hint) in [
        (
            with(&|s| "s-1cpu-1gb".clone_into(&mut s.instance_type)),
            Kind::Invalid,
            "there is no size `s-1cpu-1gb`",
            "slugs",
        ),
        (
            with(&|s| "gpu-h100x8-640gb".clone_into(&mut s.instance_type)),
            Kind::Capacity,
            "`gpu-h100x8-640gb` is not to be had in `nyc3`",
            "tor1",
        ),
        (
            with(&|s| "gpu-mi300x1-192gb".clone_into(&mut s.instance_type)),
            Kind::Capacity,
            "`gpu-mi300x1-192gb` is not to be had in `nyc3`",
            "any region",
        ),
        (
            with(&|s| s.image = Some("ubuntu-24-x64".to_owned())),
            Kind::Invalid,
            "there is no image `ubuntu-24-x64`",
            "slug",
        ),
        (
            with(&|s| s.image = Some(far.to_string())),
            Kind::Invalid,
            "is not in `nyc3`",
            "fra1",
        ),
    ] {
        let error = preflight(&bed, spec).await;
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.to_string().contains(told), "{error:?}");
        assert!(error.hint().unwrap().contains(hint), "{error:?}");
    }
    bed.fake.set_account("locked", "Call us.");
    let error = preflight(&bed, spec()).await;
    assert_eq!(error.kind(), Kind::Permission);
    assert!(error.to_string().contains("Call us."), "{error}");
    bed.fake.set_account("active", "");
    bed.fake.allow_further(0);
    let error = preflight(&bed, spec()).await;
    assert_eq!(error.kind(), Kind::Quota);
    assert_eq!(bed.fake.server().count("POST", "/"), 0);
    bed.finish();
}

#[tokio::test]
async fn a_size_that_is_sold_out_here_is_told_where_it_is_to_be_had() {
    let bed = Bed::new();
    let mut spec = spec();
    "gpu-h100x1-80gb".clone_into(&mut spec.instance_type);
    bed.fake.sell_out("gpu-h100x1-80gb", REGION);
    let error = refused(&bed, &request(spec, 1)).await;
    assert_eq!(error.kind(), Kind::Capacity);
    assert_eq!(error.hint(), Some("`gpu-h100x1-80gb` is to be had in tor1"));
    bed.finish();
}
