//! The guard: what it repeats, when, how it gives up, and whom it holds back.
//!
//! Time is virtual, except where `budget` keeps the budgets in a journal.

mod budget;
mod fake;
mod gate;
mod planting;
mod retry;
mod shared;
