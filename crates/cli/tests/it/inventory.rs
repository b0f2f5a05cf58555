//! The inventory, judged by the programs that it is for.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use fleetwright_sim::SimConfig;
use serde_json::{Value, json};

use crate::bed::{Bed, Ran};

/// Two local nodes with a label of the user's, in one pool.
fn two_nodes() -> Bed {
    let bed = Bed::local(2);
    let text = std::fs::read_to_string(bed.path("fleetwright.toml")).expect("the bed has one");
    bed.configure(&format!("{text}labels = {{ team = \"ml-infra\" }}\n"));
    bed.must(0, &["up", "--yes"]);
    bed
}

fn run(command: &mut Command) -> Ran {
    command
        .stdin(Stdio::null())
        .output()
        .expect("the program can be started")
        .into()
}

#[test]
fn the_systems_own_ssh_reads_the_sections_and_logs_in_by_name() {
    let bed = two_nodes();
    let names = bed.names();
    let sections = bed.must(0, &["inventory", "--format", "ssh-config"]).stdout;
    std::fs::write(bed.path("fleet"), &sections).expect("it is writable");
    // As users do it: a line in their own file.
    let mine = format!("Include {}\n", bed.path("fleet").display());
    std::fs::write(bed.path("config"), mine).expect("it is writable");
    if Command::new("ssh").arg("-V").output().is_err() {
        println!("skipped: there is no `ssh` on this machine");
        return;
    }
    let ssh = |arguments: &[&str]| {
        let mut command = Command::new("ssh");
        command.arg("-F").arg(bed.path("config")).args(arguments);
        run(&mut command)
    };
    let understood = ssh(&["-G", &names[1]]);
    assert_eq!(understood.status, Some(0), "{}", understood.stderr);
    for line in [
        "hostname 127.0.0.1",
        "identitiesonly yes",
        "stricthostkeychecking true",
    ] {
        assert!(
            understood.stdout.lines().any(|found| found == line),
            "{line}: {}",
            understood.stdout
        );
    }
    let ran = ssh(&["-o", "BatchMode=yes", &names[1], "pwd; exit 7"]);
    assert_eq!(ran.status, Some(7), "{}", ran.stderr);
    assert!(ran.stdout.contains("state/test/nodes"), "{}", ran.stdout);

    let refused = bed.must(4, &["inventory", "--format", "ssh-config", "--json"]);
    assert!(refused.stderr.contains("cannot be written as JSON"));
}

#[test]
fn ansible_takes_it_as_an_inventory_script_and_logs_in() {
    let Some(folder) = std::env::var_os("FLEETWRIGHT_TEST_ANSIBLE").map(PathBuf::from) else {
        println!("skipped: `cargo xtask test` installs Ansible");
        return;
    };
    let bed = two_nodes();
    let names = bed.names();
    let script = bed.path("hosts");
    let program = bed.command(&[""]);
    let exported: String = program
        .get_envs()
        .filter_map(|(name, value)| {
            let value = value?.to_str()?;
            Some(format!("export {}='{value}'\n", name.to_str()?))
        })
        .collect();
    let text = format!(
        "#!/bin/sh\ncd '{}'\n{exported}exec '{}' inventory --quiet --format ansible \"$@\"\n",
        bed.path("").display(),
        program.get_program().to_string_lossy()
    );
    std::fs::write(&script, text).expect("it is writable");
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("it is writable");
    let ansible = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(folder.join(program));
        command
            .arg("-i")
            .arg(&script)
            .args(arguments)
            .env("HOME", bed.path(""))
            .env("LC_ALL", "C.UTF-8")
            .env("ANSIBLE_LOCAL_TEMP", bed.path("ansible"))
            .env_remove("ANSIBLE_CONFIG");
        run(&mut command)
    };

    let listed = ansible("ansible-inventory", &["--list"]);
    assert_eq!(listed.status, Some(0), "{}", listed.stderr);
    let listed: Value = serde_json::from_str(&listed.stdout).expect("it is JSON");
    for group in [
        "pool_web",
        "provider_here",
        "type_small",
        "label_team_ml_infra",
    ] {
        assert_eq!(listed[group]["hosts"], json!(names), "{group}: {listed}");
    }
    let variables = &listed["_meta"]["hostvars"][&names[0]];
    assert_eq!(variables["ansible_host"], "127.0.0.1");
    assert_eq!(
        variables["fleetwright_labels"],
        json!({ "team": "ml-infra" })
    );

    let ran = ansible(
        "ansible",
        &["label_team_ml_infra", "-m", "raw", "-a", "pwd"],
    );
    assert_eq!(ran.status, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(
        ran.stdout.matches("state/test/nodes").count(),
        2,
        "{}",
        ran.stdout
    );

    // What Ansible asks if there is no `_meta`; ours has it, older tools ask all the same.
    let one = bed.must(
        0,
        &["inventory", "--format", "ansible", "--host", &names[1]],
    );
    let one: Value = serde_json::from_str(&one.stdout).expect("it is JSON");
    assert_eq!(one, listed["_meta"]["hostvars"][&names[1]]);
    bed.must(7, &["inventory", "--format", "ansible", "--host", "nobody"]);
    bed.must(4, &["inventory", "--list"]);
}

#[test]
fn prometheus_and_others_get_targets_and_everything_of_the_chosen_nodes() {
    let bed = two_nodes();
    let names = bed.names();
    let targets = bed.json(&["inventory", "--format", "prometheus", "--port", "9400"]);
    let targets = targets.as_array().expect("it is there, as it should be");
    assert_eq!(targets.len(), 2);
    assert_eq!(targets[0]["targets"], json!(["127.0.0.1:9400"]));
    let labels = &targets[0]["labels"];
    assert_eq!(labels["node"], names[0].as_str());
    assert_eq!(labels["pool"], "web");
    assert_eq!(labels["label_team"], "ml-infra");
    assert!(
        labels
            .as_object()
            .expect("it is there, as it should be")
            .keys()
            .all(|key| !key.contains("fleetwright")),
        "{labels}"
    );

    let one = format!("name={}", names[1]);
    let chosen = bed.json(&["inventory", "--on", &one]);
    assert_eq!(
        chosen["nodes"]
            .as_array()
            .expect("it is there, as it should be")
            .len(),
        1
    );
    assert_eq!(chosen["nodes"][0]["name"], names[1].as_str());
    assert_eq!(chosen["nodes"][0]["access"]["host"], "127.0.0.1");
    let none = bed.json(&["inventory", "--on", "pool=other"]);
    assert_eq!(none["nodes"], json!([]));
}

#[test]
fn nodes_that_nobody_can_log_in_to_are_left_out_and_counted() {
    let bed = Bed::sim(&SimConfig::default(), "[pools.web]\ndesired = 2\n");
    bed.must(0, &["up", "--yes"]);
    let ran = bed.must(0, &["inventory", "--format", "ansible"]);
    let listed: Value = serde_json::from_str(&ran.stdout).expect("it is JSON");
    assert_eq!(listed["all"]["hosts"], json!([]));
    assert!(ran.stderr.contains("2 nodes left out"), "{}", ran.stderr);
}
