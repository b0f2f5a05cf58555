//! Our fake of EC2 as a process, and what every contestant on it needs.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use fleetwright_core::{Error, Kind, Result};
use serde_json::Value;

use crate::programs::Programs;
use crate::scratch::Scratch;

/// What boto3 does, for `python -c`.
pub(super) const BOTO3: &str = include_str!("boto3_contestant.py");

/// A running fake. It ends when this is dropped.
pub(super) struct Fake {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Where it is.
    pub(super) endpoint: String,
    /// An image that it has.
    pub(super) image: String,
}

impl Fake {
    /// Starts one; times are in milliseconds.
    pub(super) fn start(
        scratch: &Scratch,
        programs: &Programs,
        latency: &str,
        lag: &str,
        buckets: bool,
    ) -> Result<Self> {
        let mut command = scratch.command(programs.path("bench_fake")?);
        command.args([latency, lag]);
        if buckets {
            command.arg("buckets");
        }
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| Error::new(Kind::NotFound, "cannot start the fake").with_source(e))?;
        let (Some(orders), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(Error::new(Kind::Unexpected, "the fake has no pipes"));
        };
        let mut fake = Self {
            process,
            orders,
            answers: BufReader::new(answers),
            endpoint: String::new(),
            image: String::new(),
        };
        let told = fake.answer()?;
        fake.endpoint = text(&told, "endpoint")?;
        fake.image = text(&told, "image")?;
        Ok(fake)
    }

    /// Asks it something and waits for the answer.
    pub(super) fn ask(&mut self, order: &str) -> Result<Value> {
        writeln!(self.orders, "{order}").map_err(silent)?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(silent)?;
        serde_json::from_str(&line)
            .map_err(|e| Error::new(Kind::Unexpected, "the fake does not say JSON").with_source(e))
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Err(error) = self.process.kill().and_then(|()| self.process.wait()) {
            eprintln!("the fake may still run: {error}");
        }
    }
}

/// Gives a contestant credentials, and nothing else to look for them in.
pub(super) fn credentials(command: &mut Command) -> &mut Command {
    command
        .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_EC2_METADATA_DISABLED", "true")
}

/// A number in an answer.
pub(super) fn number(from: &Value, key: &str) -> Result<f64> {
    from[key]
        .as_f64()
        .ok_or_else(|| Error::new(Kind::Unexpected, format!("no `{key}` in `{from}`")))
}

fn text(from: &Value, key: &str) -> Result<String> {
    from[key]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Error::new(Kind::Unexpected, format!("no `{key}` in `{from}`")))
}

fn silent(error: std::io::Error) -> Error {
    Error::new(Kind::Unexpected, "the fake does not answer").with_source(error)
}
