//! Upkeep: one round looks, compares, heals what it may, and measures again.
//!
//! ```text
//!  observe ─► pools at their sizes ─► measure ─► diagnose ─► prescribe ─► attempt written down
//!     ▲      (the one path, with                                               │
//!     │       its safety brake)              case closed ◄─ measure again ◄─ heal
//!     └──────────────────────────────── next round ◄──────────────────────────┘
//! ```
//! A round holds the lease `upkeep`, so two that watch the same fleet take turns, and the lease of
//! the fleet only while nodes are made or removed. Whatever a round began and could not end is in
//! the journal: a kill counts as an attempt of which nobody knows the result.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{
    Case, ErrorReport, EventKind, Filter, Finding, Freeze, HealAction, Kind, Life, NodeId, Purpose,
    Result, Severity, Subject, Target, TargetGroupName,
};
use fleetwright_store::Lease;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::diagnose::{Diagnosis, diagnose};
use super::plan::{HealPlan, HealSituation, Hold, prescribe, property};
use super::sight::{GroupState, HealthVerdict, Reach, Sight, TargetState};
use super::treat::Treated;
use crate::interruption::is_doomed;
use crate::{Approval, ConvergeOptions, Engine, Observation, PlanOptions, Standing};

/// The lease that whoever heals holds for a round.
const LEASE: &str = "upkeep";
/// How long the lease is said to be good for; it is held by being alive.
const LEASE_TTL: Duration = Duration::from_hours(1);
/// How long nodes are made and removed in one go.
const TURN: Duration = Duration::from_secs(20);
/// How far back closed cases still count: for cool-downs, and as proof that something helps.
const MEMORY: Duration = Duration::from_hours(24);

/// Who finds machines and measures them.
#[async_trait]
pub trait Eyes: Debug + Send + Sync {
    /// The machines that are looked after, as far as they can be found.
    ///
    /// # Errors
    /// From the journal. What a provider does not answer is in [`KnownTargets::blind`].
    async fn targets(&self, observation: &Observation) -> Result<KnownTargets>;

    /// Measures machines. One that does not answer is an answer.
    ///
    /// # Errors
    /// If nothing can be measured at all.
    async fn measure(&self, targets: &[Target]) -> Result<Vec<Looked>>;
}

/// The machines that are looked after.
#[derive(Debug, Clone, Default)]
pub struct KnownTargets {
    /// Those that were found.
    pub targets: Vec<Target>,
    /// Groups of which not all machines are known, and why.
    pub blind: BTreeMap<TargetGroupName, String>,
    /// Why machines do not do their work, apart from what can be measured, by name.
    pub absent: BTreeMap<String, String>,
}

/// What a look at a machine gave.
#[derive(Debug, Clone)]
pub struct Looked {
    /// The machine.
    pub target: Target,
    /// Whether it was reached.
    pub reached: Result<(), ErrorReport>,
    /// What its probes gave.
    pub findings: Vec<Finding>,
    /// Whether it is healthy.
    pub health: HealthVerdict,
}

/// How a fleet is kept up.
#[derive(Debug, Clone)]
pub struct UpkeepOptions {
    /// Who holds the lease, for whoever finds it taken.
    pub holder: String,
    /// Cases are written down and told, and nothing is done to machines or clouds.
    pub report_only: bool,
    /// Only these machines are healed. Pools are kept at their sizes only if all are meant.
    pub on: Filter,
    /// After a longer pause between two looks nobody knows what was between them.
    pub gap: Duration,
    /// The boot that this program runs in, if the system tells. A machine that is in the same one
    /// is this machine, and is not rebooted.
    pub here: Option<String>,
}

/// What one who keeps up a fleet remembers between rounds: what was told already.
#[derive(Debug, Default)]
pub struct Upkeep {
    held: BTreeMap<Uuid, (Hold, Option<HealAction>)>,
}

/// What came of a round.
#[derive(Debug, Clone, Default, Serialize)]
pub struct UpkeepRound {
    /// When.
    pub at: Timestamp,
    /// Who else is at it: then nothing was done.
    pub busy: Option<String>,
    /// How many machines were looked at.
    pub targets: usize,
    /// Cases that are open at the end.
    pub open: Vec<Case>,
    /// Cases that were opened in this round: also those that were closed in it again.
    pub opened: Vec<Case>,
    /// Cases that were closed in this round.
    pub closed: Vec<Case>,
    /// What was decided.
    pub plan: HealPlan,
    /// What was done, and what came of it.
    pub treated: Vec<Treated>,
    /// Things that could not be measured: machine, probe if it is one, and why.
    pub unknown: Vec<Unmeasured>,
    /// Nodes that were made.
    pub created: usize,
    /// Nodes that are gone.
    pub removed: usize,
    /// Nodes on their way up or out.
    pub passing: usize,
    /// What could not be done, in words.
    pub troubles: Vec<String>,
    /// Where nothing is healed.
    pub freezes: Vec<Freeze>,
}

/// Something that could not be measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unmeasured {
    /// The machine.
    pub target: String,
    /// The probe; absent if the machine could not be asked at all.
    pub probe: Option<String>,
    /// Why.
    pub reason: String,
}

impl UpkeepRound {
    /// Whether something has come of it, so that the next round need not wait.
    pub fn has_progress(&self) -> bool {
        self.created + self.removed > 0 || self.treated.iter().any(|one| one.action.disturbs())
    }

    /// How many attempts are on their way.
    pub fn running(&self) -> usize {
        self.open
            .iter()
            .filter(|case| case.running().is_some())
            .count()
    }

    /// Open cases about machines that cannot be reached.
    pub fn unreachable(&self) -> usize {
        let is_it = |case: &&Case| case.subject == Subject::Unreachable;
        self.open.iter().filter(is_it).count()
    }

    /// Open cases about drift and health.
    pub fn drift(&self) -> usize {
        self.open.len() - self.unreachable()
    }

    /// The worst of the open cases.
    pub fn worst(&self) -> Option<Severity> {
        self.open.iter().map(|case| case.severity).max()
    }
}

impl Engine {
    /// One round of upkeep: keeps pools at their sizes, measures machines, heals what differs as far
    /// as the brakes allow, and measures again.
    ///
    /// # Errors
    /// From the journal, or if nothing can be measured. What one machine or provider refuses is in
    /// the answer.
    pub async fn upkeep(
        &self,
        eyes: &dyn Eyes,
        memory: &mut Upkeep,
        options: &UpkeepOptions,
    ) -> Result<UpkeepRound> {
        let now = self.clock.now();
        let lease = match self
            .store
            .acquire(LEASE, &options.holder, now, LEASE_TTL)
            .await
        {
            Ok(lease) => lease,
            Err(error) if error.kind() == Kind::Conflict => {
                return Ok(UpkeepRound {
                    at: now,
                    busy: Some(error.to_string()),
                    open: self.store.open_cases().await?,
                    ..UpkeepRound::default()
                });
            }
            Err(error) => return Err(error),
        };
        let round = self.upkeep_under(&lease, eyes, memory, options).await;
        self.leave(lease, round).await
    }

    async fn upkeep_under(
        &self,
        lease: &Lease,
        eyes: &dyn Eyes,
        memory: &mut Upkeep,
        options: &UpkeepOptions,
    ) -> Result<UpkeepRound> {
        let mut round = UpkeepRound {
            freezes: self.freezes().await?,
            ..UpkeepRound::default()
        };
        let before = self.store.cases(self.memory_start()).await?;
        let (mut open, closed): (Vec<Case>, Vec<Case>) =
            before.into_iter().partition(Case::is_open);
        let keeps = !options.report_only && options.on.is_empty();
        let observation = if keeps {
            let replace = replacing(&open);
            self.keep_pools(replace, &mut round, &options.holder)
                .await?
        } else {
            self.observe().await?
        };
        let known = eyes.targets(&observation).await?;
        let looked = eyes.measure(&known.targets).await?;
        let sight = self.sight(&observation, &known, looked);
        round.at = sight.at;
        round.targets = sight.states.len();
        round.unknown = unmeasured(&sight);
        round.passing = sight.passing.len();

        self.settle_attempts(&mut open, &sight).await;
        let found = diagnose(open, &sight, options.gap);
        self.write_down(lease, &found).await?;
        let Diagnosis {
            mut open,
            closed: just_closed,
            opened,
        } = found;
        round.opened = open
            .iter()
            .filter(|c| opened.contains(&c.id))
            .cloned()
            .collect();
        let lately: Vec<Case> = closed
            .into_iter()
            .chain(just_closed.iter().cloned())
            .collect();
        round.closed = just_closed;

        let mut plan = prescribe(&HealSituation {
            fleet: &self.fleet,
            sight: &sight,
            open: &open,
            closed: &lately,
            freezes: &round.freezes,
        });
        let targets: BTreeMap<String, &TargetState> = sight
            .states
            .iter()
            .map(|state| (state.key(), state))
            .collect();
        plan.keep(
            |step| {
                let state = targets.get(&step.key);
                state.is_some_and(|s| options.on.matches(&|key| property(&s.target, key)))
            },
            "it was not selected",
        );
        if options.report_only {
            plan.keep(|step| !step.action.disturbs(), "it is only reported");
        }
        self.note_held(memory, &plan, &open);
        if !plan.steps.is_empty() {
            let done = self
                .treat(lease, eyes, &plan, &mut open, &sight, options)
                .await?;
            round.treated = done.treated;
            round.closed.extend(done.closed);
            let begun = plan
                .steps
                .iter()
                .any(|step| step.action == HealAction::Replace);
            if begun && keeps {
                let replace = replacing(&open);
                self.keep_pools(replace, &mut round, &options.holder)
                    .await?;
            }
        }
        round.plan = plan;
        round.open = open;
        Ok(round)
    }

    fn memory_start(&self) -> Timestamp {
        self.clock.now().checked_sub(MEMORY).unwrap_or_default()
    }

    /// Where nothing is healed at this moment.
    ///
    /// # Errors
    /// From the journal.
    pub async fn freezes(&self) -> Result<Vec<Freeze>> {
        let now = self.clock.now();
        let mut all = self.store.freezes().await?;
        all.retain(|freeze| freeze.holds(now));
        Ok(all)
    }

    /// From now on nothing is healed there.
    ///
    /// # Errors
    /// From the journal.
    pub async fn freeze(&self, freeze: Freeze) -> Result<()> {
        let event = self.recorder.event(EventKind::Frozen {
            freeze: freeze.clone(),
        });
        self.store
            .freeze(&freeze, std::slice::from_ref(&event))
            .await?;
        self.recorder.announce(&[event]);
        Ok(())
    }

    /// Healing goes on there. Says whether it was frozen.
    ///
    /// # Errors
    /// From the journal.
    pub async fn thaw(&self, group: Option<&TargetGroupName>) -> Result<bool> {
        let event = self.recorder.event(EventKind::Thawed {
            group: group.cloned(),
        });
        let was = self.store.thaw(group, std::slice::from_ref(&event)).await?;
        if was {
            self.recorder.announce(&[event]);
        }
        Ok(was)
    }

    /// Pools at their sizes, with others in the place of these nodes, on the one path.
    async fn keep_pools(
        &self,
        replace: Vec<NodeId>,
        round: &mut UpkeepRound,
        holder: &str,
    ) -> Result<Observation> {
        let frozen = |pool: &String| {
            let group = TargetGroupName::Pool(pool.clone());
            round
                .freezes
                .iter()
                .any(|freeze| freeze.covers(Some(&group)))
        };
        let pools: BTreeSet<String> = self
            .fleet
            .pools
            .keys()
            .filter(|pool| !frozen(pool))
            .cloned()
            .collect();
        if pools.is_empty() {
            return self.observe().await;
        }
        let options = ConvergeOptions {
            purpose: Purpose::Upkeep { pools, replace },
            deadline: TURN,
            approval: Approval::Everything,
            plan: PlanOptions::default(),
            holder: holder.to_owned(),
        };
        let outcome = match self.converge(&options).await {
            Ok(outcome) => outcome,
            // Somebody else is changing the fleet. The next round sees what they made of it.
            Err(error) if error.kind() == Kind::Conflict => {
                round
                    .troubles
                    .push(format!("pools are not kept at their sizes: {error}"));
                return self.observe().await;
            }
            Err(error) => return Err(error),
        };
        round.created += outcome.executed.created;
        round.removed += outcome.executed.deleted;
        if let Standing::Braked(brake) = &outcome.standing {
            round
                .troubles
                .push(format!("pools are not kept at their sizes: {brake}"));
        }
        for withheld in &outcome.plan.withheld {
            let (subject, what) = (&withheld.subject, &withheld.what);
            round
                .troubles
                .push(format!("withheld: {subject} {what}: {}", withheld.reason));
        }
        for failure in &outcome.executed.failures {
            let report = failure.error.report();
            round.troubles.push(format!("{}: {report}", failure.step));
        }
        Ok(outcome.observation)
    }

    /// Puts together what clouds and machines say.
    fn sight(&self, observation: &Observation, known: &KnownTargets, looked: Vec<Looked>) -> Sight {
        let records: BTreeMap<&NodeId, _> = observation
            .records
            .iter()
            .map(|record| (&record.id, record))
            .collect();
        let states = looked.into_iter().map(|looked| {
            let record = looked
                .target
                .node
                .as_ref()
                .and_then(|node| records.get(node));
            let doomed =
                record.and_then(|record| is_doomed(record, self.fleet.pools.get(&record.pool)));
            let absence = doomed.or_else(|| known.absent.get(&looked.target.name).cloned());
            state_of(looked, absence)
        });
        let states: Vec<TargetState> = states.collect();
        let mut groups: BTreeMap<TargetGroupName, GroupState> = BTreeMap::new();
        for (name, pool) in &self.fleet.pools {
            let wanted = usize::try_from(observation.wanted(name, pool)).unwrap_or(usize::MAX);
            let own = || {
                observation
                    .records
                    .iter()
                    .filter(|record| record.pool == *name)
            };
            let up = own().filter(|record| record.life.is_ready()).count();
            let blind = own().find_map(|record| {
                observation.blind_spot(record.id.provider(), record.id.region())
            });
            let group = TargetGroupName::Pool(name.clone());
            let state = GroupState {
                missing: wanted.saturating_sub(up),
                blind,
            };
            groups.insert(group, state);
        }
        for (group, why) in &known.blind {
            groups.entry(group.clone()).or_default().blind = Some(why.clone());
        }
        let passing = (observation.records.iter())
            .filter(|record| !record.life.is_ready() && record.life != Life::Gone)
            .map(|record| record.id.clone())
            .collect();
        Sight {
            at: self.clock.now(),
            states,
            groups,
            passing,
        }
    }

    /// Writes down what a look at machines has changed, and tells of it.
    pub(super) async fn write_down(&self, lease: &Lease, found: &Diagnosis) -> Result<()> {
        let mut events = Vec::new();
        for case in found
            .open
            .iter()
            .filter(|case| found.opened.contains(&case.id))
        {
            events.push(self.recorder.event(EventKind::CaseOpened {
                case: case.id,
                target: case.target.clone(),
                node: case.node.clone(),
                group: case.group.clone(),
                subject: case.subject.clone(),
                severity: case.severity,
                reason: case.reason.clone(),
            }));
        }
        for case in &found.closed {
            if let Some(end) = &case.closed {
                events.push(self.recorder.event(EventKind::CaseClosed {
                    case: case.id,
                    target: case.target.clone(),
                    node: case.node.clone(),
                    subject: case.subject.clone(),
                    how: end.how,
                    reason: end.reason.clone(),
                }));
            }
        }
        let cases: Vec<Case> = found.open.iter().chain(&found.closed).cloned().collect();
        if cases.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        self.store.put_cases(lease, &cases, now, &events).await?;
        self.recorder.announce(&events);
        Ok(())
    }

    /// Tells what is not done, once for each reason.
    fn note_held(&self, memory: &mut Upkeep, plan: &HealPlan, open: &[Case]) {
        memory
            .held
            .retain(|id, _| open.iter().any(|case| case.id == *id));
        for held in &plan.held {
            let now = (held.hold, held.action);
            if memory.held.insert(held.case, now) == Some(now) {
                continue;
            }
            if matches!(held.hold, Hold::AtWork | Hold::NotAsked) {
                continue;
            }
            self.recorder.note(EventKind::HealHeld {
                case: held.case,
                target: held.target.clone(),
                node: held.node.clone(),
                action: held.action,
                reason: held.reason.clone(),
            });
        }
    }
}

/// What is known of a machine after a look.
pub(super) fn state_of(looked: Looked, absence: Option<String>) -> TargetState {
    let reach = match &looked.reached {
        Ok(()) => Reach::Reached,
        Err(error) if matches!(error.kind, Kind::Unavailable | Kind::Timeout) => {
            Reach::Unreachable {
                reason: error.to_string(),
            }
        }
        // A refused key or another host key says nothing about how the machine is.
        Err(error) => Reach::Unknown {
            reason: error.to_string(),
        },
    };
    TargetState {
        target: looked.target,
        reach,
        findings: looked.findings,
        health: looked.health,
        absence,
    }
}

/// Nodes in whose place others come.
fn replacing(open: &[Case]) -> Vec<NodeId> {
    let nodes: BTreeSet<NodeId> = open
        .iter()
        .filter(|case| {
            case.running()
                .is_some_and(|one| one.action == HealAction::Replace)
        })
        .filter_map(|case| case.node.clone())
        .collect();
    nodes.into_iter().collect()
}

fn unmeasured(sight: &Sight) -> Vec<Unmeasured> {
    let mut all = Vec::new();
    for state in &sight.states {
        if let Reach::Unknown { reason } = &state.reach {
            all.push(Unmeasured {
                target: state.target.name.clone(),
                probe: None,
                reason: reason.clone(),
            });
        }
        for finding in &state.findings {
            if let fleetwright_core::Verdict::Unknown { reason } = &finding.verdict {
                all.push(Unmeasured {
                    target: state.target.name.clone(),
                    probe: Some(finding.probe.clone()),
                    reason: reason.clone(),
                });
            }
        }
    }
    all
}
