//! Execution: does what a plan says, step by step, and writes down what came of it.
//!
//! Claims are committed before calls, results after them; no transaction is held across a call.
//! A step that fails does not stop the others. What is not finished here (a deletion that was only
//! started, a balancer that still drains) is picked up by the next look at the world.

mod attempts;
mod create;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use fleetwright_core::{
    Action, Deletion, Error, EventKind, Kind, Life, Node, NodeId, NodeRecord, Plan, Purpose,
    Result, Token, keys,
};
use fleetwright_store::Lease;
use futures::StreamExt;
use futures::stream;

pub use self::attempts::Attempt;
use crate::resolve::record_of;
use crate::{Engine, Observation};

/// Claims resolved at the same time.
const RESOLVES: usize = 8;
/// Deletions and balancer changes at the same time.
const CHANGES: usize = 16;
/// Results written in one transaction at most.
const WRITES: usize = 256;

/// What came of a plan.
#[derive(Debug, Default)]
pub struct Executed {
    /// Machines made.
    pub created: usize,
    /// Machines confirmed gone.
    pub deleted: usize,
    /// Nodes whose deletion the provider has accepted and is at work on.
    pub deleting: BTreeSet<NodeId>,
    /// Claims that were resolved.
    pub resolved: usize,
    /// Nodes taken into the records.
    pub adopted: usize,
    /// Nodes registered with, or taken from, a balancer.
    pub balanced: usize,
    /// Steps that failed.
    pub failures: Vec<Failure>,
}

/// A step that failed.
#[derive(Debug)]
pub struct Failure {
    /// The step in words.
    pub step: String,
    /// Why.
    pub error: Error,
    /// Of a step that makes machines: what was tried, in order.
    pub attempts: Vec<Attempt>,
}

impl Executed {
    /// Whether it is worth looking at the world again at once. A deletion that was only started is
    /// not: the provider needs its time.
    pub fn has_changes(&self) -> bool {
        self.created + self.deleted + self.resolved + self.adopted + self.balanced > 0
    }

    /// Adds what another plan did.
    pub fn absorb(&mut self, other: Self) {
        self.created += other.created;
        self.deleted += other.deleted;
        self.deleting.extend(other.deleting);
        self.resolved += other.resolved;
        self.adopted += other.adopted;
        self.balanced += other.balanced;
        self.failures.extend(other.failures);
    }
}

impl Engine {
    /// Executes a plan that was made from this observation.
    ///
    /// # Errors
    /// Only from the journal (a lost lease, a full disk): nothing more is done then. What a
    /// provider refuses is a [`Failure`].
    pub(crate) async fn execute(
        &self,
        lease: &Lease,
        plan: &Plan,
        observation: &Observation,
    ) -> Result<Executed> {
        let mut done = Executed::default();
        self.resolve_all(lease, plan, observation, &mut done)
            .await?;
        self.adopt_all(lease, plan, &mut done).await?;
        let (removed, created, balanced) = futures::join!(
            self.delete_all(lease, plan, observation),
            self.create_all(lease, plan, observation),
            self.balance_all(lease, plan, observation),
        );
        for part in [removed?, created?, balanced?] {
            done.created += part.created;
            done.deleted += part.deleted;
            done.deleting.extend(part.deleting);
            done.balanced += part.balanced;
            done.failures.extend(part.failures);
        }
        self.recorder.flush().await?;
        Ok(done)
    }

    async fn resolve_all(
        &self,
        lease: &Lease,
        plan: &Plan,
        observation: &Observation,
        done: &mut Executed,
    ) -> Result<()> {
        let purpose: &Purpose = &plan.purpose;
        let claims = plan.steps.iter().filter_map(|step| match &step.action {
            Action::Resolve { claim, attempt, .. } => observation
                .claims
                .iter()
                .find(|c| c.id == *claim && c.attempt == *attempt),
            _ => None,
        });
        let mut answers = stream::iter(claims.cloned())
            .map(|claim| async move {
                let answer = self.resolve(lease, &claim, purpose).await;
                (claim, answer)
            })
            .buffer_unordered(RESOLVES);
        while let Some((claim, answer)) = answers.next().await {
            match answer? {
                Some(_) => done.resolved += 1,
                None => done.failures.push(Failure {
                    step: format!("resolve claim {}/{}", claim.id, claim.attempt),
                    error: Error::new(Kind::Unavailable, "nobody can tell yet what became of it"),
                    attempts: Vec::new(),
                }),
            }
        }
        Ok(())
    }

    async fn adopt_all(&self, lease: &Lease, plan: &Plan, done: &mut Executed) -> Result<()> {
        let orphans: Vec<&Node> = plan
            .steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::Adopt { node, .. } => Some(&**node),
                _ => None,
            })
            .collect();
        done.adopted += self.take_in(lease, &orphans).await?.len();
        Ok(())
    }

    /// Makes records of nodes that have none.
    pub(crate) async fn take_in(&self, lease: &Lease, nodes: &[&Node]) -> Result<Vec<NodeRecord>> {
        let now = self.clock.now();
        let mut records = Vec::with_capacity(nodes.len());
        let mut events = Vec::with_capacity(nodes.len());
        for node in nodes {
            let claim = match node.label(keys::CLAIM) {
                Some(token) => {
                    self.store
                        .claim_by_token(&Token::from_stored(token))
                        .await?
                }
                None => None,
            };
            let mut record = record_of(node, claim.as_ref(), now);
            record.reason = "found with our label and taken into the records".into();
            events.push(self.recorder.event(EventKind::NodeChanged {
                node: record.id.clone(),
                name: record.name.clone(),
                from: None,
                to: record.life,
                reason: record.reason.clone(),
            }));
            records.push(record);
        }
        if !records.is_empty() {
            self.store.put_nodes(lease, &records, &events).await?;
            self.recorder.announce(&events);
        }
        Ok(records)
    }

    /// Notes first that the nodes are to go, for all of them at once, and then asks the providers.
    async fn delete_all(
        &self,
        lease: &Lease,
        plan: &Plan,
        observation: &Observation,
    ) -> Result<Executed> {
        let mut done = Executed::default();
        let records = by_id(observation);
        let mut leaving: Vec<NodeRecord> = Vec::new();
        let mut marked: Vec<(NodeRecord, Life)> = Vec::new();
        for step in &plan.steps {
            let Action::Delete { node } = &step.action else {
                continue;
            };
            let Some(record) = records.get(node) else {
                continue;
            };
            let next = self.moved(record, Life::Terminating, &step.reason);
            if record.life != Life::Terminating {
                marked.push((next.clone(), record.life));
            }
            leaving.push(if record.life == Life::Terminating {
                (*record).clone()
            } else {
                next
            });
        }
        self.write(lease, marked).await?;
        let mut answers = stream::iter(leaving)
            .map(|record| async move {
                let answer = match self.provider(record.id.provider()) {
                    Ok(provider) => provider.delete(&record.id).await,
                    Err(error) => Err(error),
                };
                (record, answer)
            })
            .buffer_unordered(CHANGES)
            .ready_chunks(WRITES);
        while let Some(chunk) = answers.next().await {
            let mut gone = Vec::new();
            for (record, answer) in chunk {
                match answer {
                    Ok(Deletion::Gone) => {
                        let mut next = self.moved(&record, Life::Gone, &record.reason);
                        next.gone_at = Some(next.since);
                        gone.push((next, record.life));
                    }
                    Ok(Deletion::Started) => {
                        done.deleting.insert(record.id);
                    }
                    Err(error) => {
                        self.failed(
                            &mut done,
                            format!("delete {}", record.id),
                            Some(&record.id),
                            error,
                        );
                    }
                }
            }
            done.deleted += gone.len();
            self.write(lease, gone).await?;
        }
        Ok(done)
    }

    async fn balance_all(
        &self,
        lease: &Lease,
        plan: &Plan,
        observation: &Observation,
    ) -> Result<Executed> {
        let mut done = Executed::default();
        let records = by_id(observation);
        let mut draining = Vec::new();
        for step in &plan.steps {
            // A node that is only cordoned stays what it is.
            if let Action::Drain { node, .. } = &step.action
                && !matches!(plan.purpose, Purpose::Balance { .. })
                && let Some(record) = records.get(node)
                && record.life != Life::Draining
            {
                draining.push((
                    self.moved(record, Life::Draining, &step.reason),
                    record.life,
                ));
            }
        }
        self.write(lease, draining).await?;
        let steps = plan
            .steps
            .iter()
            .filter(|step| matches!(step.action, Action::Register { .. } | Action::Drain { .. }));
        let mut answers = stream::iter(steps)
            .map(|step| async move { (step, self.balance(&step.action).await) })
            .buffer_unordered(CHANGES);
        while let Some((step, answer)) = answers.next().await {
            match answer {
                Ok(()) => done.balanced += 1,
                Err(error) => {
                    let node = step.action.node();
                    self.failed(&mut done, step.action.to_string(), node, error);
                }
            }
        }
        Ok(done)
    }

    async fn balance(&self, action: &Action) -> Result<()> {
        let (node, balancer, register) = match action {
            Action::Register { node, balancer } => (node, balancer, true),
            Action::Drain { node, balancer } => (node, balancer, false),
            _ => return Ok(()),
        };
        let provider = self.provider(node.provider())?;
        let balancers = provider.balancers().ok_or_else(|| {
            Error::new(
                Kind::Unsupported,
                format!("`{}` has no balancers", node.provider()),
            )
        })?;
        if register {
            balancers.register(balancer, node).await
        } else {
            balancers.deregister(balancer, node).await
        }
    }

    /// A record in another state, from now on.
    fn moved(&self, record: &NodeRecord, life: Life, reason: &str) -> NodeRecord {
        NodeRecord {
            life,
            since: self.clock.now(),
            reason: reason.to_owned(),
            ..record.clone()
        }
    }

    async fn write(&self, lease: &Lease, changes: Vec<(NodeRecord, Life)>) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let events: Vec<_> = changes
            .iter()
            .map(|(record, from)| {
                self.recorder.event(EventKind::NodeChanged {
                    node: record.id.clone(),
                    name: record.name.clone(),
                    from: Some(*from),
                    to: record.life,
                    reason: record.reason.clone(),
                })
            })
            .collect();
        let records: Vec<_> = changes.into_iter().map(|(record, _)| record).collect();
        self.store.put_nodes(lease, &records, &events).await?;
        self.recorder.announce(&events);
        Ok(())
    }

    pub(crate) fn failed(
        &self,
        done: &mut Executed,
        step: String,
        node: Option<&NodeId>,
        error: Error,
    ) {
        self.recorder.note(EventKind::StepFailed {
            step: step.clone(),
            node: node.cloned(),
            error: error.report(),
        });
        done.failures.push(Failure {
            step,
            error,
            attempts: Vec::new(),
        });
    }
}

fn by_id(observation: &Observation) -> HashMap<&NodeId, &NodeRecord> {
    observation
        .records
        .iter()
        .map(|record| (&record.id, record))
        .collect()
}
