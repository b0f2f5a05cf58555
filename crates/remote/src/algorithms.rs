//! Which algorithms connections use: the same settings, made once, for all of them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, SshId, cipher, compression, kex};

use crate::HostKey;

/// The settings of connections, shared by all of them.
#[derive(Debug)]
pub(crate) struct Algorithms {
    usual: Arc<client::Config>,
    /// Those for servers whose known keys are of another kind than the usual one, by kind.
    others: Mutex<HashMap<Vec<Algorithm>, Arc<client::Config>>>,
}

impl Default for Algorithms {
    fn default() -> Self {
        Self {
            usual: Arc::new(config(&[])),
            others: Mutex::default(),
        }
    }
}

impl Algorithms {
    /// The settings for a server that has these keys: it must be asked for a kind that we know.
    pub(crate) fn config(&self, known: &[HostKey]) -> Arc<client::Config> {
        let mut kinds: Vec<Algorithm> = known.iter().map(HostKey::algorithm).collect();
        if kinds.is_empty() || kinds.contains(&Algorithm::Ed25519) {
            return Arc::clone(&self.usual);
        }
        kinds.sort();
        kinds.dedup();
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let made = others
            .entry(kinds)
            .or_insert_with_key(|kinds| Arc::new(config(kinds)));
        Arc::clone(made)
    }
}

/// The cheapest algorithms first, among those that are good; no compression.
fn config(known: &[Algorithm]) -> client::Config {
    let mut keys = vec![
        Algorithm::Ed25519,
        Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP256,
        },
        Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP384,
        },
        Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP521,
        },
        // An RSA key is asked for by the hash it signs with; the one with SHA-1 is left out.
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha512),
        },
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha256),
        },
    ];
    keys.sort_by_key(|offered| {
        !known.iter().any(|known| {
            known == offered
                || matches!(
                    (known, offered),
                    (Algorithm::Rsa { .. }, Algorithm::Rsa { .. })
                )
        })
    });
    let usual = Preferred::DEFAULT;
    let mut exchanges = vec![kex::CURVE25519, kex::CURVE25519_PRE_RFC_8731];
    let further: Vec<_> = usual
        .kex
        .iter()
        .filter(|name| !exchanges.contains(name))
        .copied()
        .collect();
    exchanges.extend(further);
    let mut ciphers = vec![cipher::AES_256_GCM, cipher::CHACHA20_POLY1305];
    let further: Vec<_> = usual
        .cipher
        .iter()
        .filter(|name| !ciphers.contains(name))
        .copied()
        .collect();
    ciphers.extend(further);
    client::Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!(
            "SSH-2.0-fleetwright_",
            env!("CARGO_PKG_VERSION")
        ))),
        preferred: Preferred {
            kex: Cow::Owned(exchanges),
            key: Cow::Owned(keys),
            cipher: Cow::Owned(ciphers),
            compression: Cow::Borrowed(&[compression::NONE]),
            ..usual
        },
        // A machine that vanishes sends no goodbye: notice it within a minute.
        keepalive_interval: Some(Duration::from_secs(15)),
        keepalive_max: 3,
        ..client::Config::default()
    }
}
