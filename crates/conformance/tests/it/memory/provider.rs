//! The provider over the world.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_conformance::Point;
use fleetwright_core::{
    ApiLimit, Balancers, Billing, Catalog, Checked, CreateRequest, Created, Deletion, Dns, Error,
    Gap, Groups, Idempotency, Interruptions, Kind, LimitUnit, ListRequest, Listing, Node, NodeId,
    NodeSpec, NodeState, Operation, Provider, ProviderInfo, Quotas, Requests, Result,
};
use tokio::time::{Instant, sleep};

use super::world::{Flaw, LAG, PAGE, PROVIDER, REGIONS, STEP, TYPES, World, ZONE};

pub(crate) const KEY: &str = "key-5f2b";

/// A cloud in memory.
pub(crate) struct Memory {
    pub(crate) world: Arc<Mutex<World>>,
    info: ProviderInfo,
    key: String,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut memory = f.debug_struct("Memory");
        if self.world().flaw == Some(Flaw::ShowsItsKeyInDebug) {
            memory.field("key", &self.key);
        }
        memory.finish_non_exhaustive()
    }
}

impl Memory {
    pub(crate) fn new(world: Arc<Mutex<World>>, idempotency: Idempotency) -> Self {
        let flaw = world.lock().expect("no test panics with the lock").flaw;
        let bucket = ApiLimit {
            family: "all".to_owned(),
            operations: Operation::ALL.to_vec(),
            unit: LimitUnit::Calls,
            burst: 1_000,
            per_minute: 60_000,
            per_region: false,
        };
        let buckets = if flaw == Some(Flaw::DescribesABucketTwice) {
            2
        } else {
            1
        };
        Self {
            world,
            info: ProviderInfo {
                name: PROVIDER.to_owned(),
                kind: PROVIDER.to_owned(),
                account: "here".to_owned(),
                regions: REGIONS.map(str::to_owned).to_vec(),
                idempotency,
                listing_lag: LAG,
                batch: 5,
                user_data_limit: 1_000,
                reports_boot: true,
                has_ssh: false,
                billing: Billing::per_second(0),
                plants_host_keys: false,
                limits: vec![bucket; buckets],
            },
            key: KEY.to_owned(),
        }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no test panics with the lock")
    }

    fn flaw(&self) -> Option<Flaw> {
        self.world().flaw
    }

    pub(crate) fn trip(&self, operation: Operation, point: Point, region: &str) -> Result<()> {
        self.world().trip(operation, point, Some(region))
    }

    pub(crate) fn check_spec(&self, spec: &NodeSpec) -> Result<()> {
        let invalid = |what: &str, value: &str| {
            Err(Error::new(
                Kind::Invalid,
                format!("there is no {what} `{value}`"),
            ))
        };
        if !TYPES.contains(&spec.instance_type.as_str())
            && self.flaw() != Some(Flaw::MakesUnknownTypes)
        {
            return invalid("type", &spec.instance_type);
        }
        let anywhere = self.flaw() == Some(Flaw::MakesInAnyPlace);
        if !REGIONS.contains(&spec.region.as_str()) && !anywhere {
            return invalid("region", &spec.region);
        }
        if let Some(zone) = spec
            .zone
            .as_deref()
            .filter(|zone| *zone != ZONE && !anywhere)
        {
            return invalid("zone", zone);
        }
        let text = spec.user_data.as_deref().unwrap_or_default();
        let length = text.len();
        let most = match self.flaw() {
            Some(Flaw::TakesAnyUserData) => usize::MAX,
            Some(Flaw::CutsUserData) => 100,
            _ => self.info.user_data_limit,
        };
        if length > most {
            let quoted = if self.flaw() == Some(Flaw::QuotesUserData) {
                text
            } else {
                ""
            };
            return Err(Error::new(
                Kind::Invalid,
                format!("user data of {length} bytes is too long{quoted}"),
            ));
        }
        Ok(())
    }

    fn check_id(&self, id: &NodeId) -> Result<()> {
        if self.flaw() == Some(Flaw::PanicsOnOddIds) {
            assert!(id.native().is_ascii(), "an id of ours is ASCII");
        }
        if self.flaw() == Some(Flaw::DeletesForOtherProviders) {
            return Ok(());
        }
        if id.provider() != PROVIDER || !REGIONS.contains(&id.region()) {
            return Err(Error::new(Kind::Invalid, format!("`{id}` is not of here")));
        }
        Ok(())
    }

    /// All at one instant, remembered by token.
    fn create_at_once(&self, request: &CreateRequest) -> Result<(Vec<NodeId>, Option<Error>)> {
        let mut world = self.world();
        let parameters = request.parameters();
        let forgets = world.flaw == Some(Flaw::ForgetsTheToken);
        if world.flaw == Some(Flaw::SharesANodeBetweenTokens)
            && let Some((_, ids)) = world.tokens.values().next()
        {
            return Ok((ids.clone(), None));
        }
        if let Some((known, ids)) = world
            .tokens
            .get(request.token.as_str())
            .filter(|_| !forgets)
        {
            if *known != parameters && world.flaw != Some(Flaw::TakesOtherParametersForTheSame) {
                return Err(Error::new(Kind::Conflict, "token used for something else"));
            }
            let mut ids = ids.clone();
            if world.flaw == Some(Flaw::MakesOneTooManyOnReplay) {
                ids.push(world.make(&request.spec, "one-too-many".into(), &request.spec.region)?);
            }
            return Ok((ids, None));
        }
        let (mut ids, mut shortfall) = (Vec::new(), None);
        for ordinal in 0..request.count {
            let name = request.machine_name(ordinal);
            match world.make(&request.spec, name, &request.spec.region) {
                Ok(id) => ids.push(id),
                Err(error) => {
                    shortfall = Some(error);
                    break;
                }
            }
            if let Err(error) =
                world.trip(Operation::Create, Point::Midway, Some(&request.spec.region))
            {
                // Half-way through an atomic call: the cloud goes on, only the answer is lost.
                shortfall = Some(error);
            }
        }
        world
            .tokens
            .insert(request.token.as_str().to_owned(), (parameters, ids.clone()));
        Ok((ids, shortfall))
    }

    /// One after another, each known by its name or label.
    async fn create_singly(&self, request: &CreateRequest) -> Result<(Vec<NodeId>, Option<Error>)> {
        let by_name = self.info.idempotency == Idempotency::DeterministicName;
        let flaw = self.flaw();
        if flaw == Some(Flaw::RefusesReplaysOfNothing)
            && request.replay
            && self.world().listed_with(request).is_empty()
        {
            return Err(Error::new(Kind::NotFound, "there is nothing to replay"));
        }
        let mut found = if request.replay && !by_name && flaw != Some(Flaw::ForgetsTheReplayMark) {
            self.world().listed_with(request)
        } else {
            Vec::new()
        };
        let conflict = || Error::new(Kind::Conflict, "token used for something else");
        for node in self.world().nodes(&found) {
            if node.instance_type != request.spec.instance_type {
                return Err(conflict());
            }
        }
        let mut shortfall = None;
        for ordinal in 0..request.count {
            let name = request.machine_name(ordinal);
            {
                let mut world = self.world();
                let there = world
                    .machines
                    .iter()
                    .filter(|m| by_name || found.contains(&m.node.id))
                    .find(|m| m.node.name == name && !m.is_gone())
                    .filter(|_| flaw != Some(Flaw::ForgetsTheToken));
                if let Some(machine) = there {
                    let same = machine.node.label(fleetwright_core::keys::CLAIM)
                        == Some(request.token.as_str())
                        && machine.node.instance_type == request.spec.instance_type
                        && machine.script == request.spec.user_data;
                    if !same {
                        return Err(conflict());
                    }
                    let id = machine.node.id.clone();
                    if !found.contains(&id) {
                        found.push(id);
                    }
                    continue;
                }
                match world.make(&request.spec, name, &request.spec.region) {
                    Ok(id) => found.push(id),
                    Err(error) => {
                        shortfall = Some(error);
                        break;
                    }
                }
                world.trip(Operation::Create, Point::Midway, Some(&request.spec.region))?;
            }
            sleep(STEP).await;
            if flaw == Some(Flaw::LabelsAfterwards)
                && let Some(id) = found.last()
                && let Some(machine) = self.world().machine_mut(id)
            {
                machine.node.labels = request.spec.labels.clone();
            }
        }
        Ok((found, shortfall))
    }

    fn list_region(&self, region: &str, request: &ListRequest) -> (Vec<Node>, Option<Gap>) {
        let mut world = self.world();
        let (flaw, now) = (world.flaw, Instant::now());
        let all: Vec<Node> = world
            .machines
            .iter()
            .filter(|m| m.node.id.region() == region && m.listed_from <= now)
            .filter(|m| {
                flaw == Some(Flaw::ListsDeletedNodesForEver)
                    || m.gone_at.is_none_or(|at| at + LAG > now)
            })
            .map(|m| m.report(flaw))
            .map(|mut node| {
                if flaw == Some(Flaw::ListsDeletedNodesForEver) && node.state.is_deleted() {
                    node.state = NodeState::Running;
                }
                node
            })
            .collect();
        let wanted = |node: &Node| {
            (request.foreign || node.is_managed() || flaw == Some(Flaw::ShowsForeignNodes))
                && request.filter.terms().iter().all(|term| {
                    let exact = flaw != Some(Flaw::TakesPatternsForWords);
                    match node.property(term.key()) {
                        Some(value) if exact => term.matches(value),
                        Some(value) => term.patterns().iter().any(|word| word == value),
                        None => true,
                    }
                })
                && (flaw == Some(Flaw::IgnoresLabelFilters)
                    || request
                        .labels
                        .iter()
                        .all(|(key, value)| node.label(key) == Some(value)))
        };
        let mut nodes = Vec::new();
        for (number, page) in all.chunks(PAGE).enumerate() {
            if number > 0 && flaw == Some(Flaw::DropsTheSecondPage) {
                break;
            }
            nodes.extend(page.iter().filter(|node| wanted(node)).cloned());
        }
        let gap = world
            .trip(Operation::List, Point::Midway, Some(region))
            .err()
            .filter(|_| flaw != Some(Flaw::ListsABrokenRegionAsEmpty))
            .map(|error| Gap {
                region: Some(region.to_owned()),
                error: error.report(),
            });
        (nodes, gap)
    }
}

#[async_trait]
impl Provider for Memory {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    async fn check(&self) -> Result<Checked> {
        sleep(STEP).await;
        self.trip(Operation::Check, Point::Before, REGIONS[0])?;
        if self.flaw() == Some(Flaw::ChecksByMakingANode) {
            self.world().make_ghost()?;
        }
        Ok(Checked::default())
    }

    async fn create(&self, request: &CreateRequest) -> Result<Created> {
        self.check_spec(&request.spec)?;
        let any = self.flaw() == Some(Flaw::TakesAnyCount);
        if !any && (request.count == 0 || request.count > self.info.batch) {
            return Err(Error::new(
                Kind::Invalid,
                format!("{} machines cannot be asked for", request.count),
            ));
        }
        let serial = self.world().serial;
        sleep(STEP).await;
        self.trip(Operation::Create, Point::Before, &request.spec.region)?;
        if self.flaw() == Some(Flaw::FailsUnderLoad) {
            // A read, a pause, a write: calls at once give out the same ids.
            self.world().serial = serial;
        }
        let (ids, shortfall) = if self.info.idempotency == Idempotency::NativeToken {
            self.create_at_once(request)?
        } else {
            self.create_singly(request).await?
        };
        sleep(STEP).await;
        self.trip(Operation::Create, Point::After, &request.spec.region)?;
        let mut nodes = self.world().nodes(&ids);
        if self.flaw() == Some(Flaw::ForgetsTypes) {
            for node in &mut nodes {
                node.instance_type.clear();
            }
        }
        match shortfall {
            Some(error)
                if nodes.is_empty() || error.effect() == fleetwright_core::Effect::Unknown =>
            {
                Err(error)
            }
            Some(_) if self.flaw() == Some(Flaw::HidesAShortfall) => Ok(Created::all(nodes)),
            Some(error) => Ok(Created::partial(nodes, error)),
            // What a token made before may be fewer than asked for: that is still a shortfall.
            None if nodes.len() < usize::try_from(request.count).unwrap_or(usize::MAX) => {
                Ok(Created::partial(
                    nodes,
                    Error::new(Kind::Capacity, "the first answer was short"),
                ))
            }
            None => Ok(Created::all(nodes)),
        }
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        sleep(STEP).await;
        if let Err(error) = self.trip(Operation::List, Point::Before, REGIONS[0]) {
            if self.flaw() == Some(Flaw::AnswersABrokenListingWithNothing) {
                return Ok(Listing::complete(Vec::new()));
            }
            return Err(error);
        }
        self.launch_late()?;
        let (mut nodes, mut gaps) = (Vec::new(), Vec::new());
        let all: BTreeSet<String> = REGIONS.map(str::to_owned).into();
        let wanted = request
            .regions
            .as_ref()
            .filter(|_| self.flaw() != Some(Flaw::IgnoresRegionFilters))
            .map_or(all.clone(), |regions| regions.iter().cloned().collect());
        if self.flaw() == Some(Flaw::InventsNodes) {
            let mut world = World::default();
            let ghost = world.make_ghost()?;
            nodes.extend(world.nodes(&[ghost]));
        }
        for region in &wanted {
            if !all.contains(region) {
                if self.flaw() == Some(Flaw::HidesUnlistedRegions) {
                    continue;
                }
                return Err(Error::new(
                    Kind::Invalid,
                    format!("there is no region `{region}`"),
                ));
            }
            let (found, gap) = self.list_region(region, request);
            nodes.extend(found);
            gaps.extend(gap);
        }
        Ok(Listing::with_gaps(nodes, gaps))
    }

    async fn get(&self, id: &NodeId) -> Result<Node> {
        self.check_id(id)?;
        sleep(STEP).await;
        self.trip(Operation::Get, Point::Before, id.region())?;
        let world = self.world();
        let kind = if world.flaw == Some(Flaw::DoubtsUnknownNodes) {
            Kind::Unavailable
        } else {
            Kind::NotFound
        };
        world
            .machine(id)
            .filter(|machine| {
                machine.node.is_managed() || world.flaw != Some(Flaw::HidesForeignNodesFromGet)
            })
            .map(|machine| machine.report(world.flaw))
            .ok_or_else(|| Error::new(kind, format!("there is no node `{id}`")))
    }

    async fn delete(&self, id: &NodeId) -> Result<Deletion> {
        self.check_id(id)?;
        sleep(STEP).await;
        self.trip(Operation::Delete, Point::Before, id.region())?;
        let deletion = {
            let mut world = self.world();
            match (world.flaw, world.machine(id)) {
                (Some(Flaw::SaysNotFoundToDelete), None) => {
                    return Err(Error::new(Kind::NotFound, format!("there is no `{id}`")));
                }
                (Some(Flaw::RefusesToDeleteAgain), Some(machine)) if machine.gone_at.is_some() => {
                    if !machine.is_gone() {
                        return Err(Error::new(Kind::Conflict, "it is being deleted"));
                    }
                }
                (Some(Flaw::DeletesTheNeighbor), _) => {
                    if let Some(other) = world.machines.iter().find(|m| m.node.id != *id) {
                        let other = other.node.id.clone();
                        world.start_removal(&other);
                    }
                    world.start_removal(id);
                }
                (Some(Flaw::ForgetsToDelete), _) => {}
                _ => world.start_removal(id),
            }
            let gone = world.machine(id).is_none_or(super::world::Machine::is_gone);
            let lies = matches!(
                world.flaw,
                Some(Flaw::ClaimsGoneTooEarly | Flaw::ForgetsToDelete)
            );
            if gone || lies {
                Deletion::Gone
            } else {
                Deletion::Started
            }
        };
        self.trip(Operation::Delete, Point::After, id.region())?;
        Ok(deletion)
    }

    fn catalog(&self) -> Option<&dyn Catalog> {
        Some(self)
    }

    fn groups(&self) -> Option<&dyn Groups> {
        Some(self)
    }

    fn balancers(&self) -> Option<&dyn Balancers> {
        Some(self)
    }

    fn dns(&self) -> Option<&dyn Dns> {
        Some(self)
    }

    fn interruptions(&self) -> Option<&dyn Interruptions> {
        Some(self)
    }

    fn quotas(&self) -> Option<&dyn Quotas> {
        Some(self)
    }

    fn requests(&self) -> Option<&dyn Requests> {
        Some(self)
    }
}

/// Long enough for anything here to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
