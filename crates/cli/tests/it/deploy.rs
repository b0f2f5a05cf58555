//! `targets` and `deploy`, against nodes on this machine and against real OpenSSH servers.

use std::fmt::Write as _;
use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::bed::{Bed, eventually, strings};
use crate::openssh::{Servers, new_key};

/// The state of each machine of a deployment, by name.
fn states(report: &Value) -> Vec<(String, String)> {
    let nodes = report["nodes"].as_array().expect("a list");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    nodes
        .iter()
        .map(|node| (text(&node["name"]), text(&node["state"])))
        .collect()
}

fn count(report: &Value, state: &str) -> usize {
    states(report).iter().filter(|(_, is)| is == state).count()
}

fn json(bed: &Bed, status: i32, arguments: &[&str]) -> Value {
    let mut all = arguments.to_vec();
    all.push("--json");
    let ran = bed.must(status, &all);
    serde_json::from_str(&ran.stdout).expect("stdout is JSON")
}

#[test]
fn targets_alone_need_no_provider_and_show_where_each_was_found() {
    let bed = Bed::new(
        "[targets.edge]\nhosts = [\"admin@edge-1:2222\", \"[2001:db8::7]\"]\nfile = \"hosts.txt\"\n",
    );
    fs::write(bed.path("hosts.txt"), "# more\nedge-2\nadmin@EDGE-1:2222\n").expect("writable");
    bed.must(0, &["validate"]);
    let report = json(&bed, 0, &["targets"]);
    let names = strings(&report["targets"], "name");
    assert_eq!(names, ["edge-1:2222", "2001:db8::7", "edge-2"]);
    assert_eq!(report["targets"][0]["address"], "admin@edge-1:2222");
    assert_eq!(report["targets"][0]["group"], "targets.edge");
    let origins = report["targets"][0]["origins"].as_array().expect("a list");
    assert_eq!(origins.len(), 2, "{origins:?}");
    assert_eq!(origins[1]["line"], 3);
    let report = json(&bed, 0, &["targets", "--on", "name=edge-*"]);
    assert_eq!(
        strings(&report["targets"], "name"),
        ["edge-1:2222", "edge-2"]
    );
    // Given addresses need not be known; known ones keep their group.
    let report = json(
        &bed,
        0,
        &["targets", "-t", "edge-2,new:23", "-t", "@hosts.txt"],
    );
    let names = strings(&report["targets"], "name");
    assert_eq!(names, ["edge-2", "new:23", "edge-1:2222"]);
    assert_eq!(report["targets"][1]["group"], Value::Null);
    let ran = bed.must(4, &["targets", "-t", "no such@thing here"]);
    assert!(
        ran.stderr.contains("neither a target nor an address"),
        "{}",
        ran.stderr
    );
    bed.must(4, &["targets", "--on", "zone=a"]);
    fs::write(bed.path("hosts.txt"), "edge-2\nedge 3\n").expect("writable");
    let ran = bed.must(3, &["targets"]);
    assert!(ran.stderr.contains("hosts.txt` line 2: "), "{}", ran.stderr);
}

#[test]
fn mistakes_in_targets_are_told_where_they_are() {
    let bed = Bed::new(
        "[targets.edge]\nhosts = [\"web:0\"]\n[[targets.edge.discover]]\nprovider = \"nobody\"\n\
         filter = \"color=red\"\n[targets.none]\n",
    );
    let ran = bed.must(3, &["validate"]);
    for part in [
        "a port is a number",
        "no provider is named `nobody`",
        "color",
        "`targets.none` has no machines",
    ] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
}

#[test]
fn a_second_run_leaves_alone_what_is_right() {
    let bed = Bed::local(3);
    bed.must(0, &["up", "--yes"]);
    assert_eq!(
        json(&bed, 0, &["targets"])["targets"][0]["group"],
        "pools.web"
    );
    let log = bed.path("log");
    let line = format!("echo x >> {}", log.display());
    let ran = bed.must(0, &["deploy", &line]);
    assert!(ran.stderr.contains("3 machines: 3 done"), "{}", ran.stderr);
    let runs = || fs::read_to_string(&log).unwrap_or_default().lines().count();
    assert_eq!(runs(), 3);
    let ran = bed.must(0, &["deploy", &line]);
    assert!(ran.stderr.contains("3 already right"), "{}", ran.stderr);
    assert_eq!(runs(), 3);
    // With a check the machine itself is asked.
    let is_there = format!("test -e {}", log.display());
    let report = json(&bed, 0, &["deploy", "--check", &is_there, &line]);
    assert_eq!(count(&report, "skipped"), 3);
    fs::remove_file(&log).expect("it is there");
    let report = json(
        &bed,
        0,
        &["deploy", "--check", &is_there, "--parallel", "1", &line],
    );
    assert_eq!(
        count(&report, "skipped"),
        2,
        "the first one brought it back: {report}"
    );
    assert_eq!(runs(), 1);
    bed.must(0, &["deploy", "--force", &line]);
    assert_eq!(runs(), 4);
    // Something else came in between.
    bed.must(0, &["deploy", "true"]);
    bed.must(0, &["deploy", &line]);
    assert_eq!(runs(), 7);
    let list = json(&bed, 0, &["deploy", "--list"]);
    assert_eq!(list["deployments"].as_array().map(Vec::len), Some(7));
    let id = list["deployments"][0]["id"].as_str().expect("a text");
    let shown = json(&bed, 0, &["deploy", "--show", &id[24..]]);
    assert_eq!(count(&shown, "succeeded"), 3);
    bed.must(7, &["deploy", "--show", "nothing"]);
    bed.must(4, &["deploy"]);
    bed.must(7, &["deploy", "--on", "name=nobody", "true"]);
}

#[test]
fn a_bad_canary_stops_a_deployment_and_a_mended_one_goes_on() {
    let bed = Bed::local(4);
    bed.must(0, &["up", "--yes"]);
    bed.must(0, &["deploy", "echo v1 >> ~/version"]);
    let (good, log) = (bed.path("good"), bed.path("log"));
    let line = format!(
        "echo x >> {}; echo broken >&2; test -e {}",
        log.display(),
        good.display()
    );
    let ran = bed.must(
        20,
        &["deploy", "--canary", "1", "--rollback", "previous", &line],
    );
    for part in [
        "broken",
        "taken back: status 0",
        "1 failed, 3 without a turn",
        "stopped: the canary failed",
        "deploy --resume ",
    ] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    fs::write(&good, "").expect("writable");
    let report = json(&bed, 0, &["deploy", "--resume"]);
    assert_eq!(count(&report, "succeeded"), 4);
    let runs = fs::read_to_string(&log).expect("it ran").lines().count();
    assert_eq!(runs, 5);
    let ran = bed.must(7, &["deploy", "--resume"]);
    assert!(ran.stderr.contains("no deployment"), "{}", ran.stderr);
}

#[test]
fn a_failure_takes_it_back_everywhere_if_that_is_asked_for() {
    let bed = Bed::local(3);
    bed.must(0, &["up", "--yes"]);
    let mark = bed.path("mark");
    // The last of the three fails, after the others.
    let line = format!(
        "mkdir {0} 2>/dev/null || mkdir {0}.2 2>/dev/null || exit 3",
        mark.display()
    );
    let report = json(
        &bed,
        23,
        &[
            "deploy",
            "--parallel",
            "1",
            "--rollback",
            "true",
            "--rollback-all",
            &line,
        ],
    );
    assert_eq!(count(&report, "failed"), 1);
    let nodes = report["nodes"].as_array().expect("a list");
    assert!(
        nodes
            .iter()
            .all(|node| node["rolled_back"]["succeeded"] == true),
        "{report}"
    );
    // What was taken back is not there: a second run is no lie.
    let report = json(&bed, 23, &["deploy", &line]);
    assert_eq!(count(&report, "failed"), 3);
}

#[test]
fn files_and_a_script_come_before_the_command() {
    let bed = Bed::local(2);
    bed.must(0, &["up", "--yes"]);
    fs::create_dir_all(bed.path("site/deep")).expect("writable");
    fs::write(bed.path("site/deep/page"), "hello\n").expect("writable");
    fs::write(
        bed.path("setup.sh"),
        "#!/bin/sh\ncat ~/www/deep/page > ~/set-up\n",
    )
    .expect("writable");
    let arguments = [
        "deploy",
        "--push",
        "site:www",
        "--script",
        "setup.sh",
        "cd && test \"$(cat set-up)\" = hello",
    ];
    // Relative to where the shell of the machine begins, which is its home.
    let report = json(&bed, 0, &arguments);
    assert_eq!(count(&report, "succeeded"), 2);
    assert_eq!(count(&json(&bed, 0, &arguments), "skipped"), 2);
    fs::write(bed.path("site/deep/page"), "other\n").expect("writable");
    let report = json(&bed, 23, &arguments);
    assert_eq!(
        count(&report, "failed"),
        2,
        "another content is another deployment"
    );
    bed.must(4, &["deploy", "--push", "nowhere:x"]);
}

#[test]
fn a_killed_deployment_is_gone_on_with_and_nothing_done_is_done_again() {
    let bed = Bed::local(4);
    bed.must(0, &["up", "--yes"]);
    let log = bed.path("log");
    let line = format!("echo \"$HOME\" >> {}; sleep 1", log.display());
    let arguments = ["deploy", "--parallel", "1", line.as_str()];
    let mut child = bed
        .command(&arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program can be started");
    let lines = || fs::read_to_string(&log).unwrap_or_default().lines().count();
    eventually("the second machine is at it", || lines() == 2);
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    let id = json(&bed, 0, &["deploy", "--list"])["deployments"][0]["id"].clone();
    let shown = json(&bed, 0, &["deploy", "--show", id.as_str().expect("a text")]);
    let found: Vec<String> = states(&shown).into_iter().map(|(_, state)| state).collect();
    assert_eq!(found, ["succeeded", "running", "waiting", "waiting"]);
    let report = json(&bed, 0, &["deploy", "--resume"]);
    assert_eq!(report["deployment"]["id"], id);
    assert_eq!(count(&report, "succeeded"), 4);
    // The first one once, the one whose end nobody saw twice, the others once.
    assert_eq!(lines(), 5);
}

#[test]
fn a_machine_that_is_found_twice_is_one_target() {
    let bed = Bed::local(1);
    bed.must(0, &["up", "--yes"]);
    let log = bed.path("log");
    let node = &json(&bed, 0, &["nodes"])["nodes"][0]["access"];
    let (host, port) = (node["host"].as_str(), node["port"].as_u64());
    let (host, port) = (host.expect("a text"), port.expect("a number"));
    // The provider lists what the journal knows.
    let config = format!(
        "{}\n[targets.all]\nwelcome = \"echo welcome >> {}\"\n[[targets.all.discover]]\n\
         provider = \"here\"\n",
        crate::bed::local(0),
        log.display()
    );
    bed.configure(&config);
    let report = json(&bed, 0, &["targets", "--welcome"]);
    assert_eq!(
        report["targets"].as_array().map(Vec::len),
        Some(1),
        "{report}"
    );
    assert_eq!(
        report["targets"][0]["origins"].as_array().map(Vec::len),
        Some(2)
    );
    let address = report["targets"][0]["address"].as_str().expect("a text");
    assert!(address.ends_with(&format!("@{host}:{port}")), "{address}");
    // It is a node of a pool first, and pools welcome by their boot scripts.
    assert!(!log.exists());
}

#[test]
fn two_hundred_real_servers_with_everything_that_may_go_wrong() {
    let bed = Bed::new("");
    let Some(servers) = Servers::start(&bed, 200) else {
        return;
    };
    let other = new_key(&bed.path("servers/other"));
    servers.are_known(&bed, |index| match index {
        6 => Some(other.clone()),
        // Of this one nothing is known at all: it is not trusted blindly.
        7 => None,
        _ => Some(servers.host_key.clone()),
    });
    // Two machines more, which are not there at all.
    let (user, port) = (&servers.user, servers.places[0].1);
    let dead = ["127.0.30.1", "127.0.30.2"];
    let mut hosts = String::new();
    for login in (0..200).map(|index| servers.login(index)) {
        writeln!(hosts, "{login}").expect("text has room");
    }
    for address in dead {
        writeln!(hosts, "{user}@{address}:{port}").expect("text has room");
    }
    fs::write(bed.path("hosts.txt"), hosts).expect("writable");
    bed.configure(
        "fleet = \"test\"\n[ssh]\nidentities = [\"servers/id\"]\nagent = false\n[targets.all]\n\
         file = \"hosts.txt\"\n",
    );
    let log = bed.path("log");
    let line = format!(
        "here=${{SSH_CONNECTION% *}}; here=${{here##* }}; echo \"$here\" >> {}; case $here in \
         127.0.60.1) exit 3;; 127.0.60.2) kill -TERM $$;; 127.0.60.3) kill -KILL $PPID; sleep 5;; \
         127.0.60.4) sleep 30;; 127.0.60.5) head -c 1000000 /dev/zero | tr '\\0' a; echo end;; \
         127.0.60.6) printf '\\377\\000\\001x';; esac",
        log.display()
    );
    let arguments = [
        "deploy",
        "--timeout",
        "15s",
        "--retries",
        "1",
        "--parallel",
        "16",
        "--max-fail",
        "50",
        &line,
    ];
    let report = json(&bed, 23, &arguments);
    let all = states(&report);
    assert_eq!(all.len(), 202);
    let node = |name: &str| {
        let wanted = format!("{name}:{port}");
        let nodes = report["nodes"].as_array().expect("a list");
        nodes
            .iter()
            .find(|node| node["name"] == wanted.as_str())
            .unwrap_or_else(|| panic!("{wanted} is missing"))
            .clone()
    };
    for (last, state, exit) in [
        (1, "failed", r#"{"by":"status","code":3}"#),
        (2, "failed", r#"{"by":"signal","name":"TERM"}"#),
        (3, "unknown", "null"),
        (4, "unknown", "null"),
        (5, "succeeded", r#"{"by":"status","code":0}"#),
        (6, "succeeded", r#"{"by":"status","code":0}"#),
        (7, "unreachable", "null"),
        (8, "unreachable", "null"),
        (9, "succeeded", r#"{"by":"status","code":0}"#),
    ] {
        let node = node(&format!("127.0.60.{last}"));
        assert_eq!(node["state"], state, "{node}");
        assert_eq!(node["exit"].to_string(), exit, "{node}");
        // Nothing of these is a connection that was refused: they had one try.
        assert_eq!(node["attempts"], 1, "{node}");
    }
    let said = node("127.0.60.5")["stdout"].as_str().map(str::to_owned);
    let said = said.expect("a text");
    assert!(
        said.len() <= 16 << 10 && said.ends_with("end\n"),
        "{}",
        said.len()
    );
    assert_eq!(node("127.0.60.6")["stdout"], "\u{fffd}\u{fffd}\u{1}x");
    assert_eq!(node("127.0.60.7")["error"]["kind"], "conflict");
    assert_eq!(node("127.0.60.8")["error"]["kind"], "conflict");
    for dead in dead {
        assert_eq!(node(dead)["state"], "unreachable");
        assert_eq!(node(dead)["attempts"], 2, "tried again once");
    }
    assert_eq!(count(&report, "succeeded"), 194);
    let ran = bed.must(0, &["exec", "-t", &servers.login(8), "--", "echo here"]);
    assert!(ran.stdout.contains("here"), "{}", ran.stdout);
    let ran_on = || {
        let text = fs::read_to_string(&log).expect("it ran");
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let addresses = servers.places.iter().map(|(address, _)| address);
    let mut expected: Vec<String> = addresses
        .filter(|address| !["127.0.60.7", "127.0.60.8"].contains(&address.as_str()))
        .cloned()
        .collect();
    expected.sort();
    assert_eq!(ran_on(), expected, "once on each that can be logged in to");
    // Too many failures: the rest has no turn.
    let ran = bed.must(
        20,
        &[
            "deploy",
            "--parallel",
            "4",
            "--max-fail",
            "2",
            "--retries",
            "0",
            "exit 9",
        ],
    );
    assert!(ran.stderr.contains("at most 2 may"), "{}", ran.stderr);
}
