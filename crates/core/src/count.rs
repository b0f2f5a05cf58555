//! How many of something is wanted: `16`, `16+`, `4..8`, `64GiB+`.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Kind, Result};

/// A number that is asked for: exactly so many, at least so many, or between two.
///
/// ```
/// use fleetwright_core::Count;
///
/// let count: Count = "16+".parse().unwrap();
/// assert!(count.holds(16) && count.holds(96) && !count.holds(8));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Fewest.
    pub least: u64,
    /// Most; absent: any number.
    pub most: Option<u64>,
}

impl Count {
    /// This number and no other.
    pub const fn exactly(number: u64) -> Self {
        Self {
            least: number,
            most: Some(number),
        }
    }

    /// This number or more.
    pub const fn at_least(number: u64) -> Self {
        Self {
            least: number,
            most: None,
        }
    }

    /// Whether a number is as asked for.
    pub fn holds(&self, number: u64) -> bool {
        number >= self.least && self.most.is_none_or(|most| number <= most)
    }

    /// Reads an amount of memory, in MiB: `64GiB`, `64GiB+`, `512MiB`, `16GiB..64GiB`. As on the
    /// price pages of the clouds, `GB` and `G` mean GiB, and `MB` means MiB.
    ///
    /// # Errors
    /// `Invalid` without a number or a unit.
    pub fn of_memory(text: &str) -> Result<Self> {
        Self::read(text, mebibytes).ok_or_else(|| {
            Error::new(
                Kind::Invalid,
                format!("`{text}` is not an amount of memory"),
            )
            .with_hint("write `64GiB`, `64GiB+` for at least that, or `16GiB..64GiB`")
        })
    }

    fn read(text: &str, number: fn(&str) -> Option<u64>) -> Option<Self> {
        let text = text.trim();
        if let Some(least) = text.strip_suffix('+') {
            return Some(Self::at_least(number(least)?));
        }
        let Some((least, most)) = text.split_once("..") else {
            return Some(Self::exactly(number(text)?));
        };
        let (least, most) = (number(least)?, number(most)?);
        (least <= most).then_some(Self {
            least,
            most: Some(most),
        })
    }
}

fn plain(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

fn mebibytes(text: &str) -> Option<u64> {
    let text = text.trim().to_lowercase();
    let (number, factor) = [
        ("gib", 1024),
        ("gb", 1024),
        ("g", 1024),
        ("tib", 1024 * 1024),
        ("tb", 1024 * 1024),
        ("mib", 1),
        ("mb", 1),
    ]
    .into_iter()
    .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    plain(number)?.checked_mul(factor)
}

impl FromStr for Count {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::read(text, plain).ok_or_else(|| {
            Error::new(Kind::Invalid, format!("`{text}` is not a number"))
                .with_hint("write `16`, `16+` for at least that, or `4..8`")
        })
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.most {
            None => write!(f, "{}+", self.least),
            Some(most) if most == self.least => write!(f, "{most}"),
            Some(most) => write!(f, "{}..{most}", self.least),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_unless_they_say_otherwise() {
        for (text, inside, outside) in [
            ("16", vec![16], vec![15, 17]),
            ("16+", vec![16, 4_000], vec![15]),
            ("4..8", vec![4, 8], vec![3, 9]),
            (" 2 .. 2 ", vec![2], vec![1, 3]),
        ] {
            let count: Count = text.parse().unwrap();
            assert!(inside.iter().all(|number| count.holds(*number)), "{text}");
            assert!(!outside.iter().any(|number| count.holds(*number)), "{text}");
            assert_eq!(count.to_string().parse::<Count>().unwrap(), count);
        }
        for bad in ["", "x", "+", "-1", "8..4", "4..", "1.5", "16++"] {
            assert!(bad.parse::<Count>().is_err(), "{bad}");
        }
    }

    #[test]
    fn memory_has_a_unit() {
        for (text, least, most) in [
            ("64GiB", 65_536, Some(65_536)),
            ("64gb+", 65_536, None),
            ("512MiB+", 512, None),
            ("1TiB+", 1_048_576, None),
            ("16G..64G", 16_384, Some(65_536)),
        ] {
            assert_eq!(
                Count::of_memory(text).unwrap(),
                Count { least, most },
                "{text}"
            );
        }
        for bad in [
            "64",
            "64+",
            "GiB",
            "x",
            "",
            "64KiB",
            "99999999999999999999GiB",
        ] {
            assert!(Count::of_memory(bad).is_err(), "{bad}");
        }
    }
}
