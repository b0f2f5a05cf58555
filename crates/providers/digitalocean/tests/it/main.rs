//! Tests of the DigitalOcean provider against a fake that the official description judges.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "in tests a panic is a failure, and what was not run is printed"
)]

mod conformance;
mod support;
