//! The behavior suite that every provider passes.
//!
//! A provider is correct if the same token gives the same nodes, if a listing says what it could
//! not see, and if an error says whether something happened. Types cannot say that; this crate
//! does, as a list of cases that run against a [`Subject`]: the provider and a world round it.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use async_trait::async_trait;
//! use fleetwright_conformance::Subject;
//! use fleetwright_core::{Node, NodeSpec, Provider};
//!
//! struct MyWorld {
//!     provider: Arc<dyn Provider>,
//!     spec: NodeSpec,
//! }
//!
//! #[async_trait]
//! impl Subject for MyWorld {
//!     fn provider(&self) -> Arc<dyn Provider> {
//!         Arc::clone(&self.provider)
//!     }
//!
//!     fn spec(&self) -> NodeSpec {
//!         self.spec.clone()
//!     }
//!
//!     async fn settle(&self, wanted: Duration) {
//!         tokio::time::sleep(wanted).await;
//!     }
//!
//!     async fn truth(&self) -> Vec<Node> {
//!         # /*
//!         ask_the_world_itself().await
//!         # */ Vec::new()
//!     }
//! }
//! # fn fresh_world() -> MyWorld { panic!("there is no world behind an example") }
//!
//! // In `tests/it/conformance.rs`; tokio with `macros` is a dev-dependency.
//! fleetwright_conformance::suite!(subject = fresh_world());
//! ```
//!
//! Options behind the subject go to `#[tokio::test]`: `suite!(subject = Sim::fresh(),
//! start_paused = true)`. The expression may hold `.await`.
//!
//! - Which cases run is decided by the provider's accessors (`provider.groups().is_some()`) and by
//!   what the subject's hooks can do, never by a flag. A case that cannot run prints
//!   `conformance: <case>: not applicable: <why>`.
//! - [`CASES`] is the list as data, [`run`] runs one and returns its [`Verdict`]: the
//!   documentation is generated from them.
//! - Every case ends with the same three questions: does anything exist that nobody knows of, was
//!   a secret shown in an error, is everything gone that was made.
//! - Failures quote the sentence of the contract that was broken, and what was seen.

mod case;
mod run;
mod subject;
mod verdict;

mod balancers;
mod catalog;
mod create;
mod delete;
mod dns;
mod errors;
mod get;
mod groups;
mod hygiene;
mod info;
mod interruptions;
mod lifecycle;
mod list;
mod replay;
mod requests;

pub use case::{Ability, CASES, Case};
pub(crate) use run::Run;
pub use subject::{Fault, Point, ScriptEnd, Subject, Waiver};
pub(crate) use verdict::Outcome;
pub use verdict::{Failure, Verdict, judge, run};

/// Makes one `#[tokio::test]` of every case.
///
/// `suite!(subject = <expression>)`, optionally followed by options for `#[tokio::test]`, e.g.
/// `start_paused = true` or `flavor = "multi_thread"`. The expression is evaluated inside each
/// test and may hold `.await`; it gives a value that implements [`Subject`].
#[macro_export]
macro_rules! suite {
    (subject = $subject:expr $(, $option:ident = $value:tt)* $(,)?) => {
        $crate::for_each_case!($crate::__suite_tests, { $subject } { $($option = $value),* });
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __suite_tests {
    ({ $subject:expr } $options:tt $($module:ident $ability:ident { $($name:ident: $what:literal,)* })*) => {
        $($($crate::__suite_test!({ $subject } $options $name);)*)*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __suite_test {
    ({ $subject:expr } { $($options:tt)* } $name:ident) => {
        #[tokio::test($($options)*)]
        async fn $name() {
            let subject = $subject;
            $crate::judge(stringify!($name), &subject).await;
        }
    };
}
