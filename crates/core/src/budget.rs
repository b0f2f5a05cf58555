//! Budgets: what may be spent, and what a plan says about it.
//!
//! A budget belongs to a pool, or to all pools of a fleet together. It limits what machines cost
//! per hour, per calendar month (UTC), or both. It is asked when machines are about to be made;
//! machines that are there are never removed because of it. See `docs/concepts/money.md`.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Amount, Currency, Error, HourlyPrice, Kind, Result};

/// What may be spent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Most that the machines may cost per hour together, e.g. `$30/h`. One sum for each currency:
    /// `$30/h + €10/h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_hour: Option<String>,
    /// Most that may be spent in a calendar month (UTC), e.g. `$2000`. One sum for each currency:
    /// `$2000 + €500`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_month: Option<String>,
    /// What happens to machines that do not fit.
    #[serde(default)]
    pub action: BudgetAction,
}

/// What happens to machines that do not fit into a budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BudgetAction {
    /// None of them is made.
    #[default]
    Block,
    /// As many are made as fit.
    Shrink,
    /// All are made, and the plan and an event say so.
    Warn,
}

impl BudgetAction {
    /// The word used in configuration and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Shrink => "shrink",
            Self::Warn => "warn",
        }
    }
}

impl fmt::Display for BudgetAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a budget is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Period {
    /// What machines cost per hour.
    Hour,
    /// What is spent in a calendar month, in UTC.
    Month,
}

impl Period {
    /// A sum with the period behind it: `$30.00/h`, `$2000.00 a month`.
    pub fn say(self, sum: Amount) -> String {
        match self {
            Self::Hour => format!("{sum}/h"),
            Self::Month => format!("{sum} a month"),
        }
    }
}

/// One limit of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetLimit {
    /// For how long.
    pub period: Period,
    /// The most that may be spent in it.
    pub most: Amount,
}

impl Budget {
    /// Whose budget it is, in words: that of a pool, or of the fleet.
    pub fn whose(pool: Option<&str>) -> String {
        pool.map_or_else(
            || "the budget of the fleet".to_owned(),
            |pool| format!("the budget of pool `{pool}`"),
        )
    }

    /// The limits, each period with one sum per currency.
    ///
    /// # Errors
    /// `Invalid`, as [`problems`](Self::problems) has it first. A budget that cannot be read must
    /// not become no budget.
    pub fn limits(&self) -> Result<Vec<BudgetLimit>> {
        if let Some((_, error)) = self.problems().into_iter().next() {
            return Err(error);
        }
        let mut limits = Vec::new();
        for (period, text) in [
            (Period::Hour, &self.per_hour),
            (Period::Month, &self.per_month),
        ] {
            let sums = text.as_deref().map(|text| sums(period, text));
            for most in sums.transpose()?.unwrap_or_default() {
                limits.push(BudgetLimit { period, most });
            }
        }
        Ok(limits)
    }

    /// Everything that is wrong with it, each with the key that is to blame: a sum that cannot be
    /// read or is zero, a currency named twice or for one of the periods only, no limit at all.
    pub fn problems(&self) -> Vec<(&'static str, Error)> {
        let mut problems = Vec::new();
        let mut currencies: Vec<Vec<Currency>> = Vec::new();
        let invalid = |text: String| Error::new(Kind::Invalid, text);
        for (period, key, text) in [
            (Period::Hour, "per_hour", &self.per_hour),
            (Period::Month, "per_month", &self.per_month),
        ] {
            let Some(text) = text else { continue };
            let sums = match sums(period, text) {
                Ok(sums) => sums,
                Err(error) => {
                    problems.push((key, error));
                    continue;
                }
            };
            if sums.iter().any(|sum| sum.micros == 0) {
                let error = invalid(format!("`{text}` allows nothing to be made"))
                    .with_hint("set `desired = 0` for a pool that shall have no nodes");
                problems.push((key, error));
            }
            let mut named: Vec<Currency> = sums.iter().map(|sum| sum.currency).collect();
            named.sort_unstable();
            let count = named.len();
            named.dedup();
            if named.len() < count {
                let error = invalid(format!("`{text}` names a currency twice"))
                    .with_hint("give one sum for each currency");
                problems.push((key, error));
            }
            currencies.push(named);
        }
        if let [hour, month] = currencies.as_slice()
            && hour != month
        {
            let error = invalid("`per_hour` and `per_month` name different currencies".into())
                .with_hint(
                    "currencies are never converted: give both keys a sum in each currency, \
                     such as `$30/h + €10/h`",
                );
            problems.push(("per_month", error));
        }
        if self.per_hour.is_none() && self.per_month.is_none() {
            let error = invalid("this budget limits nothing".into())
                .with_hint("give it `per_hour = \"$30/h\"`, `per_month = \"$2000\"` or both");
            problems.push(("", error));
        }
        problems
    }
}

/// Reads one sum or several with `+` between them.
fn sums(period: Period, text: &str) -> Result<Vec<Amount>> {
    text.split('+')
        .map(|part| match period {
            Period::Hour => part.parse::<HourlyPrice>().map(|price| Amount {
                currency: price.currency,
                micros: price.micros_per_hour,
            }),
            Period::Month => part.parse(),
        })
        .collect()
}

/// What a plan costs beyond its two sums, and what the budgets say about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlanMoney {
    /// What the fleet costs per hour after the plan if every step gets its first offer.
    pub cost_by_first_choice: Vec<HourlyPrice>,
    /// Machines whose price is not known, which are in no sum: now.
    pub unpriced_now: u32,
    /// And at most after the plan.
    pub unpriced_after: u32,
    /// Where each budget stands.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<BudgetLine>,
    /// What budgets changed in the plan, or warn of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verdicts: Vec<BudgetVerdict>,
}

impl PlanMoney {
    /// Whether machines are not made because of a budget.
    pub fn withholds(&self) -> bool {
        self.verdicts
            .iter()
            .any(|verdict| verdict.admitted < verdict.wanted)
    }
}

/// Where one limit of a budget stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetLine {
    /// The pool; absent: all pools together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// For how long.
    pub period: Period,
    /// What happens to machines that do not fit.
    pub action: BudgetAction,
    /// The most that may be spent.
    pub limit: Amount,
    /// Spent this month so far; absent for a limit per hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<Amount>,
    /// What counts without the plan: nodes and claims without an answer, per hour; or what is spent
    /// this month and will be until its end.
    pub now: Amount,
    /// The same with the machines that the plan makes, at the dearest of their offers.
    pub after: Amount,
    /// What is left after the plan.
    pub left: Amount,
    /// Machines that do not count because their price is not known.
    #[serde(default)]
    pub unpriced: u32,
    /// Machines that do not count because the budget has no sum in their currency.
    #[serde(default)]
    pub other_currency: u32,
}

impl BudgetLine {
    /// Whose budget it is, in words.
    pub fn whose(&self) -> String {
        Budget::whose(self.pool.as_deref())
    }

    /// Whether more counts already than may be spent.
    pub const fn is_exceeded(&self) -> bool {
        self.now.micros > self.limit.micros
    }
}

/// What budgets did to the machines that a pool wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetVerdict {
    /// Whose machines.
    pub pool: String,
    /// What was done.
    pub outcome: BudgetOutcome,
    /// Machines that the pool wants.
    pub wanted: u32,
    /// Machines that the plan makes.
    pub admitted: u32,
    /// Why, in words.
    pub reason: String,
    /// Offers that were left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<DroppedOffer>,
}

/// What a budget did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BudgetOutcome {
    /// Dear offers were left out; all machines can still be made.
    Narrowed,
    /// Fewer machines are made, perhaps none.
    Shrunk,
    /// None is made.
    Blocked,
    /// All are made, although they do not fit.
    Warned,
    /// What is there costs more than may be spent already.
    Exceeded,
}

impl BudgetOutcome {
    /// The word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Narrowed => "narrowed",
            Self::Shrunk => "shrunk",
            Self::Blocked => "blocked",
            Self::Warned => "warned",
            Self::Exceeded => "exceeded",
        }
    }
}

impl fmt::Display for BudgetOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An offer that a budget left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedOffer {
    /// The label of the offer.
    pub offer: String,
    /// Why.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(per_hour: Option<&str>, per_month: Option<&str>) -> Budget {
        Budget {
            per_hour: per_hour.map(str::to_owned),
            per_month: per_month.map(str::to_owned),
            ..Budget::default()
        }
    }

    fn keys(budget: &Budget) -> Vec<&'static str> {
        budget.problems().into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn a_budget_has_one_limit_for_each_period_and_currency() {
        let limits = budget(Some("$30/h + €10/h"), Some("$2000+€500"))
            .limits()
            .unwrap();
        let shown: Vec<String> = limits
            .iter()
            .map(|limit| limit.period.say(limit.most))
            .collect();
        assert_eq!(
            shown,
            [
                "$30.00/h",
                "€10.00/h",
                "$2000.00 a month",
                "€500.00 a month"
            ]
        );
        assert_eq!(
            budget(Some("0.5"), None).limits().unwrap()[0].most.micros,
            500_000
        );
    }

    #[test]
    fn what_is_wrong_with_a_budget_is_said_with_its_key() {
        let cases = [
            (budget(None, None), vec![""]),
            (budget(Some("much"), None), vec!["per_hour"]),
            (budget(Some("$0/h"), None), vec!["per_hour"]),
            (budget(Some("$1 + $2"), None), vec!["per_hour"]),
            (budget(None, Some("$2000/h")), vec!["per_month"]),
            (budget(None, Some("$0")), vec!["per_month"]),
            (budget(Some("$1/h"), Some("€100")), vec!["per_month"]),
            (budget(Some("x"), Some("y")), vec!["per_hour", "per_month"]),
            (budget(Some("$1/h"), Some("$100")), vec![]),
        ];
        for (budget, expected) in cases {
            assert_eq!(keys(&budget), expected, "{budget:?}");
            assert_eq!(budget.limits().is_err(), !expected.is_empty(), "{budget:?}");
        }
    }

    #[test]
    fn an_action_that_does_not_exist_is_refused() {
        let text = r#"{"per_hour": "$1/h", "action": "explode"}"#;
        assert!(serde_json::from_str::<Budget>(text).is_err());
        let plain: Budget = serde_json::from_str(r#"{"per_hour": "$1/h"}"#).unwrap();
        assert_eq!(plain.action, BudgetAction::Block);
    }
}
