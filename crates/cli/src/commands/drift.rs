//! `drift`: what is expected of machines beside what is there. Reports only.

use std::collections::BTreeMap;

use clap::Args;
use fleetwright_core::{
    Error, ErrorReport, Finding, Kind, NodeRecord, Result, Severity, Target, TargetAddress,
    TargetGroupName, TargetOrigin, Verdict,
};
use fleetwright_engine::{Condition, Engine, MeasureOptions, Measured};
use jiff::Timestamp;
use serde::Serialize;

use crate::args::Selection;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, Out, age, count, in_order};

/// Longest text of a cell; hashes and paths are cut in the middle.
const CELL: usize = 60;

/// Arguments of `drift`.
#[derive(Debug, Args)]
pub(crate) struct DriftArgs {
    /// Only machines of this pool, or of these `[targets]`
    #[arg(value_name = "POOL")]
    pub(crate) group: Option<String>,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Only these machines, by name or as `user@host:port`, joined by commas
    #[arg(long, short, value_name = "TARGETS", value_delimiter = ',')]
    pub(crate) targets: Vec<String>,
    /// Only drift that is at least so bad: low, medium, high or critical
    #[arg(long, value_name = "LEVEL", default_value = "low", value_parser = severity)]
    pub(crate) severity: Severity,
    /// Also show what is as expected
    #[arg(long, short)]
    pub(crate) all: bool,
    /// Machines at the same time
    #[arg(long, short, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) parallel: u16,
}

fn severity(text: &str) -> Result<Severity, String> {
    let names = Severity::ALL.map(Severity::as_str).join("`, `");
    Severity::ALL
        .into_iter()
        .find(|severity| severity.as_str() == text)
        .ok_or_else(|| format!("a severity is one of `{names}`"))
}

#[derive(Serialize)]
struct Report {
    measured_at: Timestamp,
    summary: Summary,
    nodes: Vec<NodeReport>,
    /// Probes whose expectation could not be looked up here.
    errors: Vec<LookupError>,
}

#[derive(Debug, Default, Clone, Copy, Serialize)]
struct Summary {
    nodes: usize,
    congruent: usize,
    drift: usize,
    unknown: usize,
    unreachable: usize,
    /// Machines of which nothing is expected; they are not among the others.
    without_probes: usize,
}

#[derive(Serialize)]
struct NodeReport {
    node: String,
    group: Option<String>,
    address: String,
    condition: Condition,
    /// How bad the drift is.
    severity: Option<Severity>,
    /// Since when it can be reached, or cannot.
    since: Timestamp,
    at: Timestamp,
    /// Why it cannot be reached.
    error: Option<ErrorReport>,
    findings: Vec<Finding>,
}

#[derive(Serialize)]
struct LookupError {
    group: String,
    probe: String,
    error: ErrorReport,
}

pub(super) async fn run(context: &Context, args: &DriftArgs) -> Result<Exit> {
    let engine = context.quiet_engine().await?;
    let chosen = targets(context, &engine, args).await?;
    let all = chosen.len();
    let targets: Vec<Target> = chosen
        .into_iter()
        .filter(|target| !engine.fleet().probes(target.group.as_ref()).is_empty())
        .collect();
    if targets.is_empty() {
        return Err(Error::new(
            Kind::Config,
            format!("nothing is expected of {}", count(all, "node")),
        )
        .with_hint("say what is, with `[[pools.<name>.probes]]` or `[[targets.<name>.probes]]`"));
    }
    let expectations = engine.expectations(&targets).await;
    let options = MeasureOptions {
        parallel: usize::from(args.parallel),
    };
    let measured = engine.measure(&targets, &expectations, &options).await?;
    let errors: Vec<LookupError> = expectations
        .failures()
        .map(|(group, probe, error)| LookupError {
            group: group.to_string(),
            probe: probe.to_owned(),
            error: error.clone(),
        })
        .collect();
    let mut nodes: Vec<NodeReport> = measured
        .into_iter()
        .map(|measured| node(measured, args.severity))
        .collect();
    nodes.sort_by(|a, b| (&a.group, in_order(&a.node)).cmp(&(&b.group, in_order(&b.node))));
    let report = Report {
        measured_at: Context::now(),
        summary: summary(&nodes, all - targets.len()),
        nodes,
        errors,
    };
    if context.out.json {
        output::json(&report)?;
    } else {
        show(context.out, &report, args.all)?;
    }
    conclude(context.out, &report);
    Ok(exit(&report))
}

/// What a machine comes to if only drift of at least this severity counts.
fn node(measured: Measured, least: Severity) -> NodeReport {
    let severity = measured.severity().filter(|found| *found >= least);
    let condition = match measured.condition() {
        Condition::Drift if severity.is_none() => {
            let is_unknown = |one: &Finding| matches!(one.verdict, Verdict::Unknown { .. });
            if measured.findings.iter().any(is_unknown) {
                Condition::Unknown
            } else {
                Condition::Congruent
            }
        }
        other => other,
    };
    let access = &measured.target.access;
    NodeReport {
        group: measured.target.group_label(),
        address: TargetAddress {
            user: access.user.clone(),
            host: access.host.clone(),
            port: access.port,
        }
        .to_string(),
        node: measured.target.name,
        condition,
        severity,
        since: measured.since,
        at: measured.at,
        error: measured.reached.err(),
        findings: measured.findings,
    }
}

fn summary(nodes: &[NodeReport], without_probes: usize) -> Summary {
    let of = |condition| {
        nodes
            .iter()
            .filter(|node| node.condition == condition)
            .count()
    };
    Summary {
        nodes: nodes.len(),
        congruent: of(Condition::Congruent),
        drift: of(Condition::Drift),
        unknown: of(Condition::Unknown),
        unreachable: of(Condition::Unreachable),
        without_probes,
    }
}

/// Errors first: without them there might be more. Then what is known to be bad, then what cannot
/// be known.
fn exit(report: &Report) -> Exit {
    let Summary {
        drift,
        unknown,
        unreachable,
        ..
    } = report.summary;
    if let Some(first) = report.errors.first() {
        Exit::Failed(first.error.kind)
    } else if drift > 0 {
        Exit::Drift
    } else if unreachable > 0 {
        Exit::Unreachable
    } else if unknown > 0 {
        Exit::Incomplete
    } else {
        Exit::Done
    }
}

fn show(out: Out, report: &Report, all: bool) -> Result<()> {
    let mut rows = Vec::new();
    for node in &report.nodes {
        for finding in &node.findings {
            if all || finding.verdict != Verdict::Agrees {
                rows.push(row(node, finding, report.measured_at));
            }
        }
        if node.condition == Condition::Unreachable {
            let dash = || "-".to_owned();
            rows.push(vec![
                node.node.clone(),
                dash(),
                "unreachable".to_owned(),
                dash(),
                dash(),
                dash(),
                age(node.since, report.measured_at),
            ]);
        }
    }
    if !rows.is_empty() {
        output::table(
            &[
                "NODE", "PROBE", "VERDICT", "SEVERITY", "EXPECTED", "ACTUAL", "SINCE",
            ],
            rows,
        )?;
    }
    for node in &report.nodes {
        for finding in &node.findings {
            if let Some(reason) = finding.verdict.reason() {
                out.faint(&format!("{}: {}: {reason}", node.node, finding.probe));
            }
        }
    }
    Ok(())
}

fn row(node: &NodeReport, finding: &Finding, now: Timestamp) -> Vec<String> {
    let is_drift = finding.verdict.is_drift();
    let severity = if is_drift {
        finding.severity.as_str()
    } else {
        "-"
    };
    vec![
        node.node.clone(),
        finding.probe.clone(),
        finding.verdict.as_str().to_owned(),
        severity.to_owned(),
        cell(finding.expected.as_deref()),
        cell(finding.actual.as_deref()),
        age(finding.since, now),
    ]
}

/// One line, not too long, with its beginning and its end.
fn cell(text: Option<&str>) -> String {
    let text = text.unwrap_or("-").replace('\n', " ");
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= CELL {
        return text;
    }
    let half = CELL / 2 - 1;
    let (head, tail) = (&letters[..half], &letters[letters.len() - half..]);
    head.iter().chain(&['…']).chain(tail).collect()
}

/// What went wrong, and how many stand how.
fn conclude(out: Out, report: &Report) {
    for node in &report.nodes {
        if let Some(error) = &node.error {
            output::error_line(&format!("{}: {error}", node.node));
            if let Some(hint) = &error.hint {
                output::hint(hint);
            }
        }
    }
    for LookupError {
        group,
        probe,
        error,
    } in &report.errors
    {
        output::error_line(&format!("{group}: probe `{probe}`: {error}"));
        for (name, value) in error.context.iter().filter(|(name, _)| name == "stderr") {
            for line in value.trim_end().lines() {
                out.faint(&format!("    {name}: {line}"));
            }
        }
        if let Some(hint) = &error.hint {
            output::hint(hint);
        }
    }
    let Summary {
        nodes,
        congruent,
        drift,
        unknown,
        unreachable,
        without_probes,
    } = report.summary;
    let mut line = format!(
        "{}: {congruent} congruent, {drift} with drift, {unknown} unknown, {unreachable} unreachable",
        count(nodes, "node")
    );
    let mut severities: BTreeMap<Severity, usize> = BTreeMap::new();
    for severity in report.nodes.iter().filter_map(|node| node.severity) {
        *severities.entry(severity).or_default() += 1;
    }
    let worst: Vec<String> = severities
        .iter()
        .rev()
        .map(|(severity, number)| format!("{number} {severity}"))
        .collect();
    if !worst.is_empty() {
        line.push_str(&format!("; drift: {}", worst.join(", ")));
    }
    out.note(&line);
    if without_probes > 0 {
        out.faint(&format!(
            "of {} nothing is expected",
            count(without_probes, "further node")
        ));
    }
}

/// The machines that were asked for: nodes of the journal, and those of `[targets]`.
async fn targets(context: &Context, engine: &Engine, args: &DriftArgs) -> Result<Vec<Target>> {
    let mut all = Vec::new();
    let filter = args.selection.of_records()?;
    for record in context.nodes(false).await? {
        if record.life.is_ready() && filter.matches(&|key| record.property(key)) {
            all.push(of_record(context, record)?);
        }
    }
    // A filter speaks of what only nodes have.
    if filter.is_empty() {
        for (name, group) in &engine.fleet().targets {
            for host in &group.hosts {
                all.push(of_host(name, host)?);
            }
        }
    }
    if let Some(wanted) = &args.group {
        let fleet = engine.fleet();
        if !fleet.pools.contains_key(wanted) && !fleet.targets.contains_key(wanted) {
            let known: Vec<&str> = (fleet.pools.keys().chain(fleet.targets.keys()))
                .map(String::as_str)
                .collect();
            return Err(Error::new(
                Kind::NotFound,
                format!("no pool and no targets are named `{wanted}`"),
            )
            .with_hint(format!("there are: {}", known.join(", "))));
        }
        all.retain(|target| match &target.group {
            Some(TargetGroupName::Pool(name) | TargetGroupName::Targets(name)) => name == wanted,
            None => false,
        });
    }
    if !args.targets.is_empty() {
        all = pick(&all, &args.targets)?;
    }
    if all.is_empty() {
        return Err(Error::new(Kind::NotFound, "there is no node to measure")
            .with_hint("`fleetwright status` shows which nodes are ready"));
    }
    Ok(all)
}

fn of_record(context: &Context, record: NodeRecord) -> Result<Target> {
    let Some(access) = record.access.clone() else {
        return Err(context.no_access(&record));
    };
    Ok(Target {
        name: record.name,
        access,
        group: Some(TargetGroupName::Pool(record.pool.clone())),
        node: Some(record.id),
        origins: vec![TargetOrigin::Pool { pool: record.pool }],
        labels: record.labels,
    })
}

fn of_host(group: &str, host: &str) -> Result<Target> {
    let address: TargetAddress = host.parse()?;
    Ok(Target {
        name: host.to_owned(),
        access: address.access(),
        group: Some(TargetGroupName::Targets(group.to_owned())),
        node: None,
        origins: vec![TargetOrigin::Configured {
            group: group.to_owned(),
        }],
        labels: fleetwright_core::Labels::default(),
    })
}

/// Those of all targets that are named.
fn pick(all: &[Target], wanted: &[String]) -> Result<Vec<Target>> {
    let mut picked: Vec<Target> = Vec::new();
    for text in wanted {
        let address: Option<TargetAddress> = text.parse().ok();
        let is_meant = |target: &&Target| {
            target.name == *text
                || address.as_ref().is_some_and(|address| {
                    (address.host.to_ascii_lowercase(), address.port) == target.endpoint()
                })
        };
        let Some(target) = all.iter().find(is_meant) else {
            return Err(Error::new(
                Kind::NotFound,
                format!("`{text}` belongs to no pool and to no `[targets]`"),
            )
            .with_hint("nothing is expected of it; add it to the `hosts` of `[targets.<name>]`"));
        };
        if !picked.contains(target) {
            picked.push(target.clone());
        }
    }
    Ok(picked)
}
