//! `plan`: what would be done, and why.

use fleetwright_core::{Error, Kind, Purpose, Result};

use super::apply::PlanFile;
use super::up::plan_options;
use crate::args::PlanArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, count};
use crate::steps;

pub(super) async fn run(context: &Context, args: &PlanArgs) -> Result<Exit> {
    context.say_origin();
    let engine = context.engine().await?;
    let purpose = if args.down {
        Purpose::Remove { nodes: None }
    } else {
        Purpose::Converge
    };
    let (plan, observation) = engine.plan(purpose, &plan_options(&args.plan)).await?;
    context.end_progress();
    steps::show(context.out, &plan, &observation.records);
    if let Some(brake) = &plan.brake {
        output::error_line(&format!("`up` will not do this: {brake}"));
        output::hint("allow it with `--max-removal <percent>`");
    }
    if let Some(path) = &args.out {
        std::fs::write(path, PlanFile::seal(plan.clone()).text()?).map_err(|error| {
            Error::new(
                Kind::Config,
                format!("the plan cannot be written to `{}`", path.display()),
            )
            .with_source(error)
        })?;
    }
    if context.out.json {
        output::json(&plan)?;
    }
    let told = match (plan.steps.len(), plan.withheld.len()) {
        (0, 0) => "nothing to do".to_owned(),
        (steps, 0) => format!("{} to do", count(steps, "step")),
        (steps, withheld) => format!("{} to do, {withheld} withheld", count(steps, "step")),
    };
    context.out.note(&told);
    if let Some(path) = &args.out {
        context.out.note(&format!(
            "wrote `{0}`; execute it with `fleetwright apply {0}`",
            path.display()
        ));
    }
    let pending = args.check && !(plan.is_empty() && plan.withheld.is_empty());
    Ok(if pending { Exit::Findings } else { Exit::Done })
}
