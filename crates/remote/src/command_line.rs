//! The same login for the system's own `ssh`, to be printed or run.

use std::path::Path;

use fleetwright_core::Access;

/// The words of a command that logs in to a node with the system's `ssh` and asks nothing.
///
/// `identity` is the private key to use and no other; without one `ssh` uses what it finds.
/// `known_hosts` is the file that has the node's key (see
/// [`pin_host_keys`](crate::known_hosts::pin_host_keys)); no other file is trusted. A command to
/// run may be appended as further words.
pub fn ssh_command_line(
    access: &Access,
    identity: Option<&Path>,
    known_hosts: &Path,
) -> Vec<String> {
    let mut words = vec!["ssh".to_owned()];
    if let Some(identity) = identity {
        let path = identity.display().to_string();
        // `-i` replaces `%` sequences, but checks the file before it does: `%%` is of no use there.
        if path.contains('%') {
            let value = format!("IdentityFile={}", option_value(identity));
            words.extend(["-o".to_owned(), value]);
        } else {
            words.extend(["-i".to_owned(), path]);
        }
        words.extend(["-o".to_owned(), "IdentitiesOnly=yes".to_owned()]);
    }
    if access.port != 0 {
        words.extend(["-p".to_owned(), access.port.to_string()]);
    }
    words.extend([
        "-o".to_owned(),
        format!("UserKnownHostsFile={}", option_value(known_hosts)),
        "-o".to_owned(),
        "GlobalKnownHostsFile=/dev/null".to_owned(),
        "-o".to_owned(),
        "StrictHostKeyChecking=yes".to_owned(),
    ]);
    let destination = if access.user.is_empty() {
        access.host.clone()
    } else {
        format!("{}@{}", access.user, access.host)
    };
    // A name that looks like an option must not become one.
    if destination.starts_with('-') {
        words.push("--".to_owned());
    }
    words.push(destination);
    words
}

/// A path as the value of an option: `ssh` splits it at blanks and replaces `%` sequences.
fn option_value(path: &Path) -> String {
    let text = path.display().to_string().replace('%', "%%");
    if text.contains([' ', '\t', '"', '\'', '\\', '#']) {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        text
    }
}
