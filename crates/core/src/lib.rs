//! The words of Fleetwright: what a provider is, what a node is, what can go wrong.
//!
//! This crate holds nouns, traits, errors and events. It does no I/O and knows neither a runtime
//! nor a terminal, so that every other crate, and a provider outside this tree, can depend on it.
//!
//! ```text
//!  Pool ── wants ──► Offer ── asked by ──► Claim ── CreateRequest ──► Provider ──► Node
//!                                                                        │
//!                                                      Listing { nodes, coverage }
//! ```
//!
//! The contracts that matter most are on [`Provider`]: *the same token gives the same nodes* and
//! *a listing says whether it is complete*.

pub mod ability;
mod account;
mod billing;
mod budget;
mod claim;
mod clock;
mod cloud_init;
mod duration;
mod error;
mod event;
mod filter;
mod hash;
mod id;
mod label;
mod listing;
mod money;
mod node;
mod offer;
mod plan;
mod pool;
mod provider;
mod record;
mod remote;
mod secret;
mod spec;
mod stay;

pub use ability::{Balancers, Catalog, Dns, Groups, Interruptions, Quotas, Requests};
pub use account::{AccountConfig, AccountContext};
pub use billing::{Amount, Billing};
pub use budget::{
    Budget, BudgetAction, BudgetLimit, BudgetLine, BudgetOutcome, BudgetVerdict, DroppedOffer,
    Period, PlanMoney,
};
pub use claim::{Claim, ClaimId, ClaimState};
pub use clock::Clock;
pub use cloud_init::{CLOUD_INIT_RESERVE, cloud_init};
pub use duration::{Span, parse_duration};
pub use error::{Effect, Error, ErrorReport, Kind, Remedy, Result, Scope};
pub use event::{Event, EventKind};
pub use filter::{Filter, Term};
pub use hash::{Fingerprint, fingerprint};
pub use id::{NodeId, check_name};
pub use label::{Labels, keys};
pub use listing::{Coverage, Gap, ListRequest, Listing};
pub use money::{Currency, HourlyPrice};
pub use node::{Access, Addresses, Boot, Node, NodeState};
pub use offer::{Availability, InstanceType, Offer, Requirements};
pub use plan::{Action, Brake, Plan, Purpose, Step, Withheld};
pub use pool::{Candidate, Idle, IdleSignal, Limits, Pool, Strategy};
pub use provider::{
    ApiLimit, Checked, Deletion, Idempotency, LimitUnit, Operation, Provider, ProviderInfo,
};
pub use record::{Life, NodeRecord, Tenure};
pub use remote::{Command, Exit, NoOutput, Output, OutputSink, Remote, Stream};
pub use secret::{Secret, SecretRef, SecretSource};
pub use spec::{CreateRequest, Created, HostKey, HostKeys, Market, NodeSpec, Token};
pub use stay::{Stay, StayLabels};
