//! `events`: what happened.

use std::time::Duration;

use fleetwright_core::{Event, NodeId, Result};

use crate::args::Events;
use crate::context::Context;
use crate::exit::Exit;
use crate::progress::line;

/// How often the journal is looked at.
const PERIOD: Duration = Duration::from_millis(250);
/// Events read at once.
const PAGE: u32 = 500;

pub(super) async fn run(context: &Context, args: &Events) -> Result<Exit> {
    let store = context.store().await?;
    let node: Option<NodeId> = match &args.node {
        Some(name) => Some(context.find_node(name, true).await?.id),
        None => None,
    };
    let events = store.last_events(args.limit, node.as_ref()).await?;
    let mut last = match events.last() {
        Some(event) => event.sequence,
        None => store.last_events(1, None).await?.last().map_or(0, |event| event.sequence),
    };
    for event in &events {
        print(context, event)?;
    }
    while args.follow {
        let events = store.events_after(last, PAGE).await?;
        for event in &events {
            last = event.sequence;
            if node.as_ref().is_none_or(|node| event.what.node() == Some(node)) {
                print(context, event)?;
            }
        }
        if events.is_empty() {
            tokio::time::sleep(PERIOD).await;
        }
    }
    Ok(Exit::Done)
}

fn print(context: &Context, event: &Event) -> Result<()> {
    if context.out.json {
        return context.out.json_line(event);
    }
    match line(&event.what) {
        Some(text) => context.out.line(&format!("{:.0} {}", event.at, text.trim_start())),
        None => Ok(()),
    }
}
