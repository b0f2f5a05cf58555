//! The provider: one project, its regions, and what it can do.

use std::sync::Arc;

use async_trait::async_trait;
use fleetwright_core::{
    AccountConfig as _, AccountContext, Balancers, Billing, CLOUD_INIT_RESERVE, Catalog, Checked,
    Clock, CreateRequest, Created, Deletion, Dns, Error, Groups, Idempotency, Interruptions, Kind,
    ListRequest, Listing, Node, NodeId, Provider, ProviderInfo, Quotas, Requests, Result,
};
use fleetwright_rest::check_region;

use crate::api::Api;
use crate::wire::Server;
use crate::zone::ServerId;
use crate::{KIND, ScalewayConfig, node};

/// Most machines per create call: each takes three calls or more.
const BATCH: u32 = 50;

/// Longest user data, in bytes; the figure of the vendor's own tools.
/// <https://github.com/scaleway/terraform-provider-scaleway/blob/master/internal/services/instance/server.go>
pub(crate) const USER_DATA: usize = 127_998;

/// A provider of kind `scaleway`. Cloning gives another handle to the same connections.
#[derive(Debug, Clone)]
pub struct ScalewayProvider {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: ScalewayConfig,
    info: ProviderInfo,
    clock: Arc<dyn Clock>,
    api: Api,
}

impl ScalewayProvider {
    /// Makes a provider, without calling it: the key is fetched at the first call.
    ///
    /// # Errors
    /// `Config`, beginning with the key that is wrong.
    pub fn new(name: &str, config: ScalewayConfig, context: &AccountContext) -> Result<Self> {
        config.check()?;
        let info = ProviderInfo {
            name: name.to_owned(),
            kind: KIND.to_owned(),
            account: config.project_id.clone(),
            regions: config.regions.clone(),
            idempotency: Idempotency::LabelThenList,
            listing_lag: config.listing_lag.0,
            batch: BATCH,
            user_data_limit: USER_DATA - CLOUD_INIT_RESERVE,
            reports_boot: false,
            plants_host_keys: config.ssh && config.plant_host_keys,
            has_ssh: config.ssh,
            // "CPU Instances: Billed per hour of uptime"; GPU instances by the minute, so for them this is
            // the most that it can be. https://www.scaleway.com/en/docs/instances/faq/
            billing: Billing::per_hour(),
            // Scaleway publishes no figures; its headers and answers tell.
            limits: Vec::new(),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                api: Api::new(&config, context)?,
                clock: Arc::clone(&context.clock),
                config,
                info,
            }),
        })
    }

    pub(crate) fn config(&self) -> &ScalewayConfig {
        &self.inner.config
    }

    pub(crate) fn api(&self) -> &Api {
        &self.inner.api
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.inner.clock
    }

    pub(crate) fn name(&self) -> &str {
        &self.inner.info.name
    }

    /// The zones of a region.
    ///
    /// # Errors
    /// `Invalid` if the region is not configured.
    pub(crate) fn zones_of(&self, region: &str) -> Result<Vec<String>> {
        check_region(region, self.info())?;
        Ok(self.config().zones_of(region))
    }

    /// All zones of all regions.
    pub(crate) fn zones(&self) -> Vec<String> {
        let regions = self.config().regions.iter();
        regions
            .flat_map(|region| self.config().zones_of(region))
            .collect()
    }

    /// An instance as a node of ours.
    pub(crate) fn node(&self, server: &Server) -> Result<Node> {
        node::node(self.name(), self.config(), server)
    }

    /// Where the instance of a node is; `None` if its region has no such zone, so that no node can
    /// have this id.
    ///
    /// # Errors
    /// `Invalid` if the node is another provider's, or its id cannot be one.
    pub(crate) fn own(&self, id: &NodeId) -> Result<Option<ServerId>> {
        if id.provider() != self.name() {
            return Err(Error::new(
                Kind::Invalid,
                format!("node `{id}` is not of provider `{}`", self.name()),
            ));
        }
        self.zones_of(id.region())?;
        let server = ServerId::of(id)?;
        Ok(Some(server).filter(|server| server.is_in(id.region())))
    }

    /// The instance of a node.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    pub(crate) async fn server_of(&self, id: &NodeId) -> Result<Server> {
        let unknown = || Error::new(Kind::NotFound, format!("there is no node `{id}`"));
        let at = self.own(id)?.ok_or_else(unknown)?;
        self.api().server(&at).await
    }
}

#[async_trait]
impl Provider for ScalewayProvider {
    fn info(&self) -> &ProviderInfo {
        &self.inner.info
    }

    async fn check(&self) -> Result<Checked> {
        // `check` of the configuration has seen that there is one.
        let zone = self.zones().into_iter().next().unwrap_or_default();
        self.api().any_server(&zone).await?;
        Ok(Checked {
            identity: Some(format!("project {}", self.api().project())),
            notes: Vec::new(),
        })
    }

    async fn create(&self, request: &CreateRequest) -> Result<Created> {
        self.make(request).await
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        self.list_nodes(request).await
    }

    async fn get(&self, id: &NodeId) -> Result<Node> {
        self.node(&self.server_of(id).await?)
    }

    async fn delete(&self, id: &NodeId) -> Result<Deletion> {
        match self.own(id)? {
            Some(at) => self.remove(&at).await,
            None => Ok(Deletion::Gone),
        }
    }

    fn catalog(&self) -> Option<&dyn Catalog> {
        Some(self)
    }

    fn groups(&self) -> Option<&dyn Groups> {
        None
    }

    fn balancers(&self) -> Option<&dyn Balancers> {
        Some(self)
    }

    fn dns(&self) -> Option<&dyn Dns> {
        Some(self)
    }

    fn interruptions(&self) -> Option<&dyn Interruptions> {
        None
    }

    fn quotas(&self) -> Option<&dyn Quotas> {
        None
    }

    fn requests(&self) -> Option<&dyn Requests> {
        Some(self)
    }
}
