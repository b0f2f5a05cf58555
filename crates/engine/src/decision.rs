//! What was decided and why, for those who ask later.
//!
//! A decision is written before the claims that follow from it, and each of them names it. When
//! nothing could be asked for, that is written too: then there are only the reasons.

use fleetwright_core::{
    Closed, Counts, Decision, DecisionId, Excluded, Life, Offer, Plan, Result, Wish,
};
use fleetwright_store::{Lease, Mark};
use jiff::Timestamp;
use serde_json::json;

use crate::{Engine, Fleet, Observation, budget_lines, select_offers};

/// What is to be decided for a pool.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The pool.
    pub pool: &'a str,
    /// How many machines are missing.
    pub count: u32,
    /// Why.
    pub reason: &'a str,
    /// The offers of the plan that is executed, which come first. Empty: there is no plan.
    pub offers: &'a [Offer],
}

/// Decides where the missing machines of a pool are to be asked for. Pure.
pub fn decision_on(
    fleet: &Fleet,
    observation: &Observation,
    question: &Question<'_>,
    id: DecisionId,
    at: Timestamp,
) -> Decision {
    let pool = fleet.pools.get(question.pool);
    let selection = pool
        .map(|pool| select_offers(pool, &observation.providers, &observation.marks))
        .unwrap_or_default();
    // A plan carries a few dozen at most, so looking through them is quick.
    let is_planned = |offer: &Offer| question.offers.iter().any(|known| is_same(known, offer));
    let mut offers = question.offers.to_vec();
    offers.extend(selection.offers.into_iter().filter(|o| !is_planned(o)));
    let excluded = selection.excluded.into_iter().map(|left_out| Excluded {
        what: left_out.what,
        why: left_out.why,
    });
    Decision {
        id,
        at,
        pool: question.pool.to_owned(),
        count: question.count,
        reason: question.reason.to_owned(),
        wish: wish(fleet, observation, question.pool),
        counts: counts(observation, question.pool),
        offers,
        further_offers: 0,
        excluded: excluded.collect(),
        further_excluded: 0,
        marks: observation.marks.iter().map(closed).collect(),
        further_marks: 0,
        budgets: budgets(fleet, observation, question.pool),
    }
    .bounded()
}

impl Engine {
    /// What would be decided for a pool now: for as many machines as it is short of, or for one.
    /// Nothing is written.
    pub fn decide_now(&self, observation: &Observation, pool: &str) -> Decision {
        let counts = counts(observation, pool);
        let have = counts.ready + counts.starting;
        let have = u32::try_from(have).unwrap_or(u32::MAX) + counts.pending;
        let wanted = (self.fleet.pools.get(pool)).map_or(0, |p| observation.wanted(pool, p));
        let question = Question {
            pool,
            count: wanted.saturating_sub(have).max(1),
            reason: "somebody asked",
            offers: &[],
        };
        let (id, at) = (DecisionId::new(), observation.at);
        decision_on(&self.fleet, observation, &question, id, at)
    }

    /// The world as the journal alone knows it: nobody is asked.
    ///
    /// # Errors
    /// From the journal.
    pub async fn recall(&self) -> Result<Observation> {
        let at = self.clock.now();
        let mut known = Observation {
            at,
            journal: self.store.journal().to_owned(),
            records: self.store.nodes().await?,
            claims: self.store.open_claims().await?,
            marks: self.store.marks(at).await?,
            ..Observation::default()
        };
        let sizes = self.store.sizes().await?;
        self.fill_sizes(&mut known, &sizes);
        Ok(known)
    }

    /// Writes down why machines are about to be asked for.
    pub(crate) async fn record_decision(
        &self,
        lease: &Lease,
        observation: &Observation,
        question: &Question<'_>,
    ) -> Result<DecisionId> {
        let (id, at) = (DecisionId::new(), self.clock.now());
        let decision = decision_on(&self.fleet, observation, question, id, at);
        self.store.put_decision(lease, &decision).await?;
        Ok(id)
    }

    /// Writes down why nothing can be asked for, for each pool that is short and has no offer.
    pub(crate) async fn record_refusals(
        &self,
        lease: &Lease,
        observation: &Observation,
        plan: &Plan,
    ) -> Result<()> {
        for pool in self.fleet.pools.keys() {
            let subject = format!("pool {pool}");
            let refused = plan.withheld.iter().find_map(|withheld| {
                let count = withheld.what.strip_prefix("create ")?.parse().ok()?;
                (withheld.subject == subject).then_some(count)
            });
            let Some(count) = refused else {
                continue;
            };
            let reason =
                format!("pool `{pool}` wants more than it has; nothing was left to be asked for");
            let question = Question {
                pool,
                count,
                reason: &reason,
                offers: &[],
            };
            self.record_decision(lease, observation, &question).await?;
        }
        Ok(())
    }
}

/// Where the budgets stand that this pool must keep to.
fn budgets(fleet: &Fleet, observation: &Observation, pool: &str) -> Vec<String> {
    let lines = budget_lines(fleet, observation).into_iter();
    lines
        .filter(|line| line.pool.as_deref().is_none_or(|whose| whose == pool))
        .map(|line| {
            let (whose, limit) = (line.whose(), line.period.say(line.limit));
            format!("{whose}: {limit}, {} left", line.left)
        })
        .collect()
}

/// Whether two offers are for the same thing; price and availability may differ.
fn is_same(a: &Offer, b: &Offer) -> bool {
    a.provider == b.provider
        && a.region == b.region
        && a.zone == b.zone
        && a.instance_type == b.instance_type
        && a.market == b.market
}

fn wish(fleet: &Fleet, observation: &Observation, name: &str) -> Wish {
    let Some(pool) = fleet.pools.get(name) else {
        return Wish::default();
    };
    Wish {
        wanted: observation.wanted(name, pool),
        desired: pool.desired,
        min: pool.min,
        max: pool.max,
        strategy: json!(pool.strategy),
        max_price: pool.max_price.as_ref().map(ToString::to_string),
    }
}

fn counts(observation: &Observation, pool: &str) -> Counts {
    let mut counts = Counts::default();
    for record in observation.records.iter().filter(|r| r.pool == pool) {
        match record.life {
            Life::Ready | Life::InService => counts.ready += 1,
            Life::Requested | Life::Booting | Life::Bootstrapping => counts.starting += 1,
            Life::Failed => counts.failed += 1,
            Life::Draining | Life::Terminating => counts.leaving += 1,
            Life::Gone => {}
        }
    }
    for claim in observation.claims.iter().filter(|c| c.pool == pool) {
        let known = observation
            .records
            .iter()
            .filter(|record| record.token.as_ref() == Some(claim.token()))
            .count();
        let known = u32::try_from(known).unwrap_or(u32::MAX);
        counts.pending += claim.request.count.saturating_sub(known);
    }
    counts
}

fn closed(mark: &Mark) -> Closed {
    Closed {
        place: place_of(mark),
        until: mark.until,
        error: mark.error.clone(),
    }
}

/// What a mark is on: `provider[/region[/zone]] [type] [market]`.
fn place_of(mark: &Mark) -> String {
    let mut place = mark.provider.clone();
    for part in [&mark.region, &mark.zone].into_iter().flatten() {
        place.push('/');
        place.push_str(part);
    }
    let market = mark.market.map(|market| market.as_str().to_owned());
    for word in [&mark.instance_type, &market].into_iter().flatten() {
        place.push(' ');
        place.push_str(word);
    }
    place
}
