//! Limits as headers tell them: when to come back, and what is left.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;

/// Longest time for which headers are believed. A reset that lies further ahead (an hourly budget,
/// a wrong clock) is asked about again then.
const LONGEST: Duration = Duration::from_mins(1);

/// Names of the header that says how many calls are left. `x-ratelimit-*` is custom,
/// `ratelimit-*` an IETF draft.
/// <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>
const REMAINING: [&str; 3] = [
    "ratelimit-remaining",
    "x-ratelimit-remaining",
    "x-rate-limit-remaining",
];

/// Names of the header that says when calls come back.
const RESET: [&str; 3] = ["ratelimit-reset", "x-ratelimit-reset", "x-rate-limit-reset"];

/// Seconds that are an instant rather than a length of time: later than 2001.
const INSTANT_FROM: i64 = 1_000_000_000;

/// Buckets that are empty, and until when.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    empty: Mutex<HashMap<String, Timestamp>>,
}

impl Limits {
    /// How long calls of this bucket must still wait; `None` if one may go.
    pub(crate) fn wait(&self, bucket: &str, now: Timestamp) -> Option<Duration> {
        let mut empty = self.empty.lock().unwrap_or_else(PoisonError::into_inner);
        let until = *empty.get(bucket)?;
        match Duration::try_from(until.duration_since(now)) {
            Ok(wait) if !wait.is_zero() => Some(wait),
            _ => {
                empty.remove(bucket);
                None
            }
        }
    }

    /// Learns from an answer.
    pub(crate) fn learn(&self, bucket: &str, headers: &HeaderMap, now: Timestamp) {
        let remaining = REMAINING.iter().find_map(|name| number(headers, name));
        let mut empty = self.empty.lock().unwrap_or_else(PoisonError::into_inner);
        match (remaining, reset(headers, now)) {
            (Some(0), Some(wait)) => {
                let wait = SignedDuration::try_from(wait.min(LONGEST)).unwrap_or_default();
                empty.insert(bucket.to_owned(), now + wait);
            }
            (Some(_), _) => {
                empty.remove(bucket);
            }
            (None, _) => {}
        }
    }
}

/// When the other side wants to be asked again: `Retry-After`, or else the reset of its limit.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let after = headers
        .get("retry-after")
        .and_then(|value| value.to_str().ok());
    match after {
        Some(text) => match text.trim().parse::<u64>() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => from_date(text, headers, now),
        },
        None => reset(headers, now),
    }
}

/// The time until the limit is reset: vendors write seconds, or the instant in seconds since 1970.
fn reset(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = RESET.iter().find_map(|name| number(headers, name))?;
    if value < INSTANT_FROM {
        return u64::try_from(value).ok().map(Duration::from_secs);
    }
    let at = Timestamp::from_second(value).ok()?;
    Some(until(at, headers, now))
}

fn from_date(text: &str, headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    Some(until(at, headers, now))
}

/// The time to an instant by the clock of the other side, which its `Date` tells; by ours if it
/// tells none.
fn until(at: Timestamp, headers: &HeaderMap, now: Timestamp) -> Duration {
    let date = headers
        .get("date")
        .and_then(|value| value.to_str().ok())
        .and_then(|text| jiff::fmt::rfc2822::parse(text).ok())
        .map_or(now, |date| date.timestamp());
    Duration::try_from(at.duration_since(date)).unwrap_or_default()
}

fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    let text = headers.get(name)?.to_str().ok()?;
    // The draft allows parameters and lists: `5, 5;w=60`. The first number counts.
    let digits = text
        .trim()
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap_or("");
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn when_to_come_back_is_read_in_every_form() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        // The other side's clock is an hour late.
        let date = ("date", "Tue, 24 Nov 2026 11:00:00 GMT");
        for (pairs, seconds) in [
            (vec![], None),
            (vec![("retry-after", "7")], Some(7)),
            (
                vec![("retry-after", "Tue, 24 Nov 2026 12:00:09 GMT")],
                Some(9),
            ),
            (
                vec![date, ("retry-after", "Tue, 24 Nov 2026 11:00:09 GMT")],
                Some(9),
            ),
            (
                vec![("retry-after", "Tue, 24 Nov 2026 11:59:00 GMT")],
                Some(0),
            ),
            (vec![("retry-after", "soon")], None),
            (vec![("x-ratelimit-reset", "1795521612")], Some(12)),
            (vec![date, ("ratelimit-reset", "1795518012")], Some(12)),
            (vec![("ratelimit-reset", "30")], Some(30)),
            (
                vec![("retry-after", "7"), ("ratelimit-reset", "30")],
                Some(7),
            ),
        ] {
            let found = retry_after(&headers(&pairs), now);
            assert_eq!(found, seconds.map(Duration::from_secs), "{pairs:?}");
        }
    }

    #[test]
    fn an_empty_bucket_is_closed_until_its_reset_and_no_longer_than_believed() {
        let limits = Limits::default();
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let later = |seconds: i64| now + SignedDuration::from_secs(seconds);
        let some = headers(&[("ratelimit-remaining", "5"), ("ratelimit-reset", "30")]);
        limits.learn("a", &some, now);
        assert_eq!(limits.wait("a", now), None);
        let none = headers(&[("ratelimit-remaining", "0"), ("ratelimit-reset", "30")]);
        limits.learn("a", &none, now);
        assert_eq!(limits.wait("a", later(10)), Some(Duration::from_secs(20)));
        assert_eq!(limits.wait("b", now), None);
        assert_eq!(limits.wait("a", later(30)), None);
        let hourly = headers(&[("ratelimit-remaining", "0"), ("ratelimit-reset", "3600")]);
        limits.learn("a", &hourly, now);
        assert_eq!(limits.wait("a", now), Some(LONGEST));
        limits.learn("a", &some, now);
        assert_eq!(limits.wait("a", now), None, "a later answer corrects it");
    }
}
