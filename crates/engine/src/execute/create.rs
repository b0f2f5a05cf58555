//! Getting machines: one claim per call, and the next offer when one is sold out.
//!
//! The only errors that lead to another offer are those after which certainly nothing was made.
//! When nobody can tell, the claim stays open and stands for its machines.
//!
//! ```text
//!  for each offer, in order, while machines are missing
//!    passed over   an answer of this run covers it: its zone, region or provider refused
//!    asked         in calls of at most the provider's batch
//!      made all or some      the rest is asked for at the next offer
//!      refused               try elsewhere, retry here: the next offer; give up: the step ends
//!      refused as a whole    half as many, here, and so on: only of clouds that give all or
//!                            nothing; others would have given the part that they have
//!      unknown               counts as made until somebody can tell
//! ```
//! Nothing of this is kept for the next run but the marks of what was sold out.

use std::sync::{Mutex, PoisonError};

use fleetwright_core::{
    Action, Claim, ClaimId, ClaimState, CreateRequest, DecisionId, Effect, Error, EventKind, Kind,
    NodeSpec, Offer, Plan, Remedy, Result, Scope, Token, Turn, fingerprint, keys,
};
use fleetwright_store::{Lease, Mark};
use futures::StreamExt;
use futures::stream;

use super::attempts::{Ended, Tally};
use super::{Executed, Failure};
use crate::tenure::expiry_label;
use crate::{Engine, Observation, Question};

/// Create calls of one pool at the same time.
const CREATES: usize = 4;

/// What a create step is about.
struct Wish<'a> {
    pool: &'a str,
    spec: &'a NodeSpec,
    reason: &'a str,
    turn: Option<&'a Turn>,
    /// Why it was decided so.
    decision: Option<DecisionId>,
}

/// One call of a step.
struct Call<'a> {
    offer: &'a Offer,
    /// Which offer of the step it is, from 1.
    attempt: u32,
    /// How many machines.
    count: u32,
    /// Whose turn is taken with it.
    turn: Option<&'a Turn>,
}

/// What was refused in this run, for as long as it lasts.
#[derive(Default)]
struct Refusals(Mutex<Vec<Mark>>);

impl Refusals {
    fn add(&self, mark: Mark) {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        marks.push(mark);
    }

    /// The refusal that covers an offer, if there is one.
    fn of(&self, offer: &Offer) -> Option<Mark> {
        let marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        marks.iter().find(|mark| mark.covers(offer)).cloned()
    }
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
                turn,
            } => Some((
                Wish {
                    pool,
                    spec,
                    reason: &step.reason,
                    turn: turn.as_ref(),
                    decision: None,
                },
                *count,
                offers,
                &step.action,
            )),
            _ => None,
        });
        // What one step was refused the others need not ask for.
        let shared = Refusals::default();
        let shared = &shared;
        let mut answers = stream::iter(creates)
            .map(|(mut wish, count, offers, action)| async move {
                let question = Question {
                    pool: wish.pool,
                    count,
                    reason: wish.reason,
                    offers,
                };
                let decided = self.record_decision(lease, observation, &question).await;
                let tally = match decided {
                    Ok(decision) => {
                        wish.decision = Some(decision);
                        self.create(lease, shared, &wish, count, offers).await
                    }
                    Err(error) => Err(error),
                };
                (action, tally)
            })
            .buffer_unordered(CREATES);
        let mut done = Executed::default();
        while let Some((action, answer)) = answers.next().await {
            let tally = answer?;
            done.created += usize::try_from(tally.made()).unwrap_or(usize::MAX);
            let attempts = tally.attempts().to_vec();
            for error in tally.into_errors() {
                self.failed(&mut done, action.to_string(), None, error);
                if let Some(Failure { attempts: all, .. }) = done.failures.last_mut() {
                    all.clone_from(&attempts);
                }
            }
        }
        Ok(done)
    }

    /// Takes the offers in order until all machines are made or asked for.
    async fn create(
        &self,
        lease: &Lease,
        shared: &Refusals,
        wish: &Wish<'_>,
        count: u32,
        offers: &[Offer],
    ) -> Result<Tally> {
        let mut tally = Tally::new(wish.pool, count);
        // Of this step alone: what is wrong with its request is not wrong with others.
        let own = Refusals::default();
        for (at, offer) in offers.iter().enumerate() {
            if tally.missing() == 0 || tally.is_hopeless() {
                break;
            }
            if let Some(mark) = own.of(offer).or_else(|| shared.of(offer)) {
                tally.passed_over(offer, mark.error);
                continue;
            }
            if let Some(error) = self.held_back(offer).await? {
                tally.passed_over(offer, error.report());
                continue;
            }
            let attempt = u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1);
            let first = Call {
                offer,
                attempt,
                count: tally.missing(),
                // Who is asked first has had its turn, whatever it answers.
                turn: wish.turn.filter(|_| at == 0),
            };
            self.ask(lease, (shared, &own), wish, first, &mut tally)
                .await?;
        }
        Ok(tally)
    }

    /// Asks at one offer for all that is missing, in as many calls as it takes.
    async fn ask(
        &self,
        lease: &Lease,
        (shared, own): (&Refusals, &Refusals),
        wish: &Wish<'_>,
        call: Call<'_>,
        tally: &mut Tally,
    ) -> Result<()> {
        let offer = call.offer;
        let batch = self.provider(&offer.provider)?.info().batch.max(1);
        let whole = Refusals::default();
        let endings: Vec<Result<Option<(u32, Ended)>>> = stream::iter(split(call.count, batch))
            .map(|count| {
                let call = Call { count, ..call };
                let whole = &whole;
                async move {
                    let known = own.of(offer).or_else(|| shared.of(offer));
                    if known.or_else(|| whole.of(offer)).is_some() {
                        return Ok(None);
                    }
                    let ended = self.attempt(lease, wish, &call).await?;
                    if let Some(error) = ended.error() {
                        if error.is_refused_whole() && count > 1 {
                            whole.add(self.cover(offer, error));
                        } else {
                            self.close(offer, error, (shared, own)).await?;
                        }
                    }
                    Ok(Some((count, ended)))
                }
            })
            .buffer_unordered(CREATES)
            .collect()
            .await;
        // All or nothing: so many were refused as a whole, so fewer are there.
        let mut below = 0;
        let mut refusal = None;
        for ending in endings {
            let Some((count, ended)) = ending? else {
                continue;
            };
            if ended.is_refused_whole() && (below == 0 || count < below) {
                below = count;
                refusal = ended.error().map(Error::report);
            }
            tally.count(offer, count, ended);
        }
        while below > 1 && tally.missing() > 0 && !tally.is_hopeless() {
            let count = (below / 2).min(tally.missing());
            let part = Call {
                count,
                turn: None,
                ..call
            };
            let ended = self.attempt(lease, wish, &part).await?;
            match ended.error() {
                Some(error) if error.is_refused_whole() => below = count,
                Some(error) => {
                    // What it has is had.
                    self.close(offer, error, (shared, own)).await?;
                    below = 0;
                }
                None => below -= count,
            }
            tally.count(offer, count, ended);
        }
        if let Some(report) = refusal.filter(|_| below == 1) {
            self.close(offer, &report.into(), (shared, own)).await?;
        }
        Ok(())
    }

    /// Nobody asks at this offer again in this run: this step, or all of them if the answer was
    /// about the place and not about the request.
    async fn close(
        &self,
        offer: &Offer,
        error: &Error,
        (shared, own): (&Refusals, &Refusals),
    ) -> Result<()> {
        let mark = self.mark(offer, error).await?;
        if error.kind().remedy() == Remedy::GiveUp {
            own.add(mark);
        } else {
            shared.add(mark);
        }
        Ok(())
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
            turn: None,
            decision: None,
        };
        let claim = self.new_claim(&wish, 1, offer, 1);
        requests.preflight(&claim.request).await.map(|()| true)
    }

    /// One call: claim, ask, close the claim.
    async fn attempt(&self, lease: &Lease, wish: &Wish<'_>, call: &Call<'_>) -> Result<Ended> {
        let Call { offer, attempt, .. } = *call;
        let provider = self.provider(&offer.provider)?;
        let claim = self.new_claim(wish, call.count, offer, attempt);
        let events = [self.recorder.event(EventKind::ClaimOpened {
            claim: claim.id,
            attempt,
            pool: wish.pool.to_owned(),
            count: call.count,
            offer: offer.label(),
            price: offer.price,
            reason: if offer.reason.is_empty() {
                wish.reason.to_owned()
            } else {
                format!("{}; {}", wish.reason, offer.reason)
            },
        })];
        self.store
            .open_claim_in_turn(lease, &claim, call.turn, &events)
            .await?;
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
        self.fleet.cap_spot(wish.pool, &offer.provider, &mut spec);
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

    /// Remembers that an offer failed: for this run in any case, and for everybody if the cloud has
    /// no capacity. A quota is not kept: it ends when the user raises it, not with time.
    async fn mark(&self, offer: &Offer, error: &Error) -> Result<Mark> {
        let mark = self.cover(offer, error);
        if error.kind() == Kind::Capacity {
            return self.remember_refusal(offer, error, &mark).await;
        }
        Ok(mark)
    }

    /// What a refusal covers, by its scope. Where it does not say how far it reaches: quotas,
    /// outages and our own breakers are those of a region, credentials those of a provider.
    fn cover(&self, offer: &Offer, error: &Error) -> Mark {
        let scope = error.scope().unwrap_or(match error.kind() {
            Kind::Auth => Scope::Provider,
            Kind::Quota
            | Kind::Suspended
            | Kind::Unavailable
            | Kind::Timeout
            | Kind::RateLimited => Scope::Region,
            _ => Scope::Zone,
        });
        let capacity = error.kind() == Kind::Capacity;
        Mark {
            provider: offer.provider.clone(),
            region: (scope != Scope::Provider).then(|| offer.region.clone()),
            zone: (scope == Scope::Zone).then(|| offer.zone.clone()).flatten(),
            instance_type: capacity.then(|| offer.instance_type.clone()),
            market: capacity.then_some(offer.market),
            until: self.clock.now(),
            error: error.report(),
        }
    }
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
