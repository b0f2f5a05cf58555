//! The way to a node: through which jump hosts, as whom, with which keys.

use std::path::PathBuf;

use fleetwright_core::{Access, Error, Kind, Result};

use crate::HostKey;
use crate::ssh_config::{Jump, SshConfig, local_user};

/// More jump hosts than this is a mistake.
const MAX_HOPS: usize = 8;

/// The key files that are tried everywhere.
#[derive(Debug)]
pub(crate) struct KeyFiles {
    /// The one that nodes of ours have.
    pub(crate) own: Option<PathBuf>,
    pub(crate) others: Vec<PathBuf>,
}

impl KeyFiles {
    /// The files for one server, together with those that its configuration names, each once.
    fn ordered(&self, configured: Vec<PathBuf>, is_ours: bool) -> Vec<PathBuf> {
        let (first, last) = if is_ours {
            (&self.own, &None)
        } else {
            (&None, &self.own)
        };
        let all = first.iter().chain(&self.others).cloned();
        let mut files: Vec<PathBuf> = Vec::new();
        for file in all.chain(configured).chain(last.clone()) {
            if !files.contains(&file) {
                files.push(file);
            }
        }
        files
    }
}

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
pub(crate) fn route(access: &Access, config: &SshConfig, keys: &KeyFiles) -> Result<Vec<Hop>> {
    let asked = Jump {
        host: access.host.clone(),
        user: Some(access.user.clone()).filter(|user| !user.is_empty()),
        port: Some(access.port).filter(|port| *port != 0),
    };
    let is_ours = !access.host_keys.is_empty();
    let (mut node, mut jumps) = hop(&asked, config, keys, is_ours)?;
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
            let (hop, own) = hop(jump, config, keys, false)?;
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

fn hop(
    asked: &Jump,
    config: &SshConfig,
    keys: &KeyFiles,
    is_ours: bool,
) -> Result<(Hop, Vec<Jump>)> {
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
    let hop = Hop {
        host: resolved.host_name,
        port: asked.port.or(resolved.port).unwrap_or(22),
        user,
        identities: keys.ordered(resolved.identity_files, is_ours),
        identities_only: resolved.identities_only,
        host_keys: Vec::new(),
    };
    Ok((hop, resolved.proxy_jump))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(access: &Access) -> Vec<String> {
        let keys = KeyFiles {
            own: Some("own".into()),
            others: vec!["named".into(), "id_ed25519".into()],
        };
        let hops = route(access, &SshConfig::default(), &keys).unwrap();
        let names = hops[0].identities.iter();
        names.map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn nodes_of_ours_are_shown_our_own_key_first_and_others_last() {
        let mut access = Access {
            host: "10.0.0.1".into(),
            port: 22,
            user: "root".into(),
            host_keys: Vec::new(),
        };
        assert_eq!(files(&access), ["named", "id_ed25519", "own"]);
        access.host_keys.push(
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"
                .into(),
        );
        assert_eq!(files(&access), ["own", "named", "id_ed25519"]);
    }
}
