//! The end of a run that changes the fleet: what is printed, and the exit status.

use fleetwright_core::{
    BudgetLine, BudgetVerdict, Coverage, Gap, HourlyPrice, Kind, Life, NodeRecord, Remedy, Result,
    Withheld,
};
use fleetwright_engine::{Attempt, Bill, Engine, Observation, Outcome, PoolStatus, Standing};
use serde::Serialize;

use super::bill;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, Out, count, money};

/// Attempts that are shown at most.
const SHOWN: usize = 24;

/// Why no provider shows us anything, if that is something no waiting mends: a wrong token, for
/// example. The first provider's reason is told for all.
fn shut_out(observation: &Observation) -> Option<Kind> {
    let mut first = None;
    for seen in observation.providers.values() {
        let gaps = seen.coverage.gaps();
        let is_hopeless = |gap: &Gap| gap.error.kind.remedy() == Remedy::GiveUp;
        if !seen.nodes.is_empty() || gaps.is_empty() || !gaps.iter().all(is_hopeless) {
            return None;
        }
        first = first.or(gaps.first().map(|gap| gap.error.kind));
    }
    first
}

/// `--json` of `up`, `apply` and `down`.
#[derive(Serialize)]
struct Report<'a> {
    /// `reached`, `incomplete`, `timed-out`, `failed`, `braked`, `needs-approval`.
    standing: &'static str,
    created: usize,
    deleted: usize,
    pools: Vec<PoolStatus>,
    nodes: &'a [NodeRecord],
    withheld: &'a [Withheld],
    failures: Vec<fleetwright_core::ErrorReport>,
    /// Of the failures that are about getting machines: every offer that was tried, and its cause.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<Tried<'a>>,
    cost: Vec<HourlyPrice>,
    /// Where each budget stands.
    budgets: &'a [BudgetLine],
    /// What budgets withheld, lowered or warn of.
    verdicts: &'a [BudgetVerdict],
    /// Of `down`: what the removed nodes cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    bill: Option<&'a Bill>,
}

/// What was tried in a step that did not get its machines.
#[derive(Serialize)]
struct Tried<'a> {
    step: &'a str,
    attempts: &'a [Attempt],
}

/// Prints how a run ended, and what the nodes cost that it removed. An error that no waiting mends
/// becomes the command's own.
pub(super) fn finish(
    context: &Context,
    engine: &Engine,
    outcome: Outcome,
    bill: Option<&Bill>,
) -> Result<Exit> {
    let Outcome {
        standing,
        observation,
        mut executed,
        plan,
    } = outcome;
    let cost = HourlyPrice::sum(observation.records.iter().filter_map(|record| record.price));
    let pools = engine.pool_status(&observation);
    let hopeless = match standing {
        Standing::Failed => executed.failures.pop(),
        _ => None,
    };
    if context.out.json {
        output::json(&Report {
            standing: name(&standing),
            created: executed.created,
            deleted: executed.deleted,
            pools: pools.clone(),
            nodes: &observation.records,
            withheld: &plan.withheld,
            failures: executed
                .failures
                .iter()
                .map(|failure| failure.error.report())
                .chain(hopeless.as_ref().map(|failure| failure.error.report()))
                .collect(),
            attempts: executed
                .failures
                .iter()
                .chain(&hopeless)
                .filter(|failure| !failure.attempts.is_empty())
                .map(|failure| Tried {
                    step: &failure.step,
                    attempts: &failure.attempts,
                })
                .collect(),
            cost: cost.clone(),
            budgets: &plan.money.budgets,
            verdicts: &plan.money.verdicts,
            bill,
        })?;
    }
    let out = context.out;
    if let Some(bill) = bill
        && !out.json
    {
        bill::show(out, bill)?;
    }
    for record in observation
        .records
        .iter()
        .filter(|record| record.life == Life::Failed)
    {
        output::error_line(&format!("{}: {}", record.name, record.reason));
        if let Some(fleetwright_core::Boot::Failed { log_tail, .. }) = &record.boot {
            for line in log_tail.lines() {
                out.note(&format!("    {line}"));
            }
        }
    }
    if let Some(failure) = &hopeless {
        output::explain(&failure.error);
        show_attempts(out, &failure.attempts);
        return Ok(Exit::Failed(failure.error.kind()));
    }
    let exit = match &standing {
        Standing::Reached => Exit::Done,
        Standing::Incomplete | Standing::TimedOut | Standing::Failed => {
            let failure = executed.failures.last();
            if matches!(standing, Standing::TimedOut) {
                let text = "the time is over and not everything is done";
                match failure {
                    // The failure says why.
                    Some(_) => out.note(text),
                    None => output::error_line(text),
                }
            }
            // What is withheld because of the failure is no second error.
            let reason = failure.map(|failure| failure.error.to_string());
            let mut withheld = plan.withheld.clone();
            withheld.retain(|one| {
                let is_told = reason.as_ref().is_some_and(|why| one.reason.contains(why));
                let is_asked = failure.is_some_and(|failure| {
                    !failure.attempts.is_empty()
                        && create_of_all(&one.what)
                        && failure.step.contains(&format!(" in {}: ", one.subject))
                });
                !is_told && !is_asked
            });
            for one in &withheld {
                output::error_line(&format!(
                    "withheld: {} {}: {}",
                    one.subject, one.what, one.reason
                ));
            }
            if !withheld.is_empty() {
                output::hint(&way_out(&observation));
            }
            if let Some(failure) = failure {
                output::error_line(&format!("{}: {}", failure.step, failure.error.report()));
                show_attempts(out, &failure.attempts);
                if let Some(hint) = failure.error.hint() {
                    output::hint(hint);
                }
            }
            if observation
                .records
                .iter()
                .any(|record| record.life == Life::Failed)
            {
                output::hint(
                    "failed nodes are kept until the pool's definition changes; \
                     `fleetwright up --replace-failed` makes them again",
                );
            }
            if plan.money.withholds() {
                output::hint(
                    "raise the budget or want fewer machines; `fleetwright cost` shows what is spent",
                );
                Exit::OverBudget
            } else if executed.has_changes() {
                Exit::Incomplete
            } else {
                shut_out(&observation).map_or(Exit::Incomplete, Exit::Failed)
            }
        }
        Standing::Braked(brake) => {
            output::error_line(&format!("nothing was done: {brake}"));
            output::hint(
                "look at `fleetwright plan`, then allow it with `--max-removal <percent>`",
            );
            Exit::Braked
        }
        Standing::NeedsApproval => {
            output::error_line(
                "stopped: the fleet changed, and the next step removes other nodes than those you agreed to",
            );
            output::hint("run the command again");
            Exit::NotConfirmed
        }
    };
    let mut parts = Vec::new();
    if executed.created > 0 {
        parts.push(format!("{} created", executed.created));
    }
    if executed.deleted > 0 {
        parts.push(format!("{} removed", executed.deleted));
    }
    if parts.is_empty() {
        parts.push("nothing changed".to_owned());
    }
    let ready: usize = pools.iter().map(|pool| pool.ready).sum();
    let left = if observation.records.is_empty() {
        "no nodes left".to_owned()
    } else {
        format!("{} ready", count(ready, "node"))
    };
    out.note(&format!(
        "{}: {left}; the fleet costs {} now",
        parts.join(", "),
        money(&cost)
    ));
    Ok(exit)
}

/// Whether all that a pool lacks is withheld, and not only its machines of one market.
fn create_of_all(what: &str) -> bool {
    what.strip_prefix("create ")
        .is_some_and(|count| count.chars().all(|c| c.is_ascii_digit()))
}

/// Every offer that was tried, in order. Of a single one the error itself says it all.
fn show_attempts(out: Out, attempts: &[Attempt]) {
    if attempts.len() < 2 {
        return;
    }
    for attempt in attempts.iter().take(SHOWN) {
        out.note(&format!("    {attempt}"));
    }
    if attempts.len() > SHOWN {
        out.note(&format!(
            "    and {} more: `--json` lists all",
            attempts.len() - SHOWN
        ));
    }
}

/// What helps where something is withheld: the word of the provider that could not be seen.
fn way_out(observation: &Observation) -> String {
    let seen = observation.providers.values();
    let gaps = seen.filter_map(|seen| match &seen.coverage {
        Coverage::Complete => None,
        Coverage::Partial { gaps } => Some(gaps),
    });
    gaps.flatten()
        .find_map(|gap| gap.error.hint.clone())
        .unwrap_or_else(|| {
            "`fleetwright validate --online` says what of the configuration cannot be had"
                .to_owned()
        })
}

const fn name(standing: &Standing) -> &'static str {
    match standing {
        Standing::Reached => "reached",
        Standing::Incomplete => "incomplete",
        Standing::TimedOut => "timed-out",
        Standing::Failed => "failed",
        Standing::Braked(_) => "braked",
        Standing::NeedsApproval => "needs-approval",
    }
}
