//! The first steps of a stranger: three real nodes, commands on them, and nothing left behind.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::bed::{Bed, Ran, processes_with};

/// No configuration file: the fleet that is built in.
fn stranger() -> Bed {
    let bed = Bed::new("");
    std::fs::remove_file(bed.path("fleetwright.toml")).expect("it was just written");
    bed
}

#[test]
fn one_command_gives_a_fleet_and_one_command_removes_it() {
    let bed = stranger();
    let state = bed.path("state/default");

    let up = bed.must(0, &["up", "--yes"]);
    let names = bed.names();
    assert_eq!(names.len(), 3);
    assert_eq!(processes_with(&state).len(), 3);
    for words in [
        "using the built-in fleet, three nodes on this machine",
        "3 created: 3 nodes ready; the fleet costs $0.00/h now",
        &format!("fleetwright ssh {}", names[0]),
        "fleetwright exec -- uptime",
    ] {
        assert!(up.stderr.contains(words), "`{words}` in {}", up.stderr);
    }

    let exec = bed.must(0, &["exec", "--", "uname -a; cat ~/.fleetwright/boot.log"]);
    for name in &names {
        let lines: Vec<&str> = exec
            .stdout
            .lines()
            .filter_map(|line| line.strip_prefix(&format!("{name}: ")))
            .collect();
        assert_eq!(lines.len(), 2, "{}", exec.stdout);
        assert!(lines[0].contains(std::env::consts::ARCH), "{}", lines[0]);
        assert!(
            lines[1].contains(&format!("booted `{name}`")),
            "{}",
            lines[1]
        );
    }

    let again = bed.must(0, &["up", "--yes"]);
    assert!(
        again.stderr.contains("nothing changed: 3 nodes ready"),
        "{}",
        again.stderr
    );
    assert_eq!(bed.names(), names);

    let down = bed.must(0, &["down", "--yes"]);
    assert!(
        down.stderr.contains("3 removed: no nodes left"),
        "{}",
        down.stderr
    );
    assert_eq!(processes_with(&state), [] as [u32; 0]);
    let left: Vec<_> = directories(&state.join("nodes"));
    assert_eq!(left, [] as [String; 0], "directories of nodes");
    assert_eq!(bed.names(), [] as [String; 0]);
    let audit = bed.json(&["audit"]);
    assert_eq!(audit["listed"], 0);
    assert_eq!(audit["recorded"], 0);
    assert_eq!(audit["open_claims"], serde_json::json!([]));
}

/// Directories of nodes, wherever the provider keeps them below `root`.
fn directories(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !entry.path().is_dir() {
            continue;
        }
        if name.starts_with("n-") {
            found.push(name);
        } else {
            found.extend(directories(&entry.path()));
        }
    }
    found
}

#[test]
fn the_systems_own_ssh_logs_in_with_the_command_that_is_printed() {
    if Command::new("ssh").arg("-V").output().is_err() {
        println!("skipped: there is no `ssh` on this machine");
        return;
    }
    let bed = stranger();
    bed.must(0, &["up", "--yes"]);
    let printed = bed.must(0, &["ssh", "--print"]);
    assert_eq!(printed.stdout.lines().count(), 3, "{}", printed.stdout);
    for line in printed.stdout.lines() {
        let output = Command::new("sh")
            .args(["-c", &format!("{line} 'pwd; exit 7'")])
            .stdin(Stdio::null())
            .output()
            .expect("there is a shell");
        let ran = Ran::from(output);
        assert_eq!(ran.status, Some(7), "{line}\n{}", ran.stderr);
        let home = bed.path("state/default/nodes");
        assert!(
            Path::new(ran.stdout.trim()).starts_with(&home),
            "{}",
            ran.stdout
        );
    }
    // And the same without copying it.
    let name = &bed.names()[1];
    let ran = bed.must(5, &["ssh", name, "--", "exit 5"]);
    assert_eq!(ran.stdout, "");
    bed.must(4, &["ssh"]);
    bed.must(0, &["down", "--yes"]);
}

#[test]
fn quiet_says_nothing_but_errors() {
    let bed = stranger();
    let up = bed.must(0, &["up", "--yes", "--quiet"]);
    assert_eq!((up.stdout.as_str(), up.stderr.as_str()), ("", ""));
    let exec = bed.must(23, &["exec", "--quiet", "--", "exit 3"]);
    assert_eq!(exec.stdout, "");
    assert_eq!(exec.stderr.lines().count(), 3, "{}", exec.stderr);
    assert!(
        exec.stderr.contains("`exit 3` ended with status 3"),
        "{}",
        exec.stderr
    );
    let down = bed.must(0, &["down", "--yes", "--quiet"]);
    assert_eq!((down.stdout.as_str(), down.stderr.as_str()), ("", ""));
}

const BEGIN: &str = "<!-- session -->";
const END: &str = "<!-- /session -->";

/// What the README shows was really run. `FLEETWRIGHT_UPDATE=1` writes it anew.
#[test]
fn the_session_in_the_readme_is_a_real_one() {
    let bed = stranger();
    let mut session = String::new();
    for arguments in [
        &["up", "--yes"][..],
        &["nodes"],
        &["exec", "--", "uname -s"],
        &["up", "--yes"],
        &["down", "--yes"],
    ] {
        let ran = bed.must(0, arguments);
        let line: Vec<String> = arguments
            .iter()
            .map(|word| {
                if word.contains(' ') {
                    format!("'{word}'")
                } else {
                    (*word).to_owned()
                }
            })
            .collect();
        writeln!(
            session,
            "$ fleetwright {}\n{}{}",
            line.join(" "),
            ran.stdout,
            ran.stderr
        )
        .expect("a string can be written to");
    }
    // Whether a node is looked at while its boot script runs is a matter of milliseconds.
    let session: String = normal(&session)
        .lines()
        .filter(|line| !line.ends_with(" bootstrapping: a login worked"))
        .fold(String::new(), |text, line| text + line + "\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(&path).expect("there is a README");
    let begin = readme.find(BEGIN).expect("the README has the marker") + BEGIN.len();
    let end = readme.find(END).expect("the README has the end marker");
    let wanted = format!("\n\n```console\n{}\n```\n\n", session.trim_end());
    if std::env::var_os("FLEETWRIGHT_UPDATE").is_some() {
        let text = format!("{}{wanted}{}", &readme[..begin], &readme[end..]);
        std::fs::write(&path, text).expect("the README is writable");
        return;
    }
    assert_eq!(
        &readme[begin..end],
        wanted,
        "the README shows another session; FLEETWRIGHT_UPDATE=1 writes it anew"
    );
}

/// Takes out what differs from run to run: the claim in names, ports, ages, and the order of
/// what happens side by side.
fn normal(session: &str) -> String {
    let mut lines: Vec<String> = session.lines().map(normal_line).collect();
    // Runs of lines that tell the same of different nodes are sorted.
    for part in lines.chunk_by_mut(|a, b| unnumbered(a) == unnumbered(b)) {
        part.sort();
    }
    lines.join("\n")
}

fn unnumbered(line: &str) -> String {
    line.replace(|c: char| c.is_ascii_digit(), "")
}

/// The second column of a bill is the runtime.
fn normal_runtime(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        [name, runtime, _, _] if name.starts_with("default-local-") && runtime.ends_with('s') => {
            line.replacen(runtime, "1s", 1)
        }
        _ => line.to_owned(),
    }
}

fn normal_line(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("default-local-") {
        let (before, name) = rest.split_at(at + "default-local-".len());
        out.push_str(before);
        out.push_str("1a2b3c4d");
        rest = &name[8..];
    }
    out.push_str(rest);
    let Some(at) = out.find("127.0.0.1:") else {
        return normal_runtime(&out);
    };
    let (before, port) = out.split_at(at + "127.0.0.1:".len());
    let rest = port.trim_start_matches(|c: char| c.is_ascii_digit());
    // The row begins with the name, and that ends with the number of the node.
    let number = before
        .split_whitespace()
        .next()
        .and_then(|name| name.chars().next_back())
        .unwrap_or('0');
    let row = format!("{before}4100{number}{rest}");
    // The last column of the table is the age.
    match row.trim_end().rsplit_once(' ') {
        Some((row, _)) => format!("{row} 1s"),
        None => row,
    }
}
