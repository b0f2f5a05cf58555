//! Fleets: instant with partial errors, request, and maintain.

use fleetwright_aws_fake::{Fake, FakeConfig, Lifecycle};

use crate::client::{Reply, call, eventually, try_call};

fn fake() -> Fake {
    let fake = Fake::start(FakeConfig::default()).unwrap();
    let image = &fake.images("us-east-1")[0];
    let template = [
        ("LaunchTemplateName", "web"),
        ("LaunchTemplateData.ImageId", image.as_str()),
        ("LaunchTemplateData.InstanceType", "t3.micro"),
        (
            "LaunchTemplateData.TagSpecification.1.ResourceType",
            "instance",
        ),
        ("LaunchTemplateData.TagSpecification.1.Tag.1.Key", "from"),
        (
            "LaunchTemplateData.TagSpecification.1.Tag.1.Value",
            "template",
        ),
    ];
    assert_eq!(call(&fake, "CreateLaunchTemplate", &template).status, 200);
    fake
}

/// Creates a fleet of a type with overrides given as `name=value` lists.
fn create(
    fake: &Fake,
    kind: &str,
    total: &str,
    overrides: &[&[(&str, &str)]],
    further: &[(&str, &str)],
) -> Reply {
    let mut parameters = vec![
        ("Type".to_owned(), kind.to_owned()),
        (
            "TargetCapacitySpecification.TotalTargetCapacity".to_owned(),
            total.to_owned(),
        ),
        (
            "LaunchTemplateConfigs.1.LaunchTemplateSpecification.LaunchTemplateName".to_owned(),
            "web".to_owned(),
        ),
        (
            "LaunchTemplateConfigs.1.LaunchTemplateSpecification.Version".to_owned(),
            "$Latest".to_owned(),
        ),
    ];
    for (index, over) in overrides.iter().enumerate() {
        for (name, value) in *over {
            let path = format!("LaunchTemplateConfigs.1.Overrides.{}.{name}", index + 1);
            parameters.push((path, (*value).to_owned()));
        }
    }
    let mut parameters: Vec<(&str, &str)> = parameters
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    parameters.extend_from_slice(further);
    call(fake, "CreateFleet", &parameters)
}

const PRIORITIZED: (&str, &str) = ("OnDemandOptions.AllocationStrategy", "prioritized");

#[test]
fn an_instant_fleet_answers_with_instances_and_errors_together() {
    let fake = fake();
    let subnets = fake.subnets("us-east-1");
    fake.set_capacity("us-east-1", Some("us-east-1a"), Some("m5.large"), Some(2));
    let reply = create(
        &fake,
        "instant",
        "5",
        &[
            &[
                ("InstanceType", "p5.48xlarge"),
                ("SubnetId", &subnets[2]),
                ("Priority", "0"),
            ],
            &[
                ("InstanceType", "m5.large"),
                ("SubnetId", &subnets[0]),
                ("Priority", "1"),
            ],
            &[
                ("InstanceType", "c5.large"),
                ("SubnetId", &subnets[1]),
                ("Priority", "2"),
            ],
        ],
        &[PRIORITIZED],
    );
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(
        reply.all("errorCode"),
        ["Unsupported", "InsufficientInstanceCapacity"]
    );
    let message = reply.all("errorMessage")[1];
    assert!(
        message.contains("choosing us-east-1b, us-east-1c."),
        "{message}"
    );
    let mut kinds: Vec<_> = fake
        .instances()
        .into_iter()
        .map(|instance| (instance.instance_type, instance.zone))
        .collect();
    kinds.sort();
    let expected = [
        ("c5.large", "us-east-1b"),
        ("c5.large", "us-east-1b"),
        ("c5.large", "us-east-1b"),
        ("m5.large", "us-east-1a"),
        ("m5.large", "us-east-1a"),
    ]
    .map(|(kind, zone)| (kind.to_owned(), zone.to_owned()));
    assert_eq!(kinds, expected);
}

#[test]
fn an_instant_fleet_is_idempotent_and_tags_its_instances() {
    let fake = fake();
    let further = [
        ("ClientToken", "claim"),
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "own"),
        ("TagSpecification.1.Tag.1.Value", "yes"),
    ];
    let first = create(&fake, "instant", "3", &[], &further);
    let again = create(&fake, "instant", "3", &[], &further);
    let fleet = first.first("fleetId").unwrap();
    assert_eq!(again.first("fleetId"), Some(fleet));
    assert_eq!(fake.instances().len(), 3);
    let other = create(&fake, "instant", "4", &[], &further);
    assert_eq!(other.code(), "IdempotentParameterMismatch");

    let tags = &fake.instances()[0].tags;
    let tags: Vec<_> = tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(
        tags,
        [
            ("aws:ec2:fleet-id", fleet),
            ("from", "template"),
            ("own", "yes")
        ]
    );
    let shown = call(&fake, "DescribeFleets", &[("FleetId.1", fleet)]);
    for instance in fake.instances() {
        assert!(shown.body.contains(&instance.id));
    }
    assert!(
        call(&fake, "DescribeFleets", &[])
            .first("fleetId")
            .is_none()
    );
}

#[test]
fn an_instant_fleet_below_its_minimum_has_nothing() {
    let fake = fake();
    fake.set_capacity("us-east-1", None, None, Some(2));
    let minimum = [("OnDemandOptions.MinTargetCapacity", "3")];
    let reply = create(&fake, "instant", "3", &[], &minimum);
    assert!(reply.first("instanceIds").is_none(), "{}", reply.body);
    assert!(reply.first("errorCode").is_some());
    assert_eq!(fake.instances(), vec![]);
}

#[test]
fn other_fleets_may_not_tag_instances_themselves() {
    let fake = fake();
    let tags = [
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "own"),
    ];
    for kind in ["request", "maintain"] {
        let refused = create(&fake, kind, "1", &[], &tags);
        assert_eq!(
            (refused.status, refused.code()),
            (400, "InvalidParameterValue")
        );
    }
}

#[test]
fn a_request_fleet_launches_later_and_replaces_nothing() {
    let fake = fake();
    let reply = create(&fake, "request", "3", &[], &[]);
    assert!(reply.first("instanceIds").is_none());
    eventually("three instances", || fake.instances().len() == 3);
    fake.terminate(&fake.instances()[0].id);
    crate::client::pause(std::time::Duration::from_millis(200));
    assert_eq!(fake.instances().len(), 2);
}

#[test]
fn a_maintain_fleet_replaces_what_ends() {
    let fake = fake();
    let reply = create(&fake, "maintain", "3", &[], &[]);
    let fleet = reply.first("fleetId").unwrap();
    eventually("three instances", || fake.instances().len() == 3);
    let gone = fake.instances()[0].id.clone();
    fake.terminate(&gone);
    assert_eq!(fake.instances().len(), 2);
    eventually("three again", || fake.instances().len() == 3);
    assert!(fake.instances().iter().all(|instance| instance.id != gone));
    let members = call(&fake, "DescribeFleetInstances", &[("FleetId", fleet)]);
    assert_eq!(members.all("instanceId").len(), 3);
    let history = [("FleetId", fleet), ("StartTime", "2020-01-01T00:00:00Z")];
    // The descriptions at hand leave this action out, so nobody checks its answer.
    let history = try_call(&fake, "us-east-1", "DescribeFleetHistory", &history).unwrap();
    assert_eq!(
        history.all("eventSubType"),
        ["launched", "launched", "launched", "terminated", "launched"]
    );
}

#[test]
fn a_maintain_fleet_launches_once_there_is_room() {
    let fake = fake();
    fake.set_capacity("us-east-1", None, None, Some(1));
    let reply = create(&fake, "maintain", "2", &[], &[]);
    let fleet = reply.first("fleetId").unwrap();
    let activity = || {
        let shown = call(&fake, "DescribeFleets", &[("FleetId.1", fleet)]);
        shown.first("activityStatus").unwrap().to_owned()
    };
    eventually("it says what is wrong", || activity() == "error");
    assert_eq!(fake.instances().len(), 1);
    fake.set_capacity("us-east-1", None, None, None);
    eventually("it is fulfilled", || activity() == "fulfilled");
    assert_eq!(fake.instances().len(), 2);
}

#[test]
fn weights_count_units_and_a_lowered_target_keeps_what_it_is_told_to_keep() {
    let fake = fake();
    let over: [&[(&str, &str)]; 1] = [&[("InstanceType", "m5.large"), ("WeightedCapacity", "2")]];
    let reply = create(&fake, "maintain", "6", &over, &[]);
    let fleet = reply.first("fleetId").unwrap();
    eventually("three machines of two units", || {
        fake.instances().len() == 3
    });

    // Lowered by the units of one machine first, the fleet does not replace that machine.
    let lower = [
        ("FleetId", fleet),
        ("ExcessCapacityTerminationPolicy", "no-termination"),
        ("TargetCapacitySpecification.TotalTargetCapacity", "4"),
    ];
    assert_eq!(call(&fake, "ModifyFleet", &lower).status, 200);
    crate::client::pause(std::time::Duration::from_millis(100));
    assert_eq!(fake.instances().len(), 3, "nothing is terminated by itself");
    fake.terminate(&fake.instances()[1].id);
    crate::client::pause(std::time::Duration::from_millis(200));
    assert_eq!(fake.instances().len(), 2, "nothing is replaced");

    // With the other policy the fleet itself picks a victim.
    let lower = [
        ("FleetId", fleet),
        ("ExcessCapacityTerminationPolicy", "termination"),
        ("TargetCapacitySpecification.TotalTargetCapacity", "2"),
    ];
    call(&fake, "ModifyFleet", &lower);
    eventually("one is gone", || fake.instances().len() == 1);
}

#[test]
fn a_fleet_has_a_share_on_demand_and_a_share_of_spot() {
    let fake = fake();
    let shares = [
        ("TargetCapacitySpecification.OnDemandTargetCapacity", "1"),
        (
            "TargetCapacitySpecification.DefaultTargetCapacityType",
            "spot",
        ),
    ];
    create(&fake, "instant", "4", &[], &shares);
    let spot = fake
        .instances()
        .iter()
        .filter(|instance| instance.lifecycle == Lifecycle::Spot)
        .count();
    assert_eq!((fake.instances().len(), spot), (4, 3));
    let wrong = [
        ("TargetCapacitySpecification.OnDemandTargetCapacity", "3"),
        ("TargetCapacitySpecification.SpotTargetCapacity", "3"),
    ];
    let refused = create(&fake, "instant", "4", &[], &wrong);
    assert_eq!(refused.code(), "InvalidTargetCapacitySpecification");
}

#[test]
fn strategies_choose_by_price_priority_or_evenly() {
    let chosen = |strategy: &str, total: &str| {
        let fake = fake();
        let further = [
            ("SpotOptions.AllocationStrategy", strategy),
            (
                "TargetCapacitySpecification.DefaultTargetCapacityType",
                "spot",
            ),
        ];
        let overrides: [&[(&str, &str)]; 3] = [
            &[("InstanceType", "m5.xlarge"), ("Priority", "1")],
            &[("InstanceType", "c5.large"), ("Priority", "3")],
            &[("InstanceType", "r5.large"), ("Priority", "2")],
        ];
        create(&fake, "instant", total, &overrides, &further);
        let mut kinds: Vec<_> = fake
            .instances()
            .into_iter()
            .map(|i| i.instance_type)
            .collect();
        kinds.sort();
        kinds
    };
    assert_eq!(chosen("lowest-price", "2"), ["c5.large", "c5.large"]);
    assert_eq!(chosen("capacity-optimized-prioritized", "1"), ["m5.xlarge"]);
    assert_eq!(
        chosen("diversified", "3"),
        ["c5.large", "m5.xlarge", "r5.large"]
    );
}

#[test]
fn deleting_ends_the_machines_or_leaves_them() {
    let fake = fake();
    let keeps = create(&fake, "maintain", "1", &[], &[]);
    let ends = create(&fake, "maintain", "2", &[], &[]);
    let (keeps, ends) = (
        keeps.first("fleetId").unwrap(),
        ends.first("fleetId").unwrap(),
    );
    eventually("three instances", || fake.instances().len() == 3);
    assert_eq!(fake.leftovers().len(), 3, "two fleets and a template");
    let delete = |fleet: &str, terminate: &str| {
        let parameters = [("FleetId.1", fleet), ("TerminateInstances", terminate)];
        call(&fake, "DeleteFleets", &parameters)
    };
    let reply = delete(keeps, "false");
    assert_eq!(reply.first("currentFleetState"), Some("deleted_running"));
    let reply = delete(ends, "true");
    assert_eq!(
        reply.first("currentFleetState"),
        Some("deleted_terminating")
    );
    assert_eq!(fake.instances().len(), 1);
    assert_eq!(fake.instances()[0].fleet.as_deref(), Some(keeps));
    fake.terminate(&fake.instances()[0].id);
    crate::client::pause(std::time::Duration::from_millis(100));
    assert_eq!(fake.instances(), vec![], "a deleted fleet replaces nothing");
    assert_eq!(
        delete(ends, "true").first("code"),
        Some("fleetNotInDeletableState")
    );
    assert_eq!(
        delete("fleet-0", "true").first("code"),
        Some("fleetIdDoesNotExist")
    );
    assert_eq!(fake.leftovers().len(), 1, "{:?}", fake.leftovers());
    let instant = create(&fake, "instant", "1", &[], &[]);
    let refused = delete(instant.first("fleetId").unwrap(), "false");
    assert_eq!(refused.first("code"), Some("unexpectedError"));
}
