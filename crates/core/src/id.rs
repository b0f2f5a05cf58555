//! Names and identities that print and parse.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Kind, Result};

/// Which node, in the whole world of one configuration: `provider/region/native-id`.
///
/// ```
/// use fleetwright_core::NodeId;
///
/// let id: NodeId = "aws-east/us-west-2/i-0abc".parse().unwrap();
/// assert_eq!(id.provider(), "aws-east");
/// assert_eq!(id.native(), "i-0abc");
/// assert_eq!(id.to_string(), "aws-east/us-west-2/i-0abc");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId {
    text: Box<str>,
    region_at: usize,
    native_at: usize,
}

impl NodeId {
    /// Puts an id together. Provider and region hold no slash; the native id may.
    ///
    /// # Errors
    /// [`Kind::Invalid`] if a part is empty or provider or region hold a slash.
    pub fn new(provider: &str, region: &str, native: &str) -> Result<Self> {
        let parts_ok = [provider, region]
            .iter()
            .all(|part| !part.is_empty() && !part.contains('/'));
        if !parts_ok || native.is_empty() {
            return Err(Error::new(
                Kind::Invalid,
                format!("`{provider}/{region}/{native}` is not a node id"),
            )
            .with_hint("a node id reads `provider/region/native-id`"));
        }
        let region_at = provider.len() + 1;
        let native_at = region_at + region.len() + 1;
        Ok(Self {
            text: format!("{provider}/{region}/{native}").into(),
            region_at,
            native_at,
        })
    }

    /// The name of the provider in the configuration.
    pub fn provider(&self) -> &str {
        &self.text[..self.region_at - 1]
    }

    /// The region, in the provider's own words.
    pub fn region(&self) -> &str {
        &self.text[self.region_at..self.native_at - 1]
    }

    /// The id that the cloud gave.
    pub fn native(&self) -> &str {
        &self.text[self.native_at..]
    }

    /// The whole id as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({})", self.text)
    }
}

impl FromStr for NodeId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.splitn(3, '/');
        let (provider, region, native) = (
            parts.next().unwrap_or(""),
            parts.next().unwrap_or(""),
            parts.next().unwrap_or(""),
        );
        Self::new(provider, region, native)
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Checks a name that we give: fleets, pools, providers.
///
/// Lower-case letters, digits and dashes, at most 40, beginning with a letter: valid as a label
/// value and inside a host name on every cloud.
///
/// # Errors
/// [`Kind::Config`], naming `what`.
pub fn check_name(what: &str, name: &str) -> Result<()> {
    let ok = name.len() <= 40
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if ok {
        return Ok(());
    }
    Err(Error::new(
        Kind::Config,
        format!("`{name}` cannot be the name of a {what}"),
    )
    .with_hint(
        "names have 1 to 40 lower-case letters, digits and dashes, begin with a letter and do not \
         end with a dash",
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_node_id_prints_what_it_parses(p in "[a-z]{1,9}", r in "[a-z0-9-]{1,9}", n in "[^/].{0,20}") {
            let id = NodeId::new(&p, &r, &n).unwrap();
            let again: NodeId = id.to_string().parse().unwrap();
            prop_assert_eq!(&again, &id);
            prop_assert_eq!((again.provider(), again.region(), again.native()), (&*p, &*r, &*n));
        }
    }

    #[test]
    fn a_node_id_with_a_missing_part_is_refused() {
        for text in ["", "a", "a/b", "a/b/", "/b/c", "a//c"] {
            assert_eq!(
                text.parse::<NodeId>().unwrap_err().kind(),
                Kind::Invalid,
                "{text}"
            );
        }
    }

    #[test]
    fn names_are_valid_on_every_cloud() {
        for good in ["a", "web-1", &"x".repeat(40)] {
            check_name("pool", good).unwrap();
        }
        for bad in ["", "-a", "a-", "A", "1a", "a_b", "ä", &"x".repeat(41)] {
            assert_eq!(
                check_name("pool", bad).unwrap_err().kind(),
                Kind::Config,
                "{bad}"
            );
        }
    }
}
