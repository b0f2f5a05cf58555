//! The turn of one machine: look whether it is right already, bring everything, check, and take
//! back what failed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fleetwright_core::{
    Clock, Command, DeployedNode, DeployedState, Deployment, Effect, Error, Exit, Kind, OutputSink,
    Remote, Result, Rollback, RolledBack, Stream,
};
use fleetwright_store::Store;
use jiff::Timestamp;

use super::DeploySink;
use super::payload::Payload;
use crate::life::elapsed;
use crate::targets::in_words;

/// Bytes that are kept of each stream.
const KEPT: usize = 16 << 10;
/// The pause before the first repetition; it doubles.
const BACK_OFF: Duration = Duration::from_secs(1);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);

/// What all turns of a deployment share.
pub(super) struct Turn<'a> {
    pub(super) store: &'a Store,
    pub(super) clock: &'a dyn Clock,
    pub(super) remote: &'a dyn Remote,
    pub(super) deployment: &'a Deployment,
    pub(super) payload: &'a Payload,
    pub(super) force: bool,
    pub(super) deadline: Option<Timestamp>,
    pub(super) sink: &'a dyn DeploySink,
}

/// How one step ended.
enum Step {
    Done,
    Ended(Exit),
    /// It was certainly not begun.
    NotBegun(Error),
    /// It was begun, perhaps.
    Lost(Error),
}

impl Turn<'_> {
    /// Does all that is to be done on a machine.
    ///
    /// # Errors
    /// Only from the journal.
    pub(super) async fn take(&self, mut node: DeployedNode) -> Result<DeployedNode> {
        node.stdout.clear();
        node.stderr.clear();
        let tail = Tail::new(&node.name, self.sink);
        self.bring(&mut node, &tail).await?;
        let (stdout, stderr) = tail.into_texts();
        node.stdout = stdout;
        node.stderr = stderr;
        node.ended_at = Some(self.clock.now());
        if node.state == DeployedState::Failed {
            self.take_back(&mut node).await?;
        }
        Ok(node)
    }

    async fn bring(&self, node: &mut DeployedNode, tail: &Tail<'_>) -> Result<()> {
        let spec = &self.deployment.spec;
        let check = spec.check.as_ref().map(|line| self.command(line));
        if let Some(check) = check.as_ref().filter(|_| !self.force) {
            let last = self
                .store
                .last_deployed_before(&node.key, self.deployment.id)
                .await?;
            if last.is_some_and(|last| last.is(&self.deployment.fingerprint)) {
                match self.step(node, check, tail).await {
                    Step::Done => {
                        node.state = DeployedState::Skipped;
                        return Ok(());
                    }
                    // It is not right any more.
                    Step::Ended(_) => {}
                    Step::NotBegun(error) => {
                        fail(node, DeployedState::Unreachable, &error);
                        return Ok(());
                    }
                    Step::Lost(error) => {
                        fail(node, DeployedState::Unknown, &error);
                        return Ok(());
                    }
                }
            }
        }
        let mut was_begun = false;
        let steps = self.payload.steps.iter().chain(&check);
        for command in steps {
            match self.step(node, command, tail).await {
                Step::Done => {
                    was_begun = true;
                    node.exit = Some(Exit::Status { code: 0 });
                }
                Step::Ended(exit) => {
                    node.exit = Some(exit.clone());
                    let is_check = check.as_ref() == Some(command);
                    let what = if is_check { "the check" } else { "it" };
                    let error = Error::new(
                        Kind::Unexpected,
                        format!("{what} ended with {}", in_words(&exit)),
                    );
                    fail(node, DeployedState::Failed, &error);
                    return Ok(());
                }
                // Something was done, and what follows certainly was not: that is no riddle.
                Step::NotBegun(error) if was_begun => {
                    fail(node, DeployedState::Failed, &error);
                    return Ok(());
                }
                Step::NotBegun(error) => {
                    fail(node, DeployedState::Unreachable, &error);
                    return Ok(());
                }
                Step::Lost(error) => {
                    fail(node, DeployedState::Unknown, &error);
                    return Ok(());
                }
            }
        }
        node.state = DeployedState::Succeeded;
        Ok(())
    }

    fn command(&self, line: &str) -> Command {
        Command::new(line).with_timeout(self.deployment.spec.timeout.0)
    }

    /// Runs one command. Only what was certainly not begun, for want of a connection, is tried
    /// again.
    async fn step(&self, node: &mut DeployedNode, command: &Command, tail: &Tail<'_>) -> Step {
        let mut pause = BACK_OFF;
        let mut tries = 0;
        loop {
            let mut command = command.clone();
            // What it says goes to the sink; nothing else needs to keep it.
            command.keep = 0;
            if let Some(deadline) = self.deadline {
                let now = self.clock.now();
                if deadline <= now {
                    let error = Error::new(Kind::Timeout, "the limit for all is over")
                        .with_effect(Effect::None);
                    return Step::NotBegun(error);
                }
                command.timeout = command.timeout.min(elapsed(now, deadline));
            }
            node.attempts += 1;
            tries += 1;
            let error = match self.remote.run(&node.access, &command, tail).await {
                Ok(output) if output.exit.is_success() => return Step::Done,
                Ok(output) => return Step::Ended(output.exit),
                Err(error) => error,
            };
            if error.effect() == Effect::Unknown {
                return Step::Lost(error);
            }
            let helps = matches!(error.kind(), Kind::Unavailable | Kind::Timeout);
            if !helps || tries > self.deployment.spec.retries {
                return Step::NotBegun(error);
            }
            self.sink.retried(&node.name, tries, &error);
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_BACK_OFF);
        }
    }

    /// Runs what takes the deployment back on a machine, if that is asked for.
    pub(super) async fn take_back(&self, node: &mut DeployedNode) -> Result<()> {
        let line = match &self.deployment.spec.rollback {
            None => return Ok(()),
            Some(Rollback::Command(line)) => line.clone(),
            Some(Rollback::Previous) => {
                let previous = self
                    .store
                    .previous_deployment(&node.key, self.deployment)
                    .await?;
                let Some(line) = previous.and_then(|one| only_command(&one)) else {
                    node.rolled_back = Some(RolledBack {
                        command: None,
                        succeeded: false,
                        reason: "no earlier deployment of a plain command succeeded here"
                            .to_owned(),
                    });
                    return Ok(());
                };
                line
            }
        };
        let tail = Tail::new(&node.name, self.sink);
        let command = self.command(&line);
        // A copy: what is counted and kept of the deployment itself stays.
        let mut counted = node.clone();
        let (succeeded, reason) = match self.step(&mut counted, &command, &tail).await {
            Step::Done => (true, in_words(&Exit::Status { code: 0 })),
            Step::Ended(exit) => {
                let (_, stderr) = tail.into_texts();
                let last = stderr.lines().last().unwrap_or_default();
                let words = in_words(&exit);
                let colon = if last.is_empty() { "" } else { ": " };
                (false, format!("{words}{colon}{last}"))
            }
            Step::NotBegun(error) => (false, error.report().to_string()),
            Step::Lost(error) => (false, format!("its end was not seen: {}", error.report())),
        };
        node.rolled_back = Some(RolledBack {
            command: Some(line),
            succeeded,
            reason,
        });
        Ok(())
    }
}

fn fail(node: &mut DeployedNode, state: DeployedState, error: &Error) {
    node.state = state;
    node.error = Some(error.report());
}

/// The command of a deployment that brought nothing else: files of old may be gone.
fn only_command(deployment: &Deployment) -> Option<String> {
    let spec = &deployment.spec;
    let is_plain = spec.pushes.is_empty() && spec.script.is_none();
    spec.command.clone().filter(|_| is_plain)
}

/// Hands output on and keeps the end of it.
struct Tail<'a> {
    name: String,
    sink: &'a dyn DeploySink,
    kept: Mutex<[Vec<u8>; 2]>,
}

impl<'a> Tail<'a> {
    fn new(name: &str, sink: &'a dyn DeploySink) -> Self {
        Self {
            name: name.to_owned(),
            sink,
            kept: Mutex::default(),
        }
    }

    fn into_texts(self) -> (String, String) {
        let [stdout, stderr] = self
            .kept
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        (text(&stdout), text(&stderr))
    }
}

impl OutputSink for Tail<'_> {
    fn write(&self, stream: Stream, bytes: &[u8]) {
        self.sink.write(&self.name, stream, bytes);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let end = match stream {
            Stream::Stdout => &mut kept[0],
            Stream::Stderr => &mut kept[1],
        };
        end.extend_from_slice(bytes);
        // Cutting moves what stays, so it is done rarely.
        if end.len() > 4 * KEPT {
            end.drain(..end.len() - KEPT);
        }
    }
}

/// The last bytes as text, from the beginning of a line if there is one. PostgreSQL takes no NUL.
fn text(bytes: &[u8]) -> String {
    let mut end = &bytes[bytes.len().saturating_sub(KEPT)..];
    if end.len() < bytes.len()
        && let Some(line) = end.iter().position(|byte| *byte == b'\n')
        // One line that is longer than all that is kept is not dropped for its end.
        && line + 1 < end.len()
    {
        end = &end[line + 1..];
    }
    String::from_utf8_lossy(end).replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_much_output_is_kept_and_binary_is_made_readable() {
        let lines = (0..100_000).fold(String::new(), |lines, line| {
            lines + &format!("line {line}\n")
        });
        let kept = text(lines.as_bytes());
        assert!(kept.len() <= KEPT);
        assert!(
            kept.starts_with("line ") && kept.ends_with("line 99999\n"),
            "{kept}"
        );
        let one_line = "a".repeat(100_000) + "end\n";
        let kept = text(one_line.as_bytes());
        assert_eq!(kept.len(), KEPT);
        assert!(kept.ends_with("aend\n"), "{kept}");
        assert_eq!(text(b"\xffa\0b"), "\u{fffd}a\u{fffd}b");
    }
}
