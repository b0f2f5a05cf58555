//! The calls that are made, and what goes over the wire: only the fields that are used.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetwright_core::{Clock, Result};
use fleetwright_rest::{Call, Client, Credential, Settings};
use serde::{Deserialize, Serialize};

use crate::LambdaConfig;
use crate::error::classify;

/// Every success has the form `{"data": <payload>}`.
#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

/// An instance.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) ip: Option<String>,
    pub(crate) private_ip: Option<String>,
    pub(crate) status: String,
    pub(crate) region: Region,
    #[serde(rename = "instance_type")]
    pub(crate) kind: InstanceType,
    #[serde(default)]
    pub(crate) tags: Vec<Tag>,
}

/// A region.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Region {
    pub(crate) name: String,
}

/// An instance type.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct InstanceType {
    pub(crate) name: String,
    pub(crate) gpu_description: String,
    pub(crate) price_cents_per_hour: u64,
    pub(crate) specs: Specs,
}

/// The figures of an instance type.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Specs {
    pub(crate) vcpus: u32,
    pub(crate) memory_gib: u64,
    pub(crate) gpus: u32,
}

/// An instance type with the regions that have some.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TypeOnSale {
    pub(crate) instance_type: InstanceType,
    pub(crate) regions_with_capacity_available: Vec<Region>,
}

/// A tag.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tag {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// A registered SSH key.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SshKey {
    pub(crate) name: String,
    pub(crate) public_key: String,
}

/// An image.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) family: String,
    pub(crate) region: Region,
}

/// Something with an id, a name and a region: a firewall ruleset, a file system.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Named {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) region: Region,
}

/// What is launched. User data may hold secrets, so it has no `Debug`.
#[derive(Clone, Serialize)]
pub(crate) struct Launch {
    pub(crate) region_name: String,
    pub(crate) instance_type_name: String,
    pub(crate) ssh_key_names: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) file_system_names: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) file_system_mounts: Vec<Mount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hostname: Option<String>,
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_data: Option<String>,
    pub(crate) tags: Vec<Tag>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) firewall_rulesets: Vec<Id>,
}

/// A file system at a place of its own.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Mount {
    pub(crate) mount_point: String,
    pub(crate) file_system_id: String,
}

/// Something by its id.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Id {
    pub(crate) id: String,
}

#[derive(Deserialize)]
struct Launched {
    instance_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Terminated {
    terminated_instances: Vec<Instance>,
}

/// The calls.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    client: Client,
}

impl Api {
    pub(crate) fn new(
        config: &LambdaConfig,
        credential: Credential,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let base = format!("{}/api/v1", config.endpoint.trim_end_matches('/'));
        let settings = Settings {
            timeout: config.call_timeout.0,
            ..Settings::new(base, classify)
        };
        Ok(Self {
            client: Client::new(settings, credential, clock)?,
        })
    }

    async fn fetch<T: for<'de> Deserialize<'de>>(&self, call: Call) -> Result<T> {
        let Data { data } = self.client.fetch(call).await?;
        Ok(data)
    }

    /// All instances of the team. There are no pages.
    pub(crate) async fn instances(&self) -> Result<Vec<Instance>> {
        self.fetch(Call::get(&["instances"])).await
    }

    pub(crate) async fn instance(&self, id: &str) -> Result<Instance> {
        self.fetch(Call::get(&["instances", id])).await
    }

    pub(crate) async fn instance_types(&self) -> Result<BTreeMap<String, TypeOnSale>> {
        self.fetch(Call::get(&["instance-types"])).await
    }

    /// Launches one instance and gives its id.
    pub(crate) async fn launch(&self, launch: &Launch) -> Result<String> {
        let call = Call::post(&["instance-operations", "launch"])
            .family("launch")
            .json(launch)?;
        let answer = self.client.send(call).await?;
        let Data::<Launched> { data } = answer.json()?;
        let mut ids = data.instance_ids;
        match (ids.pop(), ids.is_empty()) {
            (Some(id), true) => Ok(id),
            _ => Err(answer.unexpected("a launch was answered with another number of instances")),
        }
    }

    /// Terminates an instance. The answer shows it, if it was not on its way out already.
    pub(crate) async fn terminate(&self, id: &str) -> Result<Option<Instance>> {
        let call = Call::post(&["instance-operations", "terminate"])
            .json(&serde_json::json!({ "instance_ids": [id] }))?;
        let Terminated {
            terminated_instances: all,
        } = self.fetch(call).await?;
        Ok(all.into_iter().find(|instance| instance.id == id))
    }

    pub(crate) async fn ssh_keys(&self) -> Result<Vec<SshKey>> {
        self.fetch(Call::get(&["ssh-keys"])).await
    }

    pub(crate) async fn add_ssh_key(&self, name: &str, public_key: &str) -> Result<SshKey> {
        let key = serde_json::json!({ "name": name, "public_key": public_key });
        self.fetch(Call::post(&["ssh-keys"]).json(&key)?).await
    }

    pub(crate) async fn images(&self) -> Result<Vec<Image>> {
        self.fetch(Call::get(&["images"])).await
    }

    pub(crate) async fn firewall_rulesets(&self) -> Result<Vec<Named>> {
        self.fetch(Call::get(&["firewall-rulesets"])).await
    }

    pub(crate) async fn file_systems(&self) -> Result<Vec<Named>> {
        self.fetch(Call::get(&["file-systems"])).await
    }
}
