//! What goes over the wire, as far as we use it. Unknown fields are left alone, unknown words are
//! kept as text.

use fleetwright_core::Secret;
use fleetwright_rest::{Next, Page, Place};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};

/// A page of a collection.
/// <https://techdocs.akamai.com/linode-api/reference/pagination>
#[derive(Debug, Deserialize)]
pub(crate) struct Collection<T> {
    pub(crate) data: Vec<T>,
    pub(crate) pages: u32,
    pub(crate) results: u64,
}

impl<T: Item + DeserializeOwned> Page for Collection<T> {
    type Item = T;

    fn next(&self, place: &Place<'_>) -> Next {
        if place.number < self.pages {
            Next::Number
        } else {
            Next::End
        }
    }

    fn total(&self, _: &Place<'_>) -> Option<u64> {
        Some(self.results)
    }

    fn key(item: &T) -> String {
        item.key()
    }

    fn take_items(&mut self) -> Vec<T> {
        std::mem::take(&mut self.data)
    }
}

/// Something in a collection.
pub(crate) trait Item {
    /// What tells it from all others.
    fn key(&self) -> String;
}

impl Item for Linode {
    fn key(&self) -> String {
        self.id.to_string()
    }
}

impl Item for Plan {
    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Item for Region {
    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Item for Image {
    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Item for NodeBalancer {
    fn key(&self) -> String {
        self.id.to_string()
    }
}

impl Item for Listener {
    fn key(&self) -> String {
        self.id.to_string()
    }
}

impl Item for Backend {
    fn key(&self) -> String {
        self.id.to_string()
    }
}

impl Item for Domain {
    fn key(&self) -> String {
        self.id.to_string()
    }
}

impl Item for Record {
    fn key(&self) -> String {
        self.id.to_string()
    }
}

impl Item for PlanAvailability {
    fn key(&self) -> String {
        format!("{}/{}", self.region, self.plan.as_deref().unwrap_or(""))
    }
}

impl Item for AccountAvailability {
    fn key(&self) -> String {
        self.region.clone()
    }
}

/// An answer that says no.
/// <https://techdocs.akamai.com/linode-api/reference/errors>
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Refusal {
    #[serde(default)]
    pub(crate) errors: Vec<Reason>,
}

/// One reason of a refusal.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Reason {
    #[serde(default)]
    pub(crate) reason: String,
    #[serde(default)]
    pub(crate) field: Option<String>,
}

/// An instance.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Linode {
    pub(crate) id: u64,
    pub(crate) label: String,
    pub(crate) status: String,
    /// UTC, without saying so: `2018-01-02T03:04:05`.
    #[serde(default)]
    pub(crate) created: Option<String>,
    /// Null for machines without a plan of the public list.
    #[serde(default, rename = "type")]
    pub(crate) instance_type: Option<String>,
    #[serde(default)]
    pub(crate) ipv4: Vec<String>,
    #[serde(default)]
    pub(crate) ipv6: Option<String>,
    #[serde(default)]
    pub(crate) image: Option<String>,
    pub(crate) region: String,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
}

/// What a new instance shall be.
#[derive(Debug, Serialize)]
pub(crate) struct NewLinode {
    pub(crate) region: String,
    #[serde(rename = "type")]
    pub(crate) instance_type: String,
    pub(crate) label: String,
    pub(crate) image: String,
    #[serde(serialize_with = "revealed")]
    pub(crate) root_pass: Secret,
    pub(crate) authorized_keys: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) authorized_users: Vec<String>,
    pub(crate) booted: bool,
    pub(crate) tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) firewall_id: Option<u64>,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) private_ip: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) interfaces: Vec<Interface>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) placement_group: Option<PlacementGroup>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) swap_size: Option<u32>,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) backups_enabled: bool,
}

/// User data, in base64. People keep secrets in it.
#[derive(Debug, Serialize)]
pub(crate) struct Metadata {
    #[serde(serialize_with = "revealed")]
    pub(crate) user_data: Secret,
}

/// A network interface of a configuration profile.
#[derive(Debug, Serialize)]
pub(crate) struct Interface {
    pub(crate) purpose: &'static str,
    pub(crate) subnet_id: u64,
    pub(crate) primary: bool,
    pub(crate) ipv4: InterfaceAddress,
}

/// How an interface in a VPC is reached from outside.
#[derive(Debug, Serialize)]
pub(crate) struct InterfaceAddress {
    pub(crate) nat_1_1: &'static str,
}

/// A placement group, by id.
#[derive(Debug, Serialize)]
pub(crate) struct PlacementGroup {
    pub(crate) id: u64,
}

fn revealed<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.reveal())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Who the token belongs to.
#[derive(Debug, Deserialize)]
pub(crate) struct Profile {
    pub(crate) username: String,
    #[serde(default)]
    pub(crate) restricted: bool,
}

/// A plan.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Plan {
    pub(crate) id: String,
    pub(crate) label: String,
    #[serde(default)]
    pub(crate) class: String,
    pub(crate) vcpus: u32,
    /// In MB, which Linode counts as MiB.
    pub(crate) memory: u64,
    #[serde(default)]
    pub(crate) gpus: u32,
    pub(crate) price: Price,
    #[serde(default)]
    pub(crate) region_prices: Vec<RegionPrice>,
}

/// What a plan costs, in US dollars.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Price {
    #[serde(default)]
    pub(crate) hourly: Option<serde_json::Number>,
}

/// What a plan costs in a region that has its own price.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RegionPrice {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) hourly: Option<serde_json::Number>,
}

/// A region.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Region {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) capabilities: Vec<String>,
    #[serde(default)]
    pub(crate) status: String,
}

/// Whether a plan can be had in a region.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PlanAvailability {
    pub(crate) region: String,
    /// Null where the region says nothing about plans.
    #[serde(default)]
    pub(crate) plan: Option<String>,
    pub(crate) available: bool,
}

/// Which services this account may use in a region.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct AccountAvailability {
    pub(crate) region: String,
    #[serde(default)]
    pub(crate) unavailable: Vec<String>,
}

/// An image.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) label: String,
    #[serde(default)]
    pub(crate) created: Option<String>,
    #[serde(default)]
    pub(crate) deprecated: bool,
    #[serde(default)]
    pub(crate) status: Option<String>,
    #[serde(default)]
    pub(crate) capabilities: Vec<String>,
}

/// A NodeBalancer.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct NodeBalancer {
    pub(crate) id: u64,
    /// Null if nobody gave one.
    #[serde(default)]
    pub(crate) label: Option<String>,
    pub(crate) region: String,
    #[serde(default)]
    pub(crate) ipv4: Option<String>,
}

/// A port that a NodeBalancer listens on.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Listener {
    pub(crate) id: u64,
    pub(crate) port: u16,
}

/// A backend of a port.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Backend {
    pub(crate) id: u64,
    /// `192.168.1.2:80`.
    pub(crate) address: String,
    pub(crate) label: String,
    /// `UP`, `DOWN`, `Unknown`.
    pub(crate) status: String,
    /// `accept`, `reject`, `drain`, `backup`.
    pub(crate) mode: String,
}

/// A new backend.
#[derive(Debug, Serialize)]
pub(crate) struct NewBackend<'a> {
    pub(crate) address: &'a str,
    pub(crate) label: &'a str,
    pub(crate) mode: &'static str,
}

/// Another mode and label for a backend.
#[derive(Debug, Serialize)]
pub(crate) struct BackendChange<'a> {
    pub(crate) mode: &'static str,
    pub(crate) label: &'a str,
}

/// A DNS zone.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Domain {
    pub(crate) id: u64,
    #[serde(rename = "domain")]
    pub(crate) name: String,
    /// `master` or `slave`; only the first can be written to.
    #[serde(default, rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) ttl_sec: u32,
}

/// One value of a record set.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: u64,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) target: String,
    #[serde(default)]
    pub(crate) ttl_sec: u32,
}

/// A new value of a record set.
#[derive(Debug, Serialize)]
pub(crate) struct NewRecord<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Absent for the domain itself.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) name: &'a str,
    pub(crate) target: &'a str,
    pub(crate) ttl_sec: u32,
}

/// Another value for a record.
#[derive(Debug, Serialize)]
pub(crate) struct RecordChange<'a> {
    pub(crate) target: &'a str,
    pub(crate) ttl_sec: u32,
}
