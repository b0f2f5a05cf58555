//! `init`: asked on a real terminal, and answered in advance.

use std::time::Duration;

use crate::bed::{Bed, Ran, pause};
use crate::terminal::Terminal;

/// An empty folder.
fn empty() -> Bed {
    let bed = Bed::new("");
    std::fs::remove_file(bed.path("fleetwright.toml")).expect("it was just written");
    bed
}

fn written(bed: &Bed) -> String {
    std::fs::read_to_string(bed.path("fleetwright.toml")).expect("it was written")
}

const SCRIPTED: [&str; 16] = [
    "init",
    "--non-interactive",
    "--provider",
    "sim",
    "--region",
    "sim-east",
    "--type",
    "sim.l4",
    "--image",
    "ubuntu-24",
    "--count",
    "2",
    "--max-runtime",
    "8h",
    "--extend-to",
    "24h",
];

#[test]
fn answers_in_advance_make_a_file_that_is_valid_and_works() {
    let bed = empty();
    let ran = bed.must(0, &SCRIPTED);
    let told = "costs $1.956/h: 2 machines at $0.978/h each; at most $15.648 within 8h";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    insta::assert_snapshot!(written(&bed));
    bed.must(0, &["validate"]);
    bed.must(0, &["validate", "--online"]);
    bed.must(0, &["plan"]);
    // Nothing is replaced unless that is wanted.
    bed.must(8, &SCRIPTED);
    bed.must(
        0,
        &[
            "init",
            "--force",
            "--non-interactive",
            "--provider",
            "local",
            "--type",
            "small",
        ],
    );
    assert!(written(&bed).contains("kind = \"local\""));
    bed.must(0, &["validate"]);
}

#[test]
fn spot_machines_in_a_zone_and_a_key_are_written_too() {
    let bed = empty();
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPl0vI5aVZbZ me@here";
    std::fs::write(bed.path("me.pub"), format!("{key}\n")).expect("it is writable");
    bed.must(
        0,
        &[
            "init",
            "--non-interactive",
            "--provider",
            "sim",
            "--region",
            "sim-west",
            "--zone",
            "sim-west-a",
            "--type",
            "sim.t4",
            "--market",
            "spot",
            "--pool",
            "train",
            "--ssh-key",
            "me.pub",
            "--fleet",
            "lab",
        ],
    );
    let text = written(&bed);
    for words in [
        "fleet = \"lab\"",
        "[pools.train]",
        "region = \"sim-west\", zone = \"sim-west-a\", type = \"sim.t4\", market = \"spot\"",
        &format!("ssh_keys = [\"{key}\"]"),
        "# max_runtime = \"8h\"",
    ] {
        assert!(text.contains(words), "`{words}` in {text}");
    }
    bed.must(0, &["validate"]);
}

#[test]
fn an_impossible_answer_is_named_with_what_is_possible() {
    let bed = empty();
    let sim = ["--provider", "sim"];
    let east = ["--provider", "sim", "--region", "sim-east"];
    let local = ["--provider", "local", "--type", "small"];
    let mut told = Vec::new();
    // Which providers there are depends on how the program was built.
    for wrong in [&[][..], &["--provider", "simm"]] {
        let all: Vec<&str> = ["init", "--non-interactive"]
            .iter()
            .chain(wrong)
            .copied()
            .collect();
        let ran = bed.must(4, &all);
        let lines: Vec<&str> = ran.stderr.lines().collect();
        let choices = lines[1].contains("choices: ") && lines[1].contains("`local`, ");
        assert!(lines.len() == 2 && choices, "{}", ran.stderr);
    }
    let cases: [(&[&str], &[&str]); 10] = [
        (&sim, &[]),
        (&sim, &["--region", "sim-north"]),
        (&east, &[]),
        (&east, &["--type", "sim.l5"]),
        (&east, &["--zone", "sim-west-a", "--type", "sim.l4"]),
        (&east, &["--type", "sim.l4", "--market", "auction"]),
        (&east, &["--type", "sim.l4", "--idle-after", "30m"]),
        (&local, &["--image", "ubuntu"]),
        (&local, &["--credentials", "env:TOKEN"]),
        (&local, &["--max-runtime", "8h", "--extend-to", "1h"]),
    ];
    for (given, wrong) in cases {
        let mut all = vec!["init", "--non-interactive"];
        all.extend(given);
        all.extend(wrong);
        let Ran { status, stderr, .. } = bed.run(&all);
        assert!(
            matches!(status, Some(3 | 4)),
            "{all:?}: {status:?} {stderr}"
        );
        assert!(!bed.path("fleetwright.toml").exists(), "{all:?}");
        told.push(format!("{}\n{stderr}", all[1..].join(" ")));
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn without_a_terminal_nothing_is_asked_and_the_template_is_written() {
    let bed = empty();
    let ran = bed.must(0, &["init"]);
    assert!(
        ran.stderr.contains("wrote `fleetwright.toml`"),
        "{}",
        ran.stderr
    );
    assert!(written(&bed).contains("[providers.local]"));
    bed.must(8, &["init", "--template", "sim"]);
    bed.must(0, &["init", "--template", "sim", "--force"]);
    bed.must(4, &["init", "--template", "moon", "other.toml"]);
    bed.must(2, &["init", "--template", "sim", "--region", "x"]);
}

#[test]
fn on_a_terminal_each_answer_narrows_the_next_and_the_price_is_shown() {
    let bed = empty();
    let mut terminal = Terminal::new(&bed, &["init"]);
    terminal.wait_for("Where do the machines come from?");
    terminal.types("sim\r");
    terminal.wait_for("Which region?");
    terminal.types("west\r");
    terminal.wait_for("How are they bought?");
    terminal.types("\r");
    terminal.wait_for("Which machine?");
    // Cheapest first, with what is in it and what it costs.
    terminal.wait_for("$0.978/h");
    terminal.types("a100\r");
    terminal.wait_for("Which image?");
    terminal.wait_for("costs $3.673/h");
    terminal.types("\r");
    terminal.wait_for("How many?");
    terminal.types("0x\r");
    terminal.wait_for("is not a number of machines");
    terminal.types("\u{7f}\u{7f}2\r");
    terminal.wait_for("How long may a node run at most?");
    terminal.wait_for("2 machines at $3.673/h each");
    terminal.types("2h\r");
    terminal.wait_for("Write `fleetwright.toml`?");
    terminal.wait_for("at most $14.692 within 2h");
    terminal.types("y\r");
    assert_eq!(terminal.ends(), Some(0));
    let text = written(&bed);
    for words in [
        "desired = 2",
        "region = \"sim-west\", type = \"sim.a100\" }",
        "max_runtime = \"2h\"",
        "[pools.gpu]",
    ] {
        assert!(text.contains(words), "`{words}` in {text}");
    }
    bed.must(0, &["validate"]);
}

#[test]
fn whoever_leaves_in_the_middle_leaves_nothing() {
    let bed = empty();
    let mut terminal = Terminal::new(&bed, &["init", "--provider", "sim"]);
    terminal.wait_for("Which region?");
    pause(Duration::from_millis(50));
    terminal.types("\u{3}");
    assert_eq!(terminal.ends(), Some(22));
    assert!(!bed.path("fleetwright.toml").exists());
}
