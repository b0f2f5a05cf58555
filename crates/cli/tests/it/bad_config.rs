//! Mistakes in the configuration: each is told with its place and what to do, and nothing is made.

use std::fmt::Write as _;

use fleetwright::providers::KINDS;

use crate::bed::{Bed, Ran};

/// Runs `up` with a configuration and shows what it says, with the directory left out.
fn told(config: &str) -> String {
    let bed = Bed::new(config);
    let ran = bed.must(3, &["up", "--yes"]);
    assert_eq!(ran.stdout, "", "nothing was asked for on stdout");
    assert!(
        !bed.path("state").exists(),
        "a wrong configuration made a state directory"
    );
    shown(&bed, &ran)
}

fn shown(bed: &Bed, ran: &Ran) -> String {
    let directory = bed.path("");
    let directory = directory.to_str().expect("the path is text");
    // A new kind of provider changes no snapshot.
    let kinds = KINDS.iter().map(|kind| format!("`{}`", kind.kind));
    let kinds = kinds.collect::<Vec<_>>().join(", ");
    ran.stderr
        .replace(directory, "")
        .replace(&kinds, "[every kind]")
}

const POOL: &str = "[providers.here]\nkind = \"local\"\n[pools.web]\n";

#[test]
fn every_mistake_is_told_once_with_its_place() {
    let cases = [
        ("unknown key", format!("{POOL}desird = 3\n")),
        (
            "unknown provider kind",
            "[providers.here]\nkind = \"locl\"\n".to_owned(),
        ),
        ("wrong type", format!("{POOL}desired = \"three\"\n")),
        (
            "duplicate names",
            format!("{POOL}desired = 1\n[pools.web]\ndesired = 2\n"),
        ),
        (
            "two mistakes",
            format!("{POOL}desird = 1\ndesired = \"x\"\n"),
        ),
        (
            "unknown provider",
            format!("{POOL}desired = 1\ncandidates = [{{ provider = \"her\" }}]\n"),
        ),
        (
            "user data too long",
            "[providers.cloud]\nkind = \"sim\"\nuser_data_limit = 16\n[pools.web]\ndesired = 1\n\
             user_data = \"#!/bin/sh\\necho long enough\\n\"\n"
                .to_owned(),
        ),
        (
            "limit of zero",
            format!("{POOL}desired = 1\n")
                .replace("kind = \"local\"", "kind = \"local\"\nmax_nodes = 0"),
        ),
        ("not toml", "[providers.here\n".to_owned()),
    ];
    let mut all = String::new();
    for (what, config) in cases {
        writeln!(all, "# {what}\n{}", told(&config)).expect("a string can be written to");
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_missing_file_is_an_error_if_it_was_named() {
    let bed = Bed::new("");
    let ran = bed.must(3, &["--config", "nope.toml", "up", "--yes"]);
    insta::assert_snapshot!(shown(&bed, &ran), @r"
    error: there is no configuration file `nope.toml` (named by `--config`)
      --> nope.toml
    hint: `fleetwright init` writes one
    ");
}

#[test]
fn with_json_every_problem_is_listed() {
    let bed = Bed::new(&format!("{POOL}desird = 1\ndesired = \"x\"\n"));
    let ran = bed.must(3, &["validate", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&ran.stdout).expect("stdout is JSON");
    assert_eq!(answer["error"]["kind"], "config");
    let problems = crate::bed::strings(&answer["problems"], "message");
    assert_eq!(
        problems,
        [
            "unknown key `desird` in `pools.web`",
            "`pools.web.desired` must be an integer, not a string"
        ]
    );
    assert_eq!(answer["problems"][0]["hint"], "did you mean `desired`?");
}

#[test]
fn more_nodes_than_the_provider_allows_is_an_incomplete_run_that_says_why() {
    let bed = Bed::new(
        "[providers.here]\nkind = \"local\"\nmax_nodes = 2\n[pools.web]\ndesired = 3\n\
         candidates = [{ provider = \"here\", type = \"small\" }]\n",
    );
    let ran = bed.must(20, &["up", "--yes", "--timeout", "30s"]);
    assert!(
        ran.stderr
            .contains("may have at most 2 nodes on this machine"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("raise `max_nodes` of the provider"),
        "{}",
        ran.stderr
    );
    assert_eq!(bed.names().len(), 2);
    bed.must(0, &["down", "--yes"]);
}
