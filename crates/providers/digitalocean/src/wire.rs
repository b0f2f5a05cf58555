//! What is read of DigitalOcean's answers: only what is used, with every word left open.
//!
//! Descriptions: <https://docs.digitalocean.com/reference/api/reference/>

use std::fmt::Debug;

use fleetwright_core::HourlyPrice;
use fleetwright_rest::{Next, Page, Place};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Number;

/// A page of a listing: "a JSON object with a key called `droplets`", or what else is listed,
/// besides `links` and `meta`. If it is counted, a last page that leaves the total unmet is a broken
/// one; the total is documented for all, and relied on where machines may not be overlooked.
#[derive(Debug, Deserialize)]
pub(crate) struct List<T, const COUNTED: bool = false> {
    #[serde(
        alias = "domain_records",
        alias = "domains",
        alias = "droplets",
        alias = "actions",
        alias = "firewalls",
        alias = "images",
        alias = "load_balancers",
        alias = "projects",
        alias = "regions",
        alias = "sizes",
        alias = "vpcs"
    )]
    items: Vec<T>,
    #[serde(default)]
    links: Links,
    meta: Meta,
}

#[derive(Debug, Default, Deserialize)]
struct Links {
    #[serde(default)]
    pages: Option<PageLinks>,
}

#[derive(Debug, Deserialize)]
struct PageLinks {
    #[serde(default)]
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Meta {
    total: u64,
}

impl<T, const COUNTED: bool> List<T, COUNTED> {
    /// How many there are on all pages.
    pub(crate) fn total(&self) -> u64 {
        self.meta.total
    }
}

impl<T: DeserializeOwned + Debug, const COUNTED: bool> Page for List<T, COUNTED> {
    type Item = T;

    /// The link to the next page says that there is one. Its number is enough: a gateway's links
    /// may point past the gateway.
    fn next(&self, place: &Place<'_>) -> Next {
        let has_next = self.links.pages.as_ref().is_some_and(|p| p.next.is_some());
        if has_next {
            return Next::Number;
        }
        if COUNTED && place.read < self.meta.total {
            return Next::Broken(format!(
                "the last page ends with {} of {} items",
                place.read, self.meta.total
            ));
        }
        Next::End
    }

    fn total(&self, _: &Place<'_>) -> Option<u64> {
        Some(self.meta.total)
    }

    /// What is the same in every word is the same.
    fn key(item: &T) -> String {
        format!("{item:?}")
    }

    fn take_items(&mut self) -> Vec<T> {
        std::mem::take(&mut self.items)
    }
}

/// A machine.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Droplet {
    pub(crate) id: u64,
    pub(crate) name: String,
    /// `new`, `active`, `off`, `archive`.
    pub(crate) status: String,
    pub(crate) size_slug: String,
    pub(crate) region: Region,
    #[serde(default)]
    pub(crate) created_at: Option<String>,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    #[serde(default)]
    pub(crate) networks: Networks,
    #[serde(default)]
    pub(crate) size: Option<Size>,
    #[serde(default)]
    pub(crate) image: Option<ImageName>,
    #[serde(default)]
    pub(crate) vpc_uuid: Option<String>,
}

/// What a droplet was made from.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ImageName {
    #[serde(default)]
    pub(crate) id: Option<u64>,
    #[serde(default)]
    pub(crate) slug: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Networks {
    #[serde(default)]
    pub(crate) v4: Vec<Network>,
    #[serde(default)]
    pub(crate) v6: Vec<Network>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Network {
    pub(crate) ip_address: String,
    /// `public`, `private`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

/// A kind of machine.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Size {
    pub(crate) slug: String,
    pub(crate) vcpus: u32,
    /// In MiB.
    pub(crate) memory: u64,
    /// US dollars.
    pub(crate) price_hourly: Number,
    /// "The region slugs where this size is available for Droplet creates."
    #[serde(default)]
    pub(crate) regions: Vec<String>,
    /// "Whether new Droplets can be created with this size."
    pub(crate) available: bool,
    #[serde(default)]
    pub(crate) gpu_info: Option<GpuInfo>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct GpuInfo {
    pub(crate) count: u32,
    pub(crate) model: String,
    #[serde(default)]
    pub(crate) vram: Option<Vram>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Vram {
    pub(crate) amount: u64,
    pub(crate) unit: String,
}

impl Size {
    /// Cents come as floats (`0.00743999984115362`); what is beyond millionths is noise.
    pub(crate) fn price(&self) -> Option<HourlyPrice> {
        let dollars = self.price_hourly.as_f64()?;
        format!("{dollars:.6}").parse().ok()
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Region {
    pub(crate) slug: String,
    /// "Whether new Droplets can be created in this region."
    #[serde(default)]
    pub(crate) available: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Image {
    pub(crate) id: u64,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) regions: Vec<String>,
    #[serde(default)]
    pub(crate) created_at: String,
    /// `NEW`, `available`, `pending`, `deleted`, `retired`.
    #[serde(default)]
    pub(crate) status: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Vpc {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) region: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Firewall {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) tags: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Project {
    pub(crate) id: String,
    pub(crate) name: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct LoadBalancer {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) ip: Option<String>,
    /// `new`, `active`, `errored`.
    #[serde(default)]
    pub(crate) status: String,
    /// Absent if it is global.
    #[serde(default)]
    pub(crate) region: Option<Region>,
    #[serde(default)]
    pub(crate) droplet_ids: Vec<u64>,
    /// If set, its members are the droplets with this tag.
    #[serde(default)]
    pub(crate) tag: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Domain {
    pub(crate) name: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct DomainRecord {
    pub(crate) id: u64,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Relative to the domain, `@` for the domain itself.
    pub(crate) name: String,
    pub(crate) data: String,
    #[serde(default)]
    pub(crate) ttl: Option<u32>,
}

/// Something that is being done to a droplet.
#[derive(Debug, Deserialize)]
pub(crate) struct Action {
    /// `in-progress`, `completed`, `errored`.
    pub(crate) status: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Account {
    pub(crate) droplet_limit: u64,
    pub(crate) email: String,
    /// `active`, `warning`, `locked`.
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) status_message: String,
    #[serde(default)]
    pub(crate) team: Option<Team>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Team {
    #[serde(default)]
    pub(crate) name: String,
}
