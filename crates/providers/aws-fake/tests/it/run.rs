//! RunInstances and TerminateInstances.

use fleetwright_aws_fake::{Fake, FakeConfig, Lifecycle, State};

use crate::client::{Reply, call, eventually};

fn fake() -> Fake {
    Fake::start(FakeConfig::default()).unwrap()
}

/// Runs `maximum` machines of a type with further parameters.
fn run(fake: &Fake, kind: &str, minimum: &str, maximum: &str, further: &[(&str, &str)]) -> Reply {
    let image = &fake.images("us-east-1")[0];
    let mut parameters = vec![
        ("ImageId", image.as_str()),
        ("InstanceType", kind),
        ("MinCount", minimum),
        ("MaxCount", maximum),
    ];
    parameters.extend_from_slice(further);
    call(fake, "RunInstances", &parameters)
}

#[test]
fn the_same_token_brings_the_same_instances_even_after_they_ended() {
    let fake = fake();
    let token = [("ClientToken", "claim-1")];
    let first = run(&fake, "t3.micro", "1", "3", &token);
    let ids: Vec<String> = first
        .all("instanceId")
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!((first.status, ids.len()), (200, 3));
    let again = run(&fake, "t3.micro", "1", "3", &token);
    assert_eq!(again.first("reservationId"), first.first("reservationId"));
    assert_eq!(again.all("instanceId"), ids);
    assert_eq!(fake.instances().len(), 3);

    for id in &ids {
        assert!(fake.terminate(id));
    }
    let late = run(&fake, "t3.micro", "1", "3", &token);
    assert_eq!(late.all("instanceId"), ids);
    assert_eq!(fake.instances(), vec![], "nothing new was launched");
}

#[test]
fn the_same_token_with_other_parameters_is_refused() {
    let fake = fake();
    let token = ("ClientToken", "claim-1");
    run(&fake, "t3.micro", "1", "3", &[token]);
    for other in [
        run(&fake, "t3.micro", "1", "4", &[token]),
        run(&fake, "t3.small", "1", "3", &[token]),
        run(
            &fake,
            "t3.micro",
            "1",
            "3",
            &[token, ("KeyName", "fleetwright")],
        ),
    ] {
        let said = (other.status, other.code());
        assert_eq!(said, (400, "IdempotentParameterMismatch"));
    }
    assert_eq!(
        run(&fake, "t3.micro", "1", "3", &[("ClientToken", "claim-2")]).status,
        200
    );
    assert_eq!(fake.instances().len(), 6);
}

#[test]
fn a_launch_takes_what_there_is_down_to_its_minimum() {
    let fake = fake();
    fake.set_capacity("us-east-1", None, Some("m5.large"), Some(2));
    let refused = run(&fake, "m5.large", "3", "5", &[]);
    let said = (refused.status, refused.code());
    assert_eq!(said, (500, "InsufficientInstanceCapacity"));
    assert_eq!(fake.instances(), vec![], "all or nothing below the minimum");
    let partial = run(&fake, "m5.large", "1", "5", &[]);
    assert_eq!(partial.all("instanceId").len(), 2);
    fake.set_capacity("us-east-1", None, Some("m5.large"), None);
    assert_eq!(run(&fake, "m5.large", "5", "5", &[]).status, 200);
}

#[test]
fn a_full_zone_names_the_zones_that_have_room() {
    let fake = fake();
    let zones = ["us-east-1a", "us-east-1b"];
    for zone in zones {
        fake.set_capacity("us-east-1", Some(zone), Some("g4dn.xlarge"), Some(0));
    }
    let subnets = fake.subnets("us-east-1");
    let by_zone = run(
        &fake,
        "g4dn.xlarge",
        "1",
        "1",
        &[("Placement.AvailabilityZone", "us-east-1a")],
    );
    let by_subnet = run(&fake, "g4dn.xlarge", "1", "1", &[("SubnetId", &subnets[0])]);
    for refused in [by_zone, by_subnet] {
        assert_eq!(refused.code(), "InsufficientInstanceCapacity");
        assert_eq!(
            refused.message(),
            "We currently do not have sufficient g4dn.xlarge capacity in the Availability Zone you \
             requested (us-east-1a). Our system will be working on provisioning additional \
             capacity. You can currently get g4dn.xlarge capacity by not specifying an \
             Availability Zone in your request or choosing us-east-1c."
        );
    }
    let free = run(&fake, "g4dn.xlarge", "1", "1", &[]);
    assert_eq!(free.first("availabilityZone"), Some("us-east-1c"));
    let spot = [
        ("SubnetId", subnets[0].as_str()),
        ("InstanceMarketOptions.MarketType", "spot"),
    ];
    let refused = run(&fake, "g4dn.xlarge", "1", "1", &spot);
    assert_eq!(refused.code(), "InsufficientInstanceCapacity");
    assert!(
        !refused.message().contains("us-east-1c"),
        "no hints for spot"
    );
}

#[test]
fn what_cannot_be_is_refused_with_the_code_of_ec2() {
    let fake = fake();
    let image = &fake.images("us-east-1")[0];
    let foreign = &fake.images("eu-west-1")[0];
    let arm = &fake.images("us-east-1")[1];
    let long = "A".repeat(16 * 1024 / 3 * 4 + 8);
    let subnets = fake.subnets("us-east-1");
    let cases: [(&[(&str, &str)], &str); 13] = [
        (&[("InstanceType", "x9.huge")], "InvalidParameterValue"),
        (&[("ImageId", foreign)], "InvalidAMIID.NotFound"),
        (&[("ImageId", "debian")], "InvalidAMIID.Malformed"),
        (&[("ImageId", arm)], "InvalidParameterValue"),
        (&[("SubnetId", "subnet-0")], "InvalidSubnetID.NotFound"),
        (&[("SecurityGroupId.1", "sg-0")], "InvalidGroup.NotFound"),
        (&[("KeyName", "nobody")], "InvalidKeyPair.NotFound"),
        (&[("UserData", &long)], "InvalidParameterValue"),
        (&[("UserData", "#!/bin/sh")], "InvalidUserData.Malformed"),
        (&[("MinCount", "2")], "InvalidParameterValue"),
        (
            &[("InstanceType", "p5.48xlarge"), ("SubnetId", &subnets[2])],
            "Unsupported",
        ),
        (
            &[
                ("TagSpecification.1.ResourceType", "instance"),
                ("TagSpecification.1.Tag.1.Key", "aws:mine"),
            ],
            "InvalidParameterValue",
        ),
        (
            &[("LaunchTemplate.LaunchTemplateName", "nobody")],
            "InvalidLaunchTemplateName.NotFoundException",
        ),
    ];
    for (changes, code) in cases {
        let mut parameters = vec![
            ("ImageId", image.as_str()),
            ("InstanceType", "t3.micro"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
        ];
        parameters.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        parameters.extend_from_slice(changes);
        let reply = call(&fake, "RunInstances", &parameters);
        assert_eq!((reply.status, reply.code()), (400, code), "{changes:?}");
        assert!(reply.first("RequestID").is_some());
    }
    assert_eq!(fake.all_instances(), vec![]);
}

#[test]
fn a_dry_run_says_what_would_happen_and_does_nothing() {
    let fake = fake();
    let good = run(&fake, "t3.micro", "1", "1", &[("DryRun", "true")]);
    assert_eq!((good.status, good.code()), (412, "DryRunOperation"));
    let bad = run(&fake, "x9.huge", "1", "1", &[("DryRun", "true")]);
    assert_eq!(bad.code(), "InvalidParameterValue");
    assert_eq!(fake.all_instances(), vec![]);
}

#[test]
fn the_quota_counts_vcpus_of_a_family_and_of_a_market() {
    let fake = fake();
    fake.set_vcpu_quota("us-east-1", Some(8));
    fake.set_spot_vcpu_quota("us-east-1", Some(4));
    assert_eq!(
        run(&fake, "m5.xlarge", "1", "9", &[])
            .all("instanceId")
            .len(),
        2
    );
    let refused = run(&fake, "t3.micro", "1", "1", &[]);
    assert_eq!(refused.code(), "VcpuLimitExceeded");
    assert!(
        refused.message().contains("limit of 8"),
        "{}",
        refused.message()
    );
    assert_eq!(
        run(&fake, "g4dn.xlarge", "1", "1", &[]).status,
        200,
        "another family"
    );
    let spot = [("InstanceMarketOptions.MarketType", "spot")];
    assert_eq!(
        run(&fake, "m5.xlarge", "1", "1", &spot).status,
        200,
        "another market"
    );
    let refused = run(&fake, "m5.xlarge", "1", "1", &spot);
    assert_eq!(refused.code(), "MaxSpotInstanceCountExceeded");
}

#[test]
fn spot_instances_say_so_and_too_low_a_price_is_refused() {
    let fake = fake();
    let spot = ("InstanceMarketOptions.MarketType", "spot");
    let price = "InstanceMarketOptions.SpotOptions.MaxPrice";
    let refused = run(&fake, "t3.micro", "1", "1", &[spot, (price, "0.0001")]);
    assert_eq!(refused.code(), "SpotMaxPriceTooLow");
    let reply = run(&fake, "t3.micro", "1", "1", &[spot, (price, "0.01")]);
    assert_eq!(reply.first("instanceLifecycle"), Some("spot"));
    assert_eq!(fake.instances()[0].lifecycle, Lifecycle::Spot);
}

#[test]
fn an_instance_boots_ends_and_is_forgotten() {
    let fake = fake();
    let reply = run(&fake, "t3.micro", "1", "1", &[]);
    let id = reply.first("instanceId").unwrap();
    let state = || {
        let reply = call(&fake, "DescribeInstances", &[("InstanceId.1", id)]);
        reply
            .first("name")
            .map_or(reply.code().to_owned(), ToOwned::to_owned)
    };
    eventually("it runs", || state() == "running");
    let ended = call(&fake, "TerminateInstances", &[("InstanceId.1", id)]);
    assert_eq!(ended.all("name"), ["shutting-down", "running"]);
    eventually("it is terminated", || state() == "terminated");
    let again = call(&fake, "TerminateInstances", &[("InstanceId.1", id)]);
    assert_eq!(again.all("name"), ["terminated", "terminated"]);
    let shown = call(&fake, "DescribeInstances", &[("InstanceId.1", id)]);
    assert!(shown.body.contains("Client.UserInitiatedShutdown"));
    assert_eq!(shown.first("privateIpAddress"), None);
    assert_eq!(fake.all_instances()[0].state, State::Terminated);
}

#[test]
fn a_terminated_instance_is_forgotten_after_a_while() {
    let fake = Fake::start(FakeConfig {
        terminated_for: std::time::Duration::ZERO,
        ..FakeConfig::default()
    })
    .unwrap();
    let id = fake.add_instance("us-east-1", &[]).unwrap();
    assert!(fake.terminate(&id));
    eventually("it is forgotten", || {
        let reply = call(&fake, "DescribeInstances", &[("InstanceId.1", &id)]);
        reply.code() == "InvalidInstanceID.NotFound"
    });
    assert!(!fake.terminate(&id));
    assert_eq!(fake.all_instances().len(), 1, "the truth remembers it");
}

#[test]
fn one_wrong_id_refuses_to_terminate_any() {
    let fake = fake();
    let id = fake.add_instance("us-east-1", &[]).unwrap();
    let ids = [
        ("InstanceId.1", id.as_str()),
        ("InstanceId.2", "i-00000000000abcdef"),
        ("InstanceId.3", "i-00000000000abcdee"),
    ];
    let refused = call(&fake, "TerminateInstances", &ids);
    assert_eq!(refused.code(), "InvalidInstanceID.NotFound");
    assert_eq!(
        refused.message(),
        "The instance IDs 'i-00000000000abcdef, i-00000000000abcdee' do not exist"
    );
    let malformed = call(&fake, "TerminateInstances", &[("InstanceId.1", "node-1")]);
    assert_eq!(malformed.code(), "InvalidInstanceID.Malformed");
    assert_eq!(fake.instances().len(), 1);
}
