//! Diagnosis: what was seen opens cases, keeps them open, and closes them. Pure.
//!
//! | seen | follows |
//! |---|---|
//! | a probe differs, a machine does not answer or is not healthy | its case is opened, or goes on |
//! | the opposite, measured | its case is closed |
//! | nobody knows | nothing |

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fleetwright_core::{
    Case, CaseEnd, CaseEnding, HealAction, HealEnd, HealResult, Severity, Subject, Target, Verdict,
    fingerprint,
};
use jiff::Timestamp;
use uuid::Uuid;

use super::sight::{HealthVerdict, Reach, Sight, TargetState, key};
use crate::life::elapsed;

/// How a round's cases differ from what was known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// All open cases, those included that are new.
    pub open: Vec<Case>,
    /// Cases that are closed now.
    pub closed: Vec<Case>,
    /// Of the open ones, which are new.
    pub opened: BTreeSet<Uuid>,
}

/// Takes in what was seen. After a pause longer than `gap` nobody knows whether a machine was
/// unreachable all the time, so the time for that begins anew.
pub fn diagnose(known: Vec<Case>, sight: &Sight, gap: Duration) -> Diagnosis {
    let states: BTreeMap<String, &TargetState> = sight
        .states
        .iter()
        .map(|state| (state.key(), state))
        .collect();
    let mut found = Diagnosis::default();
    let mut seen: BTreeSet<(String, Subject)> = BTreeSet::new();
    for mut case in known.into_iter().filter(Case::is_open) {
        let Some(state) = states.get(&case.key) else {
            if let Some((how, reason)) = absent(&case, sight) {
                close(&mut case, sight.at, how, reason);
                found.closed.push(case);
            } else {
                found.open.push(case);
            }
            continue;
        };
        seen.insert((case.key.clone(), case.subject.clone()));
        case.target.clone_from(&state.target.name);
        case.group.clone_from(&state.target.group);
        match judge(&case.subject, state) {
            Judgment::Wrong { severity, reason } => {
                if elapsed(case.seen_at, sight.at) > gap {
                    case.since = sight.at;
                }
                case.severity = severity;
                case.reason = reason;
                case.seen_at = sight.at;
                found.open.push(case);
            }
            // What is on its way is brought to its end first.
            Judgment::Right { .. } if case.running().is_some() => found.open.push(case),
            Judgment::Right { how, reason } => {
                let how = how.unwrap_or_else(|| ending(&case));
                close(&mut case, sight.at, how, reason);
                found.closed.push(case);
            }
            Judgment::Unknown => found.open.push(case),
        }
    }
    for (key, state) in &states {
        for subject in subjects(state) {
            if seen.contains(&(key.clone(), subject.clone())) {
                continue;
            }
            if let Judgment::Wrong { severity, reason } = judge(&subject, state) {
                let case = open(&state.target, subject, severity, reason, sight.at);
                found.opened.insert(case.id);
                found.open.push(case);
            }
        }
    }
    found
}

enum Judgment {
    Wrong {
        severity: Severity,
        reason: String,
    },
    Right {
        how: Option<CaseEnding>,
        reason: String,
    },
    Unknown,
}

/// Everything that may be wrong with a machine.
fn subjects(state: &TargetState) -> Vec<Subject> {
    let drift = state.findings.iter().map(|finding| Subject::Drift {
        probe: finding.probe.clone(),
    });
    [Subject::Unreachable, Subject::Unhealthy]
        .into_iter()
        .chain(drift)
        .collect()
}

/// What was seen of one thing that may be wrong.
fn judge(subject: &Subject, state: &TargetState) -> Judgment {
    match (subject, &state.reach) {
        (Subject::Unreachable, Reach::Reached) => Judgment::Right {
            how: None,
            reason: "it answers".to_owned(),
        },
        (Subject::Unreachable, Reach::Unreachable { reason }) => Judgment::Wrong {
            severity: Severity::High,
            reason: reason.clone(),
        },
        (Subject::Unhealthy, _) => match &state.health {
            HealthVerdict::Healthy => Judgment::Right {
                how: None,
                reason: "it is healthy".to_owned(),
            },
            HealthVerdict::Unhealthy { reason } => Judgment::Wrong {
                severity: Severity::High,
                reason: reason.clone(),
            },
            HealthVerdict::Unknown => Judgment::Unknown,
        },
        (Subject::Drift { probe }, Reach::Reached) => {
            let finding = state
                .findings
                .iter()
                .find(|finding| finding.probe == *probe);
            match finding.map(|finding| (finding.severity, &finding.verdict)) {
                Some((_, Verdict::Agrees)) => Judgment::Right {
                    how: None,
                    reason: "it is as expected".to_owned(),
                },
                Some((severity, Verdict::Differs { reason } | Verdict::Missing { reason })) => {
                    Judgment::Wrong {
                        severity,
                        reason: reason.clone(),
                    }
                }
                Some((_, Verdict::Unknown { .. })) => Judgment::Unknown,
                None => Judgment::Right {
                    how: Some(CaseEnding::Left),
                    reason: "nothing is expected there any more".to_owned(),
                },
            }
        }
        (Subject::Unreachable, Reach::Unknown { .. })
        | (Subject::Drift { .. }, Reach::Unreachable { .. } | Reach::Unknown { .. }) => {
            Judgment::Unknown
        }
    }
}

/// What follows from a machine not being among those that were looked at; `None`: nothing.
fn absent(case: &Case, sight: &Sight) -> Option<(CaseEnding, String)> {
    let group = case
        .group
        .as_ref()
        .and_then(|group| sight.groups.get(group));
    if group.is_some_and(|group| group.blind.is_some())
        || (case.node.as_ref()).is_some_and(|node| sight.passing.contains(node))
    {
        return None;
    }
    let replaced = case.attempts_at(HealAction::Replace).next().is_some();
    Some(if replaced {
        (
            CaseEnding::Replaced,
            "another machine is in its place".to_owned(),
        )
    } else {
        (
            CaseEnding::Left,
            "the machine is not there any more".to_owned(),
        )
    })
}

fn ending(case: &Case) -> CaseEnding {
    if case.was_treated() {
        CaseEnding::Healed
    } else {
        CaseEnding::Recovered
    }
}

/// Closes a case, and what is on its way in it.
pub(super) fn close(case: &mut Case, now: Timestamp, how: CaseEnding, reason: String) {
    let result = match how {
        CaseEnding::Healed | CaseEnding::Replaced => HealResult::Healed,
        CaseEnding::Recovered | CaseEnding::Left => HealResult::Unknown,
    };
    if let Some(attempt) = case.running_mut() {
        attempt.end = Some(HealEnd {
            at: now,
            result,
            reason: reason.clone(),
        });
    }
    case.closed = Some(CaseEnd {
        at: now,
        how,
        reason,
    });
}

fn open(
    target: &Target,
    subject: Subject,
    severity: Severity,
    reason: String,
    now: Timestamp,
) -> Case {
    let key = key(target);
    let hash = fingerprint(&(&key, &subject, now.as_microsecond()));
    let id = u128::from_str_radix(&hash.as_str()[..32], 16)
        .expect("a fingerprint has 64 hexadecimal digits");
    Case {
        id: Uuid::from_u128(id),
        key,
        target: target.name.clone(),
        node: target.node.clone(),
        group: target.group.clone(),
        subject,
        severity,
        reason,
        opened_at: now,
        since: now,
        seen_at: now,
        attempts: Vec::new(),
        closed: None,
    }
}
