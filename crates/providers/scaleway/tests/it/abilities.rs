//! Catalog, load balancers and DNS, beyond what the suite asks.

use std::time::Duration;

use fleetwright_core::ability::{DnsRecord, MemberHealth, RecordKind};
use fleetwright_core::{Availability, Balancers as _, Catalog as _, Dns as _, Kind, Provider as _};
use serde_json::json;

use crate::support::{self, REGION, ZONE, request};

#[tokio::test]
async fn offerings_tell_zone_price_and_stock() {
    let fake = support::fake();
    let provider = support::provider(&fake);
    let offerings = provider.offerings().await.unwrap();
    let find = |name: &str, zone: &str| {
        let mut all = offerings.iter();
        all.find(|one| one.instance_type == name && one.zone.as_deref() == Some(zone))
    };
    let small = find("DEV1-S", ZONE).unwrap();
    assert_eq!(small.region, REGION);
    assert_eq!(small.price.unwrap().to_string(), "€0.01368/h");
    assert_eq!(small.availability, Availability::Available);
    let scarce = find("GP1-XS", ZONE).unwrap();
    assert_eq!(scarce.availability, Availability::Available);
    let sold_out = find("H100-2-80G", "fr-par-2").unwrap();
    assert_eq!(sold_out.availability, Availability::SoldOut { until: None });
    assert!(find("H100-2-80G", "fr-par-3").is_none(), "not sold there");
    assert!(
        find("START1-S", ZONE).is_none(),
        "at the end of its service"
    );
    let types = provider.instance_types().await.unwrap();
    let big = types.iter().find(|one| one.name == "H100-2-80G").unwrap();
    assert_eq!((big.gpus, big.gpu_memory_mib), (2, Some(80 * 1024)));
    assert_eq!(big.gpu_model.as_deref(), Some("NVIDIA H100-PCIe"));
    let arm = types
        .iter()
        .find(|one| one.name == "COPARM1-2C-8G")
        .unwrap();
    assert_eq!(arm.architecture, "arm64");
    fake.server().assert_no_violations();
}

#[tokio::test]
async fn backends_of_one_name_are_told_apart() {
    let fake = support::fake();
    fake.add_balancer(ZONE, "front", "web");
    fake.add_balancer("nl-ams-1", "front", "web");
    fake.add_balancer(ZONE, "front", "api");
    let provider = support::provider(&fake);
    let balancers = provider.list_balancers().await.unwrap();
    let names: Vec<&str> = balancers.iter().map(|one| &*one.name).collect();
    assert_eq!(
        names
            .iter()
            .filter(|name| name.starts_with("front/web@"))
            .count(),
        2
    );
    assert!(names.contains(&"front/api"), "{names:?}");
    let error = provider.members("front/web").await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.hint().unwrap().contains("front/web@"), "{error:?}");
    for name in names {
        provider.members(name).await.unwrap();
    }
    fake.server().assert_no_violations();
}

#[tokio::test]
async fn addresses_that_are_no_nodes_are_left_alone() {
    let fake = support::slow_fake(|config| config.check_time = Duration::from_hours(1));
    fake.add_balancer(ZONE, "front", "web");
    fake.add_to_pool("web", "203.0.113.9");
    let provider = support::provider(&fake);
    let created = provider.create(&request(support::spec(), 1)).await.unwrap();
    let id = &created.nodes[0].id;
    provider.register("front/web", id).await.unwrap();
    let members = provider.members("front/web").await.unwrap();
    assert_eq!(members.len(), 1);
    assert_eq!(members[0].node, *id);
    assert_eq!(members[0].health, MemberHealth::Initial);
    provider.deregister("front/web", id).await.unwrap();
    assert!(provider.members("front/web").await.unwrap().is_empty());
    let exchanges = fake.server().exchanges();
    let removed = exchanges
        .iter()
        .rfind(|one| one.request.method() == "DELETE")
        .unwrap();
    assert!(!removed.request.json().to_string().contains("203.0.113.9"));
    fake.server().assert_no_violations();
}

#[tokio::test]
async fn a_node_without_a_public_address_cannot_be_a_member() {
    let fake = support::fake();
    fake.add_balancer(ZONE, "front", "web");
    let provider = support::provider(&fake);
    let mut spec = support::spec();
    spec.options = support::options(&json!({ "public_address": "none" }));
    let created = provider.create(&request(spec, 1)).await.unwrap();
    let error = provider
        .register("front/web", &created.nodes[0].id)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.hint().unwrap().contains("public_address"));
}

#[tokio::test]
async fn records_of_other_kinds_stay_and_names_elsewhere_are_refused() {
    let fake = support::fake();
    fake.add_dns_zone("example.com");
    let provider = support::provider(&fake);
    let mut record = DnsRecord {
        name: "example.com".to_owned(),
        kind: RecordKind::Txt,
        values: vec!["v=spf1 -all".to_owned()],
        ttl_seconds: 300,
    };
    provider.upsert("example.com", &record).await.unwrap();
    let records = provider.list_records("example.com").await.unwrap();
    assert_eq!(
        records,
        [record.clone()],
        "the MX record is none of ours, and stays"
    );
    provider
        .remove("example.com", "example.com", RecordKind::Txt)
        .await
        .unwrap();
    "www.example.org".clone_into(&mut record.name);
    let error = provider.upsert("example.com", &record).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    (record.name, record.ttl_seconds) = ("a.example.com".to_owned(), 5);
    let error = provider.upsert("example.com", &record).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("at least 60"), "{error}");
    fake.server().assert_no_violations();
}
