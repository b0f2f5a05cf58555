//! One answer: from a flag, from a question on a terminal, or a default.

use std::fmt;

use fleetwright_core::{Error, Kind};
use inquire::validator::Validation;
use inquire::{Confirm, InquireError, Select, Text};

/// Choices that are named in a hint at most.
const LISTED: usize = 20;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Stop {
    /// It cannot be had.
    Failed(Error),
    /// Whoever was asked went away.
    Left,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<InquireError> for Stop {
    fn from(error: InquireError) -> Self {
        match error {
            InquireError::OperationCanceled | InquireError::OperationInterrupted => Self::Left,
            other => Self::Failed(
                Error::new(Kind::Unexpected, "the question could not be asked").with_source(other),
            ),
        }
    }
}

/// Something that can be chosen.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    /// What is written.
    pub(super) value: String,
    /// What is shown.
    pub(super) label: String,
}

impl Choice {
    pub(super) fn plain(value: &str) -> Self {
        Self {
            value: value.to_owned(),
            label: value.to_owned(),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

/// Who is asked, if anybody.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) can_ask: bool,
    /// What the choices made so far cost, shown below every question.
    pub(super) so_far: String,
}

/// One question.
#[derive(Debug)]
pub(super) struct Question<'a> {
    /// The flag that answers it.
    pub(super) flag: &'static str,
    /// What it said.
    pub(super) given: Option<&'a str>,
    /// What is asked on a terminal.
    pub(super) prompt: &'static str,
    /// What it is, for messages: `region`.
    pub(super) what: &'static str,
}

impl Asker {
    /// One of several. A single choice is not asked for.
    pub(super) fn choose(
        &self,
        question: &Question<'_>,
        choices: Vec<Choice>,
        default: Option<&str>,
    ) -> Result<String, Stop> {
        if let Some(given) = question.given {
            if choices.iter().any(|choice| choice.value == given) {
                return Ok(given.to_owned());
            }
            let error = Error::new(
                Kind::Invalid,
                format!("`{given}` is no {} to choose", question.what),
            );
            return Err(error.with_hint(listed(&choices)).into());
        }
        if let [only] = choices.as_slice() {
            return Ok(only.value.clone());
        }
        if !self.can_ask {
            return match default {
                Some(default) => Ok(default.to_owned()),
                None => Err(missing(question, &listed(&choices))),
            };
        }
        let start = choices
            .iter()
            .position(|choice| Some(choice.value.as_str()) == default)
            .unwrap_or(0);
        let chosen = Select::new(question.prompt, choices)
            .with_starting_cursor(start)
            .with_page_size(12)
            .with_help_message(&self.help())
            .prompt()?;
        Ok(chosen.value)
    }

    /// Any text that passes a check; the check says what is wrong.
    pub(super) fn text(
        &self,
        question: &Question<'_>,
        default: Option<&str>,
        check: fn(&str) -> Result<(), Error>,
    ) -> Result<String, Stop> {
        if let Some(given) = question.given {
            check(given).map_err(|error| {
                let hint = error
                    .hint()
                    .unwrap_or("see `fleetwright help init`")
                    .to_owned();
                Error::new(Kind::Invalid, format!("`{}`: {error}", question.flag)).with_hint(hint)
            })?;
            return Ok(given.to_owned());
        }
        if !self.can_ask {
            return match default {
                Some(default) => Ok(default.to_owned()),
                None => Err(missing(question, "")),
            };
        }
        let help = self.help();
        let mut text = Text::new(question.prompt)
            .with_help_message(&help)
            .with_validator(move |written: &str| {
                Ok(match check(written) {
                    Ok(()) => Validation::Valid,
                    Err(error) => {
                        let hint = error.hint().map_or_else(String::new, |h| format!("; {h}"));
                        Validation::Invalid(format!("{error}{hint}").into())
                    }
                })
            });
        if let Some(default) = default {
            text = text.with_default(default);
        }
        Ok(text.prompt()?)
    }

    /// Yes or no; yes if nobody can be asked.
    pub(super) fn confirm(&self, prompt: &str) -> Result<(), Stop> {
        if !self.can_ask {
            return Ok(());
        }
        let agreed = Confirm::new(prompt)
            .with_default(true)
            .with_help_message(&self.help())
            .prompt()?;
        if agreed { Ok(()) } else { Err(Stop::Left) }
    }

    fn help(&self) -> String {
        if self.so_far.is_empty() {
            "nothing chosen yet that costs".to_owned()
        } else {
            self.so_far.clone()
        }
    }
}

fn missing(question: &Question<'_>, choices: &str) -> Stop {
    let error = Error::new(
        Kind::Invalid,
        format!("no {} is given, and nobody can be asked", question.what),
    );
    let hint = if choices.is_empty() {
        format!("add `{} <...>`", question.flag)
    } else {
        format!("add `{} <...>`; {choices}", question.flag)
    };
    error.with_hint(hint).into()
}

fn listed(choices: &[Choice]) -> String {
    let names: Vec<String> = choices
        .iter()
        .take(LISTED)
        .map(|choice| format!("`{}`", choice.value))
        .collect();
    let more = choices.len().saturating_sub(LISTED);
    let rest = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("choices: {}{rest}", names.join(", "))
}
