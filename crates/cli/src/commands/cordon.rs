//! `cordon`, `drain`, `uncordon`: nothing new on a machine, what runs there moved away, and back.

use clap::Args;
use fleetwright_core::{Cordon as Kept, Result, Span};
use fleetwright_engine::{CordonRequest, Cordoned};
use serde::Serialize;

use super::machines;
use crate::context::{Context, holder};
use crate::exit::Exit;
use crate::output::{self, age, count};

#[derive(Debug, Args)]
pub(crate) struct Cordon {
    /// Nodes by name, id, or the beginning or end of either; none: show those that are cordoned
    pub(crate) node: Vec<String>,
    /// Why, for hooks and for whoever finds it cordoned
    #[arg(long, default_value = "asked for by hand", value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct Drain {
    /// Nodes by name, id, or the beginning or end of either
    #[arg(required = true)]
    pub(crate) node: Vec<String>,
    /// Why, for hooks and for whoever finds it cordoned
    #[arg(long, default_value = "asked for by hand", value_name = "TEXT")]
    pub(crate) reason: String,
    /// How long to wait until the balancer has let go of them
    #[arg(long, default_value = "10m", value_name = "DURATION")]
    pub(crate) timeout: Span,
}

#[derive(Debug, Args)]
pub(crate) struct Uncordon {
    /// Nodes by name, id, or the beginning or end of either
    #[arg(required = true)]
    pub(crate) node: Vec<String>,
}

#[derive(Serialize)]
struct Report {
    results: Vec<Cordoned>,
}

#[derive(Serialize)]
struct Listed {
    cordons: Vec<Kept>,
}

pub(super) async fn cordon(context: &Context, args: &Cordon) -> Result<Exit> {
    let engine = context.quiet_engine().await?;
    if args.node.is_empty() {
        return list(context, engine.cordons().await?);
    }
    let request = request(
        context,
        &args.node,
        &args.reason,
        Span::minutes(10),
        "cordon",
    )
    .await?;
    report(context, engine.cordon(&request).await?)
}

pub(super) async fn drain(context: &Context, args: &Drain) -> Result<Exit> {
    let request = request(context, &args.node, &args.reason, args.timeout, "drain").await?;
    let engine = context.engine().await?;
    let results = engine.drain(&request).await?;
    context.end_progress();
    report(context, results)
}

pub(super) async fn uncordon(context: &Context, args: &Uncordon) -> Result<Exit> {
    let request = request(context, &args.node, "", Span::minutes(10), "uncordon").await?;
    let engine = context.engine().await?;
    let results = engine.uncordon(&request).await?;
    context.end_progress();
    report(context, results)
}

async fn request(
    context: &Context,
    names: &[String],
    reason: &str,
    timeout: Span,
    command: &str,
) -> Result<CordonRequest> {
    Ok(CordonRequest {
        targets: machines::named(context, names).await?,
        reason: reason.to_owned(),
        timeout: timeout.0,
        holder: holder(command),
    })
}

fn report(context: &Context, results: Vec<Cordoned>) -> Result<Exit> {
    let failed = results.iter().filter(|one| one.error.is_some()).count();
    let exit = if failed == 0 {
        Exit::Done
    } else {
        Exit::RemoteFailed
    };
    if context.out.json {
        output::json(&Report { results })?;
        return Ok(exit);
    }
    for one in &results {
        let state = match one.phase {
            Some(phase) => phase.to_string(),
            None if one.error.is_some() => "not cordoned: it was released again".to_owned(),
            None => "may be used".to_owned(),
        };
        let already = if one.changed { "" } else { " already" };
        output::line(&format!("{}: {state}{already}", one.target))?;
        if let Some(error) = &one.error {
            output::error_line(&format!("{}: {error}", one.target));
            for (name, value) in &error.context {
                for line in value.trim_end().lines() {
                    context.out.faint(&format!("    {name}: {line}"));
                }
            }
            if let Some(hint) = &error.hint {
                output::hint(hint);
            }
        }
    }
    context.out.note(&format!(
        "{}: {} ok, {failed} failed",
        count(results.len(), "node"),
        results.len() - failed
    ));
    Ok(exit)
}

fn list(context: &Context, cordons: Vec<Kept>) -> Result<Exit> {
    if context.out.json {
        output::json(&Listed { cordons })?;
        return Ok(Exit::Done);
    }
    if cordons.is_empty() {
        context.out.note("no node is cordoned");
        return Ok(Exit::Done);
    }
    let now = Context::now();
    let rows = cordons
        .iter()
        .map(|cordon| {
            let why = match &cordon.trouble {
                Some(trouble) => format!("{}; {trouble}", cordon.reason),
                None => cordon.reason.clone(),
            };
            vec![
                cordon.target.clone(),
                cordon.phase.to_string(),
                age(cordon.since, now),
                why,
            ]
        })
        .collect();
    output::table(&["NAME", "PHASE", "AGE", "WHY"], rows)?;
    context.out.note(&count(cordons.len(), "cordoned node"));
    Ok(Exit::Done)
}
