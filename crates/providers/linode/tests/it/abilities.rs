//! NodeBalancers and domains, beyond what the suite asks for.

use std::time::Duration;

use fleetwright_core::ability::{DnsRecord, MemberHealth, RecordKind};
use fleetwright_core::{Kind, Node, NodeState, Provider, Span};
use fleetwright_linode::fake::Fake;
use fleetwright_linode::{LinodeConfig, LinodeProvider};
use serde_json::json;

use crate::support::{self, REGION};

async fn running(provider: &LinodeProvider) -> Node {
    let request = support::request(1, &json!({ "private_ip": true }));
    let mut node = provider.create(&request).await.unwrap().nodes.remove(0);
    while node.state != NodeState::Running {
        tokio::time::sleep(Duration::from_millis(20)).await;
        node = provider.get(&node.id).await.unwrap();
    }
    node
}

async fn health(provider: &LinodeProvider, node: &Node) -> Option<MemberHealth> {
    let members = provider.balancers().unwrap().members("web").await.unwrap();
    let mut of_node = members.into_iter().filter(|member| member.node == node.id);
    of_node.next().map(|member| member.health)
}

fn modes(fake: &Fake) -> Vec<String> {
    fake.backends("web")
        .into_iter()
        .map(|(.., mode)| mode)
        .collect()
}

#[tokio::test]
async fn a_node_is_a_backend_of_every_port_with_the_port_that_fits() {
    for (backend_port, expected) in [(None, [":80", ":443"]), (Some(8080), [":8080", ":8080"])] {
        let fake = support::fake();
        fake.add_balancer(REGION, "web", &[80, 443]);
        let provider = support::provider(LinodeConfig {
            backend_port,
            ..support::config(&fake)
        });
        let node = running(&provider).await;
        let balancers = provider.balancers().unwrap();
        balancers.register("web", &node.id).await.unwrap();
        balancers.register("web", &node.id).await.unwrap();
        let backends = fake.backends("web");
        assert_eq!(backends.len(), 2, "{backends:?}");
        let private = node.addresses.private.unwrap();
        for ((_, address, label, mode), port) in backends.iter().zip(expected) {
            assert_eq!(*address, format!("{private}{port}"));
            assert_eq!(*label, format!("fw-{}", node.id.native()));
            assert_eq!(mode, "accept");
        }
        fake.server().assert_no_violations();
    }
}

#[tokio::test]
async fn a_node_drains_before_it_leaves_and_another_process_may_end_what_one_began() {
    let fake = support::fake();
    fake.add_balancer(REGION, "web", &[80]);
    let config = LinodeConfig {
        drain: Span::seconds(2),
        ..support::config(&fake)
    };
    let (one, other) = (support::provider(config.clone()), support::provider(config));
    let node = running(&one).await;
    one.balancers()
        .unwrap()
        .register("web", &node.id)
        .await
        .unwrap();
    one.balancers()
        .unwrap()
        .deregister("web", &node.id)
        .await
        .unwrap();
    assert_eq!(modes(&fake), ["drain"]);
    assert_eq!(health(&other, &node).await, Some(MemberHealth::Draining));
    // Again, by whoever: it does not begin anew.
    let label = fake.backends("web")[0].2.clone();
    other
        .balancers()
        .unwrap()
        .deregister("web", &node.id)
        .await
        .unwrap();
    assert_eq!(fake.backends("web")[0].2, label);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(health(&other, &node).await, None);
    assert_eq!(fake.backends("web"), []);
    fake.server().assert_no_violations();
}

#[tokio::test]
async fn without_a_time_to_drain_a_node_leaves_at_once() {
    let fake = support::fake();
    fake.add_balancer(REGION, "web", &[80]);
    let provider = support::provider(LinodeConfig {
        drain: Span::seconds(0),
        ..support::config(&fake)
    });
    let node = running(&provider).await;
    let balancers = provider.balancers().unwrap();
    balancers.register("web", &node.id).await.unwrap();
    balancers.deregister("web", &node.id).await.unwrap();
    assert_eq!(fake.backends("web"), []);
}

#[tokio::test]
async fn backends_of_others_are_members_by_their_address_and_are_not_ended() {
    let fake = support::fake();
    fake.add_balancer(REGION, "web", &[80]);
    let provider = support::provider(LinodeConfig {
        drain: Span::seconds(0),
        ..support::config(&fake)
    });
    let node = running(&provider).await;
    let balancers = provider.balancers().unwrap();
    balancers.register("web", &node.id).await.unwrap();
    fake.change_backends("web", "made-by-hand", "drain");
    assert_eq!(health(&provider, &node).await, Some(MemberHealth::Draining));
    assert_eq!(
        modes(&fake),
        ["drain"],
        "somebody else began it, somebody else ends it"
    );
    // Registering takes it back, and then it is ours.
    balancers.register("web", &node.id).await.unwrap();
    assert_eq!(modes(&fake), ["accept"]);
    fake.change_backends("web", "made-by-hand", "accept");
    balancers.deregister("web", &node.id).await.unwrap();
    assert_eq!(fake.backends("web"), [], "found by its address");
}

#[tokio::test]
async fn a_node_that_cannot_be_reached_is_told_so() {
    let fake = support::fake();
    fake.add_balancer(REGION, "web", &[80]);
    fake.add_balancer("eu-west", "far", &[80]);
    fake.add_balancer("br-gru", "elsewhere", &[80]);
    fake.add_balancer(REGION, "bare", &[]);
    let provider = support::provider(support::config(&fake));
    let balancers = provider.balancers().unwrap();
    let names: Vec<String> = balancers
        .list_balancers()
        .await
        .unwrap()
        .into_iter()
        .map(|b| b.name)
        .collect();
    assert_eq!(names, ["web", "far", "bare"], "of the configured regions");
    let request = support::request(1, &json!({}));
    let plain = provider.create(&request).await.unwrap().nodes.remove(0);
    let error = balancers.register("web", &plain.id).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(
        error.hint().unwrap().contains("private_ip = true"),
        "{error:?}"
    );
    let node = running(&provider).await;
    let error = balancers.register("far", &node.id).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    let error = balancers.register("elsewhere", &node.id).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    let error = balancers.register("bare", &node.id).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
}

// === domains ===

fn record(kind: RecordKind, values: &[&str], ttl_seconds: u32) -> DnsRecord {
    DnsRecord {
        name: "www.example.com".to_owned(),
        kind,
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        ttl_seconds,
    }
}

fn targets(fake: &Fake) -> Vec<(String, u64)> {
    let all = fake.records("example.com").into_iter();
    let mut all: Vec<_> = all.map(|(_, _, target, ttl)| (target, ttl)).collect();
    all.sort_unstable();
    all
}

/// What the suite asks for with a time to live that Linode does not know.
#[tokio::test]
async fn a_record_is_replaced_whole_with_times_that_linode_knows() {
    let fake = support::fake();
    fake.add_domain("example.com", "master");
    let provider = support::provider(support::config(&fake));
    let dns = provider.dns().unwrap();
    let first = record(RecordKind::A, &["192.0.2.1", "192.0.2.2"], 300);
    for _ in 0..2 {
        dns.upsert("example.com", &first).await.unwrap();
        assert_eq!(
            dns.list_records("example.com").await.unwrap(),
            std::slice::from_ref(&first)
        );
    }
    let writes = fake.server().count("POST", "/") + fake.server().count("PUT", "/");
    assert_eq!(writes, 2, "the same set again changes nothing");
    let second = record(RecordKind::A, &["192.0.2.3"], 3_600);
    dns.upsert("example.com", &second).await.unwrap();
    assert_eq!(dns.list_records("example.com").await.unwrap(), [second]);
    assert_eq!(
        fake.server().count("POST", "/"),
        2,
        "what was there is rewritten"
    );
    fake.server().assert_no_violations();
}

#[tokio::test]
async fn a_time_to_live_is_rounded_up_and_the_same_wish_changes_nothing() {
    let fake = support::fake();
    fake.add_domain("example.com", "master");
    let provider = support::provider(support::config(&fake));
    let dns = provider.dns().unwrap();
    let wish = record(RecordKind::Txt, &["hello"], 60);
    dns.upsert("example.com", &wish).await.unwrap();
    dns.upsert("example.com", &wish).await.unwrap();
    assert_eq!(targets(&fake), [("hello".to_owned(), 300)]);
    assert_eq!(fake.server().count("PUT", "/"), 0);
    let told = dns.list_records("example.com").await.unwrap();
    assert_eq!(told[0].ttl_seconds, 300);
}

#[tokio::test]
async fn the_domain_itself_has_records_too_and_copies_of_domains_have_none() {
    let fake = support::fake();
    fake.add_domain("example.com", "master");
    fake.add_domain("copy.example", "slave");
    let provider = support::provider(support::config(&fake));
    let dns = provider.dns().unwrap();
    assert_eq!(dns.list_zones().await.unwrap(), ["example.com"]);
    let apex = DnsRecord {
        name: "example.com".to_owned(),
        ..record(RecordKind::Aaaa, &["2001:DB8::1"], 300)
    };
    dns.upsert("example.com", &apex).await.unwrap();
    dns.upsert(
        "Example.com.",
        &record(RecordKind::Aaaa, &["2001:db8::2"], 300),
    )
    .await
    .unwrap();
    let listed = dns.list_records("example.com").await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(
        (&*listed[0].name, &*listed[0].values[0]),
        ("example.com", "2001:db8::1")
    );
    dns.remove("example.com", "example.com", RecordKind::Aaaa)
        .await
        .unwrap();
    assert_eq!(dns.list_records("example.com").await.unwrap().len(), 1);
    let error = dns.list_records("copy.example").await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    fake.server().assert_no_violations();
}
