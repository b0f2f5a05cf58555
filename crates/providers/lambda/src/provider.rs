//! The provider: one team, its regions, and what it can do.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use fleetwright_core::{
    AccountConfig as _, AccountContext, ApiLimit, Balancers, Billing, Catalog, Checked, Clock,
    CreateRequest, Created, Deletion, Dns, Error, Groups, Idempotency, Interruptions, Kind,
    LimitUnit, ListRequest, Listing, Node, NodeId, NodeState, Operation, Provider, ProviderInfo,
    Quotas, Requests, Result,
};
use fleetwright_rest::Credential;

use crate::api::Api;
use crate::create::USER_DATA_LIMIT;
use crate::{KIND, LambdaConfig, node};

/// A provider of kind `lambda`. Cloning gives another handle to the same client.
#[derive(Debug, Clone)]
pub struct LambdaProvider {
    pub(crate) config: Arc<LambdaConfig>,
    pub(crate) info: Arc<ProviderInfo>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) api: Api,
}

impl LambdaProvider {
    /// Makes a provider that fetches its token at the first call.
    ///
    /// # Errors
    /// `Config`, beginning with the key that is wrong.
    pub fn new(name: &str, config: LambdaConfig, context: &AccountContext) -> Result<Self> {
        config.check()?;
        let secrets = Arc::clone(&context.secrets);
        let credential = Credential::bearer_from(config.token.clone(), secrets);
        let clock = Arc::clone(&context.clock);
        let api = Api::new(&config, credential, Arc::clone(&clock))?;
        Ok(Self {
            info: Arc::new(info(name, &config)),
            config: Arc::new(config),
            clock,
            api,
        })
    }

    /// The node that an instance is.
    pub(crate) fn node(&self, instance: &crate::api::Instance) -> Result<Node> {
        node::node(&self.info.name, &self.config, instance)
    }

    /// Whether an id is one of this provider's.
    fn own(&self, id: &NodeId) -> Result<()> {
        let is_ours = id.provider() == self.info.name;
        if is_ours && self.info.regions.iter().any(|region| region == id.region()) {
            return Ok(());
        }
        let message = format!(
            "`{id}` is not a node of `{}` in its regions",
            self.info.name
        );
        Err(Error::new(Kind::Invalid, message))
    }
}

/// "Requests to the API are generally limited to one request per second. Requests to the
/// `/instance-operations/launch` endpoint are limited to one request per 12 seconds, or five
/// requests per minute." <https://docs.lambda.ai/api/cloud>
fn limits() -> Vec<ApiLimit> {
    let launches = ApiLimit {
        family: "launch".to_owned(),
        operations: vec![Operation::Create],
        unit: LimitUnit::Calls,
        burst: 1,
        per_minute: 5,
        per_region: false,
    };
    let all = ApiLimit {
        family: "requests".to_owned(),
        operations: Operation::ALL.to_vec(),
        unit: LimitUnit::Calls,
        burst: 1,
        per_minute: 60,
        per_region: false,
    };
    vec![launches, all]
}

fn info(name: &str, config: &LambdaConfig) -> ProviderInfo {
    ProviderInfo {
        name: name.to_owned(),
        kind: KIND.to_owned(),
        account: config.account.clone(),
        regions: config.regions.clone(),
        idempotency: Idempotency::LabelThenList,
        listing_lag: config.listing_lag.0,
        // A launch makes one instance, and the next may follow 12 seconds later.
        batch: 1,
        user_data_limit: USER_DATA_LIMIT,
        reports_boot: false,
        has_ssh: config.ssh,
        // By the minute: https://docs.lambda.ai/public-cloud/billing/
        billing: Billing::per_minute(),
        plants_host_keys: config.ssh && config.plant_host_keys,
        limits: limits(),
    }
}

#[async_trait]
impl Provider for LambdaProvider {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    async fn check(&self) -> Result<Checked> {
        let keys = self.api.ssh_keys().await?.len();
        // Every region has images, and no call lists regions.
        let images = self.api.images().await?;
        let known: BTreeSet<&str> = images.iter().map(|one| one.region.name.as_str()).collect();
        if let Some(unknown) = self
            .info
            .regions
            .iter()
            .find(|r| !known.contains(r.as_str()))
        {
            let known: Vec<&str> = known.into_iter().collect();
            return Err(Error::new(
                Kind::Config,
                format!("`regions`: there is no region `{unknown}`"),
            )
            .with_hint(format!("there are {}", known.join(", "))));
        }
        Ok(Checked {
            identity: None,
            notes: vec![format!("{keys} SSH keys are registered")],
        })
    }

    async fn create(&self, request: &CreateRequest) -> Result<Created> {
        self.launch(request).await
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        let regions = match &request.regions {
            None => self.info.regions.clone(),
            Some(wanted) => wanted.clone(),
        };
        if let Some(unknown) = regions.iter().find(|r| !self.info.regions.contains(r)) {
            let message = format!("`{}` does not use the region `{unknown}`", self.info.name);
            return Err(Error::new(Kind::Invalid, message)
                .with_hint(format!("it uses {}", self.info.regions.join(", "))));
        }
        let mut nodes = Vec::new();
        for instance in self.api.instances().await? {
            let node = self.node(&instance)?;
            let has_labels = request
                .labels
                .iter()
                .all(|(key, value)| node.label(key) == Some(value));
            let is_wanted = regions.iter().any(|region| region == node.id.region())
                && has_labels
                && (request.foreign || node.is_managed());
            if is_wanted {
                nodes.push(node);
            }
        }
        // One answer holds all regions: it comes whole or not at all.
        Ok(Listing::complete(nodes))
    }

    async fn get(&self, id: &NodeId) -> Result<Node> {
        self.own(id)?;
        let node = self.node(&self.api.instance(id.native()).await?)?;
        if node.id == *id {
            return Ok(node);
        }
        let message = format!("there is no `{}` in `{}`", id.native(), id.region());
        Err(Error::new(Kind::NotFound, message))
    }

    async fn delete(&self, id: &NodeId) -> Result<Deletion> {
        // Looked at first: an id is bound to its region, and Lambda's call does not name one.
        let node = match self.get(id).await {
            Ok(node) => node,
            Err(error) if error.kind() == Kind::NotFound => return Ok(Deletion::Gone),
            Err(error) => return Err(error),
        };
        match node.state {
            NodeState::Deleted => return Ok(Deletion::Gone),
            NodeState::Deleting => return Ok(Deletion::Started),
            _ => {}
        }
        match self.api.terminate(id.native()).await {
            Ok(Some(instance)) if self.node(&instance)?.state.is_deleted() => Ok(Deletion::Gone),
            Ok(_) => Ok(Deletion::Started),
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
        Some(self)
    }
}
