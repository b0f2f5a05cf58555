//! What became of a claim whose answer is not known.
//!
//! Either the request is repeated to the letter, which by the provider's contract gives the same
//! machines; or, when the machines are not wanted any more or the provider refuses to repeat, the
//! cloud is searched for the claim's token. Until one of the two gives a clear answer the claim
//! stays open and stands for its machines.

use std::sync::Arc;
use std::time::Duration;

use fleetwright_core::{
    Claim, ClaimState, CreateRequest, Effect, Error, ErrorReport, EventKind, Idempotency, Kind,
    Labels, Life, ListRequest, Node, NodeRecord, Provider, Purpose, Remedy, Result, keys,
};
use fleetwright_store::Lease;

use crate::Engine;
use crate::tenure::first_tenure;

impl Engine {
    /// Finds out what became of a claim. `Ok(Some(count))`: it is closed, with so many machines.
    /// `Ok(None)`: nobody can tell yet.
    pub(crate) async fn resolve(
        &self,
        lease: &Lease,
        claim: &Claim,
        purpose: &Purpose,
    ) -> Result<Option<usize>> {
        let provider = self.provider(claim.provider())?;
        let makes = matches!(purpose, Purpose::Converge | Purpose::Relieve { .. });
        let wanted = makes && self.fleet.pools.contains_key(&claim.pool);
        if !wanted {
            return self.resolve_by_listing(lease, claim, &*provider).await;
        }
        if provider.info().idempotency == Idempotency::LabelThenList {
            self.settle(&*provider).await;
        }
        self.store
            .mark_sent(lease, claim.id, claim.attempt, self.clock.now())
            .await?;
        let request = CreateRequest {
            replay: true,
            ..claim.request.clone()
        };
        match provider.create(&request).await {
            Ok(created) => {
                let shortfall = created.shortfall.map(|error| error.report());
                self.fulfil(lease, claim, &created.nodes, shortfall)
                    .await
                    .map(Some)
            }
            Err(error) if is_final(&error) => self
                .refuse(lease, claim, error.report())
                .await
                .map(|()| Some(0)),
            Err(error) if may_pass(&error) => {
                self.uncertain(claim, &error);
                Ok(None)
            }
            // The provider does not take the request any more (an image is gone, a limit has
            // changed). That says nothing about the first time.
            Err(error) => {
                self.uncertain(claim, &error);
                self.resolve_by_listing(lease, claim, &*provider).await
            }
        }
    }

    /// Waits until a listing shows whatever the last try made.
    ///
    /// Counted from now and not from when the request was sent: a call that makes several machines
    /// one by one may have gone on until its process died, and all that is known about that is that
    /// it was before we got the lease.
    async fn settle(&self, provider: &dyn Provider) {
        let lag = provider.info().listing_lag;
        if !lag.is_zero() {
            self.clock.sleep(lag + Duration::from_millis(1)).await;
        }
    }

    async fn resolve_by_listing(
        &self,
        lease: &Lease,
        claim: &Claim,
        provider: &dyn Provider,
    ) -> Result<Option<usize>> {
        // Where something else makes the machines, some may still be on their way.
        if let Some(requests) = provider.requests()
            && let Err(error) = requests.give_up(&claim.request).await
        {
            self.uncertain(claim, &error);
            return Ok(None);
        }
        self.settle(provider).await;
        let request = ListRequest {
            regions: Some(vec![claim.region().to_owned()]),
            labels: Labels::from([(keys::CLAIM.into(), claim.token().to_string())]),
            foreign: false,
            ..ListRequest::default()
        };
        let listing = match provider.list(&request).await {
            Ok(listing) => listing,
            Err(error) => {
                self.uncertain(claim, &error);
                return Ok(None);
            }
        };
        if let Some(gap) = listing.coverage.gap(claim.region()) {
            self.uncertain(claim, &Error::from(gap.error.clone()));
            return Ok(None);
        }
        let nodes: Vec<Node> = listing
            .nodes
            .into_iter()
            .filter(|node| !node.state.is_deleted())
            .collect();
        if nodes.is_empty() {
            let error = Error::new(Kind::NotFound, "a complete listing shows no machine of it");
            return self
                .refuse(lease, claim, error.report())
                .await
                .map(|()| Some(0));
        }
        let short = nodes.len() < usize::try_from(claim.request.count).unwrap_or(usize::MAX);
        let shortfall = short.then(|| {
            Error::new(
                Kind::NotFound,
                "a complete listing shows only these machines",
            )
            .report()
        });
        self.fulfil(lease, claim, &nodes, shortfall).await.map(Some)
    }

    /// Closes a claim with its machines, their records and the events, in one transaction.
    pub(crate) async fn fulfil(
        &self,
        lease: &Lease,
        claim: &Claim,
        nodes: &[Node],
        shortfall: Option<ErrorReport>,
    ) -> Result<usize> {
        let now = self.clock.now();
        let mut events = vec![self.recorder.event(EventKind::ClaimFulfilled {
            claim: claim.id,
            attempt: claim.attempt,
            count: nodes.len(),
            shortfall: shortfall.clone(),
        })];
        let mut records = Vec::with_capacity(nodes.len());
        for node in nodes {
            let record = record_of(node, Some(claim), now);
            events.push(self.recorder.event(EventKind::NodeChanged {
                node: record.id.clone(),
                name: record.name.clone(),
                from: None,
                to: record.life,
                reason: record.reason.clone(),
            }));
            records.push(record);
        }
        let state = ClaimState::Fulfilled {
            nodes: nodes.iter().map(|node| node.id.clone()).collect(),
            shortfall,
        };
        self.store
            .close_claim(
                lease,
                claim.id,
                claim.attempt,
                &state,
                now,
                &records,
                &events,
            )
            .await?;
        self.recorder.announce(&events);
        Ok(nodes.len())
    }

    /// Closes a claim that made nothing.
    pub(crate) async fn refuse(
        &self,
        lease: &Lease,
        claim: &Claim,
        error: ErrorReport,
    ) -> Result<()> {
        let event = self.recorder.event(EventKind::ClaimRefused {
            claim: claim.id,
            attempt: claim.attempt,
            error: error.clone(),
        });
        let events = [event];
        let state = ClaimState::Refused { error };
        let now = self.clock.now();
        self.store
            .close_claim(lease, claim.id, claim.attempt, &state, now, &[], &events)
            .await?;
        self.recorder.announce(&events);
        Ok(())
    }

    pub(crate) fn uncertain(&self, claim: &Claim, error: &Error) {
        self.recorder.note(EventKind::ClaimUncertain {
            claim: claim.id,
            attempt: claim.attempt,
            error: error.report(),
        });
    }

    pub(crate) fn provider(&self, name: &str) -> Result<Arc<dyn Provider>> {
        self.providers.get(name).cloned().ok_or_else(|| {
            Error::new(
                Kind::Config,
                format!("provider `{name}` is not in the configuration"),
            )
        })
    }
}

/// The first record of a node. Its price is the one that was promised when it was asked for.
pub(crate) fn record_of(node: &Node, claim: Option<&Claim>, now: jiff::Timestamp) -> NodeRecord {
    let gone = node.state.is_deleted();
    let created_at = node.created_at.unwrap_or(now);
    NodeRecord {
        id: node.id.clone(),
        name: node.name.clone(),
        pool: claim.map_or_else(
            || node.label(keys::POOL).unwrap_or_default().to_owned(),
            |claim| claim.pool.clone(),
        ),
        claim: claim.map(|claim| claim.id),
        token: claim.map(|claim| claim.token().clone()),
        life: if gone { Life::Gone } else { Life::Requested },
        since: now,
        instance_type: node.instance_type.clone(),
        zone: node.zone.clone(),
        market: node.market,
        price: claim.and_then(|claim| claim.offer.price).or(node.price),
        generation: node.label(keys::GENERATION).unwrap_or_default().to_owned(),
        access: node.access.clone(),
        boot: node.boot.clone(),
        labels: node.labels.clone(),
        created_at,
        seen_at: Some(now),
        gone_at: gone.then_some(now),
        tenure: first_tenure(node, claim, created_at, now),
        reason: match claim {
            Some(claim) => format!("asked for as {}", claim.offer.label()),
            None => "found with our label and taken into the records".into(),
        },
    }
}

/// The cloud has said that no machine exists because of the token.
pub(crate) fn is_final(error: &Error) -> bool {
    error.effect() == Effect::None && matches!(error.kind(), Kind::Capacity | Kind::Quota)
}

/// The same question may get a better answer later.
fn may_pass(error: &Error) -> bool {
    error.kind().remedy() == Remedy::RetryHere
        || matches!(
            error.kind(),
            Kind::Suspended | Kind::Auth | Kind::Permission
        )
}
