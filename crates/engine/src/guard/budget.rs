//! Rate budgets: no call leaves before the cloud's documented bucket has a token for it.
//!
//! The buckets are in the journal, so all processes share them. When calls queue up at a bucket, the
//! urgent ones (delete before change before create before looking) go first.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fleetwright_core::{ApiLimit, Clock, LimitUnit, ProviderInfo, Result};
use fleetwright_store::{Store, Taken};

use super::Ask;

/// How long a throttling answer without `Retry-After` holds everybody back.
const PENALTY: Duration = Duration::from_secs(1);
/// How often a less urgent call looks whether its turn has come.
const TURN: Duration = Duration::from_millis(10);

pub(crate) struct Budget {
    prefix: String,
    regions: Vec<String>,
    limits: Vec<ApiLimit>,
    store: Option<Store>,
    /// Calls waiting at each bucket, by priority.
    waiting: Mutex<HashMap<String, [usize; 4]>>,
    /// Without a journal, penalties are remembered here.
    penalties: Mutex<HashMap<String, jiff::Timestamp>>,
}

impl Budget {
    pub(crate) fn new(info: &ProviderInfo, store: Option<Store>) -> Self {
        Self {
            prefix: format!("{}:{}", info.kind, info.account),
            regions: info.regions.clone(),
            limits: info.limits.clone(),
            store,
            waiting: Mutex::default(),
            penalties: Mutex::default(),
        }
    }

    /// Waits until every bucket that the call touches has given its tokens.
    pub(crate) async fn take(&self, ask: Ask<'_>, clock: &dyn Clock) -> Result<()> {
        let priority = usize::from(ask.operation.priority());
        for (bucket, limit) in self.buckets(ask) {
            let amount = match limit.unit {
                LimitUnit::Calls => 1,
                LimitUnit::Machines => ask.machines,
            };
            if amount == 0 {
                continue;
            }
            let turn = Waiting::new(&self.waiting, &bucket, priority);
            loop {
                if turn.is_behind_others() {
                    clock.sleep(TURN).await;
                    continue;
                }
                match self.try_take(&bucket, limit, amount, clock).await? {
                    Taken::Granted => break,
                    Taken::Wait(wait) => clock.sleep(wait.max(Duration::from_millis(1))).await,
                }
            }
        }
        Ok(())
    }

    async fn try_take(
        &self,
        bucket: &str,
        limit: &ApiLimit,
        amount: u32,
        clock: &dyn Clock,
    ) -> Result<Taken> {
        let now = clock.now();
        if let Some(store) = &self.store {
            return store
                .take(bucket, limit.burst, limit.per_minute, amount, now)
                .await;
        }
        let penalties = self
            .penalties
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let until = penalties.get(bucket).filter(|until| **until > now);
        Ok(until.map_or(Taken::Granted, |until| {
            Taken::Wait(super::since(now, *until))
        }))
    }

    /// A throttling answer: the cloud's own count is worse than ours, so nobody calls for a while.
    /// The call was counted, the machines it asked for were not: their tokens are given back, or
    /// the next try would pay for them again.
    pub(crate) async fn penalize(
        &self,
        ask: Ask<'_>,
        after: Option<Duration>,
        clock: &dyn Clock,
    ) -> Result<()> {
        let until = clock.now() + after.unwrap_or(PENALTY);
        for (bucket, limit) in self.buckets(ask) {
            if let Some(store) = &self.store {
                store.penalize(&bucket, until).await?;
                if limit.unit == LimitUnit::Machines {
                    store.give_back(&bucket, ask.machines).await?;
                }
            } else {
                let mut all = self
                    .penalties
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                all.insert(bucket, until);
            }
        }
        Ok(())
    }

    /// The buckets that a call takes from. A call without a region touches each region's bucket.
    fn buckets(&self, ask: Ask<'_>) -> Vec<(String, &ApiLimit)> {
        let mut buckets = Vec::new();
        for limit in self
            .limits
            .iter()
            .filter(|limit| limit.operations.contains(&ask.operation))
        {
            let name = |region: &str| format!("{}:{region}:{}", self.prefix, limit.family);
            match (limit.per_region, ask.region) {
                (false, _) => buckets.push((name("*"), limit)),
                (true, Some(region)) => buckets.push((name(region), limit)),
                (true, None) => {
                    buckets.extend(self.regions.iter().map(|region| (name(region), limit)));
                }
            }
        }
        buckets
    }
}

/// Counts itself as waiting at a bucket until dropped.
struct Waiting<'a> {
    all: &'a Mutex<HashMap<String, [usize; 4]>>,
    bucket: &'a str,
    priority: usize,
}

impl<'a> Waiting<'a> {
    fn new(all: &'a Mutex<HashMap<String, [usize; 4]>>, bucket: &'a str, priority: usize) -> Self {
        let mut counts = all.lock().unwrap_or_else(PoisonError::into_inner);
        counts.entry(bucket.to_owned()).or_default()[priority] += 1;
        drop(counts);
        Self {
            all,
            bucket,
            priority,
        }
    }

    /// Whether a more urgent call waits at the same bucket.
    fn is_behind_others(&self) -> bool {
        let counts = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .get(self.bucket)
            .is_some_and(|counts| counts[..self.priority].iter().any(|count| *count > 0))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut counts = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counts) = counts.get_mut(self.bucket) {
            counts[self.priority] = counts[self.priority].saturating_sub(1);
        }
    }
}
