//! Rate budgets: no call leaves before the cloud's documented bucket has a token for it.
//!
//! The buckets are in the journal, so all processes share them. When calls queue up, the urgent
//! ones (delete before change before create before looking) go first.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
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
    /// Calls waiting, by priority.
    waiting: [AtomicUsize; 4],
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
            waiting: Default::default(),
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
            let _turn = Waiting::new(&self.waiting[priority]);
            loop {
                let urgent = self.waiting[..priority].iter();
                if urgent
                    .map(|count| count.load(Ordering::Relaxed))
                    .sum::<usize>()
                    > 0
                {
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
    pub(crate) async fn penalize(
        &self,
        ask: Ask<'_>,
        after: Option<Duration>,
        clock: &dyn Clock,
    ) -> Result<()> {
        let until = clock.now() + after.unwrap_or(PENALTY);
        for (bucket, _) in self.buckets(ask) {
            if let Some(store) = &self.store {
                store.penalize(&bucket, until).await?;
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

/// Counts itself as waiting until dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
