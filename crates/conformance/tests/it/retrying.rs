//! The suite on a provider that repeats what failed in passing: the same contract, one floor up.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_conformance::{Fault, ScriptEnd, Subject};
use fleetwright_core::{
    Balancers, Catalog, Checked, CreateRequest, Created, Deletion, Dns, Error, Groups, Idempotency,
    Interruptions, Kind, ListRequest, Listing, Node, NodeId, NodeSpec, Provider, ProviderInfo,
    Quotas, Remedy, Requests, Result,
};
use futures::future::BoxFuture;

use crate::memory::MemorySubject;

/// Repeats the core's calls; abilities go straight through.
#[derive(Debug)]
struct Retrying(Arc<dyn Provider>);

const TRIES: u32 = 3;

fn is_passing<T>(result: &Result<T>) -> bool {
    let remedy = |error: &Error| error.kind().remedy();
    result
        .as_ref()
        .is_err_and(|e| remedy(e) == Remedy::RetryHere)
}

async fn insist<'a, T>(mut call: impl FnMut() -> BoxFuture<'a, Result<T>>) -> Result<T> {
    let mut result = call().await;
    for _ in 1..TRIES {
        if !is_passing(&result) {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        result = call().await;
    }
    result
}

#[async_trait]
impl Provider for Retrying {
    fn info(&self) -> &ProviderInfo {
        self.0.info()
    }

    async fn check(&self) -> Result<Checked> {
        insist(|| self.0.check()).await
    }

    async fn create(&self, request: &CreateRequest) -> Result<Created> {
        let mut result = self.0.create(request).await;
        let again = CreateRequest {
            replay: true,
            ..request.clone()
        };
        for _ in 1..TRIES {
            if !is_passing(&result) {
                break;
            }
            // Where the token is a label, the listing must have time to show what was made.
            tokio::time::sleep(self.0.info().listing_lag).await;
            result = self.0.create(&again).await;
        }
        result
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        insist(|| self.0.list(request)).await
    }

    async fn get(&self, id: &NodeId) -> Result<Node> {
        insist(|| self.0.get(id)).await
    }

    async fn delete(&self, id: &NodeId) -> Result<Deletion> {
        insist(|| self.0.delete(id)).await
    }

    fn catalog(&self) -> Option<&dyn Catalog> {
        self.0.catalog()
    }

    fn groups(&self) -> Option<&dyn Groups> {
        self.0.groups()
    }

    fn balancers(&self) -> Option<&dyn Balancers> {
        self.0.balancers()
    }

    fn dns(&self) -> Option<&dyn Dns> {
        self.0.dns()
    }

    fn interruptions(&self) -> Option<&dyn Interruptions> {
        self.0.interruptions()
    }

    fn quotas(&self) -> Option<&dyn Quotas> {
        self.0.quotas()
    }

    fn requests(&self) -> Option<&dyn Requests> {
        self.0.requests()
    }
}

/// The cloud in memory behind it.
struct RetryingSubject(MemorySubject);

#[async_trait]
impl Subject for RetryingSubject {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(Retrying(self.0.provider()))
    }

    fn retries(&self) -> bool {
        true
    }

    fn spec(&self) -> NodeSpec {
        self.0.spec()
    }

    async fn settle(&self, wanted: Duration) {
        self.0.settle(wanted).await;
    }

    async fn truth(&self) -> Vec<Node> {
        self.0.truth().await
    }

    fn patience(&self) -> Duration {
        self.0.patience()
    }

    fn user_data(&self, end: ScriptEnd) -> Option<String> {
        self.0.user_data(end)
    }

    fn page_size(&self) -> Option<u32> {
        self.0.page_size()
    }

    fn secrets(&self) -> Vec<String> {
        self.0.secrets()
    }

    async fn make_foreign(&self) -> Option<NodeId> {
        self.0.make_foreign().await
    }

    async fn inject(&self, fault: &Fault) -> bool {
        self.0.inject(fault).await
    }

    async fn limit(&self, kind: Kind, further: u32) -> bool {
        self.0.limit(kind, further).await
    }

    async fn kill(&self, node: &NodeId) -> bool {
        self.0.kill(node).await
    }

    async fn interrupt(&self, node: &NodeId) -> bool {
        self.0.interrupt(node).await
    }
}

mod native_token {
    use super::{Idempotency, MemorySubject, RetryingSubject};

    fleetwright_conformance::suite!(
        subject = RetryingSubject(MemorySubject::new(Idempotency::NativeToken)),
        start_paused = true
    );
}

mod label_then_list {
    use super::{Idempotency, MemorySubject, RetryingSubject};

    fleetwright_conformance::suite!(
        subject = RetryingSubject(MemorySubject::new(Idempotency::LabelThenList)),
        start_paused = true
    );
}
