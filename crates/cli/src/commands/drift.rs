//! `drift`: what is expected of machines beside what is there. Reports only.

use std::collections::BTreeMap;

use clap::Args;
use fleetwright_core::{
    Error, ErrorReport, Finding, Kind, Result, Severity, Target, TargetGroupName, TargetOrigin,
    Verdict,
};
use fleetwright_engine::{
    Condition, Engine, MeasureOptions, Measured, NoLogin, TargetGap, TargetSet,
};
use jiff::Timestamp;
use serde::Serialize;

use super::targets::{Targeting, address};
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
    pub(crate) targeting: Targeting,
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
    /// Machines that nobody knows how to log in to, with the reason.
    no_login: Vec<NoLogin>,
    /// Places that could not be looked at.
    gaps: Vec<TargetGap>,
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
    let set = targets(context, &engine, args).await?;
    let all = set.targets.len();
    let targets: Vec<Target> = set
        .targets
        .into_iter()
        .filter(|target| !engine.fleet().probes(target.group.as_ref()).is_empty())
        .collect();
    if targets.is_empty() && all > 0 {
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
        no_login: set.unreachable,
        gaps: set.gaps,
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
    NodeReport {
        group: measured.target.group_label(),
        address: address(&measured.target),
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
    } else if unknown > 0 || !report.no_login.is_empty() || !report.gaps.is_empty() {
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
    for one in &report.no_login {
        output::error_line(&format!("{}: not measured: {}", one.name, one.reason));
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
        line.push_str("; drift: ");
        line.push_str(&worst.join(", "));
    }
    out.note(&line);
    if without_probes > 0 {
        out.faint(&format!(
            "of {} nothing is expected",
            count(without_probes, "further node")
        ));
    }
}

/// The machines that were asked for.
async fn targets(context: &Context, engine: &Engine, args: &DriftArgs) -> Result<TargetSet> {
    let Some(wanted) = &args.group else {
        return args.targeting.find(context).await;
    };
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
    let mut set = args.targeting.find(context).await?;
    set.targets.retain(|target| match &target.group {
        Some(TargetGroupName::Pool(name) | TargetGroupName::Targets(name)) => name == wanted,
        None => false,
    });
    set.unreachable
        .retain(|one| matches!(&one.origin, TargetOrigin::Pool { pool } if pool == wanted));
    if set.targets.is_empty() && set.unreachable.is_empty() {
        return Err(
            Error::new(Kind::NotFound, format!("`{wanted}` has no machines"))
                .with_hint("`fleetwright targets` lists them all"),
        );
    }
    Ok(set)
}
