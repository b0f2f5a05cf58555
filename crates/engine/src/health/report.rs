//! Reports, and counting them. Pure.

use fleetwright_core::{Health, HealthRecord, HealthState, KernelMark};
use jiff::Timestamp;

/// What one look at a machine gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Whether it answered.
    pub reached: Reached,
    /// What is wrong with it.
    pub bad: Vec<String>,
    /// Whether something of that cannot be waited for: one such report is enough.
    pub is_fatal: bool,
    /// What could not be found out.
    pub unknown: Vec<String>,
    /// How far the kernel's log is read now, if it was read.
    pub kernel: Option<KernelMark>,
}

/// Whether a machine answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reached {
    /// Nobody looked, or nobody could.
    #[default]
    NotLooked,
    /// It did.
    Yes,
    /// It did not; the text says what was seen instead.
    No(String),
}

impl Report {
    /// A report that says nothing about the machine, and why.
    pub fn unseen(why: impl Into<String>) -> Self {
        Self {
            unknown: vec![why.into()],
            ..Self::default()
        }
    }
}

/// What is known after a further report.
///
/// Bad reports and reports that did not reach the machine count together: `failures` of them in a
/// row are needed, or a single fatal one. `successes` good ones in a row make it healthy again; one
/// is enough if nothing was known. A report that leaves something unknown and finds nothing wrong
/// counts neither way: it breaks no row and begins none.
pub fn count(
    record: &HealthRecord,
    report: &Report,
    policy: &Health,
    now: Timestamp,
) -> HealthRecord {
    let mut next = HealthRecord {
        at: now,
        unknown: report.unknown.clone(),
        kernel: report.kernel.clone().or_else(|| record.kernel.clone()),
        ..record.clone()
    };
    match &report.reached {
        Reached::NotLooked => return next,
        Reached::No(why) => {
            next.unreachable_since.get_or_insert(now);
            next.reasons = vec![why.clone()];
            next.successes = 0;
            next.failures = record.failures.saturating_add(1);
            if next.failures >= policy.failures {
                next.state = HealthState::Unreachable;
            }
        }
        Reached::Yes => {
            next.unreachable_since = None;
            // Whatever it is now, it is not out of reach.
            if record.state == HealthState::Unreachable {
                next.state = HealthState::Unhealthy;
            }
            next.reasons.clone_from(&report.bad);
            if !report.bad.is_empty() {
                next.successes = 0;
                next.failures = record.failures.saturating_add(1);
                if report.is_fatal {
                    next.failures = next.failures.max(policy.failures);
                }
                if next.failures >= policy.failures {
                    next.state = HealthState::Unhealthy;
                }
            } else if report.unknown.is_empty() {
                next.failures = 0;
                next.successes = record.successes.saturating_add(1);
                let is_enough = matches!(next.state, HealthState::Unknown | HealthState::Healthy)
                    || next.successes >= policy.successes;
                if is_enough {
                    next.state = HealthState::Healthy;
                }
            }
        }
    }
    if next.state != record.state {
        next.since = now;
    }
    next
}

/// Whether a round says more about us than about the machines: several were looked at, and not one
/// of them answered. Then nothing is counted.
pub fn is_our_own_fault(reports: &[Report]) -> bool {
    let looked = reports
        .iter()
        .filter(|report| report.reached != Reached::NotLooked);
    let reached = reports
        .iter()
        .filter(|report| report.reached == Reached::Yes)
        .count();
    looked.count() > 1 && reached == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn good() -> Report {
        Report {
            reached: Reached::Yes,
            ..Report::default()
        }
    }

    fn bad(fatal: bool) -> Report {
        Report {
            bad: vec!["it hurts".into()],
            is_fatal: fatal,
            ..good()
        }
    }

    fn blurred() -> Report {
        Report {
            unknown: vec!["who knows".into()],
            ..good()
        }
    }

    fn lost() -> Report {
        Report {
            reached: Reached::No("no answer".into()),
            ..Report::default()
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn after(reports: &str) -> HealthRecord {
        let policy = Health::default();
        let mut record = HealthRecord::new(at(0));
        for (second, letter) in (1..).zip(reports.chars()) {
            let report = match letter {
                'g' => good(),
                'b' => bad(false),
                'f' => bad(true),
                '?' => blurred(),
                'l' => lost(),
                '-' => Report::unseen("the cloud did not answer"),
                other => panic!("{other}"),
            };
            record = count(&record, &report, &policy, at(second));
        }
        record
    }

    /// g good, b bad, f fatal, l lost, ? blurred, - not looked; 3 failures, 2 successes.
    #[test]
    fn reports_are_counted_in_a_row() {
        use HealthState::{Healthy, Unhealthy, Unknown, Unreachable};
        for (reports, state) in [
            ("", Unknown),
            ("g", Healthy),
            ("b", Unknown),
            ("bb", Unknown),
            ("bbb", Unhealthy),
            ("gbb", Healthy),
            ("gbbb", Unhealthy),
            // A good one begins the row anew.
            ("gbbgbb", Healthy),
            ("bbbg", Unhealthy),
            ("bbbgg", Healthy),
            ("bbbgbgg", Healthy),
            ("bbbgbg", Unhealthy),
            // What is not known counts neither way, and breaks no row.
            ("?", Unknown),
            ("g?????", Healthy),
            ("bb?b", Unhealthy),
            ("bb-b", Unhealthy),
            ("bbb????", Unhealthy),
            ("bbbg?g", Healthy),
            // One is enough.
            ("gf", Unhealthy),
            ("gfg", Unhealthy),
            // Out of reach is a state of its own, and over with the first answer.
            ("gll", Healthy),
            ("glll", Unreachable),
            ("gbbl", Unreachable),
            ("glllg", Unhealthy),
            ("glll?", Unhealthy),
            ("glllgg", Healthy),
            ("glll-", Unreachable),
        ] {
            assert_eq!(after(reports).state, state, "{reports}");
        }
    }

    #[test]
    fn it_is_known_since_when_nobody_reaches_it() {
        assert_eq!(after("gl").unreachable_since, Some(at(2)));
        assert_eq!(after("gl-l").unreachable_since, Some(at(2)));
        assert_eq!(after("gllg").unreachable_since, None);
        assert_eq!(after("gll?").unreachable_since, None);
        assert_eq!(after("glll").since, at(4));
        assert_eq!(after("gllllll").since, at(4));
    }

    #[test]
    fn when_nobody_answers_it_is_us() {
        assert!(is_our_own_fault(&[lost(), lost()]));
        assert!(!is_our_own_fault(&[lost()]));
        assert!(!is_our_own_fault(&[lost(), good()]));
        assert!(!is_our_own_fault(&[lost(), Report::unseen("gap")]));
        assert!(!is_our_own_fault(&[]));
    }

    proptest! {
        /// However reports come: it is never unhealthy without a bad report, nor out of reach
        /// while it answers; and what is not known changes no counter.
        #[test]
        fn no_report_no_verdict(reports in "[gbfl?-]{0,30}") {
            let record = after(&reports);
            if !reports.contains(['b', 'f', 'l']) {
                prop_assert!(matches!(record.state, HealthState::Healthy | HealthState::Unknown));
            }
            if record.state == HealthState::Unreachable {
                prop_assert!(record.unreachable_since.is_some());
            }
            if !reports.contains('g') {
                prop_assert!(record.state != HealthState::Healthy);
            }
            let (a, b) = (after(&format!("{reports}?")), after(&format!("{reports}-")));
            prop_assert_eq!((a.failures, a.successes), (record.failures, record.successes));
            prop_assert_eq!((b.failures, b.successes), (record.failures, record.successes));
        }
    }
}
