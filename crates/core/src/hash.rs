//! Short, stable hashes of values.

use std::fmt;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A SHA-256 hash in lower-case hexadecimal.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The hash of bytes as they are: what `sha256sum` prints.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let mut hex = String::with_capacity(64);
        for byte in Sha256::digest(bytes) {
            write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
        }
        Self(hex)
    }

    /// All 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first digits, for tokens and labels.
    pub fn short(&self) -> &str {
        &self.0[..8]
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({})", self.short())
    }
}

/// Hashes the JSON form of a value. The same value hashes the same in every process and version,
/// as long as its maps are sorted (`BTreeMap`, which all of ours are).
pub fn fingerprint<T: Serialize + ?Sized>(value: &T) -> Fingerprint {
    let json = serde_json::to_vec(value)
        .expect("the hashed types have string keys and no failing serializer");
    Fingerprint::of_bytes(&json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_same_for_ever() {
        // A change here orphans the tokens of every open claim in the field.
        assert_eq!(fingerprint(&("a", 1)).short(), "135f17a4");
    }
}
