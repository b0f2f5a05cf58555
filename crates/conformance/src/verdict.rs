//! What a case comes to, and running one to its end.

use std::fmt;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;

use crate::run::Run;
use crate::{CASES, Case, Subject};

/// What a case comes to: fine, or [`Stop`].
pub(crate) type Outcome<T = ()> = std::result::Result<T, Stop>;

/// Why a case ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The contract was broken.
    Failed {
        /// The sentence that does not hold.
        contract: String,
        /// What was seen instead.
        seen: String,
    },
    /// There is nothing to judge here, and why.
    NotApplicable(String),
}

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The contract holds.
    Passed,
    /// It was not judged: the ability or a hook is missing, or there is a waiver.
    NotApplicable {
        /// Why.
        why: String,
        /// Whether the subject asked for it in its waivers.
        waived: bool,
    },
    /// It does not hold.
    Failed(Failure),
}

/// A broken contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Name of the case.
    pub case: &'static str,
    /// The sentence of the contract that does not hold.
    pub contract: String,
    /// What was seen instead.
    pub seen: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "conformance: {} failed\n  contract: {}\n  seen:     {}",
            self.case, self.contract, self.seen
        )
    }
}

/// Runs the case of this name and panics if it fails: the body of the tests that
/// [`suite!`](crate::suite) makes.
///
/// # Panics
/// If the case fails, and if there is no such case.
#[expect(
    clippy::print_stdout,
    reason = "the line is the suite's documented output in a test"
)]
pub async fn judge(name: &str, subject: &dyn Subject) {
    let case = CASES
        .iter()
        .find(|case| case.name == name)
        .expect("the names come from the same table as the cases");
    match run(case, subject).await {
        Verdict::Passed => {}
        Verdict::NotApplicable { why, .. } => {
            println!("conformance: {name}: not applicable: {why}");
        }
        Verdict::Failed(failure) => panic!("{failure}"),
    }
}

/// Runs one case against a fresh subject. A panic of the provider is a failure of the case.
///
/// What the case made is removed before this returns, also when it failed, as far as the provider
/// can still do that.
pub async fn run(case: &Case, subject: &dyn Subject) -> Verdict {
    let failed = |contract: &str, seen: String| {
        Verdict::Failed(Failure {
            case: case.name,
            contract: contract.to_owned(),
            seen,
        })
    };
    let waivers = subject.waivers();
    if let Some(odd) = waivers
        .iter()
        .find(|w| !CASES.iter().any(|case| case.name == w.case))
    {
        return failed(
            "a waiver names a case of the suite",
            format!("`{}`, which is none", odd.case),
        );
    }
    if let Some(waiver) = waivers.into_iter().find(|w| w.case == case.name) {
        return Verdict::NotApplicable {
            why: waiver.reason,
            waived: true,
        };
    }
    if !case.ability.is_had_by(&*subject.provider()) {
        return Verdict::NotApplicable {
            why: format!("the provider has no {}", case.ability.as_str()),
            waived: false,
        };
    }
    let run = Run::new(subject).await;
    let outcome = AssertUnwindSafe((case.body)(&run))
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| {
            Err(Stop::Failed {
                contract: "a provider never panics".to_owned(),
                seen: panic_text(&*panic),
            })
        });
    let end = match AssertUnwindSafe(run.finish()).catch_unwind().await {
        Ok(end) => end,
        Err(panic) => Err(Stop::Failed {
            contract: "a provider never panics".to_owned(),
            seen: panic_text(&*panic),
        }),
    };
    let first = match outcome {
        Err(Stop::Failed { .. }) | Ok(()) => outcome.and(end),
        Err(Stop::NotApplicable(_)) => end.and(outcome),
    };
    match first {
        Ok(()) => Verdict::Passed,
        Err(Stop::NotApplicable(why)) => Verdict::NotApplicable { why, waived: false },
        Err(Stop::Failed { contract, seen }) => failed(&contract, seen),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    format!("a panic: {}", text.as_deref().unwrap_or("without a text"))
}

/// Fails with the sentence of the contract unless it holds.
pub(crate) fn must(holds: bool, contract: &str, seen: impl FnOnce() -> String) -> Outcome {
    if holds {
        return Ok(());
    }
    Err(Stop::Failed {
        contract: contract.to_owned(),
        seen: seen(),
    })
}

/// Ends the case: there is nothing to judge.
pub(crate) fn not_applicable<T>(why: impl Into<String>) -> Outcome<T> {
    Err(Stop::NotApplicable(why.into()))
}
