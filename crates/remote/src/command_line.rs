//! The same login for the system's own `ssh`, to be printed or run.

use std::path::Path;

use fleetwright_core::{Access, Error, Kind, Result};

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
    words.extend(ssh_trust_options(known_hosts));
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

/// The words that make `ssh` trust the keys in one file and no others, for programs that put a
/// command together themselves.
pub fn ssh_trust_options(known_hosts: &Path) -> Vec<String> {
    trust(known_hosts)
        .into_iter()
        .flat_map(|(name, value)| ["-o".to_owned(), format!("{name}={value}")])
        .collect()
}

/// A section of an `ssh_config` with which `ssh <name>` logs in to a node and asks nothing. The
/// arguments are those of [`ssh_command_line`]; the text ends with a line feed.
///
/// # Errors
/// `Invalid` for a name, host or user that has blanks, quotes, wildcards or control characters:
/// they would mean something else (<https://man.openbsd.org/ssh_config>).
pub fn ssh_config_section(
    name: &str,
    access: &Access,
    identity: Option<&Path>,
    known_hosts: &Path,
) -> Result<String> {
    let mut lines = vec![format!("Host {}", word(name)?)];
    lines.push(format!(
        "  HostName {}",
        word(&access.host)?.replace('%', "%%")
    ));
    if access.port != 0 {
        lines.push(format!("  Port {}", access.port));
    }
    if !access.user.is_empty() {
        lines.push(format!("  User {}", word(&access.user)?));
    }
    if let Some(identity) = identity {
        lines.push(format!("  IdentityFile {}", option_value(identity)));
        lines.push("  IdentitiesOnly yes".to_owned());
    }
    for (option, value) in trust(known_hosts) {
        lines.push(format!("  {option} {value}"));
    }
    Ok(lines.join("\n") + "\n")
}

fn trust(known_hosts: &Path) -> [(&'static str, String); 3] {
    [
        ("UserKnownHostsFile", option_value(known_hosts)),
        ("GlobalKnownHostsFile", "/dev/null".to_owned()),
        ("StrictHostKeyChecking", "yes".to_owned()),
    ]
}

/// A word that stands in an `ssh_config` as it is.
fn word(text: &str) -> Result<&str> {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"\"'\\#*?!,".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        return Ok(text);
    }
    Err(Error::new(
        Kind::Invalid,
        format!("`{}` cannot stand in an ssh_config", text.escape_debug()),
    ))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn access(host: &str) -> Access {
        Access {
            host: host.into(),
            port: 2222,
            user: "root".into(),
            host_keys: Vec::new(),
        }
    }

    #[test]
    fn a_section_names_one_key_and_one_file_of_known_hosts() {
        let section = ssh_config_section(
            "web-1",
            &access("fd00::1"),
            Some(Path::new("/home/a b/50%/key")),
            Path::new("/state/known_hosts"),
        );
        assert_eq!(
            section.unwrap(),
            "Host web-1\n  HostName fd00::1\n  Port 2222\n  User root\n  IdentityFile \"/home/a \
             b/50%%/key\"\n  IdentitiesOnly yes\n  UserKnownHostsFile /state/known_hosts\n  \
             GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n"
        );
    }

    #[test]
    fn what_would_mean_something_else_is_refused() {
        for bad in [
            "",
            "*",
            "a b",
            "a\nProxyCommand x",
            "-oProxyCommand=x",
            "a\"",
            "!a",
        ] {
            let known_hosts = Path::new("k");
            assert!(ssh_config_section(bad, &access("h"), None, known_hosts).is_err());
            assert!(ssh_config_section("n", &access(bad), None, known_hosts).is_err());
        }
    }
}
