//! `exec`: a command on nodes, side by side.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fleetwright_core::{Access, Command, Error, ErrorReport, Exit as Ended, Kind, Result, Stream};
use fleetwright_remote::{FanOut, FanOutSink, HostResult, fan_out};
use serde::Serialize;

use crate::args::{Exec, Selection};
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, Out, count, in_order};

/// Lines of a failure that are shown again at the end.
const TAIL: usize = 20;

#[derive(Serialize)]
struct Report {
    results: Vec<NodeReport>,
}

#[derive(Serialize)]
struct NodeReport {
    node: String,
    /// How the command ended; absent if it could not be run to its end.
    exit: Option<Ended>,
    stdout: String,
    stderr: String,
    /// Whether only the end of the output is shown.
    truncated: bool,
    milliseconds: u64,
    error: Option<ErrorReport>,
}

pub(super) async fn run(context: &Context, args: &Exec) -> Result<Exit> {
    let (targets, unreachable) = targets(context, args).await?;
    let remote = context.remote().await?;
    let command = Command::new(args.command.join(" ")).with_timeout(args.timeout.0);
    let options = FanOut {
        limit: usize::from(args.parallel),
        per_host: args.timeout.0,
        total: args.total.map(|total| total.0),
    };
    let several = targets.len() + unreachable.len() > 1;
    let printer = Arc::new(Printer::new(context.out, several));
    let results = fan_out(remote, targets, &command, &options, printer).await;
    let mut reports: Vec<NodeReport> = results.iter().map(report).collect();
    for (node, error) in &unreachable {
        reports.push(NodeReport::failed(node.clone(), 0, error.report()));
    }
    reports.sort_by(|a, b| in_order(&a.node).cmp(&in_order(&b.node)));
    let (all, failed) = (
        reports.len(),
        reports.iter().filter(|report| !report.succeeded()).count(),
    );
    if context.out.json {
        output::json(&Report { results: reports })?;
    } else {
        for report in reports.iter().filter(|report| !report.succeeded()) {
            explain(context.out, report, &command, several);
        }
    }
    context.out.note(&format!(
        "{}: {} ok, {failed} failed",
        count(all, "node"),
        all - failed,
    ));
    Ok(if failed == 0 {
        Exit::Done
    } else {
        Exit::RemoteFailed
    })
}

/// Says on which node it failed and how. With several nodes the end of stderr is shown again: what
/// was printed as it came lies among the output of the others.
fn explain(out: Out, report: &NodeReport, command: &Command, several: bool) {
    let node = &report.node;
    if let Some(error) = &report.error {
        output::error_line(&format!("{node}: {error}"));
        for (name, value) in &error.context {
            for line in value.trim_end().lines() {
                out.faint(&format!("    {name}: {line}"));
            }
        }
        if let Some(hint) = &error.hint {
            output::hint(hint);
        }
        return;
    }
    let ended = match &report.exit {
        Some(Ended::Status { code }) => format!("status {code}"),
        Some(Ended::Signal { name }) => format!("signal {name}"),
        None => "no status".to_owned(),
    };
    output::error_line(&format!("{node}: `{}` ended with {ended}", command.line));
    if several {
        let lines: Vec<&str> = report.stderr.lines().collect();
        for line in lines.iter().skip(lines.len().saturating_sub(TAIL)) {
            out.faint(&format!("    {line}"));
        }
    }
}

/// Nodes to run on.
type Targets = Vec<(String, Access)>;
/// Nodes that nobody can log in to, with the reason.
type Unreachable = Vec<(String, Error)>;

/// The nodes that were asked for. Failed ones too: whoever wants to know why looks there.
async fn targets(context: &Context, args: &Exec) -> Result<(Targets, Unreachable)> {
    let is_elsewhere =
        !args.targeting.given.is_empty() || !context.loaded.config.targets.is_empty();
    if is_elsewhere {
        let set = args.targeting.find(context).await?;
        let targets = set.targets.into_iter().map(|one| (one.name, one.access));
        let unreachable = set.unreachable.into_iter().map(|one| {
            let error = Error::new(Kind::Unavailable, one.reason);
            (one.name, error)
        });
        return Ok((targets.collect(), unreachable.collect()));
    }
    let filter = Selection {
        on: args.targeting.on.clone(),
    }
    .of_records()?;
    let records = context.nodes(false).await?;
    let chosen = records
        .iter()
        .filter(|record| !record.life.is_leaving())
        .filter(|record| filter.matches(&|key| record.property(key)));
    let (mut targets, mut unreachable) = (Targets::new(), Unreachable::new());
    for record in chosen {
        match &record.access {
            Some(access) => targets.push((record.name.clone(), access.clone())),
            None => unreachable.push((record.name.clone(), context.no_access(record))),
        }
    }
    if targets.is_empty() {
        // Not one of them: the first reason is everybody's.
        if let Some((_, error)) = unreachable.into_iter().next() {
            return Err(error);
        }
        let (what, hint) = if filter.is_empty() {
            (
                "the fleet has no nodes".to_owned(),
                "`fleetwright up` makes them",
            )
        } else {
            (
                format!("no node matches `{filter}`"),
                "`fleetwright nodes` lists them all",
            )
        };
        return Err(Error::new(Kind::NotFound, what).with_hint(hint));
    }
    Ok((targets, unreachable))
}

impl NodeReport {
    /// A node on which the command did not run to its end.
    fn failed(node: String, milliseconds: u64, error: ErrorReport) -> Self {
        Self {
            node,
            exit: None,
            stdout: String::new(),
            stderr: String::new(),
            truncated: false,
            milliseconds,
            error: Some(error),
        }
    }

    fn succeeded(&self) -> bool {
        self.exit.as_ref().is_some_and(Ended::is_success)
    }
}

fn report(result: &HostResult) -> NodeReport {
    let milliseconds = u64::try_from(result.elapsed.as_millis()).unwrap_or(u64::MAX);
    let node = result.label.clone();
    match &result.outcome {
        Ok(output) => NodeReport {
            node,
            exit: Some(output.exit.clone()),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            truncated: output.truncated,
            milliseconds,
            error: None,
        },
        Err(error) => NodeReport::failed(node, milliseconds, error.report()),
    }
}

/// Prints output as it comes: whole lines, with the node's name in front if there are several.
struct Printer {
    out: Out,
    named: bool,
    /// What came after the last line feed, by node.
    rest: Mutex<HashMap<(usize, Stream), Vec<u8>>>,
}

impl Printer {
    fn new(out: Out, named: bool) -> Self {
        Self {
            out,
            named,
            rest: Mutex::default(),
        }
    }

    fn print(&self, host: &str, stream: Stream, bytes: &[u8]) {
        use std::io::Write;
        if self.out.json {
            return;
        }
        let mut text = Vec::with_capacity(bytes.len() + host.len() + 2);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.named {
                text.extend_from_slice(host.as_bytes());
                text.extend_from_slice(b": ");
            }
            text.extend_from_slice(line);
        }
        // A reader that went away is noticed when the command ends.
        let _ = match stream {
            Stream::Stdout => std::io::stdout().write_all(&text),
            Stream::Stderr => std::io::stderr().write_all(&text),
        };
    }
}

impl FanOutSink for Printer {
    fn started(&self, _: usize, _: &str) {}

    fn write(&self, index: usize, label: &str, stream: Stream, bytes: &[u8]) {
        let mut all = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = all.entry((index, stream)).or_default();
        rest.extend_from_slice(bytes);
        if let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') {
            let tail = rest.split_off(end + 1);
            let lines = std::mem::replace(rest, tail);
            drop(all);
            self.print(label, stream, &lines);
        }
    }

    /// Prints what did not end with a line feed.
    fn finished(&self, index: usize, result: &HostResult) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let mut all = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(mut bytes) = all.remove(&(index, stream)) else {
                continue;
            };
            drop(all);
            if !bytes.is_empty() {
                if self.named {
                    bytes.push(b'\n');
                }
                self.print(&result.label, stream, &bytes);
            }
        }
    }
}
