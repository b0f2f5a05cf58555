//! Spot fleet requests, and interruptions.

use std::time::Duration;

use fleetwright_aws_fake::{Fake, FakeConfig, Lifecycle, Notice};

use crate::client::{Reply, call, eventually, pause};

fn fake() -> Fake {
    Fake::start(FakeConfig {
        notice: Duration::from_millis(50),
        ..FakeConfig::default()
    })
    .unwrap()
}

const CONFIG: &str = "SpotFleetRequestConfig";
const SPEC: &str = "SpotFleetRequestConfig.LaunchSpecifications.1";

fn request(fake: &Fake, kind: &str, total: &str, further: &[(&str, &str)]) -> Reply {
    let image = &fake.images("us-east-1")[0];
    let all: Vec<(String, &str)> = [
        (CONFIG, "Type", kind),
        (CONFIG, "TargetCapacity", total),
        (
            CONFIG,
            "IamFleetRole",
            "arn:aws:iam::123456789012:role/fleet",
        ),
        (CONFIG, "ClientToken", "always-the-same"),
        (SPEC, "ImageId", image),
        (SPEC, "InstanceType", "m5.large"),
        (SPEC, "TagSpecificationSet.1.ResourceType", "instance"),
        (SPEC, "TagSpecificationSet.1.Tag.1.Key", "own"),
        (SPEC, "TagSpecificationSet.1.Tag.1.Value", "yes"),
    ]
    .into_iter()
    .chain(further.iter().map(|(name, value)| (CONFIG, *name, *value)))
    .map(|(prefix, name, value)| (format!("{prefix}.{name}"), value))
    .collect();
    let parameters: Vec<(&str, &str)> = all
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    let reply = call(fake, "RequestSpotFleet", &parameters);
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply
}

#[test]
fn every_call_makes_one_more_request_whatever_its_token() {
    let fake = fake();
    let first = request(&fake, "request", "2", &[]);
    let second = request(&fake, "request", "2", &[]);
    let id = |reply: &Reply| reply.first("spotFleetRequestId").unwrap().to_owned();
    assert_ne!(id(&first), id(&second));
    eventually("four instances", || fake.instances().len() == 4);
    let instance = &fake.instances()[0];
    assert_eq!(instance.lifecycle, Lifecycle::Spot);
    assert_eq!(instance.tags["own"], "yes");
    assert_eq!(instance.tags["aws:ec2spot:fleet-request-id"], id(&first));
    let members = [("SpotFleetRequestId", id(&first))];
    let members = members
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let members = call(&fake, "DescribeSpotFleetInstances", &members);
    assert_eq!(members.all("instanceId").len(), 2);
}

#[test]
fn a_maintained_request_replaces_shrinks_and_is_cancelled() {
    let fake = fake();
    let weight = [("LaunchSpecifications.1.WeightedCapacity", "2")];
    let reply = request(&fake, "maintain", "4", &weight);
    let id = reply.first("spotFleetRequestId").unwrap();
    eventually("two machines", || fake.instances().len() == 2);
    fake.terminate(&fake.instances()[0].id);
    eventually("two again", || fake.instances().len() == 2);

    let lower = [
        ("SpotFleetRequestId", id),
        ("TargetCapacity", "2"),
        ("ExcessCapacityTerminationPolicy", "noTermination"),
    ];
    assert_eq!(call(&fake, "ModifySpotFleetRequest", &lower).status, 200);
    fake.terminate(&fake.instances()[0].id);
    pause(Duration::from_millis(150));
    assert_eq!(fake.instances().len(), 1);

    let shown = call(
        &fake,
        "DescribeSpotFleetRequests",
        &[("SpotFleetRequestId.1", id)],
    );
    assert_eq!(shown.first("spotFleetRequestState"), Some("active"));
    assert_eq!(shown.first("fulfilledCapacity"), Some("2"));
    assert_eq!(fake.leftovers().len(), 1, "{:?}", fake.leftovers());
    let cancel = [("SpotFleetRequestId.1", id), ("TerminateInstances", "true")];
    let cancelled = call(&fake, "CancelSpotFleetRequests", &cancel);
    let state = cancelled.first("currentSpotFleetRequestState");
    assert_eq!(state, Some("cancelled_terminating"));
    assert_eq!(fake.instances(), vec![]);
    assert_eq!(fake.leftovers(), Vec::<String>::new());
    let again = call(&fake, "CancelSpotFleetRequests", &cancel);
    assert_eq!(
        again.first("code"),
        Some("fleetRequestNotInCancellableState")
    );
}

#[test]
fn templates_with_overrides_work_as_specifications_do() {
    let fake = fake();
    let image = &fake.images("us-east-1")[0];
    let subnets = fake.subnets("us-east-1");
    let template = [
        ("LaunchTemplateName", "web"),
        ("LaunchTemplateData.ImageId", image.as_str()),
    ];
    call(&fake, "CreateLaunchTemplate", &template);
    let parameters = [
        ("Type", "request"),
        ("TargetCapacity", "3"),
        ("OnDemandTargetCapacity", "1"),
        ("IamFleetRole", "arn:aws:iam::123456789012:role/fleet"),
        (
            "LaunchTemplateConfigs.1.LaunchTemplateSpecification.LaunchTemplateName",
            "web",
        ),
        (
            "LaunchTemplateConfigs.1.LaunchTemplateSpecification.Version",
            "1",
        ),
        (
            "LaunchTemplateConfigs.1.Overrides.1.InstanceType",
            "c5.large",
        ),
        ("LaunchTemplateConfigs.1.Overrides.1.SubnetId", &subnets[1]),
        ("TagSpecification.1.ResourceType", "spot-fleet-request"),
        ("TagSpecification.1.Tag.1.Key", "team"),
        ("TagSpecification.1.Tag.1.Value", "blue"),
    ];
    let all: Vec<(String, &str)> = parameters
        .iter()
        .map(|(name, value)| (format!("SpotFleetRequestConfig.{name}"), *value))
        .collect();
    let all: Vec<(&str, &str)> = all
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    let reply = call(&fake, "RequestSpotFleet", &all);
    assert_eq!(reply.status, 200, "{}", reply.body);
    eventually("three instances", || fake.instances().len() == 3);
    let spot = |lifecycle| {
        let is_it = |i: &&fleetwright_aws_fake::Instance| i.lifecycle == lifecycle;
        fake.instances().iter().filter(is_it).count()
    };
    assert_eq!((spot(Lifecycle::OnDemand), spot(Lifecycle::Spot)), (1, 2));
    assert!(fake.instances().iter().all(|i| i.zone == "us-east-1b"));
    let tags = [
        ("Filter.1.Name", "resource-type"),
        ("Filter.1.Value.1", "spot-fleet-request"),
    ];
    assert_eq!(
        call(&fake, "DescribeTags", &tags).first("value"),
        Some("blue")
    );
}

#[test]
fn an_interrupted_instance_ends_after_its_notice_and_is_replaced() {
    let fake = fake();
    request(&fake, "maintain", "1", &[]);
    eventually("an instance", || fake.instances().len() == 1);
    let id = fake.instances()[0].id.clone();
    assert!(
        fake.interrupt(&id, Notice::Rebalance),
        "a sign without consequences"
    );
    assert!(fake.interrupt(&id, Notice::Interruption));
    assert_eq!(fake.instances()[0].id, id, "still there during the notice");
    eventually("another one", || {
        fake.instances()
            .first()
            .is_some_and(|instance| instance.id != id)
    });
    let gone = fake
        .all_instances()
        .into_iter()
        .find(|i| i.id == id)
        .unwrap();
    assert_eq!(
        gone.state_reason.unwrap().0,
        "Server.SpotInstanceTermination"
    );
    assert!(!fake.interrupt(&id, Notice::Interruption), "it is gone");
    assert!(!fake.interrupt("i-00000000000000000", Notice::Interruption));
}
