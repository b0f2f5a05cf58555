//! Doing what was decided, and finding out whether it helped.
//!
//! A command's own exit status is not what counts: a case is healed when the probe says so. Commands
//! are waited for within the round. A reboot and a replacement are not: the rounds that follow see
//! them to their end.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwright_core::{
    Access, Case, Command, Error, EventKind, Exit, HealAction, HealAttempt, HealEnd, HealResult,
    Kind, NoOutput, Result, Span, Subject, Target, Verdict,
};
use fleetwright_store::Lease;
use futures::StreamExt;
use futures::stream;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::diagnose::diagnose;
use super::plan::{HealPlan, HealStep};
use super::sight::{HealthVerdict, Reach, Sight, TargetState};
use super::upkeep::{Eyes, UpkeepOptions, state_of};
use crate::Engine;
use crate::life::elapsed;

/// Commands on machines at the same time.
const COMMANDS: usize = 64;
/// Limit of the question which boot a machine is in.
const BOOT_LIMIT: Duration = Duration::from_secs(10);
/// Where Linux says which boot it is in: another one after each start.
/// <https://man7.org/linux/man-pages/man4/random.4.html>
const BOOT_ID: &str = "cat /proc/sys/kernel/random/boot_id";
/// How long a replacement may take in a pool that is not configured any more.
const REPLACE_LIMIT: Duration = Duration::from_hours(1);

/// What was done in a case, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Treated {
    /// In which case.
    pub case: Uuid,
    /// The machine.
    pub target: String,
    /// What is wrong.
    pub subject: Subject,
    /// What was done.
    pub action: HealAction,
    /// Whether it helped; absent while it is on its way.
    pub result: Option<HealResult>,
    /// What was seen, in words.
    pub reason: String,
}

/// What came of a plan.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) treated: Vec<Treated>,
    pub(super) closed: Vec<Case>,
}

/// How a command on a machine ended.
enum Answer {
    /// By itself, with this status in words.
    Ended { ok: bool, words: String },
    /// Nobody knows how far it came.
    CutOff(Error),
}

impl Engine {
    /// Does the steps of a plan, each written down before it is begun, and measures again.
    pub(super) async fn treat(
        &self,
        lease: &Lease,
        eyes: &dyn Eyes,
        plan: &HealPlan,
        open: &mut Vec<Case>,
        sight: &Sight,
        options: &UpkeepOptions,
    ) -> Result<Done> {
        let states: BTreeMap<String, &TargetState> = sight
            .states
            .iter()
            .map(|state| (state.key(), state))
            .collect();
        let boots = self.boots(&plan.steps, &states, options).await;
        self.begin(lease, &plan.steps, open, &boots).await?;

        // Those of which a command is run now. Replacements are for the planner of nodes.
        let runs = plan.steps.iter().filter_map(|step| {
            let refused = boots.get(&step.case).is_some_and(Result::is_err);
            let target = &states.get(&step.key)?.target;
            let command = step.command.clone().filter(|_| !refused)?;
            Some((step, target.clone(), command))
        });
        let answers: Vec<(&HealStep, Target, Answer)> = stream::iter(runs)
            .map(|(step, target, command)| async move {
                let limit = self.limit(step);
                let answer = self.command(&target.access, command, limit).await;
                (step, target, answer)
            })
            .buffer_unordered(COMMANDS)
            .collect()
            .await;

        let mut again: BTreeMap<String, Target> = BTreeMap::new();
        for (step, target, _) in &answers {
            if step.action != HealAction::Reboot {
                again.insert(step.key.clone(), target.clone());
            }
        }
        let again: Vec<Target> = again.into_values().collect();
        let looked = if again.is_empty() {
            Vec::new()
        } else {
            eyes.measure(&again).await?
        };
        let now = self.clock.now();
        let after = Sight {
            at: now,
            states: looked
                .into_iter()
                .map(|looked| state_of(looked, None))
                .collect(),
            groups: sight.groups.clone(),
            passing: sight.passing.clone(),
        };
        for (step, _, answer) in answers {
            let Some(case) = open.iter_mut().find(|case| case.id == step.case) else {
                continue;
            };
            let state = after.states.iter().find(|state| state.key() == step.key);
            if let Some((result, reason)) = outcome(step, &answer, &case.subject, state) {
                end(case, now, result, reason);
            }
        }
        self.conclude(lease, plan, open, &after).await
    }

    /// Closes what is mended, writes everything down, and says what came of each step.
    async fn conclude(
        &self,
        lease: &Lease,
        plan: &HealPlan,
        open: &mut Vec<Case>,
        after: &Sight,
    ) -> Result<Done> {
        let looked_at = |case: &Case| after.states.iter().any(|state| state.key() == case.key);
        let concerned =
            |case: &Case| looked_at(case) || plan.steps.iter().any(|step| step.case == case.id);
        let (touched, mut others): (Vec<Case>, Vec<Case>) =
            std::mem::take(open).into_iter().partition(concerned);
        let events: Vec<_> = touched
            .iter()
            .flat_map(|case| {
                let step = plan.steps.iter().filter(move |step| step.case == case.id);
                step.filter_map(move |step| {
                    let last = case.attempts_at(step.action).next_back()?;
                    let end = last.end.as_ref()?;
                    Some(EventKind::HealEnded {
                        case: case.id,
                        target: case.target.clone(),
                        node: case.node.clone(),
                        action: step.action,
                        result: end.result,
                        reason: end.reason.clone(),
                    })
                })
            })
            .map(|kind| self.recorder.event(kind))
            .collect();
        let mut done = Done::default();
        for step in &plan.steps {
            let case = touched.iter().find(|case| case.id == step.case);
            let last = case.and_then(|case| case.attempts_at(step.action).next_back());
            let ended = last.and_then(|attempt| attempt.end.as_ref());
            done.treated.push(Treated {
                case: step.case,
                target: step.target.clone(),
                subject: step.subject.clone(),
                action: step.action,
                result: ended.map(|end| end.result),
                reason: ended.map_or_else(|| step.reason.clone(), |end| end.reason.clone()),
            });
        }
        let (seen, unseen): (Vec<Case>, Vec<Case>) = touched.into_iter().partition(looked_at);
        self.store
            .put_cases(lease, &unseen, after.at, &events)
            .await?;
        self.recorder.announce(&events);
        // A pause of any length is no reason to count anew: it was looked at moments ago.
        let found = diagnose(seen, after, Duration::MAX);
        self.write_down(lease, &found).await?;
        others.extend(unseen);
        others.extend(found.open);
        others.sort_by(|a, b| (a.opened_at, &a.id).cmp(&(b.opened_at, &b.id)));
        *open = others;
        done.closed = found.closed;
        Ok(done)
    }

    /// Writes down that attempts begin. From here on they count.
    async fn begin(
        &self,
        lease: &Lease,
        steps: &[HealStep],
        open: &mut [Case],
        boots: &BTreeMap<Uuid, Result<String>>,
    ) -> Result<()> {
        let now = self.clock.now();
        let mut events = Vec::new();
        let mut changed: BTreeMap<Uuid, Case> = BTreeMap::new();
        for step in steps {
            let Some(case) = open.iter_mut().find(|case| case.id == step.case) else {
                continue;
            };
            let boot = boots
                .get(&step.case)
                .filter(|_| step.action == HealAction::Reboot);
            let ended = match (step.action, boot) {
                (HealAction::Notify, _) => Some((HealResult::Told, "told".to_owned())),
                (_, Some(Err(error))) => Some((
                    HealResult::Failed,
                    format!("not rebooted: {}", error.report()),
                )),
                _ => None,
            };
            case.attempts.push(HealAttempt {
                action: step.action,
                began_at: now,
                boot_id: boot.and_then(|boot| boot.as_ref().ok().cloned()),
                end: ended.map(|(result, reason)| HealEnd {
                    at: now,
                    result,
                    reason,
                }),
            });
            if step.action.disturbs() {
                events.push(self.recorder.event(EventKind::HealBegan {
                    case: case.id,
                    target: case.target.clone(),
                    node: case.node.clone(),
                    action: step.action,
                    reason: step.reason.clone(),
                }));
            }
            changed.insert(case.id, case.clone());
        }
        let changed: Vec<Case> = changed.into_values().collect();
        self.store.put_cases(lease, &changed, now, &events).await?;
        self.recorder.announce(&events);
        Ok(())
    }

    /// Brings attempts of former rounds to their end, as far as that can be seen now.
    pub(super) async fn settle_attempts(&self, open: &mut [Case], sight: &Sight) {
        let states: BTreeMap<String, &TargetState> = sight
            .states
            .iter()
            .map(|state| (state.key(), state))
            .collect();
        let now = sight.at;
        for case in open {
            let Some(attempt) = case.running().cloned() else {
                continue;
            };
            let taken = elapsed(attempt.began_at, now);
            let ended = match attempt.action {
                HealAction::Reboot => {
                    let state = states.get(&case.key).copied();
                    self.after_reboot(case, &attempt, state, taken).await
                }
                HealAction::Replace => {
                    let limit = self.replace_limit(case);
                    (taken > limit).then(|| {
                        let limit = Span(limit);
                        (
                            HealResult::Failed,
                            format!("nothing was in its place within {limit}"),
                        )
                    })
                }
                _ => Some((HealResult::Unknown, "it was cut off".to_owned())),
            };
            if let Some((result, reason)) = ended {
                self.recorder.note(EventKind::HealEnded {
                    case: case.id,
                    target: case.target.clone(),
                    node: case.node.clone(),
                    action: attempt.action,
                    result,
                    reason: reason.clone(),
                });
                end(case, now, result, reason);
            }
        }
    }

    /// How a reboot ended, if that can be seen by now: the machine must be in another boot, and what
    /// was wrong must have been measured in it.
    async fn after_reboot(
        &self,
        case: &Case,
        attempt: &HealAttempt,
        state: Option<&TargetState>,
        taken: Duration,
    ) -> Option<(HealResult, String)> {
        let policy = case
            .group
            .as_ref()
            .and_then(|group| self.fleet.policy(group));
        let within = policy.map_or(Span::minutes(10), |policy| policy.healing.reboot_within);
        let is_late = taken > within.0;
        let late = |result, what: &str| {
            is_late.then(|| (result, format!("{what} within {within} of its reboot")))
        };
        let Some(before) = &attempt.boot_id else {
            return Some((HealResult::Unknown, "it was cut off".to_owned()));
        };
        let Some(state) = state.filter(|state| state.reach == Reach::Reached) else {
            return late(HealResult::Failed, "it was not back");
        };
        match self.boot_id(&state.target.access).await {
            Ok(boot) if boot == *before => late(HealResult::Failed, "it did not restart"),
            Ok(_) => match mended(&case.subject, state) {
                Some(true) => Some((HealResult::Healed, "it restarted".to_owned())),
                Some(false) if matches!(case.subject, Subject::Drift { .. }) => Some((
                    HealResult::Failed,
                    "it restarted, and still differs".to_owned(),
                )),
                Some(false) => late(HealResult::Failed, "it restarted, and was not healthy"),
                None => late(
                    HealResult::Unknown,
                    "it restarted, and could not be measured",
                ),
            },
            Err(error) => late(HealResult::Unknown, &format!("{}", error.report())),
        }
    }

    fn replace_limit(&self, case: &Case) -> Duration {
        let pool = match &case.group {
            Some(fleetwright_core::TargetGroupName::Pool(name)) => self.fleet.pools.get(name),
            _ => None,
        };
        pool.map_or(REPLACE_LIMIT, |pool| {
            let limits = &pool.limits;
            let all = [
                limits.boot,
                limits.bootstrap,
                limits.in_service,
                limits.drain,
            ];
            all.iter()
                .fold(limits.terminate.0, |sum, limit| sum.saturating_add(limit.0))
        })
    }

    fn limit(&self, step: &HealStep) -> Duration {
        let policy = step
            .group
            .as_ref()
            .and_then(|group| self.fleet.policy(group));
        policy.map_or(Duration::from_mins(10), |policy| policy.healing.timeout.0)
    }

    /// In which boots the machines are that are to be rebooted; why they cannot be, for the others.
    async fn boots(
        &self,
        steps: &[HealStep],
        states: &BTreeMap<String, &TargetState>,
        options: &UpkeepOptions,
    ) -> BTreeMap<Uuid, Result<String>> {
        let wanted = steps
            .iter()
            .filter(|step| step.action == HealAction::Reboot);
        let asked = wanted.filter_map(|step| {
            let target = &states.get(&step.key)?.target;
            Some(async move {
                let boot = self.boot_id(&target.access).await;
                let boot = boot.and_then(|boot| {
                    if options.here.as_ref() == Some(&boot) {
                        return Err(Error::new(
                            Kind::Unsupported,
                            "it is the machine that this program runs on",
                        ));
                    }
                    Ok(boot)
                });
                (step.case, boot)
            })
        });
        futures::future::join_all(asked).await.into_iter().collect()
    }

    async fn boot_id(&self, access: &Access) -> Result<String> {
        let remote = self.remote.as_ref().ok_or_else(no_remote)?;
        let command = Command::new(BOOT_ID).with_timeout(BOOT_LIMIT);
        let output = remote.run(access, &command, &NoOutput).await?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.exit.is_success() || text.is_empty() {
            let message = "the machine does not tell which boot it is in";
            return Err(Error::new(Kind::Unsupported, message));
        }
        Ok(text)
    }

    async fn command(&self, access: &Access, line: String, limit: Duration) -> Answer {
        let Some(remote) = &self.remote else {
            return Answer::CutOff(no_remote());
        };
        let mut command = Command::new(line).with_timeout(limit);
        command.keep = 4096;
        match remote.run(access, &command, &NoOutput).await {
            Ok(output) => Answer::Ended {
                ok: output.exit.is_success(),
                words: in_words(&output.exit, &output.stderr),
            },
            Err(error) => Answer::CutOff(error),
        }
    }
}

fn no_remote() -> Error {
    Error::new(Kind::Unsupported, "there is no way to log in to machines")
}

/// `status 1: the last line of stderr`.
fn in_words(exit: &Exit, stderr: &[u8]) -> String {
    let how = match exit {
        Exit::Status { code } => format!("status {code}"),
        Exit::Signal { name } => format!("signal {name}"),
    };
    let text = String::from_utf8_lossy(stderr);
    match text.lines().rev().find(|line| !line.trim().is_empty()) {
        Some(last) if !exit.is_success() => format!("{how}: {}", last.trim()),
        _ => how,
    }
}

/// Whether a thing is right by what was just measured; `None` if nobody knows.
fn mended(subject: &Subject, state: &TargetState) -> Option<bool> {
    match subject {
        Subject::Unreachable => match state.reach {
            Reach::Reached => Some(true),
            Reach::Unreachable { .. } => Some(false),
            Reach::Unknown { .. } => None,
        },
        Subject::Unhealthy => match state.health {
            HealthVerdict::Healthy => Some(true),
            HealthVerdict::Unhealthy { .. } => Some(false),
            HealthVerdict::Unknown => None,
        },
        Subject::Drift { probe } => {
            let finding = state
                .findings
                .iter()
                .find(|finding| finding.probe == *probe)?;
            match finding.verdict {
                Verdict::Agrees => Some(true),
                Verdict::Differs { .. } | Verdict::Missing { .. } => Some(false),
                Verdict::Unknown { .. } => None,
            }
        }
    }
}

/// Whether a command has helped; `None` while that cannot be said: a reboot takes its time.
fn outcome(
    step: &HealStep,
    answer: &Answer,
    subject: &Subject,
    state: Option<&TargetState>,
) -> Option<(HealResult, String)> {
    let told = match answer {
        Answer::Ended { words, .. } => format!("{} ended with {words}", step.action),
        Answer::CutOff(error) => format!("{}: {}", step.action, error.report()),
    };
    if step.action == HealAction::Reboot {
        // That the connection breaks is how a reboot looks. One that was refused is none.
        return match answer {
            Answer::Ended { ok: false, .. } => Some((HealResult::Failed, told)),
            _ => None,
        };
    }
    Some(match state.and_then(|state| mended(subject, state)) {
        Some(true) => (HealResult::Healed, format!("{told}; it is right again")),
        Some(false) => (HealResult::Failed, format!("{told}; it is not right")),
        None => (
            HealResult::Unknown,
            format!("{told}; it could not be measured again"),
        ),
    })
}

fn end(case: &mut Case, now: Timestamp, result: HealResult, reason: String) {
    if let Some(attempt) = case.running_mut() {
        attempt.end = Some(HealEnd {
            at: now,
            result,
            reason,
        });
    }
}
