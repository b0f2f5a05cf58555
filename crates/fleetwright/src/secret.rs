//! Secrets by reference: `env:NAME`, `file:path`, `command:...`.
//!
//! A configuration file is shared and committed; a secret is neither. So the file only says where
//! a secret is to be had, and the secret is fetched when it is needed.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::{Error, Kind, Result, Secret, SecretRef, SecretSource, Span};

use crate::env::Environment;

/// How long a `command:` may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// Fetches secrets from an environment, from files and from commands.
#[derive(Debug, Clone)]
pub struct SecretReader {
    environment: Environment,
    base: PathBuf,
    command_limit: Duration,
}

impl SecretReader {
    /// A reader for a configuration whose relative paths start at `base`.
    pub fn new(environment: Environment, base: impl Into<PathBuf>) -> Self {
        Self {
            environment,
            base: base.into(),
            command_limit: COMMAND_LIMIT,
        }
    }

    /// Sets how long a `command:` may take; otherwise it is 30 seconds.
    #[must_use]
    pub fn with_command_limit(mut self, limit: Duration) -> Self {
        self.command_limit = limit;
        self
    }
}

#[async_trait]
impl SecretSource for SecretReader {
    async fn fetch(&self, reference: &SecretRef) -> Result<Secret> {
        let found = match reference {
            SecretRef::Env(name) => self
                .environment
                .text(name)?
                .map(Secret::new)
                .ok_or_else(|| refusal(reference, "the variable is not set"))?,
            SecretRef::File(path) => {
                let path = self.environment.expand(path, &self.base);
                tokio::fs::read_to_string(&path)
                    .await
                    .map(Secret::new)
                    .map_err(|error| {
                        refusal(reference, "the file cannot be read")
                            .with_context("file", path.display().to_string())
                            .with_source(error)
                    })?
            }
            SecretRef::Command(line) => self.run(reference, line).await?,
        };
        let trimmed = Secret::new(found.reveal().trim_end());
        if trimmed.reveal().is_empty() {
            return Err(refusal(reference, "it is empty"));
        }
        Ok(trimmed)
    }
}

impl SecretReader {
    async fn run(&self, reference: &SecretRef, line: &str) -> Result<Secret> {
        let child = tokio::process::Command::new("sh")
            .args(["-c", line])
            .current_dir(&self.base)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(self.command_limit, child)
            .await
            .map_err(|_| {
                let limit = Span(self.command_limit);
                refusal(
                    reference,
                    &format!("the command did not end within {limit}"),
                )
            })?
            .map_err(|error| refusal(reference, "the command cannot be run").with_source(error))?;
        if !output.status.success() {
            // Only its last words: standard output may hold a part of the secret.
            let stderr = String::from_utf8_lossy(&output.stderr);
            let last = stderr.lines().last().unwrap_or("nothing on stderr");
            let why = format!("the command ended with {}: {last}", output.status);
            return Err(refusal(reference, &why));
        }
        String::from_utf8(output.stdout)
            .map(Secret::new)
            .map_err(|_| refusal(reference, "the command printed something that is not UTF-8"))
    }
}

fn refusal(reference: &SecretRef, why: &str) -> Error {
    Error::new(Kind::Config, format!("no secret at `{reference}`: {why}")).with_hint(
        "a secret is taken from a variable (`env:NAME`), a file (`file:path`) or what a program \
         prints (`command:...`)",
    )
}
