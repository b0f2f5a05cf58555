//! `audit`: does the journal agree with the providers?

use fleetwright_core::Result;

use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, count, money};

pub(super) async fn run(context: &Context) -> Result<Exit> {
    context.say_origin();
    let engine = context.engine().await?;
    let audit = engine.audit().await?;
    context.end_progress();
    let exit = if audit.is_clean() {
        Exit::Done
    } else {
        Exit::Findings
    };
    if context.out.json {
        output::json(&audit)?;
        return Ok(exit);
    }
    let out = context.out;
    for place in &audit.unseen {
        output::line(&format!("not seen    {place}"))?;
    }
    for node in &audit.orphans {
        output::line(&format!(
            "orphan      {} {} has no record and no open claim",
            node.id, node.name
        ))?;
    }
    for duplicate in &audit.duplicates {
        let asked = duplicate
            .asked
            .map_or_else(|| "unknown".to_owned(), |n| n.to_string());
        let nodes: Vec<&str> = duplicate
            .nodes
            .iter()
            .map(fleetwright_core::NodeId::as_str)
            .collect();
        output::line(&format!(
            "duplicate   claim {} asked for {asked} and has {}: {}",
            duplicate.token,
            nodes.len(),
            nodes.join(", ")
        ))?;
    }
    for record in &audit.ghosts {
        output::line(&format!(
            "ghost       {} {} is gone at the provider",
            record.id, record.name
        ))?;
    }
    for node in &audit.strangers {
        output::line(&format!(
            "stranger    {} {} belongs to another journal and is not touched",
            node.id, node.name
        ))?;
    }
    for claim in &audit.open_claims {
        output::line(&format!(
            "open claim  {}/{} {} in pool {} at {}, asked for at {:.0}",
            claim.id,
            claim.attempt,
            claim.request.count,
            claim.pool,
            claim.offer.label(),
            claim.sent_at
        ))?;
    }
    for surplus in &audit.surplus {
        output::line(&format!(
            "surplus     pool {} wants {} and has {}",
            surplus.pool, surplus.desired, surplus.have
        ))?;
    }
    let verdict = if audit.is_clean() {
        "clean"
    } else {
        "not clean"
    };
    out.note(&format!(
        "{verdict}: {} listed, {} recorded, {}; costs {} now",
        count(audit.listed, "node"),
        audit.recorded,
        count(audit.open_claims.len(), "open claim"),
        money(&audit.cost)
    ));
    if !audit.strangers.is_empty() {
        output::hint("`fleetwright adopt` takes strangers over, if their journal is lost");
    } else if !audit.is_clean() && audit.unseen.is_empty() {
        output::hint(
            "`fleetwright up` takes orphans into the records, resolves claims and removes surplus",
        );
    }
    Ok(exit)
}
