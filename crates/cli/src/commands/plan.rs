//! `plan`: what would be done, and why.

use fleetwright_core::{Error, Kind, Purpose, Result};

use super::up::plan_options;
use crate::args::PlanArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::count;
use crate::steps;

pub(super) async fn run(context: &Context, args: &PlanArgs) -> Result<Exit> {
    context.say_origin();
    let engine = context.engine().await?;
    let purpose = if args.down { Purpose::Remove { nodes: None } } else { Purpose::Converge };
    let (plan, _) = engine.plan(purpose, &plan_options(&args.plan)).await?;
    context.end_progress();
    steps::show(context.out, &plan);
    if let Some(brake) = &plan.brake {
        context.out.error_line(&format!("`up` will not do this: {brake}"));
        context.out.hint("allow it with `--max-removal <percent>`");
    }
    if let Some(path) = &args.out {
        let text = serde_json::to_string_pretty(&plan).map_err(|error| {
            Error::new(Kind::Unexpected, "the plan cannot be written as JSON").with_source(error)
        })?;
        std::fs::write(path, text).map_err(|error| {
            Error::new(Kind::Config, format!("the plan cannot be written to `{}`", path.display()))
                .with_source(error)
        })?;
    }
    if context.out.json {
        context.out.json(&plan)?;
    }
    let told = match (plan.steps.len(), plan.withheld.len()) {
        (0, 0) => "nothing to do".to_owned(),
        (steps, 0) => format!("{} to do", count(steps, "step")),
        (steps, withheld) => format!("{} to do, {withheld} withheld", count(steps, "step")),
    };
    context.out.note(&told);
    let pending = args.check && !(plan.is_empty() && plan.withheld.is_empty());
    Ok(if pending { Exit::Findings } else { Exit::Done })
}
