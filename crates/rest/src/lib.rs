//! What providers on REST APIs share: one client, paging, limits, and what a refusal means.
//!
//! ```text
//!  provider ──Call──► Client ──► credential ─► limits ─► HTTP ─► answer ──► value
//!                                                          │
//!                                        refusal ──► classify (the provider's table) ──► Error
//! ```
//! A provider hands in its base address, where its token is to be had, and one function that says
//! what a refusal means ([`Classify`]). It gets back values or errors whose effect is right: that
//! is decided in one place, [`Client::send`]. Nothing here repeats a call; the engine's guard does.
//!
//! With the feature `testing` there is a fake server with faults, see `testing`.
//!
//! ```
//! # use std::sync::Arc;
//! use fleetwright_core::{Clock, Kind, Result, Secret};
//! use fleetwright_rest::{Call, Client, Credential, Refusal, Settings};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! struct Server {
//!     id: u64,
//! }
//!
//! fn classify(refusal: &Refusal<'_>) -> fleetwright_core::Error {
//!     match refusal.status() {
//!         // "The account has reached its limit of servers."
//!         422 => refusal.error(Kind::Quota, refusal.text()),
//!         _ => refusal.by_status(refusal.text()),
//!     }
//! }
//!
//! # async fn example(clock: Arc<dyn Clock>) -> Result<()> {
//! let client = Client::new(
//!     Settings::new("https://api.example.com/v1", classify),
//!     Credential::bearer(Secret::new("hunter2")),
//!     clock,
//! )?;
//! let server: Server = client.fetch(Call::get(&["servers", "17"])).await?;
//! client.send(Call::delete(&["servers", &server.id.to_string()])).await?;
//! # Ok(())
//! # }
//! ```

mod answer;
mod call;
mod client;
mod create;
mod credential;
mod limits;
mod page;
mod refusal;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;

pub use answer::Answer;
pub use call::{Call, Method};
pub use client::{Client, Settings};
pub use create::{check_no_zone, check_region, check_request, create_missing, made_before};
pub use credential::Credential;
pub use page::{Next, Page, Pages, Place};
pub use refusal::{Classify, Refusal};
