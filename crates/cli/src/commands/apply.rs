//! `apply`: a stored plan, if the fleet has not changed since.

use std::fs;

use fleetwright_core::{Error, Fingerprint, Kind, Plan, Result, fingerprint};
use fleetwright_engine::{Approval, ConvergeOptions, PlanOptions};
use serde::{Deserialize, Serialize};

use super::{outcome, up};
use crate::args::Apply;
use crate::background;
use crate::confirm::{Answer, ask};
use crate::context::{Context, holder};
use crate::exit::Exit;
use crate::output::money;
use crate::steps;

pub(super) async fn run(context: &Context, args: &Apply) -> Result<Exit> {
    let plan = read(args)?;
    context.say_origin();
    steps::show(context.out, &plan, &context.nodes(false).await?);
    if up::asks(&plan) {
        let question = format!("execute this plan, at most {}", money(&plan.cost_after));
        if ask(args.consent, &question)? == Answer::No {
            return Ok(Exit::NotConfirmed);
        }
    }
    let engine = context.engine().await?;
    background::keep_limits(context, &engine).await?;
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
    engine.begin_scaling(&holder("apply")).await?;
    context.end_progress();
    background::keep_limits(context, &engine).await?;
    outcome::finish(context, &engine, outcome, None)
}

/// A plan as it lies in a file: with a seal, so that what was looked at is what is executed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanFile {
    /// The hash of the plan. It shows damage and edits, not malice: a plan is executed with the
    /// rights of whoever applies it, after it was shown.
    seal: Fingerprint,
    plan: Plan,
}

impl PlanFile {
    pub(super) fn seal(plan: Plan) -> Self {
        Self {
            seal: fingerprint(&plan),
            plan,
        }
    }

    pub(super) fn text(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| {
            Error::new(Kind::Unexpected, "the plan cannot be written as JSON").with_source(error)
        })?;
        Ok(text + "\n")
    }
}

fn read(args: &Apply) -> Result<Plan> {
    let path = args.file.display();
    let refused = |message: String| {
        Error::new(Kind::Invalid, message)
            .with_hint("write one with `fleetwright plan --out <file>`")
    };
    let text = fs::read_to_string(&args.file).map_err(|error| {
        refused(format!("the plan file `{path}` cannot be read")).with_source(error)
    })?;
    let PlanFile { seal, plan } = serde_json::from_str(&text)
        .map_err(|error| refused(format!("`{path}` is not a plan")).with_source(error))?;
    if seal != fingerprint(&plan) {
        return Err(refused(format!(
            "the plan in `{path}` was changed after it was written"
        )));
    }
    Ok(plan)
}
