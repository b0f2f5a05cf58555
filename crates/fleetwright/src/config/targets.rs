//! Checks what `[targets.<name>]` means.

use std::path::Path;

use fleetwright_core::{Discovery, Filter, TargetAddress, check_name};

use super::shape::join;
use super::source::Problem;
use super::{Config, suggest};
use crate::env::Environment;

/// What is wrong with the targets, with the keys; makes the paths of their files absolute.
pub(super) fn problems(
    config: &mut Config,
    provider_names: &[String],
    directory: &Path,
    environment: &Environment,
) -> Vec<(String, Problem)> {
    let mut found = Vec::new();
    for (name, group) in &mut config.targets {
        let key = join("targets", name);
        if let Err(error) = check_name("target group", name) {
            found.push((key.clone(), Problem::from_error(&error)));
        }
        if group.hosts.is_empty() && group.file.is_none() && group.discover.is_empty() {
            let problem = Problem::new(format!("`{key}` has no machines"))
                .with_hint("give `hosts`, `file` or `discover`");
            found.push((key.clone(), problem));
        }
        for (at, host) in group.hosts.iter().enumerate() {
            if let Err(error) = host.parse::<TargetAddress>() {
                found.push((format!("{key}.hosts[{at}]"), Problem::from_error(&error)));
            }
        }
        if let Some(file) = &mut group.file {
            let path = environment.expand(Path::new(file.as_str()), directory);
            *file = path.display().to_string();
        }
        for (at, discovery) in group.discover.iter().enumerate() {
            let key = format!("{key}.discover[{at}]");
            found.extend(discovered(&key, discovery, provider_names));
        }
        if group
            .welcome
            .as_deref()
            .is_some_and(|line| line.trim().is_empty())
        {
            let key = join(&key, "welcome");
            let problem = Problem::new(format!("`{key}` must be a command"));
            found.push((key, problem));
        }
    }
    found
}

fn discovered(
    key: &str,
    discovery: &Discovery,
    provider_names: &[String],
) -> Vec<(String, Problem)> {
    let mut found = Vec::new();
    let provider = &discovery.provider;
    if !provider_names.contains(provider) {
        let known = provider_names.iter().map(String::as_str);
        let problem = Problem {
            hint: suggest::hint(provider, "configured providers", known),
            ..Problem::new(format!("no provider is named `{provider}`"))
        };
        found.push((join(key, "provider"), problem));
    }
    let filter = discovery.filter.as_deref().map(str::parse::<Filter>);
    match filter {
        Some(Err(error)) => found.push((join(key, "filter"), Problem::from_error(&error))),
        Some(Ok(filter)) => {
            let odd = ["group", "address", "origin"]
                .into_iter()
                .find(|word| filter.mentions(word));
            if let Some(word) = odd {
                let problem = Problem::new(format!("no provider knows the `{word}` of a target"))
                    .with_hint("filter by what the provider tells: labels, names, states");
                found.push((join(key, "filter"), problem));
            }
        }
        None => {}
    }
    found
}
