//! Durations as people write them: `90s`, `5m`, `1h 30m`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Kind, Result};

/// A length of time that reads and prints as `90s`, `5m`, `2h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// A span of whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A span of whole minutes.
    pub const fn minutes(minutes: u64) -> Self {
        Self(Duration::from_secs(minutes * 60))
    }
}

/// Reads a duration such as `90s`, `5m`, `1h 30m`, `250ms`.
///
/// # Errors
/// [`Kind::Invalid`] with a hint on how to write it.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let bad = || {
        Error::new(Kind::Invalid, format!("`{text}` is not a duration"))
            .with_hint("write it as `90s`, `5m`, `1h 30m`")
    };
    let parsed: jiff::SignedDuration = text.trim().parse().map_err(|e| bad().with_source(e))?;
    Duration::try_from(parsed).map_err(|_| bad())
}

impl FromStr for Span {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse_duration(text).map(Self)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::SignedDuration::try_from(self.0) {
            Ok(span) => write!(f, "{span:#}"),
            Err(_) => write!(f, "{}s", self.0.as_secs()),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error: Error| {
            serde::de::Error::custom(format!("{error}, {}", error.hint().unwrap_or("")))
        })
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A duration such as `90s`, `5m`, `1h 30m`.",
            "examples": ["90s", "5m"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_print_what_they_parse() {
        for text in ["1s", "1m 30s", "2h", "250ms"] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }
        assert_eq!("1h 30m".parse::<Span>().unwrap(), Span::minutes(90));
        for bad in ["", "5", "-5s", "soon"] {
            assert_eq!(
                bad.parse::<Span>().unwrap_err().kind(),
                Kind::Invalid,
                "{bad}"
            );
        }
    }
}
