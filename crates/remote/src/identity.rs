//! Private keys: reading them once, and making one.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fleetwright_core::{Error, Kind, Result};
use russh::keys::key::safe_rng;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey, PublicKey, decode_secret_key};

use crate::files;

const PROTECTED: &str = "protected by a passphrase";

/// Makes an Ed25519 key pair at `path` and `path.pub`, or takes the one that is there, and gives
/// the public key as the line for `authorized_keys`.
///
/// The private key has mode 0600. Both files appear as a whole; of several processes that do this
/// at once one makes the pair and all get its public key. The public file is derived from the
/// private one and made again if it is missing.
///
/// # Errors
/// `Config` if a file cannot be written, or if what is at `path` is not a private key.
pub fn generate_identity(path: &Path, comment: &str) -> Result<String> {
    if let Some(public) = existing(path)? {
        return Ok(public);
    }
    let unexpected =
        |error| Error::new(Kind::Unexpected, "cannot make an Ed25519 key").with_source(error);
    let mut key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).map_err(unexpected)?;
    key.set_comment(comment);
    let text = key.to_openssh(LineEnding::LF).map_err(unexpected)?;
    files::create_parent(path)
        .and_then(|()| files::create(path, text.as_bytes(), 0o600))
        .map_err(|error| files::failed("write", path, error))?;
    // Ours or, if another process was faster, that one's.
    existing(path)?.ok_or_else(|| {
        Error::new(
            Kind::Config,
            format!("`{}` was removed while it was made", path.display()),
        )
    })
}

/// The public key that belongs to the private key at `path`, after making sure of the `.pub` file.
fn existing(path: &Path) -> Result<Option<String>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(files::failed("read", path, error)),
    };
    let unusable = |error: String| {
        Error::new(
            Kind::Config,
            format!("`{}` is not a usable private key", path.display()),
        )
        .with_source(error)
        .with_hint("move it away, then a new one is made")
    };
    let public = match parse(&text) {
        Loaded::Usable(key) => key.public_key().clone(),
        Loaded::Locked {
            public: Some(public),
            ..
        } => public,
        Loaded::Locked { reason, .. } => return Err(unusable(reason.to_owned())),
        Loaded::Unusable(reason) => return Err(unusable(reason)),
    };
    let line = public
        .to_openssh()
        .map_err(|error| unusable(error.to_string()))?;
    let beside = public_path(path);
    if files::read(&beside)?.is_none() {
        files::replace(&beside, format!("{line}\n").as_bytes(), 0o644)
            .map_err(|error| files::failed("write", &beside, error))?;
    }
    Ok(Some(line))
}

/// A key file, read.
#[derive(Debug, Clone)]
pub(crate) enum Loaded {
    /// Ready to sign.
    Usable(Arc<PrivateKey>),
    /// Only an agent can sign with it: it is protected by a passphrase, or only its public half is
    /// here.
    Locked {
        /// The public half, if it is known.
        public: Option<PublicKey>,
        /// Why, in words.
        reason: &'static str,
    },
    /// Missing, unreadable or no key, in words.
    Unusable(String),
}

/// The key files that were read so far: each is read and decoded once, not once per node.
#[derive(Debug, Default)]
pub(crate) struct Identities(Mutex<HashMap<PathBuf, Loaded>>);

impl Identities {
    /// The key in a file. What is unusable is looked at again next time: it may have been made
    /// since.
    pub(crate) fn load(&self, path: &Path) -> Loaded {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = known.get(path) {
            return loaded.clone();
        }
        let loaded = match fs::read_to_string(path) {
            Ok(text) => parse(&text),
            Err(error) if error.kind() == ErrorKind::NotFound => public_half(path),
            Err(error) => Loaded::Unusable(error.to_string()),
        };
        if !matches!(loaded, Loaded::Unusable(_)) {
            known.insert(path.to_owned(), loaded.clone());
        }
        loaded
    }
}

/// Where only `path.pub` is there, the agent may have the rest.
fn public_half(path: &Path) -> Loaded {
    match fs::read_to_string(public_path(path)) {
        Ok(text) => match PublicKey::from_openssh(text.trim()) {
            Ok(public) => Loaded::Locked {
                public: Some(public),
                reason: "only its public half is here",
            },
            Err(error) => Loaded::Unusable(error.to_string()),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Loaded::Unusable("missing".to_owned()),
        Err(error) => Loaded::Unusable(error.to_string()),
    }
}

fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

fn parse(text: &str) -> Loaded {
    // OpenSSH's own format shows the public half even of a protected key.
    if text.contains("-----BEGIN OPENSSH PRIVATE KEY-----") {
        return match PrivateKey::from_openssh(text) {
            Ok(key) if key.is_encrypted() => Loaded::Locked {
                public: Some(key.public_key().clone()),
                reason: PROTECTED,
            },
            Ok(key) => Loaded::Usable(Arc::new(key)),
            Err(error) => Loaded::Unusable(error.to_string()),
        };
    }
    // The PEM formats say it in a header.
    if text.contains("ENCRYPTED") {
        return Loaded::Locked {
            public: None,
            reason: PROTECTED,
        };
    }
    match decode_secret_key(text, None) {
        Ok(key) => Loaded::Usable(Arc::new(key)),
        Err(error) => Loaded::Unusable(error.to_string()),
    }
}
