//! Runs the guides: every command that a reader is shown is one that works.
//!
//! ```text
//!  ```toml fleetwright.toml      a block with a file name is written to that file
//!  ```console                    each line that begins with `$ ` is run, in order
//!  $ fleetwright up --yes
//!  $ fleetwright apply x   # ends with status 7
//! ```
//! All blocks of a page share one empty folder, which is also the home. What commands print is
//! not compared, only how they end. After the last command, whatever is left of the fleet is
//! removed.

use std::path::Path;
use std::process::Output;

use fleetwright_core::{Error, Kind, Result};

use crate::markdown::{Block, blocks};
use crate::programs::Programs;
use crate::scratch::Scratch;
use crate::workspace::Workspace;

/// What announces another status than 0.
const STATUS: &str = "# ends with status ";

/// What ran, and what ended otherwise than it should.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Pages with commands.
    pub(crate) pages: usize,
    /// Commands that ran.
    pub(crate) commands: usize,
    /// One text per command that ended otherwise.
    pub(crate) failures: Vec<String>,
}

/// A command line with its place and how it must end.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    line: usize,
    command: String,
    status: i32,
}

/// Runs the commands of the README and of every guide.
pub(crate) fn run(workspace: &Workspace) -> Result<Outcome> {
    let programs = Programs::build(workspace)?;
    let mut outcome = Outcome::default();
    for path in workspace.files()? {
        let is_guide = path == "README.md" || path.starts_with("docs/guides/");
        if !is_guide || Path::new(&path).extension().is_none_or(|end| end != "md") {
            continue;
        }
        let blocks = blocks(&workspace.read(&path)?);
        if blocks.iter().all(|block| block.language != "console") {
            continue;
        }
        outcome.pages += 1;
        let scratch = Scratch::new(workspace, &programs, &path.replace('/', "-"))?;
        page(&path, &blocks, &scratch, &mut outcome)?;
        // Local nodes outlive their commands, and so would outlive this run.
        shell(&scratch, "fleetwright down --yes")?;
    }
    Ok(outcome)
}

fn page(path: &str, blocks: &[Block], scratch: &Scratch, outcome: &mut Outcome) -> Result<()> {
    for block in blocks {
        if let Some(file) = &block.file {
            scratch.write(file, &block.text)?;
        }
        for step in steps(block) {
            outcome.commands += 1;
            let done = shell(scratch, &step.command)?;
            if done.status.code() != Some(step.status) {
                outcome.failures.push(format!(
                    "{path}:{}: `{}` ended with {}, not with status {}\n{}{}",
                    step.line,
                    step.command,
                    done.status,
                    step.status,
                    String::from_utf8_lossy(&done.stdout),
                    String::from_utf8_lossy(&done.stderr),
                ));
            }
        }
    }
    Ok(())
}

/// The commands of a block.
fn steps(block: &Block) -> Vec<Step> {
    if block.language != "console" {
        return Vec::new();
    }
    block
        .text
        .lines()
        .enumerate()
        .filter_map(|(at, line)| {
            let shown = line.strip_prefix("$ ")?;
            let (command, status) = match shown.split_once(STATUS) {
                Some((command, status)) => (command, status.trim().parse().ok()?),
                None => (shown, 0),
            };
            Some(Step {
                line: block.line + at,
                // From a clone the command is started by cargo; here it is built already.
                command: command
                    .trim()
                    .replace("cargo run --quiet -- ", "fleetwright ")
                    .replace("cargo run -- ", "fleetwright "),
                status,
            })
        })
        .collect()
}

fn shell(scratch: &Scratch, command: &str) -> Result<Output> {
    scratch
        .command("sh")
        .args(["-c", command])
        .output()
        .map_err(|e| Error::new(Kind::NotFound, "cannot start `sh`").with_source(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_with_the_status_that_they_must_have() {
        let page = "```console\n$ cargo run -- up --yes\nup\n$ false   # ends with status 1\n```\n\
                    ```sh\n$ not run\n```\n";
        let all: Vec<_> = blocks(page).iter().flat_map(steps).collect();
        let expected = [(2, "fleetwright up --yes", 0), (4, "false", 1)];
        let found: Vec<_> = all
            .iter()
            .map(|step| (step.line, step.command.as_str(), step.status))
            .collect();
        assert_eq!(found, expected);
    }
}
