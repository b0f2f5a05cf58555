//! `ssh`: log in with the system's own client.

use std::os::unix::process::CommandExt;
use std::process;

use fleetwright_core::{Error, Kind, NodeRecord, Result};
use fleetwright_remote::ssh_command_line;
use serde::Serialize;

use crate::args::Ssh;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, quote};

#[derive(Serialize)]
struct Report {
    nodes: Vec<NodeCommand>,
}

#[derive(Serialize)]
struct NodeCommand {
    node: String,
    /// The program and its arguments.
    command: Vec<String>,
}

pub(super) async fn run(context: &Context, args: &Ssh) -> Result<Exit> {
    let records = chosen(context, args).await?;
    let mut commands = Vec::with_capacity(records.len());
    for record in &records {
        let access = record
            .access
            .as_ref()
            .ok_or_else(|| context.no_access(record))?;
        context.pin(access)?;
        let mut command = ssh_command_line(
            access,
            Some(&context.paths.identity()),
            &context.paths.known_hosts(),
        );
        command.extend(args.command.iter().cloned());
        commands.push(NodeCommand {
            node: record.name.clone(),
            command,
        });
    }
    if context.out.json {
        output::json(&Report { nodes: commands })?;
        return Ok(Exit::Done);
    }
    if args.print {
        for NodeCommand { command, .. } in &commands {
            let words: Vec<String> = command.iter().map(|word| quote(word)).collect();
            output::line(&words.join(" "))?;
        }
        return Ok(Exit::Done);
    }
    let Some(NodeCommand { command, .. }) = commands.first() else {
        return Ok(Exit::Done);
    };
    let Some((program, arguments)) = command.split_first() else {
        return Ok(Exit::Done);
    };
    context.close().await;
    // Replaces this process: the terminal and the signals are ssh's from here on.
    let error = process::Command::new(program).args(arguments).exec();
    Err(
        Error::new(Kind::Unsupported, format!("`{program}` cannot be started"))
            .with_source(error)
            .with_hint("install the OpenSSH client, or use `fleetwright exec`"),
    )
}

async fn chosen(context: &Context, args: &Ssh) -> Result<Vec<NodeRecord>> {
    if let Some(name) = &args.node {
        return Ok(vec![context.find_node(name, false).await?]);
    }
    let mut records = context.nodes(false).await?;
    records.retain(|record| !record.life.is_leaving());
    match records.len() {
        0 => Err(Error::new(Kind::NotFound, "the fleet has no nodes")
            .with_hint("`fleetwright up` makes them")),
        1 => Ok(records),
        _ if args.print || context.out.json => Ok(records),
        _ => {
            let names: Vec<&str> = records.iter().map(|record| record.name.as_str()).collect();
            Err(
                Error::new(Kind::Invalid, "the fleet has several nodes: which one?")
                    .with_hint(format!("name one of: {}", names.join(", "))),
            )
        }
    }
}
