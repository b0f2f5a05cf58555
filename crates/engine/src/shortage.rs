//! Why a pool has fewer nodes than it wants: who left last, and why.

use fleetwright_core::{Life, NodeId, NodeRecord, Result};
use jiff::Timestamp;
use serde::Serialize;

use crate::interruption::is_reclaimed;
use crate::{Engine, Observation, PoolStatus};

/// A pool that is short of nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shortage {
    /// The pool.
    pub pool: String,
    /// How many nodes are missing, those on their way and those asked for not counted.
    pub missing: usize,
    /// How many of them are missing because their time was over: nothing is made in their place
    /// until the next `up`.
    pub expired: usize,
    /// How many are missing because a cloud took them back.
    pub reclaimed: usize,
    /// Who left last, at most as many as are missing, latest first.
    pub left: Vec<Departure>,
}

/// A node that left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Departure {
    /// Which node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

impl Engine {
    /// The pools that are short, with those who left last. From the journal.
    ///
    /// # Errors
    /// From the journal.
    pub async fn short_pools(&self, observation: &Observation) -> Result<Vec<Shortage>> {
        let short: Vec<(PoolStatus, usize)> = self
            .pool_status(observation)
            .into_iter()
            .filter_map(|status| {
                let missing = missing(&status);
                (missing > 0).then_some((status, missing))
            })
            .collect();
        if short.is_empty() {
            return Ok(Vec::new());
        }
        let mut gone = self.store.nodes_with_gone().await?;
        gone.retain(|record| record.life == Life::Gone);
        gone.sort_by_key(|record| std::cmp::Reverse(record.gone_at));
        Ok(short
            .into_iter()
            .map(|(status, missing)| {
                let last = gone
                    .iter()
                    .filter(|record| record.pool == status.name)
                    .take(missing);
                shortage(status.name.clone(), missing, last)
            })
            .collect())
    }
}

fn missing(status: &PoolStatus) -> usize {
    let pending = usize::try_from(status.pending).unwrap_or(usize::MAX);
    let there = status.ready + status.starting + status.failed + pending;
    usize::try_from(status.desired)
        .unwrap_or(usize::MAX)
        .saturating_sub(there)
}

fn shortage<'a>(
    pool: String,
    missing: usize,
    last: impl Iterator<Item = &'a NodeRecord>,
) -> Shortage {
    let (mut expired, mut reclaimed, mut left) = (0, 0, Vec::new());
    for record in last {
        if is_expired(record) {
            expired += 1;
        } else if is_reclaimed(record) {
            reclaimed += 1;
        }
        left.push(Departure {
            node: record.id.clone(),
            name: record.name.clone(),
            at: record.gone_at.unwrap_or(record.since),
            reason: record.reason.clone(),
        });
    }
    Shortage {
        pool,
        missing,
        expired,
        reclaimed,
        left,
    }
}

/// Whether a node left because its time was over, or because nobody used it.
fn is_expired(record: &NodeRecord) -> bool {
    let left = record.gone_at.unwrap_or(record.since);
    let ended = (record.tenure.ends_at).is_some_and(|end| end <= left);
    ended || record.reason.starts_with(crate::tenure::UNUSED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::script::World;

    #[test]
    fn only_what_was_taken_back_counts_as_taken_back() {
        let world = World::read(
            "
            provider sim east
            pool web 3
            node sim/east/n1 web ready reclaim=2m
            node sim/east/n2 web ready rebalance=2m
            node sim/east/n3 web ready maintenance=2m
            ",
        );
        let all = &world.observation.records;
        assert!(all.iter().all(|record| record.tenure.notice.is_some()));
        let short = shortage("web".to_owned(), 3, all.iter());
        assert_eq!((short.reclaimed, short.expired), (1, 0));
        assert_eq!(short.left.len(), 3);
    }
}
