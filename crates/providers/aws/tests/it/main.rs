//! Tests of the AWS provider: against our own fake of the wire protocols, and against moto.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "in tests a panic is a failure, and what was not run is printed"
)]

mod abilities;
mod catalog;
mod conformance;
mod errors;
mod live;
mod moto;
mod policy;
mod support;
