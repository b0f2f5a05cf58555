//! Plans, agreement, interruption, and two at once.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use fleetwright_core::Span;
use fleetwright_sim::SimConfig;
use rustix::process::Signal;

use crate::bed::{Bed, Ran, kill, local, processes_with};

#[test]
fn a_stored_plan_is_executed_once() {
    let bed = Bed::local(2);
    let plan = bed.must(0, &["plan", "--out", "plan.json"]);
    assert!(
        plan.stderr.contains("create 2 in pool web"),
        "{}",
        plan.stderr
    );
    assert!(processes_with(&bed.path("state")).is_empty());
    bed.must(21, &["plan", "--check"]);
    let apply = bed.must(0, &["apply", "plan.json", "--yes"]);
    assert!(
        apply.stderr.contains("2 created: 2 nodes ready"),
        "{}",
        apply.stderr
    );
    bed.must(0, &["plan", "--check"]);
    // The fleet is another one now: the plan is stale.
    let again = bed.must(8, &["apply", "plan.json", "--yes"]);
    assert!(
        again.stderr.contains("the plan is stale"),
        "{}",
        again.stderr
    );
    assert_eq!(bed.names().len(), 2);
    bed.must(0, &["down", "--yes"]);
}

#[test]
fn a_plan_that_was_tampered_with_is_refused() {
    let bed = Bed::local(1);
    bed.must(0, &["plan", "--out", "plan.json"]);
    let text = std::fs::read_to_string(bed.path("plan.json")).expect("the plan was written");
    let more = text.replace("\"count\": 1", "\"count\": 40");
    assert_ne!(more, text);
    std::fs::write(bed.path("plan.json"), more).expect("it is writable");
    let ran = bed.must(4, &["apply", "plan.json", "--yes"]);
    assert!(
        ran.stderr.contains("was changed after it was written"),
        "{}",
        ran.stderr
    );
    std::fs::write(bed.path("plan.json"), "{}").expect("it is writable");
    let ran = bed.must(4, &["apply", "plan.json", "--yes"]);
    assert!(ran.stderr.contains("is not a plan"), "{}", ran.stderr);
    bed.must(4, &["apply", "missing.json", "--yes"]);
    assert!(processes_with(&bed.path("state")).is_empty());
}

#[test]
fn nothing_is_removed_unless_somebody_agrees() {
    let bed = Bed::local(3);
    bed.must(0, &["up", "--yes"]);
    let down = bed.must(22, &["down"]);
    assert!(down.stderr.contains("add `--yes`"), "{}", down.stderr);
    bed.configure(&local(0));
    bed.must(22, &["up", "--max-removal", "100"]);
    bed.must(0, &["plan", "--out", "plan.json", "--max-removal", "100"]);
    bed.must(22, &["apply", "plan.json"]);
    assert_eq!(processes_with(&bed.path("state")).len(), 3);
    // And not more of them than allowed, whoever agrees.
    let braked = bed.must(24, &["up", "--yes", "--max-removal", "10"]);
    assert!(
        braked.stderr.contains("`--max-removal <percent>`"),
        "{}",
        braked.stderr
    );
    assert_eq!(processes_with(&bed.path("state")).len(), 3);
    bed.must(0, &["down", "--yes"]);
    assert!(processes_with(&bed.path("state")).is_empty());
}

/// A cloud slow enough to be interrupted.
fn slow(boot: u64) -> (SimConfig, &'static str) {
    let config = SimConfig {
        latency: Span(Duration::from_millis(5)),
        boot_time: Span(Duration::from_millis(boot)),
        script_time: Span(Duration::ZERO),
        ..SimConfig::default()
    };
    let pool = "[pools.web]\ndesired = 4\n\
                candidates = [{ provider = \"cloud\", region = \"sim-east\", type = \"sim.small\" }]\n";
    (config, pool)
}

/// Starts `up` and waits until it has said that it makes nodes.
fn begin_up(bed: &Bed) -> (std::process::Child, impl FnOnce() -> String) {
    let mut child = bed
        .command(&["up", "--yes", "--timeout", "60s"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let mut lines = BufReader::new(child.stderr.take().expect("it is a pipe")).lines();
    let mut said = String::new();
    for line in lines.by_ref() {
        let line = line.expect("stderr is text");
        said.push_str(&line);
        if line.contains("requested") {
            break;
        }
    }
    assert!(said.contains("requested"), "{said}");
    (child, move || {
        lines
            .map(|line| line.expect("stderr is text") + "\n")
            .collect()
    })
}

#[test]
fn an_interrupted_up_is_finished_by_the_next() {
    let (config, pool) = slow(1_000);
    let bed = Bed::sim(&config, pool);
    let (mut child, rest) = begin_up(&bed);
    kill(child.id(), Signal::INT);
    let rest = rest();
    let status = child.wait().expect("the child ends");
    assert_eq!(status.code(), Some(130), "{rest}");
    assert!(rest.contains("run the command again"), "{rest}");
    bed.must(0, &["up", "--yes", "--timeout", "60s"]);
    let live = bed
        .world(&config)
        .live_nodes()
        .expect("the world is readable");
    assert_eq!(live.len(), 4);
    bed.must(0, &["audit"]);
}

#[test]
fn of_two_at_once_one_wins_and_the_other_names_it() {
    let (config, pool) = slow(2_000);
    let bed = Bed::sim(&config, pool);
    let (mut first, rest) = begin_up(&bed);
    let second: Ran = bed.run(&["up", "--yes"]);
    assert_eq!(second.status, Some(8), "{}", second.stderr);
    let holder = format!("`fleetwright up`, process {}", first.id());
    assert!(second.stderr.contains(&holder), "{}", second.stderr);
    let rest = rest();
    let status = first.wait().expect("the first ends");
    assert_eq!(status.code(), Some(0), "{rest}");
    let live = bed
        .world(&config)
        .live_nodes()
        .expect("the world is readable");
    assert_eq!(live.len(), 4);
    bed.must(0, &["audit"]);
}
