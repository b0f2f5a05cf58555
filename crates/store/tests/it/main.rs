//! The journal as other crates see it, with real files and real processes.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod breakers;
mod budgets;
mod care;
mod child;
mod claims;
mod decisions;
mod events;
mod findings;
mod full_disk;
mod leases;
mod marks;
mod nodes;
mod opening;
mod processes;
mod scaling;
mod support;
mod turns;
