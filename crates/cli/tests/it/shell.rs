//! What a shell gets: variables that a real one can read, and a bill in the end.

use std::process::{Command, Stdio};
use std::time::Duration;

use fleetwright_core::Span;
use fleetwright_sim::SimConfig;

use crate::bed::{Bed, Ran, local};

/// Runs a line in a real shell, with `fleetwright` on its path.
fn shell(bed: &Bed, line: &str) -> Ran {
    let program = bed.command(&[""]);
    let mut command = Command::new("sh");
    command
        .args(["-euc", line])
        .env_clear()
        .envs(
            program
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("FLEETWRIGHT_PROGRAM", program.get_program())
        .current_dir(bed.path(""))
        .stdin(Stdio::null());
    command.output().expect("there is a shell").into()
}

#[test]
fn a_real_shell_reads_the_variables_and_logs_in_with_them() {
    let bed = Bed::local(2).with("FLEETWRIGHT_OWNER", "ada");
    bed.must(7, &["env"]);
    bed.must(0, &["up", "--yes"]);
    let read = "eval \"$(\"$FLEETWRIGHT_PROGRAM\" env --quiet)\"; ";
    let names = bed.names();
    let ran = shell(
        &bed,
        &format!(
            "{read} printf '%s\\n' \"$FLEETWRIGHT_NODES\" \"$FLEETWRIGHT_WEB_COUNT\" \
             \"$FLEETWRIGHT_WEB_1_NAME\" \"$FLEETWRIGHT_WEB_0_HOST\"; \
             test \"$FLEETWRIGHT_WEB_0_PORT\" -gt 0; test -n \"$FLEETWRIGHT_WEB_0_USER\""
        ),
    );
    let expected = format!("{}\n2\n{}\n127.0.0.1\n", names.join(" "), names[1]);
    assert_eq!(
        (ran.status, ran.stdout),
        (Some(0), expected),
        "{}",
        ran.stderr
    );
    if Command::new("ssh").arg("-V").output().is_err() {
        println!("skipped: there is no `ssh` on this machine");
    } else {
        let ran = shell(
            &bed,
            &format!("{read} eval \"$FLEETWRIGHT_WEB_1_SSH 'pwd; exit 7'\""),
        );
        assert_eq!(ran.status, Some(7), "{}", ran.stderr);
        assert!(ran.stdout.contains("state/test/nodes"), "{}", ran.stdout);
    }
    let one = bed.json(&["env", "--pool", "web"]);
    assert_eq!(one["variables"][0]["name"], "FLEETWRIGHT_NODES");
    let fish = bed.must(0, &["env", "--shell", "fish"]);
    assert!(
        fish.stdout.starts_with(&format!(
            "set -gx FLEETWRIGHT_NODES '{}'\n",
            names.join(" ")
        )),
        "{}",
        fish.stdout
    );
    bed.must(7, &["env", "--pool", "wep"]);
    bed.must(0, &["down", "--yes"]);
}

/// A state directory with everything in its name that a shell takes for its own.
#[test]
fn what_is_special_to_a_shell_is_quoted() {
    let bed = Bed::new(&local(1));
    let odd = bed.path("it's $HOME `a` \"place\"");
    let state = odd.to_str().expect("it is text");
    bed.must(0, &["up", "--yes", "--state-dir", state]);
    let ran = bed.must(0, &["env", "--quiet", "--state-dir", state]);
    let line = format!("{}printf '%s' \"$FLEETWRIGHT_SSH\"", ran.stdout);
    let command = shell(&bed, &line);
    // The command is quoted once more, so that `eval` gives back its words.
    let words = shell(&bed, &format!("printf '%s\\n' {}", command.stdout));
    let identity = format!("{state}/test/id_ed25519");
    assert!(
        words.stdout.lines().any(|word| word == identity),
        "{}",
        words.stdout
    );
    bed.must(0, &["down", "--yes", "--state-dir", state]);
}

#[test]
fn down_prints_the_bill_and_status_what_it_has_come_to() {
    let config = SimConfig {
        latency: Span(Duration::from_millis(1)),
        boot_time: Span(Duration::ZERO),
        script_time: Span(Duration::ZERO),
        ..SimConfig::default()
    };
    let bed = Bed::sim(
        &config,
        "[pools.web]\ndesired = 2\n\
         candidates = [{ provider = \"cloud\", region = \"sim-east\", type = \"sim.small\" }]\n",
    );
    bed.must(0, &["up", "--yes"]);
    let status = bed.json(&["status"]);
    let price = status["bill"]["lines"][0]["price"]["micros_per_hour"]
        .as_u64()
        .expect("a price");
    let so_far = status["bill"]["total"][0]["micros"]
        .as_u64()
        .expect("a sum");
    assert!(so_far > 0 && so_far < price, "{status}");
    assert_eq!(status["pool_bills"]["web"], status["bill"]["total"]);
    let shown = bed.must(0, &["status"]);
    assert!(shown.stdout.contains("RUNTIME"), "{}", shown.stdout);
    assert!(shown.stderr.contains(" so far"), "{}", shown.stderr);

    let down = bed.json(&["down", "--yes"]);
    let lines = down["bill"]["lines"].as_array().expect("lines");
    assert_eq!(lines.len(), 2);
    for line in lines {
        let seconds = line["billed_seconds"].as_u64().expect("seconds");
        let cost = (price * seconds).div_ceil(3_600);
        assert_eq!(line["cost"]["micros"].as_u64(), Some(cost), "{line}");
        assert_eq!(line["is_gone"], true);
    }
    assert_eq!(down["bill"]["per_hour"], serde_json::json!([]));
    bed.must(0, &["up", "--yes"]);
    let down = bed.must(0, &["down", "--yes"]);
    assert!(down.stdout.starts_with("NAME "), "{}", down.stdout);
    assert_eq!(down.stdout.lines().count(), 3, "{}", down.stdout);
    assert!(down.stderr.contains("bill: $0.0"), "{}", down.stderr);
    assert!(down.stderr.contains(" for 2 nodes"), "{}", down.stderr);
}
