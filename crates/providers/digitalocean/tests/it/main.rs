//! Tests of the DigitalOcean provider against a fake that the official description judges.

#![expect(clippy::unwrap_used, reason = "in tests a panic is a failure")]

mod abilities;
mod conformance;
mod decode;
mod droplets;
mod errors;
mod faults;
mod judge;
mod limits;
mod support;
mod wrong_inputs;
