//! `events`: what happened.

use std::time::Duration;

use fleetwright_core::{Event, NodeId, Result};
use fleetwright_store::Store;

use crate::args::Events;
use crate::context::Context;
use crate::exit::Exit;
use crate::output;
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
    let events = latest(context, &store, args.limit, node.as_ref()).await?;
    let mut last = match events.last() {
        Some(event) => event.sequence,
        None => store
            .last_events(1, None)
            .await?
            .last()
            .map_or(0, |event| event.sequence),
    };
    for event in &events {
        print(context, event)?;
    }
    if !args.follow {
        return Ok(Exit::Done);
    }
    loop {
        let events = store.events_after(last, PAGE).await?;
        for event in &events {
            last = event.sequence;
            if node
                .as_ref()
                .is_none_or(|node| event.what.node() == Some(node))
            {
                print(context, event)?;
            }
        }
        if events.is_empty() {
            tokio::time::sleep(PERIOD).await;
        }
    }
}

/// The latest events that are shown. Without `--json` some are not, so it may take several looks to
/// find as many as were asked for.
async fn latest(
    context: &Context,
    store: &Store,
    limit: u32,
    node: Option<&NodeId>,
) -> Result<Vec<Event>> {
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut looked_at = limit;
    loop {
        let mut events = store.last_events(looked_at, node).await?;
        let is_all = events.len() < usize::try_from(looked_at).unwrap_or(usize::MAX);
        events.retain(|event| context.out.json || line(&event.what).is_some());
        if is_all || events.len() >= wanted || looked_at == 0 {
            let surplus = events.len().saturating_sub(wanted);
            return Ok(events.split_off(surplus));
        }
        looked_at = looked_at.saturating_mul(4);
    }
}

fn print(context: &Context, event: &Event) -> Result<()> {
    if context.out.json {
        return output::json_line(event);
    }
    match line(&event.what) {
        Some(text) => output::line(&format!("{:.0} {}", event.at, text.trim_start())),
        None => Ok(()),
    }
}
