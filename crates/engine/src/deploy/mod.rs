//! Deployments: the same thing brought to many machines, carefully.
//!
//! ```text
//!   DeployWish ─► payload (files, hashes) ─► journal ─► rollout (pure) ─► a machine's turn
//!                                               ▲                            │
//!                                               └──────── every change ──────┘
//! ```
//!
//! Each machine's turn is written down before it begins and when it has ended, so that a deployment
//! whose process was killed can be gone on with. What was running then has no known end: it is run
//! again only if somebody asks to go on.
//!
//! One deployment at a time holds the lease `deploy`.

mod archive;
mod payload;
mod rollout;
mod turn;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fleetwright_core::{
    DeployedFile, DeployedNode, DeployedState, Deployment, DeploymentId, DeploymentOutcome,
    DeploymentSpec, Error, EventKind, Kind, Remote, Result, Rollback, RolloutPolicy, Span, Stream,
    Target,
};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use self::payload::Payload;
use self::turn::Turn;
use crate::Engine;

pub use rollout::{Rollout, RolloutStep};

/// The lease that a deployment holds.
const LEASE: &str = "deploy";
/// What the lease is good for; its holder's death ends it in any case.
const LEASE_TTL: Duration = Duration::from_hours(1);
/// How many deployments are looked through for one that can be gone on with.
const LOOKED_THROUGH: u32 = 50;

/// What shall be brought to the machines, and how.
#[derive(Debug, Clone)]
pub struct DeployWish {
    /// Files and directories that are put there first, and where: absolute paths.
    pub pushes: Vec<(PathBuf, String)>,
    /// A script that is run there after them: an absolute path.
    pub script: Option<PathBuf>,
    /// A command that is run there last.
    pub command: Option<String>,
    /// A command that must succeed there before a machine counts as done.
    pub check: Option<String>,
    /// What is run where it failed.
    pub rollback: Option<Rollback>,
    /// Whether a failure also takes back what was done on the other machines.
    pub rollback_all: bool,
    /// How many at once, and when it ends.
    pub rollout: RolloutPolicy,
    /// Limit for each machine and each of its steps.
    pub timeout: Span,
    /// How often a machine that cannot be connected to is tried again.
    pub retries: u32,
}

/// How a deployment is carried out.
pub struct DeployOptions {
    /// Who does it, for whoever finds the lease taken.
    pub holder: String,
    /// Run it also where it was run already.
    pub force: bool,
    /// Limit for all: machines whose turn has not come by then have none.
    pub total: Option<Duration>,
    /// Who follows it.
    pub sink: Arc<dyn DeploySink>,
}

impl fmt::Debug for DeployOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeployOptions")
            .field("holder", &self.holder)
            .field("force", &self.force)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

/// Follows a deployment. Must not block.
pub trait DeploySink: Send + Sync {
    /// It begins, or goes on, with so many machines to do.
    fn began(&self, deployment: &Deployment, machines: usize);
    /// The turn of a machine has come.
    fn turn_began(&self, node: &DeployedNode);
    /// Nobody can log in to it yet; it is tried again.
    fn retried(&self, node: &str, attempt: u32, error: &Error);
    /// Some bytes of its output, cut anywhere.
    fn write(&self, node: &str, stream: Stream, bytes: &[u8]);
    /// Its turn has ended.
    fn turn_ended(&self, node: &DeployedNode);
    /// Nothing begins before then.
    fn paused(&self, until: Timestamp);
}

/// How a deployment ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deployed {
    /// The deployment.
    pub deployment: Deployment,
    /// What became of each machine, in the order of their turns.
    pub nodes: Vec<DeployedNode>,
}

impl Deployed {
    /// How many machines are in a state.
    pub fn count(&self, state: DeployedState) -> usize {
        self.nodes.iter().filter(|node| node.state == state).count()
    }
}

impl Engine {
    /// Brings something to the targets.
    ///
    /// # Errors
    /// `Invalid` if there is nothing to bring or a file cannot be read; `Conflict` if another
    /// deployment is under way; `Unsupported` if nobody can log in; errors of the journal. What
    /// happens on a machine is no error of the deployment.
    pub async fn deploy(
        &self,
        wish: DeployWish,
        targets: &[Target],
        options: &DeployOptions,
    ) -> Result<Deployed> {
        // Before anything is written down: it would have no end.
        self.login()?;
        let mut spec = specification(wish)?;
        let payload = Payload::read(&mut spec)?;
        let now = self.clock.now();
        let lease = self
            .store
            .acquire(LEASE, &options.holder, now, LEASE_TTL)
            .await?;
        let deployment = Deployment {
            id: DeploymentId::new(),
            began_at: now,
            ended_at: None,
            outcome: None,
            reason: String::new(),
            fingerprint: spec.fingerprint(),
            spec,
        };
        let mut nodes = Vec::with_capacity(targets.len());
        for target in targets {
            let mut node = waiting(target);
            let last = self.store.last_deployed(&node.key).await?;
            let is_there = last.is_some_and(|last| last.is(&deployment.fingerprint));
            // With a check it is looked at when its turn comes.
            if is_there && !options.force && deployment.spec.check.is_none() {
                node.state = DeployedState::Skipped;
            }
            nodes.push(node);
        }
        self.store.begin_deployment(&deployment, &nodes).await?;
        let done = self.carry_out(deployment, nodes, &payload, options).await;
        let released = self.store.release(lease).await;
        let done = done?;
        released?;
        Ok(done)
    }

    /// Goes on with a deployment that was interrupted or stopped, or that failed somewhere: all
    /// machines that are not right have a turn. Without an id, the last one that is not complete.
    ///
    /// # Errors
    /// `NotFound` if there is none; `Conflict` if a file that it brings is not what it was, or if a
    /// deployment is under way; errors of the journal.
    pub async fn resume_deployment(
        &self,
        id: Option<DeploymentId>,
        options: &DeployOptions,
    ) -> Result<Deployed> {
        // First the lease: what is under way is not interrupted.
        let lease = self
            .store
            .acquire(LEASE, &options.holder, self.clock.now(), LEASE_TTL)
            .await?;
        let done = self.go_on(id, options).await;
        let released = self.store.release(lease).await;
        let done = done?;
        released?;
        Ok(done)
    }

    fn login(&self) -> Result<&dyn Remote> {
        self.remote
            .as_deref()
            .ok_or_else(|| Error::new(Kind::Unsupported, "there is no way to log in to machines"))
    }

    async fn go_on(&self, id: Option<DeploymentId>, options: &DeployOptions) -> Result<Deployed> {
        let is_open = |one: &Deployment| one.outcome != Some(DeploymentOutcome::Succeeded);
        let found = if let Some(id) = id {
            self.store.deployment(id).await?
        } else {
            let all = self.store.deployments(LOOKED_THROUGH).await?;
            all.into_iter().find(is_open)
        };
        let mut deployment = found.ok_or_else(|| {
            let what = match id {
                Some(id) => format!("there is no deployment `{id}`"),
                None => "no deployment is to be gone on with".to_owned(),
            };
            Error::new(Kind::NotFound, what).with_hint("`fleetwright deploy --list` shows them")
        })?;
        let payload = Payload::read_again(&deployment.spec)?;
        let mut nodes = self.store.deployed_nodes(deployment.id).await?;
        for node in &mut nodes {
            if !node.state.is_right() {
                *node = DeployedNode {
                    state: DeployedState::Waiting,
                    attempts: 0,
                    exit: None,
                    error: None,
                    rolled_back: None,
                    ..node.clone()
                };
            }
        }
        deployment.ended_at = None;
        deployment.outcome = None;
        self.carry_out(deployment, nodes, &payload, options).await
    }

    async fn carry_out(
        &self,
        mut deployment: Deployment,
        mut nodes: Vec<DeployedNode>,
        payload: &Payload,
        options: &DeployOptions,
    ) -> Result<Deployed> {
        let remote = self.login()?;
        let due: Vec<usize> = (0..nodes.len())
            .filter(|at| nodes[*at].state == DeployedState::Waiting)
            .collect();
        self.recorder.note(EventKind::DeploymentStarted {
            deployment: deployment.id,
            what: deployment.spec.summary(),
            nodes: due.len(),
        });
        self.recorder.flush().await?;
        options.sink.began(&deployment, due.len());
        let mut rollout = Rollout::new(deployment.spec.rollout, due.len());
        self.roll(
            &deployment,
            &mut nodes,
            &due,
            &mut rollout,
            payload,
            remote,
            options,
        )
        .await?;
        if deployment.spec.rollback_all && nodes.iter().any(|node| node.state.is_failure()) {
            self.take_all_back(&deployment, &mut nodes, &due, remote, options)
                .await?;
        }
        let (outcome, reason) = rollout.outcome();
        deployment.ended_at = Some(self.clock.now());
        deployment.outcome = Some(outcome);
        deployment.reason.clone_from(&reason);
        self.store.put_deployment(&deployment).await?;
        self.recorder.note(EventKind::DeploymentEnded {
            deployment: deployment.id,
            outcome,
            reason,
        });
        self.recorder.flush().await?;
        Ok(Deployed { deployment, nodes })
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one deployment, borrowed apart"
    )]
    async fn roll(
        &self,
        deployment: &Deployment,
        nodes: &mut [DeployedNode],
        due: &[usize],
        rollout: &mut Rollout,
        payload: &Payload,
        remote: &dyn Remote,
        options: &DeployOptions,
    ) -> Result<()> {
        let total = options
            .total
            .and_then(|total| SignedDuration::try_from(total).ok());
        let deadline = total.and_then(|total| self.clock.now().checked_add(total).ok());
        let turn = Turn {
            store: &self.store,
            clock: &*self.clock,
            remote,
            deployment,
            payload,
            force: options.force,
            deadline,
            sink: &*options.sink,
        };
        let turn = &turn;
        let mut running = FuturesUnordered::new();
        loop {
            let now = self.clock.now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                let total = Span(options.total.unwrap_or_default());
                rollout.stop(format!("the limit of {total} for all is over"));
            }
            let until = match rollout.next(now) {
                RolloutStep::Over => break,
                RolloutStep::Begin(begun) => {
                    for number in &begun {
                        let node = &mut nodes[due[*number]];
                        node.state = DeployedState::Running;
                        node.began_at = Some(now);
                        node.ended_at = None;
                        options.sink.turn_began(node);
                    }
                    let written: Vec<DeployedNode> = begun
                        .iter()
                        .map(|number| nodes[due[*number]].clone())
                        .collect();
                    self.store.put_deployed(deployment, &written).await?;
                    for (number, node) in begun.into_iter().zip(written) {
                        running.push(async move { (number, turn.take(node).await) });
                    }
                    continue;
                }
                RolloutStep::Wait => deadline,
                RolloutStep::Until(at) => {
                    options.sink.paused(at);
                    Some(deadline.map_or(at, |deadline| deadline.min(at)))
                }
            };
            // A deadline that is over ends nothing that runs: each turn keeps to it by itself.
            let until = until.filter(|until| *until > now);
            let pause = async {
                match until {
                    Some(until) => self.clock.sleep(crate::life::elapsed(now, until)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some((number, ended)) = running.next() => {
                    let node: DeployedNode = ended?;
                    self.store.put_deployed(deployment, std::slice::from_ref(&node)).await?;
                    self.tell_deployed(deployment, &node);
                    options.sink.turn_ended(&node);
                    rollout.ended(number, node.state);
                    nodes[due[number]] = node;
                }
                () = pause => {}
            }
        }
        Ok(())
    }

    /// Takes back what succeeded, because something else did not.
    async fn take_all_back(
        &self,
        deployment: &Deployment,
        nodes: &mut [DeployedNode],
        due: &[usize],
        remote: &dyn Remote,
        options: &DeployOptions,
    ) -> Result<()> {
        let no_files = Payload { steps: Vec::new() };
        let turn = Turn {
            store: &self.store,
            clock: &*self.clock,
            remote,
            deployment,
            payload: &no_files,
            force: options.force,
            deadline: None,
            sink: &*options.sink,
        };
        let turn = &turn;
        let touched: Vec<(usize, DeployedNode)> = due
            .iter()
            .filter(|at| nodes[**at].state == DeployedState::Succeeded)
            .map(|at| (*at, nodes[*at].clone()))
            .collect();
        let parallel = usize::try_from(deployment.spec.rollout.parallel.max(1)).unwrap_or(1);
        let mut ended = futures::stream::iter(touched)
            .map(|(at, mut node)| async move {
                let done = turn.take_back(&mut node).await;
                (at, done.map(|()| node))
            })
            .buffer_unordered(parallel);
        while let Some((at, node)) = ended.next().await {
            let node = node?;
            self.store
                .put_deployed(deployment, std::slice::from_ref(&node))
                .await?;
            options.sink.turn_ended(&node);
            nodes[at] = node;
        }
        Ok(())
    }

    fn tell_deployed(&self, deployment: &Deployment, node: &DeployedNode) {
        self.recorder.note(EventKind::NodeDeployed {
            deployment: deployment.id,
            node: node.node.clone(),
            name: node.name.clone(),
            state: node.state,
            reason: reason(node),
        });
    }
}

/// Why a machine is where it is, in words.
fn reason(node: &DeployedNode) -> String {
    let why = match (&node.error, &node.exit) {
        (Some(error), _) => error.message.clone(),
        (None, Some(exit)) => crate::targets::in_words(exit),
        (None, None) => String::new(),
    };
    match &node.rolled_back {
        Some(back) => format!("{why}; taken back: {}", back.reason),
        None => why,
    }
}

fn waiting(target: &Target) -> DeployedNode {
    DeployedNode {
        key: target.key(),
        name: target.name.clone(),
        node: target.node.clone(),
        access: target.access.clone(),
        state: DeployedState::Waiting,
        began_at: None,
        ended_at: None,
        attempts: 0,
        exit: None,
        error: None,
        stdout: String::new(),
        stderr: String::new(),
        rolled_back: None,
    }
}

fn specification(wish: DeployWish) -> Result<DeploymentSpec> {
    if wish.pushes.is_empty() && wish.script.is_none() && wish.command.is_none() {
        return Err(
            Error::new(Kind::Invalid, "there is nothing to deploy").with_hint(
                "give a command, `--script <file>` or `--push <file or directory>:<there>`",
            ),
        );
    }
    if wish.rollback_all && wish.rollback.is_none() {
        return Err(Error::new(
            Kind::Invalid,
            "`--rollback-all` needs to know how: `--rollback` says it",
        ));
    }
    let text = |path: PathBuf| {
        path.into_os_string().into_string().map_err(|path| {
            Error::new(
                Kind::Invalid,
                format!("the path `{}` is no UTF-8", path.display()),
            )
        })
    };
    let mut pushes = Vec::new();
    for (from, to) in wish.pushes {
        pushes.push(DeployedFile {
            from: text(from)?,
            to,
            hash: String::new(),
        });
    }
    let script = match wish.script {
        Some(from) => Some(DeployedFile {
            from: text(from)?,
            to: String::new(),
            hash: String::new(),
        }),
        None => None,
    };
    Ok(DeploymentSpec {
        pushes,
        script,
        command: wish.command,
        check: wish.check,
        rollback: wish.rollback,
        rollback_all: wish.rollback_all,
        rollout: wish.rollout,
        timeout: wish.timeout,
        retries: wish.retries,
    })
}
