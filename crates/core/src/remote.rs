//! Running something on a node, with limits.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Access, Result};

/// A way to run commands on nodes.
#[async_trait]
pub trait Remote: Debug + Send + Sync {
    /// Logs in and out again: proves that the node is reachable and is the node we mean.
    ///
    /// # Errors
    /// `Unavailable` or `Timeout` if it does not answer; `Auth` if it refuses our key;
    /// `Conflict` if its host key is not the pinned one.
    async fn reach(&self, access: &Access, timeout: Duration) -> Result<()>;

    /// Runs a command, handing its output to `sink` as it comes.
    ///
    /// A command that ends with a status other than 0 is `Ok`; see [`Output::exit`].
    ///
    /// # Errors
    /// As [`reach`](Self::reach); also `Timeout` (effect unknown) when the limit passes, and
    /// `Unavailable` (effect unknown) when the connection breaks while the command runs.
    async fn run(
        &self,
        access: &Access,
        command: &Command,
        sink: &dyn OutputSink,
    ) -> Result<Output>;
}

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The line given to the node's shell.
    pub line: String,
    /// What is written to its standard input, which is closed afterwards.
    pub stdin: Vec<u8>,
    /// Limit for the whole: connect, log in, run.
    pub timeout: Duration,
    /// Most bytes kept of each stream; what is beyond is dropped from the front. The sink sees
    /// everything.
    pub keep: usize,
}

impl Command {
    /// A command with a limit of 10 minutes that keeps 1 MiB of each stream.
    pub fn new(line: impl Into<String>) -> Self {
        Self {
            line: line.into(),
            stdin: Vec::new(),
            timeout: Duration::from_mins(10),
            keep: 1 << 20,
        }
    }

    /// Sets the limit.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// How a command ended and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// The last bytes of standard output.
    pub stdout: Vec<u8>,
    /// The last bytes of standard error.
    pub stderr: Vec<u8>,
    /// Whether bytes were dropped from the front of either stream.
    pub truncated: bool,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Exit {
    /// By itself.
    Status {
        /// Its exit status.
        code: u32,
    },
    /// By a signal.
    Signal {
        /// Name without `SIG`.
        name: String,
    },
}

impl Exit {
    /// Whether it ended with status 0.
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Status { code: 0 })
    }
}

/// One of the two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Takes output as it comes. Must not block.
pub trait OutputSink: Send + Sync {
    /// Some bytes, cut anywhere.
    fn write(&self, stream: Stream, bytes: &[u8]);
}

/// A sink that drops everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoOutput;

impl OutputSink for NoOutput {
    fn write(&self, _: Stream, _: &[u8]) {}
}
