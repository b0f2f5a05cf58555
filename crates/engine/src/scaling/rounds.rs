//! The part of a round in the background that concerns sizes: decide, then bring the pools there.

use std::collections::BTreeSet;
use std::time::Duration;

use fleetwright_core::{Kind, Life, NodeRecord, Purpose, Result, SizeRecord, Span};
use jiff::Timestamp;

use crate::life::elapsed;
use crate::{Engine, Observation, Round, Standing, Watch};

/// Pause between two looks at a pool with nodes that come or go.
const TICK: Duration = Duration::from_secs(5);
/// Pause between two looks at a pool where nothing is to be done as far as the journal knows.
const CHECK: Duration = Duration::from_mins(2);
/// Longest pause after rounds that came to nothing.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// What one who watches remembers of sizes between rounds.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When it is decided again.
    decide_at: Option<Timestamp>,
    /// When all pools are looked at again, whatever the journal says.
    check_at: Option<Timestamp>,
    /// When pools are brought to their sizes again, after that came to nothing.
    again_at: Option<Timestamp>,
    /// Rounds in a row that came to nothing.
    futile: u32,
}

impl Engine {
    /// Whether something must keep the size of this pool: its policy, or a time that will be over.
    pub(crate) fn is_kept(&self, record: &SizeRecord) -> bool {
        let pool = self.fleet.pools.get(&record.pool);
        pool.is_some_and(|pool| pool.scaling.is_some() || record.until.is_some())
    }

    /// Decides on sizes, if it is time for that, and makes and removes nodes accordingly.
    ///
    /// # Errors
    /// From the journal. What a provider refuses is in [`Round::troubles`].
    pub(crate) async fn keep_sizes(
        &self,
        watch: &mut Watch,
        holder: &str,
        round: &mut Round,
    ) -> Result<()> {
        let records = self.store.sizes().await?;
        let kept: Vec<&SizeRecord> = records.iter().filter(|r| self.is_kept(r)).collect();
        round.scaled = kept.len();
        if kept.is_empty() {
            watch.pace = Pace::default();
            return Ok(());
        }
        let pace = &mut watch.pace;
        let now = self.clock.now();
        if !round.is_busy && pace.decide_at.is_none_or(|at| now >= at) {
            let every = kept
                .iter()
                .filter_map(|record| self.fleet.pools.get(&record.pool)?.scaling.as_ref())
                .map(|scaling| scaling.every)
                .min();
            pace.decide_at = Some(now + every.unwrap_or(Span(TICK)).0);
            let pools = kept.iter().map(|record| record.pool.clone()).collect();
            let sizings = self.evaluate(Some(&pools)).await?;
            match self.adopt_sizes(&sizings, holder).await {
                Ok(_) => {}
                // Somebody else is at work, or was faster. The next round decides on what is then.
                Err(error) if error.kind() == Kind::Conflict => round.is_busy = true,
                Err(error) => return Err(error),
            }
        }
        let now = self.clock.now();
        if !round.is_busy && pace.again_at.is_none_or(|at| now >= at) {
            let all = pace.check_at.is_none_or(|at| now >= at);
            let due = self.due(all).await?;
            if all {
                pace.check_at = Some(now + CHECK);
            }
            if !due.is_empty() {
                self.resize(due, pace, holder, round).await?;
            }
        }
        let now = self.clock.now();
        for at in [pace.decide_at, pace.check_at].into_iter().flatten() {
            round.pause = round.pause.min(elapsed(now, at));
        }
        for until in kept.iter().filter_map(|record| record.until) {
            if until > now {
                round.pause = round.pause.min(elapsed(now, until));
            }
        }
        Ok(())
    }

    /// The pools that are not what they should be as far as the journal knows; `all`: whatever it
    /// knows.
    async fn due(&self, all: bool) -> Result<BTreeSet<String>> {
        let sizes = self.store.sizes().await?;
        let nodes = self.store.nodes().await?;
        let claims = self.store.open_claims().await?;
        let mut known = Observation {
            at: self.clock.now(),
            ..Observation::default()
        };
        self.fill_sizes(&mut known, &sizes);
        let mut due = BTreeSet::new();
        for record in sizes.iter().filter(|record| self.is_kept(record)) {
            let Some(pool) = self.fleet.pools.get(&record.pool) else {
                continue;
            };
            let own = || nodes.iter().filter(|node| node.pool == record.pool);
            let counted = own().filter(|node| !node.life.is_leaving()).count();
            let wanted = usize::try_from(known.wanted(&record.pool, pool)).unwrap_or(usize::MAX);
            let is_due = all
                || counted != wanted
                || own().any(is_on_its_way)
                || claims.iter().any(|claim| claim.pool == record.pool)
                || self.is_over_by_hand(record, known.at);
            // Set by hand and in force: whoever set it has brought the pool there.
            let waits = pool.scaling.is_none() && !self.is_over_by_hand(record, known.at);
            if is_due && !waits {
                due.insert(record.pool.clone());
            }
        }
        Ok(due)
    }

    async fn resize(
        &self,
        pools: BTreeSet<String>,
        pace: &mut Pace,
        holder: &str,
        round: &mut Round,
    ) -> Result<()> {
        let purpose = Purpose::Scale {
            pools: pools.clone(),
            wait: false,
        };
        let Some(outcome) = self.turn(purpose, holder, round).await? else {
            return Ok(());
        };
        round.removed += outcome.executed.deleted;
        match outcome.standing {
            Standing::Reached => {
                (pace.futile, pace.again_at) = (0, None);
                self.settle_sizes(&pools, holder).await?;
            }
            Standing::TimedOut => (pace.futile, pace.again_at) = (0, None),
            _ => {
                if let Standing::Braked(brake) = &outcome.standing {
                    round.troubles.push(format!(
                        "nothing was done: {brake}; `fleetwright up --max-removal <percent>` does it"
                    ));
                }
                pace.futile = pace.futile.saturating_add(1);
                let pause = (TICK * pace.futile.min(1_000)).min(LONGEST_PAUSE);
                pace.again_at = Some(self.clock.now() + pause);
            }
        }
        Ok(())
    }
}

/// Whether a node must be looked at until it is up, or gone.
const fn is_on_its_way(node: &NodeRecord) -> bool {
    matches!(
        node.life,
        Life::Requested | Life::Booting | Life::Bootstrapping | Life::Draining | Life::Terminating
    )
}
