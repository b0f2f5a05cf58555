//! Prints a page of the reference that is written from the types of the configuration.
//!
//! ```text
//! cargo run --package fleetwright --example reference -- schema > fleetwright.schema.json
//! ```

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

use std::process::ExitCode;

use fleetwright::{reference, schema};

fn main() -> ExitCode {
    let page = std::env::args().nth(1).unwrap_or_default();
    match page.as_str() {
        "configuration" => print!("{}", reference::markdown()),
        "environment" => print!("{}", reference::environment()),
        "providers" => match reference::providers() {
            Ok(page) => print!("{page}"),
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        },
        "schema" => println!("{:#}", schema::schema()),
        other => {
            eprintln!("no page `{other}`; pages: configuration, environment, providers, schema");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
