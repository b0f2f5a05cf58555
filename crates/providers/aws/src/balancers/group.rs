//! Target groups and targets, in the vendor's words and in ours.

use std::collections::HashMap;

use aws_sdk_elasticloadbalancingv2::types::{
    TargetDescription, TargetGroup, TargetHealth, TargetHealthDescription, TargetHealthReasonEnum,
    TargetHealthStateEnum, TargetTypeEnum,
};
use fleetwright_core::Result;
use fleetwright_core::ability::MemberHealth;

use crate::error::At;

/// A target group that nodes can join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(super) region: String,
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) kind: TargetTypeEnum,
    pub(super) network: Option<String>,
    /// The load balancer in front of it.
    pub(super) front: Option<String>,
}

/// What of a target must be deregistered: each of its ports has its own place in the group.
pub(super) fn leaving(targets: &[TargetHealthDescription], target: &str) -> Vec<TargetDescription> {
    let present: Vec<_> = targets.iter().filter(|t| id(t) == Some(target)).collect();
    if present.is_empty() {
        // The list may not show yet what was registered a moment ago.
        return vec![TargetDescription::builder().id(target).build()];
    }
    present
        .into_iter()
        .filter(|target| !is_draining(target.target_health()))
        .filter_map(|target| target.target())
        .map(|target| {
            TargetDescription::builder()
                .set_id(target.id.clone())
                .set_port(target.port)
                .build()
        })
        .collect()
}

/// Whether a group can have this name.
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html>
pub(super) fn is_name(name: &str) -> bool {
    (1..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

pub(super) fn id(target: &TargetHealthDescription) -> Option<&str> {
    target.target()?.id()
}

/// A group, unless no node can join it.
pub(super) fn read(region: &str, from: &TargetGroup) -> Result<Option<Group>> {
    let at = At::new("DescribeTargetGroups", region);
    let kind = from
        .target_type()
        .ok_or_else(|| at.lacking("target type"))?;
    if !matches!(kind, TargetTypeEnum::Instance | TargetTypeEnum::Ip) {
        return Ok(None);
    }
    let text = |what: &'static str, text: Option<&str>| {
        text.map(str::to_owned).ok_or_else(|| at.lacking(what))
    };
    Ok(Some(Group {
        region: region.to_owned(),
        name: text("target group name", from.target_group_name())?,
        arn: text("target group ARN", from.target_group_arn())?,
        kind: kind.clone(),
        network: from.vpc_id().map(str::to_owned),
        front: from.load_balancer_arns().first().cloned(),
    }))
}

/// The names of groups: a group's own, or `region/name` if there are several of that name.
pub(super) fn names<'a>(groups: impl Iterator<Item = &'a Group> + Clone) -> Vec<String> {
    let mut count: HashMap<&str, u32> = HashMap::new();
    for group in groups.clone() {
        *count.entry(&group.name).or_default() += 1;
    }
    groups
        .map(|group| match count.get(group.name.as_str()) {
            Some(1) => group.name.clone(),
            _ => format!("{}/{}", group.region, group.name),
        })
        .collect()
}

/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetHealth.html>
pub(super) fn health(group: &Group, from: Option<&TargetHealth>) -> Result<MemberHealth> {
    let at = At::new("DescribeTargetHealth", &group.region);
    let from = from.ok_or_else(|| at.lacking("target health"))?;
    let state = from.state().ok_or_else(|| at.lacking("target state"))?;
    Ok(match state {
        TargetHealthStateEnum::Initial => MemberHealth::Initial,
        TargetHealthStateEnum::Healthy => MemberHealth::Healthy,
        // "unhealthy.draining" is not being taken out: it fails its checks, and what is under way
        // may end.
        TargetHealthStateEnum::Unhealthy | TargetHealthStateEnum::UnhealthyDraining => {
            MemberHealth::Unhealthy
        }
        TargetHealthStateEnum::Draining => MemberHealth::Draining,
        TargetHealthStateEnum::Unused => match from.reason() {
            // "The target is in the stopped or terminated state." "The target IP address is
            // reserved for use by a load balancer." Nothing that waiting would heal.
            Some(TargetHealthReasonEnum::InvalidState | TargetHealthReasonEnum::IpUnusable) => {
                MemberHealth::Unhealthy
            }
            // "The target group is not used by any load balancer or the target is in an
            // Availability Zone that is not enabled for its load balancer." The node is not to
            // blame, so nobody shall replace it; but it gets no traffic.
            _ => unknown(state, from.reason()),
        },
        // "Target health is unavailable due to an internal error", and words to come.
        _ => unknown(state, from.reason()),
    })
}

fn unknown(state: &TargetHealthStateEnum, reason: Option<&TargetHealthReasonEnum>) -> MemberHealth {
    MemberHealth::Unknown(match reason {
        Some(reason) => format!("{}: {}", state.as_str(), reason.as_str()),
        None => state.as_str().to_owned(),
    })
}

fn is_draining(health: Option<&TargetHealth>) -> bool {
    health.and_then(TargetHealth::state) == Some(&TargetHealthStateEnum::Draining)
}

/// Of several targets of one node, the one that it is waited for counts: it is healthy when all
/// are, and drains when all do.
pub(super) fn rank(health: &MemberHealth) -> u8 {
    match health {
        MemberHealth::Draining => 0,
        MemberHealth::Healthy => 1,
        MemberHealth::Initial => 2,
        MemberHealth::Unknown(_) => 3,
        MemberHealth::Unhealthy => 4,
    }
}

#[cfg(test)]
mod tests {
    use fleetwright_core::Kind;

    use super::*;

    fn group(region: &str, name: &str) -> Group {
        Group {
            region: region.to_owned(),
            name: name.to_owned(),
            arn: String::new(),
            kind: TargetTypeEnum::Instance,
            network: None,
            front: None,
        }
    }

    fn judged(state: &str, reason: Option<&str>) -> MemberHealth {
        let from = TargetHealth::builder()
            .state(state.into())
            .set_reason(reason.map(TargetHealthReasonEnum::from))
            .build();
        health(&group("us-east-1", "web"), Some(&from)).unwrap()
    }

    #[test]
    fn a_name_that_two_regions_have_is_told_apart_by_region() {
        let groups = [
            group("us-east-1", "web"),
            group("eu-west-1", "web"),
            group("eu-west-1", "api"),
        ];
        assert_eq!(
            names(groups.iter()),
            ["us-east-1/web", "eu-west-1/web", "api"]
        );
    }

    #[test]
    fn every_word_of_the_vendor_has_its_meaning_and_new_words_are_kept() {
        for (state, reason, meaning) in [
            (
                "initial",
                Some("Elb.RegistrationInProgress"),
                MemberHealth::Initial,
            ),
            ("healthy", None, MemberHealth::Healthy),
            ("unhealthy", Some("Target.Timeout"), MemberHealth::Unhealthy),
            ("unhealthy.draining", None, MemberHealth::Unhealthy),
            (
                "draining",
                Some("Target.DeregistrationInProgress"),
                MemberHealth::Draining,
            ),
            (
                "unused",
                Some("Target.InvalidState"),
                MemberHealth::Unhealthy,
            ),
        ] {
            assert_eq!(judged(state, reason), meaning, "{state} {reason:?}");
        }
        for (state, reason, word) in [
            ("unused", Some("Target.NotInUse"), "unused: Target.NotInUse"),
            (
                "unavailable",
                Some("Elb.InternalError"),
                "unavailable: Elb.InternalError",
            ),
            ("dozing", None, "dozing"),
        ] {
            assert_eq!(
                judged(state, reason),
                MemberHealth::Unknown(word.to_owned())
            );
        }
    }

    fn target(id: &str, port: i32, state: &str) -> TargetHealthDescription {
        TargetHealthDescription::builder()
            .target(TargetDescription::builder().id(id).port(port).build())
            .target_health(TargetHealth::builder().state(state.into()).build())
            .build()
    }

    #[test]
    fn a_target_leaves_from_each_port_that_it_does_not_leave_already() {
        let targets = [
            target("i-1", 80, "healthy"),
            target("i-1", 8080, "draining"),
            target("i-1", 9090, "unhealthy"),
            target("i-2", 80, "draining"),
        ];
        let ports = |id| -> Vec<Option<i32>> {
            leaving(&targets, id)
                .iter()
                .map(TargetDescription::port)
                .collect()
        };
        assert_eq!(ports("i-1"), [Some(80), Some(9090)]);
        assert_eq!(ports("i-2"), []);
        // Not shown yet, perhaps: it leaves from the port of the group.
        assert_eq!(ports("i-3"), [None]);
    }

    #[test]
    fn a_target_without_a_state_is_an_error() {
        let none = TargetHealth::builder().build();
        let error = health(&group("us-east-1", "web"), Some(&none)).unwrap_err();
        assert_eq!(error.kind(), Kind::Unexpected);
    }
}
