//! The calls that are made, one method each.

use std::sync::Arc;

use fleetwright_core::{AccountContext, Kind, Result};
use fleetwright_rest::{Call, Client, Credential, Pages, Settings};
use serde_json::{Map, Value, json};

use crate::wire::{
    Backend, BackendStats, Collection, DnsZone, Lb, Listed, LocalImage, NewIp, NewServer,
    OneServer, Record, RecordChanges, Server, ServerIps, ServerType, Stock, Volume,
};
use crate::zone::ServerId;
use crate::{ScalewayConfig, error};

/// Most items per page. <https://www.scaleway.com/en/developers/api/#pagination>
const PER_PAGE: u32 = 100;

/// The API, seen through one key.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    client: Client,
    project: String,
}

impl Api {
    /// Makes a client, without connecting.
    pub(crate) fn new(config: &ScalewayConfig, context: &AccountContext) -> Result<Self> {
        let settings = Settings {
            timeout: config.call_timeout.0,
            ..Settings::new(config.endpoint.clone(), error::classify)
        };
        let secrets = Arc::clone(&context.secrets);
        let credential = Credential::header_from("x-auth-token", config.token.clone(), secrets);
        let clock = Arc::clone(&context.clock);
        Ok(Self {
            client: Client::new(settings, credential, clock)?,
            project: config.project_id.clone(),
        })
    }

    pub(crate) fn project(&self) -> &str {
        &self.project
    }

    /// Sends a change whose answer must be a JSON object with this field: anything else was not
    /// the vendor's.
    async fn change(&self, call: Call, field: &str) -> Result<()> {
        let answer = self.client.send(call).await?;
        let fields: Map<String, Value> = answer.json()?;
        if fields.contains_key(field) {
            Ok(())
        } else {
            Err(answer.unexpected(format!("the answer has no `{field}`")))
        }
    }

    /// Sends a change whose answer must be empty.
    async fn change_silently(&self, call: Call) -> Result<()> {
        let answer = self.client.send(call).await?;
        if answer.body().is_empty() {
            Ok(())
        } else {
            Err(answer.unexpected("the answer should be empty"))
        }
    }

    async fn all<T: Listed>(&self, first: Call) -> Pages<T> {
        self.client.pages::<Collection<T>>(first).await
    }

    // === instances ===

    /// Instances that carry all these tags.
    pub(crate) async fn servers(&self, zone: &str, tags: &[String]) -> Pages<Server> {
        let mut call = Call::get(&["instance", "v1", "zones", zone, "servers"])
            .query("project", &self.project)
            .query("per_page", PER_PAGE)
            // What is made meanwhile comes last and moves nothing.
            .query("order", "creation_date_asc");
        if !tags.is_empty() {
            call = call.query("tags", tags.join(","));
        }
        self.all(call).await
    }

    /// The cheapest question about instances.
    pub(crate) async fn any_server(&self, zone: &str) -> Result<()> {
        let call = Call::get(&["instance", "v1", "zones", zone, "servers"])
            .query("project", &self.project)
            .query("per_page", 1);
        let _: Collection<Server> = self.client.fetch(call).await?;
        Ok(())
    }

    pub(crate) async fn server(&self, at: &ServerId) -> Result<Server> {
        let one: OneServer = self.client.fetch(Call::get(&server(at))).await?;
        Ok(one.server)
    }

    pub(crate) async fn create_server(&self, zone: &str, new: &NewServer<'_>) -> Result<Server> {
        let call = Call::post(&["instance", "v1", "zones", zone, "servers"]).json(new)?;
        let one: OneServer = self.client.fetch(call).await?;
        Ok(one.server)
    }

    /// Asks for an action: `poweron`, `terminate`.
    pub(crate) async fn act(&self, at: &ServerId, action: &str) -> Result<()> {
        let path = [&server(at)[..], &["action"]].concat();
        let call = Call::post(&path).json(&json!({ "action": action }))?;
        self.change(call, "task").await
    }

    /// Removes an instance that is powered off.
    pub(crate) async fn delete_server(&self, at: &ServerId) -> Result<()> {
        self.remove(Call::delete(&server(at))).await
    }

    pub(crate) async fn set_user_data(&self, at: &ServerId, text: &str) -> Result<()> {
        let path = [&server(at)[..], &["user_data", "cloud-init"]].concat();
        self.change_silently(Call::patch(&path).text(text)).await
    }

    pub(crate) async fn join_network(&self, at: &ServerId, network: &str) -> Result<()> {
        let path = [&server(at)[..], &["private_nics"]].concat();
        let call = Call::post(&path).json(&json!({ "private_network_id": network }))?;
        self.change(call, "private_nic").await
    }

    /// Reserves a flexible address, attached to an instance from its first moment.
    pub(crate) async fn create_ip(&self, at: &ServerId, kind: &'static str) -> Result<()> {
        let new = NewIp {
            server: &at.id,
            project: &self.project,
            kind,
            tags: &[crate::tags::managed(), crate::tags::of_node(&at.id)],
        };
        let call = Call::post(&["instance", "v1", "zones", &at.zone, "ips"]).json(&new)?;
        self.change(call, "ip").await
    }

    pub(crate) async fn delete_ip(&self, zone: &str, id: &str) -> Result<()> {
        self.remove(Call::delete(&["instance", "v1", "zones", zone, "ips", id]))
            .await
    }

    // === volumes ===

    /// Volumes of one kind of storage that carry this tag.
    pub(crate) async fn volumes(&self, storage: Storage, zone: &str, tag: &str) -> Pages<Volume> {
        let call = Call::get(&storage.path(zone)).query("tags", tag);
        self.all(match storage {
            Storage::Local => call
                .query("project", &self.project)
                .query("per_page", PER_PAGE),
            Storage::Block => call
                .query("project_id", &self.project)
                .query("page_size", PER_PAGE),
        })
        .await
    }

    pub(crate) async fn tag_volume(
        &self,
        storage: Storage,
        zone: &str,
        id: &str,
        tags: &[String],
    ) -> Result<()> {
        let path = [&storage.path(zone)[..], &[id]].concat();
        let call = Call::patch(&path).json(&json!({ "tags": tags }))?;
        let field = match storage {
            Storage::Local => "volume",
            Storage::Block => "id",
        };
        self.change(call, field).await
    }

    pub(crate) async fn delete_volume(&self, storage: Storage, zone: &str, id: &str) -> Result<()> {
        let path = [&storage.path(zone)[..], &[id]].concat();
        self.remove(Call::delete(&path)).await
    }

    pub(crate) async fn detach_volume(&self, at: &ServerId, id: &str) -> Result<()> {
        let path = [&server(at)[..], &["detach-volume"]].concat();
        let call = Call::post(&path).json(&json!({ "volume_id": id }))?;
        self.change(call, "server").await
    }

    // === catalog ===

    pub(crate) async fn types(&self, zone: &str) -> Pages<ServerType> {
        let call = Call::get(&["instance", "v1", "zones", zone, "products", "servers"]);
        self.all(call.query("per_page", PER_PAGE)).await
    }

    pub(crate) async fn stocks(&self, zone: &str) -> Pages<Stock> {
        let path = [
            "instance",
            "v1",
            "zones",
            zone,
            "products",
            "servers",
            "availability",
        ];
        self.all(Call::get(&path).query("per_page", PER_PAGE)).await
    }

    pub(crate) async fn images(&self, zone: &str, label: &str) -> Pages<LocalImage> {
        let call = Call::get(&["marketplace", "v2", "local-images"])
            .query("image_label", label)
            .query("zone", zone)
            .query("page_size", PER_PAGE);
        self.all(call).await
    }

    // === load balancers ===

    pub(crate) async fn lbs(&self, zone: &str) -> Pages<Lb> {
        let call = Call::get(&["lb", "v1", "zones", zone, "lbs"])
            .query("project_id", &self.project)
            .query("page_size", PER_PAGE);
        self.all(call).await
    }

    pub(crate) async fn backends(&self, zone: &str, lb: &str) -> Pages<Backend> {
        let call = Call::get(&["lb", "v1", "zones", zone, "lbs", lb, "backends"]);
        self.all(call.query("page_size", PER_PAGE)).await
    }

    pub(crate) async fn backend_stats(&self, zone: &str, lb: &str) -> Pages<BackendStats> {
        let call = Call::get(&["lb", "v1", "zones", zone, "lbs", lb, "backend-stats"]);
        self.all(call.query("page_size", PER_PAGE)).await
    }

    pub(crate) async fn add_to_backend(
        &self,
        zone: &str,
        backend: &str,
        addresses: &[String],
    ) -> Result<()> {
        let path = ["lb", "v1", "zones", zone, "backends", backend, "servers"];
        let call = Call::post(&path).json(&ServerIps {
            server_ip: addresses,
        })?;
        self.change(call, "id").await
    }

    pub(crate) async fn take_from_backend(
        &self,
        zone: &str,
        backend: &str,
        addresses: &[String],
    ) -> Result<()> {
        let path = ["lb", "v1", "zones", zone, "backends", backend, "servers"];
        let call = Call::delete(&path).json(&ServerIps {
            server_ip: addresses,
        })?;
        self.change(call, "id").await
    }

    // === DNS ===

    pub(crate) async fn dns_zones(&self) -> Pages<DnsZone> {
        let call = Call::get(&["domain", "v2beta1", "dns-zones"])
            .query("project_id", &self.project)
            .query("page_size", PER_PAGE);
        self.all(call).await
    }

    pub(crate) async fn records(&self, zone: &str) -> Pages<Record> {
        let call = Call::get(&["domain", "v2beta1", "dns-zones", zone, "records"]);
        self.all(call.query("page_size", PER_PAGE)).await
    }

    pub(crate) async fn change_records(
        &self,
        zone: &str,
        changes: &RecordChanges<'_>,
    ) -> Result<()> {
        let path = ["domain", "v2beta1", "dns-zones", zone, "records"];
        self.change(Call::patch(&path).json(changes)?, "records")
            .await
    }

    /// Removes something; that it is gone already is fine.
    async fn remove(&self, call: Call) -> Result<()> {
        match self.change_silently(call).await {
            Err(error) if error.kind() == Kind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

/// Where volumes are: each has an API of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storage {
    /// The instance's own disk, and the block storage of old: part of the instances' API.
    Local,
    /// Block storage (SBS).
    Block,
}

impl Storage {
    pub(crate) const ALL: [Self; 2] = [Self::Local, Self::Block];

    /// The storage of a kind of volume; `None` if it goes with its instance in any case.
    pub(crate) fn of(volume_type: &str) -> Option<Self> {
        match volume_type {
            "sbs_volume" => Some(Self::Block),
            "scratch" => None,
            _ => Some(Self::Local),
        }
    }

    fn path(self, zone: &str) -> [&str; 5] {
        match self {
            Self::Local => ["instance", "v1", "zones", zone, "volumes"],
            Self::Block => ["block", "v1", "zones", zone, "volumes"],
        }
    }
}

fn server(at: &ServerId) -> [&str; 6] {
    ["instance", "v1", "zones", &at.zone, "servers", &at.id]
}
