//! Everything that a program needs to drive a fleet: configuration, paths, the table of provider
//! kinds, and a [`Session`] that ties them together.
//!
//! ```text
//!  fleetwright.toml ─┐
//!  environment ──────┼─► Loaded ─► Paths ─► providers ─► Session
//!  flags ────────────┘                                   ▲
//!                    store, remote, guard, engine ───────┘
//! ```
//!
//! ```
//! use std::path::Path;
//!
//! use fleetwright::{Environment, config::Loaded};
//!
//! let text = "
//! [providers.here]
//! kind = 'local'
//!
//! [pools.web]
//! desired = 2
//! candidates = [{ provider = 'her' }]
//! ";
//! let error = Loaded::from_text("fleetwright.toml", text, &Environment::default(), Path::new("."))
//!     .unwrap_err();
//! assert_eq!(error.to_string(), "no provider is named `her`");
//! assert_eq!(error.hint(), Some("did you mean `here`?"));
//! ```

pub mod assortment;
pub mod config;
pub mod draft;
pub mod env;
mod expectation;
pub mod init;
pub mod paths;
pub mod providers;
mod providers_page;
pub mod reference;
pub mod schema;
mod secret;
mod session;

pub use assortment::Assortment;
pub use config::{Config, Loaded, Origin, Overrides, suggest};
pub use env::Environment;
pub use expectation::ExpectationReader;
pub use fleetwright_core as core;
pub use fleetwright_core::SecretRef;
pub use paths::Paths;
pub use providers::NodeProgram;
pub use secret::SecretReader;
pub use session::{Session, SessionOptions};
