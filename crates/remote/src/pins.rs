//! Our own `known_hosts` file, for nodes that we made and whose keys the provider told us.
//!
//! Several processes may pin at once: a lock file orders them, and the file is replaced as a whole,
//! so that `ssh` reading it at the same time sees the old or the new one.

use std::collections::BTreeMap;
use std::path::Path;

use fleetwright_core::Result;

use crate::HostKey;
use crate::files;
use crate::known_hosts::entry_name;

/// Makes `keys` the keys that the file at `path` has for a server, instead of those it had.
///
/// `keys` are in OpenSSH's public key format. An empty list changes nothing: not knowing a key is
/// no reason to forget one. The file and its folder are made if they are missing. Other lines stay
/// as they are. Does nothing, and writes nothing, if the file already says so.
///
/// # Errors
/// `Invalid` if one of the keys is not a public key, `Config` if the file cannot be written.
pub fn pin_host_keys(path: &Path, host: &str, port: u16, keys: &[String]) -> Result<()> {
    pin_all_host_keys(path, [(host, port, keys)])
}

/// The same for many servers at once. One without keys is left as it is.
///
/// # Errors
/// As for one; nothing is written then.
pub fn pin_all_host_keys<'a>(
    path: &Path,
    servers: impl IntoIterator<Item = (&'a str, u16, &'a [String])>,
) -> Result<()> {
    let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (host, port, keys) in servers {
        if keys.is_empty() {
            continue;
        }
        let name = entry_name(host, port);
        let lines = keys
            .iter()
            .map(|key| Ok(format!("{name} {}", HostKey::parse(key)?)))
            .collect::<Result<_>>()?;
        wanted.insert(name, lines);
    }
    if wanted.is_empty() {
        return Ok(());
    }
    rewrite(path, &wanted)
}

/// Removes what the file at `path` has for a server; fine if there is nothing.
///
/// # Errors
/// `Config` if the file cannot be written.
pub fn unpin_host_keys(path: &Path, host: &str, port: u16) -> Result<()> {
    rewrite(
        path,
        &BTreeMap::from([(entry_name(host, port), Vec::new())]),
    )
}

/// Gives each server the lines that are wanted for it, and leaves all other lines as they are.
fn rewrite(path: &Path, wanted: &BTreeMap<String, Vec<String>>) -> Result<()> {
    // Mostly there is nothing to do, and then no lock is needed: files appear as a whole.
    if is_current(&files::read(path)?.unwrap_or_default(), wanted) {
        return Ok(());
    }
    files::create_parent(path).map_err(|error| files::failed("write", path, error))?;
    let _lock = files::lock(path).map_err(|error| files::failed("lock", path, error))?;
    let old = files::read(path)?.unwrap_or_default();
    if is_current(&old, wanted) {
        return Ok(());
    }
    let mut new = String::with_capacity(old.len() + 120 * wanted.len());
    let kept = old
        .lines()
        .filter(|line| name_of(line).is_none_or(|name| !wanted.contains_key(name)));
    for line in kept.chain(wanted.values().flatten().map(String::as_str)) {
        new.push_str(line);
        new.push('\n');
    }
    files::replace(path, new.as_bytes(), 0o600).map_err(|error| files::failed("write", path, error))
}

/// Whether the file has just the lines that are wanted for these servers.
fn is_current(text: &str, wanted: &BTreeMap<String, Vec<String>>) -> bool {
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in text.lines() {
        if let Some(name) = name_of(line).filter(|name| wanted.contains_key(*name)) {
            found.entry(name).or_default().push(line);
        }
    }
    wanted.iter().all(|(name, lines)| {
        let found = found.get(name.as_str()).map_or(&[][..], Vec::as_slice);
        found.iter().copied().eq(lines.iter().map(String::as_str))
    })
}

/// The server that a line is about: we only write plain single names.
fn name_of(line: &str) -> Option<&str> {
    line.split_ascii_whitespace().next()
}
