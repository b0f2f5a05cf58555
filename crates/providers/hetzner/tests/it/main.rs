//! Tests of the Hetzner provider, against its fake.

#![expect(clippy::unwrap_used, reason = "in tests a panic is a failure")]

mod conformance;
mod errors;
mod judge;
mod support;
