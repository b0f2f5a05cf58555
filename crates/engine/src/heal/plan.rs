//! The planner of heals: cases in, steps with reasons out, and why the others have to wait. Pure.
//!
//! ```text
//!  case ─► rung of its ladder ─► brakes ─► step
//!            │ none left          │ frozen, out of sight, too many ill, canary, budget
//!            └────────────────────┴─────────► held, and why
//! ```
//! The worst cases come first. A machine gets at most one step that disturbs it, and none while
//! another is on its way. Telling somebody disturbs nothing and is held by nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fleetwright_core::{
    Case, CaseEnding, Freeze, HealAction, NodeId, Probe, Span, Subject, Target, TargetGroupName,
};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::brakes::{Allowance, allowance, are_too_many};
use super::sight::{GroupState, Policy, Reach, Sight, TargetState};
use crate::Fleet;
use crate::life::elapsed;

/// How long the healing of some machines shows that others of their group can be healed too.
const PROOF: Duration = Duration::from_hours(1);
/// How long a canary that nothing has helped keeps the others waiting: then another one is tried.
const CANARY_PATIENCE: Duration = Duration::from_mins(10);

/// What is known when it is decided what to heal.
#[derive(Debug, Clone, Copy)]
pub struct HealSituation<'a> {
    /// The wish.
    pub fleet: &'a Fleet,
    /// What was seen.
    pub sight: &'a Sight,
    /// Open cases, as [`diagnose`](super::diagnose()) left them.
    pub open: &'a [Case],
    /// Cases that were closed lately.
    pub closed: &'a [Case],
    /// Where nothing is healed.
    pub freezes: &'a [Freeze],
}

/// What is done now, and what is not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HealPlan {
    /// What is done, the worst first.
    pub steps: Vec<HealStep>,
    /// What is not, and why.
    pub held: Vec<Held>,
}

/// Something that is done to a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealStep {
    /// In which case.
    pub case: Uuid,
    /// The machine, in a form that outlives its address.
    pub key: String,
    /// Its name.
    pub target: String,
    /// Its group.
    pub group: Option<TargetGroupName>,
    /// What is wrong.
    pub subject: Subject,
    /// What is done.
    pub action: HealAction,
    /// The command on the machine, for those actions that are one.
    pub command: Option<String>,
    /// Why.
    pub reason: String,
}

/// Something that is not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// In which case.
    pub case: Uuid,
    /// The machine.
    pub target: String,
    /// Its group.
    pub group: Option<TargetGroupName>,
    /// Its node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// What is wrong.
    pub subject: Subject,
    /// What would be done, if that is clear.
    pub action: Option<HealAction>,
    /// What keeps it.
    pub hold: Hold,
    /// Why not, in words.
    pub reason: String,
}

/// What keeps a heal from being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// Nobody's policies hold for the machine.
    NoPolicy,
    /// Nobody knows how the machine is.
    Unknown,
    /// It cannot be reached, and what is to be done needs that.
    Unreachable,
    /// It is not out of reach for long enough.
    TooEarly,
    /// Another step is on its way on it.
    AtWork,
    /// The pause until the next attempt is not over.
    BackOff,
    /// Everything was tried.
    Exhausted,
    /// Healing is frozen.
    Frozen,
    /// Its group was not seen in full.
    Blind,
    /// Too many machines of its group are ill at once.
    TooManyIll,
    /// It is not known yet whether this helps.
    Canary,
    /// The disruption budget is used up.
    Budget,
    /// The machine was not selected, or it is only reported.
    NotAsked,
}

/// Decides what is healed now.
pub fn prescribe(situation: &HealSituation<'_>) -> HealPlan {
    let mut by_group: BTreeMap<Option<&TargetGroupName>, Vec<&Case>> = BTreeMap::new();
    for case in situation.open {
        by_group.entry(case.group.as_ref()).or_default().push(case);
    }
    let mut plan = HealPlan::default();
    for (group, mut cases) in by_group {
        cases.sort_by(|a, b| {
            (b.severity, &a.subject, a.opened_at, &a.key).cmp(&(
                a.severity,
                &b.subject,
                b.opened_at,
                &b.key,
            ))
        });
        let policy = group.and_then(|group| situation.fleet.policy(group));
        let (Some(group), Some(policy)) = (group, policy) else {
            for case in cases {
                let reason = "it belongs to no pool and no targets of the configuration";
                plan.held
                    .push(held(case, None, Hold::NoPolicy, reason.to_owned()));
            }
            continue;
        };
        Ward::new(situation, group, policy).prescribe(&cases, &mut plan);
    }
    plan
}

/// A group while its heals are planned.
struct Ward<'a> {
    situation: &'a HealSituation<'a>,
    policy: Policy<'a>,
    state: GroupState,
    is_pool: bool,
    freeze: Option<&'a Freeze>,
    states: BTreeMap<String, &'a TargetState>,
    all: usize,
    bad: usize,
    allowed: Allowance,
    /// Machines that do not do their work, those included to which something is done.
    disturbed: BTreeSet<String>,
    /// Machines to which something is done.
    at_work: BTreeSet<String>,
    /// Machines that are the first to be healed of something, those of this plan included.
    canaries: BTreeMap<Subject, BTreeSet<String>>,
}

/// The next rung of a ladder.
enum Rung {
    Take(HealAction, Option<String>),
    Wait(HealAction, String),
    Exhausted(String),
}

impl<'a> Ward<'a> {
    fn new(situation: &'a HealSituation<'a>, group: &TargetGroupName, policy: Policy<'a>) -> Self {
        let now = situation.sight.at;
        let states: BTreeMap<String, &TargetState> = (situation.sight.states.iter())
            .filter(|state| state.target.group.as_ref() == Some(group))
            .map(|state| (state.key(), state))
            .collect();
        let state = situation
            .sight
            .groups
            .get(group)
            .cloned()
            .unwrap_or_default();
        let all = states.len() + state.missing;
        let at_work: BTreeSet<String> = (situation.open.iter())
            .filter(|case| case.group.as_ref() == Some(group))
            .filter(|case| {
                case.running()
                    .is_some_and(|attempt| attempt.action.disturbs())
            })
            .map(|case| case.key.clone())
            .collect();
        let down = states.iter().filter(|(_, state)| state.is_down());
        let disturbed = down
            .map(|(key, _)| key.clone())
            .chain(at_work.iter().cloned());
        Self {
            policy,
            is_pool: matches!(group, TargetGroupName::Pool(_)),
            freeze: (situation.freezes.iter())
                .find(|freeze| freeze.holds(now) && freeze.covers(Some(group))),
            bad: states.values().filter(|state| state.is_bad()).count(),
            allowed: allowance(policy.disruption, all, now),
            disturbed: disturbed.collect(),
            at_work,
            canaries: BTreeMap::new(),
            all,
            states,
            state,
            situation,
        }
    }

    fn now(&self) -> Timestamp {
        self.situation.sight.at
    }

    fn prescribe(mut self, cases: &[&'a Case], plan: &mut HealPlan) {
        for case in cases {
            if self.is_canary(case) {
                let canaries = self.canaries.entry(case.subject.clone()).or_default();
                canaries.insert(case.key.clone());
            }
        }
        for case in cases {
            let ladder = self.ladder(case);
            let told = case.attempts_at(HealAction::Notify).next().is_some();
            if ladder.contains(&HealAction::Notify) && !told {
                let reason = format!("{}: {}", case.subject, case.reason);
                plan.steps
                    .push(step(case, HealAction::Notify, None, reason));
            }
            match self.treat(case) {
                Ok((action, command)) => {
                    let reason = format!(
                        "{}: {}; {}",
                        case.subject,
                        case.reason,
                        attempt_in_words(case, action, &self.policy)
                    );
                    self.at_work.insert(case.key.clone());
                    self.disturbed.insert(case.key.clone());
                    let canaries = self.canaries.entry(case.subject.clone()).or_default();
                    canaries.insert(case.key.clone());
                    plan.steps.push(step(case, action, command, reason));
                }
                Err(Some((action, hold, reason))) => {
                    plan.held.push(held(case, action, hold, reason));
                }
                Err(None) => {}
            }
        }
    }

    fn ladder(&self, case: &Case) -> &'a [HealAction] {
        let healing = self.policy.healing;
        match case.subject {
            Subject::Unreachable => &healing.unreachable,
            Subject::Unhealthy => &healing.unhealthy,
            Subject::Drift { .. } => healing.ladder(case.severity),
        }
    }

    /// What is done in a case now, or what keeps it from being done. `Err(None)`: nothing was to be
    /// done.
    #[expect(
        clippy::type_complexity,
        reason = "it is private and read in one place"
    )]
    fn treat(
        &self,
        case: &Case,
    ) -> Result<(HealAction, Option<String>), Option<(Option<HealAction>, Hold, String)>> {
        let no = |action, hold, reason: String| Err(Some((action, hold, reason)));
        let Some(state) = self.states.get(&case.key) else {
            return no(None, Hold::Unknown, "it was not looked at".to_owned());
        };
        if self.at_work.contains(&case.key) {
            let reason = match case.running() {
                Some(attempt) => format!("{} since {:.0}", attempt.action, attempt.began_at),
                None => "something else is done to it first".to_owned(),
            };
            return no(None, Hold::AtWork, reason);
        }
        if let Reach::Unknown { reason } = &state.reach {
            return no(None, Hold::Unknown, reason.clone());
        }
        let is_unreachable = matches!(state.reach, Reach::Unreachable { .. });
        if case.subject == Subject::Unreachable {
            let waited = elapsed(case.since, self.now());
            let limit = self.policy.health.unreachable_for;
            if waited < limit.0 && self.ladder(case).iter().any(|rung| rung.disturbs()) {
                let waited = Span(Duration::from_secs(waited.as_secs()));
                let reason = format!("it cannot be reached for {waited}, of {limit}");
                return no(None, Hold::TooEarly, reason);
            }
        } else if is_unreachable {
            let reason = "it cannot be reached now".to_owned();
            return no(None, Hold::Unreachable, reason);
        } else if case.seen_at < self.now() {
            let reason = "it could not be measured this time".to_owned();
            return no(None, Hold::Unknown, reason);
        }
        let (action, command) = match self.rung(case, is_unreachable) {
            Some(Rung::Take(action, command)) => (action, command),
            Some(Rung::Wait(action, why)) => return no(Some(action), Hold::BackOff, why),
            Some(Rung::Exhausted(why)) => return no(None, Hold::Exhausted, why),
            None => return Err(None),
        };
        match self.brake(case, state, action) {
            Some((hold, why)) => no(Some(action), hold, why),
            None => Ok((action, command)),
        }
    }

    /// The first rung that is not used up and can be taken; `None` if the ladder only tells.
    fn rung(&self, case: &Case, is_unreachable: bool) -> Option<Rung> {
        let mut rungs = (self.ladder(case).iter().copied())
            .filter(|action| action.disturbs())
            .peekable();
        rungs.peek()?;
        let mut tried = Vec::new();
        for action in rungs {
            let command = match self.means(case, action, is_unreachable) {
                Ok(command) => command,
                Err(why) => {
                    tried.push(format!("{action}: {why}"));
                    continue;
                }
            };
            let limits = self.policy.healing.limits_of(action);
            let made = case.attempts_at(action).count();
            let made = u32::try_from(made).unwrap_or(u32::MAX);
            if made >= limits.attempts {
                tried.push(format!("{action}: tried {made} times"));
                continue;
            }
            let before = case
                .attempts_at(action)
                .map(|attempt| attempt.last_at())
                .max();
            let pause = match made.checked_sub(1) {
                Some(doublings) => {
                    (limits.back_off.0).saturating_mul(2_u32.saturating_pow(doublings.min(16)))
                }
                None => limits.cool_down.0,
            };
            let before = before.or_else(|| self.last_in_former_cases(case, action));
            let due = before.and_then(|before| before.checked_add(pause).ok());
            return Some(match due {
                Some(due) if self.now() < due => {
                    Rung::Wait(action, format!("{action} again at {due:.0}"))
                }
                _ => Rung::Take(action, command),
            });
        }
        Some(Rung::Exhausted(format!(
            "nothing is left to try; {}",
            tried.join(", ")
        )))
    }

    fn last_in_former_cases(&self, case: &Case, action: HealAction) -> Option<Timestamp> {
        let former = self.situation.closed.iter().filter(|c| c.key == case.key);
        former
            .flat_map(|case| case.attempts_at(action))
            .map(|attempt| attempt.last_at())
            .max()
    }

    /// The command of an action, or why it cannot be taken on this machine.
    fn means(
        &self,
        case: &Case,
        action: HealAction,
        is_unreachable: bool,
    ) -> Result<Option<String>, &'static str> {
        let healing = self.policy.healing;
        if is_unreachable && action != HealAction::Replace {
            return Err("the machine cannot be reached");
        }
        match action {
            HealAction::Notify => Ok(None),
            HealAction::Fix => match &case.subject {
                Subject::Drift { probe } => {
                    let probe = self
                        .policy
                        .probes
                        .iter()
                        .find(|p: &&Probe| p.name == *probe);
                    let fix = probe.and_then(|probe| probe.fix.clone());
                    fix.map(Some).ok_or("the probe has no `fix`")
                }
                _ => Err("only probes have a `fix`"),
            },
            HealAction::Redeploy => {
                let command = healing.redeploy.clone();
                command.map(Some).ok_or("no `redeploy` is configured")
            }
            HealAction::Rollback => {
                let command = healing.rollback.clone();
                command.map(Some).ok_or("no `rollback` is configured")
            }
            HealAction::Reboot => Ok(Some(healing.reboot.clone())),
            HealAction::Replace if self.is_pool && case.node.is_some() => Ok(None),
            HealAction::Replace => Err("it is not ours to replace"),
        }
    }

    fn brake(
        &self,
        case: &Case,
        state: &TargetState,
        action: HealAction,
    ) -> Option<(Hold, String)> {
        if let Some(freeze) = self.freeze {
            return Some((Hold::Frozen, freeze.to_string()));
        }
        if let (HealAction::Replace, Some(why)) = (action, &self.state.blind) {
            return Some((Hold::Blind, format!("not all machines were seen: {why}")));
        }
        let (bad, all) = (self.bad, self.all);
        if are_too_many(self.policy.disruption, bad, all) {
            let reason = format!(
                "{bad} of {all} cannot be reached or are not healthy, and beyond {} nothing is \
                 disturbed",
                self.policy.disruption.max_unhealthy
            );
            return Some((Hold::TooManyIll, reason));
        }
        if let Some(reason) = self.waits_for_canary(case) {
            return Some((Hold::Canary, reason));
        }
        // A machine that is down anyway is no less in service for being mended; but no more of them
        // are mended at once than may be disturbed.
        let disturbed = self.disturbed.len() + self.state.missing;
        let allowed = self.allowed.nodes;
        if self.at_work.len() >= allowed || (!state.is_down() && disturbed >= allowed) {
            let reason = format!(
                "{disturbed} are disturbed already, and the budget is: {}",
                self.allowed.why
            );
            return Some((Hold::Budget, reason));
        }
        None
    }

    /// Whether a machine shows the others whether its case can be healed: it was treated, and either
    /// something is left to try or it is not long ago.
    fn is_canary(&self, case: &Case) -> bool {
        if !case.was_treated() {
            return false;
        }
        let last = case.attempts.iter().map(|attempt| attempt.last_at()).max();
        let is_fresh = last.is_some_and(|last| elapsed(last, self.now()) < CANARY_PATIENCE);
        is_fresh || !matches!(self.rung(case, false), Some(Rung::Exhausted(_)))
    }

    fn waits_for_canary(&self, case: &Case) -> Option<String> {
        let wanted = usize::try_from(self.policy.disruption.canary).unwrap_or(usize::MAX);
        let from = self.now().checked_sub(PROOF).unwrap_or_default();
        let healed = (self.situation.closed.iter())
            .filter(|closed| closed.group == case.group && closed.subject == case.subject)
            .filter_map(|closed| closed.closed.as_ref())
            .filter(|end| matches!(end.how, CaseEnding::Healed | CaseEnding::Replaced))
            .filter(|end| end.at >= from)
            .count();
        if healed >= wanted {
            return None;
        }
        let under_way = self.canaries.get(&case.subject);
        let is_one = under_way.is_some_and(|keys| keys.contains(&case.key));
        let count = under_way.map_or(0, BTreeSet::len);
        if is_one || count < wanted {
            return None;
        }
        let first = under_way.and_then(|keys| keys.first());
        let name = first.and_then(|key| self.states.get(key));
        let name = name.map_or("another machine", |state| state.target.name.as_str());
        Some(format!("`{name}` is healed first, to see whether it helps"))
    }
}

/// `fix, attempt 1 of 2`.
fn attempt_in_words(case: &Case, action: HealAction, policy: &Policy<'_>) -> String {
    let number = case.attempts_at(action).count() + 1;
    let of = policy.healing.limits_of(action).attempts;
    format!("{action}, attempt {number} of {of}")
}

fn step(case: &Case, action: HealAction, command: Option<String>, reason: String) -> HealStep {
    HealStep {
        case: case.id,
        key: case.key.clone(),
        target: case.target.clone(),
        group: case.group.clone(),
        subject: case.subject.clone(),
        action,
        command,
        reason,
    }
}

pub(super) fn held(case: &Case, action: Option<HealAction>, hold: Hold, reason: String) -> Held {
    Held {
        case: case.id,
        target: case.target.clone(),
        group: case.group.clone(),
        node: case.node.clone(),
        subject: case.subject.clone(),
        action,
        hold,
        reason,
    }
}

impl HealPlan {
    /// Moves steps to what is not done, unless they are for a machine that was asked for.
    pub fn keep(&mut self, wanted: impl Fn(&HealStep) -> bool, reason: &str) {
        let (kept, others) = std::mem::take(&mut self.steps)
            .into_iter()
            .partition(wanted);
        self.steps = kept;
        let others: Vec<HealStep> = others;
        self.held.extend(others.into_iter().map(|step| Held {
            case: step.case,
            target: step.target,
            group: step.group,
            node: None,
            subject: step.subject,
            action: Some(step.action),
            hold: Hold::NotAsked,
            reason: reason.to_owned(),
        }));
    }
}

/// The value of a filter key for a machine.
pub(super) fn property<'a>(target: &'a Target, key: &str) -> Option<&'a str> {
    match key {
        "name" => Some(&target.name),
        "id" => target.node.as_ref().map(NodeId::as_str),
        "provider" => target.node.as_ref().map(NodeId::provider),
        "region" => target.node.as_ref().map(NodeId::region),
        "pool" => match &target.group {
            Some(TargetGroupName::Pool(name)) => Some(name),
            _ => None,
        },
        _ => {
            let label = key.strip_prefix("label.")?;
            target.labels.get(label).map(String::as_str)
        }
    }
}
