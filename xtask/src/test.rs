//! `cargo xtask test`: the peers, then every test, then the commands of the guides, then what ran
//! and what did not.

use std::process::{Command, ExitCode};

use fleetwright_core::{Error, Kind, Result};

use crate::failures::{self, Failure};
use crate::guides;
use crate::peers::{self, Ensured, Peer};
use crate::workspace::{ALL_PROVIDERS, EVERYTHING, Workspace, output};

/// Runs everything. Ends with failure if any part failed, after all parts have run.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    let peers = peers::ensure_all(workspace);
    let report = workspace.target.join(failures::REPORT);
    // The report of an earlier run says nothing about this one.
    let _ = std::fs::remove_file(&report);
    let mut parts = vec![part(&peers, suite(workspace, args))?];
    // Filters are those of the suite; documentation tests know others.
    if args.is_empty() {
        let mut docs = workspace.cargo(["test", "--doc", "--no-fail-fast"]);
        docs.args(EVERYTHING);
        parts.push(part(&peers, docs)?);
        parts.push(walk(workspace)?);
    }
    let failed = failures::read(&report);
    print!("{}", summary(&parts, &failed, &peers, args.is_empty()));
    let passed = parts.iter().all(|part| part.passed);
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// One command of the run and whether it succeeded.
#[derive(Debug)]
struct Part {
    shown: String,
    passed: bool,
}

/// The command that runs all but documentation tests.
fn suite(workspace: &Workspace, args: &[String]) -> Command {
    let has_nextest = output(&mut workspace.cargo(["nextest", "--version"])).is_ok();
    let mut command = workspace.cargo(words(has_nextest, args));
    command.args(args);
    command
}

/// How the suite is started. Naming a crate narrows what is built, too: `--workspace` would win.
/// The command is always tested with every provider.
fn words(has_nextest: bool, args: &[String]) -> Vec<&'static str> {
    let mut words = if has_nextest {
        vec!["nextest", "run", "--no-fail-fast"]
    } else {
        vec!["test", "--tests", "--no-fail-fast"]
    };
    let names_crates = args
        .iter()
        .any(|arg| arg.starts_with("-p") || arg.starts_with("--package"));
    if !names_crates {
        words.extend(EVERYTHING);
    } else if args.iter().any(|arg| arg.ends_with("fleetwright-cli")) {
        words.push(ALL_PROVIDERS);
    }
    words
}

fn part(peers: &[Ensured], mut command: Command) -> Result<Part> {
    for ensured in peers {
        if let Peer::Ready { env } = &ensured.peer {
            command.envs(env.iter().map(|(name, value)| (name, value)));
        }
    }
    let words: Vec<_> = command
        .get_args()
        .map(|arg| arg.to_string_lossy())
        .collect();
    let shown = format!("cargo {}", words.join(" "));
    println!("tests: {shown}");
    let status = command.status().map_err(|e| {
        Error::new(Kind::NotFound, format!("cannot start `{shown}`")).with_source(e)
    })?;
    Ok(Part {
        shown,
        passed: status.success(),
    })
}

/// Runs the commands in README and guides, and nothing else.
pub(crate) fn guides_only(workspace: &Workspace) -> Result<ExitCode> {
    let part = walk(workspace)?;
    let passed = part.passed;
    print!("{}", summary(&[part], &[], &[], true));
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The commands in README and guides.
fn walk(workspace: &Workspace) -> Result<Part> {
    println!("tests: the commands in README and guides");
    let outcome = guides::run(workspace)?;
    for failure in &outcome.failures {
        println!("{failure}");
    }
    Ok(Part {
        shown: format!(
            "{} commands in README and guides ({} pages)",
            outcome.commands, outcome.pages
        ),
        passed: outcome.failures.is_empty() && outcome.commands > 0,
    })
}

/// What ran, with which peers, and what did not run and why.
fn summary(parts: &[Part], failed: &[Failure], peers: &[Ensured], everything: bool) -> String {
    let mut lines = vec![String::new(), "summary".to_owned()];
    for part in parts {
        let word = if part.passed { "passed" } else { "FAILED" };
        lines.push(format!("  {word}   {}", part.shown));
    }
    lines.extend(failures::shown(failed));
    if !everything {
        lines.push("  not run  documentation tests and guides: a filter was given".to_owned());
    }
    for ensured in peers {
        lines.push(match &ensured.peer {
            Peer::Ready { .. } => format!("  peer     {}", ensured.name),
            Peer::Skipped { why } => format!("  SKIPPED  {}: {why}", ensured.name),
        });
    }
    let skipped = peers
        .iter()
        .filter(|ensured| matches!(ensured.peer, Peer::Skipped { .. }))
        .count();
    if !peers.is_empty() {
        lines.push(format!(
            "  {} of {} peers ran, {skipped} skipped",
            peers.len() - skipped,
            peers.len()
        ));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_crate_is_tested_alone_and_everything_otherwise() {
        let filter = |args: &[&str]| -> Vec<String> { args.iter().map(|a| (*a).into()).collect() };
        assert!(words(true, &[]).contains(&"--workspace"));
        assert!(words(true, &filter(&["a_test"])).contains(&"--workspace"));
        assert!(!words(false, &filter(&["-p", "xtask"])).contains(&"--workspace"));
        assert!(!words(true, &filter(&["--package=xtask"])).contains(&"--workspace"));
        assert!(!words(true, &filter(&["-p", "xtask"])).contains(&ALL_PROVIDERS));
        for named in [
            &["-p", "fleetwright-cli"][..],
            &["-pfleetwright-cli"],
            &["kill"],
        ] {
            assert!(
                words(true, &filter(named)).contains(&ALL_PROVIDERS),
                "{named:?}"
            );
        }
    }

    #[test]
    fn the_summary_counts_peers_and_gives_reasons() {
        let parts = [Part {
            shown: "cargo test".into(),
            passed: false,
        }];
        let peers = [
            Ensured {
                name: "openssh",
                peer: Peer::Ready { env: vec![] },
                _server: None,
            },
            Ensured {
                name: "other",
                peer: Peer::Skipped {
                    why: "no apt".into(),
                },
                _server: None,
            },
        ];
        let failed = [Failure {
            name: "engine::it a::bad".into(),
            output: "1 is not 2\n".into(),
        }];
        let text = summary(&parts, &failed, &peers, false);
        let expected = "\nsummary\n  FAILED   cargo test\n  failed   engine::it a::bad\n    | 1 is \
                        not 2\n  not run  documentation tests and guides: a \
                        filter was given\n  peer     openssh\n  SKIPPED  other: no apt\n  1 of 2 peers \
                        ran, 1 skipped\n";
        assert_eq!(text, expected);
    }
}
