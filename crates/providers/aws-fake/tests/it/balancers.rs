//! Target groups and the health of their targets.

use std::time::Duration;

use fleetwright_aws_fake::Fake;

use crate::caller::{Client, eventually, expect_no_violations, start};

/// A fake with a running instance and a target group of instances.
fn bed() -> (Fake, Client, String, String) {
    let fake = start();
    fake.configure(|config| config.boot_time = Duration::ZERO);
    fake.set_target_delays(Duration::from_millis(150), Duration::from_millis(150));
    let arn = fake.add_target_group("us-east-1", "web", "instance");
    let id = fake.add_instance("us-east-1", &[]).unwrap();
    let client = Client::new(&fake, "elasticloadbalancing");
    (fake, client, arn, id)
}

fn states(client: &Client, arn: &str) -> Vec<String> {
    client
        .form("DescribeTargetHealth", &[("TargetGroupArn", arn)])
        .ok()
        .texts("State")
}

#[test]
fn a_target_becomes_healthy_and_drains_and_is_gone() {
    let (fake, client, arn, id) = bed();
    let target = [
        ("TargetGroupArn", arn.as_str()),
        ("Targets.member.1.Id", &id),
    ];
    client.form("RegisterTargets", &target).ok();
    assert_eq!(states(&client, &arn), ["initial"]);
    client.form("RegisterTargets", &target).ok();
    assert_eq!(states(&client, &arn).len(), 1, "registering is idempotent");
    eventually("healthy", || states(&client, &arn) == ["healthy"]);
    client.form("DeregisterTargets", &target).ok();
    assert_eq!(states(&client, &arn), ["draining"]);
    eventually("gone", || states(&client, &arn).is_empty());
    let unused = client.form("DescribeTargetHealth", &target).ok();
    assert_eq!(unused.texts("State"), ["unused"]);
    assert_eq!(unused.texts("Reason"), ["Target.NotRegistered"]);
    expect_no_violations(&fake);
}

#[test]
fn a_terminated_target_is_unused() {
    let (fake, client, arn, id) = bed();
    let target = [
        ("TargetGroupArn", arn.as_str()),
        ("Targets.member.1.Id", &id),
    ];
    client.form("RegisterTargets", &target).ok();
    assert!(fake.terminate(&id));
    eventually("unused", || states(&client, &arn) == ["unused"]);
    expect_no_violations(&fake);
}

#[test]
fn targets_that_cannot_be_are_refused() {
    let (fake, client, arn, id) = bed();
    let register = |arn: &str, id: &str| {
        let params = [("TargetGroupArn", arn), ("Targets.member.1.Id", id)];
        client.form("RegisterTargets", &params).refusal().0
    };
    assert_eq!(register(&arn, "i-0123456789abcdef0"), "InvalidTarget");
    assert_eq!(register("arn:aws:nothing", &id), "TargetGroupNotFound");
    fake.configure(|config| config.boot_time = Duration::from_hours(1));
    let pending = fake.add_instance("us-east-1", &[]).unwrap();
    assert_eq!(register(&arn, &pending), "InvalidTarget");
    let addresses = fake.add_target_group("us-east-1", "addresses", "ip");
    assert_eq!(register(&addresses, &id), "ValidationError");
    let params = [
        ("TargetGroupArn", addresses.as_str()),
        ("Targets.member.1.Id", "172.32.0.9"),
        ("Targets.member.1.Port", "8080"),
    ];
    client.form("RegisterTargets", &params).ok();
    let health = client.form("DescribeTargetHealth", &params[..1]).ok();
    assert_eq!(health.texts("Port"), ["8080"]);
    expect_no_violations(&fake);
}

#[test]
fn groups_and_balancers_are_found_by_name_and_in_pages() {
    let fake = start();
    let client = Client::new(&fake, "elasticloadbalancing");
    let arns: Vec<String> = ["a", "b", "c"]
        .iter()
        .map(|name| fake.add_target_group("us-east-1", name, "instance"))
        .collect();
    fake.add_target_group("eu-west-1", "elsewhere", "instance");
    let one = client
        .form("DescribeTargetGroups", &[("Names.member.1", "b")])
        .ok();
    assert_eq!(one.texts("TargetGroupArn"), [arns[1].clone()]);
    let none = client.form("DescribeTargetGroups", &[("Names.member.1", "elsewhere")]);
    assert_eq!(none.refusal().0, "TargetGroupNotFound");
    let first = client
        .form("DescribeTargetGroups", &[("PageSize", "2")])
        .ok();
    let marker = first.texts("NextMarker").remove(0);
    let second = client
        .form(
            "DescribeTargetGroups",
            &[("PageSize", "2"), ("Marker", &marker)],
        )
        .ok();
    assert!(second.texts("NextMarker").is_empty());
    let mut found = [
        first.texts("TargetGroupArn"),
        second.texts("TargetGroupArn"),
    ]
    .concat();
    found.sort();
    let mut expected = arns;
    expected.sort();
    assert_eq!(found, expected);
    let balancer = client
        .form("DescribeLoadBalancers", &[("Names.member.1", "a")])
        .ok();
    let arn = balancer.texts("LoadBalancerArn").remove(0);
    let of_balancer = client
        .form("DescribeTargetGroups", &[("LoadBalancerArn", &arn)])
        .ok();
    assert_eq!(of_balancer.texts("TargetGroupName"), ["a"]);
    let missing = client.form("DescribeLoadBalancers", &[("Names.member.1", "z")]);
    assert_eq!(missing.refusal().0, "LoadBalancerNotFound");
    expect_no_violations(&fake);
}
