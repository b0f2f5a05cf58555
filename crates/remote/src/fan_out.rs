//! The same command on many nodes.

use std::sync::Arc;
use std::time::Duration;

use fleetwright_core::{
    Access, Command, Effect, Error, Kind, Output, OutputSink, Remote, Result, Stream,
};
use futures::StreamExt as _;
use futures::stream;
use tokio::time::{Instant, timeout};

use crate::ssh::seconds;

/// How long after its own limit a node that does not keep to it is given up.
const GRACE: Duration = Duration::from_secs(2);

/// Limits for many nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FanOut {
    /// Most nodes at once; 0 counts as 1.
    pub limit: usize,
    /// Limit for each node, from connecting to the end of the command. The command's own limit
    /// holds too.
    pub per_host: Duration,
    /// Limit for all nodes together. Nodes whose turn has not come by then are not touched.
    pub total: Option<Duration>,
}

impl Default for FanOut {
    /// 64 nodes at once, 10 minutes each, no limit for all.
    fn default() -> Self {
        Self {
            limit: 64,
            per_host: Duration::from_mins(10),
            total: None,
        }
    }
}

/// What became of one node.
#[derive(Debug)]
pub struct HostResult {
    /// The name that the caller gave.
    pub label: String,
    /// Where it is.
    pub access: Access,
    /// How its command ended, or why it did not. A status other than 0 is `Ok` (see
    /// [`failure`](crate::failure)).
    pub outcome: Result<Output>,
    /// From its turn to its end.
    pub elapsed: Duration,
}

/// Follows many nodes at once. Must not block.
pub trait FanOutSink: Send + Sync {
    /// The turn of a node has come. `index` is its place among the targets.
    fn started(&self, index: usize, label: &str);

    /// Some bytes of its output, cut anywhere.
    fn write(&self, index: usize, label: &str, stream: Stream, bytes: &[u8]);

    /// It is done. Nodes are done in any order.
    fn finished(&self, index: usize, result: &HostResult);
}

/// Follows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFanOutOutput;

impl FanOutSink for NoFanOutOutput {
    fn started(&self, _: usize, _: &str) {}

    fn write(&self, _: usize, _: &str, _: Stream, _: &[u8]) {}

    fn finished(&self, _: usize, _: &HostResult) {}
}

/// Runs `command` on all targets, at most [`FanOut::limit`] at once.
///
/// There is one result per target, in the order of the targets; a node that fails keeps no other
/// from its turn. Dropping the future ends everything that runs.
pub async fn fan_out(
    remote: Arc<dyn Remote>,
    targets: Vec<(String, Access)>,
    command: &Command,
    options: &FanOut,
    sink: Arc<dyn FanOutSink>,
) -> Vec<HostResult> {
    let all = Turn {
        remote: &*remote,
        command,
        options,
        deadline: options.total.map(|total| Instant::now() + total),
        sink: &*sink,
    };
    let mut results: Vec<(usize, HostResult)> = stream::iter(targets.into_iter().enumerate())
        .map(|(index, (label, access))| {
            let all = &all;
            async move { (index, all.take(index, label, access).await) }
        })
        .buffer_unordered(options.limit.max(1))
        .collect()
        .await;
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

struct Turn<'a> {
    remote: &'a dyn Remote,
    command: &'a Command,
    options: &'a FanOut,
    deadline: Option<Instant>,
    sink: &'a dyn FanOutSink,
}

impl Turn<'_> {
    async fn take(&self, index: usize, label: String, access: Access) -> HostResult {
        let started = Instant::now();
        self.sink.started(index, &label);
        let outcome = self.run(index, &label, &access, started).await;
        let result = HostResult {
            label,
            access,
            outcome,
            elapsed: started.elapsed(),
        };
        self.sink.finished(index, &result);
        result
    }

    async fn run(
        &self,
        index: usize,
        label: &str,
        access: &Access,
        started: Instant,
    ) -> Result<Output> {
        let mut limit = self.command.timeout.min(self.options.per_host);
        if let Some(deadline) = self.deadline {
            let left = deadline.saturating_duration_since(started);
            if left.is_zero() {
                let total = self.options.total.unwrap_or_default();
                return Err(Error::new(
                    Kind::Timeout,
                    format!(
                        "not started: the limit of {} for all is over",
                        seconds(total)
                    ),
                )
                .with_effect(Effect::None)
                .with_context("host", label));
            }
            limit = limit.min(left);
        }
        let command = Command {
            timeout: limit,
            ..self.command.clone()
        };
        let sink = Labeled {
            index,
            label,
            sink: self.sink,
        };
        // `run` keeps to the limit and knows best what happened by then; this is for one that
        // does not.
        match timeout(limit + GRACE, self.remote.run(access, &command, &sink)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::new(
                Kind::Timeout,
                format!("`{label}` was given up after {}", seconds(limit + GRACE)),
            )
            .with_context("host", label)),
        }
    }
}

struct Labeled<'a> {
    index: usize,
    label: &'a str,
    sink: &'a dyn FanOutSink,
}

impl OutputSink for Labeled<'_> {
    fn write(&self, stream: Stream, bytes: &[u8]) {
        self.sink.write(self.index, self.label, stream, bytes);
    }
}
