//! Health, cordons and notifications of real nodes on this machine.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::bed::{Bed, kill, local, strings};

/// Nodes whose health is whether a file is there.
fn cared_for(bed: &Bed, desired: u32, more: &str) {
    let flag = bed.path("flag");
    let text = format!(
        "{}[pools.web.health]\nfailures = 2\nsuccesses = 1\n\
         probes = [{{ name = \"flag\", command = \"test -e '{}' || {{ echo no flag; false; }}\" }}]\n{more}",
        local(desired),
        flag.display()
    );
    bed.configure(&text);
}

fn health(bed: &Bed, status: i32) -> Value {
    let ran = bed.must(status, &["health", "--json"]);
    serde_json::from_str(&ran.stdout).unwrap()
}

fn state(report: &Value, at: usize) -> &str {
    report["targets"][at]["health"]["state"].as_str().unwrap()
}

#[test]
fn health_is_counted_over_runs_and_tells_what_is_wrong() {
    let bed = Bed::new("");
    cared_for(&bed, 2, "");
    std::fs::write(bed.path("flag"), "").unwrap();
    bed.must(0, &["up", "--yes"]);
    let report = health(&bed, 0);
    assert_eq!(
        (state(&report, 0), state(&report, 1)),
        ("healthy", "healthy")
    );

    std::fs::remove_file(bed.path("flag")).unwrap();
    assert_eq!(state(&health(&bed, 0), 0), "healthy");
    let report = health(&bed, 21);
    assert_eq!(state(&report, 0), "unhealthy");
    let why = report["targets"][0]["health"]["reasons"][0]
        .as_str()
        .unwrap();
    assert_eq!(why, "probe `flag` ended with status 1: no flag");
    let shown = bed.must(21, &["health", "web", "--recorded"]);
    assert!(shown.stdout.contains("no flag"), "{}", shown.stdout);
    let events = bed.must(0, &["events"]).stdout;
    assert!(events.contains("is unhealthy: probe `flag`"), "{events}");

    std::fs::write(bed.path("flag"), "").unwrap();
    assert_eq!(state(&health(&bed, 0), 0), "healthy");
    bed.must(7, &["health", "nothing"]);
    bed.must(0, &["health", "--forget"]);
    bed.must(0, &["down", "--yes"]);
}

#[test]
fn a_node_that_does_not_answer_is_out_of_reach_and_not_unhealthy() {
    let bed = Bed::new("");
    cared_for(&bed, 2, "");
    std::fs::write(bed.path("flag"), "").unwrap();
    bed.must(0, &["up", "--yes"]);
    let names = bed.names();
    let process = bed.process_of(&names[0]);
    kill(process, rustix::process::Signal::KILL);
    let report = health(&bed, 27);
    assert_eq!(state(&report, 0), "unknown");
    assert_eq!(report["targets"][0]["reached"], false);
    assert_eq!(state(&report, 1), "healthy");
    let report = health(&bed, 27);
    assert_eq!(state(&report, 0), "unreachable");
    assert!(report["targets"][0]["health"]["unreachable_since"].is_string());
    bed.must(0, &["down", "--yes"]);
}

#[test]
fn a_heartbeat_that_never_came_is_unknown_and_one_that_came_is_good() {
    let bed = Bed::new("");
    cared_for(&bed, 1, "heartbeat = \"1m\"\n");
    std::fs::write(bed.path("flag"), "").unwrap();
    bed.must(0, &["up", "--yes"]);
    let report = health(&bed, 20);
    let unknown = &report["targets"][0]["health"]["unknown"];
    assert_eq!(unknown[0], "it has never sent a heartbeat");
    let name = bed.names().remove(0);
    bed.must(0, &["heartbeat", &name]);
    assert_eq!(state(&health(&bed, 0), 0), "healthy");
    bed.must(7, &["heartbeat", "nobody"]);
    bed.must(0, &["down", "--yes"]);
}

#[test]
fn hooks_run_on_the_node_and_here_and_one_that_fails_undoes_the_cordon() {
    let bed = Bed::new("");
    let (log, refusal) = (bed.path("log"), bed.path("refuse"));
    let (log, refusal) = (log.display(), refusal.display());
    cared_for(
        &bed,
        1,
        &format!(
            "[pools.web.hooks]\n\
             cordon = {{ run = \"echo here $FLEETWRIGHT_NODE $FLEETWRIGHT_GROUP $FLEETWRIGHT_REASON >> '{log}'\", on = \"here\" }}\n\
             drain = {{ run = \"echo drain $FLEETWRIGHT_NODE >> '{log}'; test ! -e '{refusal}' || {{ echo busy >&2; exit 4; }}\" }}\n\
             uncordon = {{ run = \"echo uncordon $FLEETWRIGHT_NODE >> '{log}'\" }}\n"
        ),
    );
    bed.must(0, &["up", "--yes"]);
    let name = bed.names().remove(0);
    let lines = || {
        let text = std::fs::read_to_string(bed.path("log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    bed.must(0, &["cordon", &name, "--reason", "a loud fan"]);
    assert_eq!(lines(), [format!("here {name} pools.web a loud fan")]);
    let listed = bed.json(&["cordon"]);
    assert_eq!(
        strings(&listed["cordons"], "target"),
        std::slice::from_ref(&name)
    );
    assert_eq!(strings(&listed["cordons"], "phase"), ["cordoned"]);
    let nodes = bed.must(0, &["nodes"]);
    assert!(nodes.stdout.contains("ready, cordoned"), "{}", nodes.stdout);
    let nodes = bed.json(&["nodes"]);
    assert_eq!(nodes["cordons"][0]["target"], name.as_str());

    std::fs::write(bed.path("refuse"), "").unwrap();
    let ran = bed.must(23, &["drain", &name]);
    assert!(ran.stderr.contains("the hook `drain`"), "{}", ran.stderr);
    assert!(ran.stderr.contains("busy"), "{}", ran.stderr);
    assert_eq!(
        bed.json(&["cordon"])["cordons"].as_array().unwrap().len(),
        0
    );
    assert_eq!(
        lines()[1..],
        [format!("drain {name}"), format!("uncordon {name}")]
    );

    std::fs::remove_file(bed.path("refuse")).unwrap();
    let drained = bed.json(&["drain", &name]);
    assert_eq!(drained["results"][0]["phase"], "drained");
    let status = bed.run(&["status"]);
    assert!(
        status.stderr.contains("drained") || status.stdout.contains("drained"),
        "{status:?}"
    );
    bed.must(0, &["uncordon", &name]);
    assert_eq!(lines().len(), 6);
    bed.must(0, &["down", "--yes"]);
}

/// Head and body of a request.
pub(crate) type Got = (Vec<String>, Vec<u8>);

/// A receiver that answers each request with the next status, and keeps what it got.
pub(crate) fn receiver(statuses: &'static [u16]) -> (String, JoinHandle<Vec<Got>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "http://{}/hook?key=very-secret",
        listener.local_addr().unwrap()
    );
    let thread = std::thread::spawn(move || {
        let mut got = Vec::new();
        for status in statuses {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let (mut head, mut length) = (Vec::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let line = line.trim_end().to_owned();
                if line.is_empty() {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                head.push(line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            write!(
                reader.get_mut(),
                "HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            .unwrap();
            got.push((head, body));
        }
        got
    });
    (url, thread)
}

fn header<'a>(head: &'a [String], name: &str) -> &'a str {
    head.iter()
        .find_map(|line| line.strip_prefix(&format!("{name}: ")))
        .unwrap_or_else(|| panic!("{name} in {head:?}"))
}

#[test]
fn a_test_message_arrives_with_a_signature_that_openssl_agrees_with() {
    let (url, thread) = receiver(&[200, 500]);
    let config = format!(
        "{}[[notifications]]\nname = \"ops\"\nurl = \"env:HOOK\"\nsecret = \"env:KEY\"\n",
        local(0)
    );
    let bed = Bed::new(&config).with("HOOK", &url).with("KEY", "my key");
    let ran = bed.must(0, &["notify", "--test", "ops"]);
    assert_eq!(ran.stdout, "ops: the test was taken\n");
    let ran = bed.must(20, &["notify", "--test"]);
    let all = format!("{}{}", ran.stdout, ran.stderr);
    assert!(all.contains("status 500"), "{all}");
    assert!(
        !all.contains("very-secret") && !all.contains("my key"),
        "{all}"
    );
    bed.must(7, &["notify", "--test", "nobody"]);
    let shown = bed.must(0, &["notify"]);
    assert!(
        shown.stderr.contains("0 messages delivered"),
        "{}",
        shown.stderr
    );

    let (head, body) = thread.join().unwrap().remove(0);
    assert!(
        head[0].starts_with("POST /hook?key=very-secret "),
        "{head:?}"
    );
    let message: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(message["event"], "test");
    assert_eq!(message["id"], header(&head, "x-fleetwright-delivery"));
    let mut child = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", "my key", "-r"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input
        .write_all(header(&head, "x-fleetwright-timestamp").as_bytes())
        .unwrap();
    input.write_all(b".").unwrap();
    input.write_all(&body).unwrap();
    drop(input);
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let theirs = output.split(' ').next().unwrap();
    assert_eq!(
        header(&head, "x-fleetwright-signature"),
        format!("sha256={theirs}")
    );
}

#[test]
fn what_is_wrong_with_the_configuration_is_told() {
    let bed = Bed::new("");
    bed.configure(&format!(
        "{}[pools.web.health]\nfailures = 0\nheartbeat_file = \"alive\"\n\
         probes = [{{ name = \"a\", command = \" \" }}, {{ name = \"a\", command = \"x\" }}]\n\
         gpu = {{ fatal = [79], ignored = [79] }}\n\
         [pools.web.hooks]\ncordon = {{ run = \"\" }}\n\
         [[notifications]]\nname = \"ops\"\nurl = \"env:A\"\nevents = [\"drift-open\"]\n\
         [[notifications]]\nname = \"ops\"\nurl = \"env:A\"\n",
        local(1)
    ));
    let ran = bed.must(3, &["validate"]);
    for problem in [
        "`health.failures` must be at least 1",
        "`heartbeat_file` needs `heartbeat`",
        "`alive` is no absolute path",
        "`command` is empty",
        "there are two probes of the name `a`",
        "the XID code 79 is listed twice",
        "`run` is empty",
        "no event matches `drift-open`",
        "there are two notifications of the name `ops`",
    ] {
        assert!(ran.stderr.contains(problem), "{problem}\n{}", ran.stderr);
    }
}
