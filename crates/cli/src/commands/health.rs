//! `health` and `heartbeat`: how machines are, by counted reports.

use clap::Args;
use fleetwright_core::{Error, HealthState, Kind, Result, Target};
use fleetwright_engine::Examined;
use serde::Serialize;

use super::machines;
use crate::args::Selection;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, age, count};

#[derive(Debug, Args)]
pub(crate) struct Health {
    /// Only nodes of this pool
    pub(crate) pool: Option<String>,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Show what is known, without looking at the nodes
    #[arg(long)]
    pub(crate) recorded: bool,
    /// Forget what is known of the nodes, and count anew from here
    #[arg(long, conflicts_with = "recorded")]
    pub(crate) forget: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Heartbeat {
    /// A node by name, id, or the beginning or end of either
    #[arg(required = true)]
    pub(crate) node: Vec<String>,
}

#[derive(Serialize)]
struct Report<'a> {
    targets: &'a [Examined],
    /// Nodes that nobody can log in to.
    without_access: Vec<String>,
}

#[derive(Serialize)]
struct Beaten {
    nodes: Vec<String>,
}

pub(super) async fn run(context: &Context, args: &Health) -> Result<Exit> {
    let (targets, without_access) = chosen(context, args).await?;
    let engine = context.engine().await?;
    if args.forget {
        let store = context.store().await?;
        for target in &targets {
            store.forget_health(&target.key()).await?;
        }
    }
    let all = if args.recorded {
        engine.known_health(&targets).await?
    } else {
        engine.examine(&targets).await?
    };
    context.end_progress();
    let exit = standing(&all, !without_access.is_empty());
    if context.out.json {
        output::json(&Report {
            targets: &all,
            without_access,
        })?;
        return Ok(exit);
    }
    show(context, &all)?;
    for name in &without_access {
        context.out.note(&format!("{name}: it has no address"));
    }
    Ok(exit)
}

/// The nodes that were asked for, and the names of those that have no address.
async fn chosen(context: &Context, args: &Health) -> Result<(Vec<Target>, Vec<String>)> {
    if let Some(pool) = &args.pool {
        context.check_pool(pool).await?;
    }
    let filter = args.selection.of_records()?;
    let (mut targets, mut without) = (Vec::new(), Vec::new());
    for record in context.nodes(false).await? {
        let is_meant = !record.life.is_leaving()
            && args.pool.as_ref().is_none_or(|pool| *pool == record.pool)
            && filter.matches(&|key| record.property(key));
        if !is_meant {
            continue;
        }
        match machines::target(&record) {
            Some(target) => targets.push(target),
            None => without.push(record.name.clone()),
        }
    }
    if targets.is_empty() && without.is_empty() {
        return Err(Error::new(Kind::NotFound, "there is no such node")
            .with_hint("`fleetwright nodes` lists them all"));
    }
    Ok((targets, without))
}

/// What is wrong counts before what is out of reach, and that before what is not known.
fn standing(all: &[Examined], some_unseen: bool) -> Exit {
    let any = |wanted: HealthState| all.iter().any(|one| one.health.state == wanted);
    if any(HealthState::Unhealthy) {
        Exit::Findings
    } else if any(HealthState::Unreachable) || all.iter().any(|one| one.reached == Some(false)) {
        Exit::Unreachable
    } else if some_unseen
        || any(HealthState::Unknown)
        || all.iter().any(|one| !one.health.unknown.is_empty())
    {
        Exit::Incomplete
    } else {
        Exit::Done
    }
}

fn show(context: &Context, all: &[Examined]) -> Result<()> {
    let now = Context::now();
    let rows = all
        .iter()
        .map(|one| {
            let health = &one.health;
            let row = match (health.failures, health.successes) {
                (0, 0) => "-".to_owned(),
                (0, good) => format!("{good} good"),
                (bad, _) => format!("{bad} bad"),
            };
            let mut why = health.reasons.clone();
            why.extend(health.unknown.iter().map(|text| format!("unknown: {text}")));
            vec![
                one.target.name.clone(),
                one.target.group_label().unwrap_or_else(|| "-".to_owned()),
                health.state.to_string(),
                age(health.since, now),
                row,
                if why.is_empty() {
                    "-".to_owned()
                } else {
                    why.join("; ")
                },
            ]
        })
        .collect();
    output::table(
        &["NAME", "GROUP", "HEALTH", "SINCE", "IN A ROW", "WHY"],
        rows,
    )?;
    let healthy = all
        .iter()
        .filter(|one| one.health.state == HealthState::Healthy)
        .count();
    context
        .out
        .note(&format!("{}: {healthy} healthy", count(all.len(), "node")));
    Ok(())
}

pub(super) async fn beat(context: &Context, args: &Heartbeat) -> Result<Exit> {
    let targets = machines::named(context, &args.node).await?;
    let engine = context.quiet_engine().await?;
    for target in &targets {
        engine.heartbeat(target).await?;
    }
    if context.out.json {
        output::json(&Beaten {
            nodes: targets.into_iter().map(|target| target.name).collect(),
        })?;
    } else {
        context
            .out
            .note(&format!("{} noted", count(targets.len(), "heartbeat")));
    }
    Ok(Exit::Done)
}
