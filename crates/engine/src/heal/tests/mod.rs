//! The planner of heals against all kinds of groups: what never happens, and what does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fleetwright_core::{
    Access, Case, CaseEnding, Disruption, DisruptionBudget, Finding, Freeze, HealAction,
    HealAttempt, HealEnd, HealResult, Healing, Health, NodeId, Pool, Portion, Probe, RungLimits,
    Severity, Span, Subject, Target, TargetGroupName, TargetOrigin, Verdict,
};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::diagnose::close;
use super::{
    GroupState, HealPlan, HealSituation, HealthVerdict, Hold, Reach, Sight, TargetState, allowance,
    are_too_many, diagnose, prescribe,
};
use crate::Fleet;

const NOW: i64 = 1_790_000_000;
const LIMIT: Duration = Duration::from_mins(5);
const GAP: Duration = Duration::from_mins(2);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(NOW + seconds).unwrap()
}

fn web() -> TargetGroupName {
    TargetGroupName::Pool("web".into())
}

fn target(number: usize) -> Target {
    Target {
        name: format!("web-{number:02}"),
        access: Access {
            host: format!("10.0.0.{number}"),
            port: 22,
            user: "root".into(),
            host_keys: Vec::new(),
        },
        group: Some(web()),
        node: Some(format!("sim/east/i-{number}").parse::<NodeId>().unwrap()),
        origins: vec![TargetOrigin::Pool { pool: "web".into() }],
        labels: BTreeMap::new(),
    }
}

/// How a machine is, in a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Right,
    Drifted,
    /// For so many seconds.
    Silent(i64),
    Sick,
    Cordoned,
    /// It answers, and the probe could not be measured.
    Unmeasured,
    /// It could not be tried.
    Unseen,
}

fn state(number: usize, is: Is) -> TargetState {
    let verdict = match is {
        Is::Drifted => Verdict::Differs {
            reason: "old".into(),
        },
        Is::Unmeasured => Verdict::Unknown {
            reason: "no `sh`".into(),
        },
        _ => Verdict::Agrees,
    };
    let reached = !matches!(is, Is::Silent(_) | Is::Unseen);
    let finding = Finding {
        probe: "version".into(),
        severity: Severity::High,
        expected: Some("new".into()),
        actual: None,
        verdict,
        at: at(0),
        since: at(0),
    };
    TargetState {
        target: target(number),
        reach: match is {
            Is::Silent(_) => Reach::Unreachable {
                reason: "no answer".into(),
            },
            Is::Unseen => Reach::Unknown {
                reason: "no key".into(),
            },
            _ => Reach::Reached,
        },
        findings: if reached { vec![finding] } else { Vec::new() },
        health: match is {
            Is::Sick => HealthVerdict::Unhealthy {
                reason: "no GPU".into(),
            },
            Is::Unseen | Is::Silent(_) => HealthVerdict::Unknown,
            _ => HealthVerdict::Healthy,
        },
        absence: (is == Is::Cordoned).then(|| "it is cordoned".to_owned()),
    }
}

fn healing() -> Healing {
    serde_json::from_value(json!({
        "redeploy": "redeploy",
        "rollback": "rollback",
        "high": ["notify", "fix", "redeploy", "rollback", "reboot", "replace"],
        "unreachable": ["notify", "replace"],
        "unhealthy": ["notify", "reboot", "replace"],
    }))
    .unwrap()
}

fn fleet(disruption: Disruption) -> Fleet {
    let probe: Probe = serde_json::from_value(json!({
        "name": "version",
        "severity": "high",
        "check": { "command": { "run": "version" } },
        "fix": "fix",
    }))
    .unwrap();
    let pool = Pool {
        probes: vec![probe],
        healing: healing(),
        disruption,
        health: Health {
            unreachable_for: Span(LIMIT),
            ..Health::default()
        },
        ..Pool::default()
    };
    Fleet {
        pools: [("web".to_owned(), pool)].into(),
        ..Fleet::default()
    }
}

fn sight(all: &[Is]) -> Sight {
    Sight {
        at: at(0),
        states: all
            .iter()
            .enumerate()
            .map(|(number, is)| state(number, *is))
            .collect(),
        ..Sight::default()
    }
}

/// The cases of machines that are like this for some time.
fn cases(sight: &Sight, all: &[Is]) -> Vec<Case> {
    let mut open = diagnose(Vec::new(), sight, GAP).open;
    for case in &mut open {
        let number: usize = case.target.rsplit('-').next().unwrap().parse().unwrap();
        if let Is::Silent(seconds) = all[number] {
            case.since = at(-seconds);
            case.opened_at = case.since;
        }
    }
    open
}

fn attempt(action: HealAction, began: i64, ended: Option<(i64, HealResult)>) -> HealAttempt {
    HealAttempt {
        action,
        began_at: at(began),
        boot_id: None,
        end: ended.map(|(seconds, result)| HealEnd {
            at: at(seconds),
            result,
            reason: String::new(),
        }),
    }
}

fn plan_of(fleet: &Fleet, sight: &Sight, open: &[Case], closed: &[Case]) -> HealPlan {
    prescribe(&HealSituation {
        fleet,
        sight,
        open,
        closed,
        freezes: &[],
    })
}

/// What is done apart from telling, and to whom.
fn done(plan: &HealPlan) -> Vec<(String, HealAction)> {
    let steps = plan.steps.iter().filter(|step| step.action.disturbs());
    steps
        .map(|step| (step.target.clone(), step.action))
        .collect()
}

fn free() -> Disruption {
    Disruption {
        budgets: Vec::new(),
        canary: 0,
        ..Disruption::default()
    }
}

#[test]
fn the_rungs_of_a_ladder_are_taken_in_order_as_often_as_they_may_with_pauses() {
    use HealAction::{Fix, Notify, Reboot, Redeploy, Replace, Rollback};
    let fleet = fleet(free());
    let all = [Is::Drifted, Is::Right];
    let mut sight = sight(&all);
    let mut open = cases(&sight, &all);
    let mut taken: Vec<(i64, HealAction)> = Vec::new();
    for second in (0..3600).step_by(10) {
        sight.at = at(second);
        open[0].seen_at = sight.at;
        for step in &plan_of(&fleet, &sight, &open, &[]).steps {
            taken.push((second, step.action));
            open[0].attempts.push(attempt(
                step.action,
                second,
                Some((second, HealResult::Failed)),
            ));
        }
    }
    assert_eq!(
        taken,
        [
            (0, Notify),
            (0, Fix),
            (30, Fix),
            (40, Redeploy),
            (70, Redeploy),
            (80, Rollback),
            (110, Rollback),
            (120, Reboot),
            (150, Reboot),
            (160, Replace),
            (190, Replace),
        ]
    );
    let held = &plan_of(&fleet, &sight, &open, &[]).held[0];
    assert_eq!(held.hold, Hold::Exhausted);
    assert!(
        held.reason.contains("fix: tried 2 times"),
        "{}",
        held.reason
    );
}

#[test]
fn what_was_done_in_a_former_case_is_not_done_again_before_it_has_cooled_down() {
    let fleet = fleet(free());
    let all = [Is::Drifted, Is::Right];
    let sight = sight(&all);
    let open = cases(&sight, &all);
    let mut former = open[0].clone();
    former.attempts.push(attempt(
        HealAction::Fix,
        -200,
        Some((-190, HealResult::Healed)),
    ));
    close(&mut former, at(-190), CaseEnding::Healed, String::new());
    let plan = plan_of(&fleet, &sight, &open, std::slice::from_ref(&former));
    assert!(done(&plan).is_empty());
    assert_eq!(plan.held[0].hold, Hold::BackOff);
    former.attempts[0] = attempt(HealAction::Fix, -700, Some((-600, HealResult::Healed)));
    let plan = plan_of(&fleet, &sight, &open, &[former]);
    assert_eq!(done(&plan), [("web-00".to_owned(), HealAction::Fix)]);
}

#[test]
fn the_canary_comes_first_and_the_others_follow_when_it_has_helped() {
    let fleet = fleet(Disruption {
        canary: 1,
        ..free()
    });
    let all = [Is::Drifted; 5];
    let sight = sight(&all);
    let mut open = cases(&sight, &all);
    let plan = plan_of(&fleet, &sight, &open, &[]);
    assert_eq!(done(&plan).len(), 1);
    assert_eq!(
        plan.held
            .iter()
            .filter(|held| held.hold == Hold::Canary)
            .count(),
        4
    );
    // While it is at work, or has not helped, they wait.
    open[0].attempts.push(attempt(
        HealAction::Fix,
        -90,
        Some((-80, HealResult::Failed)),
    ));
    assert_eq!(done(&plan_of(&fleet, &sight, &open, &[])).len(), 1);
    let mut healed = open.remove(0);
    healed.attempts.push(attempt(HealAction::Fix, -20, None));
    close(&mut healed, at(-5), CaseEnding::Healed, String::new());
    assert_eq!(
        done(&plan_of(&fleet, &sight, &open, &[healed.clone()])).len(),
        4
    );
    // What has come right by itself shows nothing, and what was long ago neither.
    healed.closed.as_mut().unwrap().how = CaseEnding::Recovered;
    assert_eq!(
        done(&plan_of(&fleet, &sight, &open, &[healed.clone()])).len(),
        1
    );
    close(&mut healed, at(-4000), CaseEnding::Healed, String::new());
    assert_eq!(done(&plan_of(&fleet, &sight, &open, &[healed])).len(), 1);
}

#[test]
fn one_that_nothing_helps_does_not_keep_the_others_waiting_for_ever() {
    let fleet = fleet(Disruption {
        canary: 1,
        ..free()
    });
    let all = [Is::Drifted; 3];
    let sight = sight(&all);
    let mut open = cases(&sight, &all);
    let used_up = |seconds: i64| {
        HealAction::all_rungs().flat_map(move |action| {
            let one = attempt(action, seconds, Some((seconds, HealResult::Failed)));
            [one.clone(), one]
        })
    };
    open[0].attempts = used_up(-60).collect();
    assert!(done(&plan_of(&fleet, &sight, &open, &[])).is_empty());
    open[0].attempts = used_up(-601).collect();
    assert_eq!(done(&plan_of(&fleet, &sight, &open, &[])).len(), 1);
}

trait AllRungs {
    fn all_rungs() -> impl Iterator<Item = HealAction>;
}

impl AllRungs for HealAction {
    fn all_rungs() -> impl Iterator<Item = Self> {
        [
            Self::Fix,
            Self::Redeploy,
            Self::Rollback,
            Self::Reboot,
            Self::Replace,
        ]
        .into_iter()
    }
}

#[test]
fn time_in_which_nobody_looked_does_not_count_as_out_of_reach() {
    let all = [Is::Silent(0), Is::Right];
    let mut sight = sight(&all);
    let open = cases(&sight, &all);
    sight.at = at(100);
    let found = diagnose(open, &sight, GAP);
    assert_eq!(found.open[0].since, at(0));
    sight.at = at(100 + 121);
    let found = diagnose(found.open, &sight, GAP);
    assert_eq!(
        (found.open[0].since, found.open[0].opened_at),
        (at(221), at(0))
    );
    assert!(found.opened.is_empty());
}

#[test]
fn a_case_is_closed_by_what_is_measured_and_never_by_what_is_not() {
    let all = [Is::Drifted];
    let drifted = sight(&all);
    let open = cases(&drifted, &all);
    for (is, closed) in [
        (Is::Unmeasured, None),
        (Is::Unseen, None),
        (Is::Silent(0), None),
        (Is::Right, Some(CaseEnding::Recovered)),
    ] {
        let found = diagnose(open.clone(), &sight(&[is]), GAP);
        let of_drift = found
            .closed
            .iter()
            .find(|case| matches!(case.subject, Subject::Drift { .. }));
        let how = of_drift
            .and_then(|case| case.closed.as_ref())
            .map(|end| end.how);
        assert_eq!(how, closed, "{is:?}");
    }
    // A machine that is not there is gone only if its group was seen in full.
    let mut nobody = sight(&[]);
    let blind = GroupState {
        missing: 0,
        blind: Some("no answer".into()),
    };
    nobody.groups.insert(web(), blind);
    assert!(diagnose(open.clone(), &nobody, GAP).closed.is_empty());
    nobody.groups.clear();
    assert_eq!(
        diagnose(open, &nobody, GAP).closed[0]
            .closed
            .as_ref()
            .unwrap()
            .how,
        CaseEnding::Left
    );
}

fn any_state() -> impl Strategy<Value = Is> {
    prop_oneof![
        4 => Just(Is::Right),
        4 => Just(Is::Drifted),
        2 => (0..900_i64).prop_map(Is::Silent),
        1 => Just(Is::Sick),
        1 => Just(Is::Cordoned),
        1 => Just(Is::Unmeasured),
        1 => Just(Is::Unseen),
    ]
}

fn any_portion() -> impl Strategy<Value = Portion> {
    prop_oneof![
        (0..6_u32).prop_map(Portion::Number),
        (0..=100_u8).prop_map(Portion::Percent),
    ]
}

fn any_disruption() -> impl Strategy<Value = Disruption> {
    (
        prop::collection::vec(any_portion(), 0..3),
        any_portion(),
        0..3_u32,
    )
        .prop_map(|(budgets, max_unhealthy, canary)| Disruption {
            budgets: (budgets.into_iter())
                .map(|nodes| DisruptionBudget {
                    nodes,
                    schedule: None,
                    duration: None,
                    time_zone: None,
                })
                .collect(),
            max_unhealthy,
            canary,
            replace_first: true,
        })
}

/// For some machines an attempt at a rung, begun so many seconds ago; ended or not.
fn any_attempts() -> impl Strategy<Value = Vec<(usize, usize, i64, bool)>> {
    prop::collection::vec((0..12_usize, 0..5_usize, 1..2000_i64, any::<bool>()), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_is_done_that_may_not_be(
        all in prop::collection::vec(any_state(), 1..12),
        disruption in any_disruption(),
        tried in any_attempts(),
        missing in 0..3_usize,
        frozen in any::<bool>(),
    ) {
        let fleet = fleet(disruption.clone());
        let mut sight = sight(&all);
        sight.groups.insert(web(), GroupState { missing, blind: None });
        let mut open = cases(&sight, &all);
        let rungs: Vec<HealAction> = HealAction::all_rungs().collect();
        for (number, rung, ago, ended) in tried {
            let name = format!("web-{number:02}");
            let busy = open.iter().any(|c| c.target == name && c.running().is_some());
            if let Some(case) = open.iter_mut().find(|case| case.target == name && !busy) {
                let ended = ended.then_some((-ago, HealResult::Failed));
                case.attempts.push(attempt(rungs[rung], -ago, ended));
            }
        }
        let freeze = Freeze { group: None, since: at(0), until: None, reason: None };
        let freezes = if frozen { vec![freeze] } else { Vec::new() };
        let situation = HealSituation {
            fleet: &fleet, sight: &sight, open: &open, closed: &[], freezes: &freezes,
        };
        let plan = prescribe(&situation);
        prop_assert_eq!(&plan, &prescribe(&situation), "the same question has the same answer");

        let steps: Vec<_> = plan.steps.iter().filter(|step| step.action.disturbs()).collect();
        if frozen {
            prop_assert!(steps.is_empty());
        }
        let size = all.len() + missing;
        let bad = sight.states.iter().filter(|state| state.is_bad()).count();
        if are_too_many(&disruption, bad, size) {
            prop_assert!(steps.is_empty());
        }
        // The budget, however it is counted.
        let allowed = allowance(&disruption, size, sight.at).nodes;
        let running: BTreeSet<String> = open.iter()
            .filter(|case| case.running().is_some())
            .map(|case| case.target.clone())
            .collect();
        let new: BTreeSet<String> = steps.iter().map(|step| step.target.clone()).collect();
        prop_assert_eq!(new.len(), steps.len(), "two steps at once on one machine");
        prop_assert!(new.is_disjoint(&running));
        if !new.is_empty() {
            prop_assert!(running.len() + new.len() <= allowed);
        }
        let down: BTreeSet<String> = sight.states.iter()
            .filter(|state| state.is_down())
            .map(|state| state.target.name.clone())
            .collect();
        let disturbed: BTreeSet<String> = down.union(&running).chain(&new).cloned().collect();
        if new.iter().any(|name| !down.contains(name)) {
            prop_assert!(disturbed.len() + missing <= allowed);
        }
        // Canaries.
        if disruption.canary > 0 {
            let untried = |case: &Case| !case.was_treated();
            for subject in open.iter().map(|case| &case.subject).collect::<BTreeSet<_>>() {
                let first = steps.iter().filter(|step| step.subject == *subject).filter(|step| {
                    open.iter().any(|case| case.id == step.case && untried(case))
                });
                let wanted = usize::try_from(disruption.canary).unwrap();
                prop_assert!(first.count() <= wanted);
            }
        }
        for step in &steps {
            let case = open.iter().find(|case| case.id == step.case).unwrap();
            let state = sight.states.iter().find(|s| s.target.name == step.target).unwrap();
            // Unknown never heals.
            let known = !matches!(state.reach, Reach::Unknown { .. });
            prop_assert!(known);
            match &case.subject {
                Subject::Unreachable => {
                    prop_assert_eq!(step.action, HealAction::Replace);
                    let waited = sight.at.duration_since(case.since);
                    prop_assert!(waited.unsigned_abs() >= LIMIT, "too early");
                }
                Subject::Unhealthy => {
                    let is_sick = matches!(state.health, HealthVerdict::Unhealthy { .. });
                    prop_assert!(is_sick);
                }
                Subject::Drift { .. } => {
                    prop_assert!(state.findings.iter().any(|finding| finding.verdict.is_drift()));
                }
            }
            // Attempts are bounded, and a rung is taken only when those before it are used up.
            let healing = healing();
            let ladder = match case.subject {
                Subject::Unreachable => &healing.unreachable,
                Subject::Unhealthy => &healing.unhealthy,
                Subject::Drift { .. } => &healing.high,
            };
            let limits = RungLimits::default();
            let made = |action| u32::try_from(case.attempts_at(action).count()).unwrap();
            prop_assert!(made(step.action) < limits.attempts);
            for before in ladder.iter().take_while(|rung| **rung != step.action) {
                prop_assert!(*before == HealAction::Notify || made(*before) >= limits.attempts);
            }
        }
        // Every open case is either acted on or has a reason not to be.
        for case in &open {
            let acted = plan.steps.iter().any(|step| step.case == case.id);
            let held = plan.held.iter().any(|held| held.case == case.id);
            prop_assert!(acted || held, "{:?} is forgotten", case);
        }
    }
}
