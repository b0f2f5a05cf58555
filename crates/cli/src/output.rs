//! What is printed: data on stdout, everything else on stderr.

use std::error::Error as _;
use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

use anstream::eprintln;
use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use fleetwright::config::Problems;
use fleetwright_core::{Amount, Error, ErrorReport, HourlyPrice, Kind, Result, Span};
use serde::Serialize;

use crate::exit::{READER_GONE, Signal};

const BAD: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();
const DIM: Style = Style::new().dimmed();

/// How to print: decided once, from the arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Out {
    /// JSON instead of text on stdout.
    pub(crate) json: bool,
    /// No progress.
    pub(crate) quiet: bool,
}

impl Out {
    /// A line about what goes on.
    pub(crate) fn note(self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// A line that stands back.
    pub(crate) fn faint(self, text: &str) {
        if !self.quiet {
            eprintln!("{DIM}{text}{DIM:#}");
        }
    }
}

/// Prints a value as JSON.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|error| {
        Error::new(Kind::Unexpected, "the answer cannot be written as JSON").with_source(error)
    })?;
    line(&text)
}

/// Prints a value as one line of JSON.
pub(crate) fn json_line<T: Serialize>(value: &T) -> Result<()> {
    let text = serde_json::to_string(value).map_err(|error| {
        Error::new(Kind::Unexpected, "the answer cannot be written as JSON").with_source(error)
    })?;
    line(&text)
}

/// Prints a line on stdout.
pub(crate) fn line(text: &str) -> Result<()> {
    writeln!(anstream::stdout(), "{text}").map_err(stdout_failed)
}

/// Prints a table on stdout, without frames, as wide as it needs to be when it is not read on
/// a terminal.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>) -> Result<()> {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(header.iter().copied());
    if !std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    line(&text.join("\n"))
}

/// A line about something that went wrong.
pub(crate) fn error_line(text: &str) {
    eprintln!("{BAD}error{BAD:#}: {text}");
}

/// A line about what the reader can do.
pub(crate) fn hint(text: &str) {
    eprintln!("{HINT}hint{HINT:#}: {text}");
}

/// An error of writing to stdout.
pub(crate) fn stdout_failed(error: std::io::Error) -> Error {
    Error::new(Kind::Unexpected, "stdout cannot be written to").with_source(error)
}

/// Whether the reader of stdout went away, as `head` does when it has enough.
fn is_reader_gone(error: &Error) -> bool {
    error
        .source()
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// What `--json` prints when a command fails.
#[derive(Serialize)]
struct Failure {
    error: ErrorReport,
    /// Each problem of a configuration file by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<ErrorReport>,
}

/// Prints an error: what, why, where, what to do. With `--json` also as an object on stdout.
pub(crate) fn report(error: &Error, json: bool) -> ExitCode {
    if is_reader_gone(error) {
        return READER_GONE.into();
    }
    let mut failure = Failure {
        error: error.report(),
        problems: Vec::new(),
    };
    if let Some(problems) = error
        .source()
        .and_then(|source| source.downcast_ref::<Problems>())
    {
        failure.problems = problems.errors().map(|error| error.report()).collect();
        // They are listed one by one: no need to have them in one line as well.
        failure.error.causes.clear();
    }
    if json && let Ok(text) = serde_json::to_string_pretty(&failure) {
        // Whoever went away learns it from stderr and the status.
        let _ = writeln!(anstream::stdout(), "{text}");
    }
    explain(error);
    failure.error.kind.exit_code().into()
}

/// Prints an error on stderr: what, why, where, what to do.
pub(crate) fn explain(error: &Error) {
    if let Some(shown) = fleetwright::config::render(error) {
        for line in shown.trim_end().lines() {
            if let Some(text) = line.strip_prefix("error: ") {
                error_line(text);
            } else if let Some(text) = line.strip_prefix("hint: ") {
                hint(text);
            } else {
                eprintln!("{line}");
            }
        }
        return;
    }
    let report = error.report();
    error_line(&report.message);
    for cause in &report.causes {
        eprintln!("  cause: {cause}");
    }
    for (name, value) in &report.context {
        for (at, line) in value.trim_end().lines().enumerate() {
            let name = if at == 0 {
                format!("{name}: ")
            } else {
                " ".repeat(name.len() + 2)
            };
            eprintln!("  {name}{line}");
        }
    }
    if let Some(text) = &report.hint {
        hint(text);
    }
}

/// Prints an error of the operating system that came before anything else could work.
pub(crate) fn report_io(what: &str, error: &std::io::Error) -> ExitCode {
    report(
        &Error::new(Kind::Unexpected, what).with_source(error.to_string()),
        false,
    )
}

/// Says that a signal ended the run.
pub(crate) fn report_interrupted(signal: Signal) -> ExitCode {
    eprintln!(
        "{BAD}stopped{BAD:#}: what was begun is in the journal; run the command again to finish it"
    );
    signal.code()
}

/// Logs go to stderr; nothing by default but warnings.
pub(crate) fn start_logging(verbose: u8) {
    use tracing_subscriber::EnvFilter;
    let default = match verbose {
        0 => "warn",
        1 => "warn,fleetwright=debug,fleetwright_engine=debug",
        _ => "trace,russh=info,sqlx=info",
    };
    let filter =
        EnvFilter::try_from_env(fleetwright::env::LOG).unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(anstream::stderr)
        .with_target(verbose > 1)
        .init();
}

/// Sums of money by currency, for a sentence: `$1.20/h and €3.00/h`.
pub(crate) fn money(prices: &[HourlyPrice]) -> String {
    if prices.is_empty() {
        return HourlyPrice::FREE.to_string();
    }
    prices
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" and ")
}

/// Sums of money by currency, for a sentence: `$1.20 and €3.00`.
pub(crate) fn amounts(sums: &[Amount]) -> String {
    if sums.is_empty() {
        return Amount {
            currency: HourlyPrice::FREE.currency,
            micros: 0,
        }
        .to_string();
    }
    sums.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" and ")
}

/// A length of time, to the second below an hour and to the minute above: `59m 3s`, `26h 5m`.
pub(crate) fn runtime(seconds: u64) -> String {
    let shown = if seconds < 3_600 {
        seconds
    } else {
        seconds - seconds % 60
    };
    Span::seconds(shown).to_string()
}

/// `1 node`, `2 nodes`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// A name as people sort it: `web-2` comes before `web-10`.
pub(crate) fn in_order(name: &str) -> (&str, u64, &str) {
    let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (stem, number) = name.split_at(name.len() - digits);
    (stem, number.parse().unwrap_or(0), name)
}

/// A word as a Bourne shell takes it for one.
pub(crate) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// How long ago, in the coarsest unit that says something.
pub(crate) fn age(since: jiff::Timestamp, now: jiff::Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_by_their_number() {
        let mut names = ["web-10", "web-2", "db-3", "web-1"];
        names.sort_by_key(|name| in_order(name));
        assert_eq!(names, ["db-3", "web-1", "web-2", "web-10"]);
    }

    #[test]
    fn words_are_quoted_for_the_shell() {
        assert_eq!(quote("a/b.c"), "a/b.c");
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
    }

    #[test]
    fn a_number_has_its_noun() {
        assert_eq!(count(1, "node"), "1 node");
        assert_eq!(count(0, "node"), "0 nodes");
    }
}
