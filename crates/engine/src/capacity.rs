//! Capacity memory: what was sold out is left alone for a while, by all processes, and for how long
//! is learned from how long that lasted before.
//!
//! ```text
//!  refusals ─┐                                   ┌─► planning: marked offers are left out
//!  reclaims ─┼─► marks and lifetimes (journal) ──┤
//!  hints ────┤                                   └─► making: one request finds out, others wait
//!  successes ┘
//! ```
//!
//! The arithmetic is [`fleetwright_store::Lifetime`]; the decision is described in
//! `docs/design/capacity.md`.

use std::time::Duration;

use fleetwright_core::{
    ApiLimit, Availability, Claim, Error, ErrorReport, EventKind, Filter, Kind, LimitUnit, Market,
    Node, NodeRecord, Offer, Result,
};
use fleetwright_store::{Admission, Learned, Mark, Shortage};
use jiff::Timestamp;
use serde::Serialize;

use crate::Engine;
use crate::guard::budget::{account, bucket_name};

/// How long a request that finds out whether a shortage is over holds the others back, if it never
/// tells: longer than all its tries take as a rule.
const PROBE: Duration = Duration::from_mins(2);

/// The places that can be selected by a filter on capacity.
const KEYS: [&str; 5] = ["provider", "region", "zone", "type", "market"];

/// An offer that is taken for sold out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShortageReport {
    /// Where.
    pub place: Place,
    /// Since when.
    pub since: Timestamp,
    /// When the cloud last said so.
    pub refused_at: Timestamp,
    /// Until when nobody asks. In the past: the next request finds out whether it is over.
    pub until: Timestamp,
    /// Whether a request is finding out now whether it is over.
    pub probed: bool,
    /// How long shortages here are believed to last, in seconds.
    pub lifetime_seconds: u64,
    /// From so many observations; 0: nothing is known here.
    pub observed: u32,
    /// What the cloud said.
    pub error: ErrorReport,
}

/// How long shortages last, as far as was learned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LearnedReport {
    /// Where.
    pub place: Place,
    /// How long, in seconds.
    pub lifetime_seconds: u64,
    /// From so many observations.
    pub observed: u32,
    /// When something was last learned.
    pub learned_at: Timestamp,
}

/// A set of offers; an absent part means "any".
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The provider's name in the configuration.
    pub provider: String,
    /// Region.
    pub region: Option<String>,
    /// Zone.
    pub zone: Option<String>,
    /// Instance type.
    #[serde(rename = "type")]
    pub instance_type: Option<String>,
    /// On-demand or spot.
    pub market: Option<Market>,
}

/// A rate budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RateReport {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The region; `*` for a budget of the whole account.
    pub region: String,
    /// The budget's name.
    pub family: String,
    /// What one token stands for.
    pub unit: LimitUnit,
    /// Most tokens at once.
    pub burst: u32,
    /// Tokens per minute, as documented.
    pub documented_per_minute: u32,
    /// Tokens per minute, as throttling answers have taught; never more than documented. In
    /// thousandths of a token.
    pub milli_per_minute: u64,
    /// Until when nobody calls, because the cloud wants it so.
    pub blocked_until: Option<Timestamp>,
    /// When the cloud last refused a call as too fast.
    pub throttled_at: Option<Timestamp>,
}

/// A place that is not asked, or has begun to fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BreakerReport {
    /// The region; `*` for questions about the whole account.
    pub region: String,
    /// Whether calls are refused. Once `until` is over one call may find out whether it works again.
    pub open: bool,
    /// Failures in a row.
    pub failures: u32,
    /// When the first of them was.
    pub since: Timestamp,
    /// Until when nobody asks.
    pub until: Option<Timestamp>,
    /// The last failure.
    pub error: String,
}

// === feeding ===

impl Engine {
    /// Remembers that the cloud has refused a mark's offers for want of capacity, and gives the mark
    /// with its end. Zones that the refusal names as having some are open to the next request.
    pub(crate) async fn remember_refusal(
        &self,
        offer: &Offer,
        error: &Error,
        mark: &Mark,
    ) -> Result<Mark> {
        let now = self.clock.now();
        for zone in named_zones(error) {
            let zone = Some(zone);
            let named = Offer {
                zone,
                ..offer.clone()
            };
            self.store.end_mark(&named, now).await?;
        }
        self.refused(mark, offer.label()).await
    }

    /// Remembers that a spot machine was taken back, or is about to be: its cloud is short of
    /// machines there, and a new one is not asked for in the same place at once. A machine that was
    /// bought on demand says nothing about capacity: `None`.
    ///
    /// # Errors
    /// Only from the journal.
    pub async fn mark_reclaimed(&self, record: &NodeRecord, why: &str) -> Result<Option<Mark>> {
        if record.market != Market::Spot {
            return Ok(None);
        }
        let error = Error::new(
            Kind::Capacity,
            format!("`{}` was taken back: {why}", record.name),
        )
        .with_context("node", record.id.to_string());
        let mark = mark_of(record, self.clock.now(), error.report());
        let offer = offer_of(record);
        self.refused(&mark, offer.label()).await.map(Some)
    }

    async fn refused(&self, mark: &Mark, place: String) -> Result<Mark> {
        let shortage = self.store.remember_refusal(mark, self.clock.now()).await?;
        self.recorder.note(EventKind::CapacityMarked {
            place,
            until: shortage.mark.until,
            error: shortage.mark.error.clone(),
        });
        Ok(shortage.mark)
    }

    /// Remembers that a claim got machines: what marks said of their places is over, and how long it
    /// lasted is learned. Costs one read where nothing is marked.
    pub(crate) async fn remember_success(&self, claim: &Claim, nodes: &[Node]) -> Result<()> {
        let now = self.clock.now();
        let mut zones: Vec<Option<String>> = nodes.iter().map(|node| node.zone.clone()).collect();
        zones.sort_unstable();
        zones.dedup();
        for zone in zones {
            let offer = Offer {
                zone: zone.or_else(|| claim.offer.zone.clone()),
                ..claim.offer.clone()
            };
            let lifted = self
                .store
                .remember_success(&offer, claim.sent_at, now)
                .await?;
            if !lifted.is_empty() {
                tracing::info!(place = offer.label(), "there is capacity again");
            }
        }
        Ok(())
    }

    // === asking ===

    /// Why an offer is not asked for now, if so: it is taken for sold out, perhaps since the plan
    /// was made, or its mark is over and another request is finding out whether the shortage is.
    /// `None` lets the request go, and makes it the one that finds out if one has to.
    pub(crate) async fn held_back(&self, offer: &Offer) -> Result<Option<Error>> {
        let now = self.clock.now();
        Ok(match self.store.admit(offer, now, PROBE).await? {
            Admission::Free | Admission::Probe => None,
            Admission::Held(mark) => Some(
                Error::new(
                    Kind::Capacity,
                    format!("taken for sold out until {}: {}", mark.until, mark.error),
                )
                .with_hint("`fleetwright capacity --clear` forgets what was sold out"),
            ),
        })
    }

    // === showing and clearing ===

    /// What is taken for sold out, and what one request is to find out about.
    ///
    /// # Errors
    /// Only from the journal.
    pub async fn shortages(&self) -> Result<Vec<ShortageReport>> {
        let now = self.clock.now();
        let all = self.store.shortages(now).await?;
        Ok(all.into_iter().map(|one| shortage(one, now)).collect())
    }

    /// How long shortages last, as far as was learned.
    ///
    /// # Errors
    /// Only from the journal.
    pub async fn lifetimes(&self) -> Result<Vec<LearnedReport>> {
        let all = self.store.learned().await?;
        Ok(all
            .into_iter()
            .map(|one| LearnedReport {
                place: place_of_learned(&one),
                lifetime_seconds: one.lifetime.estimate.as_secs(),
                observed: one.lifetime.observed,
                learned_at: one.learned_at,
            })
            .collect())
    }

    /// Forgets what is taken for sold out where the filter selects it; says how many marks that
    /// were. With `learned` also how long shortages there last.
    ///
    /// # Errors
    /// `Invalid` if the filter speaks of something other than provider, region, zone, type and
    /// market; errors of the journal.
    pub async fn clear_capacity(&self, filter: &Filter, learned: bool) -> Result<u64> {
        check_keys(filter)?;
        let cleared = self
            .store
            .clear_marks(&|mark| place_of(mark).is_selected(filter))
            .await?;
        if learned {
            self.store
                .forget_lifetimes(&|one| place_of_learned(one).is_selected(filter))
                .await?;
        }
        Ok(cleared)
    }

    /// The rate budgets of all providers, as documented and as learned.
    ///
    /// # Errors
    /// Only from the journal.
    pub async fn rates(&self) -> Result<Vec<RateReport>> {
        let now = self.clock.now();
        let mut all = Vec::new();
        for provider in self.providers.values() {
            let info = provider.info();
            let account = account(info);
            for limit in &info.limits {
                let everywhere = ["*".to_owned()];
                let regions: &[String] = if limit.per_region {
                    &info.regions
                } else {
                    &everywhere
                };
                for region in regions {
                    let bucket = bucket_name(&account, limit, region);
                    let state = self.store.budget(&bucket, limit.per_minute, now).await?;
                    all.push(rate(&info.name, region, limit, state.as_ref(), now));
                }
            }
        }
        Ok(all)
    }

    /// The places of a provider that fail: those whose breaker is open, and those on the way there.
    /// Nothing is asked. Empty for a provider that is not configured.
    ///
    /// # Errors
    /// Only from the journal.
    pub async fn breakers(&self, provider: &str) -> Result<Vec<BreakerReport>> {
        let Some(provider) = self.providers.get(provider) else {
            return Ok(Vec::new());
        };
        let circuits = self.store.circuits(&account(provider.info())).await?;
        let mut all: Vec<BreakerReport> = circuits
            .into_iter()
            .map(|(region, circuit)| BreakerReport {
                region,
                open: circuit.until.is_some(),
                failures: circuit.failures,
                since: circuit.since,
                until: circuit.until,
                error: circuit.error,
            })
            .collect();
        all.sort_by(|a, b| a.region.cmp(&b.region));
        Ok(all)
    }
}

// === impl Place ===

impl Place {
    fn is_selected(&self, filter: &Filter) -> bool {
        filter.matches(&|key| match key {
            "provider" => Some(self.provider.as_str()),
            "region" => self.region.as_deref(),
            "zone" => self.zone.as_deref(),
            "type" => self.instance_type.as_deref(),
            "market" => self.market.map(Market::as_str),
            _ => None,
        })
    }
}

/// Refuses a filter that would select nothing, or everything, by mistake.
fn check_keys(filter: &Filter) -> Result<()> {
    let odd = filter
        .terms()
        .iter()
        .find(|term| !KEYS.contains(&term.key()));
    match odd {
        None => Ok(()),
        Some(term) => Err(Error::new(
            Kind::Invalid,
            format!("`{}` says nothing about capacity", term.key()),
        )
        .with_hint(format!("select by {}", KEYS.join(", ")))),
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

/// A mark on the very offer that a node was made from.
pub(crate) fn mark_of(record: &NodeRecord, until: Timestamp, error: ErrorReport) -> Mark {
    Mark {
        provider: record.id.provider().to_owned(),
        region: Some(record.id.region().to_owned()),
        zone: record.zone.clone(),
        instance_type: Some(record.instance_type.clone()),
        market: Some(record.market),
        until,
        error,
    }
}

fn offer_of(record: &NodeRecord) -> Offer {
    Offer {
        provider: record.id.provider().to_owned(),
        region: record.id.region().to_owned(),
        zone: record.zone.clone(),
        instance_type: record.instance_type.clone(),
        market: record.market,
        price: record.price,
        availability: Availability::Unknown,
        reason: String::new(),
    }
}

fn place_of(mark: &Mark) -> Place {
    Place {
        provider: mark.provider.clone(),
        region: mark.region.clone(),
        zone: mark.zone.clone(),
        instance_type: mark.instance_type.clone(),
        market: mark.market,
    }
}

fn place_of_learned(one: &Learned) -> Place {
    Place {
        provider: one.provider.clone(),
        region: one.region.clone(),
        zone: one.zone.clone(),
        instance_type: one.instance_type.clone(),
        market: one.market,
    }
}

fn shortage(one: Shortage, now: Timestamp) -> ShortageReport {
    let probed = one.is_probed(now);
    ShortageReport {
        place: place_of(&one.mark),
        since: one.since,
        refused_at: one.refused_at,
        until: one.mark.until.max(one.probe_until),
        probed,
        lifetime_seconds: one.lifetime.estimate.as_secs(),
        observed: one.lifetime.observed,
        error: one.mark.error,
    }
}

fn rate(
    provider: &str,
    region: &str,
    limit: &ApiLimit,
    state: Option<&fleetwright_store::BudgetState>,
    now: Timestamp,
) -> RateReport {
    let documented = u64::from(limit.per_minute) * 1000;
    RateReport {
        provider: provider.to_owned(),
        region: region.to_owned(),
        family: limit.family.clone(),
        unit: limit.unit,
        burst: limit.burst,
        documented_per_minute: limit.per_minute,
        milli_per_minute: state.and_then(|s| s.milli_rate).unwrap_or(documented),
        blocked_until: state.map(|s| s.blocked_until).filter(|until| *until > now),
        throttled_at: state.and_then(|s| s.throttled_at),
    }
}
