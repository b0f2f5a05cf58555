//! The real binary, from outside.

#![expect(
    clippy::print_stdout,
    reason = "tests print their counts, and why they skip"
)]

mod adopt;
#[cfg(feature = "aws")]
mod aws;
mod bad_config;
mod bad_state;
mod bed;
mod capacity;
mod care;
mod changes;
mod deploy;
mod drift;
mod drift_ssh;
mod inventory;
mod json;
mod kill;
mod limits;
mod linode;
mod money;
mod newcomer;
mod offers;
mod openssh;
mod pairs;
mod partial;
mod pools;
mod scaling;
mod shell;
mod shown;
mod terminal;
mod trust;
mod walk;
mod watch;
mod watch_ssh;
mod why;
mod wizard;
