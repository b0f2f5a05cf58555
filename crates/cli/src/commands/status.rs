//! `status`: where each pool stands, asking the providers.

use std::collections::BTreeMap;

use fleetwright_core::{Amount, BudgetLine, Cordon, Freeze, HourlyPrice, Life, NodeRecord, Result};
use fleetwright_engine::{
    Bill, BreakerReport, Engine, KnownDrift, PoolSize, PoolStatus, Shortage, budget_lines,
};
use jiff::Timestamp;
use serde::Serialize;

use super::nodes::{address, standing};
use super::providers;
use super::scale::show_decided;
use crate::background::{self, State};
use crate::context::{Context, sort};
use crate::exit::Exit;
use crate::output::{self, age, amounts, count, money, runtime};
use crate::steps;

#[derive(Serialize)]
struct Report {
    fleet: String,
    observed_at: Timestamp,
    pools: Vec<PoolStatus>,
    /// Places that could not be looked at.
    unseen: Vec<String>,
    /// Nodes that need attention.
    failed: Vec<NodeRecord>,
    open_claims: usize,
    cost: Vec<HourlyPrice>,
    /// What the nodes that are there have cost so far.
    bill: Bill,
    /// The same by pool.
    pool_bills: BTreeMap<String, Vec<Amount>>,
    /// Where each budget stands.
    budgets: Vec<BudgetLine>,
    /// When each node ends.
    ends: Vec<End>,
    /// Sizes that were decided on.
    sizes: Vec<PoolSize>,
    /// Pools that are short, and who left last.
    shortages: Vec<Shortage>,
    /// Whether limits are kept.
    limits: State,
    /// Places that are not asked, because they failed too often.
    suspended: Vec<Suspended>,
    /// Where nothing is healed.
    freezes: Vec<Freeze>,
    /// Machines that differed from what is expected when they were last measured.
    drift: Vec<KnownDrift>,
    /// Nodes that nothing new is started on.
    cordons: Vec<Cordon>,
}

/// A place that is not asked.
#[derive(Serialize)]
struct Suspended {
    provider: String,
    breaker: BreakerReport,
}

/// How long a node may run.
#[derive(Serialize)]
struct End {
    node: String,
    ends_at: Option<Timestamp>,
    kept_until: Option<Timestamp>,
    idle_since: Option<Timestamp>,
    /// How long it may be unused, in seconds.
    idle_after_seconds: Option<u64>,
}

pub(super) async fn run(context: &Context) -> Result<Exit> {
    context.say_origin();
    let engine = context.engine().await?;
    let observation = engine.observe().await?;
    context.end_progress();
    let now = observation.at;
    let mut records = observation.records.clone();
    sort(&mut records);
    let bill = engine.bill(&records, now);
    let pools = engine.pool_status(&observation);
    let report = Report {
        fleet: engine.fleet().name.clone(),
        observed_at: now,
        pool_bills: pools
            .iter()
            .map(|pool| (pool.name.clone(), bill.of_pool(&pool.name)))
            .collect(),
        pools,
        unseen: observation.gaps(),
        failed: records
            .iter()
            .filter(|r| r.life == Life::Failed)
            .cloned()
            .collect(),
        open_claims: observation.claims.len(),
        cost: HourlyPrice::sum(records.iter().filter_map(|record| record.price)),
        bill,
        budgets: budget_lines(engine.fleet(), &observation),
        ends: records.iter().map(|record| end(&engine, record)).collect(),
        sizes: (engine.sizes().await?.into_iter())
            .filter(|pool| pool.decided.is_some())
            .collect(),
        shortages: engine.short_pools(&observation).await?,
        limits: background::state(context).await?,
        suspended: suspended(&engine).await?,
        freezes: engine.freezes().await?,
        drift: engine.known_drift().await?,
        cordons: engine.cordons().await?,
    };
    let settled = report.unseen.is_empty() && report.pools.iter().all(PoolStatus::is_settled);
    let exit = if settled {
        Exit::Done
    } else {
        Exit::Incomplete
    };
    if context.out.json {
        output::json(&report)?;
        return Ok(exit);
    }
    show_nodes(&report, &records)?;
    let rows = report
        .pools
        .iter()
        .map(|pool| {
            [
                pool.desired.to_string(),
                pool.ready.to_string(),
                pool.starting.to_string(),
                pool.failed.to_string(),
                pool.leaving.to_string(),
                pool.pending.to_string(),
                pool.outdated.to_string(),
                report
                    .pool_bills
                    .get(&pool.name)
                    .map_or_else(String::new, |sums| amounts(sums)),
            ]
            .into_iter()
            .fold(vec![pool.name.clone()], |mut row, cell| {
                row.push(cell);
                row
            })
        })
        .collect();
    output::table(
        &[
            "POOL", "DESIRED", "READY", "STARTING", "FAILED", "LEAVING", "PENDING", "OUTDATED",
            "COST",
        ],
        rows,
    )?;
    for place in &report.unseen {
        output::error_line(&format!("not seen: {place}"));
    }
    for one in &report.suspended {
        output::error_line(&providers::suspended(&one.provider, &one.breaker));
    }
    for freeze in &report.freezes {
        output::error_line(&freeze.to_string());
    }
    for record in &report.failed {
        output::error_line(&format!("{}: {}", record.name, record.reason));
    }
    for shortage in &report.shortages {
        show_shortage(context, shortage);
    }
    let ready: usize = report.pools.iter().map(|pool| pool.ready).sum();
    context.out.note(&format!(
        "fleet `{}`: {} ready; costs {} now, {} so far",
        report.fleet,
        count(ready, "node"),
        money(&report.cost),
        amounts(&report.bill.total)
    ));
    steps::show_budgets(context.out, &report.budgets, false);
    show_decided(context, &report.sizes);
    show_limits(context, &report.limits);
    show_drift(context, &report);
    Ok(exit)
}

async fn suspended(engine: &Engine) -> Result<Vec<Suspended>> {
    let mut all = Vec::new();
    for name in engine.providers().keys() {
        let breakers = engine.breakers(name).await?;
        all.extend(
            breakers
                .into_iter()
                .filter(|breaker| breaker.open)
                .map(|breaker| Suspended {
                    provider: name.clone(),
                    breaker,
                }),
        );
    }
    Ok(all)
}

/// Why a pool is short, if that is known.
fn show_shortage(context: &Context, shortage: &Shortage) {
    let Shortage {
        pool,
        missing,
        expired,
        reclaimed,
        ..
    } = shortage;
    let mut why = Vec::new();
    if *expired > 0 {
        why.push(format!("the time of {expired} was over"));
    }
    if *reclaimed > 0 {
        why.push(format!("the cloud took {reclaimed} back"));
    }
    let why = if why.is_empty() {
        String::new()
    } else {
        format!(": {}", why.join(", "))
    };
    context.out.note(&format!(
        "pool `{pool}` is short of {}{why}; `fleetwright up` makes them, `fleetwright why {pool}` \
         tells more",
        count(*missing, "node")
    ));
}

fn end(engine: &Engine, record: &NodeRecord) -> End {
    let pool = engine.fleet().pools.get(&record.pool);
    let idle_after = pool.and_then(|pool| pool.limits.idle_after);
    End {
        node: record.name.clone(),
        ends_at: record.tenure.ends_at,
        kept_until: record.tenure.kept_until,
        idle_since: record.tenure.idle_since,
        idle_after_seconds: idle_after.map(|span| span.0.as_secs()),
    }
}

/// A line for each node, if there are any.
fn show_nodes(report: &Report, records: &[NodeRecord]) -> Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    let rows = records
        .iter()
        .zip(&report.bill.lines)
        .zip(&report.ends)
        .map(|((record, line), end)| {
            vec![
                record.name.clone(),
                record.pool.clone(),
                standing(record, &report.cordons),
                record
                    .access
                    .as_ref()
                    .map_or_else(|| "-".to_owned(), address),
                runtime(line.runtime_seconds),
                line.cost
                    .map_or_else(|| "unknown".to_owned(), |cost| cost.to_string()),
                in_words(end, report.observed_at),
            ]
        })
        .collect();
    output::table(
        &[
            "NAME", "POOL", "STATE", "ADDRESS", "RUNTIME", "COST", "ENDS",
        ],
        rows,
    )?;
    output::line("")
}

/// When a node ends, in words.
fn in_words(end: &End, now: Timestamp) -> String {
    let until = |at: Timestamp| {
        let left = at.duration_since(now).as_secs();
        runtime(u64::try_from(left).unwrap_or(0))
    };
    let since = |at: Timestamp| {
        let past = now.duration_since(at).as_secs();
        runtime(u64::try_from(past).unwrap_or(0))
    };
    let mut parts = Vec::new();
    match end.ends_at {
        Some(at) if at <= now => parts.push("now".to_owned()),
        Some(at) => parts.push(format!("in {}", until(at))),
        None => {}
    }
    if let Some(seconds) = end.idle_after_seconds {
        parts.push(format!("after {} unused", runtime(seconds)));
        if let Some(at) = end.idle_since {
            parts.push(format!("unused for {}", since(at)));
        }
        if let Some(at) = end.kept_until.filter(|at| *at > now) {
            parts.push(format!("kept for {}", until(at)));
        }
    }
    if parts.is_empty() {
        "-".to_owned()
    } else {
        parts.join(", ")
    }
}

fn show_drift(context: &Context, report: &Report) {
    let known = &report.drift;
    if let Some(oldest) = known.iter().map(|one| one.at).min() {
        let verb = if known.len() == 1 {
            "differs"
        } else {
            "differ"
        };
        context.out.note(&format!(
            "drift: {} {verb} from what is expected, as measured up to {} ago; `fleetwright drift` \
             tells more",
            count(known.len(), "node"),
            age(oldest, report.observed_at)
        ));
    }
}

fn show_limits(context: &Context, limits: &State) {
    if let Some(holder) = &limits.holder {
        context.out.faint(&format!(
            "limits are kept by {holder}; its log is `{}`",
            limits.log.display()
        ));
    } else if limits.wanted {
        output::error_line("limits are not kept: the process that does so is not running");
        output::hint(&format!("its log is `{}`", limits.log.display()));
    }
}
