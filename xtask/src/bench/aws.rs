//! AWS, against boto3 on the same server in one run: listing and creating.
//!
//! The listing is served by [`Canned`], the rest by our fake, which has EC2's token buckets.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fleetwright_core::{Error, Kind, Result};
use serde_json::Value;

use super::canned::Canned;
use super::fake::{BOTO3, Fake, credentials, number};
use super::process::{Cost, cost_and_output};
use super::{Row, Section, median};
use crate::programs::Programs;
use crate::scratch::Scratch;
use crate::workspace::Workspace;

const LISTED: usize = 5_000;
/// What the server takes for a page.
const PAGE_LATENCY: Duration = Duration::from_millis(300);

const CREATED: usize = 100;
/// What the fake takes for a call.
const CALL_LATENCY: &str = "80";

pub(super) fn list(
    workspace: &Workspace,
    programs: &Programs,
    python: &Path,
    runs: usize,
) -> Result<Section> {
    let scratch = Scratch::new(workspace, programs, "bench-aws-list")?;
    let server = Canned::start(LISTED, PAGE_LATENCY)
        .map_err(|e| Error::new(Kind::Unexpected, "the server cannot be started").with_source(e))?;
    let (mut ours, mut peer) = (Contestant::default(), Contestant::default());
    let mut calls = (0, 0);
    for _ in 0..runs {
        let mut command = scratch.command(programs.path("measure_aws")?);
        command.args(["list", &server.endpoint]);
        ours.run(credentials(&mut command), LISTED)?;
        calls.0 = server.calls();
        let mut command = scratch.command(python);
        command.args(["-c", BOTO3, "list"]);
        command.env("AWS_ENDPOINT_URL", &server.endpoint);
        peer.run(credentials(&mut command), LISTED)?;
        calls.1 = server.calls();
    }
    let floor = PAGE_LATENCY.as_secs_f64() * 1e3 * LISTED.div_ceil(1_000) as f64;
    let (cpu, peer_cpu) = (median(&mut ours.cpu), median(&mut peer.cpu));
    let (took, peer_took) = (median(&mut ours.inside), median(&mut peer.inside));
    let (memory, peer_memory) = (median(&mut ours.peak), median(&mut peer.peak));
    Ok(Section {
        title: "AWS: listing",
        about: format!(
            "{LISTED} instances in pages of 1,000, each {:.0} ms after it was asked for, {:.1} MB \
             of XML together, rendered before. User and system time and peak memory (`VmHWM`) are \
             those of whole processes, start and imports included; the time is that of the listing \
             inside. Median of {runs} runs in turns.",
            PAGE_LATENCY.as_secs_f64() * 1e3,
            server.bytes as f64 / 1e6,
        ),
        rows: vec![
            Row::told(
                "ours by boto3, processor time",
                format!("{:.3}", cpu / peer_cpu),
            )
            .at_most(
                format!("a fifteenth of {peer_cpu:.0} ms"),
                cpu,
                peer_cpu / 15.0,
            ),
            Row::told("… ours", format!("{cpu:.0} ms")),
            Row::told("… peak memory", megabytes(memory)).at_most("80 MB", memory, 80e6),
            Row::told("… of boto3", megabytes(peer_memory)),
            Row::told("… time", format!("{:.2} s", took / 1e3)).at_most(
                format!("1.1 × {:.2} s", floor / 1e3),
                took,
                floor * 1.1,
            ),
            Row::told("… of boto3", format!("{:.2} s", peer_took / 1e3)),
            Row::told("… calls", format!("{}, boto3 {}", calls.0, calls.1)),
        ],
    })
}

pub(super) fn create(
    workspace: &Workspace,
    programs: &Programs,
    python: &Path,
    runs: usize,
) -> Result<Section> {
    let scratch = Scratch::new(workspace, programs, "bench-aws-create")?;
    let wanted = CREATED.to_string();
    let mut ways = [
        Way::new("ours", &[]),
        Way::new("boto3, one call", &["0"]),
        Way::new("boto3, a call per node, 32 threads", &["32"]),
    ];
    for limited in [false, true] {
        for _ in 0..if limited { 1 } else { runs } {
            for way in &mut ways {
                let mut fake = Fake::start(&scratch, programs, CALL_LATENCY, "0", limited)?;
                let mut command = match way.threads {
                    [] => {
                        let mut command = scratch.command(programs.path("measure_aws")?);
                        command.args(["create", &fake.endpoint, &fake.image, &wanted]);
                        command
                    }
                    threads => {
                        let mut command = scratch.command(python);
                        command.args(["-c", BOTO3, "create", &fake.image, &wanted]);
                        command.args(threads);
                        command.env("AWS_ENDPOINT_URL", &fake.endpoint);
                        command
                    }
                };
                let costs = if limited {
                    &mut way.limited
                } else {
                    &mut way.free
                };
                costs.measure(credentials(&mut command))?;
                let state = fake.ask("state")?;
                let (nodes, calls) = (
                    number(&state, "instances")?,
                    &state["calls"]["RunInstances"],
                );
                let told = format!("{nodes:.0} nodes, {calls} calls");
                if limited {
                    way.under_limits = told;
                } else {
                    way.told = told;
                }
            }
        }
    }
    let mut rows = Vec::new();
    for way in &mut ways {
        let mut add = |what: &str, measured: String| rows.push(Row::told(what, measured));
        add(way.name, way.told.clone());
        add(
            "… processor time",
            format!("{:.0} ms", median(&mut way.free.cpu)),
        );
        add(
            "… time",
            format!("{:.2} s", median(&mut way.free.inside) / 1e3),
        );
        add("… peak memory", megabytes(median(&mut way.free.peak)));
        add("… under EC2's limits", way.under_limits.clone());
        let took = median(&mut way.limited.inside) / 1e3;
        add("… time under EC2's limits", format!("{took:.2} s"));
    }
    Ok(Section {
        title: "AWS: creating",
        about: format!(
            "{CREATED} nodes on our fake, {CALL_LATENCY} ms per call; median of {runs} runs in \
             turns, each with a fake of its own. Calls and nodes are counted by the fake. Then once \
             more with EC2's documented token buckets, and boto3's own retries."
        ),
        rows,
    })
}

/// One way of creating, and what came of it.
struct Way {
    name: &'static str,
    /// For boto3; empty for ours.
    threads: &'static [&'static str],
    free: Contestant,
    limited: Contestant,
    told: String,
    under_limits: String,
}

impl Way {
    fn new(name: &'static str, threads: &'static [&'static str]) -> Self {
        Self {
            name,
            threads,
            free: Contestant::default(),
            limited: Contestant::default(),
            told: String::new(),
            under_limits: String::new(),
        }
    }
}

/// What a contestant took, run by run.
#[derive(Default)]
struct Contestant {
    /// User and system time of the process, in milliseconds.
    cpu: Vec<f64>,
    /// What it says that the calls took, in milliseconds.
    inside: Vec<f64>,
    /// Peak memory in bytes.
    peak: Vec<f64>,
}

impl Contestant {
    /// Runs it; it must see so many nodes.
    fn run(&mut self, command: &mut Command, nodes: usize) -> Result<()> {
        let told = self.measure(command)?;
        if told["nodes"] == nodes {
            return Ok(());
        }
        let message = format!("it saw {} nodes and not {nodes}", told["nodes"]);
        Err(Error::new(Kind::Unexpected, message))
    }

    fn measure(&mut self, command: &mut Command) -> Result<Value> {
        let (Cost { cpu, .. }, text) = cost_and_output(command)?;
        let told: Value = serde_json::from_str(&text).map_err(|e| {
            Error::new(Kind::Unexpected, "a contestant does not say JSON").with_source(e)
        })?;
        self.cpu.push(cpu);
        self.inside.push(number(&told, "milliseconds")?);
        self.peak.push(number(&told, "peak_kib")? * 1024.0);
        Ok(told)
    }
}

fn megabytes(bytes: f64) -> String {
    format!("{:.0} MB", bytes / 1e6)
}
