//! The calls that are made, and what goes over the wire: only the fields that are used.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetwright_core::{Clock, Labels, Result};
use fleetwright_rest::{Call, Client, Credential, Next, Page, Pages, Place, Settings};
use serde::{Deserialize, Serialize};

use crate::TemplateConfig;
use crate::error::classify;

/// A machine.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Machine {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) region: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) address: Option<String>,
    pub(crate) created: Option<String>,
    #[serde(default)]
    pub(crate) labels: Labels,
}

/// A type of machine.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct MachineType {
    pub(crate) name: String,
    pub(crate) cores: u32,
    pub(crate) memory_gib: u64,
    /// Price per hour in each region that has the type, as a decimal number in US dollars.
    pub(crate) prices: BTreeMap<String, String>,
    /// The regions that have some at the moment.
    pub(crate) available: Vec<String>,
}

/// What is made. User data may hold secrets, so it has no `Debug`.
#[derive(Clone, Serialize)]
pub(crate) struct NewMachine {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) region: String,
    pub(crate) image: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_data: Option<String>,
    pub(crate) labels: Labels,
}

#[derive(Deserialize)]
struct One {
    server: Machine,
}

#[derive(Deserialize)]
struct Machines {
    servers: Vec<Machine>,
    last_page: u32,
}

impl Page for Machines {
    type Item = Machine;

    fn take_items(&mut self) -> Vec<Machine> {
        std::mem::take(&mut self.servers)
    }

    fn next(&self, place: &Place<'_>) -> Next {
        if place.number < self.last_page {
            Next::Number
        } else {
            Next::End
        }
    }

    fn key(item: &Machine) -> String {
        item.id.to_string()
    }
}

#[derive(Deserialize)]
struct Types {
    server_types: Vec<MachineType>,
    last_page: u32,
}

impl Page for Types {
    type Item = MachineType;

    fn take_items(&mut self) -> Vec<MachineType> {
        std::mem::take(&mut self.server_types)
    }

    fn next(&self, place: &Place<'_>) -> Next {
        if place.number < self.last_page {
            Next::Number
        } else {
            Next::End
        }
    }

    fn key(item: &MachineType) -> String {
        item.name.clone()
    }
}

/// The calls.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    client: Client,
}

impl Api {
    pub(crate) fn new(
        config: &TemplateConfig,
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

    /// All machines of the account.
    pub(crate) async fn machines(&self) -> Pages<Machine> {
        self.client
            .pages::<Machines>(Call::get(&["servers"]).query("per_page", 50))
            .await
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

    /// All types of machines.
    pub(crate) async fn types(&self) -> Result<Vec<MachineType>> {
        self.client
            .pages::<Types>(Call::get(&["server_types"]).query("per_page", 50))
            .await
            .complete()
    }
}
