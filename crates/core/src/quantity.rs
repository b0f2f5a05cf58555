//! A measured quantity: what a signal says, exact to the millionth.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Kind, Result};

/// A number that is measured, such as the length of a queue or a load in percent: never negative,
/// never infinite, exact to the millionth.
///
/// Reads `42`, `0.75` and `1.5e3`. What is finer than a millionth is rounded. Decisions reckon with
/// these numbers, so the same input gives the same decision on every machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Quantity(u64);

const MICROS: u64 = 1_000_000;
/// The greatest: a million millions.
const GREATEST: u64 = 1_000_000_000_000;

// === impl Quantity ===

impl Quantity {
    /// A whole number.
    pub const fn whole(number: u32) -> Self {
        // Four thousand millions times a million is far below the greatest.
        Self(number as u64 * MICROS)
    }

    /// A number of millionths; `None` if it is beyond a million millions.
    pub fn from_micros(micros: u64) -> Option<Self> {
        (micros <= GREATEST * MICROS).then_some(Self(micros))
    }

    /// The number in millionths.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How many times this goes into `whole`, rounded up; `u32::MAX` if it is more than that, or
    /// if this is nothing and `whole` is something.
    pub fn ceiling_of(self, whole: Self) -> u32 {
        match (self.0, whole.0) {
            (_, 0) => 0,
            (0, _) => u32::MAX,
            (each, all) => u32::try_from(all.div_ceil(each)).unwrap_or(u32::MAX),
        }
    }

    /// The number as it is measured elsewhere.
    ///
    /// # Errors
    /// `Invalid` if it is not a number, negative, infinite, or beyond a million millions.
    pub fn from_float(number: f64) -> Result<Self> {
        let refused = |what: &str| {
            Err(Error::new(Kind::Invalid, format!("`{number}` is {what}"))
                .with_hint("a signal is a number from 0 to 1000000000000"))
        };
        if number.is_nan() {
            return refused("not a number");
        }
        if number.is_infinite() {
            return refused("infinite");
        }
        if number < 0.0 {
            return refused("negative");
        }
        if number > 1e12 {
            return refused("too great");
        }
        // Exact to the last digit that is kept, and without a lossy cast: by way of the text.
        Ok(digits(&format!("{number:.6}")).unwrap_or_default())
    }
}

/// Reads digits with at most six behind a point.
fn digits(text: &str) -> Option<Quantity> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) || fraction.len() > 6 {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let fraction: u64 = format!("{fraction:0<6}").parse().ok()?;
    Quantity::from_micros(whole.checked_mul(MICROS)?.checked_add(fraction)?)
}

impl FromStr for Quantity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        if let Some(exact) = digits(text) {
            return Ok(exact);
        }
        let number: f64 = text.parse().map_err(|error| {
            Error::new(Kind::Invalid, format!("`{text}` is not a number"))
                .with_hint("write it as `42` or `0.75`")
                .with_source(error)
        })?;
        Self::from_float(number)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / MICROS, self.0 % MICROS);
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        let fraction = format!("{fraction:06}");
        write!(f, "{whole}.{}", fraction.trim_end_matches('0'))
    }
}

impl Serialize for Quantity {
    /// A whole number where it is one.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(MICROS) {
            serializer.serialize_u64(self.0 / MICROS)
        } else {
            let number: f64 = self
                .to_string()
                .parse()
                .map_err(serde::ser::Error::custom)?;
            serializer.serialize_f64(number)
        }
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number from 0 to 1000000000000")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Quantity, E> {
                number.to_string().parse().map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Quantity, E> {
                number.to_string().parse().map_err(E::custom)
            }

            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Quantity, E> {
                Quantity::from_float(number).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "number",
            "minimum": 0,
            "maximum": 1_000_000_000_000_u64,
            "description": "A number that is measured, such as `42` or `0.75`.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_print_what_they_read() {
        for (text, micros, shown) in [
            ("0", 0, "0"),
            ("42", 42_000_000, "42"),
            (" 0.75\n", 750_000, "0.75"),
            ("1.5e3", 1_500_000_000, "1500"),
            ("0.0000004", 0, "0"),
            ("1e-6", 1, "0.000001"),
            ("1000000000000", 1_000_000_000_000_000_000, "1000000000000"),
        ] {
            let quantity: Quantity = text.parse().unwrap();
            assert_eq!(
                (quantity.as_micros(), &*quantity.to_string()),
                (micros, shown)
            );
            let json = serde_json::to_string(&quantity).unwrap();
            assert_eq!(serde_json::from_str::<Quantity>(&json).unwrap(), quantity);
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused_with_its_reason() {
        for (text, why) in [
            ("NaN", "`NaN` is not a number"),
            ("+Inf", "`inf` is infinite"),
            ("-Inf", "`-inf` is infinite"),
            ("-1", "`-1` is negative"),
            ("1e13", "`10000000000000` is too great"),
            ("1000000000001", "`1000000000001` is too great"),
            ("many", "`many` is not a number"),
            ("", "`` is not a number"),
        ] {
            let error = text.parse::<Quantity>().unwrap_err();
            assert_eq!((error.kind(), &*error.to_string()), (Kind::Invalid, why));
        }
        assert!(serde_json::from_str::<Quantity>("-3").is_err());
        assert!(serde_json::from_str::<Quantity>("\"3\"").is_err());
    }

    #[test]
    fn a_share_is_rounded_up() {
        let each = Quantity::whole(4);
        for (whole, count) in [("0", 0), ("0.1", 1), ("4", 1), ("4.000001", 2), ("9", 3)] {
            assert_eq!(each.ceiling_of(whole.parse().unwrap()), count, "{whole}");
        }
        assert_eq!(Quantity::default().ceiling_of(each), u32::MAX);
        assert_eq!(
            Quantity::from_micros(1)
                .unwrap()
                .ceiling_of(Quantity::whole(9_000)),
            u32::MAX
        );
    }
}
