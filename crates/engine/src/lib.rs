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
mod budget;
mod capacity;
mod charge;
mod clock;
mod converge;
mod cordon;
mod cost;
mod dead_man;
mod decision;
mod deploy;
mod discover;
mod drift;
mod engine;
mod execute;
mod extend;
mod fleet;
mod guard;
mod heal;
mod health;
mod idle;
mod interruption;
mod life;
mod notice;
mod observe;
mod offers;
mod plan;
mod planting;
mod recorder;
mod resolve;
mod scaling;
mod select;
mod shortage;
mod targets;
mod tenure;
mod watch;

pub use audit::{Audit, Duplicate, Surplus};
pub use bill::{Bill, BillLine};
pub use budget::{MonthSpent, budget_lines, exceeded};
pub use capacity::{BreakerReport, LearnedReport, Place, RateReport, ShortageReport};
pub use clock::SystemClock;
pub use converge::{Approval, ConvergeOptions, Outcome, PoolStatus, Standing};
pub use cordon::{CordonRequest, Cordoned};
pub use cost::{Cost, CostGroup, CostKey, CostQuery, CostReport, InFlight, cost};
pub use decision::{Question, decision_on};
pub use deploy::{DeployOptions, DeploySink, DeployWish, Deployed, Rollout, RolloutStep};
pub use drift::{Condition, Expectations, MeasureOptions, Measured, severity};
pub use engine::Engine;
pub use execute::{Attempt, Executed, Failure};
pub use extend::{Extended, Extension};
pub use fleet::{Fleet, Safety};
pub use guard::{Guarded, Policy};
pub use heal::{
    Allowance, Cron, Diagnosis, Eyes, GroupState, HealPlan, HealSituation, HealStep, HealthVerdict,
    Held, Hold, JournalEyes, KnownTargets, Looked, Policy as GroupPolicy, Reach, Sight,
    TargetState, Treated, Unmeasured, Upkeep, UpkeepOptions, UpkeepRound, allowance, are_too_many,
    diagnose, prescribe,
};
pub use health::{Examined, Reached, Report, count, is_our_own_fault};
pub use idle::Use;
pub use life::{Evidence, advance};
pub use notice::{Sent, Undelivered, concerns};
pub use observe::{CatalogView, Observation, Seen};
pub use offers::{
    Board, CatalogPart, Found, Hit, OfferLine, OfferQuery, PartInfo, Rates, Shelf, Source,
    StoredQuotas, Tally, WhyNot, find,
};
pub use plan::{PlanOptions, pick_surplus, plan};
pub use planting::Planting;
pub use recorder::{Listener, Recorder};
pub use scaling::{
    Decision, PoolSize, Reading, Readings, SizeEvidence, SizeState, Sizing, Vote, decide,
};
pub use select::{
    Allotment, Exclusion, Part, Placed, Selection, Share, Situation, allot, select_offers,
};
pub use shortage::{Departure, Shortage};
pub use targets::{NoLogin, TargetGap, TargetSet, TargetWish, Welcomes};
pub use watch::{BACKGROUND, Round, Watch};
