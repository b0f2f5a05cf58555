//! `status`: where each pool stands, asking the providers.

use fleetwright_core::{HourlyPrice, Life, NodeRecord, Result};
use fleetwright_engine::PoolStatus;
use jiff::Timestamp;
use serde::Serialize;

use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, count, money};

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
}

pub(super) async fn run(context: &Context) -> Result<Exit> {
    context.say_origin();
    let engine = context.engine().await?;
    let observation = engine.observe().await?;
    context.end_progress();
    let report = Report {
        fleet: engine.fleet().name.clone(),
        observed_at: observation.at,
        pools: engine.pool_status(&observation),
        unseen: observation.gaps(),
        failed: observation
            .records
            .iter()
            .filter(|r| r.life == Life::Failed)
            .cloned()
            .collect(),
        open_claims: observation.claims.len(),
        cost: HourlyPrice::sum(observation.records.iter().filter_map(|record| record.price)),
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
        ],
        rows,
    )?;
    for place in &report.unseen {
        output::error_line(&format!("not seen: {place}"));
    }
    for record in &report.failed {
        output::error_line(&format!("{}: {}", record.name, record.reason));
    }
    let ready: usize = report.pools.iter().map(|pool| pool.ready).sum();
    context.out.note(&format!(
        "fleet `{}`: {} ready; costs {} now",
        report.fleet,
        count(ready, "node"),
        money(&report.cost)
    ));
    Ok(exit)
}
