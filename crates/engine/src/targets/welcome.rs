//! The first thing that is run on a machine that was not there before.
//!
//! A welcome is written down before it is begun and again when it has ended, both on disk. A
//! process that dies in between leaves "begun" behind, and after the longest time that a welcome
//! may take the next process runs it again: a machine is never left without its welcome, and the
//! price is that the command may see a machine on which it has already been at work. The other way
//! round (only written down before) would lose it for good, and nobody would know.

use std::time::Duration;

use fleetwright_core::{
    Command, EventKind, Exit, NoOutput, Remote, Result, Target, TargetGroupName,
};
use fleetwright_store::{WelcomeRecord, WelcomeState};
use futures::StreamExt as _;
use futures::stream;
use jiff::Timestamp;

use crate::Engine;
use crate::life::elapsed;

/// Limit of one welcome.
const LIMIT: Duration = Duration::from_mins(10);
/// When a welcome that was begun and whose end is not known is run again: its process must be dead.
const LOST: Duration = Duration::from_mins(11);
/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_mins(1);
/// How often it is tried.
const TRIES: u32 = 5;
/// Machines at the same time.
const AT_ONCE: usize = 16;

/// What became of the welcomes of one round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Welcomes {
    /// Machines on which the command ended with status 0.
    pub done: usize,
    /// Machines on which it did not.
    pub failed: usize,
}

impl Engine {
    /// Runs the `welcome` command of its group on every target that has not had it: once, whoever
    /// else looks at the same time. One that fails is tried again by later calls, five times in all.
    ///
    /// # Errors
    /// Only from the journal.
    pub async fn welcome(&self, targets: &[Target]) -> Result<Welcomes> {
        let Some(remote) = &self.remote else {
            return Ok(Welcomes::default());
        };
        let mut due = Vec::new();
        for target in targets {
            let Some(TargetGroupName::Targets(group)) = &target.group else {
                continue;
            };
            let group = self.fleet.targets.get_key_value(group);
            let Some((group, command)) =
                group.and_then(|(name, group)| Some((name, group.welcome.as_ref()?)))
            else {
                continue;
            };
            let known = self.store.welcome(group, &target.key()).await?;
            let now = self.clock.now();
            if is_due(known.as_ref(), now)
                && self
                    .store
                    .begin_welcome(group, &target.key(), known.as_ref(), now)
                    .await?
            {
                due.push((group, target, command));
            }
        }
        let ended: Vec<Result<bool>> = stream::iter(due)
            .map(|(group, target, command)| self.welcome_one(&**remote, group, target, command))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let mut all = Welcomes::default();
        for one in ended {
            if one? {
                all.done += 1;
            } else {
                all.failed += 1;
            }
        }
        self.recorder.flush().await?;
        Ok(all)
    }

    async fn welcome_one(
        &self,
        remote: &dyn Remote,
        group: &str,
        target: &Target,
        command: &str,
    ) -> Result<bool> {
        let command = Command::new(command).with_timeout(LIMIT);
        let (state, reason) = match remote.run(&target.access, &command, &NoOutput).await {
            Ok(output) if output.exit.is_success() => (WelcomeState::Done, "status 0".to_owned()),
            Ok(output) => (WelcomeState::Failed, in_words(&output.exit)),
            Err(error) => (WelcomeState::Failed, error.report().to_string()),
        };
        let now = self.clock.now();
        self.store
            .end_welcome(group, &target.key(), state, &reason, now)
            .await?;
        let succeeded = state == WelcomeState::Done;
        self.recorder.note(EventKind::Welcomed {
            node: target.node.clone(),
            name: target.name.clone(),
            succeeded,
            reason,
        });
        Ok(succeeded)
    }
}

fn is_due(known: Option<&WelcomeRecord>, now: Timestamp) -> bool {
    match known {
        None => true,
        Some(known) => {
            let age = elapsed(known.at, now);
            known.tries < TRIES
                && match known.state {
                    WelcomeState::Done => false,
                    WelcomeState::Begun => age > LOST,
                    WelcomeState::Failed => age > AGAIN,
                }
        }
    }
}

/// How a command ended, for a sentence.
pub(crate) fn in_words(exit: &Exit) -> String {
    match exit {
        Exit::Status { code } => format!("status {code}"),
        Exit::Signal { name } => format!("signal {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_welcome_is_due_until_it_is_done_and_a_lost_one_comes_again() {
        let now = Timestamp::from_second(100_000).unwrap();
        let record = |state, tries, minutes: i64| WelcomeRecord {
            state,
            tries,
            at: Timestamp::from_second(100_000 - 60 * minutes).unwrap(),
        };
        assert!(is_due(None, now));
        for (state, tries, minutes, expected) in [
            (WelcomeState::Done, 1, 1_000, false),
            (WelcomeState::Begun, 1, 5, false),
            (WelcomeState::Begun, 1, 12, true),
            (WelcomeState::Failed, 1, 0, false),
            (WelcomeState::Failed, 1, 2, true),
            (WelcomeState::Failed, TRIES, 1_000, false),
        ] {
            let known = record(state, tries, minutes);
            assert_eq!(is_due(Some(&known), now), expected, "{known:?}");
        }
    }
}
