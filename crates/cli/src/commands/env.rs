//! `env`: what a shell needs to know about the nodes, as variables.

use std::collections::BTreeMap;

use fleetwright_core::{Access, Error, Kind, NodeRecord, Result};
use fleetwright_remote::ssh_command_line;
use serde::Serialize;

use crate::args::{Env, EnvShell};
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, count, quote};

#[derive(Serialize)]
struct Report {
    variables: Vec<Variable>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Variable {
    name: String,
    value: String,
}

pub(super) async fn run(context: &Context, args: &Env) -> Result<Exit> {
    if let Some(pool) = &args.pool {
        context.check_pool(pool).await?;
    }
    let mut nodes = Vec::new();
    for record in context.nodes(false).await? {
        let wanted = args.pool.as_ref().is_none_or(|pool| record.pool == *pool);
        if wanted
            && record.life.is_ready()
            && let Some(access) = record.access.clone()
        {
            context.pin(&access)?;
            let words = ssh_command_line(
                &access,
                Some(&context.paths.identity()),
                &context.paths.known_hosts(),
            );
            let words: Vec<String> = words.iter().map(|word| quote(word)).collect();
            nodes.push((record, access, words.join(" ")));
        }
    }
    if nodes.is_empty() {
        return Err(
            Error::new(Kind::NotFound, "no node is ready and can be logged in to")
                .with_hint("`fleetwright status` shows where each stands"),
        );
    }
    let variables = variables(&nodes);
    if context.out.json {
        output::json(&Report { variables })?;
        return Ok(Exit::Done);
    }
    for Variable { name, value } in &variables {
        output::line(&match args.shell {
            EnvShell::Sh => format!("export {name}={}", quote(value)),
            EnvShell::Fish => format!("set -gx {name} {}", quote_fish(value)),
        })?;
    }
    context.out.faint(&format!(
        "{} of {}; read them with `eval \"$(fleetwright env)\"`",
        count(variables.len(), "variable"),
        count(nodes.len(), "node")
    ));
    Ok(Exit::Done)
}

/// The variables of nodes, each with its login and its `ssh` command, in their order.
fn variables(nodes: &[(NodeRecord, Access, String)]) -> Vec<Variable> {
    let mut all = Vec::new();
    let mut add = |name: String, value: String| all.push(Variable { name, value });
    let names: Vec<&str> = nodes
        .iter()
        .map(|(record, ..)| record.name.as_str())
        .collect();
    add("FLEETWRIGHT_NODES".into(), names.join(" "));
    if let Some((_, _, ssh)) = nodes.first() {
        add("FLEETWRIGHT_SSH".into(), ssh.clone());
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (record, access, ssh) in nodes {
        let number = counts.entry(&record.pool).or_default();
        let prefix = format!("FLEETWRIGHT_{}_{number}", shouted(&record.pool));
        *number += 1;
        add(format!("{prefix}_NAME"), record.name.clone());
        add(format!("{prefix}_HOST"), access.host.clone());
        add(format!("{prefix}_PORT"), access.port.to_string());
        add(format!("{prefix}_USER"), access.user.clone());
        add(format!("{prefix}_SSH"), ssh.clone());
    }
    for (pool, number) in counts {
        add(
            format!("FLEETWRIGHT_{}_COUNT", shouted(pool)),
            number.to_string(),
        );
    }
    all
}

/// A name as part of a variable's name.
fn shouted(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect()
}

/// A word as fish takes it for one: in single quotes only the quote and the backslash are special.
fn quote_fish(word: &str) -> String {
    format!("'{}'", word.replace('\\', r"\\").replace('\'', r"\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fish_has_quotes_of_its_own() {
        assert_eq!(quote_fish(r"it's a \ here"), r"'it\'s a \\ here'");
        assert_eq!(quote_fish(""), "''");
    }

    #[test]
    fn a_pool_is_shouted() {
        assert_eq!(shouted("gpu-big"), "GPU_BIG");
    }
}
