//! Disruption budgets: how many machines of a group may be disturbed at an instant.
//!
//! Of the budgets that hold the tightest counts, as for Karpenter's node pools:
//! <https://karpenter.sh/docs/concepts/disruption/#nodepool-disruption-budgets>.

use fleetwright_core::{Disruption, DisruptionBudget, Portion};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::cron::Cron;

/// How many machines may be disturbed, and which budget says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Allowance {
    /// How many at the same time.
    pub nodes: usize,
    /// Which budget that is, in words.
    pub why: String,
}

/// How many of `all` machines may be disturbed now. A budget whose schedule cannot be read allows
/// none: the configuration was checked, so this is not reached by a file.
pub fn allowance(disruption: &Disruption, all: usize, now: Timestamp) -> Allowance {
    let holding = disruption
        .budgets
        .iter()
        .filter_map(|budget| match window(budget, now) {
            Window::Closed => None,
            Window::Open(when) => Some(Allowance {
                nodes: budget.nodes.rounded_up(all),
                why: format!("at most {} of {all} at once{when}", budget.nodes),
            }),
            Window::Unreadable(why) => Some(Allowance { nodes: 0, why }),
        });
    holding
        .min_by_key(|allowed| allowed.nodes)
        .unwrap_or(Allowance {
            nodes: usize::MAX,
            why: "no budget holds now".to_owned(),
        })
}

/// Whether so many machines that cannot be reached or are not healthy are too many: then something
/// else is wrong, and healing one by one would only destroy.
pub fn are_too_many(disruption: &Disruption, bad: usize, all: usize) -> bool {
    let share = disruption.max_unhealthy;
    let some = !matches!(share, Portion::Number(0) | Portion::Percent(0));
    // A share of a small group rounds down to none, and one machine may always be mended.
    bad > share.rounded_down(all).max(usize::from(some))
}

/// Whether a budget holds at a time.
enum Window {
    /// It does not.
    Closed,
    /// It does; which window that is, in words.
    Open(String),
    /// Nobody can say, and why.
    Unreadable(String),
}

fn window(budget: &DisruptionBudget, now: Timestamp) -> Window {
    let Some(schedule) = &budget.schedule else {
        return Window::Open(String::new());
    };
    let (Ok(cron), Some(duration)) = (schedule.parse::<Cron>(), budget.duration) else {
        let why = format!("none, as the schedule `{schedule}` of a budget cannot be read");
        return Window::Unreadable(why);
    };
    let zone = (budget.time_zone.as_ref()).map_or(TimeZone::UTC, |zone| zone.rules().clone());
    match cron.open_since(&zone, now, duration.0) {
        Some(_) => Window::Open(format!(" for {duration} from `{schedule}`")),
        None => Window::Closed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disruption(text: &str) -> Disruption {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn of_the_budgets_that_hold_the_tightest_counts() {
        let policy = disruption(
            r#"{ "budgets": [
                { "nodes": "30%" },
                { "nodes": "0", "schedule": "0 9 * * mon-fri", "duration": "8h" },
                { "nodes": "2", "schedule": "0 0 * * *", "duration": "23h" }
            ] }"#,
        );
        for (now, nodes) in [
            ("2026-11-25T10:00:00Z", 0),
            ("2026-11-25T18:00:00Z", 2),
            ("2026-11-25T23:30:00Z", 3),
        ] {
            let allowed = allowance(&policy, 10, now.parse().unwrap());
            assert_eq!(allowed.nodes, nodes, "{now}: {}", allowed.why);
        }
        let none = disruption(r#"{ "budgets": [] }"#);
        assert_eq!(
            allowance(&none, 10, Timestamp::UNIX_EPOCH).nodes,
            usize::MAX
        );
        // A schedule that cannot be read brakes; it never lets go.
        let odd = disruption(r#"{ "budgets": [{ "nodes": "50%", "schedule": "soon" }] }"#);
        assert_eq!(allowance(&odd, 10, Timestamp::UNIX_EPOCH).nodes, 0);
    }

    #[test]
    fn one_machine_of_a_small_group_is_never_too_many_unless_none_may_be() {
        let half = disruption("{}");
        assert!(!are_too_many(&half, 1, 1));
        assert!(!are_too_many(&half, 5, 10));
        assert!(are_too_many(&half, 6, 10));
        assert!(are_too_many(
            &disruption(r#"{ "max_unhealthy": "0" }"#),
            1,
            10
        ));
    }
}
