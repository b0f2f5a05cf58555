//! Auto Scaling groups: they get what they want, as far as it can be had.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwright_aws_fake::{Fake, FakeConfig, Lifecycle};

use crate::caller::{Client, Reply, eventually, expect_no_violations};

struct Bed {
    fake: Fake,
    client: Client,
    zones: String,
}

impl Bed {
    /// A fake with a launch template `base` of `t3.micro`.
    fn new() -> Self {
        let fake = Fake::start(FakeConfig::default()).unwrap();
        let image = fake.images("us-east-1")[0].clone();
        Client::new(&fake, "ec2")
            .form(
                "CreateLaunchTemplate",
                &[
                    ("LaunchTemplateName", "base"),
                    ("LaunchTemplateData.ImageId", &image),
                    ("LaunchTemplateData.InstanceType", "t3.micro"),
                ],
            )
            .ok();
        let zones = fake.subnets("us-east-1").join(",");
        let client = Client::new(&fake, "autoscaling");
        Self {
            fake,
            client,
            zones,
        }
    }

    fn call(&self, action: &str, params: &[(&str, &str)]) -> Reply {
        let named = [&[("AutoScalingGroupName", "g")], params].concat();
        self.client.form(action, &named)
    }

    fn try_create(&self, sizes: [&str; 3], more: &[(&str, &str)]) -> Reply {
        let [min, desired, max] = sizes;
        let params = [
            ("MinSize", min),
            ("DesiredCapacity", desired),
            ("MaxSize", max),
            ("VPCZoneIdentifier", &self.zones),
        ];
        self.call("CreateAutoScalingGroup", &[&params[..], more].concat())
    }

    /// Creates the group `g` from the template, with minimum, desired and maximum.
    fn create(&self, sizes: [&str; 3]) {
        self.try_create(sizes, &[("LaunchTemplate.LaunchTemplateName", "base")])
            .ok();
    }

    fn group(&self) -> Reply {
        let params = [("AutoScalingGroupNames.member.1", "g")];
        self.client.form("DescribeAutoScalingGroups", &params).ok()
    }

    fn states(&self) -> Vec<String> {
        self.group().texts("LifecycleState")
    }

    /// Waits until the group has so many members, all in service.
    fn settle(&self, count: usize) -> Vec<String> {
        eventually("all in service", || {
            let states = self.states();
            states.len() == count && states.iter().all(|state| state == "InService")
        });
        self.group().texts("InstanceId")
    }

    fn activities(&self) -> Reply {
        self.call("DescribeScalingActivities", &[]).ok()
    }
}

#[test]
fn a_group_launches_what_it_wants_in_all_zones() {
    let bed = Bed::new();
    let delay = Duration::from_millis(200);
    bed.fake.configure(|config| config.async_delay = delay);
    let tags = [
        ("LaunchTemplate.LaunchTemplateName", "base"),
        ("Tags.member.1.Key", "team"),
        ("Tags.member.1.Value", "red"),
        ("Tags.member.1.PropagateAtLaunch", "true"),
        ("Tags.member.2.Key", "secret"),
        ("Tags.member.2.Value", "x"),
        ("Tags.member.2.PropagateAtLaunch", "false"),
    ];
    bed.try_create(["0", "6", "10"], &tags).ok();
    assert!(bed.states().is_empty(), "not at once");
    bed.settle(6);
    let mut zones = BTreeMap::new();
    for instance in bed.fake.instances() {
        *zones.entry(instance.zone).or_insert(0) += 1;
        assert_eq!(instance.tags["team"], "red");
        assert_eq!(instance.tags["aws:autoscaling:groupName"], "g");
        assert!(!instance.tags.contains_key("secret"));
    }
    assert_eq!(zones.into_values().collect::<Vec<_>>(), [2, 2, 2]);
    assert_eq!(bed.fake.leftovers().len(), 2, "{:?}", bed.fake.leftovers());
    expect_no_violations(&bed.fake);
}

#[test]
fn a_member_that_somebody_terminates_is_replaced() {
    let bed = Bed::new();
    bed.create(["0", "2", "5"]);
    let before = bed.settle(2);
    assert!(bed.fake.terminate(&before[0]));
    assert_eq!(bed.group().texts("HealthStatus")[0], "Unhealthy");
    eventually("replaced", || {
        let now = bed.group().texts("InstanceId");
        now.len() == 2 && !now.contains(&before[0])
    });
    bed.settle(2);
    expect_no_violations(&bed.fake);
}

#[test]
fn a_suspended_process_does_not_replace() {
    let bed = Bed::new();
    bed.create(["0", "2", "5"]);
    let before = bed.settle(2);
    let process = [("ScalingProcesses.member.1", "ReplaceUnhealthy")];
    bed.call("SuspendProcesses", &process).ok();
    assert_eq!(bed.group().texts("ProcessName"), ["ReplaceUnhealthy"]);
    bed.fake.terminate(&before[0]);
    crate::caller::pause(Duration::from_millis(150));
    assert_eq!(bed.fake.instances().len(), 1);
    bed.call("ResumeProcesses", &process).ok();
    eventually("replaced", || bed.fake.instances().len() == 2);
    let unknown = [("ScalingProcesses.member.1", "Nonsense")];
    assert_eq!(
        bed.call("SuspendProcesses", &unknown).refusal().0,
        "ValidationError"
    );
    expect_no_violations(&bed.fake);
}

#[test]
fn desired_capacity_stays_within_its_limits() {
    let bed = Bed::new();
    bed.create(["1", "1", "3"]);
    bed.settle(1);
    let set = |n: &str| bed.call("SetDesiredCapacity", &[("DesiredCapacity", n)]);
    let (code, message) = set("4").refusal();
    assert_eq!(code, "ValidationError");
    assert_eq!(
        message,
        "New SetDesiredCapacity value 4 is above max value 3 for the AutoScalingGroup."
    );
    assert!(set("0").refusal().1.contains("below min value 1"));
    set("3").ok();
    bed.settle(3);
    set("1").ok();
    bed.settle(1);
    bed.call("UpdateAutoScalingGroup", &[("MinSize", "2")]).ok();
    bed.settle(2);
    let wrong = bed.call("UpdateAutoScalingGroup", &[("MaxSize", "1")]);
    assert_eq!(wrong.refusal().0, "ValidationError");
    expect_no_violations(&bed.fake);
}

#[test]
fn protected_members_survive_a_smaller_group() {
    let bed = Bed::new();
    bed.create(["0", "3", "3"]);
    let members = bed.settle(3);
    let protect = [
        ("InstanceIds.member.1", members[0].as_str()),
        ("InstanceIds.member.2", &members[1]),
        ("ProtectedFromScaleIn", "true"),
    ];
    bed.call("SetInstanceProtection", &protect).ok();
    bed.call("SetDesiredCapacity", &[("DesiredCapacity", "0")])
        .ok();
    assert_eq!(bed.settle(2), members[..2]);
    assert_eq!(bed.activities().texts("StatusCode")[0], "Failed");
    let foreign = [
        ("InstanceIds.member.1", "i-0123456789abcdef0"),
        ("ProtectedFromScaleIn", "true"),
    ];
    let refused = bed.call("SetInstanceProtection", &foreign).refusal();
    assert!(refused.1.contains("is not part of Auto Scaling group g"));
    expect_no_violations(&bed.fake);
}

#[test]
fn a_member_is_terminated_with_or_without_lowering_the_group() {
    let bed = Bed::new();
    bed.create(["1", "2", "3"]);
    let members = bed.settle(2);
    let terminate = |id: &str, lower: &str| {
        let params = [
            ("InstanceId", id),
            ("ShouldDecrementDesiredCapacity", lower),
        ];
        let action = "TerminateInstanceInAutoScalingGroup";
        bed.client.form(action, &params)
    };
    terminate(&members[0], "true").ok();
    assert_eq!(bed.settle(1), members[1..]);
    let (code, message) = terminate(&members[1], "true").refusal();
    assert_eq!(code, "ValidationError");
    assert!(
        message.starts_with("Currently, desiredSize equals minSize (1)."),
        "{message}"
    );
    terminate(&members[1], "false").ok();
    eventually("replaced", || {
        !bed.group().texts("InstanceId").contains(&members[1])
    });
    bed.settle(1);
    let unknown = terminate("i-0123456789abcdef0", "true").refusal();
    assert!(unknown.1.contains("No managed instance found"));
    expect_no_violations(&bed.fake);
}

#[test]
fn detached_instances_live_on() {
    let bed = Bed::new();
    bed.create(["1", "2", "3"]);
    let members = bed.settle(2);
    let detach = |id: &str| {
        let params = [
            ("InstanceIds.member.1", id),
            ("ShouldDecrementDesiredCapacity", "true"),
        ];
        bed.call("DetachInstances", &params)
    };
    detach(&members[0]).ok();
    assert_eq!(bed.settle(1), members[1..]);
    assert_eq!(bed.fake.instances().len(), 2);
    let free = &bed.fake.instances()[0];
    assert!(!free.tags.contains_key("aws:autoscaling:groupName"));
    assert!(detach(&members[1]).refusal().1.contains("min-size=1"));
    expect_no_violations(&bed.fake);
}

#[test]
fn a_group_is_deleted_when_it_is_empty_or_by_force() {
    let bed = Bed::new();
    let delay = Duration::from_secs(1);
    bed.fake.configure(|config| config.async_delay = delay);
    bed.create(["0", "2", "3"]);
    let early = bed.call("DeleteAutoScalingGroup", &[]).refusal();
    assert_eq!(early.0, "ScalingActivityInProgress");
    bed.settle(2);
    assert_eq!(
        bed.call("DeleteAutoScalingGroup", &[]).refusal().0,
        "ResourceInUse"
    );
    bed.call("DeleteAutoScalingGroup", &[("ForceDelete", "true")])
        .ok();
    assert_eq!(bed.group().texts("Status"), ["Delete in progress"]);
    let again = bed.try_create(
        ["0", "0", "1"],
        &[("LaunchTemplate.LaunchTemplateName", "base")],
    );
    let (code, message) = again.refusal();
    assert_eq!(code, "AlreadyExists");
    assert!(message.ends_with("and is pending delete"), "{message}");
    eventually("gone", || bed.group().texts("MinSize").is_empty());
    assert!(bed.fake.instances().is_empty());
    bed.create(["0", "0", "1"]);
    bed.call("DeleteAutoScalingGroup", &[]).ok();
    let gone = bed.call("DeleteAutoScalingGroup", &[]).refusal();
    assert_eq!(gone.0, "ValidationError");
    expect_no_violations(&bed.fake);
}

#[test]
fn missing_capacity_is_an_activity_that_failed_and_is_tried_again() {
    let bed = Bed::new();
    bed.fake.set_capacity("us-east-1", None, None, Some(2));
    bed.fake
        .set_capacity("us-east-1", Some("us-east-1a"), None, Some(0));
    bed.create(["0", "3", "3"]);
    eventually("failed", || {
        let failed = bed.activities();
        failed
            .texts("StatusMessage")
            .iter()
            .any(|message| message.contains("sufficient t3.micro capacity"))
    });
    eventually("two of three", || bed.fake.instances().len() == 2);
    assert!(bed.fake.instances().iter().all(|i| i.zone != "us-east-1a"));
    bed.fake.set_capacity("us-east-1", None, None, None);
    bed.settle(3);
    let activities = bed.activities();
    let messages = activities.texts("StatusMessage");
    assert!(
        messages
            .iter()
            .all(|m| m.ends_with(" Launching EC2 instance failed.")),
        "{messages:?}"
    );
    expect_no_violations(&bed.fake);
}

#[test]
fn a_mixed_group_counts_in_weights_and_shares_with_spot() {
    let bed = Bed::new();
    let policy = "MixedInstancesPolicy.LaunchTemplate";
    let name = format!("{policy}.LaunchTemplateSpecification.LaunchTemplateName");
    let over = |n: u32, what: &str| format!("{policy}.Overrides.member.{n}.{what}");
    let base = "MixedInstancesPolicy.InstancesDistribution.OnDemandBaseCapacity";
    let share = "MixedInstancesPolicy.InstancesDistribution.OnDemandPercentageAboveBaseCapacity";
    let (kind_1, weight_1) = (over(1, "InstanceType"), over(1, "WeightedCapacity"));
    let (kind_2, weight_2) = (over(2, "InstanceType"), over(2, "WeightedCapacity"));
    let params = [
        (name.as_str(), "base"),
        (&kind_1, "m5.xlarge"),
        (&weight_1, "4"),
        (&kind_2, "m5.large"),
        (&weight_2, "2"),
        (base, "4"),
        (share, "0"),
    ];
    bed.fake
        .set_capacity("us-east-1", None, Some("m5.xlarge"), Some(2));
    bed.try_create(["0", "12", "20"], &params).ok();
    bed.settle(4);
    let weights: u32 = bed
        .group()
        .texts("Instances")
        .iter()
        .flat_map(|instances| {
            let reply = Reply {
                status: 200,
                body: instances.clone(),
            };
            reply.texts("WeightedCapacity")
        })
        .map(|weight| weight.parse::<u32>().unwrap())
        .sum();
    assert_eq!(weights, 12);
    let on_demand: Vec<String> = bed
        .fake
        .instances()
        .into_iter()
        .filter(|instance| instance.lifecycle == Lifecycle::OnDemand)
        .map(|instance| instance.instance_type)
        .collect();
    assert_eq!(on_demand, ["m5.xlarge"]);
    let failed = bed.activities().texts("StatusMessage");
    assert!(
        failed[0].starts_with("Could not launch Spot Instances. "),
        "{failed:?}"
    );
    expect_no_violations(&bed.fake);
}

#[test]
fn groups_are_found_by_name_and_tag_and_in_pages() {
    let bed = Bed::new();
    for name in ["a", "b", "c"] {
        let params = [
            ("AutoScalingGroupName", name),
            ("MinSize", "0"),
            ("MaxSize", "1"),
            ("AvailabilityZones.member.1", "us-east-1b"),
            ("LaunchTemplate.LaunchTemplateName", "base"),
            ("Tags.member.1.Key", "fleet"),
            ("Tags.member.1.Value", name),
        ];
        bed.client.form("CreateAutoScalingGroup", &params).ok();
    }
    let find = |params: &[(&str, &str)]| {
        let reply = bed.client.form("DescribeAutoScalingGroups", params).ok();
        let names = reply.texts("AutoScalingGroupName");
        (names, reply.texts("NextToken").into_iter().next())
    };
    let by_tag = [
        ("Filters.member.1.Name", "tag:fleet"),
        ("Filters.member.1.Values.member.1", "b"),
    ];
    assert_eq!(find(&by_tag).0, ["b"]);
    let (first, token) = find(&[("MaxRecords", "2")]);
    let (second, end) = find(&[("MaxRecords", "2"), ("NextToken", &token.unwrap())]);
    assert_eq!([first, second].concat(), ["a", "b", "c"]);
    assert_eq!(end, None);
    let retag = [
        ("Tags.member.1.ResourceId", "b"),
        ("Tags.member.1.ResourceType", "auto-scaling-group"),
        ("Tags.member.1.Key", "fleet"),
    ];
    bed.client.form("DeleteTags", &retag).ok();
    assert!(find(&by_tag).0.is_empty());
    let value = [&retag[..], &[("Tags.member.1.Value", "b")]].concat();
    bed.client.form("CreateOrUpdateTags", &value).ok();
    assert_eq!(find(&by_tag).0, ["b"]);
    let bad = bed
        .client
        .form("DescribeAutoScalingGroups", &[("NextToken", "x")]);
    assert_eq!(bad.refusal().0, "InvalidNextToken");
    expect_no_violations(&bed.fake);
}

#[test]
fn instances_are_described_with_their_group() {
    let bed = Bed::new();
    bed.create(["0", "2", "2"]);
    let members = bed.settle(2);
    let one = bed
        .client
        .form(
            "DescribeAutoScalingInstances",
            &[("InstanceIds.member.1", &members[1])],
        )
        .ok();
    assert_eq!(one.texts("InstanceId"), members[1..]);
    assert_eq!(one.texts("AutoScalingGroupName"), ["g"]);
    assert_eq!(one.texts("HealthStatus"), ["HEALTHY"]);
    expect_no_violations(&bed.fake);
}

#[test]
fn a_group_that_cannot_be_is_refused() {
    let bed = Bed::new();
    let template = ("LaunchTemplate.LaunchTemplateName", "base");
    let cases = [
        (
            ["0", "1", "1"],
            vec![],
            "Valid requests must contain either LaunchTemplate",
        ),
        (
            ["0", "1", "1"],
            vec![("LaunchTemplate.LaunchTemplateName", "nothing")],
            "You must use a valid fully-formed launch template.",
        ),
        (
            ["0", "1", "1"],
            vec![
                (
                    "MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateName",
                    "base",
                ),
                (
                    "MixedInstancesPolicy.LaunchTemplate.Overrides.member.1.InstanceType",
                    "t4g.micro",
                ),
            ],
            "does not match the architecture",
        ),
        (
            ["2", "2", "1"],
            vec![template],
            "must be greater than or equal to min bound",
        ),
        (
            ["1", "5", "3"],
            vec![template],
            "Desired capacity:5 must be between",
        ),
    ];
    for (sizes, more, expected) in cases {
        let (code, message) = bed.try_create(sizes, &more).refusal();
        assert_eq!(code, "ValidationError");
        assert!(message.contains(expected), "{message}");
    }
    bed.create(["0", "0", "1"]);
    let twice = bed.try_create(["0", "0", "1"], &[template]).refusal();
    assert_eq!(twice.0, "AlreadyExists");
    expect_no_violations(&bed.fake);
}

#[test]
fn members_are_targets_of_the_groups_target_group() {
    let bed = Bed::new();
    let arn = bed.fake.add_target_group("us-east-1", "web", "instance");
    let more = [
        ("LaunchTemplate.LaunchTemplateName", "base"),
        ("TargetGroupARNs.member.1", arn.as_str()),
    ];
    bed.try_create(["0", "2", "2"], &more).ok();
    let members = bed.settle(2);
    let balancer = Client::new(&bed.fake, "elasticloadbalancing");
    let targets = || {
        let health = balancer.form("DescribeTargetHealth", &[("TargetGroupArn", &arn)]);
        health.ok().texts("Id")
    };
    assert_eq!(targets(), members);
    bed.call("SetDesiredCapacity", &[("DesiredCapacity", "0")])
        .ok();
    eventually("deregistered", || targets().is_empty());
    expect_no_violations(&bed.fake);
}
