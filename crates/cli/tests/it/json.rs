//! `--json`: every command answers with the keys that docs/reference/json.md promises.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use fleetwright_core::Span;
use fleetwright_sim::SimConfig;
use serde_json::Value;

use crate::bed::{Bed, local};

/// Keys that are always there, and keys that may be.
#[derive(Default)]
struct Promise {
    always: BTreeSet<String>,
    sometimes: BTreeSet<String>,
}

/// Reads the page: a section for one or more commands, and in it a table of keys.
fn promises() -> BTreeMap<String, Promise> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/json.md");
    let text = std::fs::read_to_string(path).expect("the page is there");
    let mut all: BTreeMap<String, Promise> = BTreeMap::new();
    let mut commands: Vec<String> = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            commands = heading
                .split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect();
            for command in &commands {
                all.entry(command.clone()).or_default();
            }
        } else if let Some(row) = line.strip_prefix("| `") {
            let (key, rest) = row.split_once('`').expect("the key ends");
            for command in &commands {
                let promise = all.get_mut(command).expect("it was entered");
                if rest.starts_with(" | always |") {
                    promise.always.insert(key.to_owned());
                } else {
                    promise.sometimes.insert(key.to_owned());
                }
            }
        }
    }
    all
}

/// Keys of answers by command, gathered from real runs.
#[derive(Default)]
struct Answers(BTreeMap<String, Vec<BTreeSet<String>>>);

impl Answers {
    fn ask(&mut self, bed: &Bed, status: i32, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        // Before `--`, where it is ours.
        all.insert(1, "--json");
        let ran = bed.must(status, &all);
        let value = serde_json::from_str(&ran.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}\n{}", ran.stdout));
        let name = if (1..20).contains(&status) {
            "errors"
        } else {
            arguments[0]
        };
        self.keep(name, &value);
        value
    }

    fn keep(&mut self, name: &str, value: &Value) {
        let keys = value.as_object().expect("an answer is an object");
        self.0
            .entry(name.to_owned())
            .or_default()
            .push(keys.keys().cloned().collect());
    }
}

fn dark() -> Bed {
    let config = SimConfig {
        latency: Span(Duration::from_millis(1)),
        broken_listings: vec!["sim-west".to_owned()],
        ..SimConfig::default()
    };
    Bed::sim(
        &config,
        "[pools.web]\ndesired = 1\n\
         candidates = [{ provider = \"cloud\", region = \"sim-west\", type = \"sim.small\" }]\n",
    )
}

#[test]
fn every_answer_has_the_documented_keys_and_no_others() {
    let mut answers = Answers::default();
    let bed = Bed::local(2);
    answers.ask(&bed, 0, &["init", "other.toml"]);
    answers.ask(
        &bed,
        0,
        &[
            "init",
            "asked.toml",
            "--non-interactive",
            "--provider",
            "local",
            "--type",
            "small",
        ],
    );
    answers.ask(&bed, 0, &["validate", "--online"]);
    answers.ask(&bed, 0, &["plan", "--out", "plan.json"]);
    answers.ask(&bed, 0, &["apply", "plan.json"]);
    answers.ask(&bed, 8, &["apply", "plan.json"]);
    let up = answers.ask(&bed, 0, &["up"]);
    assert_eq!(up["standing"], "reached");
    answers.ask(&bed, 0, &["status"]);
    answers.ask(&bed, 0, &["cost", "--by", "day"]);
    answers.ask(&bed, 0, &["nodes"]);
    let name = bed.names().remove(0);
    answers.ask(&bed, 0, &["node", &name]);
    answers.ask(&bed, 0, &["why", &name]);
    answers.ask(&bed, 0, &["why", "web"]);
    answers.ask(&bed, 0, &["why-not", "web"]);
    answers.ask(&bed, 0, &["why-not", "web", "small", "--recorded"]);
    let exec = answers.ask(&bed, 23, &["exec", "--", "echo out; echo err >&2; exit 3"]);
    assert_eq!(exec["results"][0]["stdout"], "out\n");
    assert_eq!(exec["results"][1]["stderr"], "err\n");
    assert_eq!(exec["results"][0]["exit"]["code"], 3);
    answers.ask(&bed, 0, &["ssh"]);
    answers.ask(&bed, 0, &["health"]);
    answers.ask(&bed, 0, &["heartbeat", &name]);
    answers.ask(&bed, 0, &["cordon", &name]);
    answers.ask(&bed, 0, &["cordon"]);
    answers.ask(&bed, 0, &["drain", &name]);
    answers.ask(&bed, 0, &["uncordon", &name]);
    answers.ask(&bed, 0, &["notify"]);
    answers.ask(&bed, 0, &["targets"]);
    answers.ask(&bed, 0, &["deploy", "true"]);
    answers.ask(&bed, 0, &["deploy", "--list"]);
    answers.ask(&bed, 0, &["freeze", "web", "--reason", "a look"]);
    answers.ask(&bed, 0, &["watch", "--once"]);
    answers.ask(&bed, 0, &["thaw", "web"]);
    bed.configure(&(local(2) + "[[notifications]]\nname = \"ops\"\nurl = \"env:NOT_SET\"\n"));
    answers.ask(&bed, 20, &["notify", "--test"]);
    answers.ask(&bed, 0, &["env"]);
    bed.configure(&(local(2) + "limits = { max_runtime = \"1h\" }\n"));
    answers.ask(&bed, 0, &["up"]);
    answers.ask(&bed, 0, &["extend", "--all", "5m"]);
    answers.ask(&bed, 0, &["audit"]);
    answers.ask(&bed, 0, &["providers", "--check"]);
    answers.ask(&bed, 0, &["capacity", "--learned", "--rates", "--clear"]);
    answers.ask(&bed, 0, &["capacity"]);
    let events = bed.must(0, &["events", "--json"]);
    assert!(events.stdout.lines().count() > 4);
    for line in events.stdout.lines() {
        answers.keep(
            "events",
            &serde_json::from_str(line).expect("each line is JSON"),
        );
    }
    let probe = "[[pools.web.probes]]\nname = \"a\"\ncheck.command = { run = \"true\" }\n";
    bed.configure(&(local(2) + probe));
    answers.ask(&bed, 0, &["drift"]);
    bed.configure(&local(0));
    answers.ask(&bed, 0, &["plan", "--max-removal", "10"]);
    let braked = answers.ask(&bed, 24, &["up", "--yes", "--max-removal", "10"]);
    assert_eq!(braked["standing"], "braked");
    answers.ask(&bed, 0, &["down", "--yes"]);
    answers.ask(&bed, 0, &["adopt", "--yes"]);
    answers.ask(&bed, 7, &["exec", "--", "true"]);
    let dark = dark();
    answers.ask(&dark, 0, &["plan"]);
    answers.ask(&dark, 0, &["why", "web"]);
    bed.configure("[providers.here]\nkind = \"locl\"\n");
    answers.ask(&bed, 3, &["validate"]);

    for (command, promise) in promises() {
        let seen = answers
            .0
            .remove(&command)
            .unwrap_or_else(|| panic!("`{command}` is documented, and nobody asked it"));
        let known: BTreeSet<String> = promise.always.union(&promise.sometimes).cloned().collect();
        let mut all = BTreeSet::new();
        for keys in seen {
            assert!(
                keys.is_superset(&promise.always),
                "`{command}` lacks some of {:?}: {keys:?}",
                promise.always
            );
            all.extend(keys);
        }
        assert_eq!(all, known, "`{command}`: real keys and documented keys");
    }
    assert!(
        answers.0.is_empty(),
        "not documented: {:?}",
        answers.0.keys()
    );
}
