//! `nodes`: what the journal knows.

use fleetwright_core::{Access, NodeRecord, Result};
use serde::Serialize;

use crate::args::Nodes;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, age, count};

#[derive(Serialize)]
struct Report<'a> {
    nodes: Vec<&'a NodeRecord>,
}

pub(super) async fn run(context: &Context, args: &Nodes) -> Result<Exit> {
    let all = context.nodes(args.all).await?;
    let filter = args.selection.on.clone().unwrap_or_default();
    let nodes: Vec<&NodeRecord> = all
        .iter()
        .filter(|record| filter.matches(&|key| record.property(key)))
        .collect();
    if context.out.json {
        output::json(&Report { nodes })?;
        return Ok(Exit::Done);
    }
    if nodes.is_empty() {
        context.out.note(&if filter.is_empty() {
            "no nodes; `fleetwright up` makes them".to_owned()
        } else {
            format!("no node matches `{filter}`")
        });
        return Ok(Exit::Done);
    }
    let now = Context::now();
    let rows = nodes.iter().map(|record| row(record, now)).collect();
    output::table(
        &[
            "NAME", "POOL", "STATE", "TYPE", "PLACE", "ADDRESS", "PRICE", "AGE",
        ],
        rows,
    )?;
    context.out.note(&count(nodes.len(), "node"));
    Ok(Exit::Done)
}

fn row(record: &NodeRecord, now: jiff::Timestamp) -> Vec<String> {
    let place = match &record.zone {
        Some(zone) => format!("{}/{zone}", record.id.provider()),
        None => format!("{}/{}", record.id.provider(), record.id.region()),
    };
    vec![
        record.name.clone(),
        record.pool.clone(),
        record.life.to_string(),
        record.instance_type.clone(),
        place,
        record
            .access
            .as_ref()
            .map_or_else(|| "-".to_owned(), address),
        record
            .price
            .map_or_else(|| "-".to_owned(), |price| price.to_string()),
        age(record.created_at, now),
    ]
}

/// `host:port`, with brackets round IPv6.
pub(super) fn address(access: &Access) -> String {
    if access.host.contains(':') {
        format!("[{}]:{}", access.host, access.port)
    } else {
        format!("{}:{}", access.host, access.port)
    }
}
