//! The `fleetwright` command: parses, runs one command, and ends with a documented status.

mod args;
mod background;
mod commands;
mod confirm;
mod context;
mod exit;
mod output;
mod progress;
mod reference;
mod steps;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A local node is this same program: no argument parsing, no logging, its own runtime.
    let mut arguments = std::env::args_os();
    arguments.next();
    if arguments
        .next()
        .is_some_and(|first| first == context::NODE_COMMAND)
    {
        return fleetwright_local::node::main(arguments);
    }
    let cli = Cli::parse();
    if let Command::Reference { page } = cli.command {
        return reference::print(page);
    }
    output::start_logging(cli.global.verbose);
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return output::report_io("the runtime cannot be started", &error),
    };
    let json = cli.global.json;
    runtime.block_on(async {
        tokio::select! {
            ended = commands::run(cli) => match ended {
                Ok(exit) => exit.code(),
                Err(error) => output::report(&error, json),
            },
            signal = interrupted() => output::report_interrupted(signal),
        }
    })
}

/// Waits for a signal that asks to stop. The work is dropped where it stands: whatever was begun is
/// in the journal, and the next run picks it up.
async fn interrupted() -> exit::Signal {
    use tokio::signal::unix::{SignalKind, signal};
    let handlers = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    let (Ok(mut interrupt), Ok(mut terminate)) = handlers else {
        // Without handlers the signals end the process by themselves.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => exit::Signal::Interrupt,
        _ = terminate.recv() => exit::Signal::Terminate,
    }
}
