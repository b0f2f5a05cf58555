//! `node`: everything about one node.

use fleetwright_core::{Boot, Claim, Event, NodeRecord, Result};
use serde::Serialize;

use super::nodes::address;
use crate::args::NodeArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, age};
use crate::progress::line;

#[derive(Serialize)]
struct Report {
    node: NodeRecord,
    /// All attempts of the claim that made it.
    claims: Vec<Claim>,
    /// What happened to it, oldest first.
    events: Vec<Event>,
}

/// Events that are shown at most.
const EVENTS: u32 = 50;

pub(super) async fn run(context: &Context, args: &NodeArgs) -> Result<Exit> {
    let store = context.store().await?;
    let node = context.find_node(&args.node, true).await?;
    let claims = match node.claim {
        Some(claim) => store.claim(claim).await?,
        None => Vec::new(),
    };
    let events = store.last_events(EVENTS, Some(&node.id)).await?;
    let report = Report {
        node,
        claims,
        events,
    };
    if context.out.json {
        output::json(&report)?;
        return Ok(Exit::Done);
    }
    let Report {
        node,
        claims,
        events,
    } = &report;
    let now = Context::now();
    let mut facts: Vec<(&str, String)> = vec![
        ("name", node.name.clone()),
        ("id", node.id.to_string()),
        ("pool", node.pool.clone()),
        (
            "state",
            format!(
                "{} for {}: {}",
                node.life,
                age(node.since, now),
                node.reason
            ),
        ),
        ("type", format!("{} {}", node.instance_type, node.market)),
    ];
    if let Some(zone) = &node.zone {
        facts.push(("zone", zone.clone()));
    }
    let price = node
        .price
        .map_or_else(|| "unknown".to_owned(), |price| price.to_string());
    facts.push(("price", format!("{price}, frozen when it was asked for")));
    if let Some(access) = &node.access {
        facts.push(("address", format!("{}@{}", access.user, address(access))));
    }
    facts.push(("boot", boot(node.boot.as_ref())));
    facts.push((
        "made",
        format!("{:.0}, {} ago", node.created_at, age(node.created_at, now)),
    ));
    for claim in claims
        .iter()
        .filter(|claim| node.token.as_ref() == Some(claim.token()))
    {
        facts.push(("claim", format!("{} attempt {}", claim.id, claim.attempt)));
        facts.push(("offer", claim.offer.label()));
        if !claim.offer.reason.is_empty() {
            facts.push(("why", claim.offer.reason.clone()));
        }
    }
    for (name, value) in facts {
        output::line(&format!("{name:<8} {value}"))?;
    }
    for event in events {
        if let Some(text) = line(&event.what) {
            output::line(&format!("{:.0} {}", event.at, text.trim_start()))?;
        }
    }
    Ok(Exit::Done)
}

fn boot(boot: Option<&Boot>) -> String {
    match boot {
        None => "not reported".into(),
        Some(Boot::Running) => "its script is at work".into(),
        Some(Boot::Succeeded) => "succeeded".into(),
        Some(Boot::Failed {
            exit_status,
            log_tail,
        }) => {
            let status = exit_status.map_or_else(|| "a signal".into(), |s| format!("status {s}"));
            format!("failed with {status}\n{}", log_tail.trim_end())
        }
    }
}
