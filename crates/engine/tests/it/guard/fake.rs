//! A provider that does what a script says, and writes down who asked when.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{
    ApiLimit, Balancers, Billing, Catalog, Checked, ClaimId, Clock, CreateRequest, Created,
    Deletion, Dns, Error, Groups, Idempotency, Interruptions, Kind, Labels, LimitUnit, ListRequest,
    Listing, Market, Node, NodeId, NodeSpec, Operation, Provider, ProviderInfo, Quotas, Requests,
    Result, Token, fingerprint,
};
use fleetwright_engine::{Guarded, Policy, SystemClock};
use fleetwright_sim::TokioClock;
use fleetwright_store::Store;
use jiff::Timestamp;
use tokio::time::Instant;

/// What the next call gets.
pub(super) enum Answer {
    /// Success at once.
    Fine,
    /// Success after a while.
    Slow(Duration),
    /// Nothing, ever.
    Silence,
    /// This error at once.
    Fails(Error),
}

/// A call that reached the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) operation: Operation,
    /// Since the fake was made.
    pub(super) at: Duration,
    /// Whether a create call was marked as one that may have been sent before.
    pub(super) replay: bool,
}

#[derive(Debug)]
struct Fake {
    info: ProviderInfo,
    script: Arc<Mutex<Script>>,
    started: Instant,
    /// In place of tokio's time.
    clock: Option<(Arc<dyn Clock>, Timestamp)>,
}

#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    otherwise: Option<Duration>,
    calls: Vec<Call>,
    in_flight: usize,
    most_in_flight: usize,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Script").finish_non_exhaustive()
    }
}

/// A guarded fake, and the strings it hangs on.
pub(super) struct Stage {
    pub(super) guarded: Guarded,
    script: Arc<Mutex<Script>>,
}

/// How the fake is and how it is guarded.
pub(super) struct Setting {
    pub(super) policy: Policy,
    pub(super) idempotency: Idempotency,
    pub(super) limits: Vec<ApiLimit>,
    /// Budgets and breakers are kept here, in real time; without one, time is tokio's.
    pub(super) store: Option<Store>,
    /// Another time.
    pub(super) clock: Option<Arc<dyn Clock>>,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            idempotency: Idempotency::NativeToken,
            limits: Vec::new(),
            store: None,
            clock: None,
        }
    }
}

/// How late the fake's listings are.
pub(super) const LAG: Duration = Duration::from_secs(30);

impl Stage {
    pub(super) fn new(setting: Setting) -> Self {
        let info = ProviderInfo {
            name: "fake".into(),
            kind: "fake".into(),
            account: "one".into(),
            regions: vec!["north".into(), "south".into()],
            idempotency: setting.idempotency,
            listing_lag: LAG,
            batch: 10,
            user_data_limit: 1024,
            reports_boot: true,
            has_ssh: false,
            billing: Billing::per_second(0),
            plants_host_keys: false,
            limits: setting.limits,
        };
        let script = Arc::new(Mutex::new(Script::default()));
        let fake = Fake {
            info,
            script: Arc::clone(&script),
            started: Instant::now(),
            clock: setting.clock.clone().map(|clock| {
                let now = clock.now();
                (clock, now)
            }),
        };
        let clock: Arc<dyn Clock> = match (setting.clock, &setting.store) {
            (Some(clock), _) => clock,
            (None, Some(_)) => Arc::new(SystemClock),
            (None, None) => Arc::new(TokioClock::new()),
        };
        let inner = Arc::new(fake);
        Self {
            guarded: Guarded::new(inner, setting.policy, clock, None, setting.store),
            script,
        }
    }

    /// A fake whose first calls get these answers; what comes later succeeds.
    pub(super) fn with(setting: Setting, answers: impl IntoIterator<Item = Answer>) -> Self {
        let stage = Self::new(setting);
        stage.then(answers);
        stage
    }

    /// Further answers.
    pub(super) fn then(&self, answers: impl IntoIterator<Item = Answer>) {
        self.script.lock().unwrap().answers.extend(answers);
    }

    /// From now on every call takes this long.
    pub(super) fn take(&self, time: Duration) {
        self.script.lock().unwrap().otherwise = Some(time);
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.script.lock().unwrap().calls.clone()
    }

    /// When the calls came, since the beginning.
    pub(super) fn times(&self) -> Vec<Duration> {
        self.calls().iter().map(|call| call.at).collect()
    }

    /// When the call of this number came, since the beginning.
    pub(super) fn at(&self, number: usize) -> Duration {
        self.times()[number]
    }

    pub(super) fn most_in_flight(&self) -> usize {
        self.script.lock().unwrap().most_in_flight
    }
}

impl Fake {
    async fn answer(&self, operation: Operation, replay: bool) -> Result<()> {
        let answer = {
            let mut script = self.script.lock().unwrap();
            let at = match &self.clock {
                Some((clock, started)) => {
                    Duration::try_from(clock.now().duration_since(*started)).unwrap()
                }
                None => self.started.elapsed(),
            };
            script.calls.push(Call {
                operation,
                at,
                replay,
            });
            script.in_flight += 1;
            script.most_in_flight = script.most_in_flight.max(script.in_flight);
            let otherwise = script.otherwise.map_or(Answer::Fine, Answer::Slow);
            script.answers.pop_front().unwrap_or(otherwise)
        };
        let _flight = Flight(Arc::clone(&self.script));
        match answer {
            Answer::Fine => Ok(()),
            Answer::Slow(time) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Answer::Silence => std::future::pending().await,
            Answer::Fails(error) => Err(error),
        }
    }
}

/// A call under way: over when it is answered or dropped.
struct Flight(Arc<Mutex<Script>>);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.lock().unwrap().in_flight -= 1;
    }
}

#[async_trait]
impl Provider for Fake {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    async fn check(&self) -> Result<Checked> {
        self.answer(Operation::Check, false).await?;
        Ok(Checked::default())
    }

    async fn create(&self, request: &CreateRequest) -> Result<Created> {
        self.answer(Operation::Create, request.replay).await?;
        Ok(Created::all(Vec::new()))
    }

    async fn list(&self, _: &ListRequest) -> Result<Listing> {
        self.answer(Operation::List, false).await?;
        Ok(Listing::complete(Vec::new()))
    }

    async fn get(&self, id: &NodeId) -> Result<Node> {
        self.answer(Operation::Get, false).await?;
        Err(Error::new(Kind::NotFound, format!("there is no `{id}`")))
    }

    async fn delete(&self, _: &NodeId) -> Result<Deletion> {
        self.answer(Operation::Delete, false).await?;
        Ok(Deletion::Gone)
    }

    fn catalog(&self) -> Option<&dyn Catalog> {
        None
    }

    fn groups(&self) -> Option<&dyn Groups> {
        None
    }

    fn balancers(&self) -> Option<&dyn Balancers> {
        None
    }

    fn dns(&self) -> Option<&dyn Dns> {
        None
    }

    fn interruptions(&self) -> Option<&dyn Interruptions> {
        None
    }

    fn quotas(&self) -> Option<&dyn Quotas> {
        None
    }

    fn requests(&self) -> Option<&dyn Requests> {
        None
    }
}

pub(super) fn fails(kind: Kind) -> Answer {
    Answer::Fails(Error::new(kind, format!("scripted {kind}")))
}

/// An error that names the time to come back.
pub(super) fn later(kind: Kind, seconds: u64) -> Answer {
    let after = Duration::from_secs(seconds);
    Answer::Fails(Error::new(kind, "scripted").with_retry_after(after))
}

pub(super) fn request() -> CreateRequest {
    let spec = NodeSpec {
        name: "web".into(),
        instance_type: "small".into(),
        image: None,
        region: "north".into(),
        zone: None,
        market: Market::OnDemand,
        ssh_keys: Vec::new(),
        user_data: None,
        labels: Labels::new(),
        options: serde_json::Map::new(),
    };
    CreateRequest {
        count: 1,
        token: Token::new(ClaimId::new(), 1, &fingerprint(&spec)),
        spec,
        replay: false,
        host_key: None,
    }
}

/// A node in a region.
pub(super) fn node(region: &str) -> NodeId {
    NodeId::new("fake", region, "i-1").unwrap()
}

/// One bucket per region for everything that the tests call.
pub(super) fn shared_bucket(burst: u32, per_minute: u32) -> Vec<ApiLimit> {
    vec![ApiLimit {
        family: "all".into(),
        operations: Operation::ALL.to_vec(),
        unit: LimitUnit::Calls,
        burst,
        per_minute,
        per_region: true,
    }]
}
