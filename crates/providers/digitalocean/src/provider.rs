//! The provider: one team, its regions, and what it can do.

use std::sync::Arc;

use async_trait::async_trait;
use fleetwright_core::{
    AccountConfig as _, AccountContext, ApiLimit, Balancers, Billing, CLOUD_INIT_RESERVE, Catalog,
    Checked, CreateRequest, Created, Deletion, Dns, Groups, Idempotency, Interruptions, LimitUnit,
    ListRequest, Listing, Node, NodeId, Operation, Provider, ProviderInfo, Quotas, Requests,
    Result,
};
use fleetwright_rest::Credential;

use crate::api::Api;
use crate::wire::Droplet;
use crate::{DigitalOceanConfig, KIND, node};

/// Most machines per create call: "Up to ten Droplets may be created this way at a time."
/// <https://docs.digitalocean.com/reference/api/reference/droplets/#droplets_create>
const BATCH: u32 = 10;

/// Longest user data: "It must be plain text and may not exceed 64 KiB in size."
pub(crate) const USER_DATA: usize = 64 << 10;

/// A provider of kind `digitalocean`. Cloning gives another handle to the same connections.
#[derive(Debug, Clone)]
pub struct DigitalOceanProvider {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: DigitalOceanConfig,
    info: ProviderInfo,
    api: Api,
}

impl DigitalOceanProvider {
    /// Makes a provider that fetches its token at the first call.
    ///
    /// # Errors
    /// `Config`, beginning with the key that is wrong.
    pub fn new(name: &str, config: DigitalOceanConfig, context: &AccountContext) -> Result<Self> {
        config.check()?;
        let info = ProviderInfo {
            name: name.to_owned(),
            kind: KIND.to_owned(),
            account: config.account.clone(),
            regions: config.regions.clone(),
            idempotency: Idempotency::LabelThenList,
            listing_lag: config.listing_lag.0,
            batch: BATCH,
            user_data_limit: USER_DATA - CLOUD_INIT_RESERVE,
            reports_boot: false,
            has_ssh: config.ssh,
            // By the second since 2026, at least a minute. That a droplet costs at least a cent is left out.
            // https://docs.digitalocean.com/products/droplets/details/pricing/
            billing: Billing::per_second(60),
            plants_host_keys: config.ssh && config.plant_host_keys,
            limits: limits(),
        };
        let secrets = Arc::clone(&context.secrets);
        let credential = Credential::bearer_from(config.token.clone(), secrets);
        let api = Api::new(&config, credential, Arc::clone(&context.clock))?;
        let inner = Inner { config, info, api };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    pub(crate) fn config(&self) -> &DigitalOceanConfig {
        &self.inner.config
    }

    pub(crate) fn api(&self) -> &Api {
        &self.inner.api
    }

    pub(crate) fn plants_host_keys(&self) -> bool {
        self.inner.info.plants_host_keys
    }

    pub(crate) fn name(&self) -> &str {
        &self.inner.info.name
    }

    /// A droplet as a node of ours.
    pub(crate) fn node(&self, droplet: &Droplet) -> Result<Node> {
        node::node(self.name(), self.config(), droplet)
    }
}

/// "5,000 requests per hour" and "250 requests per minute", for all calls of a token together: so
/// many at once and per minute that neither can be met.
/// <https://docs.digitalocean.com/reference/api/reference/#section/Introduction/Rate-Limit>
fn limits() -> Vec<ApiLimit> {
    vec![ApiLimit {
        family: "api".to_owned(),
        operations: Operation::ALL.to_vec(),
        unit: LimitUnit::Calls,
        burst: 160,
        per_minute: 80,
        per_region: false,
    }]
}

#[async_trait]
impl Provider for DigitalOceanProvider {
    fn info(&self) -> &ProviderInfo {
        &self.inner.info
    }

    async fn check(&self) -> Result<Checked> {
        let account = self.api().account().await?;
        let mut notes = vec![format!("at most {} droplets", account.droplet_limit)];
        if account.status != "active" {
            notes.push(format!(
                "the account is `{}`: {}",
                account.status, account.status_message
            ));
        }
        let team = account.team.map(|team| team.name);
        Ok(Checked {
            identity: Some(match team.filter(|name| !name.is_empty()) {
                Some(team) => format!("{} of {team}", account.email),
                None => account.email,
            }),
            notes,
        })
    }

    async fn create(&self, request: &CreateRequest) -> Result<Created> {
        self.make(request).await
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        self.list_nodes(request).await
    }

    async fn get(&self, id: &NodeId) -> Result<Node> {
        self.look_at(id).await
    }

    async fn delete(&self, id: &NodeId) -> Result<Deletion> {
        self.remove(id).await
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
        Some(self)
    }

    fn requests(&self) -> Option<&dyn Requests> {
        Some(self)
    }
}
