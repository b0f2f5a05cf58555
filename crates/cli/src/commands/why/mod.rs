//! `why`: why a node or a pool is what it is, from the journal.

mod node;
mod pool;

use clap::Args;
use fleetwright::suggest;
use fleetwright_core::{
    Claim, ClaimState, Decision, Error, Event, EventKind, Kind, NodeRecord, Offer, Result,
};
use fleetwright_engine::{Engine, Shortage};
use fleetwright_store::Store;
use serde::Serialize;

use crate::context::Context;
use crate::exit::Exit;
use crate::output;

/// Events that are looked at.
const EVENTS: u32 = 500;

#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// A node by name, id, or the beginning or end of either; or a pool
    #[arg(value_name = "NODE|POOL")]
    pub(crate) name: String,
}

/// A question and what there is to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Answer {
    /// The question, e.g. `why there`.
    pub(crate) question: String,
    /// The answer, one sentence or fact each.
    pub(crate) because: Vec<String>,
}

#[derive(Serialize)]
struct NodeReport {
    node: NodeRecord,
    answers: Vec<Answer>,
    /// What was decided when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<Decision>,
    /// What was tried because of that, in order.
    attempts: Vec<Claim>,
    /// What happened to it, oldest first.
    events: Vec<Event>,
}

#[derive(Serialize)]
struct PoolReport {
    pool: fleetwright_engine::PoolStatus,
    answers: Vec<Answer>,
    /// What was decided when machines were last asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<Decision>,
    /// What was tried because of that, in order.
    attempts: Vec<Claim>,
    /// Who is missing, if the pool is short.
    #[serde(skip_serializing_if = "Option::is_none")]
    shortage: Option<Shortage>,
    /// What was withheld when it was last planned.
    withheld: Vec<Event>,
}

impl Answer {
    /// An answer, unless there is nothing to say.
    pub(crate) fn new(question: &str, because: Vec<String>) -> Option<Self> {
        (!because.is_empty()).then(|| Self {
            question: question.to_owned(),
            because,
        })
    }
}

pub(super) async fn run(context: &Context, args: &WhyArgs) -> Result<Exit> {
    let engine = context.quiet_engine().await?;
    let store = context.store().await?;
    let records = context.nodes(true).await?;
    let name = args.name.as_str();
    // A node of this very name comes first: pools are found by their whole names only.
    let is_node = records
        .iter()
        .any(|record| record.name == name || record.id.as_str() == name);
    let is_pool =
        engine.fleet().pools.contains_key(name) || records.iter().any(|record| record.pool == name);
    if is_pool && !is_node {
        return explain_pool(context, &engine, &store, name).await;
    }
    match context.find_node(name, true).await {
        Ok(record) => explain_node(context, &engine, &store, record).await,
        Err(error) if error.kind() == Kind::NotFound => Err(unknown(name, &engine, &records)),
        Err(error) => Err(error),
    }
}

async fn explain_node(
    context: &Context,
    engine: &Engine,
    store: &Store,
    record: NodeRecord,
) -> Result<Exit> {
    let claim = match &record.token {
        Some(token) => store.claim_by_token(token).await?,
        None => None,
    };
    let (decision, attempts) = match claim.as_ref().and_then(|claim| claim.decision) {
        Some(id) => (store.decision(id).await?, store.claims_of(id).await?),
        None => (None, claim.iter().cloned().collect()),
    };
    let events = store.last_events(EVENTS, Some(&record.id)).await?;
    let answers = node::answers(&node::Facts {
        record: &record,
        pool: engine.fleet().pools.get(&record.pool),
        claim: claim.as_ref(),
        decision: decision.as_ref(),
        attempts: &attempts,
        events: &events,
    });
    let headline = node::headline(&record);
    show(
        context,
        &headline,
        &NodeReport {
            node: record,
            answers: answers.clone(),
            decision,
            attempts,
            events,
        },
        &answers,
    )
}

async fn explain_pool(
    context: &Context,
    engine: &Engine,
    store: &Store,
    name: &str,
) -> Result<Exit> {
    let known = engine.recall().await?;
    let status = engine
        .pool_status(&known)
        .into_iter()
        .find(|status| status.name == name)
        .unwrap_or_else(|| fleetwright_engine::PoolStatus {
            name: name.to_owned(),
            ..Default::default()
        });
    let shortages = engine.short_pools(&known).await?;
    let shortage = shortages.into_iter().find(|short| short.pool == name);
    let decision = store.last_decision(name).await?;
    let attempts = match &decision {
        Some(decision) => store.claims_of(decision.id).await?,
        None => Vec::new(),
    };
    let withheld = last_withheld(store.last_events(EVENTS, None).await?, name, &known.records);
    let answers = pool::answers(&pool::Facts {
        status: &status,
        pool: engine.fleet().pools.get(name),
        shortage: shortage.as_ref(),
        decision: decision.as_ref(),
        attempts: &attempts,
        withheld: &withheld,
    });
    let headline = pool::headline(&status, engine.fleet().pools.contains_key(name));
    show(
        context,
        &headline,
        &PoolReport {
            pool: status,
            answers: answers.clone(),
            decision,
            attempts,
            shortage,
            withheld,
        },
        &answers,
    )
}

/// What was withheld from a pool and its nodes when it was last planned.
fn last_withheld(mut events: Vec<Event>, pool: &str, records: &[NodeRecord]) -> Vec<Event> {
    let planned = events
        .iter()
        .rposition(|event| matches!(event.what, EventKind::Planned { .. }));
    events.drain(..planned.unwrap_or(0));
    let of_pool = format!("pool {pool}");
    events.retain(|event| match &event.what {
        EventKind::Withheld { subject, .. } => {
            let is_node =
                |record: &NodeRecord| record.pool == pool && record.id.as_str() == subject;
            *subject == of_pool || records.iter().any(is_node)
        }
        _ => false,
    });
    events
}

fn show<T: Serialize>(
    context: &Context,
    headline: &str,
    report: &T,
    answers: &[Answer],
) -> Result<Exit> {
    if context.out.json {
        output::json(report)?;
    } else {
        output::line(text(headline, answers).trim_end())?;
    }
    Ok(Exit::Done)
}

/// The answers as a text.
pub(crate) fn text(headline: &str, answers: &[Answer]) -> String {
    let mut text = format!("{headline}\n");
    for answer in answers {
        text.push('\n');
        text.push_str(&answer.question);
        text.push('\n');
        for because in &answer.because {
            text.push_str("  ");
            text.push_str(because);
            text.push('\n');
        }
    }
    text
}

fn unknown(name: &str, engine: &Engine, records: &[NodeRecord]) -> Error {
    let pools = engine.fleet().pools.keys().map(String::as_str);
    let nodes = records.iter().map(|record| record.name.as_str());
    let meant = suggest::closest(name, pools.chain(nodes));
    let hint = match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "`fleetwright nodes` lists the nodes, `fleetwright status` the pools".to_owned(),
    };
    Error::new(
        Kind::NotFound,
        format!("no node and no pool is named `{name}`"),
    )
    .with_hint(hint)
}

// === what nodes and pools have in common ===

/// How many offers a text lists.
const SHOWN: usize = 8;

/// The offers of a decision in their order, with what became of each.
fn choices(decision: &Decision, attempts: &[Claim]) -> Vec<String> {
    let mut lines: Vec<String> = decision
        .offers
        .iter()
        .take(SHOWN)
        .enumerate()
        .map(|(at, offer)| {
            let fate = fate(decision, at, attempts);
            format!("{}. {}, {}: {fate}", at + 1, offer.label(), price(offer))
        })
        .collect();
    let more = decision.offers.len().saturating_sub(SHOWN) + decision.further_offers;
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

/// What became of the offer at a place.
pub(crate) fn fate(decision: &Decision, at: usize, attempts: &[Claim]) -> String {
    let told = outcomes(&decision.offers[at], attempts);
    if !told.is_empty() {
        return told.join("; ");
    }
    let later = decision.offers.iter().skip(at + 1);
    let is_tried = |offer: &Offer| !outcomes(offer, attempts).is_empty();
    if later.clone().any(is_tried) {
        return "passed over: an answer before held for it too".to_owned();
    }
    let is_served = |claim: &Claim| {
        matches!(
            claim.state,
            ClaimState::Open
                | ClaimState::Fulfilled {
                    shortfall: None,
                    ..
                }
        )
    };
    if attempts.last().is_some_and(is_served) {
        "not needed".to_owned()
    } else {
        "not asked for".to_owned()
    }
}

fn outcomes(offer: &Offer, attempts: &[Claim]) -> Vec<String> {
    let label = offer.label();
    attempts
        .iter()
        .filter(|claim| claim.offer.label() == label)
        .map(outcome)
        .collect()
}

/// How an attempt ended.
fn outcome(claim: &Claim) -> String {
    match &claim.state {
        ClaimState::Open => "asked for, and the answer is not known".to_owned(),
        ClaimState::Fulfilled {
            nodes,
            shortfall: None,
        } => format!("gave {}", output::count(nodes.len(), "node")),
        ClaimState::Fulfilled {
            nodes,
            shortfall: Some(why),
        } => format!(
            "gave {} of {}: {why}",
            nodes.len(),
            output::count(
                usize::try_from(claim.request.count).unwrap_or(usize::MAX),
                "node"
            )
        ),
        ClaimState::Refused { error } => format!("refused: {error}"),
    }
}

pub(crate) fn price(offer: &Offer) -> String {
    offer
        .price
        .map_or_else(|| "price unknown".to_owned(), |price| price.to_string())
}

/// What was wanted and what was there.
fn grounds(decision: &Decision) -> Vec<String> {
    let wish = &decision.wish;
    let mut bounds = vec![format!("{} configured", wish.desired)];
    bounds.extend(wish.min.map(|least| format!("at least {least}")));
    bounds.extend(wish.max.map(|most| format!("at most {most}")));
    let counts = &decision.counts;
    let mut lines = vec![
        format!(
            "decided at {:.0}: {} missing, because {}",
            decision.at, decision.count, decision.reason
        ),
        format!("wanted: {} ({})", wish.wanted, bounds.join(", ")),
        format!(
            "there were: {} ready, {} starting, {} failed, {} leaving, {} asked for",
            counts.ready, counts.starting, counts.failed, counts.leaving, counts.pending
        ),
    ];
    lines.extend(
        decision
            .budgets
            .iter()
            .map(|left| format!("budget: {left}")),
    );
    lines
}

/// What stood against other offers.
fn limits(decision: &Decision) -> Vec<String> {
    let mut lines = vec![format!("strategy: {}", decision.wish.strategy())];
    if let Some(most) = &decision.wish.max_price {
        lines.push(format!("most that a node may cost: {most}"));
    }
    let marks = decision.marks.len() + decision.further_marks;
    for mark in decision.marks.iter().take(SHOWN) {
        lines.push(format!(
            "{} was taken for sold out until {:.0}: {}",
            mark.place, mark.until, mark.error
        ));
    }
    if marks > SHOWN {
        lines.push(format!("and {} more such places", marks - SHOWN));
    }
    let excluded = decision.excluded.len() + decision.further_excluded;
    if excluded > 0 {
        lines.push(format!(
            "{} left out: `fleetwright why-not {}` lists them",
            output::count(excluded, "offer"),
            decision.pool
        ));
    }
    lines
}
