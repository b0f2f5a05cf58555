//! What the user knows better than a price list: discounts, contract rates, committed machines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, HourlyPrice, Kind, Market, Result, glob};

/// A correction of prices.
///
/// Of several that match an offer the first holds. One with `committed` holds only while fewer than
/// so many machines of the fleet have taken its rate; then the next one that matches holds, and
/// without one the provider's own price.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceRule {
    /// Only offers of this provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Only offers in these regions; `*` stands for any text, e.g. `eu-*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Only these instance types; `*` stands for any text, e.g. `p5.*`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// Only on this market.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub market: Option<Market>,
    /// The provider's price, less so many percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub discount_percent: Option<u8>,
    /// This price in place of the provider's, e.g. `$1.20/h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<String>,
    /// Only for the first so many machines of the fleet: reserved or committed capacity. Needs
    /// `price`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub committed: Option<u32>,
}

/// What a rule does to a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Discount(u8),
    Rate(HourlyPrice),
}

/// Corrections of prices, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prices {
    rules: Vec<(PriceRule, Effect)>,
}

// === impl PriceRule ===

impl PriceRule {
    /// Whether a machine of this provider, region, type and market is meant.
    pub fn matches(
        &self,
        provider: &str,
        region: &str,
        instance_type: &str,
        market: Market,
    ) -> bool {
        let fits = |pattern: &Option<String>, text| {
            pattern.as_ref().is_none_or(|pattern| glob(pattern, text))
        };
        self.provider.as_ref().is_none_or(|own| own == provider)
            && fits(&self.region, region)
            && fits(&self.instance_type, instance_type)
            && self.market.is_none_or(|own| own == market)
    }

    /// The first thing that is wrong with it: the key to blame and why.
    pub fn problem(&self) -> Option<(&'static str, Error)> {
        let wrong = |message: &str, hint: &str| Error::new(Kind::Invalid, message).with_hint(hint);
        let matches_all = self.provider.is_none()
            && self.region.is_none()
            && self.instance_type.is_none()
            && self.market.is_none();
        if matches_all {
            let hint = "name at least one of `provider`, `region`, `type`, `market`";
            return Some((
                "",
                wrong("the price rule does not say which offers it is for", hint),
            ));
        }
        match (self.discount_percent, &self.price) {
            (Some(_), Some(_)) => {
                let hint = "keep either `discount_percent` or `price`";
                Some(("price", wrong("the price rule says two prices", hint)))
            }
            (None, None) => {
                let hint = "give `discount_percent` or `price`";
                Some(("", wrong("the price rule says no price", hint)))
            }
            (Some(percent), None) if !(1..=100).contains(&percent) => Some((
                "discount_percent",
                wrong(
                    "a discount is between 1 and 100 percent",
                    "write e.g. `discount_percent = 12`",
                ),
            )),
            (Some(_), None) if self.committed.is_some() => Some((
                "committed",
                wrong(
                    "committed machines need a rate",
                    "give `price` in place of `discount_percent`",
                ),
            )),
            (None, Some(price)) => match price.parse::<HourlyPrice>() {
                Err(error) => Some(("price", error)),
                Ok(_) if self.committed == Some(0) => Some((
                    "committed",
                    wrong(
                        "no machine is committed to",
                        "leave the rule out, or say how many",
                    ),
                )),
                Ok(_) => None,
            },
            (Some(_), None) => None,
        }
    }

    /// What it does, in words.
    fn about(&self) -> String {
        match (self.discount_percent, self.committed) {
            (Some(percent), _) => format!("{percent} % off by `[[prices]]`"),
            (None, Some(committed)) => format!("rate of {committed} committed by `[[prices]]`"),
            (None, None) => "rate by `[[prices]]`".to_owned(),
        }
    }
}

// === impl Prices ===

impl Prices {
    /// Takes rules in their order.
    ///
    /// # Errors
    /// `Invalid`: see [`PriceRule::problem`].
    pub fn new(rules: Vec<PriceRule>) -> Result<Self> {
        let mut all = Vec::with_capacity(rules.len());
        for rule in rules {
            if let Some((_, error)) = rule.problem() {
                return Err(error);
            }
            let effect = match (rule.discount_percent, &rule.price) {
                (Some(percent), _) => Effect::Discount(percent),
                (None, Some(price)) => Effect::Rate(price.parse()?),
                (None, None) => continue,
            };
            all.push((rule, effect));
        }
        Ok(Self { rules: all })
    }

    /// Whether nothing is corrected.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules, in their order.
    pub fn rules(&self) -> impl Iterator<Item = &PriceRule> {
        self.rules.iter().map(|(rule, _)| rule)
    }

    /// The rule that a machine takes its price from: the first that matches and, if it is a
    /// commitment, of which fewer than `committed` are taken. `taken` counts machines by rule; what is
    /// not in it counts 0.
    pub fn rule_for(
        &self,
        provider: &str,
        region: &str,
        instance_type: &str,
        market: Market,
        taken: &[u32],
    ) -> Option<usize> {
        self.rules.iter().enumerate().position(|(at, (rule, _))| {
            self.left(at, taken).is_none_or(|left| left > 0)
                && rule.matches(provider, region, instance_type, market)
        })
    }

    /// How many machines can still take the rate of a rule; `None`: any number.
    pub fn left(&self, rule: usize, taken: &[u32]) -> Option<u32> {
        let (rule, taken) = (self.rules.get(rule)?, taken.get(rule).copied().unwrap_or(0));
        rule.0.committed.map(|most| most.saturating_sub(taken))
    }

    /// A price by a rule. A discount on an unknown price stays unknown, and is never rounded down.
    pub fn apply(&self, rule: usize, list: Option<HourlyPrice>) -> Option<HourlyPrice> {
        match self.rules.get(rule).map(|(_, effect)| effect) {
            None => list,
            Some(Effect::Rate(rate)) => Some(*rate),
            Some(Effect::Discount(percent)) => list.map(|list| {
                let kept = u128::from(100_u8.saturating_sub(*percent));
                let micros = (u128::from(list.micros_per_hour) * kept).div_ceil(100);
                HourlyPrice {
                    micros_per_hour: u64::try_from(micros).unwrap_or(u64::MAX),
                    ..list
                }
            }),
        }
    }

    /// What a rule does, in words.
    pub fn about(&self, rule: usize) -> Option<String> {
        self.rules.get(rule).map(|(rule, _)| rule.about())
    }

    /// Counts the machines that have taken the rates of commitments. Each takes that of the first
    /// rule that matches and has one left.
    pub fn taken<'a>(
        &self,
        machines: impl IntoIterator<Item = (&'a str, &'a str, &'a str, Market)>,
    ) -> Vec<u32> {
        let mut taken = vec![0; self.rules.len()];
        if self.rules.iter().all(|(rule, _)| rule.committed.is_none()) {
            return taken;
        }
        for (provider, region, instance_type, market) in machines {
            if let Some(at) = self.rule_for(provider, region, instance_type, market, &taken)
                && let Some(count) = taken.get_mut(at)
            {
                *count += 1;
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(json: serde_json::Value) -> PriceRule {
        serde_json::from_value(json).unwrap()
    }

    fn prices(rules: serde_json::Value) -> Prices {
        Prices::new(serde_json::from_value(rules).unwrap()).unwrap()
    }

    #[test]
    fn the_first_rule_that_matches_holds_and_a_commitment_runs_out() {
        let prices = prices(serde_json::json!([
            { "provider": "aws", "type": "p5.*", "price": "$20/h", "committed": 2 },
            { "provider": "aws", "region": "eu-*", "discount_percent": 10 },
            { "market": "spot", "price": "$0.01/h" },
        ]));
        let list = Some(HourlyPrice::usd_micros(50_000_001));
        let p5 = ("aws", "eu-west-1", "p5.48xlarge", Market::OnDemand);
        let price = |at: (&str, &str, &str, Market), taken: &[u32]| {
            let rule = prices.rule_for(at.0, at.1, at.2, at.3, taken);
            rule.map_or(list, |rule| prices.apply(rule, list))
                .map(|price| price.to_string())
                .unwrap()
        };
        assert_eq!(price(p5, &[]), "$20.00/h");
        assert_eq!(price(p5, &[2]), "$45.000001/h", "rounded up");
        assert_eq!(
            price(("aws", "us-east-1", "p5.48xlarge", Market::OnDemand), &[2]),
            "$50.000001/h"
        );
        assert_eq!(price(("sim", "us", "t", Market::Spot), &[]), "$0.01/h");
        assert_eq!(
            prices.apply(1, None),
            None,
            "a part of nothing known is nothing known"
        );
        assert_eq!(prices.taken([p5, p5, p5]), [2, 1, 0]);
        assert_eq!((prices.left(0, &[1]), prices.left(1, &[])), (Some(1), None));
    }

    #[test]
    fn what_is_wrong_with_a_rule_is_told_with_its_key() {
        for (json, key) in [
            (serde_json::json!({ "price": "$1" }), ""),
            (serde_json::json!({ "region": "eu-*" }), ""),
            (
                serde_json::json!({ "type": "a", "price": "$1", "discount_percent": 5 }),
                "price",
            ),
            (
                serde_json::json!({ "type": "a", "price": "cheap" }),
                "price",
            ),
            (
                serde_json::json!({ "type": "a", "discount_percent": 101 }),
                "discount_percent",
            ),
            (
                serde_json::json!({ "type": "a", "discount_percent": 5, "committed": 1 }),
                "committed",
            ),
            (
                serde_json::json!({ "type": "a", "price": "$1", "committed": 0 }),
                "committed",
            ),
        ] {
            let (found, error) = rule(json.clone()).problem().expect("it is wrong");
            assert_eq!(found, key, "{json}");
            assert!(error.hint().is_some(), "{json}");
        }
        let good = rule(serde_json::json!({ "type": "a", "price": "€1", "committed": 3 }));
        assert!(good.problem().is_none());
    }
}
