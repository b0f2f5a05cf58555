//! The local provider with real processes, real SSH and the real clock.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests fail like tests, and say what was skipped"
)]

mod boot;
mod conformance;
mod limits;
mod processes;
mod removal;
mod replay;
mod sessions;
mod support;
mod system_ssh;
