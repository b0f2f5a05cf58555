//! The one path by which nodes are made and removed: observe → plan → execute.
//!
//! ```text
//!   providers ──► observe ──► plan (pure) ──► execute ──► journal, events
//!       ▲                                        │
//!       └────────────── guard ◄──────────────────┘
//! ```
//!
//! [`Engine`] ties the parts together. [`Guarded`] wraps each provider with the one place that
//! retries. Planning ([`plan`]) and selection ([`select_offers`]) are pure functions: the same
//! observation gives the same plan.

mod audit;
mod bill;
mod clock;
mod converge;
mod dead_man;
mod decision;
mod discover;
mod engine;
mod execute;
mod extend;
mod fleet;
mod guard;
mod idle;
mod interruption;
mod life;
mod observe;
mod plan;
mod planting;
mod recorder;
mod resolve;
mod select;
mod shortage;
mod tenure;
mod watch;

pub use audit::{Audit, Duplicate, Surplus};
pub use bill::{Bill, BillLine};
pub use clock::SystemClock;
pub use converge::{Approval, ConvergeOptions, Outcome, PoolStatus, Standing};
pub use decision::{Question, decide};
pub use engine::Engine;
pub use execute::Executed;
pub use extend::{Extended, Extension};
pub use fleet::{Fleet, Safety};
pub use guard::{Guarded, Policy};
pub use idle::Use;
pub use life::{Evidence, advance};
pub use observe::{CatalogView, Observation, Seen};
pub use plan::{PlanOptions, pick_surplus, plan};
pub use planting::Planting;
pub use recorder::{Listener, Recorder};
pub use select::{Exclusion, Selection, select_offers};
pub use shortage::{Departure, Shortage};
pub use watch::{BACKGROUND, Round, Watch};
