//! How to choose among offers: one strategy, or several.
//!
//! Of several strategies each orders what those before it hold for equal: in
//! `["availability", "cost"]` the first makes groups and the next ranks within each.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How to choose among offers.
///
/// In the configuration a word (`"cost"`), or a table for what has a parameter:
/// `{ spread = "zones", max_skew = 2 }`. The word `"spread"` is `{ spread = "zones" }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The order of the candidates, or their `priority` where they have one.
    Priority,
    /// Cheapest first; offers without a price last.
    Cost,
    /// Known to be available first, then unknown, then lately refused.
    Availability,
    /// Each candidate in turn, as often as its weight says. Without candidates: each provider.
    RoundRobin,
    /// Evenly over zones, regions or providers, with the nodes counted that are there.
    Spread(Spread),
}

/// A strategy that has no parameter, or is meant with its defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StrategyName {
    /// The order of the candidates, or their `priority` where they have one.
    Priority,
    /// Cheapest first; offers without a price last.
    Cost,
    /// Known to be available first, then unknown, then lately refused.
    Availability,
    /// Each candidate in turn, as often as its weight says. Without candidates: each provider.
    RoundRobin,
    /// Evenly over zones.
    Spread,
}

/// Evenly over places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Over what.
    #[serde(rename = "spread")]
    pub over: Domain,
    /// By how many nodes one place may be ahead of the emptiest that has an offer. As long as none
    /// is, the next strategy decides. At least 1.
    #[serde(default = "one")]
    pub max_skew: u32,
}

/// What nodes are spread over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Domain {
    /// Zones. An offer that leaves the zone to the provider stands for its whole region.
    Zones,
    /// Regions.
    Regions,
    /// Providers.
    Providers,
}

/// One strategy or several, of which each orders what those before it hold for equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strategies(Vec<Strategy>);

const fn one() -> u32 {
    1
}

// === impl Domain ===

impl Domain {
    /// The name used in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Zones => "zones",
            Self::Regions => "regions",
            Self::Providers => "providers",
        }
    }
}

// === impl Spread ===

impl Spread {
    /// Over these, with a skew of one node.
    pub const fn over(over: Domain) -> Self {
        Self { over, max_skew: 1 }
    }
}

// === impl Strategy ===

impl Strategy {
    /// The name used in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::Cost => "cost",
            Self::Availability => "availability",
            Self::RoundRobin => "round-robin",
            Self::Spread(_) => "spread",
        }
    }

    /// Whether each machine that is placed changes where the next one goes.
    pub const fn takes_turns(self) -> bool {
        matches!(self, Self::RoundRobin | Self::Spread(_))
    }
}

impl From<StrategyName> for Strategy {
    fn from(name: StrategyName) -> Self {
        match name {
            StrategyName::Priority => Self::Priority,
            StrategyName::Cost => Self::Cost,
            StrategyName::Availability => Self::Availability,
            StrategyName::RoundRobin => Self::RoundRobin,
            StrategyName::Spread => Self::Spread(Spread::over(Domain::Zones)),
        }
    }
}

impl fmt::Display for Strategy {
    /// `cost`, `spread over zones`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spread(spread) => write!(f, "spread over {}", spread.over.as_str()),
            other => f.write_str(other.as_str()),
        }
    }
}

impl Serialize for Strategy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Spread(spread) => spread.serialize(serializer),
            other => serializer.serialize_str(other.as_str()),
        }
    }
}

impl<'de> Deserialize<'de> for Strategy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;

        impl<'de> Visitor<'de> for One {
            type Value = Strategy;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a strategy, or a table such as { spread = \"zones\" }")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Strategy, E> {
                StrategyName::deserialize(StrDeserializer::new(text)).map(Strategy::from)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Strategy, A::Error> {
                Spread::deserialize(MapAccessDeserializer::new(map)).map(Strategy::Spread)
            }
        }

        deserializer.deserialize_any(One)
    }
}

impl JsonSchema for Strategy {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Strategy".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (name, spread) = (
            generator.subschema_for::<StrategyName>(),
            generator.subschema_for::<Spread>(),
        );
        json_schema!({
            "description": "How to choose among offers: a name, or a table for what has a parameter.",
            "anyOf": [name, spread],
        })
    }
}

// === impl Strategies ===

impl Strategies {
    /// These, in this order. None is the same as `priority`.
    pub fn new(strategies: impl IntoIterator<Item = Strategy>) -> Self {
        Self(strategies.into_iter().collect())
    }

    /// In their order; never empty.
    pub fn as_slice(&self) -> &[Strategy] {
        if self.0.is_empty() {
            &[Strategy::Priority]
        } else {
            &self.0
        }
    }

    /// Whether this is one of them.
    pub fn contains(&self, wanted: impl Fn(Strategy) -> bool) -> bool {
        self.as_slice().iter().any(|one| wanted(*one))
    }

    /// What is wrong with them, in words: none at all, one twice, or a skew of nothing.
    pub fn problem(&self) -> Option<String> {
        if self.0.is_empty() {
            return Some("no strategy is named".into());
        }
        for (at, one) in self.0.iter().enumerate() {
            if self.0[..at].iter().any(|before| before.is_same_as(*one)) {
                return Some(format!("`{one}` is named twice"));
            }
            if matches!(one, Strategy::Spread(spread) if spread.max_skew == 0) {
                return Some("`max_skew` must be at least 1".into());
            }
        }
        None
    }
}

impl Strategy {
    fn is_same_as(self, other: Self) -> bool {
        match (self, other) {
            (Self::Spread(a), Self::Spread(b)) => a.over == b.over,
            (a, b) => a == b,
        }
    }
}

impl Default for Strategies {
    fn default() -> Self {
        Self::from(Strategy::Priority)
    }
}

impl From<Strategy> for Strategies {
    fn from(one: Strategy) -> Self {
        Self(vec![one])
    }
}

impl PartialEq<Strategy> for Strategies {
    fn eq(&self, one: &Strategy) -> bool {
        self.as_slice() == [*one]
    }
}

impl fmt::Display for Strategies {
    /// `availability, cost`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, one) in self.as_slice().iter().enumerate() {
            let before = if at == 0 { "" } else { ", " };
            write!(f, "{before}{one}")?;
        }
        Ok(())
    }
}

impl Serialize for Strategies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let [one] = self.as_slice() {
            return one.serialize(serializer);
        }
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for one in &self.0 {
            list.serialize_element(one)?;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for Strategies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Several;

        impl<'de> Visitor<'de> for Several {
            type Value = Strategies;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a strategy or a list of strategies")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Strategies, E> {
                Strategy::deserialize(StrDeserializer::new(text)).map(Strategies::from)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Strategies, A::Error> {
                Strategy::deserialize(MapAccessDeserializer::new(map)).map(Strategies::from)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Strategies, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element()? {
                    all.push(one);
                }
                Ok(Strategies(all))
            }
        }

        deserializer.deserialize_any(Several)
    }
}

impl JsonSchema for Strategies {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Strategies".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (name, spread, one) = (
            generator.subschema_for::<StrategyName>(),
            generator.subschema_for::<Spread>(),
            generator.subschema_for::<Strategy>(),
        );
        json_schema!({
            "description": "One strategy, or several of which each orders what those before it \
                            hold for equal.",
            "anyOf": [
                name,
                spread,
                { "type": "array", "minItems": 1, "items": one },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Strategies {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_word_a_table_and_a_list_are_read_and_written_alike() {
        for (json, shown) in [
            (r#""cost""#, "cost"),
            (r#""round-robin""#, "round-robin"),
            (r#"["availability","cost"]"#, "availability, cost"),
            (
                r#"{"spread":"regions","max_skew":2}"#,
                "spread over regions",
            ),
            (
                r#"[{"spread":"zones","max_skew":1},"cost"]"#,
                "spread over zones, cost",
            ),
        ] {
            let strategies = read(json);
            assert_eq!(strategies.to_string(), shown);
            assert_eq!(serde_json::to_string(&strategies).unwrap(), json);
        }
        assert_eq!(read(r#"["cost"]"#), Strategy::Cost);
        assert_eq!(read(r#""spread""#), read(r#"{"spread":"zones"}"#));
    }

    #[test]
    fn an_unknown_strategy_lists_the_known_ones() {
        let error = serde_json::from_str::<Strategies>(r#""cheapest""#).unwrap_err();
        let text = error.to_string();
        for known in ["priority", "cost", "availability", "round-robin", "spread"] {
            assert!(text.contains(known), "{text}");
        }
        for wrong in [
            r#"{"spread":"racks"}"#,
            r#"{"skew":1}"#,
            "3",
            r#"["cost",3]"#,
        ] {
            assert!(
                serde_json::from_str::<Strategies>(wrong).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        assert_eq!(read("[]").problem().unwrap(), "no strategy is named");
        let twice = read(r#"["cost","priority","cost"]"#).problem().unwrap();
        assert_eq!(twice, "`cost` is named twice");
        let none = read(r#"{"spread":"zones","max_skew":0}"#)
            .problem()
            .unwrap();
        assert_eq!(none, "`max_skew` must be at least 1");
        assert_eq!(
            read(r#"[{"spread":"zones"},{"spread":"providers"}]"#).problem(),
            None
        );
    }
}
