//! Verdicts: what is expected beside what was said. Pure.

use fleetwright_core::{Check, Expectation, Finding, Severity, Verdict};

use super::answer::Answer;
use super::{command, file, nix, package};

/// How one probe came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    pub(super) expected: Option<String>,
    pub(super) actual: Option<String>,
}

impl Judged {
    pub(super) fn agrees(expected: String, actual: String) -> Self {
        Self::new(Verdict::Agrees, expected, Some(actual))
    }

    pub(super) fn differs(reason: impl Into<String>, expected: String, actual: String) -> Self {
        let reason = reason.into();
        Self::new(Verdict::Differs { reason }, expected, Some(actual))
    }

    pub(super) fn missing(reason: impl Into<String>, expected: String) -> Self {
        let reason = reason.into();
        Self::new(Verdict::Missing { reason }, expected, None)
    }

    pub(super) fn unknown(reason: impl Into<String>, expected: String) -> Self {
        let reason = reason.into();
        Self::new(Verdict::Unknown { reason }, expected, None)
    }

    /// Nobody knows what is expected.
    pub(super) fn unexpected(reason: String) -> Self {
        Self {
            verdict: Verdict::Unknown { reason },
            expected: None,
            actual: None,
        }
    }

    fn new(verdict: Verdict, expected: String, actual: Option<String>) -> Self {
        Self {
            verdict,
            expected: Some(expected),
            actual,
        }
    }
}

/// Compares what a probe expects with what a node said. `limit` is that of the probe, in seconds.
pub(super) fn judge(
    check: &Check,
    expectation: &Expectation,
    answer: &Answer,
    limit: u64,
) -> Judged {
    match check {
        Check::Nix(check) => nix::judge(check, expectation, answer, limit),
        Check::Command(check) => command::judge(check, expectation, answer, limit),
        Check::File(check) => file::judge(check, expectation, answer, limit),
        Check::Package(check) => package::judge(check, answer, limit),
    }
}

/// How bad it is that a node differs; nothing if it is not known to.
///
/// Critical if it has no configuration at all, because everything that is expected of it is
/// missing; else as bad as the worst of what differs. What is unknown counts neither way.
pub fn severity(findings: &[Finding]) -> Option<Severity> {
    let worst = findings
        .iter()
        .filter(|finding| finding.verdict.is_drift())
        .map(|finding| finding.severity)
        .max()?;
    if is_bare(findings) {
        return Some(Severity::Critical);
    }
    Some(worst)
}

/// Whether everything that is expected is missing.
pub(super) fn is_bare(findings: &[Finding]) -> bool {
    !findings.is_empty()
        && findings
            .iter()
            .all(|finding| matches!(finding.verdict, Verdict::Missing { .. }))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn finding(severity: Severity, verdict: Verdict) -> Finding {
        Finding {
            probe: "p".into(),
            severity,
            expected: None,
            actual: None,
            verdict,
            at: Timestamp::UNIX_EPOCH,
            since: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_node_is_as_bad_as_the_worst_of_it_and_critical_if_it_has_nothing() {
        let reason = String::new;
        let differs = || Verdict::Differs { reason: reason() };
        let missing = || Verdict::Missing { reason: reason() };
        let unknown = || Verdict::Unknown { reason: reason() };
        let of = |all: Vec<(Severity, Verdict)>| {
            let all: Vec<Finding> = all.into_iter().map(|(s, v)| finding(s, v)).collect();
            severity(&all)
        };
        use Severity::{Critical, High, Low, Medium};
        assert_eq!(of(vec![]), None);
        assert_eq!(of(vec![(Critical, Verdict::Agrees)]), None);
        assert_eq!(of(vec![(Critical, unknown())]), None, "unknown is no drift");
        assert_eq!(of(vec![(Low, differs()), (High, differs())]), Some(High));
        assert_eq!(of(vec![(Low, differs()), (High, unknown())]), Some(Low));
        assert_eq!(
            of(vec![(Low, missing()), (Medium, missing())]),
            Some(Critical),
            "nothing at all"
        );
        assert_eq!(of(vec![(Low, missing()), (Low, unknown())]), Some(Low));
        assert_eq!(of(vec![(Low, missing()), (Low, differs())]), Some(Low));
    }
}
