//! Asking before something that cannot be taken back.

use std::io::{IsTerminal, stderr, stdin};

use fleetwright_core::{Error, Kind, Result};

use crate::args::Consent;
use crate::output;

/// What the user said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Go on.
    Yes,
    /// Nothing is done.
    No,
}

/// Asks a question, unless it was answered in advance. Without a terminal the answer is no, and
/// stderr says how to say yes.
pub(crate) fn ask(consent: Consent, question: &str) -> Result<Answer> {
    if consent.yes {
        return Ok(Answer::Yes);
    }
    if !stdin().is_terminal() || !stderr().is_terminal() {
        output::error_line(&format!(
            "not done, because there is no terminal to ask on: {question}?"
        ));
        output::hint("add `--yes` to agree in advance");
        return Ok(Answer::No);
    }
    let prompt = format!("{question}?");
    match inquire::Confirm::new(&prompt)
        .with_default(false)
        .prompt_skippable()
    {
        Ok(Some(true)) => Ok(Answer::Yes),
        Ok(_) | Err(inquire::InquireError::OperationInterrupted) => {
            output::error_line("not done: nobody agreed");
            Ok(Answer::No)
        }
        Err(error) => {
            Err(Error::new(Kind::Unexpected, "the question could not be asked").with_source(error))
        }
    }
}
