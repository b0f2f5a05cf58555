//! The crate against the real OpenSSH: its `sshd`, its `ssh`, its agent.
//!
//! The servers are private ones on loopback addresses, with keys, users and folders of their own;
//! nobody's `~/.ssh` is read or written. Without `sshd` the tests that need it say so and pass.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do; clippy excepts only test functions"
)]

mod config;
mod fan_out;
mod files;
mod jump;
mod login;
mod peer;
mod run;
mod trust;
