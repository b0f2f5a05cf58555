//! The project's own chores, run as `cargo xtask <chore>`.
//!
//! ```text
//!  test         brings the peers that tests need, then runs every test
//!  guides       runs the commands that README and guides show
//!  check-rules  the walls between crates and the house rules, one line per violation
//!  generate     writes docs/reference/ from the code; `--check` only compares
//!  new-provider writes a crate for another cloud, which passes the behavior suite at once
//!  bench        measures what was promised; `--write` writes docs/reference/benchmarks.md
//! ```
//! Nothing here is shipped. A chore prints what it does and ends with the status of what it ran.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer's tool, whose only output is the terminal"
)]

mod bench;
mod failures;
mod generate;
mod guides;
mod markdown;
mod new_provider;
mod peers;
mod programs;
mod rules;
mod scratch;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fleetwright_core::{Error, Result};

use crate::workspace::Workspace;

/// The project's own chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Install or find the peers that tests need, then run every test.
    Test {
        /// Handed to `cargo nextest run` (or `cargo test`): filters, `-p <crate>`.
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Run the commands that README and guides show. Part of `test`.
    Guides,
    /// Check the walls between crates and the house rules.
    CheckRules,
    /// Write the generated pages of docs/reference.
    Generate {
        /// Write nothing; fail if a page is not current.
        #[arg(long)]
        check: bool,
    },
    /// Write the crate of a new provider, wired and tested, and its two lines elsewhere.
    NewProvider {
        /// The kind, such as `hetzner`: letters a-z and digits.
        name: String,
    },
    /// Measure what was promised; fails if a goal is missed.
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments.chore) {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            ExitCode::from(error.kind().exit_code())
        }
    }
}

fn run(chore: &Chore) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    match chore {
        Chore::Test { args } => test::run(&workspace, args),
        Chore::Guides => test::guides_only(&workspace),
        Chore::CheckRules => rules::run(&workspace),
        Chore::Generate { check } => generate::run(&workspace, *check),
        Chore::NewProvider { name } => new_provider::run(&workspace, name),
        Chore::Bench(options) => bench::run(&workspace, options),
    }
}

fn report(error: &Error) {
    eprintln!("error: {}", error.report());
    for (name, value) in error.context() {
        eprintln!("  {name}: {value}");
    }
    if let Some(hint) = error.hint() {
        eprintln!("hint: {hint}");
    }
}
