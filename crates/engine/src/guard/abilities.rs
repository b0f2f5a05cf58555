//! The optional abilities behind the same guard.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use fleetwright_core::ability::{
    Balancer, DnsRecord, Group, GroupMember, GroupSpec, Interruption, Member, Offering, Quota,
    RecordKind,
};
use fleetwright_core::{
    Balancers, Catalog, CreateRequest, Dns, Error, Groups, InstanceType, Interruptions, Kind,
    NodeId, Operation, Provider, Quotas, Requests, Result, Token,
};

use super::{Ask, Guard};

/// Forwards the abilities that the inner provider has.
pub(crate) struct Abilities {
    inner: Arc<dyn Provider>,
    guard: Arc<Guard>,
}

impl Abilities {
    pub(crate) fn new(inner: Arc<dyn Provider>, guard: Arc<Guard>) -> Self {
        Self { inner, guard }
    }

    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }

    pub(crate) fn catalog(&self) -> Option<&dyn Catalog> {
        self.inner.catalog().map(|_| self as &dyn Catalog)
    }

    pub(crate) fn groups(&self) -> Option<&dyn Groups> {
        self.inner.groups().map(|_| self as &dyn Groups)
    }

    pub(crate) fn balancers(&self) -> Option<&dyn Balancers> {
        self.inner.balancers().map(|_| self as &dyn Balancers)
    }

    pub(crate) fn dns(&self) -> Option<&dyn Dns> {
        self.inner.dns().map(|_| self as &dyn Dns)
    }

    pub(crate) fn interruptions(&self) -> Option<&dyn Interruptions> {
        self.inner
            .interruptions()
            .map(|_| self as &dyn Interruptions)
    }

    pub(crate) fn quotas(&self) -> Option<&dyn Quotas> {
        self.inner.quotas().map(|_| self as &dyn Quotas)
    }

    pub(crate) fn requests(&self) -> Option<&dyn Requests> {
        self.inner.requests().map(|_| self as &dyn Requests)
    }
}

impl fmt::Debug for Abilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Abilities").field(&self.inner).finish()
    }
}

/// An ability that vanished between two questions: a defect of the provider.
fn vanished(ability: &str) -> Error {
    Error::new(Kind::Unsupported, format!("the provider has no {ability}"))
}

const CATALOG: Ask<'static> = Ask::of(Operation::Catalog);
const READ: Ask<'static> = Ask::of(Operation::Read);
const CHANGE: Ask<'static> = Ask::of(Operation::Change);

#[async_trait]
impl Catalog for Abilities {
    async fn instance_types(&self) -> Result<Vec<InstanceType>> {
        let inner = self.inner.catalog().ok_or_else(|| vanished("catalog"))?;
        self.guard.call(CATALOG, |_| inner.instance_types()).await
    }

    async fn offerings(&self) -> Result<Vec<Offering>> {
        let inner = self.inner.catalog().ok_or_else(|| vanished("catalog"))?;
        self.guard.call(CATALOG, |_| inner.offerings()).await
    }
}

#[async_trait]
impl Groups for Abilities {
    async fn create_group(&self, spec: &GroupSpec, token: &Token) -> Result<Group> {
        let inner = self.inner.groups().ok_or_else(|| vanished("groups"))?;
        let ask = Ask::at(Operation::Change, &spec.node.region);
        self.guard
            .call(ask, |_| inner.create_group(spec, token))
            .await
    }

    async fn list_groups(&self) -> Result<Vec<Group>> {
        let inner = self.inner.groups().ok_or_else(|| vanished("groups"))?;
        self.guard.call(READ, |_| inner.list_groups()).await
    }

    async fn members(&self, region: &str, group: &str) -> Result<Vec<GroupMember>> {
        let inner = self.inner.groups().ok_or_else(|| vanished("groups"))?;
        self.guard
            .call(Ask::at(Operation::Read, region), |_| {
                inner.members(region, group)
            })
            .await
    }

    async fn grow(&self, region: &str, group: &str, desired: u32) -> Result<()> {
        let inner = self.inner.groups().ok_or_else(|| vanished("groups"))?;
        let ask = Ask::at(Operation::Change, region);
        self.guard
            .call(ask, |_| inner.grow(region, group, desired))
            .await
    }

    async fn remove_members(&self, region: &str, group: &str, nodes: &[NodeId]) -> Result<()> {
        let inner = self.inner.groups().ok_or_else(|| vanished("groups"))?;
        let ask = Ask::at(Operation::Change, region);
        self.guard
            .call(ask, |_| inner.remove_members(region, group, nodes))
            .await
    }

    async fn delete_group(&self, region: &str, group: &str) -> Result<()> {
        let inner = self.inner.groups().ok_or_else(|| vanished("groups"))?;
        let ask = Ask::at(Operation::Delete, region);
        self.guard
            .call(ask, |_| inner.delete_group(region, group))
            .await
    }
}

#[async_trait]
impl Balancers for Abilities {
    async fn list_balancers(&self) -> Result<Vec<Balancer>> {
        let inner = self
            .inner
            .balancers()
            .ok_or_else(|| vanished("balancers"))?;
        self.guard.call(READ, |_| inner.list_balancers()).await
    }

    async fn members(&self, balancer: &str) -> Result<Vec<Member>> {
        let inner = self
            .inner
            .balancers()
            .ok_or_else(|| vanished("balancers"))?;
        self.guard.call(READ, |_| inner.members(balancer)).await
    }

    async fn register(&self, balancer: &str, node: &NodeId) -> Result<()> {
        let inner = self
            .inner
            .balancers()
            .ok_or_else(|| vanished("balancers"))?;
        self.guard
            .call(CHANGE, |_| inner.register(balancer, node))
            .await
    }

    async fn deregister(&self, balancer: &str, node: &NodeId) -> Result<()> {
        let inner = self
            .inner
            .balancers()
            .ok_or_else(|| vanished("balancers"))?;
        self.guard
            .call(CHANGE, |_| inner.deregister(balancer, node))
            .await
    }
}

#[async_trait]
impl Dns for Abilities {
    async fn list_zones(&self) -> Result<Vec<String>> {
        let inner = self.inner.dns().ok_or_else(|| vanished("DNS"))?;
        self.guard.call(READ, |_| inner.list_zones()).await
    }

    async fn list_records(&self, zone: &str) -> Result<Vec<DnsRecord>> {
        let inner = self.inner.dns().ok_or_else(|| vanished("DNS"))?;
        self.guard.call(READ, |_| inner.list_records(zone)).await
    }

    async fn upsert(&self, zone: &str, record: &DnsRecord) -> Result<()> {
        let inner = self.inner.dns().ok_or_else(|| vanished("DNS"))?;
        self.guard
            .call(CHANGE, |_| inner.upsert(zone, record))
            .await
    }

    async fn remove(&self, zone: &str, name: &str, kind: RecordKind) -> Result<()> {
        let inner = self.inner.dns().ok_or_else(|| vanished("DNS"))?;
        self.guard
            .call(CHANGE, |_| inner.remove(zone, name, kind))
            .await
    }
}

#[async_trait]
impl Interruptions for Abilities {
    async fn pending(&self) -> Result<Vec<Interruption>> {
        let inner = self
            .inner
            .interruptions()
            .ok_or_else(|| vanished("interruptions"))?;
        self.guard.call(READ, |_| inner.pending()).await
    }
}

#[async_trait]
impl Quotas for Abilities {
    async fn quotas(&self) -> Result<Vec<Quota>> {
        let inner = self.inner.quotas().ok_or_else(|| vanished("quotas"))?;
        self.guard.call(CATALOG, |_| inner.quotas()).await
    }
}

#[async_trait]
impl Requests for Abilities {
    async fn preflight(&self, request: &CreateRequest) -> Result<()> {
        let inner = self.inner.requests().ok_or_else(|| vanished("requests"))?;
        self.guard
            .call(Ask::at(Operation::Check, &request.spec.region), |_| {
                inner.preflight(request)
            })
            .await
    }

    async fn give_up(&self, request: &CreateRequest) -> Result<()> {
        let inner = self.inner.requests().ok_or_else(|| vanished("requests"))?;
        self.guard
            .call(Ask::at(Operation::Change, &request.spec.region), |_| {
                inner.give_up(request)
            })
            .await
    }
}
