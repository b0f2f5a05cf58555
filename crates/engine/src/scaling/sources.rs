//! Signals that nobody pushes: read before each decision, and kept like those that are pushed.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwright_core::{Error, Kind, Pool, Quantity, Result, Sample, Span};
use fleetwright_store::SignalValue;
use futures::StreamExt;
use futures::stream;

use crate::Engine;

/// Signals read at the same time.
const READS: usize = 64;
/// Limit for reading all signals together: whoever decides also keeps limits, and must get to that.
const READS_LIMIT: Duration = Duration::from_secs(20);

impl Engine {
    /// Reads the signals that have a source; gives those that could not be read, with the reason.
    pub(super) async fn read_sources(
        &self,
        pools: &[(&String, &Pool)],
    ) -> Result<BTreeMap<(String, String), String>> {
        let mut wanted: Vec<(&String, &str, bool)> = Vec::new();
        for (name, pool) in pools {
            let Some(scaling) = &pool.scaling else {
                continue;
            };
            for signal in scaling.policy.signals() {
                match scaling.signals.get(signal) {
                    Some(config) if config.nodes.is_some() => wanted.push((name, signal, true)),
                    Some(config) if config.prometheus.is_some() => {
                        wanted.push((name, signal, false));
                    }
                    _ => {}
                }
            }
        }
        if wanted.is_empty() {
            return Ok(BTreeMap::new());
        }
        let records = if wanted.iter().any(|(_, _, on_nodes)| *on_nodes) {
            self.store.nodes().await?
        } else {
            Vec::new()
        };
        let records = &records;
        let mut answers: BTreeMap<(String, String), Result<Quantity>> = BTreeMap::new();
        let mut reads = stream::iter(wanted.clone())
            .map(|(pool, signal, on_nodes)| async move {
                let key = (pool.clone(), signal.to_owned());
                let answer = if on_nodes {
                    self.node_load(pool, records).await
                } else {
                    self.read_source(&key).await
                };
                (key, answer)
            })
            .buffer_unordered(READS);
        let mut limit = self.clock.sleep(READS_LIMIT);
        loop {
            tokio::select! {
                read = reads.next() => match read {
                    Some((key, answer)) => answers.insert(key, answer),
                    None => break,
                },
                () = &mut limit => break,
            };
        }
        drop(reads);
        for (pool, signal, _) in wanted {
            answers
                .entry((pool.clone(), signal.to_owned()))
                .or_insert_with(|| {
                    let limit = Span(READS_LIMIT);
                    let message = format!("no answer within {limit}");
                    Err(Error::new(Kind::Timeout, message))
                });
        }
        let at = self.clock.now();
        let mut values = Vec::new();
        let mut failures = BTreeMap::new();
        for ((pool, name), answer) in answers {
            match answer {
                Ok(value) => values.push(SignalValue {
                    pool,
                    name,
                    sample: Sample { at, value },
                }),
                Err(error) => {
                    failures.insert((pool, name), error.report().to_string());
                }
            }
        }
        self.store.put_signals(&values).await?;
        Ok(failures)
    }

    async fn read_source(&self, key: &(String, String)) -> Result<Quantity> {
        match self.sources.get(key) {
            Some(source) => source.read().await,
            None => Err(Error::new(
                Kind::Unsupported,
                "this program has no way to read it",
            )),
        }
    }
}
