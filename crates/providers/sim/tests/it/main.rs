//! The simulated cloud, from outside.

mod conformance;
mod support;
