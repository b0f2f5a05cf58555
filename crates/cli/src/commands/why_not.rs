//! `why-not`: why a pool's machines are not of a type, provider, region or zone.

use std::collections::BTreeSet;

use clap::Args;
use fleetwright::suggest;
use fleetwright_core::{Availability, Claim, Decision, DecisionId, Error, Kind, Offer, Result};
use fleetwright_engine::Observation;
use jiff::Timestamp;
use serde::Serialize;

use super::why::{Answer, fate, text};
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, count};

/// Lines of a text for each decision.
const SHOWN: usize = 40;

#[derive(Debug, Args)]
pub(crate) struct WhyNotArgs {
    /// The pool
    #[arg(value_name = "POOL")]
    pub(crate) pool: String,
    /// A type, provider, region, zone or market, or a part of such a name
    #[arg(value_name = "TYPE|PROVIDER|REGION")]
    pub(crate) what: Option<String>,
    /// Only what was decided when machines were last asked for; nobody is asked
    #[arg(long)]
    pub(crate) recorded: bool,
}

#[derive(Serialize)]
struct Report {
    pool: String,
    /// What was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<String>,
    /// What was decided when machines were last asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<Judgment>,
    /// What would be decided now.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<Judgment>,
}

/// A decision, as far as it is about what was asked.
#[derive(Serialize)]
struct Judgment {
    /// Which decision; absent for one that was not made.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<DecisionId>,
    at: Timestamp,
    /// How many machines were missing.
    count: u32,
    strategy: String,
    verdicts: Vec<Verdict>,
    /// How many offers and exclusions were not kept.
    not_kept: usize,
}

/// What was decided about an offer or a candidate.
#[derive(Debug, Serialize)]
struct Verdict {
    what: String,
    /// Its rank, from 1; absent: it was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    rank: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<fleetwright_core::HourlyPrice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    availability: Option<Availability>,
    why: String,
}

pub(super) async fn run(context: &Context, args: &WhyNotArgs) -> Result<Exit> {
    let engine = context.quiet_engine().await?;
    let store = context.store().await?;
    check_pool(context, &args.pool).await?;
    let last = store.last_decision(&args.pool).await?;
    let attempts = match &last {
        Some(decision) => store.claims_of(decision.id).await?,
        None => Vec::new(),
    };
    let observation = if args.recorded {
        None
    } else {
        Some(engine.observe_with_catalogs().await?)
    };
    let present = observation
        .as_ref()
        .map(|observation| engine.decide_now(observation, &args.pool));
    let what = args.what.as_deref();
    let exact = last.iter().chain(&present).any(|decision| {
        names(decision)
            .iter()
            .any(|name| is_named(name, what, true))
    });
    let judge = |decision: &Decision, attempts: Option<&[Claim]>| Judgment {
        decision: attempts.map(|_| decision.id),
        at: decision.at,
        count: decision.count,
        strategy: decision.wish.strategy(),
        verdicts: verdicts(decision, attempts, what, exact),
        not_kept: decision.further_offers + decision.further_excluded,
    };
    let mut report = Report {
        pool: args.pool.clone(),
        what: args.what.clone(),
        recorded: last.as_ref().map(|last| judge(last, Some(&attempts))),
        now: present.as_ref().map(|present| judge(present, None)),
    };
    if let (Some(now), Some(what), Some(observation)) = (&mut report.now, what, &observation)
        && now.verdicts.is_empty()
    {
        now.verdicts = not_named(observation, what);
    }
    let all = report.recorded.iter().chain(&report.now);
    let is_empty = all.clone().all(|found| found.verdicts.is_empty());
    let not_kept = all.map(|found| found.not_kept).sum::<usize>();
    if let Some(what) = what.filter(|_| is_empty && not_kept == 0) {
        let known: BTreeSet<String> = last.iter().chain(&present).flat_map(names).collect();
        return Err(unknown(what, &args.pool, &known));
    }
    if context.out.json {
        output::json(&report)?;
        return Ok(Exit::Done);
    }
    output::line(shown(&report).trim_end())?;
    Ok(Exit::Done)
}

/// The pool must be in the configuration: otherwise nothing is wanted.
async fn check_pool(context: &Context, name: &str) -> Result<()> {
    let pools = &context.loaded.config.pools;
    if pools.contains_key(name) {
        return Ok(());
    }
    if context.nodes(true).await?.iter().any(|r| r.pool == name) {
        return Err(Error::new(
            Kind::NotFound,
            format!("pool `{name}` is not in the configuration any more"),
        )
        .with_hint(format!("`fleetwright why {name}` tells what is left of it")));
    }
    let error = Error::new(Kind::NotFound, format!("no pool is named `{name}`"));
    let known = pools.keys().map(String::as_str);
    Err(match suggest::hint(name, "the pools are", known) {
        Some(hint) => error.with_hint(hint),
        None => error.with_hint("the configuration has no pool"),
    })
}

/// What was decided about everything that has this name. `attempts`: of a decision that was made.
fn verdicts(
    decision: &Decision,
    attempts: Option<&[Claim]>,
    what: Option<&str>,
    exact: bool,
) -> Vec<Verdict> {
    let is_meant = |text: &str| words(text).iter().any(|name| is_named(name, what, exact));
    let offers = decision
        .offers
        .iter()
        .enumerate()
        .filter(|(_, offer)| is_meant(&offer.label()))
        .map(|(at, offer)| Verdict {
            what: offer.label(),
            rank: Some(at + 1),
            price: offer.price,
            availability: Some(offer.availability),
            why: reason(decision, offer, at, attempts),
        });
    let excluded = decision
        .excluded
        .iter()
        .filter(|excluded| is_meant(&excluded.what))
        .map(|excluded| Verdict {
            what: excluded.what.clone(),
            rank: None,
            price: None,
            availability: None,
            why: excluded.why.clone(),
        });
    offers.chain(excluded).collect()
}

/// What is on sale under a name and no candidate of the pool stands for.
fn not_named(observation: &Observation, what: &str) -> Vec<Verdict> {
    let mut known: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (provider, seen) in &observation.providers {
        known.insert((provider, ""));
        known.extend(
            seen.info
                .regions
                .iter()
                .map(|region| (&**provider, &**region)),
        );
        for offering in seen.catalog.iter().flat_map(|catalog| &catalog.offerings) {
            known.insert((provider, &offering.instance_type));
            known.extend(offering.zone.iter().map(|zone| (&**provider, &**zone)));
        }
    }
    let found = |exact: bool| -> Vec<Verdict> {
        known
            .iter()
            .filter(|(provider, name)| {
                let name = if name.is_empty() { provider } else { name };
                is_named(name, Some(what), exact)
            })
            .map(|(provider, name)| Verdict {
                what: format!("{provider} {name}").trim_end().to_owned(),
                rank: None,
                price: None,
                availability: None,
                why: "no candidate of the pool stands for it".to_owned(),
            })
            .collect()
    };
    let named = found(true);
    if named.is_empty() {
        found(false)
    } else {
        named
    }
}

/// Why an offer that was not left out was taken or not.
fn reason(decision: &Decision, offer: &Offer, at: usize, attempts: Option<&[Claim]>) -> String {
    let rank = &offer.reason;
    match attempts {
        None if at == 0 => format!("it would be asked for first ({rank})"),
        None => format!(
            "it would be asked for if {} refused ({rank})",
            count(at, "better offer")
        ),
        Some(attempts) => format!("{} ({rank})", fate(decision, at, attempts)),
    }
}

/// Whether a name is meant: the same, or, if no name is exactly that, with that in it.
fn is_named(name: &str, what: Option<&str>, exact: bool) -> bool {
    let Some(what) = what else {
        return true;
    };
    let (name, what) = (name.to_lowercase(), what.to_lowercase());
    if exact {
        name == what
    } else {
        name.contains(&what)
    }
}

/// The names in a label: as a whole, and each by itself.
fn words(label: &str) -> Vec<String> {
    let place = label.split(' ').next().unwrap_or("");
    let parts = label.split([' ', '/']).filter(|part| !part.is_empty());
    [label, place]
        .into_iter()
        .chain(parts)
        .map(str::to_owned)
        .collect()
}

/// All names in a decision.
fn names(decision: &Decision) -> BTreeSet<String> {
    let offers = decision.offers.iter().map(Offer::label);
    let excluded = decision
        .excluded
        .iter()
        .map(|excluded| excluded.what.clone());
    offers
        .chain(excluded)
        .flat_map(|label| words(&label))
        .collect()
}

fn unknown(what: &str, pool: &str, known: &BTreeSet<String>) -> Error {
    let short = known
        .iter()
        .map(String::as_str)
        .filter(|name| !name.contains([' ', '/']));
    let hint = match suggest::closest(what, short) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("`fleetwright why-not {pool}` lists everything that was considered"),
    };
    Error::new(
        Kind::NotFound,
        format!("nothing of the name `{what}` was considered for pool `{pool}`"),
    )
    .with_hint(hint)
}

fn shown(report: &Report) -> String {
    let headline = match &report.what {
        Some(what) => format!("why pool `{}` has no `{what}`", report.pool),
        None => format!("what was considered for pool `{}`", report.pool),
    };
    let recorded = match &report.recorded {
        Some(found) => {
            let question = format!(
                "decided at {:.0} for {}, by {}",
                found.at,
                machines(found.count),
                found.strategy
            );
            Answer::new(&question, lines(found))
        }
        None => Answer::new(
            "decided so far",
            vec!["nothing: this pool has asked for no machine yet".to_owned()],
        ),
    };
    let now = report.now.as_ref().and_then(|found| {
        let question = format!(
            "would be decided now for {}, by {}",
            machines(found.count),
            found.strategy
        );
        Answer::new(&question, lines(found))
    });
    let answers: Vec<Answer> = recorded.into_iter().chain(now).collect();
    text(&headline, &answers)
}

fn machines(number: u32) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), "machine")
}

fn lines(found: &Judgment) -> Vec<String> {
    let mut lines: Vec<String> = found
        .verdicts
        .iter()
        .take(SHOWN)
        .map(|verdict| match verdict.rank {
            Some(rank) => {
                let price = verdict
                    .price
                    .map_or_else(|| "price unknown".to_owned(), |price| price.to_string());
                format!("{rank}. {}, {price}: {}", verdict.what, verdict.why)
            }
            None => format!("-  {}: {}", verdict.what, verdict.why),
        })
        .collect();
    let more = found.verdicts.len().saturating_sub(SHOWN);
    if more > 0 {
        lines.push(format!("and {more} more: `--json` has them all"));
    }
    if found.not_kept > 0 {
        lines.push(format!(
            "{} were not kept",
            count(found.not_kept, "further offer")
        ));
    }
    if lines.is_empty() {
        lines.push("nothing of that name was considered".to_owned());
    }
    lines
}
