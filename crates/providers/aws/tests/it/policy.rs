//! The guide's policy, the list of actions and the code say the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fleetwright_aws::ACTIONS;
use serde_json::Value;

/// What IAM calls an action otherwise than the API does.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html>
const OTHER_NAMES: [(&str, &str); 1] = [("sqs:DeleteMessageBatch", "sqs:DeleteMessage")];

/// What the calls need besides their own action: tags at launch, roles for machines, and the roles
/// that AWS makes for itself at the first fleet or group of an account.
const BESIDES: [&str; 4] = [
    "autoscaling:CreateOrUpdateTags",
    "ec2:CreateTags",
    "iam:CreateServiceLinkedRole",
    "iam:PassRole",
];

/// The clients as the code names them, and their services.
const CLIENTS: [(&str, &str); 9] = [
    ("ec2", "ec2"),
    ("autoscaling", "autoscaling"),
    ("balancing", "elasticloadbalancing"),
    ("quotas", "servicequotas"),
    ("ssm", "ssm"),
    ("sqs", "sqs"),
    ("sts", "sts"),
    ("route53", "route53"),
    ("pricing", "pricing"),
];

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// The actions of the policy in the guide.
fn policy() -> BTreeSet<String> {
    let guide = std::fs::read_to_string(top().join("docs/guides/aws.md")).unwrap();
    let (_, rest) = guide.split_once("```json\n").expect("a policy");
    let (text, _) = rest.split_once("```").expect("the policy ends");
    let policy: Value = serde_json::from_str(text).unwrap();
    let mut actions = BTreeSet::new();
    for statement in policy["Statement"].as_array().unwrap() {
        assert_eq!(statement["Effect"], "Allow");
        match &statement["Action"] {
            Value::String(action) => {
                actions.insert(action.clone());
            }
            Value::Array(several) => {
                actions.extend(several.iter().map(|a| a.as_str().unwrap().to_owned()));
            }
            other => panic!("no action: {other}"),
        }
    }
    assert!(actions.iter().all(|action| !action.contains('*')));
    actions
}

/// Every file of the crate, without white space, so that a chain of calls is one line.
fn sources() -> Vec<String> {
    fn walk(folder: &Path, into: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let mut text = std::fs::read_to_string(&path).unwrap();
                text.retain(|c| !c.is_whitespace());
                into.push(text);
            }
        }
    }
    let mut all = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    all
}

/// `run_instances` as `RunInstances`.
fn pascal(snake: &str) -> String {
    snake
        .split('_')
        .map(|word| word[..1].to_ascii_uppercase() + &word[1..])
        .collect()
}

/// `RunInstances` as `run_instances`.
fn snake(pascal: &str) -> String {
    let mut text = String::new();
    for c in pascal.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

#[test]
fn the_guides_policy_allows_what_we_call_and_nothing_else() {
    let needed: BTreeSet<String> = ACTIONS
        .iter()
        .map(|action| {
            let other = OTHER_NAMES.iter().find(|(ours, _)| ours == action);
            other.map_or(*action, |(_, iam)| iam).to_owned()
        })
        .chain(BESIDES.map(str::to_owned))
        .collect();
    let allowed = policy();
    let missing: Vec<_> = needed.difference(&allowed).collect();
    let idle: Vec<_> = allowed.difference(&needed).collect();
    assert!(missing.is_empty(), "not in docs/guides/aws.md: {missing:?}");
    assert!(idle.is_empty(), "allowed and never called: {idle:?}");
}

#[test]
fn every_call_in_the_code_is_on_the_list() {
    let mut found = 0;
    for text in sources() {
        for (client, service) in CLIENTS {
            for (at, _) in text.match_indices(&format!(".{client}.")) {
                let rest = &text[at + client.len() + 2..];
                let Some((name, _)) = rest.split_once("()") else {
                    continue;
                };
                // What is not the name of a call ends otherwise.
                if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
                    continue;
                }
                let action = format!("{service}:{}", pascal(name));
                // Only calls have two words; `quotas.forget()` is something of ours.
                if name.contains('_') {
                    assert!(ACTIONS.contains(&action.as_str()), "`{action}` is called");
                    found += 1;
                }
            }
        }
        // How errors are told names every action once more, whatever the client is called there.
        for (at, _) in text.match_indices("At::new(\"") {
            let name = text[at + 9..].split('"').next().unwrap();
            let listed = ACTIONS.iter().any(|a| a.ends_with(&format!(":{name}")));
            assert!(listed, "`{name}` is called");
            found += 1;
        }
    }
    assert!(found > 40, "only {found} calls were recognized");
}

#[test]
fn every_action_on_the_list_is_called_in_the_code() {
    let sources = sources();
    for action in ACTIONS {
        let (_, name) = action.split_once(':').unwrap();
        let call = format!(".{}()", snake(name));
        assert!(
            sources.iter().any(|text| text.contains(&call)),
            "nothing calls `{action}`"
        );
    }
}

#[test]
fn the_list_is_sorted_and_says_nothing_twice() {
    assert!(ACTIONS.is_sorted_by(|a, b| a < b), "{ACTIONS:?}");
}
