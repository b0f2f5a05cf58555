//! Brakes: how many machines may be disturbed at once, and when.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Kind, Result, Span, Zone};

/// A part of some machines: a number, or a percentage.
///
/// ```
/// use fleetwright_core::Portion;
///
/// let tenth: Portion = "10%".parse().unwrap();
/// assert_eq!((tenth.rounded_up(15), tenth.rounded_down(15)), (2, 1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Portion {
    /// So many.
    Number(u32),
    /// So many of a hundred.
    Percent(u8),
}

impl Portion {
    /// So many of `all`; a part of one counts as one.
    pub fn rounded_up(self, all: usize) -> usize {
        match self {
            Self::Number(number) => usize::try_from(number).unwrap_or(usize::MAX),
            Self::Percent(percent) => (all * usize::from(percent)).div_ceil(100),
        }
    }

    /// So many of `all`; a part of one does not count.
    pub fn rounded_down(self, all: usize) -> usize {
        match self {
            Self::Number(number) => usize::try_from(number).unwrap_or(usize::MAX),
            Self::Percent(percent) => all * usize::from(percent) / 100,
        }
    }
}

impl FromStr for Portion {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            Error::new(
                Kind::Invalid,
                format!("`{text}` is neither a number nor a percentage"),
            )
            .with_hint("write `2`, or `10%` (up to `100%`)")
        };
        match text.strip_suffix('%') {
            Some(percent) => match percent.parse::<u8>() {
                Ok(percent) if percent <= 100 => Ok(Self::Percent(percent)),
                _ => Err(bad()),
            },
            None => text.parse().map(Self::Number).map_err(|_| bad()),
        }
    }
}

impl fmt::Display for Portion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Serialize for Portion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Portion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Portion {
    fn schema_name() -> Cow<'static, str> {
        "Portion".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^([0-9]+|[0-9]{1,3}%)$",
            "description": "A number of machines, or a percentage: `2`, `10%`."
        })
    }
}

/// How many machines of a pool may be disturbed at once, by whoever heals, deploys or replaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Disruption {
    /// Budgets, of which the tightest that holds counts. Machines that are down count as disturbed.
    pub budgets: Vec<DisruptionBudget>,
    /// Beyond this share of unhealthy or unreachable machines nothing is disturbed at all: then
    /// something else is wrong.
    pub max_unhealthy: Portion,
    /// So many machines are healed first. Only when that has helped the others follow.
    pub canary: u32,
    /// Whether the machine that takes another's place is ready before that one is removed.
    pub replace_first: bool,
}

/// How many machines may be disturbed, always or at some times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DisruptionBudget {
    /// How many; a percentage is of all machines of the pool, rounded up. `0`: none.
    pub nodes: Portion,
    /// When it begins to hold, in the five fields of cron: `0 9 * * mon-fri`. Absent: it always
    /// holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// How long it holds each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
    /// The time zone of `schedule`, by its IANA name. Absent: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<Zone>,
}

impl Default for Disruption {
    fn default() -> Self {
        Self {
            budgets: vec![DisruptionBudget {
                nodes: Portion::Percent(10),
                schedule: None,
                duration: None,
                time_zone: None,
            }],
            max_unhealthy: Portion::Percent(50),
            canary: 1,
            replace_first: true,
        }
    }
}

impl Disruption {
    /// Whether nothing is configured.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_are_read_and_counted() {
        let one: Portion = "1".parse().unwrap();
        assert_eq!((one.rounded_up(0), one.rounded_down(9)), (1, 1));
        let all: Portion = "100%".parse().unwrap();
        assert_eq!(all.rounded_down(7), 7);
        let few: Portion = "1%".parse().unwrap();
        assert_eq!((few.rounded_up(3), few.rounded_down(3)), (1, 0));
        for text in ["", "%", "101%", "-1", "1.5", "10 %"] {
            assert!(text.parse::<Portion>().is_err(), "{text}");
        }
    }
}
