//! What travels: the fields of Scaleway's API that are used here, and no others.
//!
//! Words that may grow (states, kinds of volumes) are text, so that a new one breaks nothing.
//! <https://www.scaleway.com/en/developers/api/instances/>

use std::collections::BTreeMap;

use fleetwright_rest::{Next, Page, Place};
use jiff::Timestamp;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

// === instances ===

/// An instance.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Server {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) commercial_type: String,
    pub(crate) state: String,
    /// Whether it was made hard to delete.
    #[serde(default)]
    pub(crate) protected: bool,
    #[serde(default)]
    pub(crate) state_detail: Option<String>,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    pub(crate) zone: String,
    #[serde(default)]
    pub(crate) public_ips: Vec<ServerIp>,
    #[serde(default)]
    pub(crate) private_ip: Option<String>,
    /// By slot.
    #[serde(default)]
    pub(crate) volumes: BTreeMap<String, ServerVolume>,
    #[serde(default)]
    pub(crate) private_nics: Vec<PrivateNic>,
    #[serde(default)]
    pub(crate) creation_date: Option<Timestamp>,
    #[serde(default)]
    pub(crate) image: Option<Named>,
    #[serde(default)]
    pub(crate) security_group: Option<Named>,
    #[serde(default)]
    pub(crate) placement_group: Option<Named>,
}

/// Something that an instance refers to.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Named {
    pub(crate) id: String,
}

/// An address of an instance.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ServerIp {
    pub(crate) id: String,
    pub(crate) address: String,
    /// Comes and goes with the instance. What is not, is flexible, and costs money without it.
    #[serde(default)]
    pub(crate) dynamic: bool,
}

/// A volume of an instance.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ServerVolume {
    pub(crate) id: String,
    pub(crate) volume_type: String,
}

/// A link of an instance to a private network.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PrivateNic {
    pub(crate) private_network_id: String,
}

/// One instance, wrapped.
#[derive(Debug, Deserialize)]
pub(crate) struct OneServer {
    pub(crate) server: Server,
}

/// A request for an instance.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct NewServer<'a> {
    pub(crate) name: String,
    pub(crate) commercial_type: &'a str,
    pub(crate) image: &'a str,
    pub(crate) project: &'a str,
    pub(crate) tags: &'a [String],
    pub(crate) dynamic_ip_required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) security_group: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) placement_group: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) volumes: BTreeMap<&'static str, NewVolume>,
}

/// What the root volume shall be.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct NewVolume {
    pub(crate) volume_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
}

/// A request for a flexible address.
#[derive(Debug, Serialize)]
pub(crate) struct NewIp<'a> {
    pub(crate) server: &'a str,
    pub(crate) project: &'a str,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) tags: &'a [String],
}

// === volumes, as far as they must go ===

/// A volume that is looked for to be removed.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Volume {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
}

// === catalog ===

/// A type of instance.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ServerType {
    pub(crate) name: String,
    pub(crate) ncpus: u32,
    /// In bytes.
    pub(crate) ram: u64,
    pub(crate) arch: String,
    #[serde(default)]
    pub(crate) gpu: Option<u32>,
    #[serde(default)]
    pub(crate) gpu_info: Option<GpuInfo>,
    /// In euros.
    pub(crate) hourly_price: f64,
    #[serde(default)]
    pub(crate) end_of_service: bool,
}

/// What is known about the GPUs of a type.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct GpuInfo {
    #[serde(rename = "gpu_manufacturer")]
    pub(crate) manufacturer: String,
    #[serde(rename = "gpu_name")]
    pub(crate) name: String,
    /// Of one GPU, in bytes.
    #[serde(rename = "gpu_memory")]
    pub(crate) memory: u64,
}

/// Whether a type can be had.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Stock {
    pub(crate) name: String,
    pub(crate) availability: String,
}

/// An image in one zone, for one architecture and one kind of volume.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct LocalImage {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) compatible_commercial_types: Vec<String>,
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

// === load balancers ===

/// A load balancer.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Lb {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) ip: Vec<LbIp>,
}

/// An address of a load balancer.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct LbIp {
    pub(crate) ip_address: String,
}

/// What a load balancer sends to.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Backend {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Addresses.
    #[serde(default)]
    pub(crate) pool: Vec<String>,
}

/// What a load balancer thinks of one address.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct BackendStats {
    #[serde(default)]
    pub(crate) instance_id: String,
    pub(crate) backend_id: String,
    pub(crate) ip: String,
    pub(crate) server_state: String,
    pub(crate) last_health_check_status: String,
}

/// Addresses to add or remove.
#[derive(Debug, Serialize)]
pub(crate) struct ServerIps<'a> {
    pub(crate) server_ip: &'a [String],
}

// === DNS ===

/// A zone of names.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct DnsZone {
    pub(crate) domain: String,
    #[serde(default)]
    pub(crate) subdomain: String,
}

impl DnsZone {
    /// The whole name.
    pub(crate) fn name(&self) -> String {
        if self.subdomain.is_empty() {
            self.domain.clone()
        } else {
            format!("{}.{}", self.subdomain, self.domain)
        }
    }
}

/// One value of one name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    #[serde(default, skip_serializing)]
    pub(crate) id: String,
    pub(crate) data: String,
    /// Below the zone; empty for the zone itself.
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) priority: u32,
    pub(crate) ttl: u32,
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

/// Changes that happen together.
#[derive(Debug, Serialize)]
pub(crate) struct RecordChanges<'a> {
    pub(crate) changes: Vec<RecordChange<'a>>,
    pub(crate) disallow_new_zone_creation: bool,
    pub(crate) return_all_records: bool,
}

/// One change.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RecordChange<'a> {
    /// Replaces the records that match by these.
    Set {
        id_fields: RecordIdentifier<'a>,
        records: Vec<Record>,
    },
    /// Removes the records that match.
    Delete { id_fields: RecordIdentifier<'a> },
}

/// Which records.
#[derive(Debug, Serialize)]
pub(crate) struct RecordIdentifier<'a> {
    pub(crate) name: &'a str,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
}

// === pages ===

/// What is listed under a name of its own.
pub(crate) trait Listed: DeserializeOwned {
    /// The field that holds the items: a list, or an object by name, which becomes the field
    /// `name` of each.
    const FIELD: &'static str;

    /// What tells it from all others.
    fn key(&self) -> String;
}

/// A page of a listing.
#[derive(Debug)]
pub(crate) struct Collection<T> {
    items: Vec<T>,
    total_count: Option<u64>,
}

impl<'de, T: Listed> Deserialize<'de> for Collection<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Map::<String, Value>::deserialize(deserializer)?;
        let items = match fields.remove(T::FIELD) {
            Some(Value::Array(items)) => items,
            Some(Value::Object(by_name)) => by_name.into_iter().map(named).collect(),
            _ => return Err(D::Error::missing_field(T::FIELD)),
        };
        let items = items.into_iter().map(serde_json::from_value);
        Ok(Self {
            items: items.collect::<Result<_, _>>().map_err(D::Error::custom)?,
            total_count: fields.get("total_count").and_then(Value::as_u64),
        })
    }
}

fn named((name, mut item): (String, Value)) -> Value {
    if let Value::Object(fields) = &mut item {
        fields.insert("name".to_owned(), Value::String(name));
    }
    item
}

impl<T: Listed> Page for Collection<T> {
    type Item = T;

    /// Without a total nobody can know whether there is more: that is a gap, not an end.
    fn next(&self, place: &Place<'_>) -> Next {
        match self.total(place) {
            Some(total) => place.next_until(total),
            None => Next::Broken("the page does not say how many items there are".to_owned()),
        }
    }

    /// Instances tell it in a header, everything else in the body.
    fn total(&self, place: &Place<'_>) -> Option<u64> {
        place.header("x-total-count").or(self.total_count)
    }

    fn key(item: &T) -> String {
        item.key()
    }

    fn take_items(&mut self) -> Vec<T> {
        std::mem::take(&mut self.items)
    }
}

impl Listed for Server {
    const FIELD: &'static str = "servers";

    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Listed for Volume {
    const FIELD: &'static str = "volumes";

    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Listed for ServerType {
    const FIELD: &'static str = "servers";

    fn key(&self) -> String {
        self.name.clone()
    }
}

impl Listed for Stock {
    const FIELD: &'static str = "servers";

    fn key(&self) -> String {
        self.name.clone()
    }
}

impl Listed for LocalImage {
    const FIELD: &'static str = "local_images";

    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Listed for Lb {
    const FIELD: &'static str = "lbs";

    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Listed for Backend {
    const FIELD: &'static str = "backends";

    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Listed for BackendStats {
    const FIELD: &'static str = "backend_servers_stats";

    fn key(&self) -> String {
        format!("{} {} {}", self.instance_id, self.backend_id, self.ip)
    }
}

impl Listed for DnsZone {
    const FIELD: &'static str = "dns_zones";

    fn key(&self) -> String {
        self.name()
    }
}

impl Listed for Record {
    const FIELD: &'static str = "records";

    fn key(&self) -> String {
        format!("{} {} {} {}", self.id, self.kind, self.name, self.data)
    }
}
