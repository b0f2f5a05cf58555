//! Moving the end of a node's time.

use std::collections::BTreeSet;
use std::time::Duration;

use fleetwright_core::{Error, EventKind, Kind, NodeId, NodeRecord, Pool, Result, Span};
use fleetwright_store::Lease;
use jiff::Timestamp;
use serde::Serialize;

use crate::Engine;
use crate::life::elapsed;
use crate::tenure::end_after;

/// More time for nodes.
#[derive(Debug, Clone)]
pub struct Extension {
    /// Which nodes.
    pub nodes: BTreeSet<NodeId>,
    /// How much.
    pub by: Span,
    /// Who holds the lease meanwhile.
    pub holder: String,
}

/// What became of a node's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Extended {
    /// Which node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// The end that it had; absent if it only ends when it is not used.
    pub from: Option<Timestamp>,
    /// The end that it has now.
    pub to: Option<Timestamp>,
    /// Until when it stays even if nobody uses it.
    pub kept_until: Timestamp,
}

impl Engine {
    /// Moves the end of nodes by a span, and keeps them for that long from now even if nobody uses
    /// them. All of them or none.
    ///
    /// An end that has passed is moved from now on.
    ///
    /// # Errors
    /// `Invalid` if a node has no end, or if it would run for longer than its pool allows
    /// (`extend_to`); `Conflict` if its removal has begun, or if another process holds the lease;
    /// `NotFound` for a node that the journal does not know.
    pub async fn extend(&self, extension: &Extension) -> Result<Vec<Extended>> {
        let lease = self.lease(&extension.holder).await?;
        let extended = self.extend_under(&lease, extension).await;
        self.leave(lease, extended).await
    }

    async fn extend_under(&self, lease: &Lease, extension: &Extension) -> Result<Vec<Extended>> {
        let now = self.clock.now();
        let known = self.store.nodes().await?;
        let mut records = Vec::new();
        let mut events = Vec::new();
        let mut all = Vec::new();
        for id in &extension.nodes {
            let record = known
                .iter()
                .find(|record| record.id == *id)
                .ok_or_else(|| {
                    Error::new(Kind::NotFound, format!("no node of this fleet is `{id}`"))
                        .with_hint("`fleetwright nodes` lists them all")
                })?;
            let pool = self.fleet.pools.get(&record.pool);
            let (next, extended) = extended(record, pool, extension.by, now)?;
            events.push(self.recorder.event(EventKind::EndMoved {
                node: extended.node.clone(),
                name: extended.name.clone(),
                from: extended.from,
                to: extended.to,
                kept_until: extended.kept_until,
                reason: format!("it was extended by {}", extension.by),
            }));
            records.push(next);
            all.push(extended);
        }
        self.store.put_nodes(lease, &records, &events).await?;
        self.recorder.announce(&events);
        Ok(all)
    }
}

/// A record with more time; pure.
fn extended(
    record: &NodeRecord,
    pool: Option<&Pool>,
    by: Span,
    now: Timestamp,
) -> Result<(NodeRecord, Extended)> {
    let name = &record.name;
    if record.life.is_leaving() {
        let message = format!("`{name}` is {}: it gets no more time", record.life);
        return Err(Error::new(Kind::Conflict, message)
            .with_hint("`fleetwright up` makes another in its place"));
    }
    let idles = pool.is_some_and(|pool| pool.limits.idle_after.is_some());
    if record.tenure.ends_at.is_none() && !idles {
        let message = format!("`{name}` has no end that could be moved: nothing limits it");
        return Err(Error::new(Kind::Invalid, message).with_hint(format!(
            "a limit is set by `pools.{}.limits.max_runtime`",
            record.pool
        )));
    }
    let to = record.tenure.ends_at.map(|end| end_after(end.max(now), by));
    let kept_until = end_after(now, by);
    let longest = elapsed(record.created_at, to.unwrap_or(kept_until));
    if let Some(cap) = pool.and_then(|pool| pool.limits.extend_to)
        && longest > cap.0
    {
        let ran = Span(Duration::from_secs(longest.as_secs()));
        let left = cap.0.saturating_sub(elapsed(
            record.created_at,
            record.tenure.ends_at.unwrap_or(now).max(now),
        ));
        let hint = if left.is_zero() {
            format!(
                "it has all the time that `pools.{}.limits.extend_to` gives",
                record.pool
            )
        } else {
            format!("at most {} more", Span(Duration::from_secs(left.as_secs())))
        };
        return Err(Error::new(
            Kind::Invalid,
            format!(
                "`{name}` would run for {ran}; its pool `{}` allows at most {cap}",
                record.pool
            ),
        )
        .with_hint(hint));
    }
    let mut next = record.clone();
    next.tenure.ends_at = to;
    next.tenure.kept_until = Some(kept_until.max(record.tenure.kept_until.unwrap_or(kept_until)));
    let extended = Extended {
        node: record.id.clone(),
        name: name.clone(),
        from: record.tenure.ends_at,
        to,
        kept_until: next.tenure.kept_until.unwrap_or(kept_until),
    };
    Ok((next, extended))
}
