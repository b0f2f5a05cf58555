//! `drift` over real OpenSSH servers: 200 addresses, some of them dead, hanging or somebody else.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::bed::{Bed, pause};
use crate::openssh::{Servers, new_key};

#[test]
fn two_hundred_servers_are_measured_and_bad_ones_spoil_no_other() {
    let bed = Bed::new("");
    let Some(servers) = Servers::start(&bed, 200) else {
        return;
    };
    let stranger = new_key(&bed.path("servers/stranger"));
    servers.are_known(&bed, |index| {
        // The last but one is not who we think it is.
        Some(match index {
            198 => stranger.clone(),
            _ => servers.host_key.clone(),
        })
    });
    let hosts: Vec<String> = (0..200)
        .map(|index| match index {
            // Nobody listens there.
            199 => format!("\"{}@{}:1\"", servers.user, servers.places[index].0),
            _ => format!("\"{}\"", servers.login(index)),
        })
        .collect();
    // Nodes differ by the address that they were called by.
    bed.configure(&format!(
        "fleet = \"test\"\n[providers.here]\nkind = \"local\"\n\
         [ssh]\nidentities = [\"servers/id\"]\nagent = false\nconnect_timeout = \"20s\"\n\
         [targets.edge]\nhosts = [{hosts}]\n\
         [[targets.edge.probes]]\nname = \"place\"\nseverity = \"low\"\n\
         check.command = {{ run = \"\"\"\nset -- $SSH_CONNECTION\ncase $3 in\n\
         127.0.60.3) echo elsewhere ;;\n127.0.60.4) exec sleep 60 ;;\n*) echo edge ;;\nesac\n\"\"\", \
         output = \"edge\" }}\ntimeout = \"2s\"\n\
         [[targets.edge.probes]]\nname = \"big\"\n\
         check.command = {{ run = \"head -c 1048576 /dev/zero\", sha256 = \"{zeros}\" }}\n\
         [[targets.edge.probes]]\nname = \"hosts\"\ncheck.file = {{ path = \"/etc/passwd\", owner = \"root:root\" }}\n",
        hosts = hosts.join(", "),
        zeros = "30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58",
    ));
    let ran = bed.must(26, &["drift", "--json", "--parallel", "32"]);
    let report: Value = serde_json::from_str(&ran.stdout).expect("stdout is JSON");
    let summary = &report["summary"];
    let numbers =
        ["nodes", "congruent", "drift", "unknown", "unreachable"].map(|key| &summary[key]);
    assert_eq!(numbers, [200, 196, 1, 1, 2], "{}", ran.stderr);
    let nodes = report["nodes"].as_array().expect("a list");
    let at = |index: usize| {
        let host = hosts[index].trim_matches('"');
        nodes
            .iter()
            .find(|node| node["address"] == host)
            .expect("each is there once")
    };
    assert_eq!(at(2)["findings"][0]["actual"], "elsewhere");
    assert_eq!(at(2)["severity"], "low");
    assert_eq!(
        at(3)["findings"][0]["verdict"]["reason"],
        "it did not end within 2s"
    );
    assert_eq!(at(3)["findings"][1]["verdict"]["is"], "agrees");
    assert_eq!(at(198)["error"]["kind"], "conflict");
    assert_eq!(at(199)["error"]["kind"], "unavailable");
    assert_eq!(at(198)["findings"], Value::Array(Vec::new()));

    // A whole server hangs: its nodes are out of reach, and what is known of them is kept.
    servers.signal(3, "STOP");
    let text = fs::read_to_string(bed.path("fleetwright.toml")).expect("the bed has one");
    bed.configure(&text.replace("connect_timeout = \"20s\"", "connect_timeout = \"3s\""));
    let named: Vec<&str> = (48..66)
        .map(|index| hosts[index].trim_matches('"'))
        .collect();
    let ran = bed.must(27, &["drift", "--json", "-t", &named.join(",")]);
    servers.signal(3, "CONT");
    let second: Value = serde_json::from_str(&ran.stdout).expect("stdout is JSON");
    assert_eq!(second["summary"]["unreachable"], 16);
    assert_eq!(second["summary"]["congruent"], 2);
    // Those that wait for an answer may come in late.
    pause(Duration::from_millis(100));
    let ran = bed.must(0, &["drift", "--json", "-t", &named.join(",")]);
    let third: Value = serde_json::from_str(&ran.stdout).expect("stdout is JSON");
    assert_eq!(third["summary"]["congruent"], 18);
    let nodes = third["nodes"].as_array().expect("a list");
    let again = nodes
        .iter()
        .find(|node| node["address"] == named[0])
        .expect("it is there");
    let since = |node: &Value| node["findings"][0]["since"].clone();
    assert_eq!(
        since(again),
        since(at(48)),
        "a gap makes no verdict younger"
    );
    assert_ne!(
        again["since"],
        at(48)["since"],
        "but it can be reached only since then"
    );
}
