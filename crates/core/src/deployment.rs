//! Deployments: what is brought to many machines, and what became of it on each.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Access, Error, ErrorReport, Exit, Fingerprint, Kind, NodeId, Portion, Result, Span};

/// Which deployment. Sorts by time of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeploymentId(Uuid);

impl DeploymentId {
    /// A new identity.
    #[expect(
        clippy::new_without_default,
        reason = "every call gives another identity"
    )]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for DeploymentId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Uuid::parse_str(text).map(Self).map_err(|e| {
            Error::new(
                Kind::Invalid,
                format!("`{text}` is not the id of a deployment"),
            )
            .with_hint("`fleetwright deploy --list` shows them")
            .with_source(e)
        })
    }
}

/// What is brought to the machines, and in which way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentSpec {
    /// Files and directories that are put there first.
    pub pushes: Vec<DeployedFile>,
    /// A script that is run there after them.
    pub script: Option<DeployedFile>,
    /// A command that is run there last.
    pub command: Option<String>,
    /// A command that must succeed there before the machine counts as done.
    pub check: Option<String>,
    /// What is run where it failed.
    pub rollback: Option<Rollback>,
    /// Whether a failure also takes back what was done on the other machines.
    pub rollback_all: bool,
    /// How many at once, and when it ends.
    pub rollout: RolloutPolicy,
    /// Limit for each machine and each of its steps: connect, log in, run.
    pub timeout: Span,
    /// How often a machine that cannot be connected to is tried again.
    pub retries: u32,
}

impl DeploymentSpec {
    /// The hash of what is brought: files with their content, script, command. How it is brought
    /// is no part of it, and so is what is run to check it.
    pub fn fingerprint(&self) -> Fingerprint {
        let contents = |file: &DeployedFile| (file.to.clone(), file.hash.clone());
        crate::fingerprint(&(
            "deployment",
            self.pushes.iter().map(contents).collect::<Vec<_>>(),
            self.script.as_ref().map(contents),
            &self.command,
        ))
    }

    /// In a few words, for tables.
    pub fn summary(&self) -> String {
        let mut parts: Vec<String> = self
            .pushes
            .iter()
            .map(|push| format!("push {} to {}", push.from, push.to))
            .collect();
        parts.extend(
            self.script
                .iter()
                .map(|script| format!("script {}", script.from)),
        );
        parts.extend(self.command.clone());
        parts.join("; ")
    }
}

/// A file or a directory of the machine that deploys, as it was when the deployment began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployedFile {
    /// Where it is read: an absolute path.
    pub from: String,
    /// Where it is put; empty for a script, which stays nowhere.
    pub to: String,
    /// The hash of its content.
    pub hash: String,
}

/// What is run on a machine where a deployment failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", content = "command", rename_all = "kebab-case")]
pub enum Rollback {
    /// This.
    Command(String),
    /// The command of the last deployment that succeeded on that machine.
    Previous,
}

/// How many machines at once, and when no further ones are begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutPolicy {
    /// So many go first, alone, and all of them must succeed.
    pub canary: Option<Portion>,
    /// So many in each batch after that; absent: all in one.
    pub batch: Option<Portion>,
    /// Most machines at the same time.
    pub parallel: u32,
    /// So many failures are borne; one more, and nothing new is begun. Absent: any number.
    pub max_fail: Option<Portion>,
    /// How long to wait after a batch.
    pub pause: Span,
}

impl Default for RolloutPolicy {
    /// All in one batch, 32 at the same time, bearing any number of failures.
    fn default() -> Self {
        Self {
            canary: None,
            batch: None,
            parallel: 32,
            max_fail: None,
            pause: Span::seconds(0),
        }
    }
}

/// A deployment, as the journal remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Which.
    pub id: DeploymentId,
    /// When it was begun.
    pub began_at: Timestamp,
    /// When it ended; absent: it is under way, or it was interrupted.
    pub ended_at: Option<Timestamp>,
    /// How it ended; absent as `ended_at` is.
    pub outcome: Option<DeploymentOutcome>,
    /// Why it ended like that, in words.
    pub reason: String,
    /// The hash of what is brought.
    pub fingerprint: Fingerprint,
    /// What is brought, and how.
    pub spec: DeploymentSpec,
}

/// How a deployment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeploymentOutcome {
    /// Every machine is right.
    Succeeded,
    /// Every machine had its turn, and not all are right.
    Failed,
    /// Machines had no turn, because others failed or the time was over.
    Stopped,
}

impl DeploymentOutcome {
    /// The name used in JSON and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// A machine of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployedNode {
    /// What tells it from others in the journal: [`Target::key`](crate::Target::key).
    pub key: String,
    /// Its name.
    pub name: String,
    /// The node, if a provider knows it.
    pub node: Option<NodeId>,
    /// How to log in.
    pub access: Access,
    /// How far it is.
    pub state: DeployedState,
    /// When its turn came.
    pub began_at: Option<Timestamp>,
    /// When its turn ended.
    pub ended_at: Option<Timestamp>,
    /// How often it was connected to.
    pub attempts: u32,
    /// How the last thing that was run there ended, if that is known.
    pub exit: Option<Exit>,
    /// Why it did not succeed.
    pub error: Option<ErrorReport>,
    /// The end of what was written to standard output; bytes that are no UTF-8 are replaced.
    pub stdout: String,
    /// The end of what was written to standard error.
    pub stderr: String,
    /// What was run to take it back, and how that ended.
    pub rolled_back: Option<RolledBack>,
}

/// How taking back ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolledBack {
    /// What was run; absent: nothing was known that could be.
    pub command: Option<String>,
    /// Whether it ended with status 0.
    pub succeeded: bool,
    /// How, in words.
    pub reason: String,
}

/// How far a machine of a deployment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeployedState {
    /// Its turn has not come.
    Waiting,
    /// It is its turn. In a deployment that nobody carries out any more: nobody knows.
    Running,
    /// Everything ended with status 0 there.
    Succeeded,
    /// It was right before, and was left alone.
    Skipped,
    /// Something ended with another status, or by a signal.
    Failed,
    /// Nothing was begun there: nobody could log in.
    Unreachable,
    /// Something was begun there, and its end was not seen.
    Unknown,
}

impl DeployedState {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Running,
        Self::Succeeded,
        Self::Skipped,
        Self::Failed,
        Self::Unreachable,
        Self::Unknown,
    ];

    /// The name used in JSON, journal and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Unreachable => "unreachable",
            Self::Unknown => "unknown",
        }
    }

    /// Whether the machine is as the deployment wants it.
    pub const fn is_right(self) -> bool {
        matches!(self, Self::Succeeded | Self::Skipped)
    }

    /// Whether its turn ended without success.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Unreachable | Self::Unknown)
    }
}

impl fmt::Display for DeployedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(command: &str) -> DeploymentSpec {
        DeploymentSpec {
            pushes: Vec::new(),
            script: None,
            command: Some(command.to_owned()),
            check: None,
            rollback: None,
            rollback_all: false,
            rollout: RolloutPolicy::default(),
            timeout: Span::minutes(10),
            retries: 2,
        }
    }

    #[test]
    fn what_is_brought_counts_and_not_how() {
        let plain = spec("switch").fingerprint();
        let mut slow = spec("switch");
        slow.rollout.parallel = 1;
        slow.check = Some("true".to_owned());
        assert_eq!(slow.fingerprint(), plain);
        assert_ne!(spec("other").fingerprint(), plain);
        let file = |hash: &str| DeployedFile {
            from: "/here/a".into(),
            to: "/etc/a".into(),
            hash: hash.into(),
        };
        let mut first = spec("switch");
        first.pushes.push(file("1"));
        let mut second = spec("switch");
        second.pushes.push(file("2"));
        assert_ne!(first.fingerprint(), second.fingerprint());
    }
}
