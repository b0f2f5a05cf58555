//! Decided sizes in the journal: read, decided on, written under the lease.
//!
//! A pool is kept at a decided size from the moment that it has a record in the journal. For a pool
//! with a policy `up` makes it; `scale` makes one by hand; `down` forgets it.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright_core::{
    Error, Event, EventKind, Kind, Plan, Pool, Purpose, Result, SizeRecord, SizedBy, Span,
};
use fleetwright_store::SizeChange;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Decision, Reading, Readings, SizeState, decide, step_down};
use crate::tenure::end_after;
use crate::{Engine, Observation, PlanOptions, plan};

/// What a pool's policy decided, and whether that takes effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sizing {
    /// The pool.
    pub pool: String,
    /// What was decided.
    pub decision: Decision,
    /// Why it has no effect, if so: the pool's size is set by hand, or its scaling has not begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<String>,
    /// What it was decided on.
    #[serde(skip)]
    pub(crate) record: Option<SizeRecord>,
}

impl Engine {
    /// Asks the policies of these pools, of all if none are named. Signals that have a source are
    /// read from it and kept; the decisions are not, see [`adopt_sizes`](Self::adopt_sizes).
    ///
    /// # Errors
    /// Only from the journal. A signal that cannot be read is in [`Decision::trouble`].
    pub async fn evaluate(&self, pools: Option<&BTreeSet<String>>) -> Result<Vec<Sizing>> {
        let asked: Vec<(&String, &Pool)> = self
            .fleet
            .pools
            .iter()
            .filter(|(name, pool)| {
                pool.scaling.is_some() && pools.is_none_or(|pools| pools.contains(*name))
            })
            .collect();
        let mut failures = self.read_sources(&asked).await?;
        let records: BTreeMap<String, SizeRecord> = self
            .store
            .sizes()
            .await?
            .into_iter()
            .map(|record| (record.pool.clone(), record))
            .collect();
        let now = self.clock.now();
        let mut sizings = Vec::new();
        for (name, pool) in asked {
            let Some(scaling) = &pool.scaling else {
                continue;
            };
            let since = before(now, scaling.policy.window().max(scaling.stale_after));
            let mut readings = Readings::new();
            for signal in scaling.policy.signals() {
                let reading = Reading {
                    samples: self.store.signal(name, signal, since).await?,
                    failure: failures.remove(&(name.clone(), signal.to_owned())),
                };
                readings.insert(signal.to_owned(), reading);
            }
            let record = records.get(name).cloned();
            let state = record.as_ref().map_or(
                SizeState {
                    size: pool.within_bounds(pool.desired),
                    last_up: None,
                    last_down: None,
                },
                SizeState::from,
            );
            let percent = self.fleet.safety.max_removal_percent;
            let idle = match &record {
                None => Some("its scaling begins with `fleetwright up`".to_owned()),
                Some(record) if record.is_held(now) => Some(match record.until {
                    Some(until) => format!("its size is set by hand until {until:.0}"),
                    None => "its size is set by hand".to_owned(),
                }),
                Some(_) => None,
            };
            sizings.push(Sizing {
                pool: name.clone(),
                decision: decide(pool, scaling, state, &readings, now, percent),
                idle,
                record,
            });
        }
        Ok(sizings)
    }

    /// Writes decisions into the journal. Says how many sizes have changed.
    ///
    /// # Errors
    /// `Conflict` if another process holds the lease, or if a size was changed since it was decided
    /// on: nothing is written then.
    pub async fn adopt_sizes(&self, sizings: &[Sizing], holder: &str) -> Result<usize> {
        let now = self.clock.now();
        let mut changes = Vec::new();
        let mut events = Vec::new();
        let mut resized = 0;
        for sizing in sizings.iter().filter(|sizing| sizing.idle.is_none()) {
            let Some(record) = &sizing.record else {
                continue;
            };
            let next = next(record, &sizing.decision, now)?;
            if next == *record {
                continue;
            }
            if next.size != record.size {
                resized += 1;
                events.push(EventKind::SizeDecided {
                    pool: sizing.pool.clone(),
                    from: record.size,
                    to: next.size,
                    reason: next.reason.clone(),
                });
            }
            if next.trouble.is_some() != record.trouble.is_some() {
                events.push(EventKind::SizeKept {
                    pool: sizing.pool.clone(),
                    size: next.size,
                    trouble: next.trouble.clone(),
                });
            }
            changes.push(SizeChange {
                pool: sizing.pool.clone(),
                from: Some(record.clone()),
                to: Some(next),
            });
        }
        self.write_sizes(changes, events, holder).await?;
        Ok(resized)
    }

    /// Lets the policies of all pools decide from now on, beginning at the configured sizes; those
    /// that decide already go on. Forgets what is not in the configuration any more.
    ///
    /// # Errors
    /// As [`adopt_sizes`](Self::adopt_sizes).
    pub async fn begin_scaling(&self, holder: &str) -> Result<()> {
        let records = self.store.sizes().await?;
        let now = self.clock.now();
        let mut changes = Vec::new();
        for (name, pool) in &self.fleet.pools {
            if pool.scaling.is_some() && !records.iter().any(|record| record.pool == *name) {
                changes.push(SizeChange {
                    pool: name.clone(),
                    from: None,
                    to: Some(SizeRecord {
                        reason: "scaling begins at the configured size".to_owned(),
                        ..blank(name, pool.within_bounds(pool.desired), SizedBy::Policy, now)
                    }),
                });
            }
        }
        for record in records {
            let pool = self.fleet.pools.get(&record.pool);
            let is_policy = record.by == SizedBy::Policy;
            if pool.is_none_or(|pool| is_policy && pool.scaling.is_none()) {
                changes.push(SizeChange {
                    pool: record.pool.clone(),
                    from: Some(record),
                    to: None,
                });
            }
        }
        self.write_sizes(changes, Vec::new(), holder).await
    }

    /// Forgets all decided sizes; or, of these pools, those that something keeps: their policies
    /// decide nothing until the next `up`, and what is removed from them is not made again.
    ///
    /// # Errors
    /// As [`adopt_sizes`](Self::adopt_sizes).
    pub async fn end_scaling(&self, pools: Option<&BTreeSet<String>>, holder: &str) -> Result<()> {
        let records = self.store.sizes().await?;
        let changes = records
            .into_iter()
            .filter(|record| {
                pools.is_none_or(|pools| pools.contains(&record.pool) && self.is_kept(record))
            })
            .map(|record| SizeChange {
                pool: record.pool.clone(),
                from: Some(record),
                to: None,
            })
            .collect();
        self.write_sizes(changes, Vec::new(), holder).await
    }

    /// Sets the size of a pool by hand, for a while or until it is set otherwise. Nothing is made
    /// or removed by this.
    ///
    /// # Errors
    /// `NotFound` if there is no such pool; `Invalid` if the size is outside of its bounds; as
    /// [`adopt_sizes`](Self::adopt_sizes).
    pub async fn set_size(
        &self,
        name: &str,
        size: u32,
        hold: Option<Span>,
        holder: &str,
    ) -> Result<SizeRecord> {
        let pool = self.sized_pool(name, size)?;
        let found = self.size(name).await?;
        let now = self.clock.now();
        let from = found
            .as_ref()
            .map_or(pool.within_bounds(pool.desired), |record| record.size);
        let mut next = SizeRecord {
            until: hold.map(|hold| end_after(now, hold)),
            reason: "it was set by hand".to_owned(),
            ..blank(name, size, SizedBy::Hand, now)
        };
        if let Some(found) = &found {
            (next.last_up, next.last_down) = (found.last_up, found.last_down);
        }
        turn(&mut next, from, now);
        self.change_size(name, found, next.clone(), from, holder)
            .await?;
        Ok(next)
    }

    /// Gives a pool that was set by hand back to its policy, which goes on from the present size.
    /// A pool without a policy gets its configured size back, at once: its record is over now, and
    /// [`settle_sizes`](Self::settle_sizes) forgets it when the pool is there.
    ///
    /// # Errors
    /// `NotFound` if there is no such pool; `Conflict` if its size was not set by hand; as
    /// [`adopt_sizes`](Self::adopt_sizes).
    pub async fn release_size(&self, name: &str, holder: &str) -> Result<SizeRecord> {
        let pool = self.pool(name)?;
        let found = self.size(name).await?;
        let Some(found) = found.filter(|record| record.by == SizedBy::Hand) else {
            let hint = if pool.scaling.is_some() {
                "`fleetwright scale` shows whether its policy decides already, or from the next `up` on"
            } else {
                "it has its configured size"
            };
            return Err(Error::new(
                Kind::Conflict,
                format!("the size of pool `{name}` was not set by hand"),
            )
            .with_hint(hint));
        };
        let now = self.clock.now();
        let mut next = found.clone();
        if pool.scaling.is_some() {
            next.by = SizedBy::Policy;
            next.until = None;
            "its policy decides again".clone_into(&mut next.reason);
        } else {
            next.until = Some(now);
        }
        let from = found.size;
        self.change_size(name, Some(found), next.clone(), from, holder)
            .await?;
        Ok(next)
    }

    /// Forgets the sizes that were set by hand for a time that is over, of pools without a policy.
    /// To be called when those pools are at their configured sizes.
    ///
    /// # Errors
    /// As [`adopt_sizes`](Self::adopt_sizes).
    pub async fn settle_sizes(&self, pools: &BTreeSet<String>, holder: &str) -> Result<()> {
        let now = self.clock.now();
        let records = self.store.sizes().await?;
        let changes = records
            .into_iter()
            .filter(|record| pools.contains(&record.pool) && self.is_over_by_hand(record, now))
            .map(|record| SizeChange {
                pool: record.pool.clone(),
                from: Some(record),
                to: None,
            })
            .collect();
        self.write_sizes(changes, Vec::new(), holder).await
    }

    /// What would be done if a pool had this size. Nothing is written.
    ///
    /// # Errors
    /// As [`set_size`](Self::set_size), and from the journal.
    pub async fn plan_size(
        &self,
        name: &str,
        size: u32,
        options: &PlanOptions,
    ) -> Result<(Plan, Observation)> {
        self.sized_pool(name, size)?;
        let mut observation = self.observe().await?;
        observation.sizes.insert(name.to_owned(), size);
        observation.agreed.insert(name.to_owned(), usize::MAX);
        if self.is_short(&observation) {
            self.read_catalogs(&mut observation).await;
        }
        self.recorder.flush().await?;
        let purpose = Purpose::Scale {
            pools: [name.to_owned()].into(),
            wait: true,
        };
        let made = plan(&self.fleet, &observation, purpose, options);
        Ok((made, observation))
    }

    /// Fills in what was decided: sizes that are in force, and how many removals were agreed to
    /// with them.
    pub(crate) fn fill_sizes(&self, observation: &mut Observation, records: &[SizeRecord]) {
        let percent = self.fleet.safety.max_removal_percent;
        for record in records {
            let Some(pool) = self.fleet.pools.get(&record.pool) else {
                continue;
            };
            let agreed = match (&pool.scaling, record.by) {
                (_, SizedBy::Hand) => usize::MAX,
                (Some(scaling), SizedBy::Policy) => {
                    let live = observation
                        .records
                        .iter()
                        .filter(|node| node.pool == record.pool && node.life.is_wanted())
                        .count();
                    let live = u32::try_from(live).unwrap_or(u32::MAX);
                    let step = step_down(scaling, live.max(record.size), percent);
                    usize::try_from(step).unwrap_or(usize::MAX)
                }
                // Its policy was taken out of the configuration.
                (None, SizedBy::Policy) => continue,
            };
            observation.agreed.insert(record.pool.clone(), agreed);
            if !self.is_over_by_hand(record, observation.at) {
                observation.sizes.insert(record.pool.clone(), record.size);
            }
        }
    }

    /// Whether the size was set by hand, for a time that is over, and nothing else decides.
    pub(crate) fn is_over_by_hand(&self, record: &SizeRecord, now: Timestamp) -> bool {
        let pool = self.fleet.pools.get(&record.pool);
        record.by == SizedBy::Hand
            && !record.is_held(now)
            && pool.is_none_or(|pool| pool.scaling.is_none())
    }

    fn pool(&self, name: &str) -> Result<&Pool> {
        let known = || {
            let names: Vec<&str> = self.fleet.pools.keys().map(String::as_str).collect();
            format!("the pools are: {}", names.join(", "))
        };
        self.fleet.pools.get(name).ok_or_else(|| {
            Error::new(Kind::NotFound, format!("no pool is named `{name}`")).with_hint(known())
        })
    }

    /// The pool, if the size is within its bounds.
    fn sized_pool(&self, name: &str, size: u32) -> Result<&Pool> {
        let pool = self.pool(name)?;
        let bounded = pool.within_bounds(size);
        if bounded == size {
            return Ok(pool);
        }
        let word = if bounded < size { "max" } else { "min" };
        Err(Error::new(
            Kind::Invalid,
            format!("pool `{name}` cannot have {size} nodes: `{word}` is {bounded}"),
        )
        .with_hint(format!("the bound is set by `pools.{name}.{word}`")))
    }

    async fn size(&self, name: &str) -> Result<Option<SizeRecord>> {
        let records = self.store.sizes().await?;
        Ok(records.into_iter().find(|record| record.pool == name))
    }

    async fn change_size(
        &self,
        name: &str,
        from: Option<SizeRecord>,
        to: SizeRecord,
        before: u32,
        holder: &str,
    ) -> Result<()> {
        let event = EventKind::SizeDecided {
            pool: name.to_owned(),
            from: before,
            to: to.size,
            reason: to.reason.clone(),
        };
        let change = SizeChange {
            pool: name.to_owned(),
            from,
            to: Some(to),
        };
        self.write_sizes(vec![change], vec![event], holder).await
    }

    async fn write_sizes(
        &self,
        changes: Vec<SizeChange>,
        events: Vec<EventKind>,
        holder: &str,
    ) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let lease = self.lease(holder).await?;
        let events: Vec<Event> = events
            .into_iter()
            .map(|what| self.recorder.event(what))
            .collect();
        let written = self.store.change_sizes(&lease, &changes, &events).await;
        if written.is_ok() {
            self.recorder.announce(&events);
        }
        self.leave(lease, written).await
    }
}

fn blank(pool: &str, size: u32, by: SizedBy, now: Timestamp) -> SizeRecord {
    SizeRecord {
        pool: pool.to_owned(),
        size,
        by,
        since: now,
        until: None,
        reason: String::new(),
        last_up: None,
        last_down: None,
        trouble: None,
        evidence: serde_json::Value::Null,
    }
}

/// Notes in which direction a size has changed.
fn turn(record: &mut SizeRecord, from: u32, now: Timestamp) {
    if record.size > from {
        record.last_up = Some(now);
    } else if record.size < from {
        record.last_down = Some(now);
    }
}

/// The record after a decision of the policy; the same if nothing is different.
fn next(record: &SizeRecord, decision: &Decision, now: Timestamp) -> Result<SizeRecord> {
    let mut next = record.clone();
    next.by = SizedBy::Policy;
    next.until = None;
    // The text of a trouble may be another each time; that it is there is what counts.
    if decision.trouble.is_some() != record.trouble.is_some() {
        next.trouble.clone_from(&decision.trouble);
    }
    if decision.size != record.size || record.by == SizedBy::Hand {
        next.since = now;
        next.size = decision.size;
        next.reason.clone_from(&decision.reason);
        next.evidence = serde_json::to_value(&decision.evidence).map_err(|error| {
            Error::new(Kind::Unexpected, "a decision cannot be written as JSON").with_source(error)
        })?;
        turn(&mut next, record.size, now);
    }
    Ok(next)
}

fn before(now: Timestamp, span: Span) -> Timestamp {
    SignedDuration::try_from(span.0)
        .ok()
        .and_then(|span| now.checked_sub(span).ok())
        .unwrap_or(Timestamp::MIN)
}
