//! A plan as a text.

use std::fmt::Write as _;

use fleetwright_core::{Action, HourlyPrice, Plan};

/// A plan as text: a step per line with its reason, offers indented below.
pub(super) fn show(plan: &Plan) -> String {
    let mut text = String::new();
    for step in &plan.steps {
        let what = match &step.action {
            Action::Create { pool, count, .. } => format!("create {count} in pool {pool}"),
            Action::Resolve { claim, .. } => {
                let id = claim.to_string();
                let number = id.rsplit('-').next().unwrap().trim_start_matches('0');
                format!("resolve claim {number}")
            }
            other => other.to_string(),
        };
        writeln!(text, "{what}: {}", step.reason).unwrap();
        if let Action::Create { offers, .. } = &step.action {
            for offer in offers {
                writeln!(text, "    {} ({})", offer.label(), offer.reason).unwrap();
            }
        }
    }
    for withheld in &plan.withheld {
        let (subject, what) = (&withheld.subject, &withheld.what);
        writeln!(text, "withheld, {subject}, {what}: {}", withheld.reason).unwrap();
    }
    if let Some(brake) = &plan.brake {
        writeln!(text, "brake: {brake}").unwrap();
    }
    let sum = |prices: &[HourlyPrice]| {
        let all: Vec<String> = prices.iter().map(ToString::to_string).collect();
        if all.is_empty() {
            return "nothing".to_owned();
        }
        all.join(" + ")
    };
    if plan.cost_now != plan.cost_after {
        let (now, after) = (sum(&plan.cost_now), sum(&plan.cost_after));
        writeln!(text, "cost: {now} -> {after}").unwrap();
    }
    for line in &plan.money.budgets {
        let whose = line.pool.as_deref().unwrap_or("*");
        let limit = line.period.say(line.limit);
        let (now, after, left) = (line.now, line.after, line.left);
        let spent = line
            .spent
            .map_or_else(String::new, |spent| format!("{spent} spent, "));
        let more = [
            (line.unpriced, "unpriced"),
            (line.other_currency, "in another currency"),
        ];
        let more: Vec<String> = more
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!(", {count} {what}"))
            .collect();
        let more = more.concat();
        writeln!(
            text,
            "budget {whose}, {limit}: {spent}{now} -> {after}, {left} left{more}"
        )
        .unwrap();
    }
    for verdict in &plan.money.verdicts {
        let (admitted, wanted) = (verdict.admitted, verdict.wanted);
        let (pool, outcome, why) = (&verdict.pool, verdict.outcome, &verdict.reason);
        writeln!(text, "{outcome} {pool}, {admitted} of {wanted}: {why}").unwrap();
        for dropped in &verdict.dropped {
            writeln!(text, "    not {}: {}", dropped.offer, dropped.why).unwrap();
        }
    }
    if text.is_empty() {
        text.push_str("nothing to do\n");
    }
    text
}
