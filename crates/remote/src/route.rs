//! The way to a node: through which jump hosts, as whom, with which keys.

use std::path::PathBuf;

use fleetwright_core::{Access, Error, Kind, Result};

use crate::HostKey;
use crate::ssh_config::{Jump, SshConfig, local_user};

/// More jump hosts than this is a mistake.
const MAX_HOPS: usize = 8;

/// One login on the way.
#[derive(Debug)]
pub(crate) struct Hop {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    /// Private key files in the order to try them.
    pub(crate) identities: Vec<PathBuf>,
    /// Whether the agent may only sign for these.
    pub(crate) identities_only: bool,
    /// The keys it must have; empty: as the known hosts say.
    pub(crate) host_keys: Vec<HostKey>,
}

impl Hop {
    /// `host:port`, with brackets round an IPv6 address.
    pub(crate) fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// `user@host:port`.
    pub(crate) fn label(&self) -> String {
        format!("{}@{}", self.user, self.address())
    }
}

/// All logins on the way to a node; the node itself is the last.
///
/// What `access` says comes first, then the configuration. An empty user or port 0 means that
/// `access` does not say.
pub(crate) fn route(
    access: &Access,
    config: &SshConfig,
    identities: &[PathBuf],
) -> Result<Vec<Hop>> {
    let asked = Jump {
        host: access.host.clone(),
        user: Some(access.user.clone()).filter(|user| !user.is_empty()),
        port: Some(access.port).filter(|port| *port != 0),
    };
    let (mut node, mut jumps) = hop(&asked, config, identities)?;
    node.host_keys = access
        .host_keys
        .iter()
        .map(|key| HostKey::parse(key))
        .collect::<Result<_>>()
        .map_err(|error| error.with_context("host", node.label()))?;
    // From the node back to us. As in OpenSSH the jump host next to us may have a `ProxyJump` of
    // its own; those of the others are overruled by the list they stand in.
    let mut hops = vec![node];
    while !jumps.is_empty() {
        let mut further = Vec::new();
        for jump in jumps.iter().rev() {
            let (hop, own) = hop(jump, config, identities)?;
            let is_loop = hops.iter().any(|seen| seen.label() == hop.label());
            if is_loop || hops.len() > MAX_HOPS {
                return Err(Error::new(
                    Kind::Config,
                    format!(
                        "the `ProxyJump` of `{}` leads round in a circle",
                        hop.label()
                    ),
                )
                .with_hint("exclude the jump host itself, as in `Host * !gateway`"));
            }
            hops.push(hop);
            further = own;
        }
        jumps = further;
    }
    hops.reverse();
    Ok(hops)
}

fn hop(asked: &Jump, config: &SshConfig, identities: &[PathBuf]) -> Result<(Hop, Vec<Jump>)> {
    let resolved = config.resolve(&asked.host, asked.user.as_deref(), asked.port)?;
    if resolved.proxy_command.is_some() {
        return Err(Error::new(
            Kind::Unsupported,
            format!(
                "`{}` needs a `ProxyCommand`, which is not supported",
                asked.host
            ),
        )
        .with_hint("`ProxyJump` is supported"));
    }
    let user = asked
        .user
        .clone()
        .or(resolved.user)
        .or_else(local_user)
        .ok_or_else(|| {
            Error::new(
                Kind::Invalid,
                format!("no user to log in to `{}` as", asked.host),
            )
        })?;
    let mut files = identities.to_vec();
    for file in resolved.identity_files {
        if !files.contains(&file) {
            files.push(file);
        }
    }
    let hop = Hop {
        host: resolved.host_name,
        port: asked.port.or(resolved.port).unwrap_or(22),
        user,
        identities: files,
        identities_only: resolved.identities_only,
        host_keys: Vec::new(),
    };
    Ok((hop, resolved.proxy_jump))
}
