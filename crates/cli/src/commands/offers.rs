//! `offers`: what can be had where, for how much, and why not something else.

use std::collections::BTreeSet;

use clap::Args;
use fleetwright::config::closest;
use fleetwright_core::{
    Availability, Count, Error, GpuModel, GpuWish, HourlyPrice, Kind, Market, Result,
};
use fleetwright_engine::{Board, CatalogPart, OfferLine, OfferQuery, Source, Tally, WhyNot};
use jiff::Timestamp;
use serde::Serialize;

use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, age, count};

/// Names that are suggested at most.
const SUGGESTED: usize = 6;
/// Reasons that are told at most when nothing matches.
const REASONS: usize = 4;

#[derive(Debug, Args)]
pub(crate) struct Offers {
    /// GPUs: a model and how many, e.g. `H100`, `H100:8`, `A100-80GB:2+`
    #[arg(long, value_name = "MODEL[:N]")]
    gpu: Option<GpuWish>,
    /// Virtual CPUs: `16`, `16+` for at least that, or `4..8`
    #[arg(long, value_name = "N")]
    vcpus: Option<Count>,
    /// Memory: `64GiB`, `64GiB+` for at least that, or `16GiB..64GiB`
    #[arg(long, value_name = "SIZE", value_parser = Count::of_memory)]
    memory: Option<Count>,
    /// Regions, `*` for any text; several with commas
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    region: Vec<String>,
    /// `on-demand` or `spot`; both, if it is not given
    #[arg(long, value_name = "MARKET", value_parser = market)]
    market: Option<Market>,
    /// Most that a machine may cost per hour, e.g. `30` or `€2.50`
    #[arg(long, value_name = "PRICE")]
    max_price: Option<HourlyPrice>,
    /// Only these providers, by their names in the configuration
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    provider: Vec<String>,
    /// Instance types, `*` for any text; several with commas
    #[arg(long = "type", value_name = "PATTERN", value_delimiter = ',')]
    instance_type: Vec<String>,
    /// Say of each offer of this type what speaks against it; `*` for any text
    #[arg(long, value_name = "TYPE")]
    why_not: Option<String>,
    /// With `--why-not`: also what this pool has against it
    #[arg(long, value_name = "NAME", requires = "why_not")]
    pool: Option<String>,
    /// Ask the providers, instead of looking at what is stored
    #[arg(long)]
    refresh: bool,
    /// How many to show; 0: all
    #[arg(long, short = 'n', value_name = "N", default_value_t = 40)]
    limit: usize,
}

fn market(text: &str) -> Result<Market, String> {
    [Market::OnDemand, Market::Spot]
        .into_iter()
        .find(|market| market.as_str() == text)
        .ok_or_else(|| "known: `on-demand`, `spot`".to_owned())
}

#[derive(Serialize)]
struct Report<'a> {
    /// Cheapest first.
    offers: Vec<OfferLine>,
    /// How many match, shown or not.
    matching: usize,
    /// How many there are.
    of: usize,
    /// If none matches: what speaks against them.
    excluded: Vec<Tally>,
    sources: &'a [Source],
    /// Whether something is old or missing because a provider did not answer.
    partial: bool,
}

#[derive(Serialize)]
struct WhyReport<'a> {
    why_not: Vec<WhyNot>,
    sources: &'a [Source],
    partial: bool,
}

pub(super) async fn run(context: &Context, args: &Offers) -> Result<Exit> {
    context.say_origin();
    check_providers(context, &args.provider)?;
    let pool = match &args.pool {
        None => None,
        Some(name) => {
            context.check_pool(name).await?;
            context.loaded.config.pools.get(name)
        }
    };
    let engine = if args.refresh {
        context.engine().await?
    } else {
        context.quiet_engine().await?
    };
    let board = engine.offers(args.refresh, &args.provider).await?;
    context.end_progress();
    let query = OfferQuery {
        gpu: args.gpu.clone(),
        vcpus: args.vcpus,
        memory_mib: args.memory,
        regions: args.region.clone(),
        providers: args.provider.clone(),
        types: args.instance_type.clone(),
        market: args.market,
        max_price: args.max_price,
    };
    let nothing_known = board.sources.iter().all(|source| source.read_at.is_none());
    if nothing_known && !board.sources.is_empty() {
        return Err(nobody_told(&board));
    }
    let exit = if board.is_partial() {
        Exit::Incomplete
    } else {
        Exit::Done
    };
    if let Some(name) = &args.why_not {
        why_not(context, &board, name, &query, pool)?;
    } else {
        if let Some(wish) = &args.gpu {
            check_gpu(&board, wish)?;
        }
        list(context, args, &board, &query)?;
    }
    tell_sources(context, &board);
    Ok(exit)
}

// === the list ===

fn list(context: &Context, args: &Offers, board: &Board, query: &OfferQuery) -> Result<()> {
    let found = board.find(query, args.limit);
    let lines: Vec<OfferLine> = found
        .hits
        .iter()
        .filter_map(|hit| board.line(hit))
        .collect();
    let excluded = if found.matching == 0 {
        board.tally(query)
    } else {
        Vec::new()
    };
    if context.out.json {
        return output::json(&Report {
            offers: lines,
            matching: found.matching,
            of: board.len(),
            excluded,
            sources: &board.sources,
            partial: board.is_partial(),
        });
    }
    if lines.is_empty() {
        context
            .out
            .note(&format!("none of {} matches", count(board.len(), "offer")));
        for tally in excluded.iter().take(REASONS) {
            context.out.note(&format!(
                "  {}: {}",
                count(tally.offers, "offer"),
                tally.why
            ));
        }
        return Ok(());
    }
    let shown = lines.len();
    table(&lines, board.at)?;
    if shown < found.matching {
        context.out.faint(&format!(
            "{shown} of {} that match; `--limit 0` shows all",
            count(found.matching, "offer")
        ));
    }
    Ok(())
}

fn table(lines: &[OfferLine], now: Timestamp) -> Result<()> {
    let mut header = vec![
        "PROVIDER",
        "PLACE",
        "TYPE",
        "GPUS",
        "VCPUS",
        "MEMORY",
        "MARKET",
        "PRICE",
        "READ",
        "AVAILABILITY",
    ];
    let has_corrections = lines.iter().any(|line| line.correction.is_some());
    if has_corrections {
        header.push("LIST PRICE");
    }
    let rows = lines.iter().map(|line| {
        let offer = &line.offer;
        let mut row = vec![
            offer.provider.clone(),
            offer.zone.clone().unwrap_or_else(|| offer.region.clone()),
            offer.instance_type.clone(),
            gpus(line),
            line.machine.vcpus.to_string(),
            memory(line.machine.memory_mib),
            offer.market.to_string(),
            price(offer.price),
            format!("{} ago", age(line.price_read_at, now)),
            availability(offer.availability),
        ];
        if has_corrections {
            row.push(
                line.list_price
                    .map_or_else(String::new, |list| list.to_string()),
            );
        }
        row
    });
    output::table(&header, rows.collect())
}

fn gpus(line: &OfferLine) -> String {
    match (line.machine.gpus, &line.gpu) {
        (0, _) => "-".to_owned(),
        (number, Some(model)) => format!("{number} x {model}"),
        (number, None) => number.to_string(),
    }
}

fn memory(mib: u64) -> String {
    if mib.is_multiple_of(1024) {
        format!("{} GiB", mib / 1024)
    } else {
        format!("{mib} MiB")
    }
}

fn price(price: Option<HourlyPrice>) -> String {
    price.map_or_else(|| "unknown".to_owned(), |price| price.to_string())
}

fn availability(availability: Availability) -> String {
    match availability {
        Availability::Unknown => "unknown".to_owned(),
        Availability::Available => "available".to_owned(),
        Availability::NoQuota => "no quota".to_owned(),
        Availability::SoldOut { until: None } => "sold out".to_owned(),
        Availability::SoldOut { until: Some(until) } => format!("sold out until {until:.0}"),
    }
}

// === why not ===

fn why_not(
    context: &Context,
    board: &Board,
    name: &str,
    query: &OfferQuery,
    pool: Option<&fleetwright_core::Pool>,
) -> Result<()> {
    let found = board.why_not(name, query, pool);
    if found.is_empty() {
        return Err(nobody_sells(board, name));
    }
    if context.out.json {
        return output::json(&WhyReport {
            why_not: found,
            sources: &board.sources,
            partial: board.is_partial(),
        });
    }
    for one in &found {
        let offer = &one.line.offer;
        output::line(&format!("{}  {}", offer.label(), price(offer.price)))?;
        for reason in &one.reasons {
            output::line(&format!("  {reason}"))?;
        }
        if let Some(correction) = &one.line.correction {
            let list = price(one.line.list_price.or(offer.price));
            output::line(&format!("  ({correction}; the provider asks {list})"))?;
        }
        match &one.choice {
            Some(choice) if one.reasons.is_empty() => {
                output::line(&format!("  the pool would take it: {choice}"))?;
            }
            None if one.reasons.is_empty() => output::line("  nothing speaks against it")?,
            _ => {}
        }
    }
    Ok(())
}

fn nobody_sells(board: &Board, name: &str) -> Error {
    let error = Error::new(
        Kind::NotFound,
        format!("nobody sells a type `{name}` in the configured regions"),
    );
    let known = board.type_names();
    let similar = similar(name, &known);
    error.with_hint(if similar.is_empty() {
        "`fleetwright offers --limit 0` lists all that is sold".to_owned()
    } else {
        format!("similar names: {}", similar.join(", "))
    })
}

/// Names that look like one: the closest, and those that begin like it.
fn similar(name: &str, known: &[&str]) -> Vec<String> {
    let name = name.to_lowercase();
    let mut scored: Vec<(usize, &str)> = known
        .iter()
        .map(|known| {
            (
                strsim::damerau_levenshtein(&name, &known.to_lowercase()),
                *known,
            )
        })
        .filter(|(distance, known)| {
            let known = known.to_lowercase();
            let begins_alike = known.chars().next() == name.chars().next();
            let far = if begins_alike {
                (name.chars().count() / 3).max(2)
            } else {
                1
            };
            *distance <= far || known.contains(&name)
        })
        .collect();
    scored.sort_unstable();
    let names = scored.into_iter().take(SUGGESTED);
    names.map(|(_, known)| format!("`{known}`")).collect()
}

// === what is asked for, and what is known ===

fn check_providers(context: &Context, names: &[String]) -> Result<()> {
    let known = &context.loaded.config.providers;
    match names.iter().find(|name| !known.contains_key(*name)) {
        None => Ok(()),
        Some(name) => {
            let list: Vec<&str> = known.keys().map(String::as_str).collect();
            let hint = match closest(name, list.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("configured providers: {}", list.join(", ")),
            };
            let message = format!("no provider is named `{name}`");
            Err(Error::new(Kind::NotFound, message).with_hint(hint))
        }
    }
}

/// A model that is in no table and that nobody sells is a slip rather than a wish.
fn check_gpu(board: &Board, wish: &GpuWish) -> Result<()> {
    if wish.model.is_known {
        return Ok(());
    }
    let sold: BTreeSet<String> = board
        .parts
        .iter()
        .flat_map(CatalogPart::types)
        .filter_map(GpuModel::of_type)
        .map(|model| model.name.into_owned())
        .collect();
    if sold
        .iter()
        .any(|name| name.to_uppercase().contains(&*wish.model.name))
    {
        return Ok(());
    }
    let error = Error::new(
        Kind::NotFound,
        format!("no GPU is known as `{}`", wish.model.name),
    );
    let mut known: Vec<&str> = GpuModel::known_names().collect();
    known.extend(sold.iter().map(String::as_str));
    known.sort_unstable();
    known.dedup();
    let similar = similar(&wish.model.name, &known);
    Err(error.with_hint(if similar.is_empty() {
        let sold: Vec<&str> = sold.iter().map(String::as_str).collect();
        format!("on sale: {}", sold.join(", "))
    } else {
        format!("similar names: {}", similar.join(", "))
    }))
}

/// Nothing is known of any provider.
fn nobody_told(board: &Board) -> Error {
    let told: Vec<String> = board
        .sources
        .iter()
        .flat_map(|source| {
            let of = |trouble| format!("{}: {trouble}", source.provider);
            source.troubles.iter().map(of)
        })
        .collect();
    let error = Error::new(Kind::Unavailable, "no catalog could be had")
        .with_context("tried", told.join("\n"));
    let mut hints = board.sources.iter().flat_map(|source| &source.troubles);
    match hints.find_map(|trouble| trouble.hint.clone()) {
        Some(hint) => error.with_hint(hint),
        None => error.with_hint("`fleetwright providers --check` asks what is wrong with them"),
    }
}

/// How old what was shown is, and what went wrong.
fn tell_sources(context: &Context, board: &Board) {
    for source in &board.sources {
        if let Some(read_at) = source.read_at.filter(|_| !source.asked) {
            context.out.faint(&format!(
                "`{}`: read {} ago, at {read_at:.0}",
                source.provider,
                age(read_at, board.at)
            ));
        }
        for trouble in &source.troubles {
            output::error_line(&format!("{}: {trouble}", source.provider));
            if let Some(read_at) = source.read_at {
                context.out.note(&format!(
                    "  what is shown of `{}` was read {} ago",
                    source.provider,
                    age(read_at, board.at)
                ));
            }
            if let Some(hint) = &trouble.hint {
                output::hint(hint);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_close_or_contain_what_was_written_are_suggested() {
        let known = ["p5.48xlarge", "p5en.48xlarge", "m5.large", "t3.micro"];
        assert_eq!(
            similar("p5.48large", &known),
            ["`p5.48xlarge`", "`p5en.48xlarge`"]
        );
        assert_eq!(similar("P5", &known), ["`p5.48xlarge`", "`p5en.48xlarge`"]);
        assert!(similar("standard-8", &known).is_empty());
    }
}
