//! Kind `linode` against its fake: the behavior suite, the table of errors, faults, and what is
//! special to Linode. The fake is judged by the vendor's own description.

#![expect(clippy::unwrap_used, reason = "in tests a panic is a failure")]

mod abilities;
mod catalog;
mod conformance;
mod create;
mod description;
mod errors;
mod faults;
mod judge;
mod support;
