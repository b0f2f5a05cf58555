//! `down`: remove nodes.

use fleetwright_core::{Error, Kind, NodeId, Purpose, Result};
use fleetwright_engine::{Approval, ConvergeOptions, PlanOptions};

use super::{bill, outcome, up};
use crate::args::Down;
use crate::confirm::{Answer, ask};
use crate::context::{Context, holder};
use crate::exit::Exit;
use crate::output::count;
use crate::steps;

pub(super) async fn run(context: &Context, args: &Down) -> Result<Exit> {
    context.say_origin();
    let nodes = selected(context, args).await?;
    let purpose = Purpose::Remove {
        nodes: nodes.clone(),
    };
    let engine = context.engine().await?;
    let approval = if args.consent.yes {
        Approval::Everything
    } else {
        let (plan, observation) = engine
            .plan(purpose.clone(), &PlanOptions::default())
            .await?;
        context.end_progress();
        steps::show(context.out, &plan, &observation.records);
        let removed = up::removals(&plan);
        if removed.is_empty() && observation.claims.is_empty() && plan.withheld.is_empty() {
            context.out.note("nothing to remove");
        } else {
            let question = format!("remove {}", count(removed.len(), "node"));
            if ask(args.consent, &question)? == Answer::No {
                return Ok(Exit::NotConfirmed);
            }
        }
        context.begin_progress();
        Approval::Only(removed)
    };
    let before = context.nodes(false).await?;
    // Or what is removed would be made again.
    let pools = nodes.map(|nodes| {
        let chosen = before.iter().filter(|record| nodes.contains(&record.id));
        chosen.map(|record| record.pool.clone()).collect()
    });
    engine.end_scaling(pools.as_ref(), &holder("down")).await?;
    let outcome = engine
        .converge(&ConvergeOptions {
            purpose,
            deadline: args.timeout.0,
            approval,
            plan: PlanOptions::default(),
            holder: holder("down"),
        })
        .await?;
    context.end_progress();
    let bill = bill::of_removed(&engine, &before, &outcome).await?;
    outcome::finish(context, &engine, outcome, Some(&bill))
}

/// The nodes that the filter selects; `None` for all, whether the journal knows them or not.
async fn selected(context: &Context, args: &Down) -> Result<Option<Vec<NodeId>>> {
    if args.selection.on.is_none() {
        return Ok(None);
    }
    let filter = args.selection.of_records()?;
    let records = context.nodes(false).await?;
    let nodes: Vec<NodeId> = records
        .iter()
        .filter(|record| filter.matches(&|key| record.property(key)))
        .map(|record| record.id.clone())
        .collect();
    if nodes.is_empty() {
        return Err(
            Error::new(Kind::NotFound, format!("no node matches `{filter}`"))
                .with_hint("`fleetwright nodes` lists them all"),
        );
    }
    Ok(Some(nodes))
}
