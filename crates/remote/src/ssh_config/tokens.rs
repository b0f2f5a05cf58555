//! What `%` sequences and `~` stand for.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// What `%` sequences stand for.
pub(super) struct Tokens<'a> {
    pub(super) asked: &'a str,
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) user: Option<&'a str>,
    pub(super) home: Option<&'a Path>,
}

impl Tokens<'_> {
    pub(super) fn path(&self, text: &str) -> PathBuf {
        expand_tilde(&self.expand(text), self.home)
    }

    pub(super) fn expand(&self, text: &str) -> String {
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
pub(super) fn expand_host(name: &str, host: &str) -> String {
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

pub(super) fn expand_tilde(text: &str, home: Option<&Path>) -> PathBuf {
    match (text.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home.to_owned(),
        (Some(rest), Some(home)) if rest.starts_with('/') => home.join(&rest[1..]),
        _ => PathBuf::from(text),
    }
}
