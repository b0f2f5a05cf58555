//! The checker against the official models, through the fake.

use crate::caller::{Client, has_models, start};

/// Service, action, parameters, and what the checker says.
type Case<'a> = (&'static str, &'a str, Vec<(&'a str, &'a str)>, &'a str);

/// What the checker says of one call.
fn violations(service: &'static str, action: &str, params: &[(&str, &str)]) -> String {
    let fake = start();
    Client::new(&fake, service).form(action, params);
    fake.violations().join("\n")
}

#[test]
fn requests_that_aws_would_not_understand_are_violations() {
    if !has_models("the checker is not tried on the official models") {
        return;
    }
    let run = [("MinCount", "1"), ("MaxCount", "1")];
    let cases: [Case; 8] = [
        (
            "ec2",
            "DescribeInstances",
            vec![("InstanceIds.1", "i-1")],
            "ec2 DescribeInstances: request: `InstanceIds`: unknown parameter",
        ),
        (
            "ec2",
            "RunInstances",
            vec![("MinCount", "1")],
            "ec2 RunInstances: request: `MaxCount`: required, and missing",
        ),
        (
            "ec2",
            "RunInstances",
            vec![("MinCount", "one"), ("MaxCount", "1")],
            "ec2 RunInstances: request: `MinCount`: `one` is not an integer",
        ),
        (
            "ec2",
            "RunInstances",
            [&run[..], &[("InstanceType", "t99.huge")]].concat(),
            "ec2 RunInstances: request: `InstanceType`: `t99.huge` is no value of `InstanceType`",
        ),
        (
            "ec2",
            "RunInstances",
            [&run[..], &[("TagSpecification.1.Tags.1.Key", "a")]].concat(),
            "ec2 RunInstances: request: `TagSpecification.1.Tags`: unknown parameter",
        ),
        (
            "ec2",
            "DescribeEverything",
            vec![],
            "ec2 DescribeEverything: request: `ec2` has no such action",
        ),
        (
            "autoscaling",
            "DescribeAutoScalingGroups",
            vec![("AutoScalingGroupNames.1", "a")],
            "autoscaling DescribeAutoScalingGroups: request: `AutoScalingGroupNames.1`: entries \
             are called `member`",
        ),
        (
            "elasticloadbalancing",
            "RegisterTargets",
            vec![
                ("TargetGroupArn", "arn"),
                ("Targets.member.1.Port", "99999"),
            ],
            "elasticloadbalancing RegisterTargets: request: `Targets.member.1.Port`: 99999 is out \
             of range, the most is 65535\n\
             elasticloadbalancing RegisterTargets: request: `Targets.member.1.Id`: required, and \
             missing",
        ),
    ];
    for (service, action, params, expected) in cases {
        assert_eq!(violations(service, action, &params), expected, "{params:?}");
    }
}
