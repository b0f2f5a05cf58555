//! The provider: one account, its regions, and what it can do.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use fleetwright_core::{
    AccountConfig as _, AccountContext, ApiLimit, Balancers, Billing, Catalog, Checked,
    CreateRequest, Created, Deletion, Dns, Error, Groups, Idempotency, Interruptions, Kind,
    LimitUnit, ListRequest, Listing, Node, NodeId, NodeState, Operation, Provider, ProviderInfo,
    Quotas, Requests, Result, keys,
};
use fleetwright_rest::Credential;

use crate::api::{Api, Machine};
use crate::create::{BATCH, USER_DATA_LIMIT};
use crate::{HetznerConfig, KIND, node};

/// A provider of kind `hetzner`. Cloning gives another handle to the same client.
#[derive(Debug, Clone)]
pub struct HetznerProvider {
    pub(crate) config: Arc<HetznerConfig>,
    pub(crate) info: Arc<ProviderInfo>,
    pub(crate) api: Api,
}

impl HetznerProvider {
    /// Makes a provider that fetches its token at the first call.
    ///
    /// # Errors
    /// `Config`, beginning with the key that is wrong.
    pub fn new(name: &str, config: HetznerConfig, context: &AccountContext) -> Result<Self> {
        config.check()?;
        let secrets = Arc::clone(&context.secrets);
        let credential = Credential::bearer_from(config.token.clone(), secrets);
        let api = Api::new(&config, credential, Arc::clone(&context.clock))?;
        Ok(Self {
            info: Arc::new(info(name, &config)),
            config: Arc::new(config),
            api,
        })
    }

    /// The node that a machine is.
    pub(crate) fn node(&self, machine: &Machine) -> Result<Node> {
        node::node(&self.info.name, &self.config, machine)
    }

    /// Refuses an id that is not one of this provider's.
    fn own(&self, id: &NodeId) -> Result<()> {
        let is_here = self.info.regions.iter().any(|region| region == id.region());
        if id.provider() == self.info.name && is_here {
            return Ok(());
        }
        let message = format!(
            "`{id}` is not a node of `{}` in its regions",
            self.info.name
        );
        Err(Error::new(Kind::Invalid, message))
    }
}

fn info(name: &str, config: &HetznerConfig) -> ProviderInfo {
    ProviderInfo {
        name: name.to_owned(),
        kind: KIND.to_owned(),
        account: config.account.clone(),
        regions: config.regions.clone(),
        idempotency: Idempotency::LabelThenList,
        listing_lag: config.listing_lag.0,
        batch: BATCH,
        user_data_limit: USER_DATA_LIMIT,
        reports_boot: false,
        has_ssh: config.ssh,
        // Every hour that has begun: https://docs.hetzner.com/cloud/billing/faq/
        billing: Billing::per_hour(),
        plants_host_keys: config.ssh,
        // "Each project has a rate limit of 3600 requests per hour [...]; this increases by 1 token
        // per second". <https://docs.hetzner.cloud/#rate-limiting>
        limits: vec![ApiLimit {
            family: "requests".to_owned(),
            operations: Operation::ALL.to_vec(),
            unit: LimitUnit::Calls,
            burst: 3_600,
            per_minute: 60,
            per_region: false,
        }],
    }
}

#[async_trait]
impl Provider for HetznerProvider {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    async fn check(&self) -> Result<Checked> {
        let types = self.api.types().await?.len();
        let places = self.api.datacenters().await?;
        let known: BTreeSet<&str> = places
            .iter()
            .map(|one| one.location.name.as_str())
            .collect();
        if let Some(unknown) = self
            .info
            .regions
            .iter()
            .find(|r| !known.contains(r.as_str()))
        {
            let known: Vec<&str> = known.into_iter().collect();
            return Err(Error::new(
                Kind::Config,
                format!("`regions`: there is no location `{unknown}`"),
            )
            .with_hint(format!("there are {}", known.join(", "))));
        }
        Ok(Checked {
            identity: None,
            notes: vec![format!("{types} types of machines are known")],
        })
    }

    async fn create(&self, request: &CreateRequest) -> Result<Created> {
        self.make(request).await
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        let regions = request.regions.as_ref().unwrap_or(&self.info.regions);
        if let Some(unknown) = regions.iter().find(|r| !self.info.regions.contains(r)) {
            let message = format!("`{}` does not use the region `{unknown}`", self.info.name);
            return Err(Error::new(Kind::Invalid, message));
        }
        let mut labels = request.labels.clone();
        if !request.foreign {
            labels.insert(
                keys::MANAGED_BY.to_owned(),
                keys::MANAGED_BY_VALUE.to_owned(),
            );
        }
        let (machines, gap) = self.api.machines(&labels).await.with_gap(None);
        let mut nodes = Vec::new();
        for machine in &machines {
            let node = self.node(machine)?;
            let has_labels = request
                .labels
                .iter()
                .all(|(key, value)| node.label(key) == Some(value));
            let is_here = regions.iter().any(|region| region == node.id.region());
            if is_here && has_labels && (request.foreign || node.is_managed()) {
                nodes.push(node);
            }
        }
        match gap {
            // Nothing at all was seen.
            Some(gap) if machines.is_empty() => Err(gap.error.into()),
            gap => Ok(Listing::with_gaps(nodes, gap.into_iter().collect())),
        }
    }

    async fn get(&self, id: &NodeId) -> Result<Node> {
        self.own(id)?;
        let missing = || {
            let message = format!("there is no `{}` in `{}`", id.native(), id.region());
            Error::new(Kind::NotFound, message)
        };
        // Ids are numbers: anything else is nobody's.
        if id.native().parse::<u64>().is_err() {
            return Err(missing());
        }
        let node = self.node(&self.api.machine(id.native()).await?)?;
        if node.id == *id {
            return Ok(node);
        }
        Err(missing())
    }

    async fn delete(&self, id: &NodeId) -> Result<Deletion> {
        // Looked at first: an id is bound to its region, and the vendor's call does not name one.
        let node = match self.get(id).await {
            Ok(node) => node,
            Err(error) if error.kind() == Kind::NotFound => return Ok(Deletion::Gone),
            Err(error) => return Err(error),
        };
        if node.state == NodeState::Deleting {
            return Ok(Deletion::Started);
        }
        match self.api.remove(id.native()).await {
            Ok(()) => Ok(Deletion::Started),
            Err(error) if error.kind() == Kind::NotFound => Ok(Deletion::Gone),
            Err(error) => Err(error),
        }
    }

    fn catalog(&self) -> Option<&dyn Catalog> {
        Some(self)
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
