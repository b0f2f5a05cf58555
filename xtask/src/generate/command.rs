//! docs/reference/cli.md and exit-codes.md, printed by the real command.
//!
//! The command knows its own arguments and outcomes; a hidden subcommand, `__reference`, prints them.

use std::process::Command;

use fleetwright_core::{Error, Kind, Result};
use serde_json::Value;

use super::{FOLDER, Page};
use crate::workspace::{Workspace, output};

/// The pages that the command prints.
const NAMES: [&str; 2] = ["cli", "exit-codes"];

/// Builds the command and lets it print its pages.
pub(super) fn pages(workspace: &Workspace) -> Result<Vec<Page>> {
    let program = build(workspace)?;
    NAMES
        .into_iter()
        .map(|name| {
            // Nothing of this machine may get into a page: no environment, no terminal.
            let text = output(
                Command::new(&program)
                    .env_clear()
                    .args(["__reference", name]),
            )?;
            Ok(Page {
                path: format!("{FOLDER}/{name}.md"),
                text,
            })
        })
        .collect()
}

/// Builds the command and says where it is.
fn build(workspace: &Workspace) -> Result<String> {
    let messages = output(&mut workspace.cargo([
        "build",
        "--package=fleetwright-cli",
        "--bin=fleetwright",
        "--message-format=json-render-diagnostics",
    ]))?;
    executable(&messages).ok_or_else(|| {
        Error::new(
            Kind::Unexpected,
            "cargo does not say where `fleetwright` is",
        )
    })
}

/// The path of the command in what cargo says about a build.
fn executable(messages: &str) -> Option<String> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "fleetwright")
        .find_map(|message| message["executable"].as_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_found_and_the_library_of_the_same_name_is_not() {
        let messages = "{\"target\":{\"name\":\"fleetwright\"},\"executable\":null}\nnoise\n\
                        {\"target\":{\"name\":\"other\"},\"executable\":\"/x/other\"}\n\
                        {\"target\":{\"name\":\"fleetwright\"},\"executable\":\"/x/fleetwright\"}\n";
        assert_eq!(executable(messages).as_deref(), Some("/x/fleetwright"));
        assert_eq!(executable("{}"), None);
    }
}
