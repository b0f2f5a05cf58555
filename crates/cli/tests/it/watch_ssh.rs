//! `watch` over real OpenSSH servers that nobody but the configuration knows of.

use std::fs;

use serde_json::Value;

use crate::bed::Bed;
use crate::openssh::{Servers, new_key};

/// Machines, of which the last but one shows another host key and the last is not there.
const MACHINES: usize = 12;

#[test]
fn machines_of_others_are_mended_and_what_is_not_known_is_left_alone() {
    let bed = Bed::new("");
    let Some(servers) = Servers::start(&bed, MACHINES) else {
        return;
    };
    let stranger = new_key(&bed.path("servers/stranger"));
    servers.are_known(&bed, |index| {
        Some(match index {
            10 => stranger.clone(),
            _ => servers.host_key.clone(),
        })
    });
    let hosts: Vec<String> = (0..MACHINES)
        .map(|index| match index {
            // Nobody listens there.
            11 => format!("\"{}@{}:1\"", servers.user, servers.places[index].0),
            _ => format!("\"{}\"", servers.login(index)),
        })
        .collect();
    // All share their files, so each has one that is named by its address.
    let state = bed.path("state-of");
    fs::create_dir(&state).expect("it is writable");
    let own = format!("set -- $SSH_CONNECTION; cd '{}'; ", state.display());
    let fixes = bed.path("fixes");
    bed.configure(&format!(
        "fleet = \"test\"\n[ssh]\nidentities = [\"servers/id\"]\nagent = false\n\
         [targets.edge]\nhosts = [{hosts}]\n\
         [[targets.edge.probes]]\nname = \"version\"\nseverity = \"high\"\n\
         check.command = {{ run = '''{own}cat \"$3\"''', output = \"2\" }}\n\
         fix = '''{own}echo \"$3\" >>'{fixes}'; echo 2 >\"$3\"'''\n\
         [targets.edge.disruption]\nbudgets = [{{ nodes = \"5\" }}]\n",
        hosts = hosts.join(", "),
        fixes = fixes.display(),
    ));
    let once = |status| -> Value {
        let ran = bed.must(status, &["watch", "--once", "--json"]);
        serde_json::from_str(&ran.stdout).expect("stdout is JSON")
    };
    let report = once(27);
    let closed = report["closed"].as_array().expect("a list");
    assert!(
        closed.len() == 10 && closed.iter().all(|case| case["closed"]["how"] == "healed"),
        "{report:#}"
    );
    let open = report["open"].as_array().expect("a list");
    assert_eq!(open.len(), 1, "{report:#}");
    assert_eq!(open[0]["subject"]["is"], "unreachable");
    let unknown = report["unknown"].as_array().expect("a list");
    assert_eq!(
        unknown.len(),
        1,
        "another host key says nothing: {report:#}"
    );
    let mended = || {
        let text = fs::read_to_string(&fixes).expect("it ran");
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let mut expected: Vec<String> = servers.places[..10]
        .iter()
        .map(|(address, _)| address.clone())
        .collect();
    expected.sort();
    assert_eq!(mended(), expected, "once on each");

    // The second run has nothing to do, and still knows of the one that is not there.
    let again = once(27);
    assert_eq!(again["opened"], Value::Array(Vec::new()));
    assert_eq!(again["open"][0]["id"], open[0]["id"]);
    assert_eq!(mended(), expected);
}
