//! The cloud's side: what there really is, shared by every process that uses the same file.
//!
//! ```text
//!  provider ── call ──► [ faults, buckets ] ──► Step ──► changes ──► log (one line) ──► state
//!  test ────── World ─────────────────────────────┘
//! ```
//!
//! Whoever wants something takes the lock, reads what others have done, lets happen what is due by
//! now, and appends what changes as one line. So an operation is atomic whoever is killed when.

mod advance;
mod buckets;
mod calls;
pub(crate) mod capacity;
mod faults;
pub(crate) mod hash;
mod log;
pub(crate) mod machine;
pub(crate) mod state;
mod truth;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleetwright_core::{Clock, Effect, Error, Kind, Operation, Result};
use jiff::Timestamp;

pub(crate) use advance::fill;
pub use calls::{Call, CallCount, Outcome};
pub use faults::{Fault, Injection};
pub use truth::World;

use crate::config::SimConfig;
use crate::error;
use capacity::{Placement, Wish};
use log::{Locked, Log};
use state::{Change, State, VERSION, Written};

/// A log this much longer than its last snapshot is rewritten, but not a short one.
const GROWTH: u64 = 4;
const SHORT: u64 = 1024 * 1024;

/// An instant a while after another; the end of time at the latest.
pub(crate) fn after(instant: Timestamp, duration: Duration) -> Timestamp {
    instant.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// One provider's way into the world.
pub(crate) struct Cloud {
    name: String,
    config: SimConfig,
    clock: Arc<dyn Clock>,
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    log: Log,
    state: State,
    /// How long the log was after it was last rewritten.
    rewritten: u64,
}

/// One operation on the world, while nobody else can touch it.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    cloud: &'a Cloud,
    state: &'a mut State,
    now: Timestamp,
    lines: Vec<String>,
    failed: Option<serde_json::Error>,
    /// A test ordered that no machine can be had.
    scarcity: Option<Kind>,
}

/// What is asked of the cloud.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) operation: Operation,
    pub(crate) region: Option<&'a str>,
    pub(crate) machines: u32,
}

// === impl Cloud ===

impl fmt::Debug for Cloud {
    /// Short: the state of a world can be large.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cloud")
            .field("name", &self.name)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Cloud {
    pub(crate) fn new(name: &str, config: SimConfig, path: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self {
            name: name.to_owned(),
            config,
            clock,
            inner: Mutex::new(Inner {
                log: Log::new(path.clone()),
                state: State::default(),
                rewritten: 0,
            }),
            path,
        }
    }

    pub(crate) fn config(&self) -> &SimConfig {
        &self.config
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Asks the cloud over its network: the way there, the effect, the way back.
    ///
    /// A future that is dropped on the way there had no effect; on the way back it had.
    pub(crate) async fn call<T>(
        &self,
        question: Question<'_>,
        effect: impl FnOnce(&mut Step<'_>) -> Result<T> + Send,
    ) -> Result<T> {
        let way = self.config.latency.0 / 2;
        self.travel(way).await;
        let answer = self.receive(question, effect);
        self.travel(way).await;
        answer.map_err(|error| {
            let error = error.with_context("provider", &*self.name);
            match question.region {
                Some(region) => error.with_context("region", region),
                None => error,
            }
        })
    }

    async fn travel(&self, way: Duration) {
        if !way.is_zero() {
            self.clock.sleep(way).await;
        }
    }

    fn receive<T>(
        &self,
        question: Question<'_>,
        effect: impl FnOnce(&mut Step<'_>) -> Result<T>,
    ) -> Result<T> {
        self.step(|step| {
            let met = Injection::next(&step.state.injections, question.operation, question.region);
            let fault = met
                .and_then(|at| step.state.injections[at].fault())
                .or_else(|| {
                    self.config.faults.strike(
                        self.config.seed,
                        step.state.calls,
                        question.operation,
                    )
                });
            let (answer, outcome) = step.judge(question, fault, effect);
            step.change(Change::Called(Call {
                operation: question.operation,
                region: question.region.map(str::to_owned),
                at: step.now,
                machines: question.machines,
                outcome,
                injected: met.is_some(),
            }));
            answer
        })
    }

    /// Does one thing to the world, atomically.
    pub(crate) fn step<T>(&self, act: impl FnOnce(&mut Step<'_>) -> Result<T>) -> Result<T> {
        let mut inner = self.inner.lock().unwrap_or_else(|poisoned| {
            // A step that panicked may have changed the memory but not the log.
            let mut inner = poisoned.into_inner();
            inner.log.forget();
            inner
        });
        let Inner {
            log,
            state,
            rewritten,
        } = &mut *inner;
        let mut locked = log.lock()?;
        let read = Self::catch_up(&mut locked, state, rewritten, self.clock.now());
        if let Err(error) = read {
            drop(locked);
            log.forget();
            return Err(error);
        }
        let mut step = Step {
            now: self.clock.now().max(state.time),
            cloud: self,
            state,
            lines: Vec::new(),
            failed: None,
            scarcity: None,
        };
        advance::advance(&mut step);
        let answer = act(&mut step);
        let written = step
            .line()
            .and_then(|line| line.map_or(Ok(()), |line| locked.append(&line)));
        if let Err(error) = written {
            // What was changed in memory is not in the log: read it anew next time.
            drop(locked);
            log.forget();
            return Err(error);
        }
        if locked.length() > SHORT.max(GROWTH.saturating_mul(*rewritten)) {
            if let Err(error) = Self::rewrite(&mut locked, state) {
                // The step is in the log all the same; the next try is due when it has grown again.
                tracing::warn!(%error, "the log of the simulated world stays long");
            }
            *rewritten = locked.length();
        }
        answer
    }

    fn catch_up(
        locked: &mut Locked<'_>,
        state: &mut State,
        rewritten: &mut u64,
        now: Timestamp,
    ) -> Result<()> {
        let news = locked.news()?;
        if news.restart {
            *state = State::default();
            *rewritten = 0;
        }
        for (at, line) in news.lines.iter().enumerate() {
            let changes: Vec<Change> = serde_json::from_str(line).map_err(unreadable)?;
            for change in changes {
                state.apply(change);
            }
            if state.version > VERSION {
                return Err(newer(state.version));
            }
            if news.restart && at == 0 {
                *rewritten = u64::try_from(line.len()).unwrap_or(u64::MAX);
            }
        }
        if state.version == 0 {
            let began = Change::Began {
                version: VERSION,
                at: now,
            };
            locked.append(&serde_json::to_string(&[&began]).map_err(unreadable)?)?;
            state.apply(began);
        }
        Ok(())
    }

    fn rewrite(locked: &mut Locked<'_>, state: &mut State) -> Result<()> {
        state.purge();
        let json = serde_json::to_string(&[Written::Snapshot(state)]).map_err(unreadable)?;
        locked.replace(&json)
    }
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::new(Kind::Config, "the world cannot be understood")
        .with_source(error)
        .with_hint("the file was written by another version: remove it to begin anew")
}

fn newer(version: u32) -> Error {
    Error::new(
        Kind::Config,
        format!("the world has format {version}, newer than {VERSION}, which is known here"),
    )
    .with_hint("use the newer program, or remove the file to begin with an empty cloud")
}

// === impl Step ===

impl<'a> Step<'a> {
    pub(crate) fn state(&self) -> &State {
        self.state
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    pub(crate) fn config(&self) -> &'a SimConfig {
        &self.cloud.config
    }

    pub(crate) fn provider(&self) -> &'a str {
        &self.cloud.name
    }

    /// Finds places for machines.
    pub(crate) fn place(&mut self, wish: Wish<'_>) -> Placement {
        let none = |shortfall| Placement {
            zones: Vec::new(),
            shortfall: Some(shortfall),
            hints: Vec::new(),
        };
        match self.scarcity.take() {
            Some(Kind::Capacity) => none(error::sold_out(
                wish.region,
                wish.zone,
                &wish.sold.name,
                &[],
            )),
            Some(_) => none(error::over_quota_by_order()),
            None => capacity::place(self.state, &self.cloud.config, self.now, wish),
        }
    }

    /// Makes a change: seen at once by the rest of this step, and by others when it ends.
    pub(crate) fn change(&mut self, change: Change) {
        match serde_json::to_string(&change) {
            Ok(json) => self.lines.push(json),
            Err(error) => self.failed = Some(error),
        }
        self.state.apply(change);
    }

    /// All changes as one line of the log.
    fn line(self) -> Result<Option<String>> {
        match self.failed {
            Some(error) => Err(unreadable(error)),
            None if self.lines.is_empty() => Ok(None),
            None => Ok(Some(format!("[{}]", self.lines.join(",")))),
        }
    }

    /// Decides what a call comes to.
    fn judge<T>(
        &mut self,
        question: Question<'_>,
        fault: Option<Fault>,
        effect: impl FnOnce(&mut Self) -> Result<T>,
    ) -> (Result<T>, Outcome) {
        let Question {
            operation,
            region,
            machines,
        } = question;
        let refusal = match fault {
            Some(Fault::Before(kind @ (Kind::Capacity | Kind::Quota)))
                if matches!(operation, Operation::Create | Operation::Change) =>
            {
                // A repeated token gets its first answer, however scarce machines are now.
                self.scarcity = Some(kind);
                None
            }
            Some(Fault::Before(kind)) => Some(error::refused(operation, kind)),
            Some(Fault::Throttled(wait)) => Some(error::throttled(operation, wait.0)),
            Some(Fault::After(_)) | None => None,
        };
        let refusal = refusal.or_else(|| {
            let limits = &self.cloud.config.api_limits;
            match buckets::draw(self.state, limits, operation, region, machines, self.now) {
                Ok(drawn) => {
                    for (bucket, level) in drawn {
                        self.change(Change::Drew { bucket, level });
                    }
                    None
                }
                Err(wait) => Some(error::throttled(operation, wait)),
            }
        });
        if let Some(refusal) = refusal {
            let outcome = match refusal.effect() {
                Effect::None => Outcome::Refused(refusal.kind()),
                Effect::Unknown => Outcome::LostBefore,
            };
            return (Err(refusal), outcome);
        }
        let answer = effect(self);
        match (fault, answer) {
            (Some(Fault::After(kind)), _) => {
                (Err(error::lost(operation, kind)), Outcome::LostAfter)
            }
            (_, Ok(answer)) => (Ok(answer), Outcome::Answered),
            (_, Err(error)) => {
                let kind = error.kind();
                (Err(error), Outcome::Refused(kind))
            }
        }
    }
}
