//! A state directory or a journal that cannot be used: nothing is made, and the message says what
//! to do.

use std::process::Command;

use crate::bed::{Bed, Ran, processes_with};

fn has(ran: &Ran, words: &[&str]) {
    for word in words {
        assert!(
            ran.stderr.contains(word),
            "`{word}` is missing in: {}",
            ran.stderr
        );
    }
}

#[test]
fn a_state_directory_that_cannot_be_made_is_refused() {
    let bed = Bed::local(1);
    std::fs::write(bed.path("file"), "").expect("it is writable");
    for place in ["file/below", "/proc/fleetwright"] {
        let ran = bed.must(3, &["--state-dir", place, "up", "--yes"]);
        has(
            &ran,
            &[
                "the state directory",
                "cannot be",
                "choose another with `--state-dir`",
            ],
        );
    }
}

#[test]
fn a_read_only_state_directory_is_refused() {
    let bed = Bed::local(1);
    // Below /sys nobody may write, not even root.
    let ran = bed.must(3, &["--state-dir", "/sys/kernel", "nodes"]);
    has(
        &ran,
        &["the state directory", "choose another with `--state-dir`"],
    );
}

#[test]
fn a_corrupt_journal_is_refused_and_not_touched() {
    let bed = Bed::local(1);
    bed.must(0, &["nodes"]);
    let journal = bed.state().join("journal.db");
    let garbage = b"this is no database, it only lies where one should be\n".repeat(100);
    std::fs::write(&journal, &garbage).expect("it is writable");
    let ran = bed.must(3, &["up", "--yes"]);
    has(&ran, &["journal.db"]);
    assert_eq!(std::fs::read(&journal).expect("it is there"), garbage);
    assert_eq!(processes_with(&bed.path("state")), [] as [u32; 0]);
}

#[test]
fn a_journal_of_a_newer_version_is_refused() {
    let bed = Bed::local(1);
    bed.must(0, &["nodes"]);
    let script = "import sqlite3, sys\n\
                  db = sqlite3.connect(sys.argv[1])\n\
                  db.execute(\"INSERT INTO schema_version (version, name) VALUES (9999, 'later')\")\n\
                  db.commit()\n";
    let written = Command::new("python3")
        .args(["-c", script])
        .arg(bed.state().join("journal.db"))
        .status();
    if !written.is_ok_and(|status| status.success()) {
        println!("skipped: no python3 with sqlite3 to write a journal of the future");
        return;
    }
    let ran = bed.must(3, &["up", "--yes"]);
    has(
        &ran,
        &["has schema version 9999", "hint: upgrade fleetwright"],
    );
}

#[test]
fn a_full_disk_stops_before_anything_is_made() {
    let bed = Bed::local(1);
    let place = bed.path("small");
    std::fs::create_dir(&place).expect("it is writable");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs"])
        .arg(&place)
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("skipped: a small file system cannot be mounted here");
        return;
    }
    std::fs::write(place.join("ballast"), vec![0; 40 << 10]).expect("this much fits");
    let ran = bed.run(&["--state-dir", "small", "up", "--yes"]);
    let running = processes_with(&place);
    let unmounted = Command::new("umount").arg(&place).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    assert_eq!(ran.status, Some(12), "{}", ran.stderr);
    has(&ran, &["disk", "hint: "]);
    assert_eq!(running, [] as [u32; 0]);
}

#[test]
fn nodes_share_no_port() {
    // No port can be configured: each node takes a free one by itself, so none can be in use.
    let bed = Bed::local(3);
    bed.must(0, &["up", "--yes"]);
    let nodes = bed.json(&["nodes"]);
    let mut ports: Vec<u64> = nodes["nodes"]
        .as_array()
        .expect("there are nodes")
        .iter()
        .filter_map(|node| node["access"]["port"].as_u64())
        .collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 3, "{nodes:#}");
    bed.must(0, &["down", "--yes"]);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let bed = Bed::local(1);
    let (reader, writer) = rustix::pipe::pipe().expect("a pipe can be made");
    drop(reader);
    let output = bed
        .command(&["providers"])
        .stdout(writer)
        .output()
        .expect("the program can be started");
    let ran = Ran::from(output);
    assert_eq!(ran.status, Some(141), "{}", ran.stderr);
    assert!(!ran.stderr.contains("error"), "{}", ran.stderr);
}
