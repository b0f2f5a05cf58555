//! Manifests: every dependency has a reason, is used, and comes from the workspace's one list.

use std::collections::BTreeSet;

use fleetwright_core::{Error, Kind, Result};
use toml::{Table, Value};

use crate::rules::Violation;
use crate::workspace::Package;

const ROOT: &str = "Cargo.toml";
const SECTIONS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Checks the root manifest and those of the members.
///
/// # Errors
/// `Invalid` if a manifest is not TOML.
pub(crate) fn check(root: &str, members: &[(&Package, String)]) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    let mut used = BTreeSet::new();
    for (package, text) in members {
        let path = package.manifest.as_str();
        let manifest = parse(path, text)?;
        if !inherits(manifest.get("lints")) {
            violations.push(Violation::new(
                path,
                line_of(text, "[lints]"),
                "the workspace's lints are not inherited",
                "write `[lints]` with `workspace = true`",
            ));
        }
        for (name, value) in dependencies(&manifest) {
            if inherits(Some(value)) {
                used.insert(name.to_owned());
            } else if value.get("path").is_none() {
                // One of ours has no version. The facade names the clouds by their paths, so that
                // a new one is one line; a crate names itself to get features for its tests.
                violations.push(Violation::new(
                    path,
                    line_of(text, name),
                    format!("`{name}` has its own version"),
                    "declare it in [workspace.dependencies] and write `workspace = true`",
                ));
            }
        }
    }
    violations.extend(declared(root, &used)?);
    Ok(violations)
}

/// The entries of `[workspace.dependencies]`: used, and with a reason unless they are ours.
fn declared(root: &str, used: &BTreeSet<String>) -> Result<Vec<Violation>> {
    let manifest = parse(ROOT, root)?;
    let declared = manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies"))
        .and_then(Value::as_table)
        .ok_or_else(|| {
            Error::new(
                Kind::Invalid,
                "`Cargo.toml` has no [workspace.dependencies]",
            )
        })?;
    let mut violations = Vec::new();
    for (name, value) in declared {
        let line = line_of(root, name);
        if !used.contains(name) {
            violations.push(Violation::new(
                ROOT,
                line,
                format!("`{name}` is declared and no crate uses it"),
                "remove the line",
            ));
        }
        let is_ours = value.get("path").is_some();
        let text = root.lines().nth(line - 1).unwrap_or_default();
        if !is_ours && reason(text).is_none() {
            violations.push(Violation::new(
                ROOT,
                line,
                format!("nothing says what `{name}` is for"),
                "end the line with a comment that gives the reason",
            ));
        }
    }
    violations.sort_by_key(|violation| violation.line);
    Ok(violations)
}

fn parse(path: &str, text: &str) -> Result<Table> {
    text.parse().map_err(|e: toml::de::Error| {
        Error::new(Kind::Invalid, format!("`{path}` is not TOML")).with_source(e)
    })
}

fn inherits(value: Option<&Value>) -> bool {
    value
        .and_then(|v| v.get("workspace"))
        .and_then(Value::as_bool)
        == Some(true)
}

/// Every dependency of a manifest, those of single targets included.
fn dependencies(manifest: &Table) -> impl Iterator<Item = (&str, &Value)> {
    let targets = manifest
        .get("target")
        .and_then(Value::as_table)
        .into_iter()
        .flat_map(Table::values)
        .filter_map(Value::as_table);
    std::iter::once(manifest)
        .chain(targets)
        .flat_map(|table| SECTIONS.iter().filter_map(|section| table.get(*section)))
        .filter_map(Value::as_table)
        .flat_map(|section| section.iter().map(|(name, value)| (name.as_str(), value)))
}

/// The line that begins with a key or header; 1 if there is none.
fn line_of(text: &str, key: &str) -> usize {
    text.lines()
        .position(|line| {
            line.strip_prefix(key).is_some_and(|rest| {
                !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_')
            })
        })
        .map_or(1, |at| at + 1)
}

/// The comment at the end of a line, outside of strings.
fn reason(line: &str) -> Option<&str> {
    let mut quoted = false;
    for (at, c) in line.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '#' if !quoted => return Some(line[at + 1..].trim()).filter(|text| !text.is_empty()),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBER: &str = "[lints]\nworkspace = true\n\n[dependencies]\ntokio.workspace = true\n";

    fn found(root: &str, member: &str) -> Vec<String> {
        let package = Package {
            name: "a".into(),
            manifest: "crates/a/Cargo.toml".into(),
            dependencies: vec![],
        };
        let members = [(&package, member.to_owned())];
        check(root, &members)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn good_manifests_pass() {
        let root = "[workspace.dependencies]\ntokio = \"1\" # the runtime\n";
        assert_eq!(found(root, MEMBER), Vec::<String>::new());
    }

    #[test]
    fn a_dependency_without_a_reason_or_without_a_user_is_found() {
        let root = "[workspace.dependencies]\ntokio = \"1\"\nrand = \"1\" # dice\n";
        let found = found(root, MEMBER);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("Cargo.toml:2: nothing says what `tokio` is for"));
        assert!(found[1].starts_with("Cargo.toml:3: `rand` is declared and no crate uses it"));
    }

    #[test]
    fn a_hash_in_a_string_is_no_reason_and_ours_need_none() {
        let root = "[workspace.dependencies]\ntokio = { version = \"1#\" }\n";
        assert_eq!(found(root, MEMBER).len(), 1);
        let ours = "[workspace.dependencies]\ntokio = { path = \"crates/tokio\" }\n";
        assert_eq!(found(ours, MEMBER).len(), 0);
    }

    #[test]
    fn lints_and_versions_come_from_the_workspace() {
        let root = "[workspace.dependencies]\n";
        let member =
            "[dev-dependencies]\nrand = \"1\"\n[target.'cfg(unix)'.dependencies]\nlibc = \"1\"\n";
        let found = found(root, member);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("lints are not inherited"));
        assert!(found[1].starts_with("crates/a/Cargo.toml:2: `rand` has its own version"));
        assert!(found[2].starts_with("crates/a/Cargo.toml:4: `libc` has its own version"));
    }
}
