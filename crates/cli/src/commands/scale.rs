//! `scale`: what size pools have and why; another size by hand; what the policies say.

use std::collections::BTreeSet;

use clap::Args;
use fleetwright_core::{Error, Kind, Purpose, Result, SizedBy, Span};
use fleetwright_engine::{
    Approval, ConvergeOptions, Engine, PlanOptions, PoolSize, Sizing, Standing,
};
use serde::Serialize;

use super::{outcome, up};
use crate::args::Consent;
use crate::background;
use crate::confirm::{Answer, ask};
use crate::context::{Context, holder};
use crate::exit::Exit;
use crate::output::{self, count, money};
use crate::steps;

#[derive(Debug, Args)]
pub(crate) struct Scale {
    /// The pool; all, if none is named
    pub(crate) pool: Option<String>,
    /// How many nodes it is to have
    pub(crate) size: Option<u32>,
    /// For how long it is to have them; without it, until `--auto` or `down`
    #[arg(long = "for", value_name = "DURATION", requires = "size")]
    pub(crate) hold: Option<Span>,
    /// Give the pool back to its policy, or to its configured size
    #[arg(long, requires = "pool", conflicts_with = "size")]
    pub(crate) auto: bool,
    /// Ask the policies now, and show what they decide and why
    #[arg(long, conflicts_with_all = ["size", "auto"])]
    pub(crate) evaluate: bool,
    /// Only show what the policies would decide
    #[arg(long, requires = "evaluate")]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) consent: Consent,
    /// How long to wait for the nodes
    #[arg(long, default_value = "15m", value_name = "DURATION")]
    pub(crate) timeout: Span,
}

#[derive(Serialize)]
struct Shown {
    pools: Vec<PoolSize>,
}

#[derive(Serialize)]
struct Evaluated<'a> {
    dry_run: bool,
    /// Sizes that are another now.
    changed: usize,
    pools: &'a [Sizing],
}

pub(super) async fn run(context: &Context, args: &Scale) -> Result<Exit> {
    if let Some(pool) = &args.pool {
        configured(context, pool)?;
    }
    match (&args.pool, args.size) {
        _ if args.evaluate => evaluate(context, args).await,
        (Some(pool), Some(size)) => set(context, args, pool, size).await,
        (Some(pool), None) if args.auto => release(context, args, pool).await,
        _ => show(context, args).await,
    }
}

/// Checks that there is a pool of this name in the configuration.
pub(super) fn configured(context: &Context, name: &str) -> Result<()> {
    let pools = &context.loaded.config.pools;
    if pools.contains_key(name) {
        return Ok(());
    }
    let known: Vec<&str> = pools.keys().map(String::as_str).collect();
    Err(
        Error::new(Kind::NotFound, format!("no pool is named `{name}`"))
            .with_hint(format!("the pools are: {}", known.join(", "))),
    )
}

async fn show(context: &Context, args: &Scale) -> Result<Exit> {
    let engine = context.quiet_engine().await?;
    let mut pools = engine.sizes().await?;
    pools.retain(|pool| args.pool.as_ref().is_none_or(|name| pool.pool == *name));
    if context.out.json {
        output::json(&Shown { pools })?;
        return Ok(Exit::Done);
    }
    let or_none = |bound: Option<u32>| bound.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let rows = pools
        .iter()
        .map(|pool| {
            vec![
                pool.pool.clone(),
                pool.size.to_string(),
                pool.configured.to_string(),
                or_none(pool.min),
                or_none(pool.max),
                pool.decided_by().to_owned(),
                reason(pool),
            ]
        })
        .collect();
    output::table(
        &["POOL", "SIZE", "CONFIGURED", "MIN", "MAX", "BY", "REASON"],
        rows,
    )?;
    for pool in &pools {
        if let Some(text) = trouble(pool) {
            output::error_line(&text);
        }
    }
    Ok(Exit::Done)
}

/// Why a pool has its size, in words.
fn reason(pool: &PoolSize) -> String {
    match &pool.decided {
        Some(record) => match record.until {
            Some(until) => format!("{}, until {until:.0}", record.reason),
            None => record.reason.clone(),
        },
        None if pool.has_policy => "its policy decides from the next `up` on".to_owned(),
        None => "-".to_owned(),
    }
}

/// What keeps a policy from deciding, in words.
fn trouble(pool: &PoolSize) -> Option<String> {
    let why = pool.decided.as_ref()?.trouble.as_ref()?;
    Some(format!("pool {} keeps its size: {why}", pool.pool))
}

/// A line for each pool whose size was decided on, for `status`.
pub(super) fn show_decided(context: &Context, pools: &[PoolSize]) {
    for pool in pools {
        let Some(record) = &pool.decided else {
            continue;
        };
        let who = match record.by {
            SizedBy::Policy => "by its policy",
            SizedBy::Hand => "by hand",
        };
        context.out.faint(&format!(
            "pool {} is kept at {} {who} since {:.0} ({} configured): {}",
            pool.pool,
            count(usize::try_from(pool.size).unwrap_or(usize::MAX), "node"),
            record.since,
            pool.configured,
            reason(pool)
        ));
        if let Some(text) = trouble(pool) {
            output::error_line(&text);
        }
    }
}

async fn set(context: &Context, args: &Scale, pool: &str, size: u32) -> Result<Exit> {
    let engine = context.engine().await?;
    let Some(approval) = agreed(context, &engine, args, pool, size).await? else {
        return Ok(Exit::NotConfirmed);
    };
    engine
        .set_size(pool, size, args.hold, &holder("scale"))
        .await?;
    let has_policy = context.loaded.config.pools[pool].scaling.is_some();
    if args.hold.is_some() || has_policy {
        background::ensure(context).await?;
    }
    bring(context, &engine, args, pool, approval).await
}

async fn release(context: &Context, args: &Scale, pool: &str) -> Result<Exit> {
    let engine = context.engine().await?;
    let configured = &context.loaded.config.pools[pool];
    if configured.scaling.is_some() {
        engine.release_size(pool, &holder("scale")).await?;
        return evaluate(context, args).await;
    }
    let size = configured.within_bounds(configured.desired);
    let Some(approval) = agreed(context, &engine, args, pool, size).await? else {
        return Ok(Exit::NotConfirmed);
    };
    engine.release_size(pool, &holder("scale")).await?;
    let exit = bring(context, &engine, args, pool, approval).await?;
    if exit != Exit::Done {
        // What is left to do is done in the background.
        background::ensure(context).await?;
    }
    Ok(exit)
}

/// Shows what a size would change, and asks. `None`: nobody agreed.
async fn agreed(
    context: &Context,
    engine: &Engine,
    args: &Scale,
    pool: &str,
    size: u32,
) -> Result<Option<Approval>> {
    if args.consent.yes {
        return Ok(Some(Approval::Everything));
    }
    let options = PlanOptions::default();
    let (plan, observation) = engine.plan_size(pool, size, &options).await?;
    context.end_progress();
    steps::show(context.out, &plan, &observation.records);
    if up::asks(&plan) {
        let question = format!(
            "bring pool `{pool}` to {}, at most {} for the fleet",
            count(usize::try_from(size).unwrap_or(usize::MAX), "node"),
            money(&plan.cost_after)
        );
        if ask(args.consent, &question)? == Answer::No {
            return Ok(None);
        }
    }
    context.begin_progress();
    Ok(Some(Approval::Only(up::removals(&plan))))
}

/// Brings one pool to its size, and says how that ended.
async fn bring(
    context: &Context,
    engine: &Engine,
    args: &Scale,
    pool: &str,
    approval: Approval,
) -> Result<Exit> {
    background::keep_limits(context, engine).await?;
    let pools: BTreeSet<String> = [pool.to_owned()].into();
    let outcome = engine
        .converge(&ConvergeOptions {
            purpose: Purpose::Scale {
                pools: pools.clone(),
                wait: true,
            },
            deadline: args.timeout.0,
            approval,
            plan: PlanOptions::default(),
            holder: holder("scale"),
        })
        .await?;
    if matches!(outcome.standing, Standing::Reached) {
        engine.settle_sizes(&pools, &holder("scale")).await?;
    }
    context.end_progress();
    background::keep_limits(context, engine).await?;
    outcome::finish(context, engine, outcome, None)
}

async fn evaluate(context: &Context, args: &Scale) -> Result<Exit> {
    let engine = context.quiet_engine().await?;
    let only: Option<BTreeSet<String>> = args.pool.clone().map(|pool| [pool].into());
    let sizings = engine.evaluate(only.as_ref()).await?;
    let takes_effect = |sizing: &&Sizing| sizing.idle.is_none();
    let mut changed = 0;
    if !args.dry_run && sizings.iter().any(|sizing| takes_effect(&sizing)) {
        changed = engine.adopt_sizes(&sizings, &holder("scale")).await?;
        background::ensure(context).await?;
    }
    if context.out.json {
        output::json(&Evaluated {
            dry_run: args.dry_run,
            changed,
            pools: &sizings,
        })?;
    } else {
        for sizing in &sizings {
            explain(sizing)?;
        }
    }
    if sizings.is_empty() {
        context.out.note("no pool has a policy");
    } else if changed > 0 {
        context.out.note(&format!(
            "{} resized; the process in the background brings them there",
            count(changed, "pool")
        ));
    } else {
        context.out.note("no size was changed");
    }
    let troubled = sizings.iter().any(|s| s.decision.trouble.is_some());
    Ok(if troubled {
        Exit::Incomplete
    } else {
        Exit::Done
    })
}

fn explain(sizing: &Sizing) -> Result<()> {
    let decision = &sizing.decision;
    let change = if decision.from == decision.size {
        format!("stays at {}", decision.size)
    } else {
        format!("from {} to {}", decision.from, decision.size)
    };
    output::line(&format!("{}: {change}: {}", sizing.pool, decision.reason))?;
    if let Some(why) = &sizing.idle {
        output::line(&format!("    without effect: {why}"))?;
    }
    if let Some(why) = &decision.trouble {
        output::error_line(&format!("pool {}: {why}", sizing.pool));
    }
    Ok(())
}
