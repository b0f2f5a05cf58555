//! Money: integer micro-units per hour, with currency.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Kind, Result};

/// A currency that clouds bill in.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Currency {
    /// US dollars.
    #[serde(rename = "USD")]
    Usd,
    /// Euros.
    #[serde(rename = "EUR")]
    Eur,
}

impl Currency {
    pub(crate) const fn symbol(self) -> &'static str {
        match self {
            Self::Usd => "$",
            Self::Eur => "€",
        }
    }

    /// The ISO 4217 code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Usd => "USD",
            Self::Eur => "EUR",
        }
    }
}

impl FromStr for Currency {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "USD" => Ok(Self::Usd),
            "EUR" => Ok(Self::Eur),
            _ => Err(
                Error::new(Kind::Invalid, format!("`{text}` is not a known currency"))
                    .with_hint("known: USD, EUR"),
            ),
        }
    }
}

/// A price per hour in millionths of the currency's unit. Never a float.
///
/// Prints as `$0.0042/h`; in JSON it is `{"micros_per_hour": 4200, "currency": "USD"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HourlyPrice {
    /// The currency; prices of different currencies do not compare.
    pub currency: Currency,
    /// Millionths of the unit, per hour.
    pub micros_per_hour: u64,
}

impl HourlyPrice {
    /// No cost, in US dollars.
    pub const FREE: Self = Self {
        currency: Currency::Usd,
        micros_per_hour: 0,
    };

    /// A price in millionths of a US dollar per hour.
    pub const fn usd_micros(micros_per_hour: u64) -> Self {
        Self {
            currency: Currency::Usd,
            micros_per_hour,
        }
    }

    /// The number alone, as clouds write it: `0.12`.
    pub fn decimal(self) -> String {
        let shown = self.to_string();
        let number = shown.strip_prefix(self.currency.symbol()).unwrap_or(&shown);
        number.strip_suffix("/h").unwrap_or(number).to_owned()
    }

    /// The price of several such machines.
    #[must_use]
    pub fn times(self, machines: u32) -> Self {
        Self {
            micros_per_hour: self.micros_per_hour.saturating_mul(u64::from(machines)),
            ..self
        }
    }

    /// Sums prices by currency, so that dollars and euros are never added up.
    pub fn sum(prices: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut sums: Vec<Self> = Vec::new();
        for price in prices {
            match sums.iter_mut().find(|sum| sum.currency == price.currency) {
                Some(sum) => {
                    sum.micros_per_hour = sum.micros_per_hour.saturating_add(price.micros_per_hour);
                }
                None => sums.push(price),
            }
        }
        sums.sort_unstable();
        sums
    }
}

impl fmt::Display for HourlyPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, micros) = (
            self.micros_per_hour / 1_000_000,
            self.micros_per_hour % 1_000_000,
        );
        let digits = format!("{micros:06}");
        let cents = digits.trim_end_matches('0');
        f.pad(&format!("{}{whole}.{cents:0<2}/h", self.currency.symbol()))
    }
}

impl FromStr for HourlyPrice {
    type Err = Error;

    /// Reads `0.25`, `$0.25`, `€3`, each optionally followed by `/h`. Without a sign: dollars.
    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            Error::new(Kind::Invalid, format!("`{text}` is not a price per hour"))
                .with_hint("write it as `$0.25/h`, with at most six decimals")
        };
        let trimmed = text.trim();
        let amount = trimmed.strip_suffix("/h").unwrap_or(trimmed);
        let (currency, micros_per_hour) = read_sum(amount).ok_or_else(bad)?;
        Ok(Self {
            currency,
            micros_per_hour,
        })
    }
}

/// Reads `0.25`, `$0.25`, `€3` into millionths; without a sign: dollars.
pub(crate) fn read_sum(text: &str) -> Option<(Currency, u64)> {
    let (currency, amount) = if let Some(rest) = text.strip_prefix('$') {
        (Currency::Usd, rest)
    } else if let Some(rest) = text.strip_prefix('€') {
        (Currency::Eur, rest)
    } else {
        (Currency::Usd, text)
    };
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let digits = |part: &str| part.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 6 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let micros: u64 = format!("{fraction:0<6}").parse().ok()?;
    let whole: u64 = whole.parse().ok()?;
    let sum = whole.checked_mul(1_000_000)?.checked_add(micros)?;
    Some((currency, sum))
}

#[derive(Serialize, Deserialize)]
struct Wire {
    micros_per_hour: u64,
    currency: Currency,
}

impl Serialize for HourlyPrice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire {
            micros_per_hour: self.micros_per_hour,
            currency: self.currency,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for HourlyPrice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        Ok(Self {
            currency: wire.currency,
            micros_per_hour: wire.micros_per_hour,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_print_and_parse() {
        for (text, micros, shown) in [
            ("$0.25/h", 250_000, "$0.25/h"),
            ("3", 3_000_000, "$3.00/h"),
            ("0.0042", 4_200, "$0.0042/h"),
            ("0.000001", 1, "$0.000001/h"),
        ] {
            let price: HourlyPrice = text.parse().unwrap();
            assert_eq!(price.micros_per_hour, micros);
            assert_eq!(price.to_string(), shown);
            let decimal = shown.trim_start_matches('$').trim_end_matches("/h");
            assert_eq!(price.decimal(), decimal);
        }
        for bad in [
            "",
            "-1",
            "1e3",
            ".5",
            "0.0000001",
            "£1",
            "99999999999999999999",
        ] {
            assert!(bad.parse::<HourlyPrice>().is_err(), "{bad}");
        }
    }

    #[test]
    fn currencies_are_never_added_up() {
        let euro = HourlyPrice {
            currency: Currency::Eur,
            micros_per_hour: 5,
        };
        let sums = HourlyPrice::sum([HourlyPrice::usd_micros(1), euro, HourlyPrice::usd_micros(2)]);
        assert_eq!(sums, [HourlyPrice::usd_micros(3), euro]);
    }
}
