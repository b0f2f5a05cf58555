//! Keeping the limits: one round looks what is due and removes it on the same path as everybody.
//!
//! ```text
//!  journal ──► whose time is over? ─┐
//!  nodes ────► which are unused? ───┴─► converge(Purpose::Expire): observe ► plan ► execute
//! ```
//! Between rounds nothing is held: the lease is taken for a removal and given back, so whoever
//! works in the foreground waits for moments at most.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use fleetwright_core::{
    Candidate, Claim, EventKind, Kind, Market, NodeId, NodeRecord, Pool, Provider, Purpose, Result,
};
use jiff::Timestamp;

use crate::interruption::{is_doomed, take_notice};
use crate::life::elapsed;
use crate::scaling::Pace;
use crate::tenure::{is_idle_too_long, is_over};
use crate::{Approval, ConvergeOptions, Engine, Observation, Outcome, PlanOptions, Standing, Use};

/// How the names of those begin who hold the lease in the background, for moments: they are waited
/// for.
pub const BACKGROUND: &str = "`fleetwright` in the background";

/// Longest pause between two rounds: new nodes and moved ends are noticed within it.
const TICK: Duration = Duration::from_secs(5);
/// Shortest pause between two rounds.
const SHORTEST: Duration = Duration::from_millis(100);
/// How long one round may hold the lease. Whoever comes meanwhile waits for longer than that.
const TURN: Duration = Duration::from_secs(20);
/// Pause between two rounds while nodes are replaced that a cloud takes away.
const RELIEF: Duration = Duration::from_secs(1);
/// Longest pause after rounds that came to nothing.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// Nodes are looked at so many times within the time that they may be unused, at most.
const SHARE: u32 = 6;
/// Longest and shortest pause between two looks at a node.
const LOOKS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_mins(1));

/// What one who watches remembers between rounds.
#[derive(Debug, Default)]
pub struct Watch {
    /// Since when nodes are unused without a break, and when that was last seen.
    unused: HashMap<NodeId, Unused>,
    next_look: Option<Timestamp>,
    next_renewal: Option<Timestamp>,
    /// Rounds in a row that came to nothing.
    futile: u32,
    pub(crate) pace: Pace,
}

#[derive(Debug, Clone, Copy)]
struct Unused {
    since: Timestamp,
    seen: Timestamp,
}

/// What came of a round.
#[derive(Debug)]
pub struct Round {
    /// Nodes whose time is limited.
    pub limited: usize,
    /// Requests without an answer, in pools whose nodes' time is limited.
    pub open_claims: usize,
    /// Pools whose sizes are kept.
    pub scaled: usize,
    /// Whether somebody else is changing the fleet.
    pub is_busy: bool,
    /// Nodes that are gone because of this round.
    pub removed: usize,
    /// Nodes that were made in this round, in the place of those that a cloud takes away.
    pub created: usize,
    /// What could not be done, in words.
    pub troubles: Vec<String>,
    /// How long to wait for the next round.
    pub pause: Duration,
}

impl Round {
    /// Whether there is nothing left to watch.
    pub const fn is_over(&self) -> bool {
        self.limited == 0 && self.open_claims == 0 && self.scaled == 0 && !self.is_busy
    }
}

impl Round {
    /// Takes in what a run could not do.
    pub(crate) fn note(&mut self, outcome: &Outcome) {
        for withheld in &outcome.plan.withheld {
            let (subject, what) = (&withheld.subject, &withheld.what);
            self.troubles
                .push(format!("withheld: {subject} {what}: {}", withheld.reason));
        }
        for failure in &outcome.executed.failures {
            let report = failure.error.report();
            self.troubles.push(format!("{}: {report}", failure.step));
        }
    }
}

impl Engine {
    /// Whether something must watch over this fleet: a pool with limits wants nodes, a pool is
    /// scaled, or a node has an end.
    pub fn needs_watch(&self, records: &[NodeRecord]) -> bool {
        let wants = |pool: &Pool| {
            pool.scaling.is_some()
                || (pool.desired > 0 && (pool.limits.needs_watch() || self.may_be_taken(pool)))
        };
        self.fleet.pools.values().any(wants) || records.iter().any(|r| self.is_limited(r))
    }

    fn is_limited(&self, record: &NodeRecord) -> bool {
        let pool = self.fleet.pools.get(&record.pool);
        record.tenure.ends_at.is_some()
            || pool.is_some_and(|pool| pool.limits.needs_watch())
            || self.hears_of(record)
    }

    /// Whether a cloud may take nodes of this pool back and tells so before.
    fn may_be_taken(&self, pool: &Pool) -> bool {
        let tells = |candidate: &Candidate| {
            let provider = self.providers.get(&candidate.provider);
            candidate.market == Market::Spot
                && provider.is_some_and(|provider| provider.interruptions().is_some())
        };
        let may_be_spot = pool.markets.is_some_and(|markets| markets.spot_percent > 0);
        let tells_any = |provider: &Arc<dyn Provider>| provider.interruptions().is_some();
        pool.candidates.iter().any(tells) || (may_be_spot && self.providers.values().any(tells_any))
    }

    /// Whether this node's cloud tells before it takes it back.
    fn hears_of(&self, record: &NodeRecord) -> bool {
        let provider = self.providers.get(record.id.provider());
        record.market == Market::Spot
            && provider.is_some_and(|provider| provider.interruptions().is_some())
    }

    /// One round: looks at nodes that may be unused, removes those whose time is over, and keeps the
    /// sizes of pools that are scaled.
    ///
    /// # Errors
    /// From the journal. What a provider refuses is in [`Round::troubles`].
    pub async fn watch(&self, watch: &mut Watch, holder: &str) -> Result<Round> {
        let records = self.store.nodes().await?;
        let claims = self.store.open_claims().await?;
        let limited: Vec<&NodeRecord> = records.iter().filter(|r| self.is_limited(r)).collect();
        let open_claims = claims.iter().filter(|claim| self.is_limited_claim(claim));
        let mut round = Round {
            limited: limited.len(),
            open_claims: open_claims.count(),
            scaled: 0,
            is_busy: self.is_busy().await?,
            removed: 0,
            created: 0,
            troubles: Vec::new(),
            pause: TICK,
        };
        let period = self.look_for_use(watch, &limited, holder).await?;
        let renewal = self.renew_due(watch, &records, &mut round).await;
        let relief = self.relieve(&records, holder, &mut round).await?;
        let idle = self.idle_too_long(watch).await?;
        let now = self.clock.now();
        let due = !idle.is_empty()
            || round.open_claims > 0
            || limited
                .iter()
                .any(|record| record.life.is_leaving() || is_over(record, now).is_some());
        if due && !round.is_busy {
            self.remove_due(watch, idle, holder, &mut round).await?;
        } else {
            watch.futile = 0;
        }
        round.pause = round.pause.min(period);
        let now = self.clock.now();
        if watch.futile == 0 {
            // A node that is just being removed is not waited for like this.
            let ends = limited.iter().filter_map(|record| record.tenure.ends_at);
            for end in ends.filter(|end| *end > now) {
                round.pause = round.pause.min(elapsed(now, end));
            }
        } else {
            round.pause = (TICK * watch.futile.min(1_000)).min(LONGEST_PAUSE);
        }
        self.keep_sizes(watch, holder, &mut round).await?;
        // Timers do not wait for a removal that comes to nothing, nor do clouds.
        round.pause = round.pause.min(renewal).min(relief).max(SHORTEST);
        Ok(round)
    }

    fn is_limited_claim(&self, claim: &Claim) -> bool {
        let pool = self.fleet.pools.get(&claim.pool);
        pool.is_some_and(|pool| pool.limits.ends_nodes() || self.may_be_taken(pool))
    }

    async fn remove_due(
        &self,
        watch: &mut Watch,
        idle: Vec<NodeId>,
        holder: &str,
        round: &mut Round,
    ) -> Result<()> {
        let Some(outcome) = self.turn(Purpose::Expire { idle }, holder, round).await? else {
            return Ok(());
        };
        round.removed += outcome.executed.deleted;
        watch.futile = if matches!(outcome.standing, Standing::Reached) {
            0
        } else {
            watch.futile.saturating_add(1)
        };
        Ok(())
    }

    /// One short run. `None`: somebody else is at it.
    pub(crate) async fn turn(
        &self,
        purpose: Purpose,
        holder: &str,
        round: &mut Round,
    ) -> Result<Option<Outcome>> {
        let options = ConvergeOptions {
            purpose,
            deadline: TURN,
            approval: Approval::Everything,
            plan: PlanOptions::default(),
            holder: holder.to_owned(),
        };
        let outcome = match self.converge(&options).await {
            Ok(outcome) => outcome,
            // Somebody was faster. The next round sees what they made of it.
            Err(error) if error.kind() == Kind::Conflict => {
                round.is_busy = true;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        round.note(&outcome);
        Ok(Some(outcome))
    }

    /// Hears what clouds have announced, and sees that what they take away is replaced: with
    /// successors at once, and then by letting it go. Gives the pause until that is done again.
    async fn relieve(
        &self,
        records: &[NodeRecord],
        holder: &str,
        round: &mut Round,
    ) -> Result<Duration> {
        let mut heard = Observation {
            at: self.clock.now(),
            records: records.to_vec(),
            ..Observation::default()
        };
        let notices = self.notices(records).await;
        take_notice(&mut heard, notices);
        for (provider, error) in &heard.deaf {
            round
                .troubles
                .push(format!("what `{provider}` announces is not seen: {error}"));
        }
        let doomed = heard.records.iter().filter(|record| {
            let pool = self.fleet.pools.get(&record.pool);
            record.life.is_wanted() && is_doomed(record, pool).is_some()
        });
        let nodes: Vec<NodeId> = doomed.map(|record| record.id.clone()).collect();
        let is_news = heard.records != records;
        if round.is_busy || (nodes.is_empty() && !is_news) {
            return Ok(self.hearing(records));
        }
        let outcome = self.turn(Purpose::Relieve { nodes }, holder, round).await?;
        if let Some(outcome) = outcome {
            round.removed += outcome.executed.deleted;
            round.created += outcome.executed.created;
        }
        Ok(RELIEF)
    }

    /// How often clouds are asked what they have announced.
    fn hearing(&self, records: &[NodeRecord]) -> Duration {
        if records.iter().any(|record| self.hears_of(record)) {
            TICK
        } else {
            LONGEST_PAUSE
        }
    }

    /// Renews the timers of nodes, if it is time for that. Gives the pause between renewals.
    async fn renew_due(
        &self,
        watch: &mut Watch,
        records: &[NodeRecord],
        round: &mut Round,
    ) -> Duration {
        let Some(period) = self.renewal_period(records) else {
            watch.next_renewal = None;
            return LONGEST_PAUSE;
        };
        let now = self.clock.now();
        if watch.next_renewal.is_none_or(|next| now >= next) {
            watch.next_renewal = Some(now + period);
            round.troubles.extend(self.renew_timers(records).await);
        }
        period
    }

    /// Looks at the nodes that may be unused, if it is time for that, and writes down what has
    /// changed. Gives the pause between looks.
    async fn look_for_use(
        &self,
        watch: &mut Watch,
        limited: &[&NodeRecord],
        holder: &str,
    ) -> Result<Duration> {
        let limit_of = |record: &NodeRecord| self.fleet.pools.get(&record.pool)?.limits.idle_after;
        let watched: Vec<&NodeRecord> = limited
            .iter()
            .copied()
            .filter(|record| !record.life.is_leaving() && limit_of(record).is_some())
            .collect();
        let shortest = watched.iter().filter_map(|record| limit_of(record)).min();
        let Some(shortest) = shortest else {
            watch.unused.clear();
            watch.next_look = None;
            return Ok(TICK);
        };
        let period = (shortest.0 / SHARE).clamp(LOOKS.0, LOOKS.1);
        let now = self.clock.now();
        if watch.next_look.is_some_and(|next| now < next) {
            return Ok(period);
        }
        watch.next_look = Some(now + period);
        let uses = self.look_at_use(&watched).await;
        let now = self.clock.now();
        watch.note(&uses, now, period);
        let mut changed = Vec::new();
        let mut events = Vec::new();
        for (id, found) in &uses {
            let Some(record) = watched.iter().find(|record| record.id == *id) else {
                continue;
            };
            tracing::debug!(node = %record.name, idle = found.is_idle(), "{}", found.why());
            let since = watch.unused.get(id).map(|unused| unused.since);
            if record.tenure.idle_since == since {
                continue;
            }
            let mut next = (*record).clone();
            next.tenure.idle_since = since;
            changed.push(next);
            events.push(EventKind::UseChanged {
                node: id.clone(),
                name: record.name.clone(),
                idle: found.is_idle(),
                reason: found.why().to_owned(),
            });
        }
        self.write_use(changed, events, holder).await?;
        Ok(period)
    }

    /// Writes down since when nodes are unused. If somebody else is at work, the next look does.
    async fn write_use(
        &self,
        changed: Vec<NodeRecord>,
        events: Vec<EventKind>,
        holder: &str,
    ) -> Result<()> {
        if changed.is_empty() {
            return Ok(());
        }
        let lease = match self.lease(holder).await {
            Ok(lease) => lease,
            Err(error) if error.kind() == Kind::Conflict => return Ok(()),
            Err(error) => return Err(error),
        };
        let written = async {
            // What was written since the records were read is kept.
            let mut records = Vec::new();
            for change in changed {
                if let Some(mut record) = self.store.node(&change.id).await?
                    && !record.life.is_leaving()
                {
                    record.tenure.idle_since = change.tenure.idle_since;
                    records.push(record);
                }
            }
            let events: Vec<_> = events
                .into_iter()
                .map(|what| self.recorder.event(what))
                .collect();
            self.store.put_nodes(&lease, &records, &events).await?;
            self.recorder.announce(&events);
            Ok(())
        }
        .await;
        self.leave(lease, written).await
    }

    /// The nodes that were unused for as long as their pools allow, without a break and until just
    /// now.
    async fn idle_too_long(&self, watch: &Watch) -> Result<Vec<NodeId>> {
        if watch.unused.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.clock.now();
        let records = self.store.nodes().await?;
        Ok(records
            .into_iter()
            .filter(|record| {
                let unused = watch.unused.get(&record.id);
                let pool = self.fleet.pools.get(&record.pool);
                // The journal must say so too: the planner reads nothing else.
                unused.is_some_and(|unused| record.tenure.idle_since == Some(unused.since))
                    && is_idle_too_long(record, pool, now).is_some()
            })
            .map(|record| record.id)
            .collect())
    }
}

impl Watch {
    /// Takes in what was just seen. Time in which nobody looked counts as use.
    fn note(&mut self, uses: &[(NodeId, Use)], now: Timestamp, period: Duration) {
        let longest_gap = period * 3 + Duration::from_secs(30);
        let looked_at: HashSet<&NodeId> = uses.iter().map(|(id, _)| id).collect();
        self.unused.retain(|id, _| looked_at.contains(id));
        for (id, found) in uses {
            if !found.is_idle() {
                self.unused.remove(id);
                continue;
            }
            let unused = self.unused.entry(id.clone()).or_insert(Unused {
                since: now,
                seen: now,
            });
            if elapsed(unused.seen, now) > longest_gap {
                unused.since = now;
            }
            unused.seen = now;
        }
    }
}
