//! Names for nodes and balancers.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Result;

/// DNS zones and the records in them.
#[async_trait]
pub trait Dns: Debug + Send + Sync {
    /// The zones of the account, without the trailing dot.
    async fn list_zones(&self) -> Result<Vec<String>>;

    /// All records of a zone.
    ///
    /// # Errors
    /// `NotFound` if there is no such zone.
    async fn list_records(&self, zone: &str) -> Result<Vec<DnsRecord>>;

    /// Creates the record set or replaces all its values. The same set again changes nothing.
    async fn upsert(&self, zone: &str, record: &DnsRecord) -> Result<()>;

    /// Removes a record set. Removing what is not there is fine.
    async fn remove(&self, zone: &str, name: &str, kind: RecordKind) -> Result<()>;
}

/// All values of one name and kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DnsRecord {
    /// Full name without the trailing dot.
    pub name: String,
    /// Kind.
    pub kind: RecordKind,
    /// Values, in no particular order. Never empty.
    pub values: Vec<String>,
    /// Time to live, in seconds.
    pub ttl_seconds: u32,
}

/// Kinds of records that we write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordKind {
    /// IPv4 address.
    A,
    /// IPv6 address.
    Aaaa,
    /// Alias.
    Cname,
    /// Text.
    Txt,
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Txt => "TXT",
        })
    }
}
