//! A plan for people to read.

use std::collections::BTreeMap;

use fleetwright_core::{Action, HourlyPrice, NodeRecord, Plan, Step};

use crate::output::{Out, money};

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
    if !plan.is_empty() {
        out.note(&format!(
            "  cost: {} now, at most {} afterwards",
            money(&plan.cost_now),
            money(&plan.cost_after)
        ));
    }
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
