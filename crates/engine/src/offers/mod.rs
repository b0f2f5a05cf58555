//! What can be had where, for how much, and why not something else.
//!
//! ```text
//!  providers ── read in full ──► CatalogPart ──► Shelf (a file for each, with its date)
//!                                    │                       │
//!                                    ├──◄── offline ◄────────┘
//!                                    ▼
//!              [[prices]] ──► find, why_not ──► OfferLine      CatalogView ──► planning
//!              marks, quotas ──┘                      ▲──── corrected by the same rules
//! ```
//! Nobody is asked unless that is wanted, or nothing is stored of a provider. A provider that does
//! not answer keeps what is stored of it, and the answer says so.

mod board;
mod file;
mod part;
mod query;
mod rates;
#[cfg(test)]
pub(crate) mod sample;
mod standing;
mod why;

pub use board::{Board, Source};
pub use file::Shelf;
pub use part::{CatalogPart, PartInfo, StoredQuotas};
pub use query::{Found, Hit, OfferQuery, Rates, find};
pub use standing::OfferLine;
pub use why::{Tally, WhyNot};

pub(crate) use rates::taken;
