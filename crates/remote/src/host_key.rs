//! The public key by which a server shows that it is the one we mean.

use std::fmt;

use fleetwright_core::{Error, Kind, Result};
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, HashAlg, PublicKey};

/// A server's public key. Two are equal if the key itself is, whatever their comments.
#[derive(Clone, PartialEq, Eq)]
pub struct HostKey(KeyData);

impl HostKey {
    /// Reads a key in OpenSSH's format, `ssh-ed25519 AAAA... comment`; the comment is optional.
    ///
    /// # Errors
    /// `Invalid` if it is not a public key or of a kind that is not supported.
    pub fn parse(line: &str) -> Result<Self> {
        let mut words = line.split_ascii_whitespace();
        let (Some(algorithm), Some(key)) = (words.next(), words.next()) else {
            return Err(not_a_key(line));
        };
        PublicKey::from_openssh(&format!("{algorithm} {key}"))
            .map(|key| Self::of(&key))
            .map_err(|error| not_a_key(line).with_source(error))
    }

    /// The fingerprint as `ssh-keygen -l` prints it: `SHA256:...`.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    pub(crate) fn of(key: &PublicKey) -> Self {
        Self(key.key_data().clone())
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }
}

impl fmt::Display for HostKey {
    /// In OpenSSH's format, without a comment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = PublicKey::from(self.0.clone());
        f.write_str(&key.to_openssh().map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostKey({} {})", self.0.algorithm(), self.fingerprint())
    }
}

fn not_a_key(line: &str) -> Error {
    let shown: String = line.chars().take(60).collect();
    Error::new(Kind::Invalid, format!("`{shown}` is not a public key"))
        .with_hint("a public key looks like `ssh-ed25519 AAAA...`")
}
