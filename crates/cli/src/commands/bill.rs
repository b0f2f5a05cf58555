//! The bill: runtime × price of each node, the sum, and what still costs money.

use std::collections::BTreeMap;

use fleetwright_core::{NodeRecord, Result};
use fleetwright_engine::{Bill, Engine, Outcome};

use crate::context::{Context, sort};
use crate::output::{self, Out, amounts, count, money, runtime};

/// The bill for what a run removed: nodes that were there before it or were found by it, and are
/// gone or on their way out.
pub(super) async fn of_removed(
    engine: &Engine,
    before: &[NodeRecord],
    outcome: &Outcome,
) -> Result<Bill> {
    let found = outcome.observation.written_off.iter();
    let mut candidates: BTreeMap<_, _> = before
        .iter()
        .chain(found)
        .map(|record| (record.id.clone(), record.clone()))
        .collect();
    for record in candidates.values_mut() {
        if let Some(now) = engine.store().node(&record.id).await? {
            *record = now;
        }
    }
    let mut removed: Vec<NodeRecord> = candidates
        .into_values()
        .filter(|record| record.life.is_leaving())
        .collect();
    sort(&mut removed);
    Ok(engine.bill(&removed, Context::now()))
}

/// Prints a bill, if there is anything on it.
pub(super) fn show(out: Out, bill: &Bill) -> Result<()> {
    if out.quiet || bill.lines.is_empty() {
        return Ok(());
    }
    let unknown = || "unknown".to_owned();
    let rows = bill
        .lines
        .iter()
        .map(|line| {
            vec![
                line.name.clone(),
                runtime(line.runtime_seconds),
                line.price.map_or_else(unknown, |price| price.to_string()),
                line.cost.map_or_else(unknown, |cost| cost.to_string()),
            ]
        })
        .collect();
    output::table(&["NAME", "RUNTIME", "PRICE", "COST"], rows)?;
    let mut text = format!(
        "bill: {} for {}",
        amounts(&bill.total),
        count(bill.lines.len(), "node")
    );
    if bill.unpriced > 0 {
        let unpriced = count(bill.unpriced, "node");
        text = format!("{text}, without {unpriced} of unknown price");
    }
    let staying = bill.lines.iter().filter(|line| !line.is_gone).count();
    if staying > 0 {
        let (staying, price) = (count(staying, "node"), money(&bill.per_hour));
        text = format!("{text}; {staying} not gone yet, {price}");
    }
    out.note(&text);
    Ok(())
}
