//! `nodes`: what the journal knows, or what the providers show.

use fleetwright_core::{Access, Cordon, Filter, Node, NodeRecord, Result, keys};
use serde::Serialize;

use crate::args::Nodes;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, age, count, in_order};

#[derive(Serialize)]
struct Report<'a> {
    nodes: Vec<&'a NodeRecord>,
    /// Those of them that nothing new is started on.
    cordons: Vec<Cordon>,
}

pub(super) async fn run(context: &Context, args: &Nodes) -> Result<Exit> {
    if args.live {
        return live(context, args).await;
    }
    let filter = args.selection.of_records()?;
    let all = context.nodes(args.all).await?;
    let mut cordons = context.store().await?.cordons().await?;
    let nodes: Vec<&NodeRecord> = all
        .iter()
        .filter(|record| filter.matches(&|key| record.property(key)))
        .collect();
    if context.out.json {
        cordons.retain(|cordon| {
            nodes
                .iter()
                .any(|node| Some(&node.id) == cordon.node.as_ref())
        });
        output::json(&Report { nodes, cordons })?;
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
    let rows = nodes
        .iter()
        .map(|record| row(record, &cordons, now))
        .collect();
    output::table(
        &[
            "NAME", "POOL", "STATE", "TYPE", "PLACE", "ADDRESS", "PRICE", "AGE",
        ],
        rows,
    )?;
    context.out.note(&count(nodes.len(), "node"));
    Ok(Exit::Done)
}

/// Where a node stands, and whether it is cordoned: `ready, cordoned`.
pub(super) fn standing(record: &NodeRecord, cordons: &[Cordon]) -> String {
    let own = |cordon: &&Cordon| cordon.node.as_ref() == Some(&record.id);
    match cordons.iter().find(own) {
        Some(cordon) => format!("{}, {}", record.life, cordon.phase),
        None => record.life.to_string(),
    }
}

fn row(record: &NodeRecord, cordons: &[Cordon], now: jiff::Timestamp) -> Vec<String> {
    let place = match &record.zone {
        Some(zone) => format!("{}/{zone}", record.id.provider()),
        None => format!("{}/{}", record.id.provider(), record.id.region()),
    };
    vec![
        record.name.clone(),
        record.pool.clone(),
        standing(record, cordons),
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

/// What the providers show.
#[derive(Serialize)]
struct LiveReport {
    nodes: Vec<LiveNode>,
    /// Places that could not be looked at, in words: nodes there are missing above.
    unseen: Vec<String>,
}

#[derive(Serialize)]
struct LiveNode {
    /// Whether Fleetwright made it.
    managed: bool,
    node: Node,
}

async fn live(context: &Context, args: &Nodes) -> Result<Exit> {
    context.say_origin();
    let filter = args.selection.on.clone().unwrap_or_default();
    let engine = context.engine().await?;
    let found = engine.discover(&filter, args.foreign).await;
    context.end_progress();
    let mut report = LiveReport {
        nodes: Vec::new(),
        unseen: Vec::new(),
    };
    for (provider, listing) in found {
        for gap in listing.coverage.gaps() {
            let region = gap.region.as_deref().unwrap_or("*");
            report
                .unseen
                .push(format!("{provider}/{region}: {}", gap.error));
        }
        report
            .nodes
            .extend(listing.nodes.into_iter().map(|node| LiveNode {
                managed: node.is_managed(),
                node,
            }));
    }
    report.nodes.sort_by(|a, b| {
        let key = |live: &LiveNode| live.node.id.clone();
        in_order(&a.node.name)
            .cmp(&in_order(&b.node.name))
            .then_with(|| key(a).cmp(&key(b)))
    });
    let exit = if report.unseen.is_empty() {
        Exit::Done
    } else {
        Exit::Incomplete
    };
    if context.out.json {
        output::json(&report)?;
        return Ok(exit);
    }
    show(context, &report, &filter)?;
    Ok(exit)
}

fn show(context: &Context, report: &LiveReport, filter: &Filter) -> Result<()> {
    if !report.nodes.is_empty() {
        let now = Context::now();
        let rows = report.nodes.iter().map(|live| live_row(&live.node, now));
        output::table(
            &["NAME", "FLEET", "STATE", "TYPE", "ID", "ADDRESS", "AGE"],
            rows.collect(),
        )?;
    }
    for place in &report.unseen {
        context.out.note(&format!("not seen: {place}"));
    }
    context.out.note(&if report.nodes.is_empty() {
        let of = if filter.is_empty() {
            String::new()
        } else {
            format!(" that matches `{filter}`")
        };
        format!("the providers show no node{of}")
    } else {
        count(report.nodes.len(), "node")
    });
    Ok(())
}

fn live_row(node: &Node, now: jiff::Timestamp) -> Vec<String> {
    let fleet = match (node.label(keys::FLEET), node.label(keys::POOL)) {
        _ if !node.is_managed() => "foreign".to_owned(),
        (Some(fleet), Some(pool)) => format!("{fleet}/{pool}"),
        (fleet, _) => fleet.unwrap_or("?").to_owned(),
    };
    let login = node.access.as_ref().map(address);
    let any = node.addresses.public.or(node.addresses.private);
    vec![
        node.name.clone(),
        fleet,
        node.state.to_string(),
        node.instance_type.clone(),
        node.id.to_string(),
        login
            .or_else(|| any.map(|address| address.to_string()))
            .unwrap_or_else(|| "-".to_owned()),
        node.created_at
            .map_or_else(|| "-".to_owned(), |at| age(at, now)),
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
