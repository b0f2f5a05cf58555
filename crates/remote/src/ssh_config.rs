//! The basics of `~/.ssh/config`: enough to reach the nodes that the user's `ssh` reaches.
//!
//! Understood are `Host`, `Match all|host|originalhost`, `Include`, `HostName`, `User`, `Port`,
//! `IdentityFile`, `IdentitiesOnly`, `ProxyJump`; `ProxyCommand` is noticed, so that a host that
//! needs it is refused instead of tried directly. Other keywords are passed over, and a `Match`
//! with other criteria (`exec`, `user`, ...) never applies. As in OpenSSH the first value found
//! wins, except that `IdentityFile` collects.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use fleetwright_core::{Error, Kind, Result};

use crate::files;
use crate::pattern;

/// How deep files may include files, as in OpenSSH.
const INCLUDE_DEPTH: usize = 16;

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
        if name.parse::<std::net::IpAddr>().is_err() {
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

    fn add(&mut self, path: &Path, text: &str, outer: &[Condition], depth: usize) -> Result<()> {
        let mut conditions = outer.to_vec();
        self.open(&conditions);
        for (index, line) in text.lines().enumerate() {
            let at = || format!("`{}` line {}", path.display(), index + 1);
            let wrong = |what: String| Error::new(Kind::Config, format!("{}: {what}", at()));
            let words = split(line).ok_or_else(|| wrong("a quote is not closed".to_owned()))?;
            let Some((keyword, values)) = words.split_first() else {
                continue;
            };
            let keyword = keyword.to_lowercase();
            let value = || {
                values
                    .first()
                    .cloned()
                    .ok_or_else(|| wrong(format!("`{keyword}` has no value")))
            };
            let setting = match keyword.as_str() {
                "host" => {
                    value()?;
                    conditions = outer.to_vec();
                    conditions.push(Condition::Asked(values.to_vec()));
                    self.open(&conditions);
                    continue;
                }
                "match" => {
                    value()?;
                    conditions = outer.to_vec();
                    conditions.extend(criteria(values));
                    self.open(&conditions);
                    continue;
                }
                "include" => {
                    value()?;
                    if depth >= INCLUDE_DEPTH {
                        return Err(wrong(format!(
                            "`include` is nested more than {INCLUDE_DEPTH} deep"
                        )));
                    }
                    let files: Vec<PathBuf> = values
                        .iter()
                        .flat_map(|value| self.included(path, value))
                        .collect();
                    for file in files {
                        if let Some(text) = files::read(&file)? {
                            self.add(&file, &text, &conditions, depth + 1)?;
                        }
                    }
                    self.open(&conditions);
                    continue;
                }
                "hostname" => Setting::HostName(value()?),
                "user" => Setting::User(value()?),
                "port" => {
                    let text = value()?;
                    match text.parse() {
                        Ok(port) if port > 0 => Setting::Port(port),
                        _ => return Err(wrong(format!("`{text}` is not a port"))),
                    }
                }
                "identityfile" => Setting::IdentityFile(value()?),
                "identitiesonly" => Setting::IdentitiesOnly(match value()?.as_str() {
                    "yes" | "true" => true,
                    "no" | "false" => false,
                    other => return Err(wrong(format!("`{other}` is neither `yes` nor `no`"))),
                }),
                "proxyjump" => Setting::ProxyJump(value()?),
                "proxycommand" => {
                    value()?;
                    Setting::ProxyCommand(values.join(" "))
                }
                _ => continue,
            };
            self.blocks
                .last_mut()
                .expect("a block was opened before the first line")
                .settings
                .push(setting);
        }
        Ok(())
    }

    fn open(&mut self, conditions: &[Condition]) {
        self.blocks.push(Block {
            conditions: conditions.to_vec(),
            settings: Vec::new(),
        });
    }

    /// The files an `Include` means, sorted by name. Wildcards are allowed in the last part.
    fn included(&self, from: &Path, value: &str) -> Vec<PathBuf> {
        let path = expand_tilde(value, self.home.as_deref());
        let path = from
            .parent()
            .map_or_else(|| path.clone(), |folder| folder.join(&path));
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Vec::new();
        };
        if !pattern::is_pattern(name) {
            return vec![path];
        }
        // No such folder is no file, as for a shell.
        let Some(Ok(entries)) = path.parent().map(fs::read_dir) else {
            return Vec::new();
        };
        let mut found: Vec<PathBuf> = entries
            .filter_map(std::result::Result::ok)
            .filter(|entry| {
                entry.file_name().to_str().is_some_and(|entry| {
                    (!entry.starts_with('.') || name.starts_with('.'))
                        && pattern::matches(name, entry)
                })
            })
            .map(|entry| entry.path())
            .filter(|path| path.is_file())
            .collect();
        found.sort();
        found
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

/// What `%` sequences stand for.
struct Tokens<'a> {
    asked: &'a str,
    host: &'a str,
    port: u16,
    user: Option<&'a str>,
    home: Option<&'a Path>,
}

impl Tokens<'_> {
    fn path(&self, text: &str) -> PathBuf {
        expand_tilde(&self.expand(text), self.home)
    }

    fn expand(&self, text: &str) -> String {
        expand(text, |token| match token {
            'h' => Some(self.host.to_owned()),
            'n' => Some(self.asked.to_owned()),
            'p' => Some(self.port.to_string()),
            'r' => self.user.map(str::to_owned).or_else(local_user),
            'u' => local_user(),
            'd' => self.home.map(|home| home.display().to_string()),
            _ => None,
        })
    }
}

/// The name of the user who runs this: from the environment or, where a container or a service
/// does not set it, from the list of users.
pub(crate) fn local_user() -> Option<String> {
    ["USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| env::var(name).ok().filter(|user| !user.is_empty()))
        .or_else(|| {
            let uid = fs::metadata("/proc/self").ok()?.uid().to_string();
            let users = fs::read_to_string("/etc/passwd").ok()?;
            users.lines().find_map(|line| {
                let mut fields = line.split(':');
                let name = fields.next()?;
                (fields.nth(1) == Some(&uid)).then(|| name.to_owned())
            })
        })
}

/// `HostName` knows only `%h`.
fn expand_host(name: &str, host: &str) -> String {
    expand(name, |token| (token == 'h').then(|| host.to_owned()))
}

/// Replaces `%x`; `%%` is a percent sign, an unknown one stays as it is.
fn expand(text: &str, value: impl Fn(char) -> Option<String>) -> String {
    let mut result = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            result.push(c);
            continue;
        }
        match chars.next() {
            Some('%') | None => result.push('%'),
            Some(token) => match value(token) {
                Some(value) => result.push_str(&value),
                None => result.extend(['%', token]),
            },
        }
    }
    result
}

fn expand_tilde(text: &str, home: Option<&Path>) -> PathBuf {
    match (text.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home.to_owned(),
        (Some(rest), Some(home)) if rest.starts_with('/') => home.join(&rest[1..]),
        _ => PathBuf::from(text),
    }
}

/// The criteria of a `Match` line as conditions.
fn criteria(words: &[String]) -> Vec<Condition> {
    let mut conditions = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let list = |value: Option<&String>| -> Option<Vec<String>> {
            value.map(|value| value.split(',').map(str::to_owned).collect())
        };
        let condition = match word.to_lowercase().as_str() {
            "all" => continue,
            "host" => list(words.next()).map(Condition::Resolved),
            "originalhost" => list(words.next()).map(Condition::Asked),
            _ => None,
        };
        match condition {
            Some(condition) => conditions.push(condition),
            // One criterion that is not understood is enough: all must hold.
            None => return vec![Condition::Never],
        }
    }
    conditions
}

/// The words of a line: separated by blanks, or after the keyword by `=`; quoted where they hold
/// blanks; up to `#`. `None` if a quote is not closed.
fn split(line: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    let mut chars = line.trim().chars().peekable();
    loop {
        let mut has_equals = false;
        while let Some(&c) = chars.peek() {
            if c == '=' && words.len() == 1 && !has_equals {
                has_equals = true;
            } else if !c.is_whitespace() {
                break;
            }
            chars.next();
        }
        match chars.peek() {
            None | Some('#') => return Some(words),
            Some(_) => {}
        }
        let mut word = String::new();
        let mut quote: Option<char> = None;
        while let Some(&c) = chars.peek() {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (None, '"' | '\'') => quote = Some(c),
                (_, '\\') => {
                    chars.next();
                    match chars.peek() {
                        Some(&next @ ('"' | '\'' | '\\')) => word.push(next),
                        Some(&' ') if quote.is_none() => word.push(' '),
                        _ => {
                            word.push('\\');
                            continue;
                        }
                    }
                }
                (None, c) if c.is_whitespace() || (c == '=' && words.is_empty()) => break,
                (_, c) => word.push(c),
            }
            chars.next();
        }
        if quote.is_some() {
            return None;
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_as_openssh_splits_them() {
        let words = |line: &str| split(line).map(|words| words.join("|"));
        assert_eq!(words("Host a b"), Some("Host|a|b".to_owned()));
        assert_eq!(words("  Port=22"), Some("Port|22".to_owned()));
        assert_eq!(words("Port = 22"), Some("Port|22".to_owned()));
        assert_eq!(words("User \"a b\" # c"), Some("User|a b".to_owned()));
        assert_eq!(words("User a#b"), Some("User|a#b".to_owned()));
        assert_eq!(words("# all"), Some(String::new()));
        assert_eq!(words("User a=b"), Some("User|a=b".to_owned()));
        assert_eq!(words("User \"a"), None);
    }

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
