//! Secrets by reference: `env:NAME`, `file:path`, `command:...`.
//!
//! A configuration file is shared and committed; a secret is neither. So the file only says where
//! a secret is to be had, and the secret is fetched when it is needed.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::str::FromStr;
use std::time::Duration;

use fleetwright_core::{Error, Kind, Result, Secret};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::env::Environment;

/// How long a `command:` may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// Where a secret is to be had.
///
/// ```
/// use fleetwright::SecretRef;
///
/// let token: SecretRef = "env:CLOUD_TOKEN".parse().unwrap();
/// assert_eq!(token.to_string(), "env:CLOUD_TOKEN");
/// assert!("hunter2".parse::<SecretRef>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file that holds nothing else. A relative path starts at the configuration file.
    File(PathBuf),
    /// A shell command that prints it on standard output within 30 seconds.
    Command(String),
}

impl SecretRef {
    /// Fetches the secret. White space at its end is cut off.
    ///
    /// # Errors
    /// [`Kind::Config`] if it is not to be had or is empty; the message names the reference and
    /// never what was found there.
    pub async fn resolve(&self, environment: &Environment, base: &Path) -> Result<Secret> {
        let found = match self {
            Self::Env(name) => environment
                .text(name)?
                .map(Secret::new)
                .ok_or_else(|| self.error("the variable is not set"))?,
            Self::File(path) => {
                let path = environment.expand(path, base);
                tokio::fs::read_to_string(&path)
                    .await
                    .map(Secret::new)
                    .map_err(|error| {
                        self.error("the file cannot be read")
                            .with_context("file", path.display().to_string())
                            .with_source(error)
                    })?
            }
            Self::Command(line) => self.run(line, base).await?,
        };
        let trimmed = Secret::new(found.reveal().trim_end());
        if trimmed.reveal().is_empty() {
            return Err(self.error("it is empty"));
        }
        Ok(trimmed)
    }

    async fn run(&self, line: &str, base: &Path) -> Result<Secret> {
        let child = tokio::process::Command::new("sh")
            .args(["-c", line])
            .current_dir(base)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(COMMAND_LIMIT, child)
            .await
            .map_err(|_| self.error("the command did not end within 30s"))?
            .map_err(|error| self.error("the command cannot be run").with_source(error))?;
        if !output.status.success() {
            // Only its last words: standard output may hold a part of the secret.
            let stderr = String::from_utf8_lossy(&output.stderr);
            let last = stderr.lines().last().unwrap_or("nothing on stderr");
            return Err(self.error(&format!("the command ended with {}: {last}", output.status)));
        }
        String::from_utf8(output.stdout)
            .map(Secret::new)
            .map_err(|_| self.error("the command printed something that is not UTF-8"))
    }

    fn error(&self, why: &str) -> Error {
        Error::new(Kind::Config, format!("no secret at `{self}`: {why}"))
    }
}

impl FromStr for SecretRef {
    type Err = Error;

    /// The text itself is never repeated in the error: it may be the secret.
    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("command", line)) if !line.is_empty() => Ok(Self::Command(line.to_owned())),
            _ => Err(
                Error::new(Kind::Config, "a secret must be given by reference")
                    .with_hint("write `env:NAME`, `file:path` or `command:...`"),
            ),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Command(line) => write!(f, "command:{line}"),
        }
    }
}

impl Serialize for SecretRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for SecretRef {
    fn schema_name() -> Cow<'static, str> {
        "SecretRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Where a secret is to be had: `env:NAME`, `file:path` or `command:...`.",
            "pattern": "^(env|file|command):.+",
            "examples": ["env:CLOUD_TOKEN", "file:~/.secrets/cloud", "command:pass show cloud"],
        })
    }
}
