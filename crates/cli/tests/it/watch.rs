//! `watch`, `freeze` and `thaw`, on nodes of this machine.

use std::process::Stdio;

use crate::bed::{Bed, FLEET, eventually, kill};
use crate::care::receiver;

/// Nodes of which a file is expected, with a command that writes it.
fn expecting(desired: u32, more: &str) -> Bed {
    let bed = Bed::local(desired);
    let text = format!(
        "fleet = \"{FLEET}\"\n[providers.here]\nkind = \"local\"\n[pools.web]\ndesired = {desired}\n\
         candidates = [{{ provider = \"here\", type = \"small\" }}]\n\
         [[pools.web.probes]]\nname = \"motd\"\nseverity = \"high\"\n\
         check = {{ command = {{ run = \"cat motd\", output = \"hello\" }} }}\n\
         fix = \"echo run >>fixes; echo hello >motd\"\n\
         [pools.web.disruption]\nbudgets = [{{ nodes = \"50%\" }}]\n{more}"
    );
    bed.configure(&text);
    bed.must(0, &["up", "--yes"]);
    bed
}

fn once(bed: &Bed, status: i32, more: &[&str]) -> serde_json::Value {
    let mut arguments = vec!["watch", "--once", "--json"];
    arguments.extend(more);
    let ran = bed.must(status, &arguments);
    serde_json::from_str(&ran.stdout).expect("it is JSON")
}

#[test]
fn what_differs_is_mended_measured_again_and_told() {
    let bed = expecting(2, "");
    let report = once(&bed, 0, &[]);
    assert_eq!(report["open"], serde_json::json!([]));
    let treated = report["treated"].as_array().expect("it is a list");
    let fixes: Vec<_> = treated
        .iter()
        .filter(|one| one["action"] == "fix")
        .collect();
    assert_eq!(fixes.len(), 2, "{report:#}");
    assert!(
        fixes.iter().all(|one| one["result"] == "healed"),
        "{report:#}"
    );
    let closed = report["closed"].as_array().expect("it is a list");
    assert!(closed.iter().all(|case| case["closed"]["how"] == "healed"));
    // One after the other: the budget is one of two, and the first shows whether it helps.
    assert!(report["rounds"].as_u64() >= Some(2), "{report:#}");
    assert_eq!(
        bed.must(0, &["exec", "--", "cat motd"])
            .stdout
            .matches("hello")
            .count(),
        2
    );

    // Nothing more to do: nothing is done.
    let report = once(&bed, 0, &[]);
    assert_eq!(report["treated"], serde_json::json!([]));
    assert_eq!(
        bed.must(0, &["exec", "--", "cat fixes"])
            .stdout
            .matches("run")
            .count(),
        2
    );
    let events = bed.must(0, &["events"]).stdout;
    for word in ["motd (high)", "fix healed", "motd healed"] {
        assert!(events.contains(word), "{word}: {events}");
    }
}

#[test]
fn report_only_and_freeze_leave_machines_alone() {
    let bed = expecting(1, "");
    let report = once(&bed, 26, &["--report-only"]);
    assert_eq!(report["held"][0]["hold"], "not-asked", "{report:#}");

    let frozen = bed.must(0, &["freeze", "web", "--for", "1h", "--reason", "a demo"]);
    assert!(
        frozen.stdout.starts_with("pools.web is frozen until "),
        "{}",
        frozen.stdout
    );
    let report = once(&bed, 26, &[]);
    assert_eq!(report["held"][0]["hold"], "frozen", "{report:#}");
    assert!(
        bed.must(0, &["status"])
            .stderr
            .contains("pools.web is frozen")
    );
    let ran = bed.must(26, &["watch", "--once"]);
    assert!(ran.stdout.contains("a demo"), "{}", ran.stdout);
    bed.must(23, &["exec", "--", "cat fixes"]);

    bed.must(0, &["thaw", "web"]);
    bed.must(7, &["thaw", "web"]);
    bed.must(7, &["freeze", "nothing"]);
    once(&bed, 0, &[]);
}

#[test]
fn what_nothing_helps_is_left_and_said() {
    let healing = "[pools.web.healing]\nhigh = [\"notify\", \"fix\", \"reboot\"]\n\
                   [pools.web.healing.limits.fix]\nattempts = 1\n";
    let bed = expecting(1, healing);
    let text = std::fs::read_to_string(bed.path("fleetwright.toml")).expect("it is there");
    bed.configure(&text.replace("echo hello >motd", "echo nonsense >motd; exit 3"));
    let report = once(&bed, 26, &[]);
    let treated = report["treated"].as_array().expect("it is a list");
    let of = |action: &str| treated.iter().find(|one| one["action"] == action).cloned();
    let fix = of("fix").expect("it was tried");
    assert_eq!(fix["result"], "failed");
    assert!(
        fix["reason"]
            .as_str()
            .is_some_and(|why| why.contains("status 3")),
        "{fix}"
    );
    // The machine that this runs on is not rebooted, whatever the ladder says.
    let reboot = of("reboot").expect("it was tried");
    assert_eq!(reboot["result"], "failed");
    let why = reboot["reason"].as_str().unwrap_or_default();
    assert!(
        why.contains("the machine that this program runs on"),
        "{reboot}"
    );
}

/// The actions that were taken, with what came of each.
fn treated(report: &serde_json::Value) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("under way").to_owned();
    let all = report["treated"].as_array().expect("it is a list");
    all.iter()
        .map(|one| (text(&one["action"]), text(&one["result"])))
        .collect()
}

#[test]
fn a_version_that_does_not_work_is_rolled_back() {
    let healing = "[pools.web.healing]\nhigh = [\"redeploy\", \"rollback\"]\n\
                   redeploy = \"echo broken >motd\"\nrollback = \"echo hello >motd\"\n\
                   [pools.web.healing.limits.redeploy]\nattempts = 1\n";
    let bed = expecting(1, healing);
    let report = once(&bed, 0, &[]);
    let expected = [("redeploy", "failed"), ("rollback", "healed")];
    let expected = expected.map(|(action, result)| (action.to_owned(), result.to_owned()));
    assert_eq!(treated(&report), expected, "{report:#}");
    let said = bed.must(0, &["exec", "--", "cat motd"]).stdout;
    assert!(said.contains("hello"), "{said}");
}

#[test]
fn a_node_that_is_ill_is_replaced_and_whoever_is_to_know_is_told_twice() {
    let (url, thread) = receiver(&[200, 200]);
    let bed = Bed::local(3).with("HOOK", &url);
    bed.configure(&format!(
        "fleet = \"{FLEET}\"\n[providers.here]\nkind = \"local\"\n[pools.web]\ndesired = 3\n\
         candidates = [{{ provider = \"here\", type = \"small\" }}]\n\
         [pools.web.health]\nfailures = 1\n\
         probes = [{{ name = \"well\", command = \"test ! -e ill\" }}]\n\
         [pools.web.healing]\nunhealthy = [\"notify\", \"replace\"]\n\
         [[notifications]]\nname = \"ops\"\nurl = \"env:HOOK\"\n"
    ));
    bed.must(0, &["up", "--yes"]);
    once(&bed, 0, &[]);
    let ill = bed.names().remove(0);
    let only = format!("name={ill}");
    bed.must(0, &["exec", "--on", &only, "--", "touch ill"]);
    let report = once(&bed, 0, &[]);
    assert_eq!(
        report["closed"][0]["closed"]["how"], "replaced",
        "{report:#}"
    );
    let names = bed.names();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(!names.contains(&ill), "{ill} is gone: {names:?}");

    let got = thread.join().expect("both were received");
    let messages: Vec<serde_json::Value> = got
        .iter()
        .map(|(_, body)| serde_json::from_slice(body).expect("it is JSON"))
        .collect();
    assert_eq!(messages[0]["event"], "unhealthy-opened");
    assert_eq!(messages[1]["event"], "unhealthy-resolved");
    for message in &messages {
        assert_eq!(message["incident"]["target"], ill.as_str(), "{message}");
        assert_eq!(message["incident"]["id"], messages[0]["incident"]["id"]);
    }
}

#[test]
fn a_node_that_is_gone_is_made_again_and_mended() {
    let bed = expecting(2, "");
    once(&bed, 0, &[]);
    let names = bed.names();
    kill(bed.process_of(&names[0]), rustix::process::Signal::KILL);
    let report = once(&bed, 0, &[]);
    assert!(report["created"].as_u64() >= Some(1), "{report:#}");
    assert_eq!(bed.names().len(), 2);
    assert_eq!(
        bed.must(0, &["exec", "--", "cat motd"])
            .stdout
            .matches("hello")
            .count(),
        2
    );
}

#[test]
fn the_loop_goes_on_mending_until_it_is_interrupted() {
    let bed = expecting(1, "");
    let mut watch = bed
        .command(&["watch", "--interval", "1s", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it can be started");
    let is_mended = || {
        bed.run(&["exec", "--", "cat motd"])
            .stdout
            .contains("hello")
    };
    eventually("the node is mended", is_mended);
    bed.must(0, &["exec", "--", "echo other >motd"]);
    eventually("the node is mended again, after its pause", || {
        bed.run(&["events"]).stdout.matches("motd (high)").count() >= 2
    });
    kill(watch.id(), rustix::process::Signal::INT);
    let status = watch.wait().expect("it ends");
    assert_eq!(status.code(), Some(130));
}
