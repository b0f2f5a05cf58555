//! `up`: bring the fleet to what is wanted.

use std::collections::BTreeSet;

use fleetwright_core::{Action, Plan, Purpose, Result};
use fleetwright_engine::{Approval, ConvergeOptions, PlanOptions};

use super::outcome;
use crate::args::{PlanFlags, Up};
use crate::confirm::{Answer, ask};
use crate::context::{Context, holder};
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
        let (plan, _) = engine.plan(Purpose::Converge, &options).await?;
        steps::show(context.out, &plan);
        if asks(&plan) {
            let question = format!("change the fleet to at most {}", money(&plan.cost_after));
            if ask(&context.out, args.consent, &question)? == Answer::No {
                return Ok(Exit::NotConfirmed);
            }
        }
        Approval::Only(removals(&plan))
    };
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
    let ready = outcome.observation.records.iter().any(|record| record.life.is_ready());
    let has_ssh = outcome.observation.records.iter().any(|record| record.access.is_some());
    let exit = outcome::finish(context, &engine, outcome)?;
    if ready && has_ssh {
        context.out.faint("log in with `fleetwright ssh <node>`, run commands with `fleetwright exec -- <command>`, remove everything with `fleetwright down`");
    }
    Ok(exit)
}

pub(super) fn plan_options(flags: &PlanFlags) -> PlanOptions {
    PlanOptions { replace_failed: flags.replace_failed, max_removal_percent: flags.max_removal }
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
