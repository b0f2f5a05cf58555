//! Balancers, domains, sizes and quotas, beyond what the suite asks.

use std::time::Duration;

use fleetwright_core::ability::{DnsRecord, MemberHealth, RecordKind};
use fleetwright_core::{
    Availability, Balancers as _, Catalog as _, Dns as _, Kind, NodeId, Provider as _, Quotas,
};

use crate::support::{Bed, REGION, SIZE, request, spec};

fn id(region: &str, droplet: u64) -> NodeId {
    NodeId::new("do", region, &droplet.to_string()).unwrap()
}

#[tokio::test]
async fn a_balancer_with_a_tag_gets_its_members_by_the_tag() {
    let bed = Bed::new();
    bed.fake.add_balancer("by-tag", REGION, Some("web"));
    let droplet = bed.fake.add_droplet("a", REGION, SIZE, &["team:ml"]);
    for _ in 0..2 {
        bed.register("by-tag", &id(REGION, droplet)).await.unwrap();
    }
    let members = bed.members("by-tag").await.unwrap();
    assert_eq!(members.len(), 1);
    assert_eq!(members[0].health, MemberHealth::Healthy);
    assert_eq!(bed.fake.droplets()[0].tags, ["team:ml", "web"]);
    for _ in 0..2 {
        bed.deregister("by-tag", &id(REGION, droplet))
            .await
            .unwrap();
    }
    assert!(bed.members("by-tag").await.unwrap().is_empty());
    assert_eq!(bed.fake.droplets()[0].tags, ["team:ml"]);
    bed.finish();
}

#[tokio::test]
async fn balancers_of_one_name_are_told_apart_by_their_ids() {
    let bed = Bed::new();
    let first = bed.fake.add_balancer("web", REGION, None);
    let second = bed.fake.add_balancer("web", "fra1", None);
    bed.fake.add_balancer("elsewhere", "sfo1", None);
    let names: Vec<String> = bed
        .list_balancers()
        .await
        .unwrap()
        .into_iter()
        .map(|balancer| balancer.name)
        .collect();
    assert_eq!(names, [first.clone(), second]);
    let error = bed.members("web").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(bed.members(&first).await.unwrap().is_empty());
    let error = bed.members("elsewhere").await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    bed.finish();
}

#[tokio::test]
async fn the_health_of_a_member_is_that_of_its_droplet() {
    let bed = Bed::new();
    bed.fake.add_balancer("web", REGION, None);
    let node = bed
        .create(&request(spec(), 1))
        .await
        .unwrap()
        .nodes
        .remove(0);
    bed.register("web", &node.id).await.unwrap();
    let health = async || bed.members("web").await.unwrap()[0].health.clone();
    // Made a moment ago: no listing shows it.
    assert_eq!(
        health().await,
        MemberHealth::Unknown("not listed".to_owned())
    );
    bed.settle(Duration::from_secs(4)).await;
    assert_eq!(health().await, MemberHealth::Initial);
    bed.settle(Duration::from_mins(1)).await;
    assert_eq!(health().await, MemberHealth::Healthy);
    bed.fake.switch_off(node.id.native().parse().unwrap());
    assert_eq!(health().await, MemberHealth::Unhealthy);
    bed.finish();
}

#[tokio::test]
async fn a_node_of_another_region_cannot_be_registered() {
    let bed = Bed::new();
    bed.fake.add_balancer("web", REGION, None);
    let droplet = bed.fake.add_droplet("a", "fra1", SIZE, &[]);
    let error = bed.register("web", &id("fra1", droplet)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    bed.finish();
}

fn record(name: &str, kind: RecordKind, values: &[&str]) -> DnsRecord {
    DnsRecord {
        name: name.to_owned(),
        kind,
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        ttl_seconds: 300,
    }
}

#[tokio::test]
async fn the_domain_itself_and_aliases_are_written_as_digitalocean_wants_them() {
    let bed = Bed::new();
    bed.fake.add_domain("example.com");
    let apex = record("example.com", RecordKind::A, &["192.0.2.1"]);
    let alias = record("www.example.com", RecordKind::Cname, &["example.com"]);
    for record in [&apex, &alias] {
        bed.upsert("example.com", record).await.unwrap();
    }
    let records = bed.list_records("example.com").await.unwrap();
    assert_eq!(records, [apex, alias]);
    bed.finish();
}

#[tokio::test]
async fn a_change_of_values_replaces_records_in_place() {
    let bed = Bed::new();
    bed.fake.add_domain("example.com");
    let name = "www.example.com";
    let first = record(name, RecordKind::A, &["192.0.2.1", "192.0.2.2"]);
    bed.upsert("example.com", &first).await.unwrap();
    bed.fake.server().clear_exchanges();
    let second = record(name, RecordKind::A, &["192.0.2.2", "192.0.2.3"]);
    bed.upsert("example.com", &second).await.unwrap();
    let server = bed.fake.server();
    let calls = ["POST", "PUT", "DELETE"].map(|m| server.count(m, "/v2/domains"));
    assert_eq!(calls, [0, 1, 0], "the name was never without a record");
    let mut records = bed.list_records("example.com").await.unwrap();
    records[0].values.sort_unstable();
    assert_eq!(records, std::slice::from_ref(&second));
    bed.fake.server().clear_exchanges();
    bed.upsert("example.com", &second).await.unwrap();
    let server = bed.fake.server();
    assert_eq!(server.count("GET", "/v2/domains"), server.count("*", "/v2"));
    bed.finish();
}

#[tokio::test]
async fn a_record_outside_its_zone_is_refused_before_any_call() {
    let bed = Bed::new();
    let stray = record("www.example.org", RecordKind::A, &["192.0.2.1"]);
    let error = bed.upsert("example.com", &stray).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert_eq!(bed.fake.server().count("*", "/"), 0);
}

#[tokio::test]
async fn sizes_say_what_is_in_them_and_where_they_are_sold() {
    let bed = Bed::new();
    let types = bed.instance_types().await.unwrap();
    let gpu = types.iter().find(|t| t.name == "gpu-h100x8-640gb").unwrap();
    assert_eq!((gpu.gpus, gpu.vcpus, gpu.memory_mib), (8, 160, 1_966_080));
    assert_eq!(gpu.gpu_model.as_deref(), Some("nvidia_h100"));
    assert_eq!(gpu.gpu_memory_mib, Some(80 * 1024));
    let offerings = bed.offerings().await.unwrap();
    let at = |size: &str, region: &str| {
        let mut all = offerings.iter();
        let found = all.find(|o| o.instance_type == size && o.region == region);
        found.cloned().unwrap()
    };
    let here = at("gpu-h100x8-640gb", "tor1");
    assert_eq!(here.availability, Availability::Available);
    assert_eq!(here.price.unwrap().to_string(), "$23.92/h");
    assert_eq!(at(SIZE, REGION).price.unwrap().to_string(), "$0.00893/h");
    let sold_out = Availability::SoldOut { until: None };
    assert_eq!(at("gpu-h100x8-640gb", "nyc3").availability, sold_out);
    bed.fake.sell_out("gpu-h100x8-640gb", "tor1");
    let offerings = bed.offerings().await.unwrap();
    assert!(
        offerings.iter().all(|o| o.region != "sfo1"),
        "not configured"
    );
    let mut there = offerings
        .iter()
        .filter(|o| o.instance_type == here.instance_type);
    assert!(there.all(|o| o.availability == sold_out));
    bed.finish();
}

#[tokio::test]
async fn the_quota_counts_droplets_of_both_types() {
    let bed = Bed::new();
    bed.fake.add_droplet("a", REGION, SIZE, &[]);
    bed.fake.add_droplet("b", "tor1", "gpu-h100x1-80gb", &[]);
    let quotas = Quotas::quotas(&bed.provider).await.unwrap();
    assert_eq!((quotas[0].limit, quotas[0].used), (5_000, Some(2)));
    let checked = bed.check().await.unwrap();
    assert_eq!(
        checked.identity.as_deref(),
        Some("sammy@example.com of My Team")
    );
    bed.fake.set_account("warning", "A payment failed.");
    let checked = bed.check().await.unwrap();
    assert!(
        checked.notes[1].contains("A payment failed."),
        "{checked:?}"
    );
    bed.finish();
}
