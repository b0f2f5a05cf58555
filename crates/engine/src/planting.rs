//! Host keys for new nodes: planted with the request, known afterwards without having been stored.
//!
//! A first login can only be trusted if the node's key is known beforehand. Where the cloud hands
//! user data to cloud-init, the key goes along with it. The key is derived from the request's
//! token, so a repeated request is the same request; and every node carries its token as a label,
//! so any process of this fleet knows its key.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use fleetwright_core::{
    Balancers, Catalog, Checked, CreateRequest, Created, Deletion, Dns, Groups, HostKeys,
    Interruptions, ListRequest, Listing, Node, NodeId, Provider, ProviderInfo, Quotas, Requests,
    Result, Token, keys,
};

/// A provider whose nodes get their host keys from here.
///
/// Only for providers with `ProviderInfo::plants_host_keys`.
#[derive(Clone)]
pub struct Planting {
    inner: Arc<dyn Provider>,
    keys: Arc<dyn HostKeys>,
    /// The identity of our journal: the keys of another one's nodes are not ours to know.
    journal: String,
}

impl Planting {
    /// Wraps a provider for the fleet of this journal.
    pub fn new(inner: Arc<dyn Provider>, keys: Arc<dyn HostKeys>, journal: &str) -> Self {
        Self {
            inner,
            keys,
            journal: journal.to_owned(),
        }
    }

    fn planted(&self, request: &CreateRequest) -> Result<CreateRequest> {
        Ok(CreateRequest {
            host_key: Some(self.keys.host_key(&request.token)?),
            ..request.clone()
        })
    }

    /// Adds the key to what is known of a node, if the provider itself knows none.
    fn known(&self, node: &mut Node) -> Result<()> {
        if node.label(keys::JOURNAL) != Some(&self.journal) {
            return Ok(());
        }
        let Some(token) = node.label(keys::CLAIM).map(Token::from_stored) else {
            return Ok(());
        };
        if let Some(access) = &mut node.access
            && access.host_keys.is_empty()
        {
            access.host_keys.push(self.keys.host_key(&token)?.public);
        }
        Ok(())
    }
}

impl fmt::Debug for Planting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Planting").field(&self.inner).finish()
    }
}

#[async_trait]
impl Provider for Planting {
    fn info(&self) -> &ProviderInfo {
        self.inner.info()
    }

    async fn check(&self) -> Result<Checked> {
        self.inner.check().await
    }

    async fn create(&self, request: &CreateRequest) -> Result<Created> {
        let mut created = self.inner.create(&self.planted(request)?).await?;
        created.nodes.iter_mut().try_for_each(|n| self.known(n))?;
        Ok(created)
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        let mut listing = self.inner.list(request).await?;
        listing.nodes.iter_mut().try_for_each(|n| self.known(n))?;
        Ok(listing)
    }

    async fn get(&self, id: &NodeId) -> Result<Node> {
        let mut node = self.inner.get(id).await?;
        self.known(&mut node)?;
        Ok(node)
    }

    async fn delete(&self, id: &NodeId) -> Result<Deletion> {
        self.inner.delete(id).await
    }

    fn catalog(&self) -> Option<&dyn Catalog> {
        self.inner.catalog()
    }

    fn groups(&self) -> Option<&dyn Groups> {
        self.inner.groups()
    }

    fn balancers(&self) -> Option<&dyn Balancers> {
        self.inner.balancers()
    }

    fn dns(&self) -> Option<&dyn Dns> {
        self.inner.dns()
    }

    fn interruptions(&self) -> Option<&dyn Interruptions> {
        self.inner.interruptions()
    }

    fn quotas(&self) -> Option<&dyn Quotas> {
        self.inner.quotas()
    }

    fn requests(&self) -> Option<&dyn Requests> {
        self.inner.requests().map(|_| self as &dyn Requests)
    }
}

#[async_trait]
impl Requests for Planting {
    async fn preflight(&self, request: &CreateRequest) -> Result<()> {
        match self.inner.requests() {
            Some(inner) => inner.preflight(&self.planted(request)?).await,
            None => Ok(()),
        }
    }

    async fn give_up(&self, request: &CreateRequest) -> Result<()> {
        match self.inner.requests() {
            Some(inner) => inner.give_up(&self.planted(request)?).await,
            None => Ok(()),
        }
    }
}
