//! Whether the server that answers is the one we mean.
//!
//! Pinned keys decide alone: they came through the provider. Without any, the known hosts decide.
//! A revoked key is refused in both cases. Whatever is wrong with the *node's* key is a `Conflict`;
//! `Auth` is for what is wrong with *ours*.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use std::{fs, io};

use fleetwright_core::{Error, Kind, Result};

use crate::HostKey;
use crate::files;
use crate::known_hosts::{KnownHosts, Standing};
use crate::route::Hop;

/// The files that say which server has which key, read again only when they change.
#[derive(Debug)]
pub(crate) struct HostFiles {
    paths: Vec<PathBuf>,
    read: Mutex<(Vec<Stamp>, Arc<KnownHosts>)>,
}

/// What tells one version of a file from another.
type Stamp = Option<(Option<SystemTime>, u64, u64)>;

impl HostFiles {
    pub(crate) fn new(paths: Vec<PathBuf>) -> Self {
        Self {
            paths,
            read: Mutex::default(),
        }
    }

    /// What the files say now.
    pub(crate) fn current(&self) -> Result<Arc<KnownHosts>> {
        let stamps = self
            .paths
            .iter()
            .map(|path| stamp(path).map_err(|error| files::failed("read", path, error)))
            .collect::<Result<Vec<_>>>()?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.0 != stamps {
            let mut hosts = KnownHosts::default();
            for path in &self.paths {
                if let Some(text) = files::read(path)? {
                    hosts.add(path, &text);
                }
            }
            for ignored in hosts.ignored() {
                tracing::debug!(
                    file = %ignored.file.display(),
                    line = ignored.line,
                    reason = ignored.reason,
                    "a line of known hosts is passed over"
                );
            }
            *read = (stamps, Arc::new(hosts));
        }
        Ok(Arc::clone(&read.1))
    }
}

fn stamp(path: &std::path::Path) -> io::Result<Stamp> {
    use std::os::unix::fs::MetadataExt as _;
    match fs::metadata(path) {
        Ok(data) => Ok(Some((data.modified().ok(), data.len(), data.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What one server must show.
#[derive(Debug)]
pub(crate) struct Trust {
    host: String,
    port: u16,
    address: String,
    pinned: Vec<HostKey>,
    known: Arc<KnownHosts>,
    accepts_unknown: bool,
}

impl Trust {
    pub(crate) fn new(hop: &Hop, known: Arc<KnownHosts>, accepts_unknown: bool) -> Self {
        Self {
            host: hop.host.clone(),
            port: hop.port,
            address: hop.address(),
            pinned: hop.host_keys.clone(),
            known,
            accepts_unknown,
        }
    }

    /// The keys that would be accepted, as far as they are known beforehand: the server is asked
    /// for keys of these kinds first.
    pub(crate) fn expected(&self) -> Vec<HostKey> {
        if self.pinned.is_empty() {
            self.known.keys_of(&self.host, self.port)
        } else {
            self.pinned.clone()
        }
    }

    /// Accepts or refuses the key that the server has just proved to own.
    pub(crate) fn check(&self, presented: &HostKey) -> Result<()> {
        let standing = if self.pinned.is_empty() {
            self.known.standing(&self.host, self.port, presented)
        } else if let Some(revoked) = self.known.revocation(&self.host, self.port, presented) {
            revoked
        } else if self.pinned.contains(presented) {
            Standing::Known
        } else {
            Standing::Other(self.pinned.clone())
        };
        match standing {
            Standing::Revoked { file, line } => Err(Error::new(
                Kind::Conflict,
                format!(
                    "the host key `{}` of `{}` is revoked in `{}` line {line}",
                    presented.fingerprint(),
                    self.address,
                    file.display()
                ),
            )
            .with_hint("do not log in; replace the node")),
            Standing::Known => Ok(()),
            Standing::Other(keys) => Err(self.mismatch(&keys, presented)),
            Standing::Unknown { .. } if self.accepts_unknown => {
                tracing::warn!(
                    address = self.address,
                    key = presented.fingerprint(),
                    "the host key is not known and trusted as asked"
                );
                Ok(())
            }
            Standing::Unknown { has_authority } => {
                let hint = if has_authority {
                    "known hosts name a certificate authority for it, but host certificates are \
                     not supported: add the host key itself"
                        .to_owned()
                } else {
                    format!(
                        "compare the fingerprint with what the provider shows, then add the key: \
                         `ssh-keyscan -p {} {}`",
                        self.port, self.host
                    )
                };
                Err(Error::new(
                    Kind::Conflict,
                    format!(
                        "the host key of `{}` is not known: it presents `{}`",
                        self.address,
                        presented.fingerprint()
                    ),
                )
                .with_hint(hint))
            }
        }
    }

    fn mismatch(&self, expected: &[HostKey], presented: &HostKey) -> Error {
        let expected: Vec<String> = expected
            .iter()
            .map(|key| format!("`{}`", key.fingerprint()))
            .collect();
        Error::new(
            Kind::Conflict,
            format!(
                "the host key of `{}` is the wrong one: expected {}, presented `{}`",
                self.address,
                expected.join(" or "),
                presented.fingerprint()
            ),
        )
        .with_hint(
            "either another machine has this address now or somebody is in between; if the node \
             was rebuilt on purpose, remove its old key",
        )
    }
}
