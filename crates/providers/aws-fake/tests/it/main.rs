//! Drives the fake over real HTTP, without the SDK.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on shall end there"
)]

mod autoscaling;
mod balancers;
mod buckets;
mod caller;
mod catalog;
mod checker;
mod client;
mod dns;
mod faults;
mod fleets;
mod listing;
mod queues;
mod run;
mod small;
mod spot_fleets;
mod templates;
