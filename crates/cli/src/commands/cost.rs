//! `cost`: what the fleet costs, has cost and will cost, from the journal alone.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use fleetwright_core::{Error, Kind, Result, parse_duration};
use fleetwright_engine::{Cost, CostKey, CostQuery, CostReport};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, Out, amounts, count, money};
use crate::steps;

#[derive(Debug, Args)]
pub(crate) struct CostArgs {
    /// What costs are added up by
    #[arg(
        long,
        default_value = "pool",
        value_name = "WHAT",
        value_parser = PossibleValuesParser::new(CostKey::ALL.map(CostKey::as_str))
            .try_map(|word| word.parse::<CostKey>())
    )]
    by: CostKey,
    /// Only what was spent since: a time ago (`7d`, `12h`), a day (`2026-11-01`, in UTC) or an instant
    #[arg(long, value_name = "WHEN")]
    since: Option<Since>,
}

/// A point in the past, as it is written on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    /// So long ago.
    Ago(Duration),
    /// Then.
    At(Timestamp),
}

impl FromStr for Since {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        for (unit, hours) in [('d', 24), ('w', 7 * 24)] {
            let number = text.strip_suffix(unit).map(str::parse::<u64>);
            if let Some(Ok(number)) = number
                && let Some(hours) = number.checked_mul(hours)
                && hours <= MOST_HOURS
            {
                return Ok(Self::Ago(Duration::from_hours(hours)));
            }
        }
        if let Ok(day) = text.parse::<Date>()
            && !text.contains(['T', 't', ' '])
            && let Ok(begin) = day.to_zoned(TimeZone::UTC)
        {
            return Ok(Self::At(begin.timestamp()));
        }
        if let Ok(instant) = text.parse::<Timestamp>() {
            return Ok(Self::At(instant));
        }
        parse_duration(text).map(Self::Ago).map_err(|_| {
            Error::new(
                Kind::Invalid,
                format!("`{text}` is neither a time ago nor a day"),
            )
            .with_hint("write it as `7d`, `12h`, `2026-11-01` or `2026-11-01T08:00:00Z`")
        })
    }
}

/// A hundred years: whoever asks for more means everything.
const MOST_HOURS: u64 = 100 * 366 * 24;

impl Since {
    /// # Errors
    /// `Invalid` if it is still to come.
    fn instant(self, now: Timestamp) -> Result<Timestamp> {
        match self {
            Self::Ago(span) => Ok(now.checked_sub(span).unwrap_or(Timestamp::MIN)),
            Self::At(at) if at <= now => Ok(at),
            Self::At(at) => Err(Error::new(
                Kind::Invalid,
                format!("{at} is still to come: nothing was spent since"),
            )),
        }
    }
}

pub(super) async fn run(context: &Context, args: &CostArgs) -> Result<Exit> {
    let since = args.since.map(|since| since.instant(Context::now()));
    let query = CostQuery {
        by: args.by,
        since: since.transpose()?,
    };
    let engine = context.quiet_engine().await?;
    let report = engine.cost(query).await?;
    if context.out.json {
        output::json(&report)?;
        return Ok(Exit::Done);
    }
    if report.total.nodes > 0 {
        show_groups(&report)?;
    }
    say(context.out, &engine.fleet().name, &report);
    Ok(Exit::Done)
}

fn show_groups(report: &CostReport) -> Result<()> {
    let is_day = report.by == CostKey::Day;
    let has_unpriced = report.total.unpriced > 0;
    let title = report.by.as_str().to_uppercase();
    let mut header = vec![title.as_str(), "NODES", "HOURS", "SPENT"];
    if !is_day {
        header.extend(["THIS MONTH", "FORECAST", "NOW"]);
    }
    if has_unpriced {
        header.push("UNPRICED");
    }
    let row = |key: &str, cost: &Cost| {
        let mut row = vec![
            key.to_owned(),
            cost.nodes.to_string(),
            hours(cost.node_seconds),
            amounts(&cost.spent),
        ];
        if !is_day {
            row.push(amounts(&cost.this_month));
            row.push(amounts(&cost.forecast));
            row.push(money(&cost.per_hour));
        }
        if has_unpriced {
            row.push(cost.unpriced.to_string());
        }
        row
    };
    let mut rows: Vec<Vec<String>> = report
        .groups
        .iter()
        .map(|group| row(group.key.as_deref().unwrap_or("-"), &group.cost))
        .collect();
    rows.push(row("total", &report.total));
    output::table(&header, rows)
}

/// The sums in words, what they leave out, and the budgets.
fn say(out: Out, fleet: &str, report: &CostReport) {
    let total = &report.total;
    let mut now = format!(
        "fleet `{fleet}`: costs {} now for {}",
        money(&total.per_hour),
        count(total.present, "node")
    );
    let flight = &report.in_flight;
    if flight.machines > 0 {
        let machines = usize::try_from(flight.machines).unwrap_or(usize::MAX);
        let price = match flight.unpriced {
            0 => money(&flight.per_hour),
            some if some == flight.machines => "an unknown price".to_owned(),
            some => format!(
                "{} without {some} of unknown price",
                money(&flight.per_hour)
            ),
        };
        let machines = count(machines, "machine");
        now = format!("{now}; {machines} asked for and without an answer, {price}, not counted");
    }
    out.note(&now);
    let since = report.since.map_or_else(
        || "since the first node".to_owned(),
        |since| format!("since {since:.0}"),
    );
    let month = report.month_began_at.to_zoned(TimeZone::UTC).date();
    let (spent, so_far) = (amounts(&total.spent), amounts(&total.this_month));
    out.note(&format!(
        "spent: {spent} {since}, {so_far} in {}-{:02} (UTC), {} by its end if nothing changes",
        month.year(),
        month.month(),
        amounts(&total.forecast)
    ));
    if total.unpriced > 0 {
        out.note(&format!(
            "{} without a known price: in none of these sums",
            count(total.unpriced, "node")
        ));
    }
    steps::show_budgets(out, &report.budgets, false);
}

/// Seconds as hours with one decimal.
fn hours(seconds: u64) -> String {
    format!("{}.{}", seconds / 3_600, seconds % 3_600 / 360)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_in_the_past_is_a_time_ago_a_day_or_an_instant() {
        let at = |text: &str| Since::At(text.parse().expect("it is an instant"));
        for (text, since) in [
            ("7d", Since::Ago(Duration::from_hours(168))),
            ("2w", Since::Ago(Duration::from_hours(336))),
            ("90m", Since::Ago(Duration::from_mins(90))),
            ("2026-11-01", at("2026-11-01T00:00:00Z")),
            ("2026-11-01T08:00:00Z", at("2026-11-01T08:00:00Z")),
            ("2026-11-01T08:00:00+02:00", at("2026-11-01T06:00:00Z")),
        ] {
            assert_eq!(text.parse::<Since>().expect(text), since, "{text}");
        }
        for bad in [
            "",
            "yesterday",
            "d",
            "-3d",
            "2026-13-01",
            "99999999999999999d",
        ] {
            assert!(bad.parse::<Since>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_still_to_come_is_refused() {
        let now: Timestamp = "2026-11-01T08:00:00Z".parse().expect("it is an instant");
        assert!(Since::At(now).instant(now).is_ok());
        assert!(
            "2026-11-02"
                .parse::<Since>()
                .expect("a day")
                .instant(now)
                .is_err()
        );
        let long = Since::Ago(Duration::MAX);
        assert_eq!(long.instant(now).expect("all of it"), Timestamp::MIN);
    }

    #[test]
    fn hours_have_one_decimal() {
        assert_eq!(hours(0), "0.0");
        assert_eq!(hours(5_400), "1.5");
        assert_eq!(hours(7_199), "1.9");
    }
}
