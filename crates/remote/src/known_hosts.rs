//! Files in the format of `known_hosts`: which server has which key.
//!
//! ```text
//! example.com,10.0.0.1 ssh-ed25519 AAAA...        names and addresses, port 22
//! [10.0.0.1]:2222 ssh-ed25519 AAAA...             another port
//! *.example.com,!db.example.com ssh-rsa AAAA...   patterns
//! |1|salt|hash ssh-ed25519 AAAA...                a hashed name
//! @revoked * ssh-ed25519 AAAA...                  a key that must never be accepted
//! @cert-authority *.example.com ssh-ed25519 ...   ignored: host certificates are not supported
//! ```
//!
//! Reading is forgiving, as `ssh` is: a line that cannot be understood is passed over and reported
//! by [`KnownHosts::ignored`]. Trust only ever comes from a line that was understood.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use russh::keys::ssh_key::known_hosts::HostPatterns;

use crate::HostKey;
use crate::pattern;

pub use crate::pins::{pin_all_host_keys, pin_host_keys, unpin_host_keys};

/// What some `known_hosts` files say.
#[derive(Debug, Default)]
pub struct KnownHosts {
    /// Keys by plain name, which are most lines.
    plain: HashMap<String, Vec<HostKey>>,
    /// Lines with wildcards and hashed names, which have to be tried one by one.
    others: Vec<(Hosts, HostKey)>,
    revoked: Vec<Revoked>,
    authorities: Vec<Hosts>,
    ignored: Vec<Ignored>,
}

/// What is known about one key of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is the server's key.
    Known,
    /// The server has other keys.
    Other(Vec<HostKey>),
    /// The key must not be accepted from this server.
    Revoked {
        /// The file that says so.
        file: PathBuf,
        /// Its line, counted from 1.
        line: usize,
    },
    /// Nothing is known about the server.
    Unknown {
        /// Whether a certificate authority is known for it, which is no help here.
        has_authority: bool,
    },
}

/// A line that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// Its file.
    pub file: PathBuf,
    /// Its number, counted from 1.
    pub line: usize,
    /// Why.
    pub reason: String,
}

#[derive(Debug)]
struct Revoked {
    hosts: Hosts,
    key: HostKey,
    file: PathBuf,
    line: usize,
}

/// The first column of a line.
#[derive(Debug)]
enum Hosts {
    Patterns(Vec<String>),
    Hashed { salt: Vec<u8>, hash: [u8; 20] },
}

// === impl KnownHosts ===

impl KnownHosts {
    /// Reads one text; `file` is where it came from.
    pub fn parse(file: &Path, text: &str) -> Self {
        let mut hosts = Self::default();
        hosts.add(file, text);
        hosts
    }

    /// Reads a further text.
    pub fn add(&mut self, file: &Path, text: &str) {
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Err(reason) = self.add_line(file, index + 1, line) {
                self.ignored.push(Ignored {
                    file: file.to_owned(),
                    line: index + 1,
                    reason,
                });
            }
        }
    }

    /// What is known about `key` as the key of `host`.
    ///
    /// A revoked key is [`Standing::Revoked`] even if another line knows it.
    pub fn standing(&self, host: &str, port: u16, key: &HostKey) -> Standing {
        if let Some(revoked) = self.revocation(host, port, key) {
            return revoked;
        }
        let keys = self.keys_of(host, port);
        if keys.contains(key) {
            Standing::Known
        } else if keys.is_empty() {
            Standing::Unknown {
                has_authority: {
                    let name = entry_name(host, port);
                    self.authorities.iter().any(|hosts| hosts.matches(&name))
                },
            }
        } else {
            Standing::Other(keys)
        }
    }

    /// [`Standing::Revoked`] if `key` is revoked for `host`, whatever else is known.
    pub fn revocation(&self, host: &str, port: u16, key: &HostKey) -> Option<Standing> {
        let name = entry_name(host, port);
        self.revoked
            .iter()
            .find(|revoked| revoked.key == *key && revoked.hosts.matches(&name))
            .map(|revoked| Standing::Revoked {
                file: revoked.file.clone(),
                line: revoked.line,
            })
    }

    /// All keys of a host, revoked ones left out.
    pub fn keys_of(&self, host: &str, port: u16) -> Vec<HostKey> {
        let name = entry_name(host, port);
        let plain = self.plain.get(&name).into_iter().flatten();
        let others = self
            .others
            .iter()
            .filter(|(hosts, _)| hosts.matches(&name))
            .map(|(_, key)| key);
        let mut keys: Vec<HostKey> = Vec::new();
        for key in plain.chain(others) {
            let is_revoked = self
                .revoked
                .iter()
                .any(|revoked| revoked.key == *key && revoked.hosts.matches(&name));
            if !is_revoked && !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        keys
    }

    /// The lines that were passed over, with the reason.
    pub fn ignored(&self) -> &[Ignored] {
        &self.ignored
    }

    fn add_line(&mut self, file: &Path, line: usize, text: &str) -> Result<(), String> {
        let (marker, rest) = match text.split_once(|c: char| c.is_ascii_whitespace()) {
            Some((marker, rest)) if marker.starts_with('@') => (Some(marker), rest.trim_start()),
            _ => (None, text),
        };
        let (hosts, key) = rest
            .split_once(|c: char| c.is_ascii_whitespace())
            .ok_or("it has no key")?;
        let hosts = Hosts::parse(hosts)?;
        match marker {
            // The key of an authority does not matter: it is never used.
            Some("@cert-authority") => {
                self.authorities.push(hosts);
                return Err("host certificates are not supported".to_owned());
            }
            None | Some("@revoked") => {}
            Some(other) => return Err(format!("the marker `{other}` is not known")),
        }
        let key = HostKey::parse(key).map_err(|error| error.report().to_string())?;
        if marker.is_some() {
            self.revoked.push(Revoked {
                hosts,
                key,
                file: file.to_owned(),
                line,
            });
            return Ok(());
        }
        match hosts {
            Hosts::Patterns(names) if !names.iter().any(|name| pattern::is_pattern(name)) => {
                for name in names {
                    self.plain.entry(name).or_default().push(key.clone());
                }
            }
            hosts => self.others.push((hosts, key)),
        }
        Ok(())
    }
}

// === impl Hosts ===

impl Hosts {
    fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(HostPatterns::Patterns(names)) => Ok(Self::Patterns(
                names.iter().map(|name| name.to_lowercase()).collect(),
            )),
            Ok(HostPatterns::HashedName { salt, hash }) => Ok(Self::Hashed { salt, hash }),
            Err(error) => Err(format!("its host names cannot be read: {error}")),
        }
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Patterns(patterns) => {
                pattern::matches_list(patterns.iter().map(String::as_str), name)
            }
            Self::Hashed { salt, hash } => {
                // The format prescribes HMAC-SHA1. It hides names, trust does not rest on it.
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
                ring::hmac::verify(&key, name.as_bytes(), hash).is_ok()
            }
        }
    }
}

/// How a server is called in the first column: the bare name on port 22, else `[name]:port`.
pub(crate) fn entry_name(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    if port == 22 {
        host
    } else {
        format!("[{host}]:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const B: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";

    fn standing(text: &str, host: &str, port: u16, key: &str) -> Standing {
        KnownHosts::parse(Path::new("known_hosts"), text).standing(
            host,
            port,
            &HostKey::parse(key).unwrap(),
        )
    }

    fn unknown() -> Standing {
        Standing::Unknown {
            has_authority: false,
        }
    }

    #[test]
    fn a_key_is_known_for_its_name_and_port_only() {
        let text = format!("web,10.0.0.1 {A} a comment\n[web]:2222\t{B}\n");
        assert_eq!(standing(&text, "web", 22, A), Standing::Known);
        assert_eq!(standing(&text, "WEB", 22, A), Standing::Known);
        assert_eq!(standing(&text, "10.0.0.1", 22, A), Standing::Known);
        assert_eq!(standing(&text, "web", 2222, B), Standing::Known);
        assert_eq!(
            standing(&text, "web", 2222, A),
            Standing::Other(vec![HostKey::parse(B).unwrap()])
        );
        assert_eq!(standing(&text, "db", 22, A), unknown());
        assert_eq!(standing(&text, "web", 23, A), unknown());
    }

    #[test]
    fn patterns_and_negations_are_understood() {
        let text = format!("*.example.com,!db.example.com {A}\n[10.0.*]:* {B}");
        assert_eq!(standing(&text, "web.example.com", 22, A), Standing::Known);
        assert_eq!(standing(&text, "db.example.com", 22, A), unknown());
        assert_eq!(standing(&text, "10.0.9.9", 2200, B), Standing::Known);
    }

    #[test]
    fn a_hashed_name_is_found() {
        let text = format!("|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak= {B}");
        assert_eq!(standing(&text, "example.com", 22, B), Standing::Known);
        assert_eq!(standing(&text, "example.org", 22, B), unknown());
    }

    #[test]
    fn a_revoked_key_is_refused_even_if_another_line_knows_it() {
        let text = format!("web {A}\n@revoked * {A}\n");
        assert_eq!(
            standing(&text, "web", 22, A),
            Standing::Revoked {
                file: "known_hosts".into(),
                line: 2
            }
        );
        assert_eq!(standing(&text, "web", 22, B), unknown());
    }

    #[test]
    fn what_cannot_be_used_is_passed_over_and_reported() {
        let text = format!(
            "# comment\n\n@cert-authority *.example.com {A}\nweb\n@odd web {A}\nweb ssh-odd AAAA\n{A}\nweb {B}\n"
        );
        let hosts = KnownHosts::parse(Path::new("known_hosts"), &text);
        let lines: Vec<usize> = hosts.ignored().iter().map(|ignored| ignored.line).collect();
        assert_eq!(lines, [3, 4, 5, 6, 7]);
        assert_eq!(standing(&text, "web", 22, B), Standing::Known);
        assert_eq!(
            standing(&text, "a.example.com", 22, A),
            Standing::Unknown {
                has_authority: true
            }
        );
    }
}
