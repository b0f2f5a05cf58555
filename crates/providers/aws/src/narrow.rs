//! What of a [`Filter`](fleetwright_core::Filter) EC2 can be asked, so that it answers with less.
//!
//! Only terms that EC2 reads exactly as we do are sent; the caller applies the filter again. What
//! EC2 cannot say (a negation, "has no such tag") is left to the caller.

use aws_sdk_ec2::types::{Filter, InstanceStateName};
use fleetwright_core::{Filter as Wanted, NodeState, Term};

use crate::node::named;

/// Most values that one request may filter by.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>
const MOST_VALUES: usize = 200;

/// Keys of ours under the names that EC2's filters have.
const SAME: [(&str, &str); 9] = [
    ("type", "instance-type"),
    ("zone", "availability-zone"),
    ("metadata.vpc-id", named::VPC),
    ("metadata.subnet-id", named::SUBNET),
    ("metadata.image-id", named::IMAGE),
    ("metadata.key-name", named::KEY),
    ("metadata.architecture", named::ARCHITECTURE),
    ("metadata.instance-state-name", named::STATE),
    // Not `instance-lifecycle`: EC2 has no value for on-demand.
    ("metadata.group", "tag:aws:autoscaling:groupName"),
];

/// The filters to send for these conditions.
pub(crate) fn filters(wanted: &Wanted) -> Vec<Filter> {
    let mut values = 0;
    wanted
        .terms()
        .iter()
        .filter_map(filter)
        .take_while(|filter| {
            values += filter.values().len();
            values <= MOST_VALUES
        })
        .collect()
}

fn filter(term: &Term) -> Option<Filter> {
    if term.is_negated() || term.patterns().iter().any(String::is_empty) {
        return None;
    }
    if term.key() == "state" {
        return states(term.patterns());
    }
    let name = match term.key().strip_prefix("label.") {
        Some(label) => format!("tag:{label}"),
        None if term.key() == "pool" => format!("tag:{}", fleetwright_core::keys::POOL),
        None => {
            let same = SAME.iter().find(|(key, _)| *key == term.key())?;
            same.1.to_owned()
        }
    };
    // A pattern of stars alone also selects what has no value, and EC2 finds only what has one.
    if term.patterns().iter().any(|p| p.chars().all(|c| c == '*')) {
        return None;
    }
    let values = term.patterns().iter().map(|pattern| escaped(pattern));
    Some(
        Filter::builder()
            .name(name)
            .set_values(Some(values.collect()))
            .build(),
    )
}

/// States are translated only where the words are exact and each has one of EC2's.
fn states(patterns: &[String]) -> Option<Filter> {
    let mut values = Vec::new();
    for pattern in patterns {
        let state: NodeState = match pattern.parse() {
            Ok(state) => state,
            Err(never) => match never {},
        };
        let words: &[InstanceStateName] = match state {
            NodeState::Pending => &[InstanceStateName::Pending],
            NodeState::Running => &[InstanceStateName::Running],
            NodeState::Stopped => &[InstanceStateName::Stopping, InstanceStateName::Stopped],
            NodeState::Deleting => &[InstanceStateName::ShuttingDown],
            NodeState::Deleted => &[InstanceStateName::Terminated],
            NodeState::Failed | NodeState::Unknown(_) => return None,
        };
        values.extend(words.iter().map(|word| word.as_str().to_owned()));
    }
    Some(
        Filter::builder()
            .name(named::STATE)
            .set_values(Some(values))
            .build(),
    )
}

/// `*` means the same to EC2; `?` and `\` mean themselves here and not there.
fn escaped(pattern: &str) -> String {
    let mut literal = String::with_capacity(pattern.len());
    for c in pattern.chars() {
        if matches!(c, '?' | '\\') {
            literal.push('\\');
        }
        literal.push(c);
    }
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &str) -> Vec<(String, Vec<String>)> {
        let wanted: Wanted = text.parse().unwrap();
        filters(&wanted)
            .into_iter()
            .map(|f| (f.name().unwrap_or_default().to_owned(), f.values().to_vec()))
            .collect()
    }

    #[test]
    fn ec2_is_asked_what_it_can_answer_and_nothing_else() {
        for (text, name, values) in [
            ("tag:team=ml|w*", "tag:team", &["ml", "w*"][..]),
            ("pool=web", "tag:fleetwright-pool", &["web"]),
            ("instance-type=m5.*", "instance-type", &["m5.*"]),
            ("label.a=what?", "tag:a", &["what\\?"]),
            (
                "state=stopped",
                "instance-state-name",
                &["stopping", "stopped"],
            ),
            ("vpc-id=vpc-1", "vpc-id", &["vpc-1"]),
        ] {
            let values: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
            assert_eq!(sent(text), [(name.to_owned(), values)], "{text}");
        }
        for text in [
            "",
            "tag:team!=ml",
            "zone=",
            "tag:team=ml|",
            "tag:team=*",
            "state=run*",
            "instance-lifecycle=spot",
            "name=web",
        ] {
            assert_eq!(sent(text), [], "{text}");
        }
    }

    #[test]
    fn no_more_values_than_ec2_takes() {
        let many: Vec<String> = (0..201).map(|n| n.to_string()).collect();
        assert_eq!(sent(&format!("tag:a={}", many.join("|"))), []);
    }
}
