//! One file per command.

mod adopt;
mod apply;
mod audit;
mod bill;
pub(crate) mod capacity;
mod completions;
pub(crate) mod cordon;
mod cost;
mod deploy;
mod down;
pub(crate) mod drift;
mod env;
mod events;
mod exec;
mod extend;
pub(crate) mod health;
mod init;
pub(crate) mod inventory;
mod limits;
mod machines;
mod node;
mod nodes;
pub(crate) mod notify;
mod offers;
mod outcome;
mod plan;
mod providers;
mod scale;
mod signal;
mod ssh;
mod status;
mod targets;
mod up;
mod validate;
pub(crate) mod why;
pub(crate) mod why_not;

pub(crate) use cost::CostArgs;
pub(crate) use deploy::Deploy;
pub(crate) use scale::Scale;
pub(crate) use signal::Signal;
pub(crate) use targets::Targets;

use fleetwright_core::Result;

pub(crate) use offers::Offers;

use crate::args::{Cli, Command};
use crate::background;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, Out};

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
        Command::Init(args) => return init::run(out, &global, args).await,
        Command::Validate(args) => return validate::run(out, &global, args).await,
        _ => {}
    }
    let listeners = match &cli.command {
        Command::Limits => limits::listeners(),
        _ => Vec::new(),
    };
    let context = Context::load_with(&global, out, listeners)?;
    if !matches!(cli.command, Command::Limits | Command::Down(_))
        && let Err(error) = background::revive(&context).await
    {
        output::explain(&error);
    }
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
        Command::Why(args) => why::run(context, &args).await,
        Command::WhyNot(args) => why_not::run(context, &args).await,
        Command::Extend(args) => extend::run(context, &args).await,
        Command::Env(args) => env::run(context, &args).await,
        Command::Inventory(args) => inventory::run(context, &args).await,
        Command::Scale(args) => scale::run(context, &args).await,
        Command::Signal(args) => signal::run(context, &args).await,
        Command::Limits => limits::run(context).await,
        Command::Exec(args) => exec::run(context, &args).await,
        Command::Drift(args) => drift::run(context, &args).await,
        Command::Targets(args) => targets::run(context, &args).await,
        Command::Deploy(args) => deploy::run(context, &args).await,
        Command::Ssh(args) => ssh::run(context, &args).await,
        Command::Health(args) => health::run(context, &args).await,
        Command::Heartbeat(args) => health::beat(context, &args).await,
        Command::Cordon(args) => cordon::cordon(context, &args).await,
        Command::Drain(args) => cordon::drain(context, &args).await,
        Command::Uncordon(args) => cordon::uncordon(context, &args).await,
        Command::Notify(args) => notify::run(context, &args).await,
        Command::Events(args) => events::run(context, &args).await,
        Command::Cost(args) => cost::run(context, &args).await,
        Command::Adopt(args) => adopt::run(context, &args).await,
        Command::Audit => audit::run(context).await,
        Command::Capacity(args) => capacity::run(context, &args).await,
        Command::Offers(args) => offers::run(context, &args).await,
        Command::Providers(args) => providers::run(context, &args).await,
        Command::Validate(_)
        | Command::Init(_)
        | Command::Completions { .. }
        | Command::Reference { .. } => Ok(Exit::Done),
    }
}
