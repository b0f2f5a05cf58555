//! `apply`: a stored plan, if the fleet has not changed since.

use std::fs;

use fleetwright_core::{Error, Kind, Plan, Result};
use fleetwright_engine::{Approval, ConvergeOptions, PlanOptions};

use super::{outcome, up};
use crate::args::Apply;
use crate::confirm::{Answer, ask};
use crate::context::{Context, holder};
use crate::exit::Exit;
use crate::output::money;
use crate::steps;

pub(super) async fn run(context: &Context, args: &Apply) -> Result<Exit> {
    let plan = read(args)?;
    context.say_origin();
    steps::show(context.out, &plan);
    if up::asks(&plan) {
        let question = format!("execute this plan, at most {}", money(&plan.cost_after));
        if ask(&context.out, args.consent, &question)? == Answer::No {
            return Ok(Exit::NotConfirmed);
        }
    }
    let engine = context.engine().await?;
    let outcome = engine
        .apply(
            &plan,
            &ConvergeOptions {
                purpose: plan.purpose.clone(),
                deadline: args.timeout.0,
                approval: Approval::Only(up::removals(&plan)),
                plan: PlanOptions::default(),
                holder: holder("apply"),
            },
        )
        .await?;
    context.end_progress();
    outcome::finish(context, &engine, outcome)
}

fn read(args: &Apply) -> Result<Plan> {
    let path = args.file.display();
    let text = fs::read_to_string(&args.file).map_err(|error| {
        Error::new(Kind::Invalid, format!("the plan file `{path}` cannot be read"))
            .with_source(error)
            .with_hint("write one with `fleetwright plan --out <file>`")
    })?;
    serde_json::from_str(&text).map_err(|error| {
        Error::new(Kind::Invalid, format!("`{path}` is not a plan"))
            .with_source(error)
            .with_hint("write one with `fleetwright plan --out <file>`")
    })
}
