//! Target groups.

use aws_sdk_elasticloadbalancingv2::types::TargetDescription;
use fleetwright_aws_fake::{Failure, FakeConfig};
use fleetwright_core::ability::{Member, MemberHealth};
use fleetwright_core::{Balancers, NodeId};

use super::*;

fn balancers(provider: &AwsProvider) -> &dyn Balancers {
    provider.balancers().unwrap()
}

async fn healthy(provider: &AwsProvider, balancer: &str, node: &NodeId) {
    until("a registered node is healthy", async || {
        let members = balancers(provider).members(balancer).await.unwrap();
        members.contains(&Member {
            node: node.clone(),
            health: MemberHealth::Healthy,
        })
    })
    .await;
}

async fn left(provider: &AwsProvider, balancer: &str) {
    until("who is taken out leaves the list", async || {
        let members = balancers(provider).members(balancer).await.unwrap();
        members.is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_name_in_two_regions_must_be_told_apart() {
    let fake = support::fake();
    for (region, name) in [(REGION, "web"), ("eu-west-1", "web"), ("eu-west-1", "api")] {
        fake.add_target_group(region, name, "instance");
    }
    let provider = support::provider(support::config(fake.endpoint()));
    let all = balancers(&provider).list_balancers().await.unwrap();
    let mut names: Vec<&str> = all.iter().map(|balancer| &*balancer.name).collect();
    names.sort_unstable();
    assert_eq!(names, ["api", "eu-west-1/web", "us-east-1/web"]);
    let api = all.iter().find(|balancer| balancer.name == "api").unwrap();
    assert_eq!(api.region.as_deref(), Some("eu-west-1"));
    let address = api.address.as_deref().unwrap();
    assert!(
        address.ends_with("eu-west-1.elb.amazonaws.com"),
        "{address}"
    );

    let error = balancers(&provider).members("web").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("`us-east-1/web`") && hint.contains("`eu-west-1/web`"),
        "{hint}"
    );
    for name in ["us-east-1/web", "eu-west-1/api", "api"] {
        assert_eq!(balancers(&provider).members(name).await.unwrap(), []);
    }
    for name in ["us-east-1/api", "sa-east-1/web", "no such name", ""] {
        let members = balancers(&provider).members(name).await;
        assert_eq!(kind(members), Kind::NotFound, "{name}");
    }
    assert_by_the_book(&fake);
}

#[tokio::test]
async fn every_page_is_read() {
    let fake = Fake::start(FakeConfig {
        page_size: Some(2),
        ..FakeConfig::default()
    })
    .unwrap();
    for number in 0..7 {
        fake.add_target_group(REGION, &format!("web-{number}"), "instance");
    }
    let provider = support::provider(support::config(fake.endpoint()));
    let all = balancers(&provider).list_balancers().await.unwrap();
    assert_eq!(all.len(), 7);
    assert!(
        all.iter().all(|balancer| balancer.address.is_some()),
        "{all:?}"
    );
    assert_by_the_book(&fake);
}

#[tokio::test]
async fn members_of_a_group_of_addresses_are_nodes_too() {
    let fake = support::fake();
    fake.add_target_group(REGION, "web", "ip");
    let provider = support::provider(support::config(fake.endpoint()));
    let made = nodes(&fake, &provider, 2, Market::OnDemand).await;
    let [node, other] = [&made[0].id, &made[1].id];
    for _ in 0..2 {
        balancers(&provider).register("web", node).await.unwrap();
    }
    healthy(&provider, "web", node).await;
    // A machine outside EC2 is no node.
    let elb = aws_sdk_elasticloadbalancingv2::Client::new(&sdk(&fake));
    let arn = arn_of(&elb, "web").await;
    let stranger = TargetDescription::builder().id("10.200.0.1").build();
    let registered = elb
        .register_targets()
        .target_group_arn(arn)
        .targets(stranger);
    registered.send().await.unwrap();
    let members = balancers(&provider).members("web").await.unwrap();
    assert_eq!(members.len(), 1, "{members:?}");
    balancers(&provider).deregister("web", other).await.unwrap();
    healthy(&provider, "web", node).await;

    // The instance is gone, its registration is not: this process knows whose it was.
    assert!(fake.terminate(node.native()));
    until("the end of an instance is seen", async || {
        let seen = provider.get(node).await;
        seen.is_ok_and(|node| node.state == fleetwright_core::NodeState::Deleted)
    })
    .await;
    let members = balancers(&provider).members("web").await.unwrap();
    assert_eq!(members.len(), 1, "{members:?}");
    balancers(&provider).deregister("web", node).await.unwrap();
    left(&provider, "web").await;
    let gone = balancers(&provider).register("web", node).await;
    assert_eq!(kind(gone), Kind::NotFound);
    assert_by_the_book(&fake);
}

#[tokio::test]
async fn a_node_at_two_ports_is_one_member_and_leaves_from_both() {
    let fake = support::fake();
    fake.add_target_group(REGION, "web", "instance");
    let provider = support::provider(support::config(fake.endpoint()));
    let node = nodes(&fake, &provider, 1, Market::OnDemand)
        .await
        .remove(0)
        .id;
    balancers(&provider).register("web", &node).await.unwrap();
    let elb = aws_sdk_elasticloadbalancingv2::Client::new(&sdk(&fake));
    let arn = arn_of(&elb, "web").await;
    let second = TargetDescription::builder()
        .id(node.native())
        .port(8080)
        .build();
    let registered = elb.register_targets().target_group_arn(arn).targets(second);
    registered.send().await.unwrap();
    healthy(&provider, "web", &node).await;
    let members = balancers(&provider).members("web").await.unwrap();
    assert_eq!(members.len(), 1, "{members:?}");

    balancers(&provider).deregister("web", &node).await.unwrap();
    let members = balancers(&provider).members("web").await.unwrap();
    assert_eq!(
        members,
        [Member {
            node: node.clone(),
            health: MemberHealth::Draining
        }]
    );
    // What drains is left to it.
    fake.forget_calls();
    balancers(&provider).deregister("web", &node).await.unwrap();
    assert_eq!(calls(&fake, "DeregisterTargets"), 0);
    left(&provider, "web").await;
    assert_by_the_book(&fake);
}

#[tokio::test]
async fn a_node_that_cannot_join_is_refused_for_the_right_reason() {
    let fake = support::fake();
    fake.add_target_group(REGION, "web", "instance");
    let provider = support::provider(support::config(fake.endpoint()));
    let id = |region, native| NodeId::new("aws", region, native).unwrap();
    let unknown = id(REGION, "i-00000000000beef00");
    let registered = balancers(&provider).register("web", &unknown).await;
    assert_eq!(kind(registered), Kind::NotFound);
    let elsewhere = id("eu-west-1", "i-00000000000beef00");
    let registered = balancers(&provider).register("web", &elsewhere).await;
    assert_eq!(kind(registered), Kind::Invalid);
    balancers(&provider)
        .deregister("web", &elsewhere)
        .await
        .unwrap();
    let ended = nodes(&fake, &provider, 1, Market::OnDemand)
        .await
        .remove(0)
        .id;
    assert!(fake.terminate(ended.native()));
    let registered = balancers(&provider).register("web", &ended).await;
    assert_eq!(kind(registered), Kind::Conflict);
    assert_by_the_book(&fake);
}

#[tokio::test]
async fn a_group_that_was_made_anew_is_found() {
    let fake = support::fake();
    fake.add_target_group(REGION, "web", "instance");
    let provider = support::provider(support::config(fake.endpoint()));
    balancers(&provider).members("web").await.unwrap();
    fake.forget_calls();
    balancers(&provider).members("web").await.unwrap();
    assert_eq!(
        calls(&fake, "DescribeTargetGroups"),
        0,
        "it was looked up just now"
    );
    let gone = refuse("TargetGroupNotFound", "One or more target groups not found");
    fake.fail(Failure::once("DescribeTargetHealth", gone.clone()));
    balancers(&provider).members("web").await.unwrap();
    assert_eq!(
        calls(&fake, "DescribeTargetGroups"),
        2,
        "once in each region"
    );
    fake.fail(Failure::always("DescribeTargetHealth", gone));
    let members = balancers(&provider).members("web").await;
    assert_eq!(kind(members), Kind::NotFound);
}

async fn arn_of(elb: &aws_sdk_elasticloadbalancingv2::Client, name: &str) -> String {
    let groups = elb
        .describe_target_groups()
        .names(name)
        .send()
        .await
        .unwrap();
    let arn = groups.target_groups()[0].target_group_arn();
    arn.unwrap().to_owned()
}
