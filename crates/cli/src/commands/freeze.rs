//! `freeze` and `thaw`: whether anything is healed.

use clap::Args;
use fleetwright_core::{Error, Freeze, Kind, Result, Span, TargetGroupName};
use fleetwright_engine::Engine;
use serde::Serialize;

use crate::context::Context;
use crate::exit::Exit;
use crate::output;

/// Arguments of `freeze`.
#[derive(Debug, Args)]
pub(crate) struct FreezeArgs {
    /// Which pool, or `targets.<name>`; absent: everything
    #[arg(value_name = "POOL")]
    pub(crate) group: Option<TargetGroupName>,
    /// For how long; absent: until it is thawed
    #[arg(long = "for", value_name = "DURATION")]
    pub(crate) duration: Option<Span>,
    /// Why, for whoever finds it frozen
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

/// Arguments of `thaw`.
#[derive(Debug, Args)]
pub(crate) struct ThawArgs {
    /// Which pool, or `targets.<name>`; absent: what was frozen without one
    #[arg(value_name = "POOL")]
    pub(crate) group: Option<TargetGroupName>,
}

#[derive(Serialize)]
struct Report {
    /// Everything that is frozen now.
    freezes: Vec<Freeze>,
}

pub(super) async fn freeze(context: &Context, args: &FreezeArgs) -> Result<Exit> {
    let engine = context.quiet_engine().await?;
    check(&engine, args.group.as_ref())?;
    let now = Context::now();
    let until = match args.duration {
        Some(duration) => Some(now.checked_add(duration.0).map_err(|error| {
            Error::new(Kind::Invalid, format!("`{duration}` is too long")).with_source(error)
        })?),
        None => None,
    };
    engine
        .freeze(Freeze {
            group: args.group.clone(),
            since: now,
            until,
            reason: args.reason.clone(),
        })
        .await?;
    show(context, &engine).await
}

pub(super) async fn thaw(context: &Context, args: &ThawArgs) -> Result<Exit> {
    let engine = context.quiet_engine().await?;
    let was = engine.thaw(args.group.as_ref()).await?;
    if !was {
        let what = args.group.as_ref().map_or_else(
            || "nothing is frozen as a whole".to_owned(),
            |group| format!("{group} is not frozen"),
        );
        return Err(
            Error::new(Kind::NotFound, what).with_hint("`fleetwright status` shows what is frozen")
        );
    }
    show(context, &engine).await
}

/// Checks that there is such a group.
fn check(engine: &Engine, group: Option<&TargetGroupName>) -> Result<()> {
    let Some(group) = group else {
        return Ok(());
    };
    if engine.fleet().policy(group).is_some() {
        return Ok(());
    }
    let pools = engine.fleet().pools.keys().cloned();
    let targets = engine
        .fleet()
        .targets
        .keys()
        .map(|name| format!("targets.{name}"));
    let known: Vec<String> = pools.chain(targets).collect();
    Err(Error::new(
        Kind::NotFound,
        format!("there is no {group} in the configuration"),
    )
    .with_hint(format!("there are: {}", known.join(", "))))
}

async fn show(context: &Context, engine: &Engine) -> Result<Exit> {
    let freezes = engine.freezes().await?;
    if context.out.json {
        output::json(&Report { freezes })?;
        return Ok(Exit::Done);
    }
    for freeze in &freezes {
        output::line(&freeze.to_string())?;
    }
    context.out.note(if freezes.is_empty() {
        "nothing is frozen: `fleetwright watch` heals"
    } else {
        "what is frozen is only reported; `up` and `down` by hand work as ever"
    });
    Ok(Exit::Done)
}
