//! What nodes have cost: runtime × price, as their providers count time.

use std::time::Duration;

use fleetwright_core::{Amount, Billing, HourlyPrice, NodeId, NodeRecord};
use jiff::Timestamp;
use serde::Serialize;

use crate::Engine;
use crate::life::elapsed;

/// What nodes have cost so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bill {
    /// One line for each node, in the order that they were given in.
    pub lines: Vec<BillLine>,
    /// The sum, by currency.
    pub total: Vec<Amount>,
    /// Nodes without a known price, which are not in the sum.
    pub unpriced: usize,
    /// What those of them that are still there cost per hour, by currency.
    pub per_hour: Vec<HourlyPrice>,
}

/// What one node has cost so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BillLine {
    /// Which node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Its pool.
    pub pool: String,
    /// The price per hour that was written down when it was asked for; absent if unknown.
    pub price: Option<HourlyPrice>,
    /// How long it ran, in whole seconds.
    pub runtime_seconds: u64,
    /// The seconds that its provider bills.
    pub billed_seconds: u64,
    /// What it cost; absent if the price is unknown.
    pub cost: Option<Amount>,
    /// Whether it is gone and costs nothing more.
    pub is_gone: bool,
}

impl Bill {
    /// The lines of one pool, added up.
    pub fn of_pool(&self, pool: &str) -> Vec<Amount> {
        let lines = self.lines.iter().filter(|line| line.pool == pool);
        Amount::sum(lines.filter_map(|line| line.cost))
    }
}

impl Engine {
    /// What nodes have cost from when they were made until they were gone, or until now.
    ///
    /// It is what follows from the price that was promised and from the provider's way of counting
    /// time, and not an invoice: discounts, traffic and storage are not known here.
    pub fn bill<'a>(
        &self,
        records: impl IntoIterator<Item = &'a NodeRecord>,
        now: Timestamp,
    ) -> Bill {
        let billing = |provider: &str| {
            self.providers
                .get(provider)
                // A provider that is not configured any more: time as it is.
                .map_or(Billing::per_second(0), |provider| provider.info().billing)
        };
        let mut per_hour = Vec::new();
        let lines: Vec<BillLine> = records
            .into_iter()
            .map(|record| {
                if record.gone_at.is_none() {
                    per_hour.extend(record.price);
                }
                line(record, billing(record.id.provider()), now)
            })
            .collect();
        Bill {
            total: Amount::sum(lines.iter().filter_map(|line| line.cost)),
            unpriced: lines.iter().filter(|line| line.cost.is_none()).count(),
            per_hour: HourlyPrice::sum(per_hour),
            lines,
        }
    }
}

fn line(record: &NodeRecord, billing: Billing, now: Timestamp) -> BillLine {
    let runtime: Duration = elapsed(record.created_at, record.gone_at.unwrap_or(now));
    BillLine {
        node: record.id.clone(),
        name: record.name.clone(),
        pool: record.pool.clone(),
        price: record.price,
        runtime_seconds: runtime.as_secs(),
        billed_seconds: billing.billed_seconds(runtime),
        cost: record.price.map(|price| billing.cost(price, runtime)),
        is_gone: record.gone_at.is_some(),
    }
}
