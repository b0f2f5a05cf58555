//! `watch`: looks at machines, heals what differs as far as the brakes allow, and measures again.

use std::fs;
use std::time::Duration;

use clap::Args;
use fleetwright_core::{Case, Clock, Error, Filter, Freeze, Kind, Remedy, Result, Span, Subject};
use fleetwright_engine::{
    Engine, EngineEyes, Held, SystemClock, Treated, Unmeasured, Upkeep, UpkeepOptions, UpkeepRound,
};
use jiff::Timestamp;
use serde::Serialize;

use crate::background;
use crate::context::{Context, holder};
use crate::exit::Exit;
use crate::output::{self, age, count};

/// Pause between rounds of which something has come: what waited for that goes on.
const SHORT: Duration = Duration::from_secs(1);
/// Longest pause after rounds that failed.
const LONGEST: Duration = Duration::from_mins(5);
/// Where Linux says which boot it is in.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Arguments of `watch`.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Look, heal what can be healed now, and end
    #[arg(long)]
    pub(crate) once: bool,
    /// Only report and notify: nothing is done to machines or clouds
    #[arg(long)]
    pub(crate) report_only: bool,
    /// Pause between two looks
    #[arg(long, default_value = "30s", value_name = "DURATION")]
    pub(crate) interval: Span,
    /// Heal only machines that match, e.g. `pool=web`; sizes of pools are left alone then
    #[arg(long, value_name = "FILTER")]
    pub(crate) on: Option<Filter>,
    /// With `--once`: how long to wait for reboots and replacements
    #[arg(long, default_value = "15m", value_name = "DURATION")]
    pub(crate) timeout: Span,
}

/// What one round, or all rounds of `--once`, came to.
#[derive(Debug, Default, Serialize)]
struct Report {
    at: Timestamp,
    rounds: usize,
    /// Who else is at it.
    busy: Option<String>,
    targets: usize,
    opened: Vec<Case>,
    treated: Vec<Treated>,
    closed: Vec<Case>,
    held: Vec<Held>,
    open: Vec<Case>,
    unknown: Vec<Unmeasured>,
    welcomed: usize,
    created: usize,
    removed: usize,
    passing: usize,
    troubles: Vec<String>,
    freezes: Vec<Freeze>,
}

impl Report {
    fn add(&mut self, round: UpkeepRound) {
        self.at = round.at;
        self.rounds += 1;
        self.busy = round.busy;
        self.targets = round.targets;
        self.opened.extend(round.opened);
        self.treated.extend(round.treated);
        self.closed.extend(round.closed);
        self.held = round.plan.held;
        self.open = round.open;
        self.unknown = round.unknown;
        self.welcomed += round.welcomed;
        self.created += round.created;
        self.removed += round.removed;
        self.passing = round.passing;
        self.troubles = round.troubles;
        self.freezes = round.freezes;
    }

    fn unreachable(&self) -> usize {
        let is_it = |case: &&Case| case.subject == Subject::Unreachable;
        self.open.iter().filter(is_it).count()
    }

    fn exit(&self) -> Exit {
        let unreachable = self.unreachable();
        if self.open.len() > unreachable {
            Exit::Drift
        } else if unreachable > 0 {
            Exit::Unreachable
        } else if self.busy.is_some()
            || !self.troubles.is_empty()
            || !self.unknown.is_empty()
            || self.passing > 0
        {
            Exit::Incomplete
        } else {
            Exit::Done
        }
    }

    fn summary(&self) -> String {
        if let Some(busy) = &self.busy {
            return format!("another process is healing: {busy}");
        }
        let unreachable = self.unreachable();
        let drift = self.open.len() - unreachable;
        let mut parts = vec![format!("{} looked at", count(self.targets, "machine"))];
        for (number, what) in [
            (drift, "not as they should be"),
            (unreachable, "out of reach"),
            (self.unknown.len(), "not known"),
            (self.closed.len(), "right again or gone"),
            (self.welcomed, "welcomed"),
            (self.created, "made"),
            (self.removed, "removed"),
        ] {
            if number > 0 {
                parts.push(format!("{number} {what}"));
            }
        }
        if self.open.is_empty() && self.unknown.is_empty() {
            parts.push("all are as they should be".to_owned());
        }
        parts.join(", ")
    }
}

pub(super) async fn run(context: &Context, args: &WatchArgs) -> Result<Exit> {
    if args.interval.0 < SHORT {
        return Err(Error::new(
            Kind::Invalid,
            "`--interval` must be at least 1s",
        ));
    }
    let engine = context.engine().await?;
    let eyes = EngineEyes(engine.clone());
    let options = UpkeepOptions {
        holder: holder("watch"),
        report_only: args.report_only,
        on: args.on.clone().unwrap_or_default(),
        gap: args.interval.0.saturating_mul(3) + Duration::from_secs(30),
        // A system without it has no machine that is this one either: they have no such file.
        here: fs::read_to_string(BOOT_ID)
            .ok()
            .map(|text| text.trim().to_owned()),
    };
    let mut memory = Upkeep::default();
    if args.once {
        return once(context, args, &engine, &eyes, &mut memory, &options).await;
    }
    context.out.note(&format!(
        "watching fleet `{}`, every {}; Ctrl-C ends it",
        engine.fleet().name,
        args.interval
    ));
    let mut said = String::new();
    let mut failures: u32 = 0;
    loop {
        let pause = match engine.upkeep(&eyes, &mut memory, &options).await {
            Ok(round) => {
                failures = 0;
                let goes_on = round.has_progress();
                if round.created > 0 {
                    background::keep_limits(context, &engine).await?;
                }
                let mut report = Report::default();
                report.add(round);
                show_round(context, &report, &mut said)?;
                if goes_on { SHORT } else { args.interval.0 }
            }
            // What waiting does not mend will not be mended by the next round either.
            Err(error)
                if error.kind().remedy() == Remedy::GiveUp && failures == 0 && said.is_empty() =>
            {
                return Err(error);
            }
            Err(error) => {
                output::explain(&error);
                failures = failures.saturating_add(1);
                args.interval
                    .0
                    .saturating_mul(failures.min(60))
                    .min(LONGEST)
            }
        };
        SystemClock.sleep(pause).await;
    }
}

/// Rounds as long as something comes of them or is on its way.
async fn once(
    context: &Context,
    args: &WatchArgs,
    engine: &Engine,
    eyes: &EngineEyes,
    memory: &mut Upkeep,
    options: &UpkeepOptions,
) -> Result<Exit> {
    let mut report = Report::default();
    let started = SystemClock.now();
    loop {
        let round = engine.upkeep(eyes, memory, options).await?;
        if round.created > 0 {
            background::keep_limits(context, engine).await?;
        }
        let waits = round.busy.is_some() || round.running() > 0 || round.passing > 0;
        let goes_on = !options.report_only && (round.has_progress() || waits);
        report.add(round);
        let taken = SystemClock.now().duration_since(started);
        if !goes_on || taken.unsigned_abs() >= args.timeout.0 {
            break;
        }
        SystemClock.sleep(SHORT).await;
    }
    context.end_progress();
    let exit = report.exit();
    if context.out.json {
        output::json(&report)?;
        return Ok(exit);
    }
    show_open(&report)?;
    for one in &report.unknown {
        let probe = one
            .probe
            .as_ref()
            .map_or_else(String::new, |probe| format!(" {probe}"));
        output::error_line(&format!("{}{probe}: not known: {}", one.target, one.reason));
    }
    for trouble in &report.troubles {
        output::error_line(trouble);
    }
    for freeze in &report.freezes {
        output::error_line(&freeze.to_string());
    }
    context.out.note(&report.summary());
    Ok(exit)
}

/// A table of what is left, if something is.
fn show_open(report: &Report) -> Result<()> {
    if report.open.is_empty() {
        return Ok(());
    }
    let rows = report
        .open
        .iter()
        .map(|case| {
            let held = report.held.iter().find(|held| held.case == case.id);
            let next = match (held, case.running()) {
                (_, Some(attempt)) => format!("{} since {:.0}", attempt.action, attempt.began_at),
                (Some(held), None) => held.reason.clone(),
                (None, None) => "-".to_owned(),
            };
            vec![
                case.target.clone(),
                case.group
                    .as_ref()
                    .map_or_else(|| "-".to_owned(), ToString::to_string),
                case.subject.to_string(),
                case.severity.to_string(),
                age(case.since, report.at),
                case.reason.clone(),
                next,
            ]
        })
        .collect();
    output::table(
        &[
            "MACHINE", "GROUP", "WHAT", "SEVERITY", "SINCE", "SEEN", "NEXT",
        ],
        rows,
    )
}

/// One line of JSON for each round; in words only what differs from the last one.
fn show_round(context: &Context, report: &Report, said: &mut String) -> Result<()> {
    if context.out.json {
        output::json_line(report)?;
        said.clone_from(&report.summary());
        return Ok(());
    }
    let mut lines: Vec<String> = report.troubles.clone();
    lines.extend(report.freezes.iter().map(ToString::to_string));
    let text = format!("{}\n{}", report.summary(), lines.join("\n"));
    if *said != text {
        output::line(&format!("{:.0} {}", report.at, report.summary()))?;
        for line in lines {
            output::error_line(&line);
        }
        *said = text;
    }
    Ok(())
}
