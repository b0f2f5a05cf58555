//! One file per command.

mod adopt;
mod apply;
mod audit;
mod completions;
mod down;
mod events;
mod exec;
mod init;
mod node;
mod nodes;
mod outcome;
mod plan;
mod providers;
mod ssh;
mod status;
mod up;
mod validate;

use fleetwright_core::Result;

use crate::args::{Cli, Command};
use crate::context::Context;
use crate::exit::Exit;
use crate::output::Out;

/// Runs the command.
pub(crate) async fn run(cli: Cli) -> Result<Exit> {
    let global = cli.global;
    let out = Out {
        json: global.json,
        quiet: global.quiet,
    };
    // These two work without a configuration, even with a broken one.
    match &cli.command {
        Command::Completions { shell } => return completions::run(*shell),
        Command::Init(args) => return init::run(out, args),
        Command::Validate(args) => return validate::run(out, &global, args).await,
        _ => {}
    }
    let context = Context::load(&global, out)?;
    let ended = command(&context, cli.command).await;
    context.end_progress();
    context.close().await;
    ended
}

async fn command(context: &Context, command: Command) -> Result<Exit> {
    match command {
        Command::Up(args) => up::run(context, &args).await,
        Command::Plan(args) => plan::run(context, &args).await,
        Command::Apply(args) => apply::run(context, &args).await,
        Command::Down(args) => down::run(context, &args).await,
        Command::Status => status::run(context).await,
        Command::Nodes(args) => nodes::run(context, &args).await,
        Command::Node(args) => node::run(context, &args).await,
        Command::Exec(args) => exec::run(context, &args).await,
        Command::Ssh(args) => ssh::run(context, &args).await,
        Command::Events(args) => events::run(context, &args).await,
        Command::Adopt(args) => adopt::run(context, &args).await,
        Command::Audit => audit::run(context).await,
        Command::Providers(args) => providers::run(context, &args).await,
        Command::Validate(_)
        | Command::Init(_)
        | Command::Completions { .. }
        | Command::Reference { .. } => Ok(Exit::Done),
    }
}
