//! Errors that say where, what and why: host, command, exit status, last lines of stderr.

use fleetwright_core::{Command, Effect, Error, Exit, Kind, Output};

/// How many of the last lines of stderr an error carries.
const LINES: usize = 20;
/// The longest command line shown in an error, in characters.
const SHOWN: usize = 200;

/// The error for a command that ended with another status than 0.
///
/// It has the context `host`, `command`, `exit` and `stderr` (the last 20 lines; `stdout` if there
/// is no stderr). Its kind is `Unexpected` and its effect unknown: only the command knows what it
/// did before it failed.
pub fn failure(host: &str, command: &Command, output: &Output) -> Error {
    let exit = match &output.exit {
        Exit::Status { code } => format!("status {code}"),
        Exit::Signal { name } => format!("signal {name}"),
    };
    let error = Error::new(
        Kind::Unexpected,
        format!("`{}` ended with {exit} on `{host}`", shown(&command.line)),
    )
    .with_effect(Effect::Unknown)
    .with_context("host", host)
    .with_context("command", shown(&command.line))
    .with_context("exit", exit);
    let error = with_lines(error, "stderr", &output.stderr);
    if output.stderr.is_empty() {
        with_lines(error, "stdout", &output.stdout)
    } else {
        error
    }
}

/// Adds the last lines of a stream, if it has any.
pub(crate) fn with_lines(error: Error, name: &'static str, bytes: &[u8]) -> Error {
    let lines = last_lines(bytes);
    if lines.is_empty() {
        error
    } else {
        error.with_context(name, lines)
    }
}

/// A command line short enough for one line of an error.
pub(crate) fn shown(line: &str) -> String {
    let first = line.lines().next().unwrap_or_default();
    let mut short: String = first.chars().take(SHOWN).collect();
    if short.len() < line.trim_end().len() {
        short.push_str(" ...");
    }
    short
}

fn last_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_carries_the_last_twenty_lines_only() {
        let lines: Vec<String> = (1..=30).map(|n| format!("line {n}")).collect();
        let stderr = lines.join("\n");
        let error = failure(
            "web-1",
            &Command::new("make\nmore"),
            &Output {
                exit: Exit::Status { code: 2 },
                stdout: b"ignored".to_vec(),
                stderr: stderr.into_bytes(),
                truncated: false,
            },
        );
        assert_eq!(
            error.to_string(),
            "`make ...` ended with status 2 on `web-1`"
        );
        let context: Vec<_> = error.context().collect();
        assert_eq!(context[0], ("host", "web-1"));
        assert_eq!(context[1], ("command", "make ..."));
        assert_eq!(context[2], ("exit", "status 2"));
        assert_eq!(context[3].0, "stderr");
        assert!(context[3].1.starts_with("line 11\n"));
        assert!(context[3].1.ends_with("line 30"));
        assert_eq!(context.len(), 4);
    }
}
