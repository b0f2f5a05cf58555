//! Rate budgets: no call leaves before the cloud's documented bucket has a token for it.
//!
//! The buckets are in the journal, so all processes share them. When calls queue up at a bucket, the
//! urgent ones (delete before change before create before looking) go first: inside a process by
//! the order in which they ask the journal, between processes by what the journal says of who
//! waits. Throttling answers correct level and rate of a bucket, for all processes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fleetwright_core::{ApiLimit, Clock, Error, LimitUnit, ProviderInfo, Result};
use fleetwright_store::{Draw, Store, Taken, Throttled};
use jiff::Timestamp;

use super::Ask;

/// How long a throttling answer without `Retry-After` holds everybody back.
const PENALTY: Duration = Duration::from_secs(1);
/// How often a less urgent call looks whether its turn has come.
const TURN: Duration = Duration::from_millis(10);

pub(crate) struct Budget {
    account: String,
    regions: Vec<String>,
    limits: Vec<ApiLimit>,
    store: Option<Store>,
    /// Calls waiting at each bucket, by priority.
    waiting: Mutex<HashMap<String, [usize; 4]>>,
    /// Without a journal, penalties are remembered here.
    penalties: Mutex<HashMap<String, Timestamp>>,
}

impl Budget {
    pub(crate) fn new(info: &ProviderInfo, store: Option<Store>) -> Self {
        Self {
            account: account(info),
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
            let amount = amount(limit, ask);
            if amount == 0 {
                continue;
            }
            let turn = Waiting::new(&self.waiting, &bucket, priority);
            loop {
                if turn.is_behind_others() {
                    clock.sleep(TURN).await;
                    continue;
                }
                match self
                    .try_take(&bucket, draw(limit, ask, amount), clock)
                    .await?
                {
                    Taken::Granted => break,
                    Taken::Wait(wait) => clock.sleep(wait.max(Duration::from_millis(1))).await,
                }
            }
        }
        Ok(())
    }

    async fn try_take(&self, bucket: &str, draw: Draw, clock: &dyn Clock) -> Result<Taken> {
        let now = clock.now();
        if let Some(store) = &self.store {
            return store.take(bucket, draw, now).await;
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
        error: &Error,
        sent_at: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        let after = error.retry_after();
        let until = now + after.unwrap_or(PENALTY);
        // A call that was not even sent comes from an announcement: see `Error::ANNOUNCED`.
        let announced = error.context().any(|(name, _)| name == Error::ANNOUNCED);
        for (bucket, limit) in self.buckets(ask) {
            let amount = amount(limit, ask);
            let Some(store) = &self.store else {
                let mut all = self
                    .penalties
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                all.insert(bucket, until);
                continue;
            };
            if limit.unit == LimitUnit::Machines {
                store.give_back(&bucket, amount).await?;
            }
            let answer = Throttled {
                until,
                sent_at,
                // Who names the time to come back says that there is enough by then.
                left: if after.is_some() { amount } else { 0 },
                refused: !announced,
            };
            store
                .penalize(&bucket, draw(limit, ask, amount), answer, now)
                .await?;
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
            let name = |region: &str| bucket_name(&self.account, limit, region);
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

/// Whose budgets and breakers: providers of the same kind and account share them.
pub(crate) fn account(info: &ProviderInfo) -> String {
    format!("{}:{}", info.kind, info.account)
}

/// The name of a bucket in the journal.
pub(crate) fn bucket_name(account: &str, limit: &ApiLimit, region: &str) -> String {
    format!("{account}:{region}:{}", limit.family)
}

/// How many tokens a call takes.
fn amount(limit: &ApiLimit, ask: Ask<'_>) -> u32 {
    match limit.unit {
        LimitUnit::Calls => 1,
        LimitUnit::Machines => ask.machines,
    }
}

fn draw(limit: &ApiLimit, ask: Ask<'_>, amount: u32) -> Draw {
    let mut priorities = limit
        .operations
        .iter()
        .map(|operation| operation.priority());
    let first = priorities.next();
    Draw {
        burst: limit.burst,
        per_minute: limit.per_minute,
        amount,
        priority: ask.operation.priority(),
        contended: priorities.any(|priority| Some(priority) != first),
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
