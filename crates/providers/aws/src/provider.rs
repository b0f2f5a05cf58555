//! The provider: one account, its regions, and what it can do.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_ec2::types::Instance;
use fleetwright_core::{
    ApiLimit, Balancers, Billing, CLOUD_INIT_RESERVE, Catalog, Checked, Clock, CreateRequest,
    Created, Deletion, Dns, Error, Groups, Idempotency, Interruptions, Kind, LimitUnit,
    ListRequest, Listing, Node, NodeId, Operation, Provider, ProviderInfo, Quotas, Requests,
    Result,
};
use jiff::SignedDuration;

use crate::api::{Api, StaticCredentials};
use crate::balancers::Group;
use crate::catalog::Shelf;
use crate::error::At;
use crate::interruptions::Seen;
use crate::launch::USER_DATA;
use crate::memory::Memory;
use crate::recent::Recent;
use crate::{AwsConfig, KIND, node};

/// Most machines per create call: what EC2 gives at once before it slows down (1,000 instance
/// tokens). <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>
const BATCH: u32 = 1_000;

/// First pause between two looks at something that AWS launches on its own.
const POLL: Duration = Duration::from_millis(250);

/// A provider of kind `aws`. Cloning gives another handle to the same clients.
#[derive(Debug, Clone)]
pub struct AwsProvider {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: AwsConfig,
    info: ProviderInfo,
    clock: Arc<dyn Clock>,
    api: Api,
    memory: Memory,
    shelf: Shelf,
    groups: Recent<Group>,
    zones: Recent<String>,
    notices: Seen,
}

impl AwsProvider {
    /// Makes a provider that finds its credentials in the standard chain, at the first call.
    ///
    /// # Errors
    /// `Config`, beginning with the key that is wrong.
    pub fn new(name: &str, config: AwsConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        Self::build(name, config, clock, None)
    }

    /// Makes a provider with credentials of the caller's.
    ///
    /// # Errors
    /// `Config`, beginning with the key that is wrong.
    pub fn with_credentials(
        name: &str,
        config: AwsConfig,
        clock: Arc<dyn Clock>,
        credentials: StaticCredentials,
    ) -> Result<Self> {
        Self::build(name, config, clock, Some(credentials))
    }

    fn build(
        name: &str,
        config: AwsConfig,
        clock: Arc<dyn Clock>,
        credentials: Option<StaticCredentials>,
    ) -> Result<Self> {
        config.check()?;
        let info = ProviderInfo {
            name: name.to_owned(),
            kind: KIND.to_owned(),
            account: config.account(),
            regions: config.regions.clone(),
            idempotency: Idempotency::NativeToken,
            listing_lag: config.listing_lag.0,
            batch: BATCH,
            user_data_limit: USER_DATA - CLOUD_INIT_RESERVE,
            reports_boot: false,
            has_ssh: config.ssh,
            // Linux instances: https://aws.amazon.com/ec2/pricing/on-demand/
            billing: Billing::per_second(60),
            plants_host_keys: config.ssh && config.plant_host_keys,
            limits: limits(),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                api: Api::new(config.clone(), credentials),
                memory: Memory::default(),
                shelf: Shelf::default(),
                groups: Recent::default(),
                zones: Recent::default(),
                notices: Seen::default(),
                config,
                info,
                clock,
            }),
        })
    }

    pub(crate) fn config(&self) -> &AwsConfig {
        &self.inner.config
    }

    pub(crate) fn api(&self) -> &Api {
        &self.inner.api
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.inner.clock
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.inner.memory
    }

    /// Target groups by name.
    pub(crate) fn recent_groups(&self) -> &Recent<Group> {
        &self.inner.groups
    }

    /// The ids of zones by name.
    pub(crate) fn recent_zones(&self) -> &Recent<String> {
        &self.inner.zones
    }

    pub(crate) fn seen_notices(&self) -> &Seen {
        &self.inner.notices
    }

    pub(crate) fn shelf(&self) -> &Shelf {
        &self.inner.shelf
    }

    pub(crate) fn name(&self) -> &str {
        &self.inner.info.name
    }

    pub(crate) fn batch(&self) -> u32 {
        self.inner.info.batch
    }

    /// How long what was read of the catalog is used again.
    pub(crate) fn catalog_age(&self) -> SignedDuration {
        SignedDuration::try_from(self.config().catalog_age.0).unwrap_or(SignedDuration::MAX)
    }

    pub(crate) fn poll_pause(&self) -> Duration {
        POLL.min(self.inner.config.fulfil_within.0 / 8)
    }

    /// An instance as a node of ours.
    pub(crate) fn node(&self, region: &str, instance: &Instance) -> Result<Node> {
        node::node(self.name(), region, self.config(), instance)
    }

    /// Checks that an id is one of this provider and can be one of EC2's.
    pub(crate) fn own(&self, id: &NodeId) -> Result<()> {
        if id.provider() != self.name() {
            return Err(Error::new(
                Kind::Invalid,
                format!("node `{id}` is not of provider `{}`", self.name()),
            ));
        }
        self.api().knows(id.region())?;
        let digits = id.native().strip_prefix("i-").unwrap_or_default();
        let right = (8..=17).contains(&digits.len())
            && digits
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if right {
            return Ok(());
        }
        Err(Error::new(
            Kind::Invalid,
            format!(
                "`{}` is not the id of an instance",
                id.native().escape_debug()
            ),
        )
        .with_hint("an instance id reads `i-0123456789abcdef0`"))
    }

    /// The number of the account that the credentials belong to.
    pub(crate) async fn account_id(&self) -> Result<String> {
        if let Some(known) = self.remembered("account") {
            return Ok(known);
        }
        let (account, _) = self.identity().await?;
        self.remember("account".to_owned(), account.clone());
        Ok(account)
    }

    /// Account and ARN of the caller.
    async fn identity(&self) -> Result<(String, String)> {
        let region = self.config().regions.first().map_or("", String::as_str);
        let at = At::new("GetCallerIdentity", region);
        let global = self.api().global().await;
        let answer = global.sts.get_caller_identity().send().await;
        let answer = answer.map_err(|error| at.error(error))?;
        let account = answer.account().ok_or_else(|| at.lacking("account"))?;
        let arn = answer.arn().unwrap_or(account);
        Ok((account.to_owned(), arn.to_owned()))
    }
}

/// EC2's documented buckets. Removals are not counted: many ids share a call, see `batch.rs`.
/// <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>
fn limits() -> Vec<ApiLimit> {
    let limit = |family: &str, operations: &[Operation], unit, burst, per_second: u32| ApiLimit {
        family: family.to_owned(),
        operations: operations.to_vec(),
        unit,
        burst,
        per_minute: per_second * 60,
        per_region: true,
    };
    let create = &[Operation::Create];
    vec![
        limit("run-instances", create, LimitUnit::Calls, 5, 2),
        limit("instances", create, LimitUnit::Machines, 1_000, 2),
        limit("describe", &[Operation::List], LimitUnit::Calls, 100, 20),
    ]
}

#[async_trait]
impl Provider for AwsProvider {
    fn info(&self) -> &ProviderInfo {
        &self.inner.info
    }

    async fn check(&self) -> Result<Checked> {
        let (account, arn) = self.identity().await?;
        Ok(Checked {
            identity: Some(arn),
            notes: vec![format!("account {account}")],
        })
    }

    async fn create(&self, request: &CreateRequest) -> Result<Created> {
        self.launch(request).await
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
        Some(self)
    }

    fn balancers(&self) -> Option<&dyn Balancers> {
        Some(self)
    }

    fn dns(&self) -> Option<&dyn Dns> {
        Some(self)
    }

    fn interruptions(&self) -> Option<&dyn Interruptions> {
        let has_queue = self.config().interruption_queue.is_some();
        has_queue.then_some(self as &dyn Interruptions)
    }

    fn quotas(&self) -> Option<&dyn Quotas> {
        Some(self)
    }

    fn requests(&self) -> Option<&dyn Requests> {
        Some(self)
    }
}
