//! What commands show: help, history, single nodes, templates, completions.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::bed::Bed;

const COMMANDS: &[&str] = &[
    "up",
    "plan",
    "apply",
    "down",
    "extend",
    "scale",
    "signal",
    "env",
    "inventory",
    "status",
    "nodes",
    "node",
    "why",
    "why-not",
    "exec",
    "drift",
    "targets",
    "deploy",
    "ssh",
    "health",
    "heartbeat",
    "cordon",
    "drain",
    "uncordon",
    "notify",
    "events",
    "cost",
    "audit",
    "adopt",
    "capacity",
    "offers",
    "providers",
    "validate",
    "init",
    "completions",
];

#[test]
fn every_command_has_help_with_an_example() {
    let bed = Bed::local(1);
    let all = bed.must(0, &["--help"]);
    assert!(
        all.stdout
            .starts_with("Gets machines from any cloud, exactly once"),
        "{}",
        all.stdout
    );
    let listed: Vec<&str> = all
        .stdout
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert_eq!(listed, COMMANDS);
    for command in COMMANDS {
        let help = bed.must(0, &[command, "--help"]);
        let example = format!(":\n  fleetwright {command}");
        let is_there = ["\nExample", "\nExamples"]
            .iter()
            .any(|word| help.stdout.contains(&format!("{word}{example}")));
        assert!(is_there, "{}", help.stdout);
    }
}

#[test]
fn every_shell_gets_its_completions() {
    let bed = Bed::new("this is = not [a configuration");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = bed.must(0, &["completions", shell]);
        assert!(ran.stdout.contains("fleetwright"), "{shell}");
        assert!(ran.stdout.contains("providers"), "{shell}");
        assert!(!ran.stdout.contains("__local-node"), "{shell}");
    }
    bed.must(2, &["completions", "tcsh"]);
}

#[test]
fn what_init_writes_is_valid_and_nothing_is_overwritten() {
    let bed = Bed::new("");
    let kept = "# mine\n";
    bed.configure(kept);
    let refused = bed.must(8, &["init"]);
    assert!(
        refused.stderr.contains("`--force` replaces it"),
        "{}",
        refused.stderr
    );
    let text = std::fs::read_to_string(bed.path("fleetwright.toml")).expect("it is there");
    assert_eq!(text, kept);
    bed.must(0, &["init", "--force"]);
    let valid = bed.must(0, &["validate", "--online"]);
    assert!(
        valid.stdout.contains("valid, 1 provider and 1 pool"),
        "{}",
        valid.stdout
    );
    let unknown = bed.must(4, &["init", "--template", "moon", "other.toml"]);
    assert!(
        unknown.stderr.contains("hint: known: local"),
        "{}",
        unknown.stderr
    );
    assert!(!bed.path("other.toml").exists());
}

#[test]
fn a_pool_that_no_offer_meets_is_found_by_validate_online() {
    let bed = Bed::new(
        "[providers.here]\nkind = \"local\"\n[pools.web]\ndesired = 1\n\
         requirements = { gpus = 8 }\n",
    );
    bed.must(0, &["validate"]);
    let ran = bed.must(21, &["validate", "--online"]);
    assert!(ran.stderr.contains("0 GPUs, 8 wanted"), "{}", ran.stderr);
}

#[test]
fn providers_are_listed_with_what_they_can_do() {
    let bed = Bed::local(1);
    let ran = bed.must(0, &["providers", "--check"]);
    assert!(
        ran.stdout
            .contains("here      local  local    catalog,quotas  ok"),
        "{}",
        ran.stdout
    );
    assert!(ran.stderr.contains("kind `sim`"), "{}", ran.stderr);
}

#[test]
fn the_history_of_a_node_is_kept_after_it_is_gone() {
    let bed = Bed::local(1);
    bed.must(0, &["up", "--yes"]);
    let name = bed.names().remove(0);
    let (_, number) = name.rsplit_once("web-").expect("the pool is in the name");
    let shown = bed.must(0, &["node", number]);
    assert!(
        shown.stdout.starts_with(&format!("name     {name}\n")),
        "{}",
        shown.stdout
    );
    bed.must(0, &["down", "--yes"]);
    let gone = bed.must(0, &["node", &name]);
    assert!(
        gone.stdout.contains("\nstate    gone for "),
        "{}",
        gone.stdout
    );
    for step in ["requested", "ready", "terminating", "gone"] {
        assert!(
            gone.stdout.contains(&format!("{name} {step}")),
            "{step}: {}",
            gone.stdout
        );
    }
    let events = bed.must(0, &["events", "--node", &name]);
    assert!(
        events.stdout.contains(&format!("+ {name} requested")),
        "{}",
        events.stdout
    );
    assert_eq!(
        bed.must(0, &["events", "--limit", "1"])
            .stdout
            .lines()
            .count(),
        1
    );
    bed.must(7, &["node", "nobody"]);
    let none = bed.must(0, &["nodes"]);
    assert_eq!(
        (none.stdout.as_str(), none.stderr.as_str()),
        ("", "no nodes; `fleetwright up` makes them\n")
    );
}

#[test]
fn events_are_followed_as_they_happen() {
    let bed = Bed::local(1);
    bed.must(0, &["nodes"]);
    let mut child = bed
        .command(&["events", "--follow"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program can be started");
    let lines = BufReader::new(child.stdout.take().expect("it is a pipe")).lines();
    bed.must(0, &["up", "--yes"]);
    let ready = lines
        .map(|line| line.expect("stdout is text"))
        .find(|line| line.contains(" ready"));
    child.kill().expect("the child can be killed");
    child.wait().expect("the child ends");
    assert!(ready.is_some_and(|line| line.contains("test-web-")));
    bed.must(0, &["down", "--yes"]);
}
