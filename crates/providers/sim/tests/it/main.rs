//! The simulated cloud, from outside.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on shall end there"
)]

mod abilities;
mod capacity;
mod config;
mod conformance;
mod create;
mod file;
mod groups;
mod life;
mod limits;
mod list;
mod processes;
mod support;
