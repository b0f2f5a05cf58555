//! The one query language: `pool=web,region=eu-*,state!=gone,label.team=ml|infra`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Kind, Result};

/// Terms joined by commas, all of which must hold.
///
/// A term is `key=value` or `key!=value`. A value may hold `*` for any text and several
/// alternatives joined by `|`. A key that a node lacks compares as the empty text.
///
/// | key | what |
/// |---|---|
/// | `id`, `name`, `pool`, `provider`, `region`, `zone`, `type`, `market`, `state` | properties of every node |
/// | `group`, `address`, `origin` | properties of targets: see `Target::is_selected` |
/// | `label.<key>` | a label |
/// | `metadata.<name>` | what only the provider knows of a node: `Node::metadata` |
///
/// The names that EC2's own filters have are taken too: `tag:<key>` is `label.<key>`,
/// `instance-type` is `type`, `availability-zone` is `zone`, and `vpc-id`, `subnet-id`, `image-id`,
/// `key-name`, `instance-state-name` and `instance-lifecycle` are `metadata.<name>`.
///
/// ```
/// use fleetwright_core::Filter;
///
/// let filter: Filter = "pool=web,region=eu-*|us-*".parse().unwrap();
/// assert!(filter.matches(&|key| match key {
///     "pool" => Some("web"),
///     "region" => Some("eu-west-1"),
///     _ => None,
/// }));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    terms: Vec<Term>,
}

/// One condition of a [`Filter`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    key: String,
    negated: bool,
    patterns: Vec<String>,
}

impl Term {
    /// What it is about: one of the keys of [`Filter`], never another name for it.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether the patterns say what must not be.
    pub fn is_negated(&self) -> bool {
        self.negated
    }

    /// The alternatives, in which `*` stands for any text.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether a value is selected; the empty text for a node that has none.
    pub fn matches(&self, value: &str) -> bool {
        self.patterns.iter().any(|pattern| glob(pattern, value)) != self.negated
    }
}

const KEYS: [&str; 12] = [
    "id", "name", "pool", "provider", "region", "zone", "type", "market", "state", "group",
    "address", "origin",
];

/// What users of EC2 write, and what it is called here.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>
const OTHER_NAMES: [(&str, &str); 8] = [
    ("instance-type", "type"),
    ("availability-zone", "zone"),
    ("vpc-id", "metadata.vpc-id"),
    ("subnet-id", "metadata.subnet-id"),
    ("image-id", "metadata.image-id"),
    ("key-name", "metadata.key-name"),
    ("instance-state-name", "metadata.instance-state-name"),
    ("instance-lifecycle", "metadata.instance-lifecycle"),
];

/// The key that a written one stands for.
fn canonical(key: &str) -> Option<String> {
    if let Some(label) = key.strip_prefix("tag:").filter(|label| !label.is_empty()) {
        return Some(format!("label.{label}"));
    }
    if let Some((_, ours)) = OTHER_NAMES.iter().find(|(name, _)| *name == key) {
        return Some((*ours).to_owned());
    }
    let is_known = KEYS.contains(&key)
        || ["label.", "metadata."].iter().any(|prefix| {
            key.strip_prefix(prefix)
                .is_some_and(|rest| !rest.is_empty())
        });
    is_known.then(|| key.to_owned())
}

impl Filter {
    /// Whether something with these properties is selected. An empty filter selects everything.
    pub fn matches<'a>(&self, property: &dyn Fn(&str) -> Option<&'a str>) -> bool {
        self.terms
            .iter()
            .all(|term| term.matches(property(&term.key).unwrap_or("")))
    }

    /// The conditions, all of which must hold.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether the filter speaks about this key.
    pub fn mentions(&self, key: &str) -> bool {
        self.terms.iter().any(|term| term.key == key)
    }
}

/// Whether `text` matches `pattern`, in which `*` stands for any text.
pub fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or("");
    for part in parts {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(tail)
}

impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut terms = Vec::new();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let (key, value) = part.split_once('=').ok_or_else(|| {
                Error::new(Kind::Invalid, format!("`{part}` is not a filter term"))
                    .with_hint("write `key=value` or `key!=value`, joined by commas")
            })?;
            let (key, negated) = key
                .strip_suffix('!')
                .map_or((key, false), |key| (key, true));
            let key = key.trim();
            let Some(key) = canonical(key) else {
                return Err(
                    Error::new(Kind::Invalid, format!("`{key}` is not a filter key")).with_hint(
                        format!(
                            "known keys: {}, label.<key>, metadata.<name>",
                            KEYS.join(", ")
                        ),
                    ),
                );
            };
            let patterns = value
                .split('|')
                .map(|pattern| pattern.trim().to_owned())
                .collect();
            terms.push(Term {
                key,
                negated,
                patterns,
            });
        }
        Ok(Self { terms })
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, term) in self.terms.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let not = if term.negated { "!" } else { "" };
            write!(f, "{comma}{}{not}={}", term.key, term.patterns.join("|"))?;
        }
        Ok(())
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web(key: &str) -> Option<&'static str> {
        match key {
            "pool" => Some("web"),
            "region" => Some("eu-west-1"),
            "label.team" => Some("ml"),
            _ => None,
        }
    }

    #[test]
    fn terms_globs_alternatives_and_negation() {
        for (text, expected) in [
            ("", true),
            ("pool=web", true),
            ("pool=w*", true),
            ("pool!=web", false),
            ("region=us-*|eu-*", true),
            ("region=*west*1", true),
            ("region=*east*", false),
            ("pool=web, label.team=ml", true),
            ("zone=", true),
            ("zone!=", false),
        ] {
            let filter: Filter = text.parse().unwrap();
            assert_eq!(filter.matches(&web), expected, "{text}");
            assert_eq!(filter.to_string().parse::<Filter>().unwrap(), filter);
        }
    }

    #[test]
    fn names_of_ec2_mean_the_same_as_ours() {
        for (text, ours) in [
            ("tag:team=ml", "label.team=ml"),
            ("instance-type=m5.*", "type=m5.*"),
            ("availability-zone!=eu-west-1a", "zone!=eu-west-1a"),
            ("vpc-id=vpc-1|vpc-2", "metadata.vpc-id=vpc-1|vpc-2"),
            (
                "instance-state-name=shutting-down",
                "metadata.instance-state-name=shutting-down",
            ),
        ] {
            assert_eq!(text.parse::<Filter>().unwrap().to_string(), ours);
        }
        for text in ["tag:=ml", "label.=ml", "metadata.=1", "vpc=1"] {
            assert!(text.parse::<Filter>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_wrong_key_is_an_error_that_lists_the_known_ones() {
        let error = "color=red".parse::<Filter>().unwrap_err();
        assert!(error.hint().unwrap().contains("pool"));
        assert!("web".parse::<Filter>().is_err());
    }
}
