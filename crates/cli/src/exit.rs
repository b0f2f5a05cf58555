//! Exit statuses: one table for errors (in core) and one for outcomes (here).

use std::process::ExitCode;

use fleetwright_core::Kind;

/// How a command ended that did not fail with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All that was asked for.
    Done,
    /// Something is missing: see the last lines on stderr.
    Incomplete,
    /// An audit or validation found something.
    Findings,
    /// Nobody agreed, or there was no terminal to ask on.
    NotConfirmed,
    /// A command on a node failed, or a node was not reached.
    RemoteFailed,
    /// A plan removes more than it may.
    Braked,
    /// Machines were not made because a budget does not allow them.
    OverBudget,
    /// Machines differ from what is expected of them.
    Drift,
    /// Machines could not be reached; as far as is known nothing differs.
    Unreachable,
    /// An error that the command has shown already.
    Failed(Kind),
}

/// The status when the reader of stdout went away: that of a process that `SIGPIPE` ended.
pub(crate) const READER_GONE: u8 = 141;

/// The signal that ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// A polite kill.
    Terminate,
}

/// Statuses of outcomes with their meaning, for the reference.
pub(crate) const OUTCOMES: [(u8, &str); 13] = [
    (0, "done"),
    (2, "wrong arguments on the command line"),
    (
        20,
        "incomplete: something is missing, and stderr says what and why",
    ),
    (
        21,
        "findings: `audit`, `health`, `plan --check` or `validate` found something",
    ),
    (
        22,
        "not confirmed: nobody agreed, or there is no terminal and no `--yes`",
    ),
    (23, "a command on a node failed, or a node was not reached"),
    (24, "braked: the plan removes more than it may"),
    (
        25,
        "over budget: machines were not made because a budget does not allow them",
    ),
    (26, "drift: machines differ from what is expected of them"),
    (
        27,
        "unreachable: machines could not be logged in to, and no other is known to differ",
    ),
    (
        130,
        "interrupted from the keyboard; the next run picks up what was begun",
    ),
    (
        READER_GONE,
        "the reader of stdout went away, as `head` does when it has enough",
    ),
    (143, "terminated; the next run picks up what was begun"),
];

impl Exit {
    pub(crate) const fn status(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Incomplete => 20,
            Self::Findings => 21,
            Self::NotConfirmed => 22,
            Self::RemoteFailed => 23,
            Self::Braked => 24,
            Self::OverBudget => 25,
            Self::Drift => 26,
            Self::Unreachable => 27,
            Self::Failed(kind) => kind.exit_code(),
        }
    }

    pub(crate) fn code(self) -> ExitCode {
        self.status().into()
    }
}

impl Signal {
    pub(crate) fn code(self) -> ExitCode {
        match self {
            Self::Interrupt => 130.into(),
            Self::Terminate => 143.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_in_the_table_and_none_clashes_with_an_error() {
        let all = [
            Exit::Done,
            Exit::Incomplete,
            Exit::Findings,
            Exit::NotConfirmed,
            Exit::RemoteFailed,
            Exit::Braked,
            Exit::OverBudget,
            Exit::Drift,
            Exit::Unreachable,
        ];
        for exit in all {
            assert!(
                OUTCOMES.iter().any(|(status, _)| *status == exit.status()),
                "{exit:?}"
            );
        }
        for (status, _) in OUTCOMES {
            assert!(
                fleetwright_core::Kind::ALL
                    .iter()
                    .all(|kind| kind.exit_code() != status),
                "{status}"
            );
        }
    }
}
