//! Nodes of the journal as targets, for commands that look after machines.

use fleetwright_core::{NodeRecord, Result, Target, TargetGroupName, TargetOrigin};

use crate::context::Context;

/// A node as a target; `None` if it has no address, and nobody can log in.
pub(super) fn target(record: &NodeRecord) -> Option<Target> {
    Some(Target {
        name: record.name.clone(),
        access: record.access.clone()?,
        group: Some(TargetGroupName::Pool(record.pool.clone())),
        node: Some(record.id.clone()),
        origins: vec![TargetOrigin::Pool {
            pool: record.pool.clone(),
        }],
        labels: record.labels.clone(),
    })
}

/// The nodes of these names, each once, in the order of the names.
///
/// # Errors
/// `NotFound` if there is none of a name; otherwise why nobody can log in to it.
pub(super) async fn named(context: &Context, names: &[String]) -> Result<Vec<Target>> {
    let mut targets: Vec<Target> = Vec::new();
    for name in names {
        let record = context.find_node(name, false).await?;
        let found = target(&record).ok_or_else(|| context.no_access(&record))?;
        if !targets.iter().any(|one| one.key() == found.key()) {
            targets.push(found);
        }
    }
    Ok(targets)
}
