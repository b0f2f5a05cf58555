//! `capacity`: what is taken for sold out, for how long, and how fast each cloud may be called.

use clap::Args;
use fleetwright_core::{Filter, LimitUnit, Result};
use fleetwright_engine::{LearnedReport, Place, RateReport, ShortageReport};
use jiff::Timestamp;
use serde::Serialize;

use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, count, runtime};

#[derive(Debug, Args)]
pub(crate) struct Capacity {
    /// Forget what is taken for sold out: everything, or what matches, e.g.
    /// `provider=aws,region=us-*,type=p5.48xlarge`
    #[arg(long, value_name = "FILTER", num_args = 0..=1, default_missing_value = "")]
    clear: Option<Filter>,
    /// Also how long shortages last, as far as was learned; with `--clear`, forget that too
    #[arg(long)]
    learned: bool,
    /// Also how fast each cloud may be called: as documented, and as its answers have taught
    #[arg(long)]
    rates: bool,
}

#[derive(Serialize)]
struct Report {
    shortages: Vec<ShortageReport>,
    /// With `--learned`.
    #[serde(skip_serializing_if = "Option::is_none")]
    learned: Option<Vec<LearnedReport>>,
    /// With `--rates`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rates: Option<Vec<RateReport>>,
    /// With `--clear`.
    #[serde(skip_serializing_if = "Option::is_none")]
    cleared: Option<u64>,
}

pub(super) async fn run(context: &Context, args: &Capacity) -> Result<Exit> {
    context.say_origin();
    // Nothing is asked of any cloud, so there is no progress to show.
    let engine = context.quiet_engine().await?;
    let cleared = match &args.clear {
        Some(filter) => Some(engine.clear_capacity(filter, args.learned).await?),
        None => None,
    };
    let report = Report {
        shortages: engine.shortages().await?,
        learned: if args.learned {
            Some(engine.lifetimes().await?)
        } else {
            None
        },
        rates: if args.rates {
            Some(engine.rates().await?)
        } else {
            None
        },
        cleared,
    };
    if context.out.json {
        output::json(&report)?;
        return Ok(Exit::Done);
    }
    show(&report, Context::now())?;
    let marks = |number: u64| count(usize::try_from(number).unwrap_or(usize::MAX), "mark");
    match report.cleared {
        Some(number) => context.out.note(&format!("{} forgotten", marks(number))),
        None if report.shortages.is_empty() => {
            context.out.note("nothing is taken for sold out");
        }
        None => {}
    }
    Ok(Exit::Done)
}

fn show(report: &Report, now: Timestamp) -> Result<()> {
    if !report.shortages.is_empty() {
        let rows = report.shortages.iter().map(|one| {
            let mut row = place(&one.place);
            row.extend([
                since(one.since, now),
                until(one, now),
                lifetime(one.lifetime_seconds, one.observed),
                one.error.to_string(),
            ]);
            row
        });
        let header = [
            "PROVIDER", "REGION", "ZONE", "TYPE", "MARKET", "SINCE", "UNTIL", "LASTS", "BECAUSE",
        ];
        output::table(&header, rows.collect())?;
    }
    if let Some(learned) = report.learned.as_ref().filter(|all| !all.is_empty()) {
        let rows = learned.iter().map(|one| {
            let mut row = place(&one.place);
            row.extend([
                lifetime(one.lifetime_seconds, one.observed),
                since(one.learned_at, now),
            ]);
            row
        });
        output::line("")?;
        let header = [
            "PROVIDER", "REGION", "ZONE", "TYPE", "MARKET", "LASTS", "LEARNED",
        ];
        output::table(&header, rows.collect())?;
    }
    if let Some(rates) = report.rates.as_ref().filter(|all| !all.is_empty()) {
        let rows = rates.iter().map(|one| rate(one, now)).collect();
        output::line("")?;
        let header = [
            "PROVIDER",
            "REGION",
            "BUDGET",
            "BURST",
            "DOCUMENTED",
            "NOW",
            "THROTTLED",
        ];
        output::table(&header, rows)?;
    }
    Ok(())
}

/// The parts of a place; `*` is any.
fn place(place: &Place) -> Vec<String> {
    let any = |part: Option<&String>| part.cloned().unwrap_or_else(|| "*".to_owned());
    vec![
        place.provider.clone(),
        any(place.region.as_ref()),
        any(place.zone.as_ref()),
        any(place.instance_type.as_ref()),
        place
            .market
            .map_or_else(|| "*".to_owned(), |market| market.to_string()),
    ]
}

/// Seconds from one instant to a later one.
fn seconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_secs()).unwrap_or(0)
}

fn since(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", runtime(seconds(at, now)))
}

fn until(one: &ShortageReport, now: Timestamp) -> String {
    let left = || runtime(seconds(now, one.until));
    if one.probed {
        format!("being asked, at most {}", left())
    } else if one.until <= now {
        "to be asked".to_owned()
    } else {
        format!("in {}", left())
    }
}

fn lifetime(length: u64, observed: u32) -> String {
    match observed {
        0 => format!("{}, a guess", runtime(length)),
        _ => format!("{}, seen {observed}×", runtime(length)),
    }
}

fn rate(one: &RateReport, now: Timestamp) -> Vec<String> {
    let unit = match one.unit {
        LimitUnit::Calls => "calls",
        LimitUnit::Machines => "machines",
    };
    let blocked = one.blocked_until.map(|until| seconds(now, until));
    let (whole, part) = (
        one.milli_per_minute / 1000,
        one.milli_per_minute % 1000 / 100,
    );
    vec![
        one.provider.clone(),
        one.region.clone(),
        one.family.clone(),
        one.burst.to_string(),
        format!("{} {unit}/min", one.documented_per_minute),
        match blocked {
            Some(left) => format!("none for {}", runtime(left)),
            None if part == 0 => format!("{whole} {unit}/min"),
            None => format!("{whole}.{part} {unit}/min"),
        },
        one.throttled_at
            .map_or_else(|| "never".to_owned(), |at| since(at, now)),
    ]
}
