//! Limits that hold when nobody looks: the process in the background, and what commands say of it.

use std::fmt::Write as _;
use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::bed::{Bed, FLEET, kill, pause, processes_with};
use crate::terminal::Terminal;

/// Real nodes on this machine, with these limits.
fn limited(desired: u32, limits: &str) -> Bed {
    let bed = Bed::new("");
    bed.configure(&config(desired, limits));
    bed
}

fn config(desired: u32, limits: &str) -> String {
    format!(
        "fleet = \"{FLEET}\"\n[providers.here]\nkind = \"local\"\n[pools.gpu]\ndesired = {desired}\n\
         candidates = [{{ provider = \"here\", type = \"small\" }}]\n{limits}\n"
    )
}

/// The process in the background of this bed, and those it may have besides by mistake.
fn keepers(bed: &Bed) -> Vec<u32> {
    processes_with(&bed.path("state"))
        .into_iter()
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0)
                .any(|word| word == b"__limits")
        })
        .collect()
}

/// The local nodes of this bed that run.
fn nodes(bed: &Bed) -> usize {
    processes_with(&bed.path("state")).len() - keepers(bed).len()
}

/// Looks until something holds, at most for so long.
#[track_caller]
fn within(seconds: u64, bed: &Bed, what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        let log = std::fs::read_to_string(bed.state().join("limits.log")).unwrap_or_default();
        assert!(
            began.elapsed() < Duration::from_secs(seconds),
            "not within {seconds} s: {what}\n{log}"
        );
        pause(Duration::from_millis(50));
    }
}

/// Everything is gone: nodes, the process that watched over them, and its mark.
#[track_caller]
fn ends(bed: &Bed, seconds: u64) {
    within(seconds, bed, "nodes and keeper are gone", || {
        nodes(bed) == 0 && keepers(bed).is_empty()
    });
    assert!(!bed.state().join("limits.wanted").exists());
}

#[test]
fn nodes_end_although_nobody_runs_a_command_and_an_up_makes_them_anew() {
    let bed = limited(2, "limits = { max_runtime = \"5s\" }");
    bed.must(0, &["up", "--yes"]);
    assert_eq!((nodes(&bed), keepers(&bed).len()), (2, 1));
    let status = bed.json(&["status"]);
    assert_eq!(status["limits"]["running"], true);
    assert!(status["ends"][0]["ends_at"].is_string(), "{status}");
    ends(&bed, 40);
    let told = bed.must(0, &["events"]).stdout;
    assert_eq!(
        told.matches("gone: its time was over at").count(),
        2,
        "{told}"
    );
    // Looking does not bring them back, and neither does a plan.
    bed.must(20, &["status"]);
    assert_eq!((nodes(&bed), keepers(&bed).len()), (0, 0));
    bed.must(0, &["up", "--yes"]);
    assert_eq!((nodes(&bed), keepers(&bed).len()), (2, 1));
    bed.must(0, &["down", "--yes"]);
    ends(&bed, 40);
}

#[test]
fn limits_hold_when_the_terminal_is_closed_in_the_middle_of_an_up() {
    let script = "user_data = \"#!/bin/sh\\nsleep 600\\n\"";
    let bed = limited(1, &format!("{script}\nlimits = {{ max_runtime = \"6s\" }}"));
    let mut terminal = Terminal::new(&bed, &["up", "--yes"]);
    terminal.wait_for("requested");
    let keeper = keepers(&bed);
    assert_eq!(keeper.len(), 1);
    // The node, and soon its boot script.
    assert!(nodes(&bed) > 0);
    let ended = terminal.close();
    assert!(!ended.success(), "{ended}");
    assert_eq!(keepers(&bed), keeper);
    ends(&bed, 40);
}

#[test]
fn a_keeper_that_was_killed_is_started_again_by_the_next_command() {
    let bed = limited(1, "limits = { max_runtime = \"60s\" }");
    bed.must(0, &["up", "--yes"]);
    let first = keepers(&bed);
    assert_eq!(first.len(), 1);
    kill(first[0], Signal::KILL);
    within(10, &bed, "it is dead", || keepers(&bed).is_empty());
    bed.must(0, &["nodes"]);
    let second = keepers(&bed);
    assert_eq!(second.len(), 1);
    assert_ne!(first, second);
    // And never a second one.
    bed.must(0, &["up", "--yes"]);
    bed.must(0, &["status"]);
    assert_eq!(keepers(&bed), second);
    bed.must(0, &["down", "--yes"]);
    ends(&bed, 40);
}

#[test]
fn without_limits_nothing_runs_in_the_background() {
    let bed = limited(1, "");
    bed.must(0, &["up", "--yes"]);
    bed.must(0, &["status"]);
    assert_eq!((nodes(&bed), keepers(&bed).len()), (1, 0));
    assert!(!bed.state().join("limits.wanted").exists());
    bed.must(0, &["down", "--yes"]);
}

#[test]
fn a_node_is_extended_up_to_the_cap_of_its_pool() {
    let bed = limited(2, "limits = { max_runtime = \"1h\", extend_to = \"4h\" }");
    bed.must(0, &["up", "--yes"]);
    let name = bed.names().remove(0);
    let one = bed.must(0, &["extend", &name, "2h"]);
    let left = one.stdout.strip_prefix(&format!("{name} ends in "));
    let is_right = left.is_some_and(|left| left.starts_with("3h,") || left.starts_with("2h 59m,"));
    assert!(is_right, "{}", one.stdout);
    let both = bed.must(4, &["extend", "--all", "90m"]);
    for words in ["its pool `gpu` allows at most 4h", "hint: at most "] {
        assert!(both.stderr.contains(words), "{}", both.stderr);
    }
    bed.must(0, &["extend", "--pool", "gpu", "30m"]);
    let ends_at = bed.json(&["status"])["ends"].clone();
    let events = bed.must(0, &["events"]).stdout;
    assert_eq!(events.matches("it was extended by").count(), 3, "{events}");
    assert_ne!(ends_at[0]["ends_at"], ends_at[1]["ends_at"]);
    for (arguments, status, words) in [
        (&["extend", "2h"][..], 4, "which node is extended"),
        (&["extend", "--all", &name, "2h"], 4, "give one of them"),
        (&["extend", "--pool", "gqu", "2h"], 7, "the pools are: gpu"),
        (&["extend", &name, "soon"], 4, "`soon` is not a duration"),
        (&["extend", "nobody", "2h"], 7, "no node is named `nobody`"),
    ] {
        let ran = bed.must(status, arguments);
        assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
    }
    bed.must(0, &["down", "--yes"]);
    bed.must(7, &["extend", "--all", "2h"]);
    ends(&bed, 40);
}

#[test]
fn a_session_keeps_a_node_and_without_one_it_goes() {
    let bed = limited(
        1,
        "limits = { idle_after = \"3s\" }\nidle = { signals = [\"sessions\"] }",
    );
    bed.must(0, &["up", "--yes"]);
    let mut session = bed
        .command(&["exec", "--", "sleep 7; echo woken"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let mut said = String::new();
    let mut stdout = session.stdout.take().expect("it is a pipe");
    stdout.read_to_string(&mut said).expect("stdout is text");
    let ended = session.wait().expect("the child ends");
    assert!(ended.success() && said.contains("woken"), "{said}");
    assert_eq!(nodes(&bed), 1, "it went while it was used");
    ends(&bed, 40);
    let told = bed.must(0, &["events"]).stdout;
    assert!(
        told.contains("is in use: 1 SSH session") || told.contains("is unused"),
        "{told}"
    );
    assert!(told.contains("gone: nobody used it for"), "{told}");
}

#[test]
fn a_probe_that_says_busy_keeps_a_node_until_it_says_otherwise() {
    let bed = limited(
        1,
        "limits = { idle_after = \"2s\" }\n\
         idle = { signals = [], probe = \"test ! -e ~/busy\" }",
    );
    bed.must(0, &["up", "--yes"]);
    bed.must(0, &["exec", "--", "touch ~/busy"]);
    pause(Duration::from_secs(5));
    assert_eq!(nodes(&bed), 1);
    bed.must(0, &["exec", "--", "rm ~/busy"]);
    ends(&bed, 40);
}

#[test]
fn a_limit_that_comes_with_a_changed_file_is_noticed_by_the_keeper() {
    let bed = limited(1, "limits = { max_runtime = \"10m\" }");
    bed.must(0, &["up", "--yes"]);
    // Not a file that anybody could read: what was agreed on goes on.
    bed.configure("[pools");
    within(20, &bed, "the mistake is in the log", || {
        std::fs::read_to_string(bed.state().join("limits.log"))
            .is_ok_and(|log| log.contains("error: "))
    });
    assert_eq!((nodes(&bed), keepers(&bed).len()), (1, 1));
    bed.configure(&config(
        1,
        "limits = { max_runtime = \"10m\", idle_after = \"2s\" }\nidle = { signals = [\"sessions\"] }",
    ));
    ends(&bed, 40);
}

#[test]
fn a_keeper_whose_state_is_gone_ends() {
    let bed = limited(1, "limits = { max_runtime = \"10m\" }");
    bed.must(0, &["up", "--yes"]);
    bed.must(0, &["down", "--yes"]);
    bed.must(0, &["up", "--yes"]);
    let name = bed.names().remove(0);
    kill(bed.process_of(&name), Signal::KILL);
    std::fs::remove_dir_all(bed.path("state")).expect("it can be removed");
    within(20, &bed, "the keeper ends", || keepers(&bed).is_empty());
}

#[test]
fn an_answer_in_a_terminal_is_taken_before_anything_runs_in_the_background() {
    let bed = Bed::new("");
    bed.configure(&format!(
        "fleet = \"{FLEET}\"\n[providers.cloud]\nkind = \"sim\"\n[pools.gpu]\ndesired = 1\n\
         candidates = [{{ provider = \"cloud\", region = \"sim-east\", type = \"sim.small\" }}]\n\
         limits = {{ max_runtime = \"1h\" }}\n"
    ));
    let mut terminal = Terminal::new(&bed, &["up"]);
    terminal.wait_for("change the fleet to at most");
    assert_eq!(keepers(&bed), [] as [u32; 0]);
    terminal.types("n\r");
    assert_eq!(terminal.ends(), Some(22));
    assert_eq!(keepers(&bed), [] as [u32; 0]);
}

/// The local nodes of this bed that are on; their timers are processes of their own.
fn powered(bed: &Bed) -> usize {
    let is_node = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0)
            .any(|word| word == b"__local-node")
    };
    let all = processes_with(&bed.path("state"));
    all.iter().filter(|pid| is_node(pid)).count()
}

/// Three pools, one for each form of user data, whose nodes power themselves off.
fn timed(seconds: u32) -> Bed {
    let bed = Bed::new("");
    let mut text = format!("fleet = \"{FLEET}\"\n[providers.here]\nkind = \"local\"\n");
    for (name, user_data) in [
        ("bare", ""),
        (
            "script",
            "user_data = \"#!/bin/sh\\necho \\\"it's me\\\" >own\\n\"",
        ),
        (
            "config",
            "user_data = \"#cloud-config\\nruncmd:\\n  - echo me >own\\n\"",
        ),
    ] {
        write!(
            text,
            "[pools.{name}]\ndesired = 1\ncandidates = [{{ provider = \"here\", type = \"small\" }}]\n\
             limits = {{ dead_man = \"{seconds}s\" }}\n{user_data}\n"
        )
        .expect("writing to a string cannot fail");
    }
    bed.configure(&text);
    bed
}

#[test]
fn a_node_that_nobody_looks_after_powers_itself_off_and_is_explained_and_replaced() {
    let bed = timed(4);
    bed.must(0, &["up", "--yes"]);
    assert_eq!(powered(&bed), 3);
    let own = bed.must(0, &["exec", "--", "cat own 2>/dev/null; true"]);
    assert!(
        own.stdout.contains("it's me") && own.stdout.contains(": me"),
        "{}",
        own.stdout
    );
    // Somebody looks after them, for longer than they would live without.
    let before = bed.names();
    pause(Duration::from_secs(7));
    assert_eq!(powered(&bed), 3, "they are renewed in the background");

    let watching = keepers(&bed);
    assert_eq!(watching.len(), 1);
    kill(watching[0], Signal::KILL);
    within(15, &bed, "the nodes power themselves off", || {
        powered(&bed) == 0
    });

    let status = bed.run(&["status"]);
    assert_ne!(status.status, Some(0));
    assert!(
        status
            .stderr
            .contains("it powers itself off when nobody has renewed its timer for 4s"),
        "{}",
        status.stderr
    );
    bed.must(0, &["up", "--yes"]);
    let after = bed.names();
    assert_eq!(after.len(), 3);
    assert!(after.iter().all(|name| !before.contains(name)), "{after:?}");
    bed.must(0, &["down", "--yes"]);
    ends(&bed, 10);
}

#[test]
fn a_pool_that_is_short_because_time_was_over_says_so() {
    let bed = limited(2, "limits = { max_runtime = \"1s\" }");
    bed.must(0, &["up", "--yes"]);
    ends(&bed, 15);
    let status = bed.run(&["status"]);
    assert!(
        status
            .stderr
            .contains("pool `gpu` is short of 2 nodes: the time of 2 was over"),
        "{}",
        status.stderr
    );
    let why = bed.must(0, &["why", "gpu"]);
    assert!(
        why.stdout
            .contains("nothing is made in their place until the next `up`"),
        "{}",
        why.stdout
    );
    let json: serde_json::Value =
        serde_json::from_str(&bed.run(&["status", "--json"]).stdout).expect("it is JSON");
    assert_eq!(json["shortages"][0]["expired"], 2);
}
