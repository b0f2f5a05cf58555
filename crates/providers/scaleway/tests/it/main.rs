//! Tests of the Scaleway provider, against a fake that a table of the vendor's field names judges.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "in tests a panic is a failure, and what was not run is printed"
)]

mod abilities;
mod conformance;
mod decode;
mod errors;
mod faults;
mod judge;
mod leftovers;
mod machines;
mod mistakes;
mod scale;
mod support;
