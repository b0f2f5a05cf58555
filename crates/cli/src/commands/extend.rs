//! `extend`: more time for nodes.

use std::collections::BTreeSet;

use fleetwright_core::{Error, Kind, NodeId, Result, Span};
use fleetwright_engine::{Extended, Extension};
use serde::Serialize;

use crate::args::Extend;
use crate::background;
use crate::context::{Context, holder};
use crate::exit::Exit;
use crate::output::{self, count, runtime};

#[derive(Serialize)]
struct Report {
    extended: Vec<Extended>,
}

pub(super) async fn run(context: &Context, args: &Extend) -> Result<Exit> {
    let (node, by) = words(args)?;
    let nodes = chosen(context, args, node).await?;
    let engine = context.quiet_engine().await?;
    let extended = engine
        .extend(&Extension {
            nodes,
            by,
            holder: holder("extend"),
        })
        .await?;
    background::keep_limits(context, &engine).await?;
    if context.out.json {
        output::json(&Report { extended })?;
        return Ok(Exit::Done);
    }
    let now = Context::now();
    let left =
        |at: jiff::Timestamp| runtime(u64::try_from(at.duration_since(now).as_secs()).unwrap_or(0));
    for one in &extended {
        let text = match one.to {
            Some(end) => format!("{} ends in {}, at {end:.0}", one.name, left(end)),
            None => format!(
                "{} stays for {} at least, until {:.0}, even if nobody uses it",
                one.name,
                left(one.kept_until),
                one.kept_until
            ),
        };
        output::line(&text)?;
    }
    context.out.note(&format!(
        "{} extended by {by}",
        count(extended.len(), "node")
    ));
    Ok(Exit::Done)
}

/// The node, if one is named, and the duration.
fn words(args: &Extend) -> Result<(Option<&str>, Span)> {
    let several = args.all || args.pool.is_some();
    match args.words.as_slice() {
        [duration] if several => Ok((None, duration.parse()?)),
        [node, duration] if !several => Ok((Some(node), duration.parse()?)),
        [_] => Err(
            Error::new(Kind::Invalid, "which node is extended, and by how much?").with_hint(
                "write `fleetwright extend <node> 2h`, or give `--pool <pool>` or `--all`",
            ),
        ),
        _ => Err(Error::new(
            Kind::Invalid,
            "a node is named, and others are chosen by `--pool` or `--all`",
        )
        .with_hint("give one of them")),
    }
}

async fn chosen(context: &Context, args: &Extend, node: Option<&str>) -> Result<BTreeSet<NodeId>> {
    if let Some(name) = node {
        return Ok([context.find_node(name, false).await?.id].into());
    }
    if let Some(pool) = &args.pool {
        context.check_pool(pool).await?;
    }
    let nodes: BTreeSet<NodeId> = context
        .nodes(false)
        .await?
        .into_iter()
        .filter(|record| !record.life.is_leaving())
        .filter(|record| args.pool.as_ref().is_none_or(|pool| record.pool == *pool))
        // Of several, those are meant that end.
        .filter(|record| {
            let pool = context.loaded.config.pools.get(&record.pool);
            record.tenure.ends_at.is_some() || pool.is_some_and(|pool| pool.limits.ends_nodes())
        })
        .map(|record| record.id)
        .collect();
    if nodes.is_empty() {
        return Err(Error::new(
            Kind::NotFound,
            "there is no node whose time could be extended",
        )
        .with_hint("`fleetwright status` shows the nodes and when they end"));
    }
    Ok(nodes)
}
