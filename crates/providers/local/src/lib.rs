//! Real nodes on this machine: detached processes, each with its own home and SSH server.
//!
//! ```text
//!   LocalProvider ── makes a directory, then spawns ──► node process
//!        │                                               ├─ holds `<dir>/lock` while it lives
//!        └─ reads `<root>/<id>/` and asks the kernel     ├─ SSH server on 127.0.0.1, own host key
//!           who holds the lock                           └─ boot scripts, every command's parent
//! ```
//! Nothing is remembered in memory: a node is its directory, and whether it lives is what the
//! kernel says about its lock. So any number of processes may use the same root at once, and a
//! create call that is killed anywhere is finished by repeating it.
//!
//! No root, no containers, no account. The nodes share this machine's user, files and network:
//! they are separate places to work in, not a wall against hostile code.

mod catalog;
mod config;
mod create;
mod delete;
mod error;
pub mod node;
mod observe;
mod process;
mod provider;
mod root;
mod user_data;

pub use catalog::{offerings, types};
pub use config::LocalConfig;
pub use provider::{LocalProvider, NodeProgram};

/// The kind of this provider in the configuration.
pub const KIND: &str = "local";

/// The only region there is: this machine.
pub const REGION: &str = "local";
