//! Labels and login keys as tags: Scaleway's tags are bare strings.

use fleetwright_core::{Error, Kind, Labels, Result, keys};

/// The name of the tag that gives one instance a login key; spaces of the key become underscores.
/// <https://www.scaleway.com/en/developers/api/instances/#path-instances-create-an-instance>
const LOGIN_KEY: &str = "AUTHORIZED_KEY";

/// The tag of volumes that must go because their instance does.
const OF_NODE: &str = "fleetwright-node";

/// The tags of a machine: one `key=value` per label, one per login key.
///
/// # Errors
/// `Invalid` if a label cannot be told apart from others as a tag, or a login key is none.
pub(crate) fn tags(labels: &Labels, login_keys: &[String]) -> Result<Vec<String>> {
    let mut tags = Vec::new();
    for (key, value) in labels {
        let is_plain = !key.is_empty() && key != LOGIN_KEY && !key.contains('=');
        // The listing's filter joins tags with commas.
        if !is_plain || [key, value].iter().any(|text| text.contains([',', '\n'])) {
            return Err(Error::new(
                Kind::Invalid,
                format!("the label `{key}` cannot be a tag of Scaleway: `{key}={value}`"),
            )
            .with_hint("leave out commas and line breaks, and `=` in the key"));
        }
        tags.push(tag(key, value));
    }
    for login_key in login_keys {
        let mut words = login_key.split_whitespace();
        let (Some(algorithm), Some(key)) = (words.next(), words.next()) else {
            return Err(
                Error::new(Kind::Invalid, format!("`{login_key}` is not a public key"))
                    .with_hint("a public key reads `ssh-ed25519 AAAA...`"),
            );
        };
        // The comment is left out: it may hold anything.
        tags.push(format!("{LOGIN_KEY}={algorithm}_{key}"));
    }
    Ok(tags)
}

/// The labels of a machine. A tag without `=`, which others made, is a label without a value.
pub(crate) fn labels(tags: &[String]) -> Labels {
    tags.iter()
        .map(|tag| tag.split_once('=').unwrap_or((tag, "")))
        .filter(|(key, _)| *key != LOGIN_KEY)
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// One label as a tag.
pub(crate) fn tag(key: &str, value: &str) -> String {
    format!("{key}={value}")
}

/// The tag of everything that we made.
pub(crate) fn managed() -> String {
    tag(keys::MANAGED_BY, keys::MANAGED_BY_VALUE)
}

/// The tag of what must go with this instance.
pub(crate) fn of_node(server: &str) -> String {
    tag(OF_NODE, server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_back_as_they_were_and_login_keys_are_none() {
        let wanted = Labels::from([
            ("managed-by".to_owned(), "fleetwright".to_owned()),
            ("note".to_owned(), "a=b c".to_owned()),
            ("empty".to_owned(), String::new()),
        ]);
        let key = "ssh-ed25519 AAAAC3Nz me@here, or there".to_owned();
        let made = tags(&wanted, &[key]).unwrap();
        assert_eq!(
            made,
            [
                "empty=",
                "managed-by=fleetwright",
                "note=a=b c",
                "AUTHORIZED_KEY=ssh-ed25519_AAAAC3Nz"
            ]
        );
        assert_eq!(labels(&made), wanted);
        assert_eq!(labels(&["foo".to_owned()])["foo"], "");
    }

    #[test]
    fn what_cannot_be_a_tag_is_refused() {
        for (key, value) in [
            ("a=b", "c"),
            ("a", "b,c"),
            ("", "c"),
            ("AUTHORIZED_KEY", "x"),
            ("a", "b\nc"),
        ] {
            let labels = Labels::from([(key.to_owned(), value.to_owned())]);
            assert_eq!(tags(&labels, &[]).unwrap_err().kind(), Kind::Invalid);
        }
        let error = tags(&Labels::new(), &["ssh-ed25519".to_owned()]).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
    }
}
