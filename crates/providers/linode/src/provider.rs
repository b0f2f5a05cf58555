//! The provider: one account, its regions, and what it can do.

use std::sync::Arc;

use async_trait::async_trait;
use fleetwright_core::{
    AccountConfig as _, AccountContext, ApiLimit, Balancers, Billing, CLOUD_INIT_RESERVE, Catalog,
    Checked, Clock, CreateRequest, Created, Deletion, Dns, Error, Groups, Idempotency,
    Interruptions, Kind, LimitUnit, ListRequest, Listing, Node, NodeId, Operation, Provider,
    ProviderInfo, Quotas, Requests, Result,
};
use fleetwright_rest::check_region;
use jiff::SignedDuration;

use crate::api::Api;
use crate::catalog::Market;
use crate::config::LinodeConfig;
use crate::recent::Recent;
use crate::wire::{Image, Linode};
use crate::{KIND, node};

/// Most machines per create call: what Linode gives at once before it slows down, "20 requests per
/// 15 seconds". <https://techdocs.akamai.com/linode-api/reference/rate-limits>
const BATCH: u32 = 20;

/// Longest user data, in bytes before encoding: `metadata.user_data` may have 65,535 bytes.
/// <https://techdocs.akamai.com/cloud-computing/docs/overview-of-the-metadata-service>
pub(crate) const USER_DATA: usize = 65_535;

/// A provider of kind `linode`. Cloning gives another handle to the same client.
#[derive(Debug, Clone)]
pub struct LinodeProvider {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: LinodeConfig,
    info: ProviderInfo,
    clock: Arc<dyn Clock>,
    api: Api,
    market: Recent<Market>,
    images: Recent<Vec<Image>>,
}

impl LinodeProvider {
    /// Makes a provider. Its token is fetched at the first call.
    ///
    /// # Errors
    /// `Config`, beginning with the key that is wrong.
    pub fn new(name: &str, config: LinodeConfig, context: &AccountContext) -> Result<Self> {
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
            // Every hour that has begun.
            // https://techdocs.akamai.com/cloud-computing/docs/understanding-how-billing-works
            billing: Billing::per_hour(),
            plants_host_keys: config.ssh && config.plant_host_keys,
            limits: limits(),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                api: Api::new(&config, context)?,
                config,
                info,
                clock: Arc::clone(&context.clock),
                market: Recent::default(),
                images: Recent::default(),
            }),
        })
    }

    pub(crate) fn config(&self) -> &LinodeConfig {
        &self.inner.config
    }

    pub(crate) fn api(&self) -> &Api {
        &self.inner.api
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.inner.clock
    }

    pub(crate) fn market(&self) -> &Recent<Market> {
        &self.inner.market
    }

    pub(crate) fn images(&self) -> &Recent<Vec<Image>> {
        &self.inner.images
    }

    pub(crate) fn name(&self) -> &str {
        &self.inner.info.name
    }

    /// How long what was read of the catalog is used again.
    pub(crate) fn catalog_age(&self) -> SignedDuration {
        node::signed(self.config().catalog_age.0)
    }

    /// An instance as a node of ours.
    pub(crate) fn node(&self, linode: &Linode) -> Result<Node> {
        node::node(self.name(), self.config(), linode, self.clock().now())
    }

    /// Checks that a region is one of ours.
    pub(crate) fn knows(&self, region: &str) -> Result<()> {
        check_region(region, self.info())
    }

    /// The number of an instance, if the id is one of this provider.
    pub(crate) fn own(&self, id: &NodeId) -> Result<u64> {
        if id.provider() != self.name() {
            return Err(Error::new(
                Kind::Invalid,
                format!("node `{id}` is not of provider `{}`", self.name()),
            ));
        }
        self.knows(id.region())?;
        let number = id.native().parse::<u64>().ok();
        number
            // `+1` and `01` parse, but no instance is called so.
            .filter(|number| *number > 0 && number.to_string() == id.native())
            .ok_or_else(|| {
                let native: String = id.native().escape_debug().take(40).collect();
                Error::new(
                    Kind::Invalid,
                    format!("`{native}` is not the id of an instance"),
                )
                .with_hint("the id of a Linode is a number")
            })
    }

    /// The instance that an id names; `None` if there is none in its region.
    pub(crate) async fn instance(&self, id: &NodeId) -> Result<Option<Linode>> {
        let number = self.own(id)?;
        let linode = self.api().linode(number).await?;
        Ok(linode.filter(|linode| linode.region == id.region()))
    }
}

/// The documented limits, per user: 20 creations in 15 s, 200 pages and 1,600 other calls per
/// minute. A deletion looks before it deletes, and a change of a balancer or a domain takes about
/// four calls, half of them pages.
/// <https://techdocs.akamai.com/linode-api/reference/rate-limits>
fn limits() -> Vec<ApiLimit> {
    let limit = |family: &str, operations: &[Operation], unit, per_minute, burst| ApiLimit {
        family: family.to_owned(),
        operations: operations.to_vec(),
        unit,
        burst,
        per_minute,
        per_region: false,
    };
    let pages = [
        Operation::List,
        Operation::Catalog,
        Operation::Read,
        Operation::Change,
    ];
    let others = [Operation::Check, Operation::Get, Operation::Delete];
    vec![
        limit("create", &[Operation::Create], LimitUnit::Machines, 80, 20),
        limit("collections", &pages, LimitUnit::Calls, 100, 50),
        limit("others", &others, LimitUnit::Calls, 800, 400),
    ]
}

#[async_trait]
impl Provider for LinodeProvider {
    fn info(&self) -> &ProviderInfo {
        &self.inner.info
    }

    async fn check(&self) -> Result<Checked> {
        let (profile, scopes) = self.api().profile().await?;
        let mut notes = Vec::new();
        if profile.restricted {
            notes.push(
                "the user is restricted, and Linode lets only unrestricted users tag machines"
                    .to_owned(),
            );
        }
        if let Some(scopes) = scopes
            && !may_write(&scopes)
        {
            return Err(Error::new(
                Kind::Permission,
                "the token may not make or remove machines",
            )
            .with_context("scopes", scopes)
            .with_hint("make a token with the scope `linodes:read_write`"));
        }
        Ok(Checked {
            identity: Some(profile.username),
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
        match self.instance(id).await? {
            Some(linode) => self.node(&linode),
            None => Err(Error::new(
                Kind::NotFound,
                format!("there is no instance `{}`", id.native()),
            )
            .with_context("region", id.region())),
        }
    }

    /// Everything goes with a machine: "Gives up any IP addresses the Linode was assigned. Deletes
    /// all Disks, Backups, Configs". We attach no volumes.
    /// <https://techdocs.akamai.com/linode-api/reference/delete-linode-instance>
    async fn delete(&self, id: &NodeId) -> Result<Deletion> {
        let Some(linode) = self.instance(id).await? else {
            return Ok(Deletion::Gone);
        };
        if linode.status == "deleting" {
            return Ok(Deletion::Started);
        }
        let was_there = self.api().delete(linode.id).await?;
        Ok(if was_there {
            Deletion::Started
        } else {
            Deletion::Gone
        })
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

/// Whether these scopes reach as far as making machines: `*`, or a list with
/// `linodes:read_write`. <https://techdocs.akamai.com/linode-api/reference/get-started#oauth>
fn may_write(scopes: &str) -> bool {
    let mut all = scopes.split([' ', ',']);
    all.any(|scope| matches!(scope, "*" | "linodes:read_write" | "linodes:*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read() {
        assert!(may_write("*"));
        assert!(may_write("account:read_only linodes:read_write"));
        assert!(may_write("account:read_only,linodes:read_write"));
        assert!(!may_write("linodes:read_only"));
        assert!(!may_write(""));
    }
}
