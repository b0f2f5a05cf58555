//! A plan for people to read.

use std::collections::BTreeMap;

use fleetwright_core::{
    Action, BudgetAction, BudgetLine, BudgetOutcome, BudgetVerdict, HourlyPrice, NodeRecord,
    Period, Plan, Step,
};
use fleetwright_engine::exceeded;

use crate::output::{Out, count, error_line, money};

/// Steps of one kind that are shown one by one; of more only the number is shown.
const SHOWN: usize = 12;

/// Prints a plan on stderr: steps with reasons, what is withheld, and the cost.
pub(crate) fn show(out: Out, plan: &Plan, records: &[NodeRecord]) {
    let mut kinds: BTreeMap<&'static str, Vec<&Step>> = BTreeMap::new();
    for step in &plan.steps {
        kinds.entry(sign(&step.action)).or_default().push(step);
    }
    for (sign, steps) in kinds {
        for step in steps.iter().take(SHOWN) {
            out.note(&format!("  {sign} {}", describe(&step.action, records)));
            out.faint(&format!("      {}", step.reason));
            if let Action::Create { count, offers, .. } = &step.action {
                show_offers(out, *count, offers);
            }
        }
        if steps.len() > SHOWN {
            out.note(&format!("  {sign} and {} more", steps.len() - SHOWN));
        }
    }
    for withheld in plan.withheld.iter().take(SHOWN) {
        out.note(&format!(
            "  ! withheld: {} {}",
            withheld.subject, withheld.what
        ));
        out.faint(&format!("      {}", withheld.reason));
    }
    if plan.withheld.len() > SHOWN {
        out.note(&format!(
            "  ! and {} more withheld",
            plan.withheld.len() - SHOWN
        ));
    }
    show_verdicts(out, &plan.money.verdicts);
    if !plan.is_empty() {
        let money_of = &plan.money;
        let first = money(&money_of.cost_by_first_choice);
        let most = money(&plan.cost_after);
        let after = if first == most {
            format!("at most {most} afterwards")
        } else {
            format!("afterwards {first} with the first offers, at most {most}")
        };
        let unknown = match (money_of.unpriced_now, money_of.unpriced_after) {
            (0, 0) => String::new(),
            (now, after) => {
                format!("; machines of unknown price are not in it: {now} now, {after} afterwards")
            }
        };
        out.note(&format!(
            "  cost: {} now, {after}{unknown}",
            money(&plan.cost_now)
        ));
    }
    show_budgets(out, &plan.money.budgets, !plan.is_empty());
}

/// What budgets left out or warn of. What they withhold is among what is withheld.
fn show_verdicts(out: Out, verdicts: &[BudgetVerdict]) {
    for verdict in verdicts {
        let pool = &verdict.pool;
        match verdict.outcome {
            BudgetOutcome::Warned => {
                out.note(&format!("  ! over budget: pool {pool}: {}", verdict.reason));
            }
            BudgetOutcome::Narrowed => {
                let dropped = count(verdict.dropped.len(), "offer");
                out.note(&format!(
                    "  . pool {pool}: {dropped} left out for the budget"
                ));
            }
            BudgetOutcome::Shrunk | BudgetOutcome::Blocked | BudgetOutcome::Exceeded => {}
        }
        for dropped in verdict.dropped.iter().take(SHOWN) {
            out.faint(&format!("      not {}: {}", dropped.offer, dropped.why));
        }
    }
}

/// Where budgets stand. `changes`: a plan may change that.
pub(crate) fn show_budgets(out: Out, budgets: &[BudgetLine], changes: bool) {
    for line in budgets {
        out.note(&format!("  {}", budget(line, changes)));
        if line.is_exceeded() {
            let then = match line.action {
                BudgetAction::Warn => "it only warns, so machines are made all the same",
                BudgetAction::Block | BudgetAction::Shrink => "nothing more is made",
            };
            error_line(&format!("{}; {then}", exceeded(line)));
        }
    }
}

/// A limit of a budget in a sentence.
fn budget(line: &BudgetLine, changes: bool) -> String {
    let (whose, limit) = (line.whose(), line.period.say(line.limit));
    let (now, after, left) = (line.now, line.after, line.left);
    let unit = match line.period {
        Period::Hour => "/h",
        Period::Month => "",
    };
    let stands = match line.spent {
        Some(spent) => format!("{spent} spent this month, {now} by its end"),
        None => format!("{now}{unit} now"),
    };
    let then = if changes {
        format!(", at most {after}{unit} with this plan")
    } else {
        String::new()
    };
    let mut text = format!("{whose}: {limit}; {stands}{then}; {left}{unit} left");
    for (machines, why) in [
        (line.unpriced, "of unknown price"),
        (line.other_currency, "in another currency"),
    ] {
        if machines > 0 {
            let machines = count(usize::try_from(machines).unwrap_or(usize::MAX), "machine");
            text = format!("{text}, not counting {machines} {why}");
        }
    }
    text
}

/// An action with the name of its node, which says more than the id.
fn describe(action: &Action, records: &[NodeRecord]) -> String {
    let name = match action {
        Action::Delete { node } => records
            .iter()
            .find(|record| record.id == *node)
            .map(|record| &record.name),
        _ => None,
    };
    match name {
        Some(name) => format!("{action} (`{name}`)"),
        None => action.to_string(),
    }
}

fn show_offers(out: Out, count: u32, offers: &[fleetwright_core::Offer]) {
    let Some(first) = offers.first() else { return };
    let price = first.price.map_or_else(
        || "price unknown".to_owned(),
        |price: HourlyPrice| format!("{price} each, {} together", price.times(count)),
    );
    let rest = offers.len() - 1;
    let fallback = match rest {
        0 => "no other offer to fall back on".to_owned(),
        1 => "1 other offer to fall back on".to_owned(),
        _ => format!("{rest} other offers to fall back on"),
    };
    out.faint(&format!("      {price}; {fallback}"));
}

const fn sign(action: &Action) -> &'static str {
    match action {
        Action::Create { .. } | Action::Adopt { .. } => "+",
        Action::Delete { .. } => "-",
        Action::Resolve { .. } => "?",
        Action::Register { .. } | Action::Drain { .. } => "~",
    }
}
