//! Who may depend on whom: the design's walls, as one table.

use crate::rules::Violation;
use crate::workspace::Package;

/// Which crates of ours a crate may have as normal dependency. Tests may have more: the engine's
/// tests use the simulated cloud.
const OURS: [(&str, &[&str]); 13] = [
    ("fleetwright-core", &[]),
    ("fleetwright-conformance", &["fleetwright-core"]),
    ("fleetwright-store", &["fleetwright-core"]),
    ("fleetwright-remote", &["fleetwright-core"]),
    ("fleetwright-rest", &["fleetwright-core"]),
    (
        "fleetwright-notify",
        &["fleetwright-core", "fleetwright-rest"],
    ),
    (
        "fleetwright-prometheus",
        &["fleetwright-core", "fleetwright-rest"],
    ),
    ("fleetwright-generate", &["fleetwright-core"]),
    (
        "fleetwright-engine",
        &["fleetwright-core", "fleetwright-store"],
    ),
    (
        "fleetwright-server",
        &["fleetwright-core", "fleetwright-engine"],
    ),
    (
        // and every provider: see `may_use`
        "fleetwright",
        &[
            "fleetwright-core",
            "fleetwright-engine",
            "fleetwright-notify",
            "fleetwright-prometheus",
            "fleetwright-remote",
            "fleetwright-store",
        ],
    ),
    (
        "fleetwright-cli",
        &[
            "fleetwright",
            "fleetwright-core",
            "fleetwright-engine",
            "fleetwright-generate",
            "fleetwright-local",
            "fleetwright-remote",
            "fleetwright-server",
            "fleetwright-store",
        ],
    ),
    // Small, so that a chore starts at once; what it needs of the others it asks their programs.
    ("xtask", &["fleetwright-core"]),
];

/// What a provider may use of ours.
const PROVIDERS: &[&str] = &["fleetwright-core", "fleetwright-rest"];

/// Libraries that only some crates may have, with the reason.
const FENCED: [(&str, &[&str], &str); 14] = [
    ("clap", TERMINAL, "only the command reads arguments"),
    (
        "clap_complete",
        TERMINAL,
        "only the command reads arguments",
    ),
    ("inquire", TERMINAL, "only the command asks"),
    ("indicatif", TERMINAL, "only the command shows progress"),
    ("comfy-table", TERMINAL, "only the command prints"),
    ("anstream", TERMINAL, "only the command prints"),
    ("anstyle", TERMINAL, "only the command prints"),
    (
        "tracing-subscriber",
        TERMINAL,
        "only a program sets up logging",
    ),
    (
        "reqwest",
        &["fleetwright-rest"],
        "only `rest` sends calls, so that effects are decided in one place",
    ),
    (
        "axum",
        &["fleetwright-server"],
        "only the server serves HTTP",
    ),
    (
        "sqlx",
        &["fleetwright-store"],
        "only the store knows the database",
    ),
    (
        "russh",
        &["fleetwright-remote", "fleetwright-local"],
        "only `remote` speaks SSH, and `local` answers it",
    ),
    (
        "pty-process",
        &["fleetwright-local"],
        "only local nodes have shells of ours",
    ),
    (
        "toml",
        &["fleetwright", "xtask"],
        "only the facade reads the configuration",
    ),
];

/// The manifest of the crate that new providers are made from.
const TEMPLATE: &str = "xtask/template/Cargo.toml";

const TERMINAL: &[&str] = &["fleetwright-cli", "xtask"];

/// Libraries that `core` may never have: it does no I/O.
const NOT_IN_CORE: [&str; 7] = ["tokio", "reqwest", "hyper", "axum", "clap", "sqlx", "russh"];

/// Checks the normal dependencies of every crate.
pub(crate) fn check(members: &[(&Package, String)]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (package, manifest) in members {
        let Some(allowed) = allowed(package) else {
            violations.push(Violation::new(
                &package.manifest,
                1,
                format!("no rule says what `{}` may depend on", package.name),
                "add it to the table in xtask/src/rules/walls.rs",
            ));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|d| !d.dev) {
            let name = dependency.name.as_str();
            if let Some(fix) = refusal(package, name, allowed, members) {
                violations.push(Violation::new(
                    &package.manifest,
                    line_of(manifest, name),
                    format!("`{}` may not depend on `{name}`", package.name),
                    fix,
                ));
            }
        }
    }
    violations
}

fn is_provider(package: &Package) -> bool {
    // What `new-provider` copies is one as well.
    package.manifest.starts_with("crates/providers/") || package.manifest == TEMPLATE
}

fn allowed(package: &Package) -> Option<&'static [&'static str]> {
    if is_provider(package) {
        return Some(PROVIDERS);
    }
    OURS.iter()
        .find(|(name, _)| *name == package.name)
        .map(|(_, allowed)| *allowed)
}

/// Why this dependency is not allowed, as advice; `None` if it is.
fn refusal(
    package: &Package,
    dependency: &str,
    allowed: &[&str],
    members: &[(&Package, String)],
) -> Option<String> {
    if let Some((target, _)) = members.iter().find(|(p, _)| p.name == dependency) {
        let through_facade = package.name == "fleetwright" && is_provider(target);
        let ok = allowed.contains(&dependency) || through_facade;
        return (!ok).then(|| {
            format!(
                "allowed of ours: {}; move what is shared into `fleetwright-core`",
                if allowed.is_empty() {
                    "none".to_owned()
                } else {
                    allowed.join(", ")
                }
            )
        });
    }
    if package.name == "fleetwright-core" && NOT_IN_CORE.contains(&dependency) {
        return Some("`core` does no I/O: put this into the crate that does".to_owned());
    }
    FENCED
        .iter()
        .find(|(name, users, _)| *name == dependency && !users.contains(&package.name.as_str()))
        .map(|(_, users, reason)| format!("{reason}: allowed in {}", users.join(", ")))
}

/// The line of the manifest that declares the dependency.
fn line_of(manifest: &str, name: &str) -> usize {
    manifest
        .lines()
        .position(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
        })
        .map_or(1, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str, manifest: &str, dependencies: &[&str]) -> Package {
        Package {
            name: name.into(),
            manifest: manifest.into(),
            dependencies: dependencies
                .iter()
                .map(|name| Dependency {
                    name: name.trim_start_matches("dev:").to_owned(),
                    dev: name.starts_with("dev:"),
                })
                .collect(),
        }
    }

    fn refused(packages: &[Package]) -> Vec<String> {
        let members: Vec<_> = packages
            .iter()
            .map(|p| {
                let lines: Vec<_> = p
                    .dependencies
                    .iter()
                    .map(|d| format!("{}.workspace = true", d.name))
                    .collect();
                (p, format!("[dependencies]\n{}\n", lines.join("\n")))
            })
            .collect();
        check(&members).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_walls_of_the_design_hold() {
        let core = || package("fleetwright-core", "crates/core/Cargo.toml", &["serde"]);
        let local = || {
            package(
                "fleetwright-local",
                "crates/providers/local/Cargo.toml",
                &[],
            )
        };
        let engine = || package("fleetwright-engine", "crates/engine/Cargo.toml", &[]);
        for (name, folder, dependency) in [
            ("fleetwright-core", "crates/core", "tokio"),
            ("fleetwright-core", "crates/core", "fleetwright-engine"),
            (
                "fleetwright-sim",
                "crates/providers/sim",
                "fleetwright-engine",
            ),
            (
                "fleetwright-sim",
                "crates/providers/sim",
                "fleetwright-local",
            ),
            ("fleetwright-sim", "crates/providers/sim", "clap"),
            ("fleetwright-sim", "crates/providers/sim", "axum"),
            ("fleetwright-engine", "crates/engine", "fleetwright-local"),
            ("fleetwright-engine", "crates/engine", "sqlx"),
            ("fleetwright-store", "crates/store", "fleetwright-engine"),
            ("fleetwright-remote", "crates/remote", "fleetwright-engine"),
            ("fleetwright", "crates/fleetwright", "clap"),
        ] {
            let offender = package(name, &format!("{folder}/Cargo.toml"), &[dependency]);
            let mut packages = vec![core(), local(), engine()];
            packages.retain(|p| p.name != name);
            packages.push(offender);
            let found = refused(&packages);
            assert_eq!(found.len(), 1, "{name} -> {dependency}: {found:?}");
            assert!(
                found[0].starts_with(&format!(
                    "{folder}/Cargo.toml:2: `{name}` may not depend on `{dependency}`"
                )),
                "{found:?}"
            );
        }
    }

    #[test]
    fn tests_may_reach_further_and_the_facade_may_use_providers() {
        let found = refused(&[
            package(
                "fleetwright-core",
                "crates/core/Cargo.toml",
                &["serde", "dev:tokio"],
            ),
            package(
                "fleetwright-sim",
                "crates/providers/sim/Cargo.toml",
                &["fleetwright-core"],
            ),
            package(
                "fleetwright-engine",
                "crates/engine/Cargo.toml",
                &["fleetwright-core", "dev:fleetwright-sim"],
            ),
            package(
                "fleetwright",
                "crates/fleetwright/Cargo.toml",
                &["fleetwright-sim"],
            ),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn a_crate_without_a_rule_is_a_violation() {
        let found = refused(&[package("fleetwright-new", "crates/new/Cargo.toml", &[])]);
        assert!(found[0].contains("no rule says"), "{found:?}");
    }
}
