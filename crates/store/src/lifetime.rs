//! How long shortages last, as far as is known. Pure, and in whole numbers.
//!
//! ```text
//!  refused            refused again          given
//!  ──┬─── first ───┬──────┬── lasted / 2 ──┬───┬──────► time
//!    since         end    still short      end over
//! ```
//!
//! A shortage lasts from its first refusal to the first machine that is given again. Its end is not
//! seen; it lies between the last refusal and the find, so the middle of the two is what is learned
//! from it. Each observation moves the estimate half of the way:
//!
//! - **refused again** after `lasted`, which is longer than the estimate: `estimate + (lasted -
//!   estimate) / 2`;
//! - **given again**: `estimate + (middle - estimate) / 2`, in either direction.
//!
//! The first mark of a shortage lasts as long as the estimate. Each later one lasts half as long as
//! the shortage has lasted by then, so that its end is found at most half as long again too late,
//! and a cloud that is short for hours is asked a dozen times and not hundreds of times.

use std::time::Duration;

/// The estimate of how long shortages of an offer last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// As long as this.
    pub estimate: Duration,
    /// From so many observations.
    pub observed: u32,
}

impl Lifetime {
    /// What is believed when nothing is known.
    pub const START: Duration = Duration::from_mins(3);
    /// No mark is shorter.
    pub const SHORTEST: Duration = Duration::from_secs(30);
    /// No mark is longer.
    pub const LONGEST: Duration = Duration::from_hours(6);

    /// How long the first mark of a shortage lasts.
    pub fn first_mark(self) -> Duration {
        within_bounds(self.estimate)
    }

    /// How long a further mark lasts, when the shortage has lasted so long.
    pub fn next_mark(lasted: Duration) -> Duration {
        within_bounds(lasted / 2)
    }

    /// The estimate after a refusal at a time when the shortage has lasted so long.
    #[must_use]
    pub fn refused_again(self, lasted: Duration) -> Self {
        if lasted <= self.estimate {
            return self;
        }
        self.half_way_to(lasted)
    }

    /// The estimate after a shortage whose last refusal came so long after its beginning, and whose
    /// end was found so long after it.
    #[must_use]
    pub fn given_again(self, last_refusal: Duration, found: Duration) -> Self {
        let unseen = found.saturating_sub(last_refusal);
        self.half_way_to(last_refusal + unseen / 2)
    }

    fn half_way_to(self, observed: Duration) -> Self {
        // Of two durations, the middle; neither sum nor difference overflows.
        let (low, high) = if observed < self.estimate {
            (observed, self.estimate)
        } else {
            (self.estimate, observed)
        };
        Self {
            estimate: within_bounds(low + high.saturating_sub(low) / 2),
            observed: self.observed.saturating_add(1),
        }
    }
}

impl Default for Lifetime {
    fn default() -> Self {
        Self {
            estimate: Self::START,
            observed: 0,
        }
    }
}

fn within_bounds(duration: Duration) -> Duration {
    duration.clamp(Lifetime::SHORTEST, Lifetime::LONGEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn minutes(count: u64) -> Duration {
        Duration::from_mins(count)
    }

    /// Goes through a shortage of this length, asking whenever a mark ends; says how often the
    /// cloud was asked in vain, and how long after the end that was noticed.
    fn suffer(lifetime: &mut Lifetime, length: Duration) -> (u32, Duration) {
        let mut asked = 1;
        let mut last_refusal = Duration::ZERO;
        let mut now = lifetime.first_mark();
        while now < length {
            *lifetime = lifetime.refused_again(now);
            asked += 1;
            last_refusal = now;
            now += Lifetime::next_mark(now);
        }
        *lifetime = lifetime.given_again(last_refusal, now);
        (asked, now.saturating_sub(length))
    }

    #[test]
    fn an_observation_moves_the_estimate_half_of_the_way() {
        let start = Lifetime::default();
        assert_eq!(start.first_mark(), minutes(3));
        assert_eq!(
            start.refused_again(minutes(3)),
            start,
            "as long as believed"
        );
        let longer = start.refused_again(minutes(9));
        assert_eq!((longer.estimate, longer.observed), (minutes(6), 1));
        // The last refusal after 9 minutes, found after 13: it ended after 11, more or less.
        let ended = longer.given_again(minutes(9), minutes(13));
        assert_eq!(
            (ended.estimate, ended.observed),
            (minutes(8) + minutes(1) / 2, 2)
        );
        let short = ended.given_again(Duration::ZERO, minutes(1));
        assert_eq!(short.estimate, minutes(4) + minutes(1) / 2);
    }

    #[test]
    fn a_shortage_of_an_hour_is_learned_and_the_next_one_costs_few_questions() {
        let mut lifetime = Lifetime::default();
        let (first, _) = suffer(&mut lifetime, minutes(60));
        assert_eq!(first, 9);
        assert!(lifetime.estimate > minutes(30), "{lifetime:?}");
        let (second, late) = suffer(&mut lifetime, minutes(60));
        assert!(second <= 3, "{second} questions");
        assert!(late <= minutes(30), "{late:?} late");
    }

    #[test]
    fn it_unlearns_when_shortages_become_short() {
        let mut lifetime = Lifetime {
            estimate: minutes(60),
            observed: 9,
        };
        for _ in 0..6 {
            suffer(&mut lifetime, minutes(2));
        }
        assert!(lifetime.estimate < minutes(15), "{lifetime:?}");
    }

    proptest! {
        #[test]
        fn the_estimate_stays_within_its_bounds_and_an_end_is_never_noticed_later_than_documented(
            lengths in prop::collection::vec(1_u64..100_000, 1..20),
        ) {
            let mut lifetime = Lifetime::default();
            for seconds in lengths {
                let length = Duration::from_secs(seconds);
                let before = lifetime.first_mark();
                let (_, late) = suffer(&mut lifetime, length);
                let allowed = before.max(length / 2).max(Lifetime::SHORTEST);
                prop_assert!(late <= allowed, "{late:?} after {length:?}, believed {before:?}");
                prop_assert!(lifetime.estimate >= Lifetime::SHORTEST);
                prop_assert!(lifetime.estimate <= Lifetime::LONGEST);
            }
        }

        #[test]
        fn the_estimate_moves_towards_what_was_observed(
            believed in 30_u64..21_600,
            refused in 0_u64..20_000,
            unseen in 0_u64..1_000,
        ) {
            let before = Lifetime { estimate: Duration::from_secs(believed), observed: 0 };
            let (refused, found) = (refused, refused + unseen);
            let after = before.given_again(Duration::from_secs(refused), Duration::from_secs(found));
            let middle = Duration::from_millis((refused + found) * 500);
            let (low, high) = (middle.min(before.estimate), middle.max(before.estimate));
            prop_assert!(after.estimate >= low.max(Lifetime::SHORTEST).min(high.max(Lifetime::SHORTEST)));
            prop_assert!(after.estimate <= high.max(Lifetime::SHORTEST));
        }
    }
}
