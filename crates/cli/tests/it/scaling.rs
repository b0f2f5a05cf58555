//! Pools that are scaled: signals, policies in the background, sizes by hand.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use fleetwright_core::Span;
use fleetwright_sim::SimConfig;
use serde_json::Value;

use crate::bed::{Bed, Ran, pause, strings};

/// A cloud that answers at once, and one pool in it.
fn bed(pool: &str) -> Bed {
    let instant = Span(Duration::ZERO);
    let config = SimConfig {
        latency: instant,
        boot_time: instant,
        script_time: instant,
        delete_time: instant,
        ..SimConfig::default()
    };
    let candidates =
        "candidates = [{ provider = \"cloud\", region = \"sim-east\", type = \"sim.small\" }]";
    Bed::sim(&config, &format!("[pools.train]\n{candidates}\n{pool}\n"))
}

/// A pool that follows a queue, decided on every second, without cool-down.
fn queue() -> Bed {
    bed(
        "desired = 1\nmax = 6\n[pools.train.scaling]\nevery = \"1s\"\n\
         policy = { queue = { signal = \"jobs\", per_node = 4 } }\n\
         cool_down = { up = \"0s\", down = \"0s\" }\nmax_step = { down = 2 }",
    )
}

fn nodes(bed: &Bed) -> usize {
    bed.names().len()
}

fn size(bed: &Bed) -> Value {
    bed.json(&["scale", "train"])["pools"][0].clone()
}

/// Looks until something holds, at most for half a minute.
#[track_caller]
fn soon(bed: &Bed, what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        let log = std::fs::read_to_string(bed.state().join("limits.log")).unwrap_or_default();
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "not soon: {what}\n{log}"
        );
        pause(Duration::from_millis(100));
    }
}

fn push_lines(bed: &Bed, lines: &str) -> Ran {
    let mut child = bed
        .command(&["signal", "push", "-", "--pool", "train"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(lines.as_bytes()).expect("it reads");
    drop(stdin);
    child.wait_with_output().expect("it ends").into()
}

#[test]
fn a_pool_follows_its_queue_in_the_background_until_it_is_taken_down() {
    let bed = queue();
    bed.must(0, &["up", "--yes"]);
    assert_eq!(nodes(&bed), 1, "it begins at the configured size");
    bed.must(0, &["signal", "push", "jobs", "17"]);
    soon(&bed, "five nodes", || nodes(&bed) == 5);
    let shown = size(&bed);
    assert_eq!(shown["decided"]["by"], "policy");
    assert_eq!(
        shown["decided"]["reason"],
        "`jobs` is 17, at 4 for each node: 5 nodes"
    );
    assert_eq!(shown["decided"]["evidence"]["vote"]["value"], 17);
    let status = bed.must(0, &["status"]);
    assert!(
        status
            .stderr
            .contains("pool train is kept at 5 nodes by its policy")
            && status.stderr.contains("(1 configured): `jobs` is 17"),
        "{}",
        status.stderr
    );
    assert_eq!(bed.json(&["status"])["sizes"][0]["size"], 5);
    // Another `up` does not undo what was decided.
    bed.must(0, &["plan", "--check"]);
    bed.must(0, &["up", "--yes"]);
    assert_eq!(nodes(&bed), 5);
    // Downwards in steps of two, to the least that the signal needs.
    bed.must(0, &["signal", "push", "jobs", "1"]);
    soon(&bed, "one node", || nodes(&bed) == 1);
    let events = bed.must(0, &["events"]).stdout;
    for told in [
        "pool train from 1 to 5: `jobs` is 17, at 4 for each node: 5 nodes",
        "pool train from 5 to 3: `jobs` is 1, at 4 for each node: 1 node; at most 2 fewer at once",
        "pool train from 3 to 1: `jobs` is 1",
    ] {
        assert!(events.contains(told), "{told}\n{events}");
    }
    bed.must(0, &["signal", "push", "jobs", "9"]);
    bed.must(0, &["down", "--yes"]);
    pause(Duration::from_secs(3));
    assert_eq!(nodes(&bed), 0, "what was taken down stays down");
    assert_eq!(size(&bed)["decided"], Value::Null);
}

#[test]
fn what_down_takes_from_a_pool_is_not_made_again() {
    let bed = queue();
    bed.must(0, &["signal", "push", "jobs", "12"]);
    bed.must(0, &["up", "--yes"]);
    soon(&bed, "three nodes", || nodes(&bed) == 3);
    let one = &bed.names()[0];
    bed.must(0, &["down", "--yes", "--on", &format!("name={one}")]);
    pause(Duration::from_secs(3));
    assert_eq!(nodes(&bed), 2);
    bed.must(0, &["down", "--yes"]);
}

#[test]
fn a_signal_that_is_missing_keeps_the_size_and_says_so() {
    let bed = queue();
    let early = bed.must(20, &["scale", "--evaluate", "--dry-run"]);
    assert!(
        early.stdout.contains("train: stays at 1"),
        "{}",
        early.stdout
    );
    assert!(
        early
            .stdout
            .contains("without effect: its scaling begins with `fleetwright up`"),
        "{}",
        early.stdout
    );
    assert!(
        early.stderr.contains("the signal `jobs` has no value"),
        "{}",
        early.stderr
    );
    bed.must(0, &["up", "--yes"]);
    soon(&bed, "the trouble is noted", || {
        size(&bed)["decided"]["trouble"].is_string()
    });
    assert_eq!(nodes(&bed), 1);
    let status = bed.must(0, &["status"]);
    assert!(
        status
            .stderr
            .contains("pool train keeps its size: the signal `jobs` has no value"),
        "{}",
        status.stderr
    );
    bed.must(0, &["signal", "push", "jobs", "5"]);
    soon(&bed, "two nodes", || nodes(&bed) == 2);
    let events = bed.must(0, &["events"]).stdout;
    assert!(
        events.contains("pool train stays at 1: the signal `jobs` has no value")
            && events.contains("the policy of pool train can decide again"),
        "{events}"
    );
    bed.must(0, &["down", "--yes"]);
}

#[test]
fn an_evaluation_explains_and_changes_nothing_if_it_is_dry() {
    let bed = queue();
    bed.must(0, &["up", "--yes"]);
    bed.must(0, &["signal", "push", "jobs", "99"]);
    let told = bed.must(0, &["scale", "--evaluate", "--dry-run"]);
    // The process in the background may have decided in between.
    assert!(
        told.stdout
            .contains("`jobs` is 99, at 4 for each node: 25 nodes; the pool has 6 at most"),
        "{}",
        told.stdout
    );
    let json = bed.json(&["scale", "train", "--evaluate"]);
    assert_eq!(json["pools"][0]["decision"]["size"], 6);
    assert_eq!(
        json["pools"][0]["decision"]["evidence"]["vote"]["wants"],
        25
    );
    assert_eq!(size(&bed)["size"], 6);
    soon(&bed, "six nodes", || nodes(&bed) == 6);
    bed.must(0, &["down", "--yes"]);
}

#[test]
fn a_size_by_hand_holds_until_it_is_given_back() {
    let bed = bed("desired = 2\nmax = 6");
    bed.must(0, &["up", "--yes"]);
    let asked = bed.must(22, &["scale", "train", "5"]);
    assert!(
        asked.stderr.contains("create 3 in pool train"),
        "{}",
        asked.stderr
    );
    assert_eq!((nodes(&bed), size(&bed)["size"].clone()), (2, 2.into()));
    let ran = bed.must(0, &["scale", "train", "5", "--yes"]);
    assert!(
        ran.stderr.contains("3 created: 5 nodes ready"),
        "{}",
        ran.stderr
    );
    bed.must(0, &["up", "--yes"]);
    assert_eq!(nodes(&bed), 5);
    assert_eq!(size(&bed)["decided"]["by"], "hand");
    // More than the brake would allow, but agreed to.
    bed.must(0, &["scale", "train", "0", "--yes"]);
    assert_eq!(nodes(&bed), 0);
    bed.must(0, &["scale", "train", "--auto", "--yes"]);
    assert_eq!(
        (nodes(&bed), size(&bed)["decided"].clone()),
        (2, Value::Null)
    );
    bed.must(8, &["scale", "train", "--auto", "--yes"]);
    bed.must(0, &["down", "--yes"]);
}

#[test]
fn a_size_for_a_while_ends_by_itself() {
    let bed = bed("desired = 1");
    bed.must(0, &["up", "--yes"]);
    bed.must(0, &["scale", "train", "4", "--for", "3s", "--yes"]);
    assert_eq!(nodes(&bed), 4);
    soon(&bed, "one node again", || nodes(&bed) == 1);
    soon(&bed, "nothing is left of it", || {
        size(&bed)["decided"] == Value::Null
    });
    soon(&bed, "nobody keeps anything", || {
        !bed.state().join("limits.wanted").exists()
    });
}

#[test]
fn by_hand_goes_before_the_policy_for_its_time() {
    let bed = queue();
    bed.must(0, &["up", "--yes"]);
    bed.must(0, &["scale", "train", "2", "--for", "4s", "--yes"]);
    bed.must(0, &["signal", "push", "jobs", "24"]);
    let told = bed.must(0, &["scale", "--evaluate"]);
    assert!(
        told.stdout
            .contains("without effect: its size is set by hand until"),
        "{}",
        told.stdout
    );
    assert_eq!(nodes(&bed), 2);
    soon(&bed, "six nodes", || nodes(&bed) == 6);
    assert_eq!(size(&bed)["decided"]["by"], "policy");
    // And without an end, until it is given back.
    bed.must(0, &["scale", "train", "1", "--yes"]);
    pause(Duration::from_secs(2));
    assert_eq!(nodes(&bed), 1);
    bed.must(0, &["scale", "train", "--auto"]);
    soon(&bed, "six nodes again", || nodes(&bed) == 6);
    bed.must(0, &["down", "--yes"]);
}

#[test]
fn a_wrong_word_is_told_apart() {
    let bed = bed("desired = 2\nmin = 1\nmax = 6");
    for (status, arguments, told) in [
        (5, &["scale", "trian"][..], "no pool is named `trian`"),
        (
            4,
            &["scale", "train", "7", "--yes"],
            "pool `train` cannot have 7 nodes: `max` is 6",
        ),
        (
            4,
            &["scale", "train", "0", "--yes"],
            "pool `train` cannot have 0 nodes: `min` is 1",
        ),
        (2, &["scale", "--for", "2h"], "required arguments"),
        (2, &["scale", "train", "--dry-run"], "--evaluate"),
        (
            4,
            &["signal", "push", "jobs", "1"],
            "of which pool is this a signal?",
        ),
    ] {
        let ran = bed.run(arguments);
        assert!(ran.stderr.contains(told), "{arguments:?}: {}", ran.stderr);
        if status != 5 {
            assert_eq!(ran.status, Some(status), "{arguments:?}");
        }
    }
    assert!(!bed.state().join("limits.wanted").exists());
}

#[test]
fn values_are_written_all_or_none_and_shown() {
    let bed = queue();
    for bad in ["NaN", "inf", "-1", "1e13", "many"] {
        let ran = bed.must(4, &["signal", "push", "jobs", bad]);
        assert!(ran.stderr.contains("error: `"), "{}", ran.stderr);
    }
    let ran = push_lines(&bed, "jobs 3\n\njobs NaN\n");
    assert_eq!(ran.status, Some(4));
    assert!(ran.stderr.contains("line: 3"), "{}", ran.stderr);
    let listed = bed.json(&["signal", "list"]);
    assert_eq!(
        strings(&listed["signals"], "name"),
        ["jobs"],
        "the policy wants it"
    );
    assert_eq!(
        listed["signals"][0]["newest"],
        Value::Null,
        "none was written"
    );
    let ran = push_lines(&bed, "jobs 3 2026-11-24T12:00:00Z\njobs 0.25\njbos 7\n");
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("does not look at the signal `jbos`; did you mean `jobs`?"),
        "{}",
        ran.stderr
    );
    let listed = bed.json(&["signal", "list"]);
    assert_eq!(strings(&listed["signals"], "name"), ["jbos", "jobs"]);
    assert_eq!(listed["signals"][1]["newest"]["value"], 0.25);
    assert_eq!(listed["signals"][1]["count"], 2);
    let values = bed.json(&["signal", "list", "jobs"]);
    assert_eq!(values["values"][0]["value"], 3);
    let late = bed.must(
        4,
        &[
            "signal",
            "push",
            "jobs",
            "1",
            "--at",
            "2999-01-01T00:00:00Z",
        ],
    );
    assert!(late.stderr.contains("still to come"), "{}", late.stderr);
    let table = bed.must(0, &["signal", "list"]).stdout;
    assert!(
        table.contains("POOL") && table.contains("pushed"),
        "{table}"
    );
}
