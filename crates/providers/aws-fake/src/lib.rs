//! A stateful fake of the wire protocols of EC2 and its neighbors, for tests.
//!
//! It speaks HTTP on a free port of 127.0.0.1, so the real SDK talks to it unchanged. It keeps
//! what emulators leave out: idempotency by client token, partial fleets, capacity and quota with
//! zone hints, token buckets, listings that lag, interruptions, and faults at the wire before and
//! after the effect.
//!
//! ```text
//!  server ── request ──► faults ──► dispatch ──► ec2 | rest ──► world (one mutex)
//!    ▲                                               │
//!    └──────────── answer (or half of it, or none) ◄─┘
//! ```
//!
//! It runs in a thread of its own and in real time, so that tests may pause theirs.

mod answer;
mod catalog;
mod config;
mod dispatch;
mod ec2;
mod fake;
mod faults;
mod markup;
mod model;
mod params;
mod request;
mod rest;
mod server;
mod world;
mod xml;

pub use config::FakeConfig;
pub use fake::Fake;
pub use faults::{Failure, How};
pub use model::models;
pub use request::Call;
pub use world::instance::{Instance, Lifecycle, State};
pub use world::notice::Notice;
