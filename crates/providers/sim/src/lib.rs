//! A deterministic, seeded cloud in a file: for tests, demos and what-if.
//!
//! It behaves like a real cloud on a bad day, as bad as its configuration says: calls take time and
//! are throttled by token buckets, answers are lost before or after the effect, listings lag behind
//! and break half-way, capacity comes and goes, spot machines are taken back with notice. What
//! happens follows from the seed and the order of calls, never from chance.
//!
//! ```text
//!  SimProvider ─── what a client of the cloud sees ───┐
//!                                                     ├── one file, shared by processes
//!  World ───────── what there really is ──────────────┘
//! ```
//!
//! Nodes are entries in that file: nothing runs on them, and nobody can log in.

mod balancers;
mod catalog;
mod clock;
mod config;
mod create;
mod dns;
mod error;
mod groups;
mod interruptions;
mod list;
mod provider;
mod quotas;
mod world;

pub use clock::TokioClock;
pub use config::{
    QuotaUnit, SimCapacity, SimConfig, SimFaults, SimQuota, SimReclaim, SimRegion, SimType,
};
pub use provider::SimProvider;
pub use world::{Call, CallCount, Fault, Injection, Outcome, World};

/// The kind of this provider in a configuration.
pub const KIND: &str = "sim";
