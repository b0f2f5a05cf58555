//! Probing a thousand machines over SSH: ours against everybody else, on the same servers.

use std::path::Path;
use std::process::Command;

use fleetwright_core::{Error, Kind, Result};
use serde_json::Value;

use super::endpoints::Endpoints;
use super::process::{Watched, watched};
use super::{Row, Section, median};
use crate::peers::{ansible, python};
use crate::programs::Programs;
use crate::scratch::Scratch;
use crate::workspace::Workspace;

const COUNT: usize = 1_000;
/// Connections at once, for everybody.
const PARALLEL: &str = "64";
/// Pinned, so that the peer of today is the peer of tomorrow.
const PARALLEL_SSH: [&str; 1] = ["parallel-ssh==2.14.0"];
const CONTESTANT: &str = include_str!("parallel_ssh_contestant.py");
const FLEET: &str = r#"
[ssh]
identities = ["id"]
agent = false
known_hosts = "known_hosts"

[targets.bench]
file = "addresses"

[[targets.bench.probes]]
name = "answers"
check.command = { run = "true" }
"#;

pub(super) fn measure(workspace: &Workspace, programs: &Programs, runs: usize) -> Result<Section> {
    let scratch = Scratch::new(workspace, programs, "bench-ssh")?;
    let endpoints = Endpoints::start(scratch.folder(), COUNT)?;
    write_files(&scratch, &endpoints)?;
    let bed = Bed {
        workspace,
        scratch: &scratch,
        endpoints: &endpoints,
        minimal: programs.path("minimal_client")?,
    };
    let (mut ours, mut minimal) = (Contestant::default(), Contestant::default());
    for _ in 0..runs {
        bed.run(&mut ours, bed.ours(), congruent)?;
        bed.run(&mut minimal, bed.minimal(), |text| text.trim().parse().ok())?;
    }
    let mut peers = Vec::new();
    for (name, command, count) in bed.peers()? {
        let mut peer = Contestant::default();
        bed.run(&mut peer, command, count)?;
        peers.push((name, peer));
    }
    let (cpu, wall) = (median(&mut ours.cpu), median(&mut ours.wall));
    let (least_cpu, least_wall) = (median(&mut minimal.cpu), median(&mut minimal.wall));
    let seconds = |milliseconds: f64| format!("{:.2} s", milliseconds / 1e3);
    let mut rows = vec![
        Row::told("`fleetwright drift`", seconds(wall)).at_most(
            format!("1.15 × {}", seconds(least_wall)),
            wall,
            1.15 * least_wall,
        ),
        Row::told("… processor time", seconds(cpu)).at_most(
            format!("1.15 × {}", seconds(least_cpu)),
            cpu,
            1.15 * least_cpu,
        ),
    ];
    ours.rest(&mut rows);
    rows.push(Row::told("a minimal client in Rust", seconds(least_wall)));
    rows.push(Row::told("… processor time", seconds(least_cpu)));
    minimal.rest(&mut rows);
    for (name, mut peer) in peers {
        let (peer_cpu, peer_wall) = (median(&mut peer.cpu), median(&mut peer.wall));
        rows.push(
            Row::told(
                format!("ours by {name}"),
                format!("{:.2}", wall / peer_wall),
            )
            .at_most(seconds(peer_wall), wall, peer_wall),
        );
        rows.push(
            Row::told("… processor time", format!("{:.2}", cpu / peer_cpu)).at_most(
                seconds(peer_cpu),
                cpu,
                peer_cpu,
            ),
        );
        peer.rest(&mut rows);
    }
    Ok(Section {
        title: "Probing over SSH",
        about: format!(
            "`true` on {COUNT} addresses of real OpenSSH servers on this machine ({} processes), each \
             over a connection of its own, {PARALLEL} at once; the servers take their share of the \
             same processors, and what they took is told. Ours is the whole command: configuration, \
             known hosts, probe, comparison, journal. Ours and the minimal client (an example in \
             `crates/remote`): median of {runs} runs in turns; the others once. Memory: the greatest \
             sum over all processes of a contestant, looked at ten times a second. Only ours, the \
             minimal client, `ssh` and Ansible check host keys.",
            COUNT.div_ceil(16)
        ),
        rows,
    })
}

/// How many machines a contestant says it has reached.
type Count = fn(&str) -> Option<usize>;

struct Bed<'a> {
    workspace: &'a Workspace,
    scratch: &'a Scratch,
    endpoints: &'a Endpoints,
    minimal: &'a Path,
}

impl Bed<'_> {
    fn ours(&self) -> Command {
        let mut command = self.scratch.command("fleetwright");
        command.args(["drift", "--json", "--parallel", PARALLEL]);
        command
    }

    fn minimal(&self) -> Command {
        let mut command = self.scratch.command(self.minimal);
        command.args([
            "places",
            &self.endpoints.user,
            "id",
            &self.endpoints.host_key,
        ]);
        command.arg(PARALLEL);
        command
    }

    fn peers(&self) -> Result<Vec<(&'static str, Command, Count)>> {
        let failed = |why: String| Error::new(Kind::NotFound, "a peer is missing").with_source(why);
        let folder = self.workspace.target.join("peers/parallel-ssh");
        let python = python::ensure(&folder, &PARALLEL_SSH).map_err(failed)?;
        let mut parallel_ssh = self.scratch.command(python);
        parallel_ssh.args([
            "-c",
            CONTESTANT,
            "addresses",
            &self.endpoints.user,
            "id",
            PARALLEL,
        ]);

        let mut ssh = self.scratch.command("sh");
        let known = "-F none -o UserKnownHostsFile=known_hosts -o GlobalKnownHostsFile=none";
        let login = format!(
            "xargs -a hosts -P {PARALLEL} -I HOST ssh {known} -o BatchMode=yes -i id -p {} {}@HOST \
             'true && echo here' | grep -c here",
            self.endpoints.port, self.endpoints.user
        );
        ssh.args(["-c", &login]);

        let programs = ansible::folder(self.workspace).map_err(failed)?;
        let mut ansible = self.scratch.command(programs.join("ansible"));
        ansible
            .args([
                "all",
                "-i",
                "inventory",
                "-m",
                "raw",
                "-a",
                "true",
                "-o",
                "-f",
                PARALLEL,
            ])
            .env("ANSIBLE_SSH_ARGS", format!("{known} -o ControlMaster=no"))
            .env("ANSIBLE_LOCALHOST_WARNING", "False")
            .env("LC_ALL", "C.UTF-8");
        Ok(vec![
            ("`xargs -P ssh`", ssh, |text| text.trim().parse().ok()),
            ("parallel-ssh", parallel_ssh, |text| {
                text.trim().parse().ok()
            }),
            ("Ansible (`raw`)", ansible, |text| {
                Some(text.lines().filter(|line| line.contains("rc=0")).count())
            }),
        ])
    }

    fn run(&self, who: &mut Contestant, mut command: Command, count: Count) -> Result<()> {
        let before = self.endpoints.cpu();
        let Watched { cost, text, memory } = watched(&mut command)?;
        if count(&text) != Some(COUNT) {
            let message = format!("`{command:?}` does not say that it reached all {COUNT}");
            let end: String = text.chars().take(2_000).collect();
            return Err(Error::new(Kind::Unexpected, message).with_context("output", end));
        }
        who.servers.push(self.endpoints.cpu() - before);
        who.cpu.push(cost.cpu);
        who.wall.push(cost.wall);
        who.memory.push(memory);
        Ok(())
    }
}

/// What one of them took, run by run.
#[derive(Default)]
struct Contestant {
    /// In milliseconds.
    cpu: Vec<f64>,
    /// In milliseconds.
    wall: Vec<f64>,
    /// Of the servers, in milliseconds.
    servers: Vec<f64>,
    /// In MB.
    memory: Vec<f64>,
}

impl Contestant {
    fn rest(&mut self, rows: &mut Vec<Row>) {
        let memory = format!("{:.0} MB", median(&mut self.memory));
        rows.push(Row::told("… peak memory", memory));
        let servers = format!("{:.1} s", median(&mut self.servers) / 1e3);
        rows.push(Row::told("… processor time of the servers", servers));
    }
}

/// Machines that `drift` found as expected.
fn congruent(text: &str) -> Option<usize> {
    let said: Value = serde_json::from_str(text).ok()?;
    let nodes = said["nodes"].as_array()?;
    let agrees = |node: &&Value| node["findings"][0]["verdict"]["is"] == "agrees";
    Some(nodes.iter().filter(agrees).count())
}

/// The addresses in the words of each contestant.
fn write_files(scratch: &Scratch, endpoints: &Endpoints) -> Result<()> {
    let Endpoints { user, port, .. } = endpoints;
    let lines = |line: &dyn Fn(&str) -> String| -> String {
        endpoints
            .addresses
            .iter()
            .map(|address| line(address))
            .collect()
    };
    scratch.write("fleetwright.toml", FLEET)?;
    scratch.write("addresses", &lines(&|a| format!("{user}@{a}:{port}\n")))?;
    scratch.write("places", &lines(&|a| format!("{a}:{port}\n")))?;
    scratch.write("hosts", &lines(&|a| format!("{a}\n")))?;
    scratch.write(
        "known_hosts",
        &lines(&|a| format!("[{a}]:{port} {}\n", endpoints.host_key)),
    )?;
    let key = scratch.folder().join("id");
    let login = format!(
        "ansible_port={port} ansible_user={user} ansible_ssh_private_key_file={}",
        key.display()
    );
    scratch.write("inventory", &lines(&|a| format!("{a} {login}\n")))
}
