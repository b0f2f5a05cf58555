//! The journal: what was asked for, what came of it, and what all processes must agree on.
//!
//! One SQLite file, used by several processes at once: command lines next to each other and next
//! to a server. What may not be lost (leases, claims, nodes, sizes) is on disk before a call
//! returns; what can be found again or is only an account of things (marks, budgets, breakers,
//! signals, findings, events written alone) survives the death of the process but perhaps not of the
//! machine.
//!
//! ```text
//!               ┌─ durable: one connection, synchronous = FULL ──► leases, claims, nodes, sizes
//!  Store ───────┼─ loose:   one connection, synchronous = NORMAL ► events, marks, budgets, breakers,
//!               │                                                  signals, findings
//!               └─ reads:   two connections, read-only ──────────► everything
//! ```
//!
//! A connection is made when it is first needed. SQLite has one writer at a time in any case, so
//! one connection for each kind of write costs nothing, and the writes of one process queue in
//! order instead of polling for the lock.
//!
//! *Guarded* writes carry a [`Lease`]: the fence of the lease is checked in the transaction that
//! writes, so a process that lost its lease commits nothing.
//!
//! The SQL is the same for PostgreSQL, apart from opening a file (`file`, `schema`) and the word
//! that begins a transaction.

mod breakers;
mod budgets;
mod cases;
mod claims;
mod cordons;
mod decisions;
mod deliveries;
mod deployments;
mod error;
mod events;
mod file;
mod findings;
mod health;
mod lease;
mod lifetime;
mod marks;
mod nodes;
mod schema;
mod signals;
mod sizes;
mod store;
mod targets;
mod transaction;
mod turns;

pub use breakers::{Circuit, Patience};
pub use budgets::{BudgetState, Draw, Taken, Throttled};
pub use deliveries::Delivery;
pub use deployments::LastDeployed;
pub use findings::Measurement;
pub use health::HealthChange;
pub use lease::{Held, Lease};
pub use lifetime::Lifetime;
pub use marks::{Admission, Learned, Mark, Shortage};
pub use signals::{SIGNAL_HISTORY, SignalState, SignalValue};
pub use sizes::SizeChange;
pub use store::Store;
pub use targets::{SeenTarget, WelcomeRecord, WelcomeState};
