//! Checks what a pool or targets say about healing and its brakes.

use fleetwright_core::{Disruption, HealAction, Healing, Portion, Probe, Severity};
use fleetwright_engine::Cron;

use super::source::Problem;

/// Longest window: a longer one would be open all the time with most schedules.
const LONGEST_WINDOW_HOURS: u64 = 24 * 31;

/// What is wrong, with the keys below the table that the policies belong to. `owned`: whether the
/// machines are ours to replace.
pub(super) fn problems(
    healing: &Healing,
    disruption: &Disruption,
    probes: &[Probe],
    owned: bool,
) -> Vec<(String, Problem)> {
    let mut found = Vec::new();
    for (at, budget) in disruption.budgets.iter().enumerate() {
        let key = format!("disruption.budgets[{at}]");
        let Some(schedule) = &budget.schedule else {
            for (name, given) in [
                ("duration", budget.duration.is_some()),
                ("time_zone", budget.time_zone.is_some()),
            ] {
                if given {
                    let problem = Problem::new(format!("`{name}` needs a `schedule`"))
                        .with_hint("a budget without one always holds");
                    found.push((format!("{key}.{name}"), problem));
                }
            }
            continue;
        };
        if let Err(error) = schedule.parse::<Cron>() {
            found.push((format!("{key}.schedule"), Problem::from_error(&error)));
        }
        match budget.duration {
            None => {
                let problem = Problem::new("a budget with a `schedule` needs a `duration`")
                    .with_hint("say how long it holds each time, e.g. `duration = \"8h\"`");
                found.push((format!("{key}.schedule"), problem));
            }
            Some(duration) if duration.0.is_zero() => {
                let problem = Problem::new("`duration` must be more than 0s");
                found.push((format!("{key}.duration"), problem));
            }
            Some(duration) if duration.0.as_secs() > LONGEST_WINDOW_HOURS * 3600 => {
                let problem = Problem::new("`duration` must not be longer than 31 days")
                    .with_hint("leave `schedule` out for a budget that always holds");
                found.push((format!("{key}.duration"), problem));
            }
            Some(_) => {}
        }
    }
    if let Portion::Number(0) | Portion::Percent(0) = disruption.max_unhealthy {
        let problem = Problem::new("with `max_unhealthy` at 0 nothing that is ill is ever healed")
            .with_hint("write at least `1`, or leave the healing out");
        found.push(("disruption.max_unhealthy".to_owned(), problem));
    }
    found.extend(ladders(healing, probes, owned));
    for (action, limits) in &healing.limits {
        if limits.attempts == 0 {
            let problem = Problem::new("`attempts` must be at least 1")
                .with_hint("a rung that is not to be taken is left out of the ladder");
            found.push((format!("healing.limits.{action}.attempts"), problem));
        }
    }
    found
}

/// Rungs that can never be taken.
fn ladders(healing: &Healing, probes: &[Probe], owned: bool) -> Vec<(String, Problem)> {
    let named = Severity::ALL.map(|severity| (severity.as_str(), healing.ladder(severity)));
    let others = [
        ("unreachable", healing.unreachable.as_slice()),
        ("unhealthy", healing.unhealthy.as_slice()),
    ];
    let defaults = Healing::default();
    let is_default = |name: &str, ladder: &[HealAction]| match name {
        "unreachable" => ladder == defaults.unreachable,
        "unhealthy" => ladder == defaults.unhealthy,
        name => Severity::ALL
            .into_iter()
            .any(|severity| severity.as_str() == name && defaults.ladder(severity) == ladder),
    };
    let has_fix = probes.iter().any(|probe| probe.fix.is_some());
    let mut found = Vec::new();
    for (name, ladder) in named.into_iter().chain(others) {
        // What nobody has written is not complained about: those rungs are left out.
        if is_default(name, ladder) {
            continue;
        }
        for action in ladder {
            let drifts = !matches!(name, "unreachable" | "unhealthy");
            let why = match action {
                HealAction::Redeploy if healing.redeploy.is_none() => {
                    Some("`redeploy` is a rung, and no `healing.redeploy` says how")
                }
                HealAction::Rollback if healing.rollback.is_none() => {
                    Some("`rollback` is a rung, and no `healing.rollback` says how")
                }
                HealAction::Fix if !drifts => Some("only probes have a `fix`"),
                HealAction::Fix if !has_fix => Some("`fix` is a rung, and no probe has a `fix`"),
                HealAction::Replace if !owned => {
                    Some("only nodes of pools can be replaced: these machines are not ours")
                }
                HealAction::Fix
                | HealAction::Redeploy
                | HealAction::Rollback
                | HealAction::Reboot
                    if name == "unreachable" =>
                {
                    Some("nothing can be run on a machine that cannot be reached")
                }
                _ => None,
            };
            if let Some(why) = why {
                found.push((format!("healing.{name}"), Problem::new(why)));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(healing: &str, disruption: &str, owned: bool) -> Vec<String> {
        let healing: Healing = serde_json::from_str(healing).expect("it is a policy");
        let disruption: Disruption = serde_json::from_str(disruption).expect("it is a policy");
        let found = problems(&healing, &disruption, &[], owned);
        found.into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn what_can_never_work_is_told_where_it_stands() {
        assert!(keys("{}", "{}", true).is_empty());
        for (healing, disruption, key) in [
            (
                "{}",
                r#"{"budgets":[{"nodes":"1","schedule":"soon","duration":"1h"}]}"#,
                "disruption.budgets[0].schedule",
            ),
            (
                "{}",
                r#"{"budgets":[{"nodes":"1","schedule":"0 9 * * *"}]}"#,
                "disruption.budgets[0].schedule",
            ),
            (
                "{}",
                r#"{"budgets":[{"nodes":"1","duration":"1h"}]}"#,
                "disruption.budgets[0].duration",
            ),
            (
                "{}",
                r#"{"max_unhealthy":"0%"}"#,
                "disruption.max_unhealthy",
            ),
            (r#"{"high":["rollback"]}"#, "{}", "healing.high"),
            (r#"{"high":["fix"]}"#, "{}", "healing.high"),
            (r#"{"unreachable":["reboot"]}"#, "{}", "healing.unreachable"),
            (
                r#"{"limits":{"fix":{"attempts":0}}}"#,
                "{}",
                "healing.limits.fix.attempts",
            ),
        ] {
            assert_eq!(
                keys(healing, disruption, true),
                [key],
                "{healing} {disruption}"
            );
        }
        let replace = r#"{"critical":["replace"]}"#;
        assert!(keys(replace, "{}", true).is_empty());
        assert_eq!(keys(replace, "{}", false), ["healing.critical"]);
    }
}
