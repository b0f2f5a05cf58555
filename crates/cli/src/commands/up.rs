//! `up`: bring the fleet to what is wanted.

use std::collections::BTreeSet;

use fleetwright_core::{Action, Plan, Purpose, Result};
use fleetwright_engine::{Approval, ConvergeOptions, PlanOptions};

use super::outcome;
use crate::args::{PlanFlags, Up};
use crate::background;
use crate::confirm::{Answer, ask};
use crate::context::{Context, holder, sort};
use crate::exit::Exit;
use crate::output::money;
use crate::steps;

pub(super) async fn run(context: &Context, args: &Up) -> Result<Exit> {
    context.say_origin();
    let engine = context.engine().await?;
    let options = plan_options(&args.plan);
    let approval = if args.consent.yes {
        Approval::Everything
    } else {
        let (plan, observation) = engine.plan(Purpose::Converge, &options).await?;
        context.end_progress();
        steps::show(context.out, &plan, &observation.records);
        if asks(&plan) {
            let question = format!("change the fleet to at most {}", money(&plan.cost_after));
            if ask(args.consent, &question)? == Answer::No {
                return Ok(Exit::NotConfirmed);
            }
        }
        context.begin_progress();
        Approval::Only(removals(&plan))
    };
    engine.begin_scaling(&holder("up")).await?;
    background::keep_limits(context, &engine).await?;
    let outcome = engine
        .converge(&ConvergeOptions {
            purpose: Purpose::Converge,
            deadline: args.timeout.0,
            approval,
            plan: options,
            holder: holder("up"),
        })
        .await?;
    context.end_progress();
    background::keep_limits(context, &engine).await?;
    let mut records = outcome.observation.records.clone();
    let exit = outcome::finish(context, &engine, outcome, None)?;
    sort(&mut records);
    let first = records
        .iter()
        .find(|record| record.life.is_ready() && record.access.is_some());
    if let Some(first) = first {
        for (what, how) in [
            ("log in", format!("fleetwright ssh {}", first.name)),
            ("run a command", "fleetwright exec -- uptime".to_owned()),
            ("remove them all", "fleetwright down".to_owned()),
        ] {
            context.out.faint(&format!("  {what:<15}  {how}"));
        }
    }
    Ok(exit)
}

pub(super) fn plan_options(flags: &PlanFlags) -> PlanOptions {
    PlanOptions {
        replace_failed: flags.replace_failed,
        max_removal_percent: flags.max_removal,
        ..PlanOptions::default()
    }
}

/// Whether a plan needs an answer: it removes something, or it costs money, or nobody knows what
/// it costs.
pub(super) fn asks(plan: &Plan) -> bool {
    let costs = plan.steps.iter().any(|step| match &step.action {
        Action::Create { offers, .. } => offers
            .iter()
            .any(|offer| offer.price.is_none_or(|price| price.micros_per_hour > 0)),
        _ => false,
    });
    costs || plan.is_destructive()
}

/// The nodes that a plan removes.
pub(super) fn removals(plan: &Plan) -> BTreeSet<fleetwright_core::NodeId> {
    plan.steps
        .iter()
        .filter(|step| step.action.is_destructive())
        .filter_map(|step| step.action.node().cloned())
        .collect()
}
