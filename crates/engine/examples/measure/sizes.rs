//! Decisions on the sizes of pools.

use std::time::{Duration, Instant};

use fleetwright_core::{Clock, Error, Kind, Pool, Quantity, Result, Sample};
use fleetwright_engine::{Reading, Readings, SizeState, SystemClock, decide};
use fleetwright_store::SIGNAL_HISTORY;
use serde_json::{Value, json};

/// Pools whose sizes are decided on.
const DECISIONS: u32 = 1_000;

/// Every pool asks a schedule, a queue and a trend through 1,000 values, and takes the greatest.
pub(super) fn time() -> Result<Value> {
    let now = SystemClock.now();
    let wanted = json!({
        "desired": 10, "min": 1, "max": 500,
        "scaling": { "policy": { "composite": { "combine": "max", "of": [
            { "schedule": { "time_zone": "Europe/Berlin", "entries": [
                { "days": ["mon", "tue", "wed", "thu", "fri"], "from": "08:00", "to": "18:00", "size": 20 },
                { "days": ["fri"], "from": "22:00", "to": "06:00", "size": 30 },
            ] } },
            { "queue": { "signal": "depth", "per_node": 4 } },
            { "predictive": {
                "signal": "depth", "per_node": 4, "window": "1h", "ahead": "10m"
            } },
        ] } } },
    });
    let pool: Pool = serde_json::from_value(wanted)
        .map_err(|e| Error::new(Kind::Unexpected, "that is no pool").with_source(e))?;
    let scaling = pool
        .scaling
        .as_ref()
        .ok_or_else(|| Error::new(Kind::Unexpected, "that pool has no policy"))?;
    let samples = (0..SIGNAL_HISTORY)
        .rev()
        .map(|age| Sample {
            at: now - Duration::from_secs(u64::from(age) * 3),
            value: Quantity::whole(SIGNAL_HISTORY - age),
        })
        .collect();
    let reading = Reading {
        samples,
        failure: None,
    };
    let readings = Readings::from([("depth".to_owned(), reading)]);
    let mut milliseconds = Vec::new();
    let mut sizes = 0;
    for _ in 0..30 {
        let started = Instant::now();
        sizes = (0..DECISIONS)
            .map(|size| {
                let state = SizeState {
                    size,
                    last_up: None,
                    last_down: None,
                };
                decide(&pool, scaling, state, &readings, now, 30).size
            })
            .sum();
        milliseconds.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(json!({
        "pools": DECISIONS,
        "values": SIGNAL_HISTORY,
        "nodes": sizes,
        "milliseconds": milliseconds,
    }))
}
