//! Resilience in one module, in one order:
//! `operation → [retry: breaker → rate budget → permit → timeout → provider] → result`.
//!
//! Nothing else in the program retries. A create call is repeated only with its own token and
//! marked as a replay; where the cloud has no tokens the repetition waits until a listing can be
//! believed.

mod abilities;
mod breaker;
pub(crate) mod budget;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{
    Balancers, Catalog, Checked, Clock, CreateRequest, Created, Deletion, Dns, Effect, Error,
    EventKind, Groups, Idempotency, Interruptions, Kind, ListRequest, Listing, Node, NodeId,
    Operation, Provider, ProviderInfo, Quotas, Remedy, Requests, Result,
};
use fleetwright_store::Patience;
use tokio::sync::Semaphore;

use self::abilities::Abilities;
use self::breaker::{Breakers, Refusal, Transition};
use self::budget::Budget;
use crate::Recorder;

/// How patient the guard is. The order of its parts is not configurable.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Most tries of one call.
    pub tries: u32,
    /// First back-off; doubles with each try, with full jitter.
    pub backoff: Duration,
    /// Longest back-off.
    pub backoff_limit: Duration,
    /// Limit of one try.
    pub timeout: Duration,
    /// Limit of all tries together. What a try waits for a budget or a permit comes on top.
    pub deadline: Duration,
    /// Calls in flight at the same time.
    pub permits: usize,
    /// Failures in a row that open the breaker.
    pub breaker_failures: u32,
    /// How long the breaker stays open the first time; doubles up to ten times this.
    pub breaker_pause: Duration,
    /// Seed of the jitter.
    pub seed: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            tries: 5,
            backoff: Duration::from_millis(200),
            backoff_limit: Duration::from_secs(20),
            timeout: Duration::from_mins(1),
            deadline: Duration::from_mins(5),
            permits: 32,
            breaker_failures: 8,
            breaker_pause: Duration::from_secs(15),
            seed: 0,
        }
    }
}

/// A provider behind retry, breaker, rate budget, permits and time limits.
pub struct Guarded {
    inner: Arc<dyn Provider>,
    abilities: Abilities,
}

/// What the guard shares between the provider's own methods and those of its abilities.
pub(crate) struct Guard {
    info: ProviderInfo,
    policy: Policy,
    clock: Arc<dyn Clock>,
    recorder: Option<Arc<Recorder>>,
    breakers: Breakers,
    budget: Budget,
    permits: Semaphore,
    jitter: Mutex<u64>,
}

type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Which call, where, and how much of the budget it takes.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    operation: Operation,
    region: Option<&'a str>,
    machines: u32,
}

// === impl Guarded ===

impl Guarded {
    /// Puts a provider behind the guard. The store holds the rate budgets and breakers that all
    /// processes share; without one nothing is counted, only a throttling answer holds calls back,
    /// and breakers are this guard's own. The recorder hears of repeated calls and of the breaker.
    pub fn new(
        inner: Arc<dyn Provider>,
        policy: Policy,
        clock: Arc<dyn Clock>,
        recorder: Option<Arc<Recorder>>,
        store: Option<fleetwright_store::Store>,
    ) -> Self {
        let guard = Arc::new(Guard {
            info: inner.info().clone(),
            breakers: Breakers::new(
                budget::account(inner.info()),
                Patience {
                    failures: policy.breaker_failures,
                    pause: policy.breaker_pause,
                },
                store.clone(),
            ),
            budget: Budget::new(inner.info(), store),
            permits: Semaphore::new(policy.permits),
            jitter: Mutex::new(policy.seed),
            policy,
            clock,
            recorder,
        });
        Self {
            abilities: Abilities::new(inner.clone(), guard),
            inner,
        }
    }

    fn guard(&self) -> &Guard {
        self.abilities.guard()
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guarded").field(&self.inner).finish()
    }
}

#[async_trait]
impl Provider for Guarded {
    fn info(&self) -> &ProviderInfo {
        self.inner.info()
    }

    async fn check(&self) -> Result<Checked> {
        self.guard()
            .call(Ask::of(Operation::Check), |_| self.inner.check())
            .await
    }

    async fn create(&self, request: &CreateRequest) -> Result<Created> {
        self.guard()
            .call(Ask::create(request), |unsure| {
                let replay = request.replay || unsure;
                Box::pin(async move {
                    let request = CreateRequest {
                        replay,
                        ..request.clone()
                    };
                    self.inner.create(&request).await
                })
            })
            .await
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        self.guard()
            .call(Ask::of(Operation::List), |_| self.inner.list(request))
            .await
    }

    async fn get(&self, id: &NodeId) -> Result<Node> {
        self.guard()
            .call(Ask::at(Operation::Get, id.region()), |_| self.inner.get(id))
            .await
    }

    async fn delete(&self, id: &NodeId) -> Result<Deletion> {
        self.guard()
            .call(Ask::at(Operation::Delete, id.region()), |_| {
                self.inner.delete(id)
            })
            .await
    }

    fn catalog(&self) -> Option<&dyn Catalog> {
        self.abilities.catalog()
    }

    fn groups(&self) -> Option<&dyn Groups> {
        self.abilities.groups()
    }

    fn balancers(&self) -> Option<&dyn Balancers> {
        self.abilities.balancers()
    }

    fn dns(&self) -> Option<&dyn Dns> {
        self.abilities.dns()
    }

    fn interruptions(&self) -> Option<&dyn Interruptions> {
        self.abilities.interruptions()
    }

    fn quotas(&self) -> Option<&dyn Quotas> {
        self.abilities.quotas()
    }

    fn requests(&self) -> Option<&dyn Requests> {
        self.abilities.requests()
    }
}

// === impl Ask ===

impl<'a> Ask<'a> {
    pub(crate) const fn of(operation: Operation) -> Self {
        Self {
            operation,
            region: None,
            machines: 0,
        }
    }

    pub(crate) const fn at(operation: Operation, region: &'a str) -> Self {
        Self {
            operation,
            region: Some(region),
            machines: 0,
        }
    }

    fn create(request: &'a CreateRequest) -> Self {
        Self {
            operation: Operation::Create,
            region: Some(&request.spec.region),
            // A replay's machines were paid for when the request was first sent.
            machines: if request.replay { 0 } else { request.count },
        }
    }
}

// === impl Guard ===

impl Guard {
    /// Makes a call, again and again as long as that helps and is safe. The closure is told
    /// whether an earlier try may have taken effect.
    pub(crate) async fn call<'a, T>(
        &self,
        ask: Ask<'_>,
        make: impl Fn(bool) -> Call<'a, T>,
    ) -> Result<T> {
        let started = self.clock.now();
        let mut unsure = false;
        let mut tries = 0;
        loop {
            tries += 1;
            // The last try ends with the deadline. What it waits for a budget or a permit is not
            // its own time.
            let left = (self.policy.deadline).saturating_sub(since(started, self.clock.now()));
            let limit = self.policy.timeout.min(left);
            let error = match self.once(ask, limit, || make(unsure)).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            unsure |= error.effect() == Effect::Unknown;
            // A refusal for want of capacity or quota answers for the token as a whole; any other
            // refusal says nothing about an earlier try whose answer was lost.
            let settled = matches!(error.kind(), Kind::Capacity | Kind::Quota)
                && error.effect() == Effect::None;
            let error = if unsure && !settled {
                error.with_effect(Effect::Unknown)
            } else {
                error
            };
            let elapsed = since(started, self.clock.now());
            let wait = self.wait_before_next(ask, &error, tries, unsure);
            let give_up = error.kind().remedy() != Remedy::RetryHere
                || tries >= self.policy.tries
                || elapsed + wait >= self.policy.deadline;
            if give_up {
                return Err(error
                    .with_context("provider", self.info.name.clone())
                    .with_context("operation", ask.operation.as_str())
                    .with_context("tries", tries.to_string()));
            }
            self.note(EventKind::Retried {
                provider: self.info.name.clone(),
                operation: ask.operation,
                after_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                error: error.report(),
            });
            self.clock.sleep(wait).await;
        }
    }

    /// One try: breaker, budget, permit, time limit, provider.
    async fn once<'a, T>(
        &self,
        ask: Ask<'_>,
        limit: Duration,
        make: impl Fn() -> Call<'a, T>,
    ) -> Result<T> {
        let place = ask.region.unwrap_or("*");
        let admitted = self.breakers.admit(place, self.clock.now()).await?;
        let pass = admitted.map_err(|refusal| self.suspended(&refusal))?;
        // An error of the journal, which holds the budgets, says nothing about the provider.
        self.budget.take(ask, &*self.clock).await?;
        let outcome = self.admitted(ask, limit, make).await;
        let failure = outcome
            .as_ref()
            .err()
            .filter(|error| breaker_counts(error.kind()));
        let now = self.clock.now();
        let settled = self.breakers.settle(place, pass, failure, now).await;
        // The provider's answer must not be lost because the journal cannot keep the breaker.
        let changed = settled.unwrap_or_else(|error| {
            tracing::warn!(%error, place, "the state of the breaker is not kept");
            None
        });
        match changed {
            Some(Transition::Opened) => self.breaker_changed(place, true, "too many failures"),
            Some(Transition::Closed) => self.breaker_changed(place, false, "it answers again"),
            None => {}
        }
        outcome
    }

    async fn admitted<'a, T>(
        &self,
        ask: Ask<'_>,
        limit: Duration,
        make: impl Fn() -> Call<'a, T>,
    ) -> Result<T> {
        let _permit =
            self.permits.acquire().await.map_err(|e| {
                Error::new(Kind::Unexpected, "the guard was shut down").with_source(e)
            })?;
        let sent_at = self.clock.now();
        let call = make();
        let outcome = tokio::select! {
            outcome = call => outcome,
            () = self.clock.sleep(limit) => Err(Error::new(
                Kind::Timeout,
                format!(
                    "no answer to `{}` from `{}` within {} s",
                    ask.operation.as_str(), self.info.name, limit.as_secs(),
                ),
            )),
        };
        if let Err(error) = &outcome
            && error.kind() == Kind::RateLimited
        {
            self.budget
                .penalize(ask, error, sent_at, self.clock.now())
                .await?;
        }
        outcome
    }

    /// `Retry-After` wins over the back-off. A create call whose effect is unknown, at a cloud
    /// without tokens, waits until a listing shows what an earlier try made.
    fn wait_before_next(&self, ask: Ask<'_>, error: &Error, tries: u32, unsure: bool) -> Duration {
        let doubled = self.policy.backoff.saturating_mul(1 << (tries - 1).min(16));
        let jittered = self.jitter(doubled.min(self.policy.backoff_limit));
        let wait = error.retry_after().unwrap_or(jittered);
        let must_list = unsure
            && ask.operation == Operation::Create
            && self.info.idempotency == Idempotency::LabelThenList;
        if must_list {
            wait.max(self.info.listing_lag)
        } else {
            wait
        }
    }

    /// A duration between nothing and `most` (full jitter), from a seeded SplitMix64 generator.
    fn jitter(&self, most: Duration) -> Duration {
        let mut state = self.jitter.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let share = u32::try_from((z ^ (z >> 31)) >> 48).unwrap_or(0);
        most.saturating_mul(share) / 65_536
    }

    fn suspended(&self, refusal: &Refusal) -> Error {
        Error::new(
            Kind::Suspended,
            format!("`{}` is not asked: it failed too often", self.info.name),
        )
        .with_retry_after(refusal.wait)
        .with_context("failing-since", refusal.since.to_string())
        .with_context("last-failure", refusal.error.clone())
        .with_hint(format!(
            "the next try is allowed in {} s",
            refusal.wait.as_secs().max(1)
        ))
    }

    fn breaker_changed(&self, place: &str, open: bool, reason: &str) {
        self.note(EventKind::BreakerChanged {
            provider: format!("{}/{place}", self.info.name),
            open,
            reason: reason.to_owned(),
        });
    }

    fn note(&self, what: EventKind) {
        if let Some(recorder) = &self.recorder {
            recorder.note(what);
        }
    }
}

/// A clear no is a sign of health.
fn breaker_counts(kind: Kind) -> bool {
    matches!(kind, Kind::Unavailable | Kind::Timeout)
}

/// How long ago; nothing if the clock went backwards.
pub(crate) fn since(start: jiff::Timestamp, now: jiff::Timestamp) -> Duration {
    Duration::try_from(now.duration_since(start)).unwrap_or(Duration::ZERO)
}
