//! The provider: what a client of the simulated cloud does and sees.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use fleetwright_core::{
    Balancers, Billing, Catalog, Checked, Clock, CreateRequest, Created, Deletion, Dns, Groups,
    Interruptions, ListRequest, Listing, Node, NodeId, Operation, Provider, ProviderInfo, Quotas,
    Requests, Result,
};

use crate::config::{SimConfig, SimRegion, SimType};
use crate::world::machine::{self, Batch, End, Machine, Why};
use crate::world::state::{Change, State};
use crate::world::{Cloud, Question, Step, World, after};
use crate::{KIND, error};

/// A provider of kind `sim`, with every ability.
///
/// Cloning gives another handle to the same world.
#[derive(Debug, Clone)]
pub struct SimProvider {
    pub(crate) cloud: Arc<Cloud>,
    info: Arc<ProviderInfo>,
}

impl SimProvider {
    /// Makes a provider. The world's file is opened at the first call, not here.
    ///
    /// `default_world` is used if the configuration names no file.
    ///
    /// # Errors
    /// `Config`, naming the key that is wrong.
    pub fn new(
        name: &str,
        config: SimConfig,
        default_world: PathBuf,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        config.validate()?;
        let path = config.world.clone().unwrap_or(default_world);
        let info = ProviderInfo {
            name: name.to_owned(),
            kind: KIND.to_owned(),
            account: path.display().to_string(),
            regions: config
                .regions
                .iter()
                .map(|region| region.name.clone())
                .collect(),
            idempotency: config.idempotency,
            listing_lag: config.listing_lag.0,
            batch: config.batch,
            user_data_limit: config.user_data_limit,
            reports_boot: config.reports_boot,
            has_ssh: false,
            billing: Billing::per_second(0),
            plants_host_keys: false,
            limits: config.api_limits.clone(),
        };
        Ok(Self {
            cloud: Arc::new(Cloud::new(name, config, path, clock)),
            info: Arc::new(info),
        })
    }

    /// The truth about this cloud, past all lag, faults and limits.
    pub fn world(&self) -> World {
        World::new(Arc::clone(&self.cloud))
    }

    pub(crate) fn config(&self) -> &SimConfig {
        self.cloud.config()
    }

    /// A region, if it is one of ours.
    pub(crate) fn region(&self, name: &str) -> Result<&SimRegion> {
        self.config().region(name).ok_or_else(|| {
            error::invalid(format!("there is no region `{name}`"))
                .with_hint(format!("known: {}", self.info.regions.join(", ")))
        })
    }

    /// A type, if it is sold.
    pub(crate) fn sold(&self, name: &str) -> Result<&SimType> {
        self.config().instance_type(name).ok_or_else(|| {
            let known: Vec<&str> = self
                .config()
                .types
                .iter()
                .map(|sold| sold.name.as_str())
                .collect();
            error::invalid(format!("there is no instance type `{name}`"))
                .with_hint(format!("known: {}", known.join(", ")))
        })
    }

    /// Checks that an id is one of this provider.
    pub(crate) fn own(&self, id: &NodeId) -> Result<()> {
        if id.provider() != self.info.name {
            return Err(error::invalid(format!(
                "node `{id}` is not of provider `{}`",
                self.info.name
            )));
        }
        self.region(id.region()).map(drop)
    }

    /// Asks something that concerns no machine type.
    pub(crate) async fn ask<T>(
        &self,
        operation: Operation,
        region: Option<&str>,
        effect: impl FnOnce(&mut Step<'_>) -> Result<T> + Send,
    ) -> Result<T> {
        let question = Question {
            operation,
            region,
            machines: 0,
        };
        self.cloud.call(question, effect).await
    }
}

/// A machine by its id, deleted ones included.
pub(crate) fn find<'a>(state: &'a State, id: &NodeId) -> Option<(u64, &'a Machine, &'a Batch)> {
    let number = machine::number_of(id.native())?;
    let (machine, batch) = state.machine(number)?;
    (batch.region == id.region()).then_some((number, machine, batch))
}

/// Begins the end of a machine.
pub(crate) fn end(step: &mut Step<'_>, machine: u64, why: Why) {
    let asked_at = step.now();
    let end = End {
        asked_at,
        gone_at: after(asked_at, step.config().delete_time.0),
        why,
    };
    step.change(Change::Ended { machine, end });
}

#[async_trait]
impl Provider for SimProvider {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    async fn check(&self) -> Result<Checked> {
        self.ask(Operation::Check, None, |step| {
            let live = step.state().live(step.now()).count();
            Ok(Checked {
                identity: Some(format!(
                    "simulated account with seed {}",
                    step.config().seed
                )),
                notes: vec![format!("{live} nodes in `{}`", self.cloud.path().display())],
            })
        })
        .await
    }

    async fn create(&self, request: &CreateRequest) -> Result<Created> {
        self.create_machines(request).await
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        self.list_machines(request).await
    }

    async fn get(&self, id: &NodeId) -> Result<Node> {
        self.own(id)?;
        self.ask(Operation::Get, Some(id.region()), |step| {
            let seen = match find(step.state(), id) {
                Some((number, machine, batch)) => {
                    machine.seen(number, batch, step.provider(), step.now())?
                }
                None => None,
            };
            seen.ok_or_else(|| error::not_found(format!("there is no node `{id}`")))
        })
        .await
    }

    async fn delete(&self, id: &NodeId) -> Result<Deletion> {
        self.own(id)?;
        self.ask(Operation::Delete, Some(id.region()), |step| {
            let now = step.now();
            let Some((number, machine, _)) = find(step.state(), id) else {
                return Ok(Deletion::Gone);
            };
            if machine.is_gone(now) {
                return Ok(Deletion::Gone);
            }
            if machine.end.is_none() {
                end(step, number, Why::Deleted);
            }
            match step.state().machine(number) {
                Some((machine, _)) if !machine.is_gone(now) => Ok(Deletion::Started),
                _ => Ok(Deletion::Gone),
            }
        })
        .await
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
        None
    }
}
