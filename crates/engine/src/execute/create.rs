//! Getting machines: one claim per call, and the next offer when one is sold out.
//!
//! The only errors that lead to another offer are those after which certainly nothing was made.
//! When nobody can tell, the claim stays open and stands for its machines.

use std::time::Duration;

use fleetwright_core::{
    Action, Claim, ClaimId, ClaimState, CreateRequest, DecisionId, Effect, Error, EventKind, Kind,
    NodeSpec, Offer, Plan, Remedy, Result, Scope, Token, fingerprint, keys,
};
use fleetwright_store::{Lease, Mark};
use futures::StreamExt;
use futures::stream;

use super::Executed;
use crate::tenure::expiry_label;
use crate::{Engine, Observation, Question};

/// Create calls of one pool at the same time.
const CREATES: usize = 4;
/// How long a place without capacity is left alone.
const SOLD_OUT: Duration = Duration::from_mins(3);

/// How one call ended.
enum Ended {
    /// With so many machines; an error says why there are fewer than asked for.
    Made(u32, Option<Error>),
    /// With none, for certain.
    Refused(Error),
    /// Nobody can tell: the claim is open.
    Unknown(Error),
}

/// What a create step is about.
struct Wish<'a> {
    pool: &'a str,
    spec: &'a NodeSpec,
    reason: &'a str,
    decision: Option<DecisionId>,
}

impl Engine {
    pub(super) async fn create_all(
        &self,
        lease: &Lease,
        plan: &Plan,
        observation: &Observation,
    ) -> Result<Executed> {
        let creates = plan.steps.iter().filter_map(|step| match &step.action {
            Action::Create {
                pool,
                count,
                offers,
                spec,
            } => Some((
                Wish {
                    pool,
                    spec,
                    reason: &step.reason,
                    decision: None,
                },
                *count,
                offers,
                &step.action,
            )),
            _ => None,
        });
        let mut answers = stream::iter(creates)
            .map(|(mut wish, count, offers, action)| async move {
                let question = Question {
                    pool: wish.pool,
                    count,
                    reason: wish.reason,
                    offers,
                };
                let decided = self.record_decision(lease, observation, &question).await;
                let made = match decided {
                    Ok(decision) => {
                        wish.decision = Some(decision);
                        self.create(lease, &wish, count, offers).await
                    }
                    Err(error) => Err(error),
                };
                (action, made)
            })
            .buffer_unordered(CREATES);
        let mut done = Executed::default();
        while let Some((action, answer)) = answers.next().await {
            let (made, errors) = answer?;
            done.created += usize::try_from(made).unwrap_or(usize::MAX);
            for error in errors {
                self.failed(&mut done, action.to_string(), None, error);
            }
        }
        Ok(done)
    }

    /// Takes the offers in order until all machines are made or asked for. The errors are those
    /// that are left when machines are missing in the end.
    async fn create(
        &self,
        lease: &Lease,
        wish: &Wish<'_>,
        count: u32,
        offers: &[Offer],
    ) -> Result<(u32, Vec<Error>)> {
        let (mut missing, mut made) = (count, 0);
        let mut errors: Vec<Error> = Vec::new();
        let mut uncertain: Vec<Error> = Vec::new();
        let mut closed: Vec<Mark> = Vec::new();
        for (at, offer) in offers.iter().enumerate() {
            if missing == 0 {
                break;
            }
            if closed.iter().any(|mark| mark.covers(offer)) {
                continue;
            }
            let attempt = u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1);
            let batch = self.provider(&offer.provider)?.info().batch.max(1);
            let endings: Vec<Result<(u32, Ended)>> = stream::iter(split(missing, batch))
                .map(|size| async move {
                    let ended = self.attempt(lease, wish, size, offer, attempt).await?;
                    Ok((size, ended))
                })
                .buffer_unordered(CREATES)
                .collect()
                .await;
            let mut stop = false;
            for ending in endings {
                let (size, ended) = ending?;
                let error = match ended {
                    Ended::Made(got, error) => {
                        made += got;
                        missing -= got.min(size);
                        error
                    }
                    Ended::Refused(error) => Some(error),
                    Ended::Unknown(error) => {
                        missing -= size;
                        uncertain.push(error);
                        None
                    }
                };
                if let Some(error) = error {
                    stop |= error.kind().remedy() == Remedy::GiveUp;
                    closed.push(self.mark(offer, &error).await?);
                    errors.push(error.with_context("offer", offer.label()));
                }
            }
            if stop {
                break;
            }
        }
        if missing == 0 {
            errors.clear();
        }
        errors.append(&mut uncertain);
        Ok((made, errors))
    }

    /// Asks the provider of an offer whether it would take a request for a machine of a pool,
    /// without making one. `Ok(false)`: this provider cannot be asked.
    ///
    /// # Errors
    /// What the request would be refused with; `Config` if there is no such pool.
    pub async fn preflight(&self, pool: &str, offer: &Offer) -> Result<bool> {
        let provider = self.provider(&offer.provider)?;
        let Some(requests) = provider.requests() else {
            return Ok(false);
        };
        let wanted = self
            .fleet
            .pools
            .get(pool)
            .ok_or_else(|| Error::new(Kind::Config, format!("there is no pool `{pool}`")))?;
        let spec = self.fleet.node_spec(pool, wanted, self.store.journal());
        let wish = Wish {
            pool,
            spec: &spec,
            reason: "preflight",
            decision: None,
        };
        let claim = self.new_claim(&wish, 1, offer, 1);
        requests.preflight(&claim.request).await.map(|()| true)
    }

    /// One call: claim, ask, close the claim.
    async fn attempt(
        &self,
        lease: &Lease,
        wish: &Wish<'_>,
        count: u32,
        offer: &Offer,
        attempt: u32,
    ) -> Result<Ended> {
        let provider = self.provider(&offer.provider)?;
        let claim = self.new_claim(wish, count, offer, attempt);
        let events = [self.recorder.event(EventKind::ClaimOpened {
            claim: claim.id,
            attempt,
            pool: wish.pool.to_owned(),
            count,
            offer: offer.label(),
            price: offer.price,
            reason: if offer.reason.is_empty() {
                wish.reason.to_owned()
            } else {
                format!("{}; {}", wish.reason, offer.reason)
            },
        })];
        self.store.open_claim(lease, &claim, &events).await?;
        self.recorder.announce(&events);
        match provider.create(&claim.request).await {
            Ok(created) => {
                let report = created.shortfall.as_ref().map(Error::report);
                self.fulfil(lease, &claim, &created.nodes, report).await?;
                let got = u32::try_from(created.nodes.len()).unwrap_or(u32::MAX);
                Ok(Ended::Made(got, created.shortfall))
            }
            Err(error) if error.effect() == Effect::None => {
                self.refuse(lease, &claim, error.report()).await?;
                Ok(Ended::Refused(error))
            }
            Err(error) => {
                self.uncertain(&claim, &error);
                Ok(Ended::Unknown(error))
            }
        }
    }

    fn new_claim(&self, wish: &Wish<'_>, count: u32, offer: &Offer, attempt: u32) -> Claim {
        let id = ClaimId::new();
        // The tail of a version 7 UUID is random, its head is the time.
        let text = id.as_uuid().simple().to_string();
        let mut spec = NodeSpec {
            name: format!("{}-{}", wish.spec.name, &text[text.len() - 8..]),
            instance_type: offer.instance_type.clone(),
            region: offer.region.clone(),
            zone: offer.zone.clone(),
            market: offer.market,
            ..wish.spec.clone()
        };
        let now = self.clock.now();
        let pool = self.fleet.pools.get(wish.pool);
        if let Some(limit) = pool.and_then(|pool| pool.limits.max_runtime) {
            let end = expiry_label(now, limit);
            spec.labels.insert(keys::EXPIRY.into(), end);
        }
        let token = Token::new(id, attempt, &fingerprint(&(count, &spec)));
        spec.labels.insert(keys::CLAIM.into(), token.to_string());
        Claim {
            id,
            attempt,
            pool: wish.pool.to_owned(),
            offer: offer.clone(),
            request: CreateRequest {
                count,
                spec,
                token,
                replay: false,
                host_key: None,
            },
            state: ClaimState::Open,
            made_at: now,
            sent_at: now,
            closed_at: None,
            decision: wish.decision,
        }
    }

    /// Remembers that an offer failed: for this step in any case, and for everybody if the cloud
    /// has no capacity. A quota is not kept: it ends when the user raises it, not with time.
    async fn mark(&self, offer: &Offer, error: &Error) -> Result<Mark> {
        let scope = error.scope().unwrap_or(match error.kind() {
            Kind::Quota | Kind::Suspended | Kind::Auth => Scope::Provider,
            Kind::Unavailable | Kind::Timeout | Kind::RateLimited => Scope::Region,
            _ => Scope::Zone,
        });
        let capacity = error.kind() == Kind::Capacity;
        let mark = Mark {
            provider: offer.provider.clone(),
            region: (scope != Scope::Provider).then(|| offer.region.clone()),
            zone: (scope == Scope::Zone).then(|| offer.zone.clone()).flatten(),
            instance_type: capacity.then(|| offer.instance_type.clone()),
            market: capacity.then_some(offer.market),
            until: self.clock.now() + SOLD_OUT,
            error: error.report(),
        };
        if capacity {
            // Zones that the cloud names in the same breath have some, whatever we believed.
            for zone in &named_zones(error) {
                self.store
                    .lift_mark(&Offer {
                        zone: Some(zone.clone()),
                        ..offer.clone()
                    })
                    .await?;
            }
            self.store.put_mark(&mark).await?;
            self.recorder.note(EventKind::CapacityMarked {
                place: offer.label(),
                until: mark.until,
                error: error.report(),
            });
        }
        Ok(mark)
    }
}

/// The zones that a refusal names as having capacity: see [`Error::ZONES`].
fn named_zones(error: &Error) -> Vec<String> {
    error
        .context()
        .filter(|(name, _)| *name == Error::ZONES)
        .flat_map(|(_, zones)| zones.split(", "))
        .map(str::to_owned)
        .collect()
}

/// `count` in parts of at most `batch`.
fn split(count: u32, batch: u32) -> Vec<u32> {
    let full = count / batch;
    let rest = count % batch;
    let mut sizes = vec![batch; usize::try_from(full).unwrap_or(usize::MAX)];
    if rest > 0 {
        sizes.push(rest);
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_split_into_batches() {
        assert_eq!(split(7, 3), [3, 3, 1]);
        assert_eq!(split(6, 3), [3, 3]);
        assert_eq!(split(2, 3), [2]);
    }
}
