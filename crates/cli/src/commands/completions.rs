//! `completions`: for a shell.

use clap::CommandFactory;
use fleetwright_core::Result;

use crate::args::Cli;
use crate::exit::Exit;
use crate::output;

pub(super) fn run(shell: clap_complete::Shell) -> Result<Exit> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "fleetwright", &mut text);
    std::io::Write::write_all(&mut std::io::stdout(), &text).map_err(output::stdout_failed)?;
    Ok(Exit::Done)
}
