//! A command on many nodes: our client against `xargs -P 32 ssh`, on the same nodes in turns.

use std::path::Path;
use std::process::Command;

use fleetwright_core::{Error, Kind, Result};
use serde_json::Value;

use super::process::{Cost, cost, running};
use super::{Row, Section, median};
use crate::programs::Programs;
use crate::scratch::Scratch;
use crate::workspace::{Workspace, output};

const FOLDER: &str = "bench-exec";
const NODES: usize = 200;
const FLEET: &str = r#"
[providers.local]
kind = "local"
max_nodes = 200

[pools.local]
desired = 200
candidates = [{ provider = "local", type = "small" }]
"#;

pub(super) fn measure(workspace: &Workspace, programs: &Programs, runs: usize) -> Result<Section> {
    let folder = workspace.target.join("xtask").join(FOLDER);
    remove_leftovers(programs, &folder)?;
    let scratch = Scratch::new(workspace, programs, FOLDER)?;
    scratch.write("fleetwright.toml", FLEET)?;
    let nodes = Nodes(&scratch);
    output(scratch.command("fleetwright").args(["up", "--yes"]))?;
    check(&scratch)?;
    write_arguments(&scratch)?;
    let version = Command::new("ssh").arg("-V").output().map_err(|e| {
        Error::new(Kind::NotFound, "`ssh` cannot be started")
            .with_source(e)
            .with_hint("install the OpenSSH client")
    })?;

    let mut ours = Variant::default();
    let mut default = Variant::default();
    let mut curve = Variant::default();
    for _ in 0..runs {
        let mut exec = scratch.command("fleetwright");
        exec.args(["exec", "--parallel", "32", "--", "true"]);
        ours.run(&scratch, &mut exec)?;
        for (variant, file) in [(&mut default, "default"), (&mut curve, "curve")] {
            let mut xargs = scratch.command("xargs");
            xargs.args(["-a", file, "-P", "32", "-L", "1", "ssh"]);
            variant.run(&scratch, &mut xargs)?;
        }
    }
    drop(nodes);

    let mine = median(&mut ours.cpu);
    let mut rows = Vec::new();
    let mut add = |what: &str, variant: &mut Variant| {
        let cpu = median(&mut variant.cpu);
        let mut row = Row::told(what, format!("{cpu:.0} ms"));
        if variant.is_peer {
            row = Row::told(format!("ours by {what}"), format!("{:.3}", mine / cpu)).at_most(
                format!("a tenth of {cpu:.0} ms"),
                mine,
                cpu / 10.0,
            );
        }
        rows.push(row);
        rows.push(Row::told(
            "… from start to end",
            format!("{:.2} s", median(&mut variant.wall) / 1e3),
        ));
        rows.push(Row::told(
            "… processor time of the 200 nodes' own threads",
            format!("{:.0} ms", variant.nodes / runs as f64),
        ));
    };
    default.is_peer = true;
    curve.is_peer = true;
    add("`fleetwright exec --parallel 32`", &mut ours);
    add("`xargs -P 32 ssh`", &mut default);
    add("… `-o KexAlgorithms=curve25519-sha256`", &mut curve);
    Ok(Section {
        title: "Commands on nodes",
        about: format!(
            "`true` on {NODES} nodes of kind `local` on this machine. User and system time of the \
             clients, median of {runs} runs in turns; the nodes are processes of their own and \
             told apart. The peer is `{}` with the arguments that `fleetwright ssh --print` gives.",
            String::from_utf8_lossy(&version.stderr).trim()
        ),
        rows,
    })
}

/// What one way of doing it took, run by run.
#[derive(Default)]
struct Variant {
    is_peer: bool,
    cpu: Vec<f64>,
    wall: Vec<f64>,
    /// Of the nodes, in all runs together.
    nodes: f64,
}

impl Variant {
    fn run(&mut self, scratch: &Scratch, command: &mut Command) -> Result<()> {
        let before = running(scratch.folder())?;
        let Cost { cpu, wall } = cost(command)?;
        self.nodes += running(scratch.folder())? - before;
        self.cpu.push(cpu);
        self.wall.push(wall);
        Ok(())
    }
}

/// Removes the nodes when the measurement is over, however it ended.
struct Nodes<'a>(&'a Scratch);

impl Drop for Nodes<'_> {
    fn drop(&mut self) {
        let mut down = self.0.command("fleetwright");
        if let Err(error) = output(down.args(["down", "--yes"])) {
            eprintln!("the nodes are still there: {}", error.report());
        }
    }
}

/// Removes the nodes of a run that was interrupted.
fn remove_leftovers(programs: &Programs, folder: &Path) -> Result<()> {
    if !folder.join("fleetwright.toml").exists() {
        return Ok(());
    }
    let mut down = Command::new(programs.path("fleetwright")?);
    down.current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .args(["down", "--yes"]);
    output(&mut down).map(drop)
}

/// Every node must answer, or the times say nothing.
fn check(scratch: &Scratch) -> Result<()> {
    let mut exec = scratch.command("fleetwright");
    let said = json(&output(
        exec.args(["exec", "--json", "--", "echo", "here"]),
    )?)?;
    let here = said["results"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|result| result["stdout"] == "here\n")
        .count();
    if here == NODES {
        Ok(())
    } else {
        let message = format!("{here} of {NODES} nodes answer");
        Err(Error::new(Kind::Unexpected, message))
    }
}

/// A file of arguments for `xargs`, one line per node, with and without a key exchange.
fn write_arguments(scratch: &Scratch) -> Result<()> {
    let mut print = scratch.command("fleetwright");
    let said = json(&output(print.args(["ssh", "--print", "--json"]))?)?;
    let (mut default, mut curve) = (String::new(), String::new());
    for node in said["nodes"].as_array().into_iter().flatten() {
        let words = node["command"].as_array().into_iter().flatten().skip(1);
        let words: Vec<String> = words
            .filter_map(Value::as_str)
            .map(|word| format!("'{word}'"))
            .collect();
        let line = format!("{} true\n", words.join(" "));
        default.push_str(&line);
        curve.push_str("-o KexAlgorithms=curve25519-sha256 ");
        curve.push_str(&line);
    }
    scratch.write("default", &default)?;
    scratch.write("curve", &curve)
}

fn json(text: &str) -> Result<Value> {
    serde_json::from_str(text)
        .map_err(|e| Error::new(Kind::Unexpected, "the command does not say JSON").with_source(e))
}
