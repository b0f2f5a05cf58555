//! Commands on nodes over SSH.
//!
//! ```text
//!  Access ─► route ─► session ─► trust ─► auth ─► exec ─► Output
//!              ▲         ▲         ▲        ▲
//!         ssh_config  TCP or   pinned key  key files,
//!                     jump     or known    then agent
//!                     host     hosts
//! ```
//! [`Ssh`] is the [`Remote`](fleetwright_core::Remote) for real nodes; [`fan_out`] runs one command
//! on many. No server is trusted blindly: its key came through the provider, was planted by us, or
//! stands in the user's own `known_hosts`.
//!
//! For the system's own `ssh` there are [`generate_identity`], [`known_hosts::pin_host_keys`] and
//! [`ssh_command_line`]: together they make a login that asks nothing.

mod algorithms;
mod auth;
mod command_line;
mod exec;
mod failure;
mod fan_out;
mod files;
mod guarded;
mod host_key;
mod identity;
pub mod known_hosts;
mod options;
mod pattern;
mod pins;
mod planted;
mod route;
mod session;
mod ssh;
pub mod ssh_config;
mod trust;

pub use command_line::{ssh_command_line, ssh_config_section, ssh_trust_options};
pub use failure::failure;
pub use fan_out::{FanOut, FanOutSink, HostResult, NoFanOutOutput, fan_out};
pub use host_key::HostKey;
pub use identity::generate_identity;
pub use known_hosts::{pin_all_host_keys, pin_host_keys, unpin_host_keys};
pub use options::SshOptions;
pub use planted::HostKeySeed;
pub use ssh::Ssh;
