//! What a runtime costs: price, granularity, minimum.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::money::read_sum;
use crate::{Currency, Error, HourlyPrice, Kind, Result};

/// How a provider counts time when it bills.
///
/// A machine that ran for some time is billed for at least [`minimum_seconds`](Self::minimum_seconds),
/// rounded up to whole units of [`granularity_seconds`](Self::granularity_seconds).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Billing {
    /// The unit that time is rounded up to, in seconds. At least 1.
    pub granularity_seconds: u32,
    /// The least that is billed for a machine, in seconds.
    pub minimum_seconds: u32,
}

impl Billing {
    /// Time is rounded up to whole units of `granularity_seconds`; at least `minimum_seconds` are
    /// billed. A granularity of 0 is taken for 1.
    pub const fn new(granularity_seconds: u32, minimum_seconds: u32) -> Self {
        Self {
            granularity_seconds: if granularity_seconds == 0 {
                1
            } else {
                granularity_seconds
            },
            minimum_seconds,
        }
    }

    /// Every second is billed by itself, and at least `minimum_seconds`: AWS, for instance, with a
    /// minimum of 60.
    pub const fn per_second(minimum_seconds: u32) -> Self {
        Self::new(1, minimum_seconds)
    }

    /// Every minute that has begun is billed.
    pub const fn per_minute() -> Self {
        Self::new(60, 60)
    }

    /// Every hour that has begun is billed.
    pub const fn per_hour() -> Self {
        Self::new(3_600, 3_600)
    }

    /// The seconds that are billed for a runtime.
    pub fn billed_seconds(self, runtime: Duration) -> u64 {
        let whole = runtime
            .as_secs()
            .saturating_add(u64::from(runtime.subsec_nanos() > 0));
        let unit = u64::from(self.granularity_seconds.max(1));
        whole
            .max(u64::from(self.minimum_seconds))
            .div_ceil(unit)
            .saturating_mul(unit)
    }

    /// What a runtime costs at a price, rounded up to a whole millionth.
    pub fn cost(self, price: HourlyPrice, runtime: Duration) -> Amount {
        let seconds = self.billed_seconds(runtime);
        let micros = if let Some(product) = price.micros_per_hour.checked_mul(seconds) {
            product.div_ceil(3_600)
        } else {
            let product = u128::from(price.micros_per_hour) * u128::from(seconds);
            u64::try_from(product.div_ceil(3_600)).unwrap_or(u64::MAX)
        };
        Amount {
            currency: price.currency,
            micros,
        }
    }
}

impl fmt::Display for Billing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.granularity_seconds {
            1 => f.write_str("per second")?,
            60 => f.write_str("per minute")?,
            3_600 => f.write_str("per hour")?,
            other => write!(f, "per {other} s")?,
        }
        if self.minimum_seconds > self.granularity_seconds {
            write!(f, ", at least {} s", self.minimum_seconds)?;
        }
        Ok(())
    }
}

/// A sum of money in millionths of the currency's unit. Never a float.
///
/// Prints as `$1.25`; in JSON it is `{"currency": "USD", "micros": 1250000}`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Amount {
    /// The currency; sums of different currencies do not add up.
    pub currency: Currency,
    /// Millionths of the unit.
    pub micros: u64,
}

impl Amount {
    /// Adds to the sum of the same currency, saturating.
    pub fn add_to(self, sums: &mut Vec<Self>) {
        if let Some(sum) = sums.iter_mut().find(|sum| sum.currency == self.currency) {
            sum.micros = sum.micros.saturating_add(self.micros);
        } else {
            let at = sums.partition_point(|sum| sum.currency < self.currency);
            sums.insert(at, self);
        }
    }

    /// Adds up by currency, so that dollars and euros are never added up.
    pub fn sum(amounts: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut sums: Vec<Self> = Vec::new();
        for amount in amounts {
            amount.add_to(&mut sums);
        }
        sums
    }
}

impl FromStr for Amount {
    type Err = Error;

    /// Reads `2000`, `$2000`, `€0.25`. Without a sign: dollars.
    fn from_str(text: &str) -> Result<Self> {
        let (currency, micros) = read_sum(text.trim()).ok_or_else(|| {
            Error::new(Kind::Invalid, format!("`{text}` is not a sum of money"))
                .with_hint("write it as `$2000`, with at most six decimals")
        })?;
        Ok(Self { currency, micros })
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, micros) = (self.micros / 1_000_000, self.micros % 1_000_000);
        let digits = format!("{micros:06}");
        let cents = digits.trim_end_matches('0');
        f.pad(&format!("{}{whole}.{cents:0<2}", self.currency.symbol()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(billing: Billing, price: u64, seconds: u64) -> u64 {
        let runtime = Duration::from_secs(seconds);
        billing.cost(HourlyPrice::usd_micros(price), runtime).micros
    }

    #[test]
    fn time_is_rounded_up_to_units_and_to_the_minimum() {
        let aws = Billing::per_second(60);
        assert_eq!(cost(aws, 3_600_000, 1), 60_000);
        assert_eq!(cost(aws, 3_600_000, 61), 61_000);
        let hourly = Billing::per_hour();
        assert_eq!(cost(hourly, 500_000, 0), 500_000);
        assert_eq!(cost(hourly, 500_000, 3_600), 500_000);
        assert_eq!(cost(hourly, 500_000, 3_601), 1_000_000);
        assert_eq!(
            Billing::per_second(0).billed_seconds(Duration::from_millis(1_001)),
            2
        );
    }

    #[test]
    fn a_fraction_of_a_millionth_is_rounded_up_and_nothing_overflows() {
        assert_eq!(cost(Billing::per_second(0), 1, 1), 1);
        assert_eq!(cost(Billing::per_second(0), 0, 1_000), 0);
        assert_eq!(cost(Billing::per_hour(), u64::MAX, u64::MAX), u64::MAX);
        assert_eq!(Billing::new(0, 0), Billing::per_second(0));
    }

    #[test]
    fn amounts_print_with_cents_and_add_up_by_currency() {
        let dollars = |micros| Amount {
            currency: Currency::Usd,
            micros,
        };
        let euros = Amount {
            currency: Currency::Eur,
            micros: 7,
        };
        assert_eq!(dollars(1_250_000).to_string(), "$1.25");
        assert_eq!(dollars(0).to_string(), "$0.00");
        assert_eq!(dollars(1_234_567).to_string(), "$1.234567");
        assert_eq!(
            Amount::sum([dollars(1), euros, dollars(2)]),
            [dollars(3), euros]
        );
    }

    #[test]
    fn amounts_parse() {
        for (text, shown) in [("$2000", "$2000.00"), ("€0.5", "€0.50"), (" 3 ", "$3.00")] {
            assert_eq!(text.parse::<Amount>().unwrap().to_string(), shown);
        }
        for bad in ["", "$", "$1/h", "-1", "1e3", "£1", "99999999999999999999"] {
            assert!(bad.parse::<Amount>().is_err(), "{bad}");
        }
    }

    #[test]
    fn billing_is_said_in_words() {
        assert_eq!(
            Billing::per_second(60).to_string(),
            "per second, at least 60 s"
        );
        assert_eq!(Billing::per_hour().to_string(), "per hour");
        assert_eq!(Billing::new(300, 0).to_string(), "per 300 s");
    }
}
