//! Our own `known_hosts` file, for nodes that we made and whose keys the provider told us.
//!
//! Several processes may pin at once: a lock file orders them, and the file is replaced as a whole,
//! so that `ssh` reading it at the same time sees the old or the new one.

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
    if keys.is_empty() {
        return Ok(());
    }
    let keys = keys
        .iter()
        .map(|key| HostKey::parse(key))
        .collect::<Result<Vec<_>>>()?;
    rewrite(path, host, port, &keys)
}

/// Removes what the file at `path` has for a server; fine if there is nothing.
///
/// # Errors
/// `Config` if the file cannot be written.
pub fn unpin_host_keys(path: &Path, host: &str, port: u16) -> Result<()> {
    rewrite(path, host, port, &[])
}

fn rewrite(path: &Path, host: &str, port: u16, keys: &[HostKey]) -> Result<()> {
    let name = entry_name(host, port);
    let wanted: Vec<String> = keys.iter().map(|key| format!("{name} {key}")).collect();
    let is_current = |text: &str| {
        text.lines()
            .filter(|line| is_of(line, &name))
            .eq(wanted.iter().map(String::as_str))
    };
    // Mostly there is nothing to do, and then no lock is needed: files appear as a whole.
    if is_current(&files::read(path)?.unwrap_or_default()) {
        return Ok(());
    }
    files::create_parent(path).map_err(|error| files::failed("write", path, error))?;
    let _lock = files::lock(path).map_err(|error| files::failed("lock", path, error))?;
    let old = files::read(path)?.unwrap_or_default();
    if is_current(&old) {
        return Ok(());
    }
    let mut new = String::with_capacity(old.len() + 120);
    let kept = old.lines().filter(|line| !is_of(line, &name));
    for line in kept.chain(wanted.iter().map(String::as_str)) {
        new.push_str(line);
        new.push('\n');
    }
    files::replace(path, new.as_bytes(), 0o600).map_err(|error| files::failed("write", path, error))
}

/// Whether we wrote this line for the server of this name: we only write plain single names.
fn is_of(line: &str, name: &str) -> bool {
    line.split_ascii_whitespace().next() == Some(name)
}
