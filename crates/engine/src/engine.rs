//! The engine: everything that is needed to look at a fleet and to change it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use fleetwright_core::ability::{Member, MemberHealth};
use fleetwright_core::{
    Access, Clock, Coverage, Error, EventKind, ExpectationSource, Kind, Life, ListRequest,
    Messenger, Node, NodeId, NodeRecord, NodeState, Prices, Provider, Remote, Result, SignalSource,
    Stay, Strategy,
};
use fleetwright_store::{Lease, Store};
use futures::StreamExt;
use futures::stream;
use jiff::Timestamp;

use crate::budget::Ledger;
use crate::charge::Month;
use crate::interruption::{is_doomed, reclaim_marks, take_notice};
use crate::life::elapsed;
use crate::offers::{Rates, Shelf, taken};
use crate::tenure::{is_over, late_end};
use crate::{CatalogView, Evidence, Fleet, MonthSpent, Observation, Recorder, Seen, advance};

/// Login attempts at the same time.
const LOGINS: usize = 32;
/// Limit of one login attempt.
const LOGIN_LIMIT: Duration = Duration::from_secs(10);
/// Single nodes asked for at the same time.
const QUESTIONS: usize = 16;
/// How long an offer counts as sold out lately after its mark has run out.
const LATELY: Duration = Duration::from_hours(1);

/// A fleet with its providers and its journal.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) providers: Arc<BTreeMap<String, Arc<dyn Provider>>>,
    pub(crate) store: Store,
    pub(crate) remote: Option<Arc<dyn Remote>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) prices: Arc<Prices>,
    pub(crate) shelf: Option<Shelf>,
    /// Where signals are read, by pool and name.
    pub(crate) sources: Arc<BTreeMap<(String, String), Arc<dyn SignalSource>>>,
    /// Where it is looked up what is expected of machines.
    pub(crate) expectations: Option<Arc<dyn ExpectationSource>>,
    /// Who is told about incidents, by the names of the webhooks.
    pub(crate) messengers: Arc<BTreeMap<String, Arc<dyn Messenger>>>,
}

/// What was seen, and how the records change because of it.
pub(crate) struct Look {
    pub(crate) observation: Observation,
    /// Records that differ from what the journal has; already part of the observation.
    pub(crate) changes: Changes,
    /// Records about which a cloud has announced something new.
    pub(crate) noticed: Vec<NodeRecord>,
}

/// Records that change, in the order in which they were looked at.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    records: Vec<NodeRecord>,
    /// The state that each of them had. Beside them, so that they can be written as they are.
    before: Vec<Life>,
}

impl Changes {
    fn push(&mut self, record: NodeRecord, before: Life) {
        self.records.push(record);
        self.before.push(before);
    }

    /// Each with the state that it had.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&NodeRecord, Life)> {
        self.records.iter().zip(self.before.iter().copied())
    }
}

impl Engine {
    /// Puts an engine together. The providers are expected to be [`crate::Guarded`]. Without a
    /// remote no login is tried, and nodes with SSH never become ready.
    pub fn new(
        fleet: Fleet,
        providers: BTreeMap<String, Arc<dyn Provider>>,
        store: Store,
        remote: Option<Arc<dyn Remote>>,
        clock: Arc<dyn Clock>,
        recorder: Arc<Recorder>,
    ) -> Self {
        Self {
            fleet: Arc::new(fleet),
            providers: Arc::new(providers),
            store,
            remote,
            clock,
            recorder,
            prices: Arc::default(),
            shelf: None,
            sources: Arc::default(),
            expectations: None,
            messengers: Arc::default(),
        }
    }

    /// Says where signals are read that nobody pushes, by the names of pool and signal.
    #[must_use]
    pub fn with_sources(
        mut self,
        sources: BTreeMap<(String, String), Arc<dyn SignalSource>>,
    ) -> Self {
        self.sources = Arc::new(sources);
        self
    }

    /// Says where it is looked up what is expected of machines. Without it only what a probe itself
    /// says is known.
    #[must_use]
    pub fn with_expectations(self, source: Arc<dyn ExpectationSource>) -> Self {
        Self {
            expectations: Some(source),
            ..self
        }
    }

    /// Says how the webhooks of the fleet are reached, by name.
    #[must_use]
    pub fn with_messengers(mut self, messengers: BTreeMap<String, Arc<dyn Messenger>>) -> Self {
        self.messengers = Arc::new(messengers);
        self
    }

    /// Corrects prices as the user knows them.
    #[must_use]
    pub fn with_prices(mut self, prices: Prices) -> Self {
        self.prices = Arc::new(prices);
        self
    }

    /// Keeps catalogs there, and finds them there again. Without a shelf nothing is stored, and
    /// [`offers`](Self::offers) asks the providers each time.
    #[must_use]
    pub fn with_shelf(self, catalogs: Shelf) -> Self {
        Self {
            shelf: Some(catalogs),
            ..self
        }
    }

    /// The wish.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// The journal.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The providers by name.
    pub fn providers(&self) -> &BTreeMap<String, Arc<dyn Provider>> {
        &self.providers
    }

    /// Looks at the world without changing anything, not even the journal: the records in the
    /// answer are as they would be after what was seen. Catalogs are read only if a pool is short
    /// of nodes.
    ///
    /// # Errors
    /// Only from the journal. A provider that does not answer is a gap in its coverage.
    pub async fn observe(&self) -> Result<Observation> {
        Ok(self.look().await?.observation)
    }

    /// As [`observe`](Self::observe), and reads the catalogs in any case.
    pub async fn observe_with_catalogs(&self) -> Result<Observation> {
        let mut observation = self.observe().await?;
        self.read_catalogs(&mut observation).await;
        Ok(observation)
    }

    pub(crate) async fn look(&self) -> Result<Look> {
        let listed = self.list_all().await;
        let at = self.clock.now();
        let records = self.store.nodes().await?;
        let told = self.notices(&records).await;
        let claims = self.store.open_claims().await?;
        let marks = self.store.marks(at).await?;
        let uses = |wanted| {
            let mut pools = self.fleet.pools.values();
            pools.any(|pool| pool.strategy.contains(|one| one == wanted))
        };
        let spent_marks = if uses(Strategy::Availability) {
            self.store.spent_marks(at - LATELY, at).await?
        } else {
            Vec::new()
        };
        let turns = if uses(Strategy::RoundRobin) {
            self.store.turns().await?
        } else {
            BTreeMap::new()
        };
        let sizes = self.store.sizes().await?;
        let cordons = self.store.cordons().await?;
        let mut observation = Observation {
            at,
            journal: self.store.journal().to_owned(),
            providers: listed,
            records,
            claims,
            marks,
            spent_marks,
            turns,
            prices: Arc::clone(&self.prices),
            cordoned: cordons.into_iter().filter_map(|one| one.node).collect(),
            ..Observation::default()
        };
        observation.written_off = self.written_off(&observation).await?;
        self.see_balancers(&mut observation).await;
        let gone = self.ask_for_missing(&mut observation).await;
        let reached = self.log_in(&observation).await;
        let noticed = take_notice(&mut observation, told);
        // What is made in their place is not made where they are taken.
        observation.marks.extend(reclaim_marks(&noticed, at));
        let mut changes = self.advance_all(&mut observation, &gone, &reached);
        for record in &noticed {
            if !changes.iter().any(|(next, _)| next.id == record.id) {
                changes.push(record.clone(), record.life);
            }
        }
        if Ledger::needs_month(&self.fleet) {
            let gone: Vec<Stay> = changes
                .iter()
                .filter(|(record, _)| record.life == Life::Gone)
                .map(|(record, _)| Stay::from(record))
                .collect();
            observation.spent = self.spent_this_month(at, &gone).await?;
        }
        self.fill_sizes(&mut observation, &sizes);
        if self.is_short(&observation) {
            self.read_catalogs(&mut observation).await;
        }
        Ok(Look {
            observation,
            changes,
            noticed,
        })
    }

    /// What nodes that are gone have cost this month: those of the journal, and those that were just
    /// found to be gone.
    pub(crate) async fn spent_this_month(
        &self,
        now: Timestamp,
        found: &[Stay],
    ) -> Result<MonthSpent> {
        let mut gone = self.store.gone_stays(Month::of(now).start).await?;
        let known: HashSet<NodeId> = gone.iter().map(|stay| stay.id.clone()).collect();
        let new = found.iter().filter(|stay| !known.contains(&stay.id));
        gone.extend(new.cloned());
        Ok(MonthSpent::of(
            &gone,
            &|provider| self.billing(provider),
            now,
        ))
    }

    /// Writes the changes of a look into the journal and tells about them.
    pub(crate) async fn commit(&self, lease: &Lease, look: &Look) -> Result<()> {
        if look.changes.records.is_empty() {
            return Ok(());
        }
        let mut events = self.notice_events(&look.noticed);
        let moved = look
            .changes
            .iter()
            .filter(|(record, from)| record.life != *from)
            .map(|(record, from)| {
                self.recorder.event(EventKind::NodeChanged {
                    node: record.id.clone(),
                    name: record.name.clone(),
                    from: Some(from),
                    to: record.life,
                    reason: record.reason.clone(),
                })
            });
        events.extend(moved);
        let records = &look.changes.records;
        self.store.put_nodes(lease, records, &events).await?;
        self.recorder.announce(&events);
        self.mark_all_reclaimed(&look.noticed).await
    }

    async fn list_all(&self) -> BTreeMap<String, Seen> {
        let request = ListRequest {
            labels: self.fleet.listed_labels(),
            ..ListRequest::default()
        };
        let listings = self.providers.iter().map(|(name, provider)| {
            let request = &request;
            async move {
                let info = provider.info().clone();
                let seen = match provider.list(request).await {
                    Ok(listing) => Seen::new(info, listing.nodes, listing.coverage),
                    Err(error) => Seen::new(info, Vec::new(), Coverage::failed(&error)),
                };
                (name.clone(), seen)
            }
        });
        futures::future::join_all(listings)
            .await
            .into_iter()
            .collect()
    }

    /// Nodes that the journal has written off and that a listing still shows. After some time
    /// they are not written off any more: then the cloud has them, whatever we thought.
    async fn written_off(&self, observation: &Observation) -> Result<Vec<NodeRecord>> {
        let mut gone = Vec::new();
        let unknown: Vec<NodeId> = observation
            .orphans()
            .into_iter()
            .chain(observation.strangers())
            .map(|node| node.id.clone())
            .collect();
        for id in unknown {
            let Some(record) = self.store.node(&id).await? else {
                continue;
            };
            let Some(seen) = observation.providers.get(id.provider()) else {
                continue;
            };
            let grace = seen.info.listing_lag.max(self.fleet.safety.age_floor);
            let since = record.gone_at.map(|at| elapsed(at, observation.at));
            if since.is_some_and(|since| since <= grace) {
                gone.push(record);
            }
        }
        Ok(gone)
    }

    async fn see_balancers(&self, observation: &mut Observation) {
        for (name, provider) in self.providers.iter() {
            let Some(balancers) = provider.balancers() else {
                continue;
            };
            let used: BTreeSet<&str> = self
                .fleet
                .pools
                .iter()
                .filter(|(pool, _)| {
                    observation
                        .records
                        .iter()
                        .any(|record| record.pool == **pool && record.id.provider() == name)
                })
                .filter_map(|(_, pool)| pool.balancer.as_deref())
                .collect();
            for balancer in used {
                let members = balancers.members(balancer).await;
                if let Some(seen) = observation.providers.get_mut(name) {
                    let members = members.map_err(|error| error.report().to_string());
                    seen.balancers.insert(balancer.to_owned(), members);
                }
            }
        }
    }

    /// A record that a complete listing does not show is asked for by id, before anything follows
    /// from its absence. Nodes younger than the listing's lag are left in peace.
    async fn ask_for_missing(&self, observation: &mut Observation) -> BTreeSet<NodeId> {
        let listed = observation.nodes_by_id();
        let missing: Vec<NodeId> = observation
            .records
            .iter()
            .filter(|record| !listed.contains_key(&record.id))
            .filter(|record| {
                let (provider, region) = (record.id.provider(), record.id.region());
                let Some(seen) = observation.providers.get(provider) else {
                    return false;
                };
                seen.coverage.covers(region)
                    && elapsed(record.created_at, observation.at) > seen.info.listing_lag
            })
            .map(|record| record.id.clone())
            .collect();
        drop(listed);
        let answers: Vec<(NodeId, Result<Node>)> = stream::iter(missing)
            .map(|id| async move {
                let answer = match self.providers.get(id.provider()) {
                    Some(provider) => provider.get(&id).await,
                    None => Err(Error::new(Kind::Config, "no such provider")),
                };
                (id, answer)
            })
            .buffer_unordered(QUESTIONS)
            .collect()
            .await;
        let mut gone = BTreeSet::new();
        for (id, answer) in answers {
            match answer {
                Ok(node) if node.state.is_deleted() => {
                    gone.insert(id);
                }
                Ok(node) => {
                    if let Some(seen) = observation.providers.get_mut(id.provider()) {
                        seen.nodes.push(node);
                    }
                }
                Err(error) if error.kind() == Kind::NotFound => {
                    gone.insert(id);
                }
                // No answer about this node: it stays what it is.
                Err(error) => tracing::warn!(node = %id, %error, "cannot tell whether it exists"),
            }
        }
        gone
    }

    /// Tries to log in to the nodes that have just come up.
    async fn log_in(&self, observation: &Observation) -> HashMap<NodeId, Result<(), String>> {
        let Some(remote) = &self.remote else {
            return HashMap::new();
        };
        let listed = observation.nodes_by_id();
        let due: Vec<(NodeId, Access)> = observation
            .records
            .iter()
            .filter(|record| matches!(record.life, Life::Requested | Life::Booting))
            .filter_map(|record| {
                let node = listed.get(&record.id)?;
                let access = node.access.clone()?;
                (node.state == NodeState::Running).then(|| (record.id.clone(), access))
            })
            .collect();
        stream::iter(due)
            .map(|(id, access)| async move {
                let reached = remote.reach(&access, LOGIN_LIMIT).await;
                (id, reached.map_err(|error| error.report().to_string()))
            })
            .buffer_unordered(LOGINS)
            .collect()
            .await
    }

    fn advance_all(
        &self,
        observation: &mut Observation,
        gone: &BTreeSet<NodeId>,
        reached: &HashMap<NodeId, Result<(), String>>,
    ) -> Changes {
        let listed = observation.nodes_by_id();
        let no_limits = fleetwright_core::Limits::default();
        let mut changes = Changes::default();
        for record in &observation.records {
            let Some(seen) = observation.providers.get(record.id.provider()) else {
                continue;
            };
            let pool = self.fleet.pools.get(&record.pool);
            let balancer = pool.and_then(|pool| pool.balancer.as_deref());
            let evidence = Evidence {
                node: listed.get(&record.id).copied(),
                confirmed_gone: gone.contains(&record.id),
                reached: reached.get(&record.id).cloned(),
                has_ssh: seen.info.has_ssh,
                reports_boot: seen.info.reports_boot,
                member: balancer.and_then(|name| member(seen, name, &record.id)),
                balanced: balancer.is_some(),
                deletion: None,
            };
            let limits = pool.map_or(&no_limits, |pool| &pool.limits);
            if !seen.coverage.covers(record.id.region()) {
                continue;
            }
            let mut next = advance(record, &evidence, limits, observation.at);
            let end = late_end(next.as_ref().unwrap_or(record), pool, observation.at);
            if end.is_some() {
                next.get_or_insert_with(|| record.clone()).tenure.ends_at = end;
            }
            if let Some(next) = next {
                changes.push(next, record.life);
            }
        }
        drop(listed);
        let by_id: HashMap<&NodeId, &NodeRecord> =
            changes.iter().map(|(next, _)| (&next.id, next)).collect();
        for record in &mut observation.records {
            if let Some(next) = by_id.get(&record.id) {
                *record = (*next).clone();
            }
        }
        let gone = observation
            .records
            .extract_if(.., |record| record.life == Life::Gone);
        observation.written_off.extend(gone);
        changes
    }

    pub(crate) fn is_short(&self, observation: &Observation) -> bool {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for record in observation
            .records
            .iter()
            .filter(|record| record.life.is_wanted() && is_over(record, observation.at).is_none())
            .filter(|record| is_doomed(record, self.fleet.pools.get(&record.pool)).is_none())
        {
            *counts.entry(&record.pool).or_default() += 1;
        }
        self.fleet.pools.iter().any(|(name, pool)| {
            counts.get(name.as_str()).copied().unwrap_or(0)
                < usize::try_from(observation.wanted(name, pool)).unwrap_or(usize::MAX)
        })
    }

    pub(crate) async fn read_catalogs(&self, observation: &mut Observation) {
        observation.taken = taken(&self.prices, &observation.records, &observation.claims);
        let catalogs = self.providers.iter().filter_map(|(name, provider)| {
            let catalog = provider.catalog()?;
            Some(async move {
                let both = futures::future::try_join(catalog.instance_types(), catalog.offerings());
                (name.clone(), both.await)
            })
        });
        for (name, answer) in futures::future::join_all(catalogs).await {
            let Some(seen) = observation.providers.get_mut(&name) else {
                continue;
            };
            match answer {
                Ok((types, offerings)) => {
                    if let Some(provider) = self.providers.get(&name) {
                        self.keep_catalog(&**provider, &types, &offerings).await;
                    }
                    let mut view = CatalogView::new(types, offerings);
                    view.correct(
                        &name,
                        Rates {
                            prices: &self.prices,
                            taken: &observation.taken,
                        },
                    );
                    seen.catalog = Some(view);
                }
                Err(error) => {
                    seen.catalog_error =
                        Some(format!("its catalog cannot be read: {}", error.report()));
                }
            }
        }
    }
}

fn member<'a>(seen: &'a Seen, balancer: &str, node: &NodeId) -> Option<&'a MemberHealth> {
    let members = seen.balancers.get(balancer)?.as_ref().ok()?;
    members
        .iter()
        .find(|Member { node: id, .. }| id == node)
        .map(|member| &member.health)
}
