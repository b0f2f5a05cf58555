//! The loop: look, plan, execute, until the fleet is what it should be.
//!
//! One process at a time holds the lease of the fleet. Nothing in here is retried: the next look at
//! the world is the retry.

use std::collections::BTreeSet;
use std::time::Duration;

use fleetwright_core::{
    Action, Brake, BudgetOutcome, Error, EventKind, Kind, Life, NodeId, NodeRecord, Plan, Purpose,
    Remedy, Result,
};
use fleetwright_store::Lease;
use jiff::Timestamp;
use serde::Serialize;

use crate::budget::{exceeded, outgrown};
use crate::engine::Look;
use crate::execute::Failure;
use crate::interruption::{is_doomed, is_draining};
use crate::life::elapsed;
use crate::tenure::is_over;
use crate::watch::BACKGROUND;
use crate::{Engine, Executed, Observation, PlanOptions, plan};

/// The lease that whoever changes the fleet holds.
const LEASE: &str = "reconcile";
/// How long the lease is waited for if it is held in the background.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long the lease is good for without being renewed.
const LEASE_TTL: Duration = Duration::from_mins(2);
/// Shortest pause between two looks. After steps that came to nothing it grows by half each time.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// While nodes come up, a pause is this part of the time already waited: the last look comes at
/// most so much late, and a long wait costs few calls.
const SHARE: u32 = 20;

/// What a run may do.
#[derive(Debug, Clone)]
pub struct ConvergeOptions {
    /// What is to be reached.
    pub purpose: Purpose,
    /// How long to wait for it.
    pub deadline: Duration,
    /// Which removals were agreed to.
    pub approval: Approval,
    /// What plans may contain.
    pub plan: PlanOptions,
    /// Who holds the lease, for whoever finds it taken: program, process, host.
    pub holder: String,
}

/// Which removals were agreed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approval {
    /// Whatever a plan says, within the safety brake.
    Everything,
    /// Only these nodes. Another removal ends the run with [`Standing::NeedsApproval`].
    Only(BTreeSet<NodeId>),
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Where the fleet stands.
    pub standing: Standing,
    /// The last look at the world.
    pub observation: Observation,
    /// What was done in all.
    pub executed: Executed,
    /// The last plan; what it withheld says what is missing.
    pub plan: Plan,
}

/// Where the fleet stands at the end of a run.
#[derive(Debug)]
pub enum Standing {
    /// What was to be reached is reached.
    Reached,
    /// Not all of it, for the reasons in the plan's withheld steps and in the failures.
    Incomplete,
    /// The time is over and nodes are still on their way.
    TimedOut,
    /// A step failed in a way that waiting does not mend. It is the last of the failures.
    Failed,
    /// The plan removes more than it may: nothing of it was done.
    Braked(Brake),
    /// The plan removes nodes that nobody has agreed to: nothing of it was done.
    NeedsApproval,
}

/// Where a pool stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PoolStatus {
    /// Name.
    pub name: String,
    /// Nodes wanted; 0 for a pool that is not in the configuration.
    pub desired: u32,
    /// Up and wanted.
    pub ready: usize,
    /// On the way up.
    pub starting: usize,
    /// Failed and not removed yet.
    pub failed: usize,
    /// On the way out.
    pub leaving: usize,
    /// Asked for without an answer so far.
    pub pending: u32,
    /// Up or on the way up, made from an older definition of the pool.
    pub outdated: usize,
}

impl Engine {
    /// Brings the fleet to what is wanted and waits until it is there.
    ///
    /// # Errors
    /// `Conflict` if another process holds the lease; errors of the journal. Everything else is an
    /// [`Outcome`].
    pub async fn converge(&self, options: &ConvergeOptions) -> Result<Outcome> {
        let lease = self.lease(&options.holder).await?;
        let outcome = self.run(&lease, options, None).await;
        self.leave(lease, outcome).await
    }

    /// Executes a plan that was made before, if the world is still the one it was made for, and
    /// waits for what it began.
    ///
    /// # Errors
    /// `Conflict` if the plan is stale; otherwise as [`converge`](Self::converge).
    pub async fn apply(&self, stored: &Plan, options: &ConvergeOptions) -> Result<Outcome> {
        if stored.fleet != self.fleet.name {
            return Err(Error::new(
                Kind::Conflict,
                format!(
                    "the plan is for fleet `{}`, not `{}`",
                    stored.fleet, self.fleet.name
                ),
            ));
        }
        let lease = self.lease(&options.holder).await?;
        let outcome = self.run(&lease, options, Some(stored)).await;
        self.leave(lease, outcome).await
    }

    /// Looks and plans without holding the lease and without changing anything.
    pub async fn plan(
        &self,
        purpose: Purpose,
        options: &PlanOptions,
    ) -> Result<(Plan, Observation)> {
        let observation = self.observe().await?;
        self.recorder.flush().await?;
        Ok((
            plan(&self.fleet, &observation, purpose, options),
            observation,
        ))
    }

    /// Writes what is left to write and gives the lease back. The run's own error comes first.
    pub(crate) async fn leave<T>(&self, lease: Lease, outcome: Result<T>) -> Result<T> {
        let flushed = self.recorder.flush().await;
        let released = self.store.release(lease).await;
        let outcome = outcome?;
        flushed?;
        released?;
        Ok(outcome)
    }

    /// Takes the nodes of another journal into this one, because that journal is lost. Their labels
    /// stay as they are; from now on their records say that they are ours.
    ///
    /// Whoever calls this must know that nobody works with the other journal any more: two journals
    /// that hold the same node would both remove it.
    ///
    /// # Errors
    /// `Conflict` if another process holds the lease; errors of the journal.
    pub async fn adopt_strangers(&self, holder: &str) -> Result<Vec<NodeRecord>> {
        let lease = self.lease(holder).await?;
        let adopted = self.adopt_under(&lease).await;
        self.leave(lease, adopted).await
    }

    async fn adopt_under(&self, lease: &Lease) -> Result<Vec<NodeRecord>> {
        let look = self.look().await?;
        self.take_in(lease, &look.observation.strangers()).await
    }

    /// Takes the lease. Whoever keeps the limits in the background holds it for moments only, and
    /// is waited for.
    pub(crate) async fn lease(&self, holder: &str) -> Result<Lease> {
        let started = self.clock.now();
        loop {
            let now = self.clock.now();
            let taken = match self.store.acquire(LEASE, holder, now, LEASE_TTL).await {
                Err(error) if error.kind() == Kind::Conflict => error,
                other => return other,
            };
            let held = self.store.holder(LEASE).await?;
            let passes = match held {
                Some(held) => held.holder.starts_with(BACKGROUND),
                None => true,
            };
            if !passes || holder.starts_with(BACKGROUND) || elapsed(started, now) > PATIENCE {
                return Err(taken);
            }
            self.clock.sleep(PAUSE).await;
        }
    }

    /// Whether somebody is changing the fleet at this moment.
    pub(crate) async fn is_busy(&self) -> Result<bool> {
        Ok(self.store.holder(LEASE).await?.is_some())
    }

    async fn run(
        &self,
        lease: &Lease,
        options: &ConvergeOptions,
        stored: Option<&Plan>,
    ) -> Result<Outcome> {
        let started = self.clock.now();
        let mut executed = Executed::default();
        let mut pause = PAUSE;
        let mut calm_since = started;
        let mut first = true;
        let mut renewed = None;
        let mut seen_gaps: Vec<String> = Vec::new();
        let mut told: BTreeSet<String> = BTreeSet::new();
        loop {
            self.store.renew(lease, self.clock.now(), LEASE_TTL).await?;
            let look = self.look().await?;
            self.commit(lease, &look).await?;
            let Look {
                mut observation,
                changes,
                ..
            } = look;
            // With many nodes, what was written is not kept beside what is looked at.
            drop(changes);
            if first {
                self.note_deaf(&observation);
            }
            self.renew_in_time(&observation, &mut renewed).await;
            if makes_nodes(&options.purpose) {
                self.look_after_drains(lease, &mut observation).await?;
            }
            let gaps = observation.gaps();
            if first || gaps != seen_gaps {
                let nodes = observation.nodes().count();
                self.recorder.note(EventKind::Observed {
                    nodes,
                    gaps: gaps.clone(),
                });
                seen_gaps = gaps;
            }
            let allowed = PlanOptions {
                accepted: executed.deleting.clone(),
                ..options.plan.clone()
            };
            let mut next = plan(&self.fleet, &observation, options.purpose.clone(), &allowed);
            if let Some(stored) = stored {
                if first {
                    check_fresh(stored, &next)?;
                    let billing = |provider: &str| observation.billing(provider);
                    check_budgets(outgrown(&self.fleet, &observation, &billing, stored))?;
                    next = stored.clone();
                } else {
                    next.steps
                        .retain(|step| follows_up(&step.action, &observation));
                    next.brake = None;
                }
            }
            if first {
                self.note_plan(&next);
                self.record_refusals(lease, &observation, &next).await?;
            }
            self.note_budgets(&next, &mut told);
            first = false;
            let end = |standing, executed, plan, observation| {
                Ok(Outcome {
                    standing,
                    observation,
                    executed,
                    plan,
                })
            };
            if let Some(brake) = next.brake.clone() {
                self.recorder.note(EventKind::Braked {
                    reason: brake.to_string(),
                });
                return end(Standing::Braked(brake), executed, next, observation);
            }
            if !options.approval.covers(&next, &observation) {
                return end(Standing::NeedsApproval, executed, next, observation);
            }
            let now = self.clock.now();
            if next.steps.is_empty() {
                let waiting = self.waits_for(&observation, options);
                if waiting.is_empty() {
                    let standing = self.standing(&observation, &next, options);
                    return end(standing, executed, next, observation);
                }
            }
            if elapsed(started, now) >= options.deadline {
                return end(Standing::TimedOut, executed, next, observation);
            }
            if next.steps.is_empty() {
                let share = elapsed(calm_since, now) / SHARE;
                self.clock.sleep(share.clamp(PAUSE, LONGEST_PAUSE)).await;
                continue;
            }
            let step = self.execute(lease, &next, &observation).await?;
            let hopeless = step.failures.iter().any(Failure::is_hopeless);
            let progress = step.has_changes();
            executed.absorb(step);
            if hopeless {
                // The failure comes last, where the caller looks for it.
                executed.failures.sort_by_key(Failure::is_hopeless);
                let observation = self.observe().await?;
                return end(Standing::Failed, executed, next, observation);
            }
            if progress {
                pause = PAUSE;
                calm_since = self.clock.now();
            } else {
                self.clock.sleep(pause).await;
                pause = (pause * 3 / 2).min(LONGEST_PAUSE);
            }
        }
    }

    /// Says which clouds could not be asked what they have announced.
    fn note_deaf(&self, observation: &Observation) {
        for (provider, error) in &observation.deaf {
            self.recorder.note(EventKind::NoticesUnseen {
                provider: provider.clone(),
                error: error.clone(),
            });
        }
    }

    /// Renews the timers of nodes that power themselves off when nobody looks after them.
    async fn renew_in_time(&self, observation: &Observation, last: &mut Option<Timestamp>) {
        let Some(period) = self.renewal_period(&observation.records) else {
            return;
        };
        let now = self.clock.now();
        if last.is_some_and(|last| elapsed(last, now) < period) {
            return;
        }
        *last = Some(now);
        for trouble in self.renew_timers(&observation.records).await {
            tracing::warn!("{trouble}");
        }
    }

    fn note_plan(&self, plan: &Plan) {
        self.recorder.note(EventKind::Planned {
            steps: plan.steps.len(),
            withheld: plan.withheld.len(),
        });
        for withheld in &plan.withheld {
            self.recorder.note(EventKind::Withheld {
                subject: withheld.subject.clone(),
                what: withheld.what.clone(),
                reason: withheld.reason.clone(),
            });
        }
    }

    /// Tells what budgets do, each kind of it once in a run.
    fn note_budgets(&self, plan: &Plan, told: &mut BTreeSet<String>) {
        let over = plan.money.budgets.iter().filter(|line| line.is_exceeded());
        let over = over.map(|line| (line.pool.clone(), BudgetOutcome::Exceeded, exceeded(line)));
        let verdicts = plan.money.verdicts.iter();
        let verdicts = verdicts.map(|v| (Some(v.pool.clone()), v.outcome, v.reason.clone()));
        for (pool, outcome, reason) in over.chain(verdicts) {
            if told.insert(format!("{outcome} {pool:?}")) {
                self.recorder.note(EventKind::BudgetReached {
                    pool,
                    outcome,
                    reason,
                });
            }
        }
    }

    /// Nodes that are on their way somewhere, as far as they can be seen.
    fn waits_for<'a>(
        &self,
        observation: &'a Observation,
        options: &ConvergeOptions,
    ) -> Vec<&'a NodeId> {
        let removing = !options.purpose.waits();
        observation
            .records
            .iter()
            .filter(|record| {
                observation
                    .blind_spot(record.id.provider(), record.id.region())
                    .is_none()
            })
            .filter(|record| match &options.purpose {
                Purpose::Scale { pools, .. } => pools.contains(&record.pool),
                Purpose::Upkeep { .. } => false,
                Purpose::Balance { nodes } => nodes.contains(&record.id),
                _ => true,
            })
            .filter(|record| match record.life {
                Life::Ready | Life::InService
                    if matches!(options.purpose, Purpose::Balance { .. }) =>
                {
                    observation.cordoned.contains(&record.id) && self.is_member(observation, record)
                }
                Life::Requested | Life::Booting | Life::Bootstrapping => !removing,
                Life::Draining | Life::Terminating => true,
                Life::Ready | Life::InService if self.is_held(record) => !removing,
                Life::Ready => !removing && self.is_balanced(observation, record),
                Life::InService | Life::Failed | Life::Gone => false,
            })
            .map(|record| &record.id)
            .collect()
    }

    /// Whether a node will be taken away and only stays until its drain command has ended.
    fn is_held(&self, record: &NodeRecord) -> bool {
        let pool = self.fleet.pools.get(&record.pool);
        is_doomed(record, pool).is_some() && is_draining(record, pool)
    }

    /// Whether it can be seen which nodes the balancer of a node's pool has, if it has one.
    fn is_balance_seen(&self, observation: &Observation, record: &NodeRecord) -> bool {
        let pool = self.fleet.pools.get(&record.pool);
        pool.is_none_or(|pool| pool.balancer.is_none()) || self.is_balanced(observation, record)
    }

    /// Whether a balancer still has a node, draining or not.
    fn is_member(&self, observation: &Observation, record: &NodeRecord) -> bool {
        let pool = self.fleet.pools.get(&record.pool);
        let seen = observation.providers.get(record.id.provider());
        let balancer = pool.and_then(|pool| pool.balancer.as_ref());
        balancer.zip(seen).is_some_and(|(balancer, seen)| {
            matches!(seen.balancers.get(balancer), Some(Ok(members))
                if members.iter().any(|member| member.node == record.id))
        })
    }

    /// Whether a node is, or is about to be, behind a balancer that can be seen.
    fn is_balanced(&self, observation: &Observation, record: &NodeRecord) -> bool {
        let pool = self.fleet.pools.get(&record.pool);
        let seen = observation.providers.get(record.id.provider());
        pool.and_then(|pool| pool.balancer.as_ref())
            .zip(seen)
            .is_some_and(|(balancer, seen)| matches!(seen.balancers.get(balancer), Some(Ok(_))))
    }

    fn standing(
        &self,
        observation: &Observation,
        plan: &Plan,
        options: &ConvergeOptions,
    ) -> Standing {
        let reached = match &options.purpose {
            Purpose::Converge => {
                plan.withheld.is_empty()
                    && self
                        .pool_status(observation)
                        .iter()
                        .all(PoolStatus::is_settled)
            }
            Purpose::Remove { nodes: None } => {
                observation.records.is_empty()
                    && observation.claims.is_empty()
                    && plan.withheld.is_empty()
            }
            Purpose::Remove { nodes: Some(nodes) } => !observation
                .records
                .iter()
                .any(|record| nodes.contains(&record.id)),
            // What is not seen is not known to be let go.
            Purpose::Balance { nodes } => observation
                .records
                .iter()
                .filter(|record| nodes.contains(&record.id))
                .all(|record| self.is_balance_seen(observation, record)),
            Purpose::Expire { .. }
            | Purpose::Relieve { .. }
            | Purpose::Upkeep { .. }
            | Purpose::Scale { wait: false, .. } => plan.withheld.is_empty(),
            Purpose::Scale { pools, wait: true } => {
                plan.withheld.is_empty()
                    && self
                        .pool_status(observation)
                        .iter()
                        .filter(|status| pools.contains(&status.name))
                        .all(PoolStatus::is_settled)
            }
        };
        if reached {
            Standing::Reached
        } else {
            Standing::Incomplete
        }
    }

    /// Where each pool stands, those included that have nodes but are not configured any more.
    pub fn pool_status(&self, observation: &Observation) -> Vec<PoolStatus> {
        let mut names: BTreeSet<&str> = self.fleet.pools.keys().map(String::as_str).collect();
        names.extend(
            observation
                .records
                .iter()
                .map(|record| record.pool.as_str()),
        );
        let mut all: Vec<PoolStatus> = names
            .into_iter()
            .map(|name| PoolStatus {
                name: name.to_owned(),
                desired: (self.fleet.pools.get(name))
                    .map_or(0, |pool| observation.wanted(name, pool)),
                ..PoolStatus::default()
            })
            .collect();
        let mut generations = std::collections::HashMap::new();
        for (name, pool) in &self.fleet.pools {
            generations.insert(name.as_str(), pool.generation());
        }
        for record in &observation.records {
            let Ok(at) = all.binary_search_by(|status| status.name.as_str().cmp(&record.pool))
            else {
                continue;
            };
            let status = &mut all[at];
            if record.life.is_wanted()
                && is_doomed(record, self.fleet.pools.get(&record.pool)).is_some()
            {
                status.leaving += 1;
                continue;
            }
            match record.life {
                Life::Ready | Life::InService => status.ready += 1,
                Life::Requested | Life::Booting | Life::Bootstrapping => status.starting += 1,
                Life::Failed => status.failed += 1,
                Life::Draining | Life::Terminating => status.leaving += 1,
                Life::Gone => {}
            }
            let current = generations.get(record.pool.as_str());
            if record.life.is_wanted() && current.is_some_and(|g| g.short() != record.generation) {
                status.outdated += 1;
            }
        }
        for claim in &observation.claims {
            if let Some(status) = all.iter_mut().find(|status| status.name == claim.pool) {
                let known = observation
                    .records
                    .iter()
                    .filter(|record| record.token.as_ref() == Some(claim.token()))
                    .count();
                let known = u32::try_from(known).unwrap_or(u32::MAX);
                status.pending += claim.request.count.saturating_sub(known);
            }
        }
        all
    }
}

impl PoolStatus {
    /// Exactly as many ready nodes as wanted, and nothing else.
    pub fn is_settled(&self) -> bool {
        usize::try_from(self.desired).is_ok_and(|desired| desired == self.ready)
            && self.starting + self.failed + self.leaving == 0
            && self.pending == 0
    }
}

impl Approval {
    /// The end of a node's time was agreed on when it was asked for, and nobody is asked whether a
    /// cloud may take its machine back.
    fn covers(&self, plan: &Plan, observation: &Observation) -> bool {
        let Self::Only(nodes) = self else {
            return true;
        };
        let ended: BTreeSet<&NodeId> = observation
            .records
            .iter()
            .filter(|record| {
                is_over(record, observation.at).is_some() || is_doomed(record, None).is_some()
            })
            .map(|record| &record.id)
            .collect();
        plan.steps
            .iter()
            .filter(|step| step.action.is_destructive())
            .filter_map(|step| step.action.node())
            .all(|node| nodes.contains(node) || ended.contains(node))
    }
}

impl Failure {
    /// Whether waiting does not mend it.
    fn is_hopeless(&self) -> bool {
        self.error.kind().remedy() == Remedy::GiveUp
    }
}

fn check_fresh(stored: &Plan, fresh: &Plan) -> Result<()> {
    if stored.version != Plan::VERSION {
        return Err(Error::new(
            Kind::Conflict,
            format!(
                "the plan has format {}, this program writes {}",
                stored.version,
                Plan::VERSION
            ),
        )
        .with_hint("make a new plan"));
    }
    if stored.basis != fresh.basis {
        return Err(Error::new(
            Kind::Conflict,
            "the plan is stale: the fleet or its configuration has changed since it was made",
        )
        .with_hint("make a new plan and look at it again"));
    }
    Ok(())
}

/// Prices and what was spent are no part of a plan's basis: they are looked at again.
fn check_budgets(outgrown: Option<String>) -> Result<()> {
    match outgrown {
        None => Ok(()),
        Some(why) => Err(Error::new(
            Kind::Conflict,
            format!("the plan is stale: it does not fit into the budgets any more: {why}"),
        )
        .with_hint("make a new plan and look at it again")),
    }
}

/// Whether a run makes nodes, and not only removes them.
const fn makes_nodes(purpose: &Purpose) -> bool {
    matches!(
        purpose,
        Purpose::Converge
            | Purpose::Relieve { .. }
            | Purpose::Scale { .. }
            | Purpose::Upkeep { .. }
    )
}

/// Steps that finish what a stored plan began, and nothing else.
fn follows_up(action: &Action, observation: &Observation) -> bool {
    match action {
        Action::Resolve { .. } | Action::Register { .. } => true,
        Action::Delete { node } => observation
            .records
            .iter()
            .any(|record| record.id == *node && record.life.is_leaving()),
        Action::Adopt { .. } | Action::Create { .. } | Action::Drain { .. } => false,
    }
}
