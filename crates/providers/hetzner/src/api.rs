//! The calls that are made, and what goes over the wire: only the fields that are used.

use std::sync::Arc;

use fleetwright_core::{Clock, Labels, Result};
use fleetwright_rest::{Call, Client, Credential, Next, Page, Pages, Place, Settings};
use serde::{Deserialize, Serialize};

use crate::HetznerConfig;
use crate::error::classify;

/// A server.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Machine {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) created: Option<String>,
    pub(crate) server_type: Named,
    pub(crate) datacenter: Datacenter,
    pub(crate) public_net: PublicNet,
    #[serde(default)]
    pub(crate) private_net: Vec<Address>,
    #[serde(default)]
    pub(crate) labels: Labels,
}

/// Something of which only the name counts.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Named {
    pub(crate) name: String,
}

/// A data center, the place of a server.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Datacenter {
    pub(crate) location: Named,
    pub(crate) server_types: InStock,
}

/// The ids of the types that a data center has.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct InStock {
    pub(crate) available: Vec<u64>,
}

/// The public side of a server.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PublicNet {
    pub(crate) ipv4: Option<Address>,
}

/// An address.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Address {
    pub(crate) ip: Option<String>,
}

/// A type of server.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct MachineType {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) cores: u32,
    /// GiB; a whole number for every type that is sold, written as a decimal one.
    pub(crate) memory: f64,
    pub(crate) architecture: Option<String>,
    pub(crate) prices: Vec<Price>,
}

/// What a type costs in a location.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Price {
    pub(crate) location: String,
    pub(crate) price_hourly: Amount,
}

/// An amount of euros without tax, as a decimal number.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Amount {
    pub(crate) net: String,
}

/// What is made. User data may hold secrets, so it has no `Debug`.
#[derive(Clone, Serialize)]
pub(crate) struct NewMachine {
    pub(crate) name: String,
    pub(crate) server_type: String,
    pub(crate) location: String,
    pub(crate) image: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ssh_keys: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) firewalls: Vec<Firewall>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) networks: Vec<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) placement_group: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_data: Option<String>,
    pub(crate) labels: Labels,
}

/// A firewall by its id.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Firewall {
    pub(crate) firewall: u64,
}

#[derive(Deserialize)]
struct One {
    server: Machine,
}

/// "Responses which return multiple items support pagination."
/// <https://docs.hetzner.cloud/#pagination>
#[derive(Deserialize)]
struct Meta {
    pagination: Pagination,
}

#[derive(Deserialize)]
struct Pagination {
    next_page: Option<u32>,
    total_entries: Option<u64>,
}

impl Meta {
    fn next(meta: Option<&Self>) -> Next {
        match meta.and_then(|meta| meta.pagination.next_page) {
            Some(_) => Next::Number,
            None => Next::End,
        }
    }
}

#[derive(Deserialize)]
struct Machines {
    servers: Vec<Machine>,
    meta: Option<Meta>,
}

impl Page for Machines {
    type Item = Machine;

    fn take_items(&mut self) -> Vec<Machine> {
        std::mem::take(&mut self.servers)
    }

    fn next(&self, _place: &Place<'_>) -> Next {
        Meta::next(self.meta.as_ref())
    }

    fn total(&self, _place: &Place<'_>) -> Option<u64> {
        self.meta.as_ref()?.pagination.total_entries
    }

    fn key(item: &Machine) -> String {
        item.id.to_string()
    }
}

#[derive(Deserialize)]
struct Types {
    server_types: Vec<MachineType>,
    meta: Option<Meta>,
}

impl Page for Types {
    type Item = MachineType;

    fn take_items(&mut self) -> Vec<MachineType> {
        std::mem::take(&mut self.server_types)
    }

    fn next(&self, _place: &Place<'_>) -> Next {
        Meta::next(self.meta.as_ref())
    }

    fn key(item: &MachineType) -> String {
        item.name.clone()
    }
}

#[derive(Deserialize)]
struct Datacenters {
    datacenters: Vec<Datacenter>,
}

/// The calls.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    client: Client,
}

impl Api {
    pub(crate) fn new(
        config: &HetznerConfig,
        credential: Credential,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let settings = Settings {
            timeout: config.call_timeout.0,
            ..Settings::new(config.endpoint.clone(), classify)
        };
        Ok(Self {
            client: Client::new(settings, credential, clock)?,
        })
    }

    /// The servers of the project that carry these labels.
    pub(crate) async fn machines(&self, labels: &Labels) -> Pages<Machine> {
        let mut call = Call::get(&["servers"]).query("per_page", 50);
        if !labels.is_empty() {
            let terms: Vec<String> = labels
                .iter()
                .map(|(key, value)| format!("{key}=={value}"))
                .collect();
            call = call.query("label_selector", terms.join(","));
        }
        self.client.pages::<Machines>(call).await
    }

    pub(crate) async fn machine(&self, id: &str) -> Result<Machine> {
        let One { server } = self.client.fetch(Call::get(&["servers", id])).await?;
        Ok(server)
    }

    pub(crate) async fn make(&self, new: &NewMachine) -> Result<Machine> {
        let call = Call::post(&["servers"]).json(new)?;
        let One { server } = self.client.fetch(call).await?;
        Ok(server)
    }

    pub(crate) async fn remove(&self, id: &str) -> Result<()> {
        self.client.perform(Call::delete(&["servers", id])).await
    }

    /// All types of servers.
    pub(crate) async fn types(&self) -> Result<Vec<MachineType>> {
        self.client
            .pages::<Types>(Call::get(&["server_types"]))
            .await
            .complete()
    }

    /// The data centers, each with what it has at the moment. There are fewer than fit on a page.
    pub(crate) async fn datacenters(&self) -> Result<Vec<Datacenter>> {
        let found: Datacenters = self.client.fetch(Call::get(&["datacenters"])).await?;
        Ok(found.datacenters)
    }
}
