//! Host keys that are planted on new nodes, derived from a seed that stays here.

use std::fmt;
use std::path::Path;

use fleetwright_core::{Error, HostKey, HostKeys, Kind, Result, Secret, Token};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;

use crate::files;

/// Keeps the hash apart from any other use of the same seed.
const PURPOSE: &[u8] = b"fleetwright host key 1\0";
/// Bytes of a seed, and of an Ed25519 private key.
const LENGTH: usize = 32;

/// A secret from which the host key of every node of a fleet follows.
///
/// It never leaves this machine. A node knows only the keys of its own request, from which neither
/// the seed nor another key can be found.
#[derive(Clone)]
pub struct HostKeySeed([u8; LENGTH]);

impl HostKeySeed {
    /// Reads the seed at `path`, or makes one with mode 0600. Of several processes that do this at
    /// once one makes it and all get it.
    ///
    /// # Errors
    /// `Config` if the file cannot be read or written, or holds something else.
    pub fn open(path: &Path) -> Result<Self> {
        if let Some(text) = files::read(path)? {
            return Self::parse(path, &text);
        }
        let mut seed = [0; LENGTH];
        SystemRandom::new()
            .fill(&mut seed)
            .map_err(|_| Error::new(Kind::Unexpected, "the system gives no random numbers"))?;
        let half = |at: usize| {
            let mut bytes = [0; LENGTH / 2];
            bytes.copy_from_slice(&seed[at..at + LENGTH / 2]);
            u128::from_be_bytes(bytes)
        };
        let text = format!("{:032x}{:032x}\n", half(0), half(LENGTH / 2));
        files::create_parent(path)
            .and_then(|()| files::create(path, text.as_bytes(), 0o600))
            .map_err(|error| files::failed("write", path, error))?;
        match files::read(path)? {
            Some(text) => Self::parse(path, &text),
            None => Err(Error::new(
                Kind::Config,
                format!("`{}` was removed while it was made", path.display()),
            )),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self> {
        let text = text.trim();
        let is_hex = text.len() == 2 * LENGTH && text.bytes().all(|c| c.is_ascii_hexdigit());
        let half = |part: &str| u128::from_str_radix(part, 16).ok();
        let halves = is_hex
            .then(|| text.split_at(LENGTH))
            .and_then(|(first, second)| Some((half(first)?, half(second)?)));
        match halves {
            Some((first, second)) => {
                let mut seed = [0; LENGTH];
                seed[..LENGTH / 2].copy_from_slice(&first.to_be_bytes());
                seed[LENGTH / 2..].copy_from_slice(&second.to_be_bytes());
                Ok(Self(seed))
            }
            None => Err(Error::new(
                Kind::Config,
                format!("`{}` is not a seed of host keys", path.display()),
            )
            .with_hint(
                "move it away, then a new one is made; nodes that are there keep the keys in the \
                 journal",
            )),
        }
    }
}

impl fmt::Debug for HostKeySeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostKeySeed([redacted])")
    }
}

impl HostKeys for HostKeySeed {
    fn host_key(&self, token: &Token) -> Result<HostKey> {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        context.update(PURPOSE);
        context.update(token.as_str().as_bytes());
        let mut private = [0; LENGTH];
        private.copy_from_slice(context.sign().as_ref());
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&private));
        let unexpected =
            |error| Error::new(Kind::Unexpected, "cannot make a host key").with_source(error);
        let private = key.to_openssh(LineEnding::LF).map_err(unexpected)?;
        Ok(HostKey {
            public: key.public_key().to_openssh().map_err(unexpected)?,
            private: Secret::new(private.as_str()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Token {
        Token::from_stored(text)
    }

    #[test]
    fn the_key_of_a_token_is_always_the_same_and_of_another_another() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/host_keys.seed");
        let seed = HostKeySeed::open(&path).unwrap();
        let key = seed.host_key(&token("a")).unwrap();
        let again = HostKeySeed::open(&path).unwrap();
        assert_eq!(again.host_key(&token("a")).unwrap(), key);
        assert_ne!(again.host_key(&token("b")).unwrap().public, key.public);
        let other = HostKeySeed::open(&directory.path().join("other")).unwrap();
        assert_ne!(other.host_key(&token("a")).unwrap().public, key.public);
        let private = PrivateKey::from_openssh(key.private.reveal()).unwrap();
        assert_eq!(private.public_key().to_openssh().unwrap(), key.public);
        assert!(key.public.starts_with("ssh-ed25519 "));
    }

    #[test]
    fn the_seed_is_for_the_owner_only_and_shown_nowhere() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("seed");
        let seed = HostKeySeed::open(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(format!("{seed:?}"), "HostKeySeed([redacted])");
    }

    #[test]
    fn something_else_is_not_taken_for_a_seed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("seed");
        for text in ["", "abc", &"g".repeat(64), &"é".repeat(32)] {
            std::fs::write(&path, text).unwrap();
            let error = HostKeySeed::open(&path).unwrap_err();
            assert_eq!(error.kind(), Kind::Config, "{text}");
        }
    }
}
