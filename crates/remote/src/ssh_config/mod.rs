//! The basics of `~/.ssh/config`: enough to reach the nodes that the user's `ssh` reaches.
//!
//! Understood are `Host`, `Match all|host|originalhost`, `Include`, `HostName`, `User`, `Port`,
//! `IdentityFile`, `IdentitiesOnly`, `ProxyJump`; `ProxyCommand` is noticed, so that a host that
//! needs it is refused instead of tried directly. Other keywords are passed over, and a `Match`
//! with other criteria (`exec`, `user`, ...) never applies. As in OpenSSH the first value found
//! wins, except that `IdentityFile` collects.

mod parse;
mod tokens;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use fleetwright_core::{Error, Kind, Result};

use crate::files;
use crate::pattern;

use tokens::{Tokens, expand_host};

pub(crate) use tokens::local_user;

/// A configuration, read.
#[derive(Debug, Clone, Default)]
pub struct SshConfig {
    blocks: Vec<Block>,
    home: Option<PathBuf>,
}

/// What a configuration says about one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedHost {
    /// The name or address to connect to: `HostName`, or else what was asked for.
    pub host_name: String,
    /// `User`, if it is set.
    pub user: Option<String>,
    /// `Port`, if it is set.
    pub port: Option<u16>,
    /// `IdentityFile`s in their order, `~` and tokens replaced.
    pub identity_files: Vec<PathBuf>,
    /// `IdentitiesOnly`: of the agent's keys only those of the identity files may be used.
    pub identities_only: bool,
    /// `ProxyJump`: the hosts to go through, the first one first.
    pub proxy_jump: Vec<Jump>,
    /// `ProxyCommand`, which is not supported.
    pub proxy_command: Option<String>,
}

/// One host of a `ProxyJump`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jump {
    /// Its name, which is looked up in the configuration in turn.
    pub host: String,
    /// The user, if it is given.
    pub user: Option<String>,
    /// The port, if it is given.
    pub port: Option<u16>,
}

/// The lines between one `Host` or `Match` and the next.
#[derive(Debug, Clone)]
struct Block {
    /// All must hold: its own, and those of the blocks that include the file.
    conditions: Vec<Condition>,
    settings: Vec<Setting>,
}

#[derive(Debug, Clone)]
enum Condition {
    /// `Host`, or `Match originalhost`.
    Asked(Vec<String>),
    /// `Match host`: the name after `HostName`, as far as it is known by then.
    Resolved(Vec<String>),
    Never,
}

#[derive(Debug, Clone)]
enum Setting {
    HostName(String),
    User(String),
    Port(u16),
    IdentityFile(String),
    IdentitiesOnly(bool),
    ProxyJump(String),
    ProxyCommand(String),
}

// === impl SshConfig ===

impl SshConfig {
    /// Reads the file at `path`; a missing file is an empty configuration.
    ///
    /// `home` is what `~` stands for. A relative `Include` is looked for beside `path`, which for
    /// `~/.ssh/config` is what OpenSSH does.
    ///
    /// # Errors
    /// `Config`, with file and line, if it cannot be read or a keyword has no or a wrong value.
    pub fn read(path: &Path, home: Option<&Path>) -> Result<Self> {
        let mut config = Self {
            blocks: Vec::new(),
            home: home.map(Path::to_owned),
        };
        if let Some(text) = files::read(path)? {
            config.add(path, &text, &[], 0)?;
        }
        Ok(config)
    }

    /// What it says about `host`. A `user` or `port` given here is used for tokens only.
    ///
    /// # Errors
    /// `Config` if a `ProxyJump` cannot be understood.
    pub fn resolve(
        &self,
        host: &str,
        user: Option<&str>,
        port: Option<u16>,
    ) -> Result<ResolvedHost> {
        let mut host_name: Option<&str> = None;
        let mut proxy: Option<&Setting> = None;
        let mut identity_files: Vec<&str> = Vec::new();
        let mut identities_only = None;
        let (mut set_user, mut set_port): (Option<&str>, Option<u16>) = (None, None);
        for block in &self.blocks {
            let resolved =
                host_name.map_or_else(|| host.to_owned(), |name| expand_host(name, host));
            let applies = block.conditions.iter().all(|condition| match condition {
                Condition::Asked(patterns) => {
                    pattern::matches_list(patterns.iter().map(String::as_str), host)
                }
                Condition::Resolved(patterns) => {
                    pattern::matches_list(patterns.iter().map(String::as_str), &resolved)
                }
                Condition::Never => false,
            });
            if !applies {
                continue;
            }
            for setting in &block.settings {
                match setting {
                    Setting::HostName(name) => {
                        host_name.get_or_insert(name);
                    }
                    Setting::User(name) => {
                        set_user.get_or_insert(name);
                    }
                    Setting::Port(number) => {
                        set_port.get_or_insert(*number);
                    }
                    Setting::IdentityFile(file) => {
                        if !identity_files.contains(&file.as_str()) {
                            identity_files.push(file);
                        }
                    }
                    Setting::IdentitiesOnly(yes) => {
                        identities_only.get_or_insert(*yes);
                    }
                    Setting::ProxyJump(_) | Setting::ProxyCommand(_) => {
                        proxy.get_or_insert(setting);
                    }
                }
            }
        }
        let mut name = host_name.map_or_else(|| host.to_owned(), |name| expand_host(name, host));
        if name.parse::<IpAddr>().is_err() {
            name = name.to_lowercase();
        }
        let tokens = Tokens {
            asked: host,
            host: &name,
            port: port.or(set_port).unwrap_or(22),
            user: user.or(set_user),
            home: self.home.as_deref(),
        };
        let mut resolved = ResolvedHost {
            user: set_user.map(str::to_owned),
            port: set_port,
            identity_files: identity_files
                .into_iter()
                .filter(|file| !file.eq_ignore_ascii_case("none"))
                .map(|file| tokens.path(file))
                .collect(),
            identities_only: identities_only.unwrap_or(false),
            proxy_jump: Vec::new(),
            proxy_command: None,
            host_name: String::new(),
        };
        match proxy {
            Some(Setting::ProxyJump(jumps)) if !jumps.eq_ignore_ascii_case("none") => {
                resolved.proxy_jump = tokens
                    .expand(jumps)
                    .split(',')
                    .map(|jump| Jump::parse(jump.trim()))
                    .collect::<Result<_>>()?;
            }
            Some(Setting::ProxyCommand(command)) if !command.eq_ignore_ascii_case("none") => {
                resolved.proxy_command = Some(command.clone());
            }
            _ => {}
        }
        resolved.host_name = name;
        Ok(resolved)
    }
}

// === impl Jump ===

impl Jump {
    /// Reads `[user@]host[:port]` or `ssh://[user@]host[:port]`, the host in brackets if it is an
    /// IPv6 address.
    fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::new(
                Kind::Config,
                format!("`{text}` is not a host to jump through"),
            )
            .with_hint("a jump host looks like `user@host:port`")
        };
        let rest = text.strip_prefix("ssh://").unwrap_or(text);
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, rest),
        };
        let (host, port) = if let Some(bracketed) = rest.strip_prefix('[') {
            let (host, after) = bracketed.split_once(']').ok_or_else(wrong)?;
            (host, after.strip_prefix(':'))
        } else {
            match rest.split_once(':') {
                // More than one colon: an IPv6 address without brackets.
                Some((_, port)) if port.contains(':') => (rest, None),
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            }
        };
        if host.is_empty() {
            return Err(wrong());
        }
        let port = port
            .map(|port| port.parse().map_err(|_| wrong()))
            .transpose()?;
        Ok(Self {
            host: host.to_owned(),
            user,
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jump_hosts_are_read_in_all_their_forms() {
        let jump = |text: &str| {
            let jump = Jump::parse(text).unwrap();
            (jump.user, jump.host, jump.port)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(jump("gate"), (None, "gate".to_owned(), None));
        assert_eq!(
            jump("me@gate:23"),
            (some("me"), "gate".to_owned(), Some(23))
        );
        assert_eq!(
            jump("ssh://me@gate:23/"),
            (some("me"), "gate".to_owned(), Some(23))
        );
        assert_eq!(jump("[::1]:23"), (None, "::1".to_owned(), Some(23)));
        assert_eq!(jump("fe80::1"), (None, "fe80::1".to_owned(), None));
        assert!(Jump::parse("me@").is_err());
        assert!(Jump::parse("gate:ssh").is_err());
    }
}
