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
mod case;
mod claim;
mod clock;
mod cloud_init;
mod cordon;
mod count;
mod dead_man;
mod decision;
mod deployment;
mod disruption;
mod duration;
mod error;
mod event;
mod filter;
mod gpu;
mod hash;
mod healing;
mod health;
mod id;
mod incident;
mod label;
mod listing;
mod markets;
mod money;
mod node;
mod offer;
mod plan;
mod pool;
mod price_rule;
mod probe;
mod provider;
mod quantity;
mod record;
mod remote;
mod scaling;
mod secret;
mod size;
mod spec;
mod stay;
mod strategy;
mod target;
mod webhook;

pub use ability::{Balancers, Catalog, Dns, Groups, Interruptions, Quotas, Requests};
pub use account::{AccountConfig, AccountContext};
pub use billing::{Amount, Billing};
pub use budget::{
    Budget, BudgetAction, BudgetLimit, BudgetLine, BudgetOutcome, BudgetVerdict, DroppedOffer,
    Period, PlanMoney,
};
pub use case::{Case, CaseEnd, CaseEnding, Freeze, HealAttempt, HealEnd, HealResult, Subject};
pub use claim::{Claim, ClaimId, ClaimState};
pub use clock::Clock;
pub use cloud_init::{CLOUD_INIT_RESERVE, cloud_init};
pub use cordon::{Cordon, CordonPhase};
pub use count::Count;
pub use dead_man::{DEAD_MAN_RENEWAL, with_dead_man};
pub use decision::{Closed, Counts, Decision, DecisionId, Excluded, Wish};
pub use deployment::{
    DeployedFile, DeployedNode, DeployedState, Deployment, DeploymentId, DeploymentOutcome,
    DeploymentSpec, Rollback, RolledBack, RolloutPolicy,
};
pub use disruption::{Disruption, DisruptionBudget, Portion};
pub use duration::{Span, parse_duration};
pub use error::{Effect, Error, ErrorReport, Kind, Remedy, Result, Scope};
pub use event::{Event, EventKind};
pub use filter::{Filter, Term, glob};
pub use gpu::{GpuForm, GpuModel, GpuWish};
pub use hash::{Fingerprint, fingerprint};
pub use healing::{HealAction, Healing, RungLimits};
pub use health::{
    GpuHealth, Health, HealthProbe, HealthRecord, HealthState, Hook, HookPlace, Hooks, KernelMark,
};
pub use id::{NodeId, check_name};
pub use incident::{Incident, IncidentKind, Message, Messenger};
pub use label::{Labels, keys};
pub use listing::{Coverage, Gap, ListRequest, Listing};
pub use markets::{Markets, SpotSoldOut};
pub use money::{Currency, HourlyPrice};
pub use node::{Access, Addresses, Boot, Node, NodeState};
pub use offer::{Availability, InstanceType, Offer, Requirements};
pub use plan::{Action, Brake, Plan, Purpose, Step, Turn, Withheld};
pub use pool::{Candidate, Idle, IdleSignal, InterruptionPolicy, Limits, Pool, Rebalance};
pub use price_rule::{PriceRule, Prices};
pub use probe::{
    Check, CommandCheck, Expectation, ExpectationSource, FileCheck, Finding, NixCheck, NixCompare,
    PackageCheck, Probe, Severity, Verdict,
};
pub use provider::{
    ApiLimit, Checked, Deletion, Idempotency, LimitUnit, Operation, Provider, ProviderInfo,
};
pub use quantity::Quantity;
pub use record::{Life, NodeRecord, Notice, Tenure};
pub use remote::{Command, Exit, NoOutput, Output, OutputSink, Remote, Stream};
pub use scaling::{
    Combine, Composite, CoolDown, Day, DayTime, MaxStep, NodeSignal, Predictive, PrometheusQuery,
    Queue, Reactive, Scaling, ScalingPolicy, Schedule, ScheduleEntry, SignalConfig, Zone,
};
pub use secret::{Secret, SecretRef, SecretSource};
pub use size::{Sample, SignalSource, SizeRecord, SizedBy};
pub use spec::{CreateRequest, Created, HostKey, HostKeys, Market, NodeSpec, Token};
pub use stay::{Stay, StayLabels};
pub use strategy::{Domain, Spread, Strategies, Strategy, StrategyName};
pub use target::{
    AddressChoice, Discovery, Target, TargetAddress, TargetGroup, TargetGroupName, TargetOrigin,
};
pub use webhook::{Webhook, WebhookFormat};
