//! Cordon, drain, uncordon: nothing new is started on a machine, what runs there is moved away, and
//! back.
//!
//! ```text
//!            hook `cordon`             balancer, then hook `drain`
//!  (none) ─► Cordoning ─► Cordoned ─► Draining ─► Drained
//!     ▲          │ fails      │           │ fails     │
//!     │          ▼            ▼           ▼           ▼
//!     └────── Uncordoning ◄───────────────────────────┘   hook `uncordon`, balancer
//! ```
//!
//! Each phase is written before what it stands for is begun. A run that is killed leaves a phase
//! that is shown, and from which the same command goes on: hooks may run twice.

mod hook;

use std::collections::BTreeSet;
use std::time::Duration;

use fleetwright_core::{
    Cordon, CordonPhase, Error, ErrorReport, Event, EventKind, Hook, Hooks, Kind, Life, NodeId,
    Purpose, Result, Target, TargetGroupName,
};
use futures::StreamExt;
use futures::stream;
use serde::Serialize;

use crate::{Approval, ConvergeOptions, Engine, PlanOptions, Standing};

/// Machines whose hooks run at the same time.
const HOOKS: usize = 16;

/// What is to be done with machines.
#[derive(Debug, Clone)]
pub struct CordonRequest {
    /// Which machines.
    pub targets: Vec<Target>,
    /// Why, for hooks and for whoever finds them cordoned.
    pub reason: String,
    /// How long to wait until balancers have let go of them.
    pub timeout: Duration,
    /// Who asks, for whoever finds the fleet being changed.
    pub holder: String,
}

/// What came of one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cordoned {
    /// Name of the machine.
    pub target: String,
    /// How far its cordon is now; absent: it may be used.
    pub phase: Option<CordonPhase>,
    /// Whether something changed.
    pub changed: bool,
    /// Why it is not as far as was asked for.
    pub error: Option<ErrorReport>,
}

/// A step that ends early: the journal failed, or the machine is done for.
enum Stop {
    Journal(Error),
    Done(Cordoned),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Journal(error)
    }
}

impl Engine {
    /// All cordons. Those of nodes that are gone are forgotten.
    ///
    /// # Errors
    /// Only from the journal.
    pub async fn cordons(&self) -> Result<Vec<Cordon>> {
        let mut kept = Vec::new();
        for cordon in self.store.cordons().await? {
            let record = match &cordon.node {
                Some(node) => self.store.node(node).await?,
                None => None,
            };
            if record.is_some_and(|record| record.life == Life::Gone) {
                self.store
                    .end_cordon(&cordon.key, cordon.phase_since, &[])
                    .await?;
            } else {
                kept.push(cordon);
            }
        }
        Ok(kept)
    }

    /// Sees to it that nothing new is started on machines. One whose hook fails is released again.
    /// One answer for each, in their order.
    ///
    /// # Errors
    /// Only from the journal. What a hook says is in the answer.
    pub async fn cordon(&self, request: &CordonRequest) -> Result<Vec<Cordoned>> {
        self.each(&request.targets, |target| {
            self.cordon_one(target, &request.reason)
        })
        .await
    }

    /// Cordons machines that are not, takes them from their balancers, and has the hook move away
    /// what runs there. One whose hook fails is released again; one that its balancer does not let
    /// go stays cordoned, and the next call goes on.
    ///
    /// # Errors
    /// Only from the journal. What a hook or a cloud says is in the answer.
    pub async fn drain(&self, request: &CordonRequest) -> Result<Vec<Cordoned>> {
        let mut all = self.cordon(request).await?;
        let mut begun = Vec::new();
        for (index, target) in request.targets.iter().enumerate() {
            if all[index].error.is_some() || all[index].phase == Some(CordonPhase::Drained) {
                continue;
            }
            let cordon = self.present(target).await?;
            let next = self.phase(&cordon, CordonPhase::Draining, None);
            self.follow(&next, Some(&cordon), false).await?;
            begun.push((index, target));
        }
        let nodes = begun.iter().filter_map(|(_, target)| target.node.clone());
        let balanced = self.balanced(nodes.collect()).await?;
        let held = self.settle_balancers(balanced.clone(), request).await;
        let drained = stream::iter(begun)
            .map(|(index, target)| {
                let is_balanced = target.node.as_ref().is_some_and(|id| balanced.contains(id));
                let held = held.as_ref().err().filter(|_| is_balanced);
                async move { (index, self.drain_one(target, held).await) }
            })
            .buffer_unordered(HOOKS);
        let drained: Vec<(usize, Result<Cordoned>)> = drained.collect().await;
        let mut undone = BTreeSet::new();
        for (index, result) in drained {
            let result = result?;
            if result.phase.is_none() {
                undone.extend(request.targets[index].node.clone());
            }
            all[index] = result;
        }
        let undone = self.balanced(undone).await?;
        if let Err(error) = self.settle_balancers(undone, request).await {
            tracing::warn!(%error, "not put behind the balancer again; the next `up` does it");
        }
        self.recorder.flush().await?;
        Ok(all)
    }

    /// Lets machines be used again: the hook first, then the balancer. One whose hook fails stays
    /// cordoned.
    ///
    /// # Errors
    /// Only from the journal. What a hook or a cloud says is in the answer.
    pub async fn uncordon(&self, request: &CordonRequest) -> Result<Vec<Cordoned>> {
        let mut all = self
            .each(&request.targets, |target| self.uncordon_one(target))
            .await?;
        let free = request.targets.iter().zip(&all);
        let nodes = free
            .filter(|(_, one)| one.changed && one.phase.is_none())
            .filter_map(|(target, _)| target.node.clone())
            .collect();
        let nodes = self.balanced(nodes).await?;
        if let Err(error) = self.settle_balancers(nodes.clone(), request).await {
            let free = request.targets.iter().zip(&mut all);
            for (_, one) in
                free.filter(|(target, _)| target.node.as_ref().is_some_and(|id| nodes.contains(id)))
            {
                one.error.get_or_insert_with(|| error.report());
            }
        }
        self.recorder.flush().await?;
        Ok(all)
    }

    async fn each<'a, F, Fut>(&'a self, targets: &'a [Target], work: F) -> Result<Vec<Cordoned>>
    where
        F: Fn(&'a Target) -> Fut,
        Fut: Future<Output = Result<Cordoned>>,
    {
        let mut all: Vec<(usize, Result<Cordoned>)> = stream::iter(targets.iter().enumerate())
            .map(|(index, target)| {
                let done = work(target);
                async move { (index, done.await) }
            })
            .buffer_unordered(HOOKS)
            .collect()
            .await;
        all.sort_by_key(|(index, _)| *index);
        let all: Result<Vec<Cordoned>> = all.into_iter().map(|(_, result)| result).collect();
        self.recorder.flush().await?;
        all
    }

    async fn cordon_one(&self, target: &Target, reason: &str) -> Result<Cordoned> {
        let found = self.store.cordon(&target.key()).await?;
        if let Some(found) = &found
            && !matches!(
                found.phase,
                CordonPhase::Cordoning | CordonPhase::Uncordoning
            )
        {
            return Ok(done(target, Some(found.phase), false, None));
        }
        let now = self.clock.now();
        let cordon = match &found {
            Some(found) => Cordon {
                reason: reason.to_owned(),
                ..self.phase(found, CordonPhase::Cordoning, None)
            },
            None => Cordon {
                key: target.key(),
                target: target.name.clone(),
                node: target.node.clone(),
                group: target.group.clone(),
                phase: CordonPhase::Cordoning,
                since: now,
                phase_since: now,
                reason: reason.to_owned(),
                trouble: None,
            },
        };
        self.follow(&cordon, found.as_ref(), false).await?;
        let hooks = self.hooks(target.group.as_ref());
        if let Err(error) = self
            .hook("cordon", hooks.cordon.as_ref(), target, reason)
            .await
        {
            return self.undo(target, &cordon, &error).await;
        }
        let next = self.phase(&cordon, CordonPhase::Cordoned, None);
        self.follow(&next, Some(&cordon), true).await?;
        Ok(done(target, Some(CordonPhase::Cordoned), true, None))
    }

    async fn drain_one(&self, target: &Target, held: Option<&Error>) -> Result<Cordoned> {
        let cordon = self.present(target).await?;
        if let Some(error) = held {
            let trouble = Some(error.report().to_string());
            let next = self.phase(&cordon, CordonPhase::Draining, trouble);
            self.follow(&next, Some(&cordon), false).await?;
            return Ok(done(target, Some(CordonPhase::Draining), true, Some(error)));
        }
        let hooks = self.hooks(target.group.as_ref());
        if let Err(error) = self
            .hook("drain", hooks.drain.as_ref(), target, &cordon.reason)
            .await
        {
            return self.undo(target, &cordon, &error).await;
        }
        let next = self.phase(&cordon, CordonPhase::Drained, None);
        self.follow(&next, Some(&cordon), true).await?;
        Ok(done(target, Some(CordonPhase::Drained), true, None))
    }

    async fn uncordon_one(&self, target: &Target) -> Result<Cordoned> {
        let Some(found) = self.store.cordon(&target.key()).await? else {
            return Ok(done(target, None, false, None));
        };
        match self.release(target, &found, None).await {
            Ok(()) => Ok(done(target, None, true, None)),
            Err(Stop::Done(result)) => Ok(result),
            Err(Stop::Journal(error)) => Err(error),
        }
    }

    /// A hook failed: the machine is released again.
    async fn undo(&self, target: &Target, cordon: &Cordon, error: &Error) -> Result<Cordoned> {
        match self.release(target, cordon, Some(error)).await {
            Ok(()) => Ok(done(target, None, true, Some(error))),
            Err(Stop::Done(result)) => Ok(result),
            Err(Stop::Journal(error)) => Err(error),
        }
    }

    /// Runs the hook that ends the cordon, and ends it.
    async fn release(
        &self,
        target: &Target,
        cordon: &Cordon,
        because: Option<&Error>,
    ) -> std::result::Result<(), Stop> {
        let trouble = because.map(|error| error.report().to_string());
        let next = self.phase(cordon, CordonPhase::Uncordoning, trouble.clone());
        self.follow(&next, Some(cordon), false).await?;
        let hooks = self.hooks(target.group.as_ref());
        if let Err(error) = self
            .hook("uncordon", hooks.uncordon.as_ref(), target, &next.reason)
            .await
        {
            let both = match &trouble {
                Some(first) => format!("{first}; and then: {}", error.report()),
                None => error.report().to_string(),
            };
            let stuck = self.phase(&next, CordonPhase::Uncordoning, Some(both));
            self.follow(&stuck, Some(&next), false).await?;
            return Err(Stop::Done(done(
                target,
                Some(CordonPhase::Uncordoning),
                true,
                Some(because.unwrap_or(&error)),
            )));
        }
        let reason = trouble.unwrap_or_else(|| "it may be used again".to_owned());
        let events = [self.recorder.event(EventKind::CordonChanged {
            target: target.name.clone(),
            node: target.node.clone(),
            phase: None,
            reason,
        })];
        let was_there = self
            .store
            .end_cordon(&next.key, next.phase_since, &events)
            .await?;
        if !was_there {
            return Err(Stop::Journal(overtaken(&next)));
        }
        self.recorder.announce(&events);
        Ok(())
    }

    /// The cordon that must be there by now.
    async fn present(&self, target: &Target) -> Result<Cordon> {
        self.store.cordon(&target.key()).await?.ok_or_else(|| {
            Error::new(
                Kind::Conflict,
                format!("somebody else has uncordoned `{}` meanwhile", target.name),
            )
        })
    }

    /// The same cordon in another phase, from now on.
    fn phase(&self, cordon: &Cordon, phase: CordonPhase, trouble: Option<String>) -> Cordon {
        Cordon {
            phase,
            phase_since: self.clock.now(),
            trouble,
            ..cordon.clone()
        }
    }

    /// Writes a phase that follows another.
    async fn follow(&self, next: &Cordon, from: Option<&Cordon>, tell: bool) -> Result<()> {
        let events: Vec<Event> = if tell {
            vec![self.recorder.event(EventKind::CordonChanged {
                target: next.target.clone(),
                node: next.node.clone(),
                phase: Some(next.phase),
                reason: next.reason.clone(),
            })]
        } else {
            Vec::new()
        };
        let since = from.map(|from| from.phase_since);
        if !self.store.put_cordon(next, since, &events).await? {
            return Err(overtaken(next));
        }
        self.recorder.announce(&events);
        Ok(())
    }

    async fn hook(
        &self,
        name: &str,
        hook: Option<&Hook>,
        target: &Target,
        reason: &str,
    ) -> Result<()> {
        let Some(hook) = hook else {
            return Ok(());
        };
        let done = hook::run(self.remote.as_deref(), name, hook, target, reason).await;
        self.recorder.note(EventKind::HookEnded {
            target: target.name.clone(),
            node: target.node.clone(),
            hook: name.to_owned(),
            error: done.as_ref().err().map(Error::report),
        });
        done
    }

    /// The commands that a group has for its machines.
    fn hooks(&self, group: Option<&TargetGroupName>) -> Hooks {
        let found = match group {
            Some(TargetGroupName::Pool(name)) => self.fleet.pools.get(name).map(|g| &g.hooks),
            Some(TargetGroupName::Targets(name)) => {
                self.fleet.targets.get(name).map(|group| &group.hooks)
            }
            None => None,
        };
        found.cloned().unwrap_or_default()
    }

    /// Those of these nodes whose pools have a balancer.
    async fn balanced(&self, mut nodes: BTreeSet<NodeId>) -> Result<BTreeSet<NodeId>> {
        let balanced: BTreeSet<NodeId> = self
            .store
            .nodes()
            .await?
            .into_iter()
            .filter(|record| {
                let pool = self.fleet.pools.get(&record.pool);
                pool.is_some_and(|pool| pool.balancer.is_some())
            })
            .map(|record| record.id)
            .collect();
        nodes.retain(|node| balanced.contains(node));
        Ok(nodes)
    }

    /// Takes cordoned nodes from their balancers, and puts the others behind them, by the one path
    /// that changes the cloud.
    async fn settle_balancers(
        &self,
        nodes: BTreeSet<NodeId>,
        request: &CordonRequest,
    ) -> Result<()> {
        if nodes.is_empty() {
            return Ok(());
        }
        let outcome = self
            .converge(&ConvergeOptions {
                purpose: Purpose::Balance { nodes },
                deadline: request.timeout,
                approval: Approval::Everything,
                plan: PlanOptions::default(),
                holder: request.holder.clone(),
            })
            .await?;
        if let Some(failure) = outcome.executed.failures.into_iter().next_back()
            && !matches!(outcome.standing, Standing::Reached)
        {
            return Err(failure.error);
        }
        match outcome.standing {
            Standing::Reached => Ok(()),
            Standing::TimedOut => Err(Error::new(
                Kind::Timeout,
                "the balancer has not let go of it in time",
            )
            .with_hint("run the command again to go on waiting")),
            _ => Err(Error::new(
                Kind::Unavailable,
                "nobody can tell which nodes the balancer has",
            )),
        }
    }
}

fn done(
    target: &Target,
    phase: Option<CordonPhase>,
    changed: bool,
    error: Option<&Error>,
) -> Cordoned {
    Cordoned {
        target: target.name.clone(),
        phase,
        changed,
        error: error.map(Error::report),
    }
}

fn overtaken(cordon: &Cordon) -> Error {
    Error::new(
        Kind::Conflict,
        format!(
            "somebody else has cordoned or uncordoned `{}` meanwhile",
            cordon.target
        ),
    )
    .with_hint("`fleetwright cordon` without a name shows how it stands")
}
