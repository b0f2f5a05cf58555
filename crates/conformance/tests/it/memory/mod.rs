//! A cloud in memory: every ability, three ways to be exactly once, and flaws on demand.
//!
//! ```text
//!   Memory (the provider) ──► World (behind a lock) ◄── MemorySubject (hooks, witness)
//! ```
//! Time is tokio's, which the tests pause: nothing here takes real time.

mod abilities;
mod groups;
mod provider;
mod subject;
mod world;

pub(crate) use subject::MemorySubject;
pub(crate) use world::Flaw;
