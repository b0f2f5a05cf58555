//! `exec`: a command on nodes, side by side.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fleetwright_core::{
    Access, Command, Error, ErrorReport, Exit as Ended, Kind, NodeRecord, Result, Stream,
};
use fleetwright_remote::{FanOut, FanOutSink, HostResult, failure, fan_out};
use serde::Serialize;

use crate::args::Exec;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{Out, count};

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
    let targets = targets(context, args).await?;
    let remote = context.remote().await?;
    let command = Command::new(args.command.join(" ")).with_timeout(args.timeout.0);
    let options = FanOut {
        limit: usize::from(args.parallel),
        per_host: args.timeout.0,
        total: args.total.map(|total| total.0),
    };
    let printer = Arc::new(Printer::new(context.out, targets.len() > 1));
    let results = fan_out(remote, targets, &command, &options, printer).await;
    let failed: Vec<&HostResult> = results.iter().filter(|result| !succeeded(result)).collect();
    if context.out.json {
        context.out.json(&Report { results: results.iter().map(report).collect() })?;
    } else {
        for result in &failed {
            let error = match &result.outcome {
                Ok(output) => failure(&result.label, &command, output).report(),
                Err(error) => error.report(),
            };
            context.out.error_line(&format!("{}: {error}", result.label));
            if let Some(hint) = &error.hint {
                context.out.hint(hint);
            }
            if let Ok(output) = &result.outcome {
                let text = String::from_utf8_lossy(&output.stderr);
                let lines: Vec<&str> = text.lines().collect();
                for line in lines.iter().skip(lines.len().saturating_sub(TAIL)) {
                    context.out.faint(&format!("    {line}"));
                }
            }
        }
    }
    context.out.note(&format!(
        "{}: {} ok, {} failed",
        count(results.len(), "node"),
        results.len() - failed.len(),
        failed.len()
    ));
    Ok(if failed.is_empty() { Exit::Done } else { Exit::RemoteFailed })
}

async fn targets(context: &Context, args: &Exec) -> Result<Vec<(String, Access)>> {
    let filter = args.selection.on.clone().unwrap_or_default();
    let records = context.store().await?.nodes().await?;
    let chosen: Vec<&NodeRecord> = records
        .iter()
        .filter(|record| !record.life.is_leaving())
        .filter(|record| filter.matches(&|key| record.property(key)))
        .collect();
    if chosen.is_empty() {
        let what = if filter.is_empty() {
            "the fleet has no nodes".to_owned()
        } else {
            format!("no node matches `{filter}`")
        };
        return Err(Error::new(Kind::NotFound, what).with_hint(if filter.is_empty() {
            "`fleetwright up` makes them"
        } else {
            "`fleetwright nodes` lists them all"
        }));
    }
    chosen
        .into_iter()
        .map(|record| match &record.access {
            Some(access) => Ok((record.name.clone(), access.clone())),
            None => Err(context.no_access(record)),
        })
        .collect()
}

fn succeeded(result: &HostResult) -> bool {
    matches!(&result.outcome, Ok(output) if output.exit.is_success())
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
        Err(error) => NodeReport {
            node,
            exit: None,
            stdout: String::new(),
            stderr: String::new(),
            truncated: false,
            milliseconds,
            error: Some(error.report()),
        },
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
        Self { out, named, rest: Mutex::default() }
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
            let Some(mut bytes) = all.remove(&(index, stream)) else { continue };
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
