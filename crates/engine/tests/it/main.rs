//! The engine from outside: its guard, its promises, and whole runs on a simulated cloud.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on shall end there"
)]

mod bed;
mod conformance;
mod engine;
mod guard;
mod virtual_clock;
