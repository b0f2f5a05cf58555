//! `health` and `heartbeat`: how machines are, by counted reports.

use clap::Args;
use fleetwright_core::{HealthState, Result, TargetGroupName, TargetOrigin};
use fleetwright_engine::{Examined, NoLogin, TargetGap, TargetSet};
use serde::Serialize;

use super::machines;
use super::targets::Targeting;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, age, count};

#[derive(Debug, Args)]
pub(crate) struct Health {
    /// Only machines of this pool, or of these `[targets]`
    pub(crate) group: Option<String>,
    #[command(flatten)]
    pub(crate) targeting: Targeting,
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
    /// Machines that nobody can log in to, with the reason.
    unreachable: &'a [NoLogin],
    /// Places that could not be looked at.
    gaps: &'a [TargetGap],
}

#[derive(Serialize)]
struct Beaten {
    nodes: Vec<String>,
}

pub(super) async fn run(context: &Context, args: &Health) -> Result<Exit> {
    let set = chosen(context, args).await?;
    let targets = &set.targets;
    let engine = context.engine().await?;
    if args.forget {
        let store = context.store().await?;
        for target in targets {
            store.forget_health(&target.key()).await?;
        }
    }
    let all = if args.recorded {
        engine.known_health(targets).await?
    } else {
        engine.examine(targets).await?
    };
    context.end_progress();
    let exit = standing(&all, !(set.unreachable.is_empty() && set.gaps.is_empty()));
    if context.out.json {
        output::json(&Report {
            targets: &all,
            unreachable: &set.unreachable,
            gaps: &set.gaps,
        })?;
        return Ok(exit);
    }
    show(context, &all)?;
    for one in &set.unreachable {
        context.out.note(&format!("{}: {}", one.name, one.reason));
    }
    Ok(exit)
}

/// The machines that were asked for, the names of those that nobody can log in to, and places that
/// could not be looked at.
async fn chosen(context: &Context, args: &Health) -> Result<TargetSet> {
    let mut set = args.targeting.find(context).await?;
    let Some(name) = &args.group else {
        return Ok(set);
    };
    let config = &context.loaded.config;
    if !config.pools.contains_key(name) && !config.targets.contains_key(name) {
        context.check_pool(name).await?;
    }
    set.targets.retain(|target| match &target.group {
        Some(TargetGroupName::Pool(group) | TargetGroupName::Targets(group)) => group == name,
        None => false,
    });
    set.unreachable
        .retain(|one| matches!(&one.origin, TargetOrigin::Pool { pool } if pool == name));
    set.gaps.retain(|gap| gap.group == *name);
    Ok(set)
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
    context.out.note(&format!(
        "{}: {healthy} healthy",
        count(all.len(), "machine")
    ));
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
