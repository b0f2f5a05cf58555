//! EC2's token buckets.

use fleetwright_aws_fake::{Fake, FakeConfig};

use crate::client::{Reply, call};

/// A fake whose buckets are never refilled.
fn fake() -> Fake {
    Fake::start(FakeConfig {
        buckets: true,
        bucket_scale: 0.0,
        ..FakeConfig::default()
    })
    .unwrap()
}

fn run(fake: &Fake, count: &str) -> Reply {
    let image = &fake.images("us-east-1")[0];
    let parameters = [
        ("ImageId", image.as_str()),
        ("InstanceType", "t3.micro"),
        ("MinCount", count),
        ("MaxCount", count),
    ];
    call(fake, "RunInstances", &parameters)
}

#[test]
fn one_call_for_each_machine_runs_dry_after_five() {
    let fake = fake();
    let refused: Vec<Reply> = (0..10)
        .map(|_| run(&fake, "1"))
        .filter(|reply| reply.status != 200)
        .collect();
    assert_eq!((refused.len(), fake.instances().len()), (5, 5));
    let said = (refused[0].status, refused[0].code());
    assert_eq!(said, (503, "RequestLimitExceeded"));
}

#[test]
fn a_thousand_machines_come_at_once_and_then_none() {
    let fake = fake();
    assert_eq!(run(&fake, "1000").status, 200);
    let refused = run(&fake, "1");
    assert_eq!(
        (refused.status, refused.code()),
        (503, "RequestLimitExceeded")
    );
    assert_eq!(fake.instances().len(), 1000);
}

#[test]
fn reads_have_a_bucket_of_their_own() {
    let fake = fake();
    let count = (0..110)
        .filter(|_| call(&fake, "DescribeVpcs", &[]).status == 200)
        .count();
    assert_eq!(count, 100);
    assert_eq!(run(&fake, "1").status, 200);
}

#[test]
fn without_buckets_nothing_is_throttled() {
    let fake = Fake::start(FakeConfig::default()).unwrap();
    assert!((0..20).all(|_| run(&fake, "1").status == 200));
}
