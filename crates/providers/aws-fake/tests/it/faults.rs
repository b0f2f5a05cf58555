//! Faults at the wire: before the effect, after it, and in the middle of the answer.

use std::time::{Duration, Instant};

use fleetwright_aws_fake::{Failure, Fake, FakeConfig, How};

use crate::client::{Reply, call, connect, eventually, pause, receive, send, try_call};

fn fake() -> Fake {
    Fake::start(FakeConfig::default()).unwrap()
}

fn run(fake: &Fake) -> Option<Reply> {
    let image = &fake.images("us-east-1")[0];
    let parameters = [
        ("ImageId", image.as_str()),
        ("InstanceType", "t3.micro"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("ClientToken", "one"),
    ];
    try_call(fake, "us-east-1", "RunInstances", &parameters)
}

#[test]
fn a_fault_before_the_effect_has_none_and_one_after_it_has() {
    let refusal = How::Refuse {
        status: 503,
        code: "RequestLimitExceeded".to_owned(),
        message: "Request limit exceeded.".to_owned(),
    };
    let cases = [
        (How::CloseBefore, 0, None),
        (How::CloseAfter, 1, None),
        (refusal, 0, Some(503)),
        (How::Html { status: 502 }, 0, Some(502)),
        (How::HalfBody, 1, Some(200)),
        (How::Garbage, 1, Some(200)),
        (How::Delay(Duration::from_millis(1)), 1, Some(200)),
    ];
    for (how, launched, status) in cases {
        let fake = fake();
        fake.fail(Failure::once("RunInstances", how.clone()));
        let reply = run(&fake);
        assert_eq!(reply.map(|reply| reply.status), status, "{how:?}");
        assert_eq!(fake.instances().len(), launched, "{how:?}");
        let noted: Vec<u16> = fake.calls().iter().map(|call| call.status).collect();
        assert_eq!(noted, [status.unwrap_or(0)], "{how:?}");
        // The order is used up, and the token makes the second call harmless.
        let second = run(&fake).expect("an answer");
        assert_eq!((second.status, second.is_whole), (200, true), "{how:?}");
        assert_eq!(fake.instances().len(), 1, "{how:?}");
    }
}

#[test]
fn half_a_body_is_announced_whole() {
    let fake = fake();
    fake.fail(Failure::once("RunInstances", How::HalfBody));
    let reply = run(&fake).expect("a head");
    assert!(!reply.is_whole);
    assert!(reply.body.starts_with("<?xml"), "{}", reply.body);
    assert!(!reply.body.contains("</RunInstancesResponse>"));
}

#[test]
fn a_proxy_answers_html_and_garbage_is_no_xml() {
    let fake = fake();
    fake.fail(Failure::once("RunInstances", How::Html { status: 502 }));
    assert!(run(&fake).unwrap().body.starts_with("<html>"));
    fake.fail(Failure::once("RunInstances", How::Garbage));
    assert!(!run(&fake).unwrap().body.contains("RunInstances"));
}

#[test]
fn only_the_meant_action_and_region_fail_and_only_as_often_as_ordered() {
    let fake = fake();
    fake.fail(Failure {
        region: Some("eu-west-1".to_owned()),
        skip: 1,
        times: 2,
        ..Failure::once("DescribeVpcs", How::CloseBefore)
    });
    let works = |region: &str, action: &str| try_call(&fake, region, action, &[]).is_some();
    assert!(works("us-east-1", "DescribeVpcs"));
    assert!(works("eu-west-1", "DescribeSubnets"));
    let seen: Vec<bool> = (0..4).map(|_| works("eu-west-1", "DescribeVpcs")).collect();
    assert_eq!(seen, [true, false, false, true]);
    fake.fail(Failure::always("*", How::CloseBefore));
    assert!(!works("us-east-1", "DescribeVpcs") && !works("eu-west-1", "DescribeRegions"));
    fake.stop_failing();
    assert!(works("us-east-1", "DescribeVpcs"));
}

#[test]
fn a_connection_serves_many_requests() {
    let fake = fake();
    let mut stream = connect(&fake);
    for _ in 0..5 {
        send(&mut stream, "us-east-1", "DescribeVpcs", &[]);
        assert_eq!(receive(&mut stream).unwrap().status, 200);
    }
}

#[test]
fn slow_answers_do_not_wait_for_each_other() {
    let latency = Duration::from_millis(300);
    let fake = Fake::start(FakeConfig {
        latency,
        ..FakeConfig::default()
    })
    .unwrap();
    let begin = Instant::now();
    let mut streams: Vec<_> = (0..20).map(|_| connect(&fake)).collect();
    for stream in &mut streams {
        send(stream, "us-east-1", "DescribeVpcs", &[]);
    }
    for stream in &mut streams {
        assert_eq!(receive(stream).unwrap().status, 200);
    }
    let took = begin.elapsed();
    assert!(took >= latency, "{took:?}");
    assert!(
        took < latency * 10,
        "one after the other would take 20 times as long: {took:?}"
    );
}

#[test]
fn unknown_actions_and_regions_are_refused() {
    let fake = fake();
    assert_eq!(call(&fake, "MakeCoffee", &[]).code(), "InvalidAction");
    let reply = try_call(&fake, "mars-1", "DescribeVpcs", &[]).unwrap();
    assert_eq!((reply.status, reply.code()), (401, "AuthFailure"));
}

#[test]
fn calls_are_noted_with_the_machines_they_ask_for() {
    let fake = fake();
    run(&fake);
    call(&fake, "DescribeInstances", &[]);
    let calls = fake.calls();
    let noted: Vec<_> = calls
        .iter()
        .map(|call| (call.action.as_str(), call.service.as_str(), call.machines))
        .collect();
    let expected = [("RunInstances", "ec2", 1), ("DescribeInstances", "ec2", 0)];
    assert_eq!(noted, expected);
    fake.forget_calls();
    assert_eq!(fake.calls(), vec![]);
}

#[test]
fn what_was_asked_happens_although_the_caller_is_gone() {
    let fake = Fake::start(FakeConfig {
        latency: Duration::from_millis(200),
        ..FakeConfig::default()
    })
    .unwrap();
    let image = &fake.images("us-east-1")[0];
    let parameters = [
        ("ImageId", image.as_str()),
        ("InstanceType", "t3.micro"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
    ];
    let mut stream = connect(&fake);
    send(&mut stream, "us-east-1", "RunInstances", &parameters);
    // Long enough to be read, and long before the effect.
    pause(Duration::from_millis(50));
    drop(stream);
    assert_eq!(fake.instances(), vec![]);
    eventually("it was launched", || fake.instances().len() == 1);
}
