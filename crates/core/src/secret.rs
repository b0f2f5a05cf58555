//! A string that does not show itself, and where one is to be had.

use std::borrow::Cow;
use std::fmt::{self, Debug};
use std::path::PathBuf;
use std::str::FromStr;

use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::{Error, Kind, Result};

/// A string whose `Debug`, `Display` and `Serialize` say `[redacted]`, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

const REDACTED: &str = "[redacted]";

impl Secret {
    /// Wraps a string.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// Shows the string, for the one place that must send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

/// Where a secret is to be had: a configuration never holds the secret itself.
///
/// ```
/// use fleetwright_core::SecretRef;
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
    /// A shell command that prints it on standard output.
    Command(String),
}

/// Fetches secrets. Handed to providers, so that they look neither at the environment nor at files.
#[async_trait]
pub trait SecretSource: Debug + Send + Sync {
    /// Fetches the secret. White space at its end is cut off.
    ///
    /// # Errors
    /// [`Kind::Config`] if it is not to be had or is empty; the message names the reference and
    /// never what was found there.
    async fn fetch(&self, reference: &SecretRef) -> Result<Secret>;
}

// === impl SecretRef ===

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_format_shows_the_secret() {
        let secret = Secret::new("hunter2");
        let shown = format!(
            "{secret} {secret:?} {}",
            serde_json::to_string(&secret).unwrap()
        );
        assert_eq!(shown, r#"[redacted] [redacted] "[redacted]""#);
        assert_eq!(secret.reveal(), "hunter2");
    }
}
