//! `adopt`: take over the nodes of a journal that is lost.

use fleetwright_core::{NodeRecord, Result};
use serde::Serialize;

use crate::args::Adopt;
use crate::confirm::{Answer, ask};
use crate::context::{Context, holder};
use crate::exit::Exit;
use crate::output::{self, count};

#[derive(Serialize)]
struct Report {
    adopted: Vec<NodeRecord>,
}

pub(super) async fn run(context: &Context, args: &Adopt) -> Result<Exit> {
    context.say_origin();
    let engine = context.engine().await?;
    let observation = engine.observe().await?;
    context.end_progress();
    let strangers = observation.strangers();
    for node in &strangers {
        context
            .out
            .note(&format!("  + adopt {} {}", node.id, node.name));
    }
    for place in observation.gaps() {
        output::error_line(&format!("not seen: {place}"));
    }
    let adopted = if strangers.is_empty() {
        Vec::new()
    } else {
        let question = format!(
            "take over {} of another journal, which must not be in use any more",
            count(strangers.len(), "node")
        );
        if ask(args.consent, &question)? == Answer::No {
            return Ok(Exit::NotConfirmed);
        }
        context.begin_progress();
        engine.adopt_strangers(&holder("adopt")).await?
    };
    context.end_progress();
    let exit = if observation.gaps().is_empty() {
        Exit::Done
    } else {
        Exit::Incomplete
    };
    if context.out.json {
        output::json(&Report { adopted })?;
    } else if adopted.is_empty() {
        context.out.note("nothing to adopt");
    } else {
        context.out.note(&format!(
            "{} adopted; `fleetwright up` brings the pools to their size",
            count(adopted.len(), "node")
        ));
    }
    Ok(exit)
}
