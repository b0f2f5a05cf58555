//! The calls that are made, and no others.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;

use fleetwright_core::{Clock, Kind, Result};
use fleetwright_rest::{Call, Client, Credential, Pages, Settings};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value, json};

use crate::wire::{
    Account, Action, Domain, DomainRecord, Droplet, Firewall, Image, List, LoadBalancer, Project,
    Region, Size, Vpc,
};
use crate::{DigitalOceanConfig, error};

/// Items per page: "maximum: 200".
const PAGE: u32 = 200;

/// The bucket of all calls: DigitalOcean counts them by token, whatever they do.
const FAMILY: &str = "api";

/// "By default, only non-GPU Droplets are returned."
const TYPES: [&str; 2] = ["droplets", "gpus"];

/// DigitalOcean's API with one token.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    client: Client,
}

/// A DNS record as it is written.
#[derive(Debug)]
pub(crate) struct RecordWish<'a> {
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
    pub(crate) data: &'a str,
    pub(crate) ttl: u32,
}

impl RecordWish<'_> {
    fn body(&self) -> Value {
        json!({ "type": self.kind, "name": self.name, "data": self.data, "ttl": self.ttl })
    }
}

impl Api {
    pub(crate) fn new(
        config: &DigitalOceanConfig,
        credential: Credential,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let mut settings = Settings::new(&*config.endpoint, error::classify);
        settings.timeout = config.call_timeout.0;
        let client = Client::new(settings, credential, clock)?;
        Ok(Self { client })
    }

    /// Every page of a listing.
    async fn all<T: DeserializeOwned + Debug>(&self, call: Call) -> Result<Vec<T>> {
        let call = call.query("per_page", PAGE).family(FAMILY);
        self.client.pages::<List<T>>(call).await.complete()
    }

    async fn whole<T: DeserializeOwned + Debug>(&self, segments: &[&str]) -> Result<Vec<T>> {
        self.all(Call::get(segments)).await
    }

    /// "A JSON object with a key called `droplet`", or what else is asked for.
    async fn one<T: DeserializeOwned>(&self, segments: &[&str], key: &str) -> Result<T> {
        let answer = self.client.send(Call::get(segments).family(FAMILY)).await?;
        let mut fields: Map<String, Value> = answer.json()?;
        let value = fields.remove(key).unwrap_or_default();
        serde_json::from_value(value).map_err(|error| {
            answer
                .unexpected(format!("the answer has no `{key}` that can be read"))
                .with_source(error)
        })
    }

    /// Sends a change. Its answer is empty, or JSON that says nothing new; anything else did not
    /// come from DigitalOcean.
    async fn change(&self, call: Call) -> Result<()> {
        let answer = self.client.send(call.family(FAMILY)).await?;
        if answer.body().is_empty() {
            return Ok(());
        }
        answer.json::<IgnoredAny>().map(drop)
    }
}

// === droplets ===

impl Api {
    /// All droplets of the team, with GPUs and without. What could not be read is a gap.
    pub(crate) async fn droplets(&self) -> Pages<Droplet> {
        let [plain, gpus] = TYPES.map(|kind| {
            let call = Call::get(&["droplets"])
                .query("type", kind)
                .query("per_page", PAGE);
            self.client
                .pages::<List<Droplet, true>>(call.family(FAMILY))
        });
        let (mut all, gpus) = futures::join!(plain, gpus);
        all.items.extend(gpus.items);
        // One that moved to the next page in another state is still the same one.
        let mut seen = HashSet::new();
        all.items.retain(|droplet| seen.insert(droplet.id));
        all.gap = all.gap.or(gpus.gap);
        all
    }

    /// How many droplets the team has, with GPUs and without.
    pub(crate) async fn droplet_count(&self) -> Result<u64> {
        let mut count = 0;
        for kind in TYPES {
            let call = Call::get(&["droplets"])
                .query("type", kind)
                .query("per_page", 1);
            let page: List<Droplet> = self.client.fetch(call.family(FAMILY)).await?;
            count += page.total();
        }
        Ok(count)
    }

    pub(crate) async fn droplet(&self, id: u64) -> Result<Droplet> {
        self.one(&["droplets", &id.to_string()], "droplet").await
    }

    /// "A Droplet will be created for each name you send using the associated information."
    ///
    /// # Errors
    /// `Unexpected` with unknown effect if other droplets come than were asked for.
    pub(crate) async fn create_droplets(
        &self,
        body: &Value,
        names: &[String],
    ) -> Result<Vec<Droplet>> {
        #[derive(Deserialize)]
        struct Made {
            #[serde(default)]
            droplet: Option<Droplet>,
            #[serde(default)]
            droplets: Vec<Droplet>,
        }
        let mut body = body.clone();
        match names {
            [name] => body["name"] = json!(name),
            names => body["names"] = json!(names),
        }
        let call = Call::post(&["droplets"]).json(&body)?.family(FAMILY);
        let answer = self.client.send(call).await?;
        let mut made: Made = answer.json()?;
        made.droplets.extend(made.droplet);
        let mut wanted: Vec<&String> = names.iter().collect();
        let mut given: Vec<&String> = made.droplets.iter().map(|one| &one.name).collect();
        wanted.sort_unstable();
        given.sort_unstable();
        if wanted == given {
            return Ok(made.droplets);
        }
        Err(answer.unexpected(format!(
            "droplets named {wanted:?} were asked for, the answer has {given:?}"
        )))
    }

    pub(crate) async fn delete_droplet(&self, id: u64) -> Result<()> {
        self.change(Call::delete(&["droplets", &id.to_string()]))
            .await
    }

    /// What was and is done to a droplet.
    pub(crate) async fn actions(&self, id: u64) -> Result<Vec<Action>> {
        self.whole(&["droplets", &id.to_string(), "actions"]).await
    }
}

// === what droplets are made of ===

impl Api {
    pub(crate) async fn account(&self) -> Result<Account> {
        self.one(&["account"], "account").await
    }

    pub(crate) async fn sizes(&self) -> Result<Vec<Size>> {
        self.whole(&["sizes"]).await
    }

    pub(crate) async fn regions(&self) -> Result<Vec<Region>> {
        self.whole(&["regions"]).await
    }

    /// An image by number or slug.
    pub(crate) async fn image(&self, reference: &str) -> Result<Image> {
        self.one(&["images", reference], "image").await
    }

    /// The team's own images.
    pub(crate) async fn own_images(&self) -> Result<Vec<Image>> {
        self.all(Call::get(&["images"]).query("private", true))
            .await
    }

    pub(crate) async fn vpcs(&self) -> Result<Vec<Vpc>> {
        self.whole(&["vpcs"]).await
    }

    pub(crate) async fn firewalls(&self) -> Result<Vec<Firewall>> {
        self.whole(&["firewalls"]).await
    }

    /// Makes a firewall hold for all droplets with this tag, which must exist.
    pub(crate) async fn tag_firewall(&self, firewall: &str, tag: &str) -> Result<()> {
        let call = Call::post(&["firewalls", firewall, "tags"]);
        self.change(call.json(&json!({ "tags": [tag] }))?).await
    }

    /// Makes a tag. One that is there is fine.
    pub(crate) async fn make_tag(&self, tag: &str) -> Result<()> {
        let call = Call::post(&["tags"]);
        match self.change(call.json(&json!({ "name": tag }))?).await {
            Err(error) if error.kind() == Kind::Conflict => Ok(()),
            other => other,
        }
    }

    /// Whether the team has a key with this fingerprint.
    pub(crate) async fn has_key(&self, fingerprint: &str) -> Result<bool> {
        let key: Result<IgnoredAny> = self.one(&["account", "keys", fingerprint], "ssh_key").await;
        match key {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == Kind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn add_key(&self, name: &str, public_key: &str) -> Result<()> {
        let call = Call::post(&["account", "keys"]);
        let body = json!({ "name": name, "public_key": public_key });
        self.change(call.json(&body)?).await
    }

    pub(crate) async fn projects(&self) -> Result<Vec<Project>> {
        self.whole(&["projects"]).await
    }

    /// Puts droplets into a project. Those that are in it stay.
    pub(crate) async fn assign(&self, project: &str, droplets: &[&str]) -> Result<()> {
        let urns: Vec<String> = droplets
            .iter()
            .map(|id| format!("do:droplet:{id}"))
            .collect();
        let call = Call::post(&["projects", project, "resources"]);
        self.change(call.json(&json!({ "resources": urns }))?).await
    }
}

// === load balancers ===

impl Api {
    pub(crate) async fn load_balancers(&self) -> Result<Vec<LoadBalancer>> {
        self.whole(&["load_balancers"]).await
    }

    pub(crate) async fn add_to_balancer(&self, balancer: &str, droplet: u64) -> Result<()> {
        let call = Call::post(&["load_balancers", balancer, "droplets"]);
        self.change(call.json(&json!({ "droplet_ids": [droplet] }))?)
            .await
    }

    pub(crate) async fn take_from_balancer(&self, balancer: &str, droplet: u64) -> Result<()> {
        let call = Call::delete(&["load_balancers", balancer, "droplets"]);
        self.change(call.json(&json!({ "droplet_ids": [droplet] }))?)
            .await
    }

    pub(crate) async fn tag_droplet(&self, tag: &str, droplet: u64) -> Result<()> {
        let call = Call::post(&["tags", tag, "resources"]);
        self.change(call.json(&tagged(droplet))?).await
    }

    pub(crate) async fn untag_droplet(&self, tag: &str, droplet: u64) -> Result<()> {
        let call = Call::delete(&["tags", tag, "resources"]);
        self.change(call.json(&tagged(droplet))?).await
    }
}

fn tagged(droplet: u64) -> Value {
    json!({ "resources": [{ "resource_id": droplet.to_string(), "resource_type": "droplet" }] })
}

// === domains ===

impl Api {
    pub(crate) async fn domains(&self) -> Result<Vec<Domain>> {
        self.whole(&["domains"]).await
    }

    pub(crate) async fn records(&self, domain: &str) -> Result<Vec<DomainRecord>> {
        self.whole(&["domains", domain, "records"]).await
    }

    /// The records of one full name and kind.
    pub(crate) async fn records_of(
        &self,
        domain: &str,
        name: &str,
        kind: &str,
    ) -> Result<Vec<DomainRecord>> {
        let call = Call::get(&["domains", domain, "records"])
            .query("name", name)
            .query("type", kind);
        self.all(call).await
    }

    pub(crate) async fn add_record(&self, domain: &str, wish: &RecordWish<'_>) -> Result<()> {
        let call = Call::post(&["domains", domain, "records"]);
        self.change(call.json(&wish.body())?).await
    }

    pub(crate) async fn replace_record(
        &self,
        domain: &str,
        id: u64,
        wish: &RecordWish<'_>,
    ) -> Result<()> {
        let call = Call::put(&["domains", domain, "records", &id.to_string()]);
        self.change(call.json(&wish.body())?).await
    }

    pub(crate) async fn delete_record(&self, domain: &str, id: u64) -> Result<()> {
        self.change(Call::delete(&[
            "domains",
            domain,
            "records",
            &id.to_string(),
        ]))
        .await
    }
}
