//! What the command shows of AWS, and what it makes of wrong input.

use fleetwright_aws_fake::{Failure, Fake, FakeConfig, How};

use super::{alive, configuration, credentials, pool};
use crate::bed::Bed;

fn started() -> Fake {
    Fake::start(FakeConfig::default()).expect("a port of this machine is free")
}

fn bed(fake: &Fake, pools: &str) -> Bed {
    credentials(Bed::new(&configuration(&fake.endpoint(), pools)))
}

fn refuse(status: u16, code: &str, message: &str) -> How {
    How::Refuse {
        status,
        code: code.to_owned(),
        message: message.to_owned(),
    }
}

#[test]
fn options_that_cannot_be_are_told_with_their_place() {
    let fake = started();
    let pools = pool("web", "us-east-1", 1, "{ launch = \"fleets\" }");
    let ran = bed(&fake, &pools).run(&["validate"]);
    assert_eq!(ran.status, Some(3), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("fleets") && ran.stderr.contains("options"),
        "{}",
        ran.stderr
    );
    assert!(
        fake.calls().is_empty(),
        "nobody is asked about a wrong configuration"
    );
}

#[test]
fn validate_online_asks_ec2_without_making_anything() {
    let fake = started();
    let good = bed(&fake, &pool("web", "us-east-1", 1, "{}"));
    good.must(0, &["validate", "--online"]);
    let bad = bed(
        &fake,
        &pool(
            "web",
            "us-east-1",
            1,
            "{ security_groups = [\"sg-00000000000000bad\"] }",
        ),
    );
    let ran = bad.run(&["validate", "--online"]);
    assert_ne!(ran.status, Some(0), "{}", ran.stdout);
    assert!(ran.stderr.contains("would be refused"), "{}", ran.stderr);
    assert!(fake.all_instances().is_empty(), "a dry run makes nothing");
}

#[test]
fn without_credentials_the_way_out_is_told() {
    let fake = started();
    let text = configuration(&fake.endpoint(), &pool("web", "us-east-1", 1, "{}"));
    let bed = Bed::new(&text).with("AWS_EC2_METADATA_DISABLED", "true");
    let ran = bed.run(&["validate", "--online"]);
    assert!(
        ran.stderr.contains("there are no credentials for AWS"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("aws sso login"), "{}", ran.stderr);
}

#[test]
fn a_sold_out_zone_is_left_for_the_next_and_remembered() {
    let fake = started();
    fake.set_capacity("us-east-1", Some("us-east-1a"), None, Some(0));
    let bed = bed(&fake, &pool("web", "us-east-1", 3, "{}"));
    let up = bed.must(0, &["up", "--yes"]);
    assert_eq!(alive(&fake, "web").len(), 3, "{}", up.stderr);
    assert!(
        alive(&fake, "web")
            .iter()
            .all(|node| node.zone != "us-east-1a")
    );
    // The mark is in the journal: the next run does not ask there again.
    fake.forget_calls();
    let text = configuration(&fake.endpoint(), &pool("web", "us-east-1", 5, "{}"));
    bed.configure(&text);
    bed.must(0, &["up", "--yes"]);
    let creates: Vec<_> = fake
        .calls()
        .into_iter()
        .filter(|call| call.action == "RunInstances")
        .collect();
    assert_eq!(creates.len(), 1, "{creates:?}");
    assert_eq!(alive(&fake, "web").len(), 5);
}

#[test]
fn expired_credentials_are_not_failed_over() {
    let fake = started();
    let bed = bed(&fake, &pool("web", "us-east-1", 1, "{}"));
    fake.fail(Failure::always(
        "RunInstances",
        refuse(400, "RequestExpired", "Request has expired."),
    ));
    let ran = bed.run(&["up", "--yes", "--timeout", "20s"]);
    assert_ne!(ran.status, Some(0));
    assert!(ran.stderr.contains("Request has expired"), "{}", ran.stderr);
    let tries = fake
        .calls()
        .into_iter()
        .filter(|call| call.action == "RunInstances")
        .count();
    assert_eq!(tries, 1, "expired credentials help in no zone");
}

#[test]
fn a_hundred_nodes_are_one_call() {
    let fake = started();
    let bed = bed(&fake, &pool("web", "us-east-1", 100, "{}"));
    bed.must(0, &["up", "--yes"]);
    let creates: Vec<_> = fake
        .calls()
        .into_iter()
        .filter(|call| call.action == "RunInstances")
        .collect();
    assert_eq!(creates.len(), 1, "{creates:?}");
    assert_eq!(alive(&fake, "web").len(), 100);
    bed.must(0, &["down", "--yes"]);
    assert!(fake.instances().is_empty());
}

#[test]
fn live_nodes_are_asked_for_with_the_filters_that_users_of_ec2_know() {
    let fake = started();
    let bed = bed(&fake, &pool("web", "us-east-1", 2, "{}"));
    bed.must(0, &["up", "--yes"]);
    fake.add_instance("us-east-1", &[("Name", "by-hand"), ("team", "ml")]);
    fake.add_instance("eu-west-1", &[("Name", "elsewhere"), ("team", "web")]);
    bed.must(0, &["nodes"]);

    let names = |arguments: &[&str]| {
        let shown = bed.json(&[&["nodes", "--live"], arguments].concat());
        let nodes = shown["nodes"].as_array().expect("a list").clone();
        let name = |live: &serde_json::Value| live["node"]["name"].as_str().map(str::to_owned);
        nodes.iter().filter_map(name).collect::<Vec<_>>()
    };
    assert_eq!(names(&[]).len(), 2, "foreign ones only on request");
    assert_eq!(names(&["--foreign"]).len(), 4);
    fake.forget_calls();
    let by_hand = names(&[
        "--foreign",
        "--on",
        "tag:team=m*,instance-state-name=running",
    ]);
    assert_eq!(by_hand, ["by-hand"]);
    let calls = fake.calls();
    let sent: Vec<&String> = calls.iter().flat_map(|call| &call.filters).collect();
    for asked in ["tag:team", "instance-state-name"] {
        assert!(
            sent.iter().any(|name| *name == asked),
            "EC2 filters: {sent:?}"
        );
    }
    assert_eq!(
        names(&["--foreign", "--on", "tag:Name=else*,region=eu-*"]),
        ["elsewhere"]
    );
    let of_pool = names(&["--on", "pool=web,instance-type=t3.*,vpc-id=vpc-*"]);
    assert_eq!(of_pool.len(), 2);
    assert_eq!(names(&["--on", "vpc-id!=vpc-*"]), [] as [&str; 0]);

    let shown = bed.json(&["nodes", "--live", "--on", "pool=web"]);
    let metadata = &shown["nodes"][0]["node"]["metadata"];
    for key in ["vpc-id", "subnet-id", "image-id", "launch-time"] {
        assert!(metadata[key].is_string(), "{key}: {metadata}");
    }

    // The journal does not know such things, and must not select by them.
    for command in [&["nodes"][..], &["down", "--yes"]] {
        let ran = bed.run(&[command, &["--on", "vpc-id!=vpc-1"]].concat());
        assert_eq!(ran.status, Some(4), "{}", ran.stderr);
        assert!(ran.stderr.contains("--live"), "{}", ran.stderr);
    }
    assert_eq!(alive(&fake, "web").len(), 2);

    // A region that does not answer is told, and not shown as empty.
    fake.fail(Failure {
        region: Some("eu-west-1".to_owned()),
        ..Failure::always(
            "DescribeInstances",
            refuse(403, "UnauthorizedOperation", "You are not authorized."),
        )
    });
    let ran = bed.run(&["nodes", "--live"]);
    assert_eq!(ran.status, Some(20), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("not seen: cloud/eu-west-1"),
        "{}",
        ran.stderr
    );
}
