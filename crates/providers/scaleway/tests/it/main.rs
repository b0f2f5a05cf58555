//! Tests of the provider on its fake.

mod conformance;
mod support;
