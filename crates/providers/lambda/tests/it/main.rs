//! Tests of the Lambda provider, against a fake that the official description judges.

#![expect(clippy::unwrap_used, reason = "in tests a panic is a failure")]

mod conformance;
mod create;
mod errors;
mod faults;
mod judge;
mod scale;
mod support;
