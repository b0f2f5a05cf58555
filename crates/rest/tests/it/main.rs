//! Tests of the client and of the fake server, against each other.

#![expect(clippy::unwrap_used, reason = "in tests a panic is a failure")]

mod client;
mod limits;
mod pages;
mod quiet;
mod secrets;
mod support;
