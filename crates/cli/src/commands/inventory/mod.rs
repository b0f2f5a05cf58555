//! `inventory`: the nodes in the words of other programs, from the journal alone.

mod ansible;
mod prometheus;

use clap::{Args, ValueEnum};
use fleetwright_core::{Access, CordonPhase, Error, Kind, NodeRecord, Result};
use fleetwright_remote::{pin_all_host_keys, ssh_config_section};
use serde::Serialize;

use crate::args::Selection;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{self, count};

#[derive(Debug, Args)]
pub(crate) struct Inventory {
    /// For which program
    #[arg(long, short, value_enum, default_value_t = Format::Json)]
    format: Format,
    #[command(flatten)]
    selection: Selection,
    /// Also nodes that are not ready
    #[arg(long)]
    starting: bool,
    /// Port of the exporter, for `prometheus`
    #[arg(long, default_value_t = 9100, value_name = "PORT",
          value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// All hosts: what Ansible asks an inventory script for
    #[arg(long, hide = true, conflicts_with = "host")]
    list: bool,
    /// The variables of one host: the other thing that Ansible asks for
    #[arg(long, hide = true, value_name = "NODE")]
    host: Option<String>,
}

/// Who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A dynamic inventory for Ansible
    Ansible,
    /// Sections for `~/.ssh/config`, by name of node
    SshConfig,
    /// Targets for Prometheus, as `file_sd_configs` and `http_sd_configs` read them
    Prometheus,
    /// Everything, for other programs
    Json,
}

/// A node that can be logged in to.
struct Host<'a> {
    record: &'a NodeRecord,
    access: &'a Access,
    /// How far its cordon is, if it has one.
    cordon: Option<CordonPhase>,
}

#[derive(Serialize)]
struct Report<'a> {
    fleet: &'a str,
    nodes: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    id: &'a str,
    pool: &'a str,
    state: &'static str,
    /// How far its cordon is; absent: it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    cordon: Option<CordonPhase>,
    provider: &'a str,
    region: &'a str,
    zone: Option<&'a str>,
    #[serde(rename = "type")]
    instance_type: &'a str,
    market: &'static str,
    access: &'a Access,
    labels: &'a fleetwright_core::Labels,
}

pub(crate) async fn run(context: &Context, args: &Inventory) -> Result<Exit> {
    let format = args.format;
    if context.out.json && format == Format::SshConfig {
        return Err(
            Error::new(Kind::Invalid, "an `ssh_config` cannot be written as JSON")
                .with_hint("leave out `--json`, or use `--format json`"),
        );
    }
    if (args.list || args.host.is_some()) && format != Format::Ansible {
        return Err(Error::new(
            Kind::Invalid,
            "`--list` and `--host` are what Ansible asks for",
        )
        .with_hint("add `--format ansible`"));
    }
    let filter = args.selection.of_records()?;
    let records = context.nodes(false).await?;
    let cordons = context.store().await?.cordons().await?;
    let hosts: Vec<Host<'_>> = records
        .iter()
        .filter(|record| record.life.is_ready() || (args.starting && record.life.is_wanted()))
        .filter(|record| filter.matches(&|key| record.property(key)))
        .filter_map(|record| {
            let access = record.access.as_ref()?;
            let own = cordons
                .iter()
                .find(|one| one.node.as_ref() == Some(&record.id));
            Some(Host {
                record,
                access,
                cordon: own.map(|cordon| cordon.phase),
            })
        })
        .collect();
    let known_hosts = context.paths.known_hosts();
    if matches!(format, Format::Ansible | Format::SshConfig) {
        let servers = hosts.iter().map(|host| {
            let Access {
                host,
                port,
                host_keys,
                ..
            } = host.access;
            (host.as_str(), *port, host_keys.as_slice())
        });
        pin_all_host_keys(&known_hosts, servers)?;
    }
    let identity = context.paths.identity();
    match format {
        Format::Json => output::json(&Report {
            fleet: &context.loaded.config.fleet,
            nodes: hosts.iter().map(Host::entry).collect(),
        })?,
        Format::Prometheus => output::json(&prometheus::targets(
            &context.loaded.config.fleet,
            &hosts,
            args.port,
        ))?,
        Format::Ansible => match &args.host {
            None => output::json(&ansible::list(&hosts, &identity, &known_hosts))?,
            Some(name) => {
                let host = hosts
                    .iter()
                    .find(|host| host.record.name == *name)
                    .ok_or_else(|| {
                        Error::new(Kind::NotFound, format!("no ready node is named `{name}`"))
                            .with_hint("`fleetwright nodes` lists them all")
                    })?;
                output::json(&ansible::variables(host, &identity, &known_hosts))?;
            }
        },
        Format::SshConfig => {
            output::line(&format!(
                "# The nodes of fleet {}, by `fleetwright inventory --format ssh-config`.",
                context.loaded.config.fleet
            ))?;
            for host in &hosts {
                let section = ssh_config_section(
                    &host.record.name,
                    host.access,
                    Some(&identity),
                    &known_hosts,
                )?;
                output::line(&format!("\n{}", section.trim_end()))?;
            }
        }
    }
    let left_out = records
        .iter()
        .filter(|record| filter.matches(&|key| record.property(key)))
        .count()
        - hosts.len();
    if left_out > 0 {
        context.out.faint(&format!(
            "{} left out: not ready, or not to be logged in to",
            count(left_out, "node")
        ));
    }
    Ok(Exit::Done)
}

impl<'a> Host<'a> {
    fn entry(&self) -> Entry<'a> {
        let record = self.record;
        Entry {
            name: &record.name,
            id: record.id.as_str(),
            pool: &record.pool,
            state: record.life.as_str(),
            cordon: self.cordon,
            provider: record.id.provider(),
            region: record.id.region(),
            zone: record.zone.as_deref(),
            instance_type: &record.instance_type,
            market: record.market.as_str(),
            access: self.access,
            labels: &record.labels,
        }
    }

    /// What one may want to choose by, under plain names.
    fn facts(&self) -> Vec<(&'static str, &'a str)> {
        let record = self.record;
        let mut facts = vec![
            ("pool", record.pool.as_str()),
            ("provider", record.id.provider()),
            ("region", record.id.region()),
            ("type", &record.instance_type),
            ("market", record.market.as_str()),
        ];
        facts.extend(record.zone.as_deref().map(|zone| ("zone", zone)));
        facts
    }
}

/// A name of letters, digits and underscores, as other programs want theirs.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}
