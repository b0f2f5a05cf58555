//! On-demand prices: the table shipped with this crate, and exact reading of decimal texts.
//!
//! ```text
//!  prices/us-east-1.txt ──(first question)──► sorted rows ──(binary search)──► price
//! ```
//! A region or a type that the table does not know has no price: a wrong one would be worse.

mod list;

use std::sync::OnceLock;

use fleetwright_core::HourlyPrice;
use jiff::civil::{Date, date};

pub(crate) use list::{PriceList, read};

/// Regions and their tables, each sorted by type.
const TABLES: [(&str, &str); 1] = [("us-east-1", include_str!("prices/us-east-1.txt"))];

/// The day of the shipped table of on-demand prices: 2026-02-09.
///
/// It holds Linux prices of us-east-1. For all other regions, and for newer prices, set
/// `prices = "api"`, which asks the Price List API.
pub const fn price_table_date() -> Date {
    date(2026, 2, 9)
}

type Row = (&'static str, u64);

/// The on-demand price of a type in a region, if the shipped table has it.
pub(crate) fn in_table(region: &str, instance_type: &str) -> Option<HourlyPrice> {
    static PARSED: [OnceLock<Vec<Row>>; TABLES.len()] = [const { OnceLock::new() }; TABLES.len()];
    let at = TABLES.iter().position(|(known, _)| *known == region)?;
    let (_, text) = TABLES.get(at)?;
    let rows = PARSED
        .get(at)?
        .get_or_init(|| rows(text).flatten().collect());
    let found = rows.binary_search_by_key(&instance_type, |(name, _)| name);
    let (_, micros) = rows.get(found.ok()?)?;
    Some(HourlyPrice::usd_micros(*micros))
}

/// The rows of a table; `None` for a line that is none. A test sees to it that there is none such.
fn rows(text: &'static str) -> impl Iterator<Item = Option<Row>> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (name, micros) = line.split_once(' ')?;
            Some((name, micros.parse().ok()?))
        })
}

/// Millionths from a decimal text such as `0.0960000000`, without going through a float. What is
/// below a millionth is rounded up, so that a price is never shown too low.
pub(crate) fn micros(decimal: &str) -> Option<u64> {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let (kept, rest) = fraction.split_at_checked(6).unwrap_or((fraction, ""));
    let kept: u64 = format!("{kept:0<6}").parse().ok()?;
    let rounding = u64::from(rest.bytes().any(|byte| byte != b'0'));
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(1_000_000)?
        .checked_add(kept)?
        .checked_add(rounding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_dated_sorted_and_whole() {
        for (region, text) in TABLES {
            let header = format!("# Region: {region}\n# Date: {}\n", price_table_date());
            assert!(text.contains(&header), "{region}");
            let rows: Vec<Row> = rows(text)
                .map(|row| row.expect("a row has a type and a price"))
                .collect();
            assert!(rows.len() > 1_000, "{region}: {}", rows.len());
            assert!(rows.is_sorted_by(|a, b| a.0 < b.0), "{region}");
            for (name, micros) in rows {
                // From t4g.nano to the machines with 32 TiB.
                assert!((4_000..400_000_000).contains(&micros), "{name}");
            }
        }
    }

    #[test]
    fn the_table_knows_common_types_and_no_other_region() {
        for (name, micros) in [
            ("t3.micro", 10_400),
            ("m5.large", 96_000),
            ("c7g.medium", 36_300),
            ("g5.xlarge", 1_006_000),
            ("g6e.48xlarge", 30_131_180),
            ("g7e.48xlarge", 33_144_320),
            ("p4d.24xlarge", 21_957_642),
            ("p5.48xlarge", 55_040_000),
            ("u7in-32tb.224xlarge", 360_986_950),
            ("z1d.xlarge", 372_000),
        ] {
            assert_eq!(
                in_table("us-east-1", name),
                Some(HourlyPrice::usd_micros(micros)),
                "{name}"
            );
        }
        assert_eq!(in_table("us-east-1", "m5"), None);
        assert_eq!(in_table("us-east-1", "# Date:"), None);
        assert_eq!(in_table("cn-north-1", "t3.micro"), None);
    }

    #[test]
    fn decimals_are_read_exactly() {
        for (text, expected) in [
            ("0.0960000000", 96_000),
            ("21.9576420000", 21_957_642),
            ("0.035700", 35_700),
            ("3", 3_000_000),
            ("3.", 3_000_000),
            ("0.0000000001", 1),
            ("0.1000001", 100_001),
            // A float would make 0.99 of this.
            ("9007199254.740993", 9_007_199_254_740_993),
        ] {
            assert_eq!(micros(text), Some(expected), "{text}");
        }
        for text in ["", ".5", "-1", "1e3", "1,5", "0.0x", "99999999999999999999"] {
            assert_eq!(micros(text), None, "{text}");
        }
    }
}
