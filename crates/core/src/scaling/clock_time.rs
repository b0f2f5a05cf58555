//! Times of day, days and time zones, as a configuration writes them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Kind, Result};

/// A day of the week.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// A time of day, to the minute: `08:00`. `24:00` is the midnight at the end of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DayTime(Time);

/// A time zone by its IANA name. Its rules come from the system, or from this program if the system
/// has none; they are looked up once, when the name is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl From<Weekday> for Day {
    fn from(day: Weekday) -> Self {
        match day {
            Weekday::Monday => Self::Mon,
            Weekday::Tuesday => Self::Tue,
            Weekday::Wednesday => Self::Wed,
            Weekday::Thursday => Self::Thu,
            Weekday::Friday => Self::Fri,
            Weekday::Saturday => Self::Sat,
            Weekday::Sunday => Self::Sun,
        }
    }
}

// === impl DayTime ===

impl DayTime {
    /// The time on a clock.
    pub const fn time(self) -> Time {
        self.0
    }
}

impl FromStr for DayTime {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            Error::new(Kind::Invalid, format!("`{text}` is not a time of day"))
                .with_hint("write it as `08:00`, from `00:00` to `24:00`")
        };
        let (hour, minute) = text.split_once(':').ok_or_else(bad)?;
        let is_pair = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        if !is_pair(hour) || !is_pair(minute) {
            return Err(bad());
        }
        let hour: i8 = hour.parse().map_err(|_| bad())?;
        let minute: i8 = minute.parse().map_err(|_| bad())?;
        if (hour, minute) == (24, 0) {
            return Ok(Self(Time::midnight()));
        }
        Time::new(hour, minute, 0, 0).map(Self).map_err(|_| bad())
    }
}

impl fmt::Display for DayTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

impl Serialize for DayTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DayTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| hinted(&error))
    }
}

impl JsonSchema for DayTime {
    fn schema_name() -> Cow<'static, str> {
        "DayTime".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$",
            "description": "A time of day such as `08:00`.",
            "examples": ["08:00", "24:00"],
        })
    }
}

// === impl Zone ===

impl Zone {
    /// The rules of the zone.
    pub const fn rules(&self) -> &TimeZone {
        &self.0
    }
}

impl FromStr for Zone {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        TimeZone::get(text).map(Self).map_err(|error| {
            Error::new(Kind::Invalid, format!("`{text}` is not a known time zone"))
                .with_hint("write its IANA name, such as `Europe/Berlin` or `UTC`")
                .with_source(error)
        })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| hinted(&error))
    }
}

impl JsonSchema for Zone {
    fn schema_name() -> Cow<'static, str> {
        "TimeZone".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "The IANA name of a time zone.",
            "examples": ["Europe/Berlin", "America/New_York", "UTC"],
        })
    }
}

fn hinted<E: serde::de::Error>(error: &Error) -> E {
    E::custom(format!("{error}, {}", error.hint().unwrap_or("")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_print_what_they_read() {
        for (text, shown) in [("08:00", "08:00"), ("23:59", "23:59"), ("24:00", "00:00")] {
            assert_eq!(text.parse::<DayTime>().unwrap().to_string(), shown);
        }
        for bad in [
            "8:00", "08:60", "24:01", "25:00", "08:00:00", "0800", "-1:00", "",
        ] {
            assert_eq!(
                bad.parse::<DayTime>().unwrap_err().kind(),
                Kind::Invalid,
                "{bad}"
            );
        }
    }

    #[test]
    fn a_zone_is_known_by_its_name() {
        let zone: Zone = "America/New_York".parse().unwrap();
        assert_eq!(zone.to_string(), "America/New_York");
        assert_eq!("UTC".parse::<Zone>().unwrap().to_string(), "UTC");
        let error = "Mars/Olympus".parse::<Zone>().unwrap_err();
        assert_eq!(error.to_string(), "`Mars/Olympus` is not a known time zone");
    }
}
