//! Circuit breakers, one per place: too many failures in a row, and nobody asks for a while.
//!
//! ```text
//!   closed ──failures──► open ──pause is over──► half-open ──one probe──► closed
//!                          ▲                         │
//!                          └───────── fails ─────────┘
//! ```

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

/// The breakers of one provider, by region.
#[derive(Debug)]
pub(crate) struct Breakers {
    failures: u32,
    pause: Duration,
    places: HashMap<String, Breaker>,
}

#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    /// Set while open.
    until: Option<Timestamp>,
    /// How often it opened without closing in between.
    openings: u32,
    /// A probe is under way.
    probing: bool,
}

/// What a result changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Transition {
    /// From now on calls are refused.
    Opened,
    /// Calls go through again.
    Closed,
}

impl Breakers {
    pub(crate) fn new(failures: u32, pause: Duration) -> Self {
        Self {
            failures,
            pause,
            places: HashMap::new(),
        }
    }

    /// Lets a call through, or says how long to wait.
    pub(crate) fn admit(&mut self, place: &str, now: Timestamp) -> Result<(), Duration> {
        let Some(breaker) = self.places.get_mut(place) else {
            return Ok(());
        };
        let Some(until) = breaker.until else {
            return Ok(());
        };
        if now < until {
            return Err(super::since(now, until));
        }
        // The next probe is due a pause later, even if this one never tells how it ended.
        breaker.until = Some(now + self.pause);
        breaker.probing = true;
        Ok(())
    }

    /// Takes the result of an admitted call.
    pub(crate) fn settle(
        &mut self,
        place: &str,
        healthy: bool,
        now: Timestamp,
    ) -> Option<Transition> {
        if healthy {
            let was_open = self
                .places
                .remove(place)
                .is_some_and(|old| old.until.is_some());
            return was_open.then_some(Transition::Closed);
        }
        let breaker = self.places.entry(place.to_owned()).or_default();
        breaker.failures += 1;
        let probed = std::mem::take(&mut breaker.probing);
        let late_answer = breaker.until.is_some() && !probed;
        if breaker.failures < self.failures || late_answer {
            return None;
        }
        let factor = 1u32.checked_shl(breaker.openings).unwrap_or(10).min(10);
        breaker.openings += 1;
        breaker.until = Some(now + self.pause.saturating_mul(factor));
        Some(Transition::Opened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_lets_one_probe_through_and_closes_on_success() {
        let start = Timestamp::UNIX_EPOCH;
        let mut breakers = Breakers::new(2, Duration::from_secs(10));
        assert_eq!(breakers.admit("a", start), Ok(()));
        assert_eq!(breakers.settle("a", false, start), None);
        assert_eq!(breakers.settle("a", false, start), Some(Transition::Opened));
        assert_eq!(breakers.admit("a", start), Err(Duration::from_secs(10)));
        assert_eq!(
            breakers.admit("b", start),
            Ok(()),
            "another region is not affected"
        );

        let later = start + Duration::from_secs(11);
        assert_eq!(breakers.admit("a", later), Ok(()));
        assert!(breakers.admit("a", later).is_err(), "only one probe");
        assert_eq!(breakers.settle("a", false, later), Some(Transition::Opened));
        assert_eq!(
            breakers.admit("a", later),
            Err(Duration::from_secs(20)),
            "the pause doubles"
        );

        let end = later + Duration::from_secs(21);
        assert_eq!(breakers.admit("a", end), Ok(()));
        assert_eq!(breakers.settle("a", true, end), Some(Transition::Closed));
        assert_eq!(breakers.admit("a", end), Ok(()));
    }
}
