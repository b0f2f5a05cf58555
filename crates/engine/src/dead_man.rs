//! Renewing the dead-man timers of nodes: whoever looks after the fleet says so on each of them.
//!
//! The timer itself runs on the node, see [`fleetwright_core::with_dead_man`].

use std::time::Duration;

use fleetwright_core::{Access, Boot, Command, DEAD_MAN_RENEWAL, Life, NoOutput, NodeRecord};
use futures::StreamExt;
use futures::stream;

use crate::Engine;

/// Nodes renewed at the same time.
const RENEWALS: usize = 16;
/// Limit of one renewal.
const LIMIT: Duration = Duration::from_secs(10);
/// A timer is renewed so many times within its time, at least.
const SHARE: u32 = 4;
/// Longest and shortest pause between renewals.
const PERIODS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_mins(5));

impl Engine {
    /// Renews the timers of all nodes that have one and can be logged in to. Gives what could not
    /// be done, in words: such a node counts down, and that is what the timer is for.
    pub async fn renew_timers(&self, records: &[NodeRecord]) -> Vec<String> {
        let Some(remote) = &self.remote else {
            return Vec::new();
        };
        let due: Vec<(&NodeRecord, &Access)> = records
            .iter()
            .filter(|record| self.timer_of(record).is_some())
            .filter_map(|record| Some((record, record.access.as_ref()?)))
            .collect();
        stream::iter(due)
            .map(|(record, access)| async move {
                let command = Command::new(DEAD_MAN_RENEWAL).with_timeout(LIMIT);
                match remote.run(access, &command, &NoOutput).await {
                    Ok(output) if output.exit.is_success() => None,
                    Ok(output) => Some(format!(
                        "the timer of `{}` cannot be renewed: the command ended with {:?}",
                        record.name, output.exit
                    )),
                    Err(error) => Some(format!(
                        "the timer of `{}` cannot be renewed: {}",
                        record.name,
                        error.report()
                    )),
                }
            })
            .buffer_unordered(RENEWALS)
            .filter_map(futures::future::ready)
            .collect()
            .await
    }

    /// How often the timers of these nodes are to be renewed; `None` if none has one.
    pub(crate) fn renewal_period(&self, records: &[NodeRecord]) -> Option<Duration> {
        let shortest = records.iter().filter_map(|r| self.timer_of(r)).min()?;
        Some((shortest / SHARE).clamp(PERIODS.0, PERIODS.1))
    }

    /// The timer of a node that may be logged in to.
    fn timer_of(&self, record: &NodeRecord) -> Option<Duration> {
        // A machine that went down does not answer; one whose boot script failed is kept, and does.
        let kept = record.life == Life::Failed && matches!(record.boot, Some(Boot::Failed { .. }));
        let up = matches!(record.life, Life::Bootstrapping | Life::Draining);
        let answers = record.life.is_ready() || up || kept;
        let pool = self.fleet.pools.get(&record.pool).filter(|_| answers)?;
        pool.limits.dead_man.map(|limit| limit.0)
    }
}
