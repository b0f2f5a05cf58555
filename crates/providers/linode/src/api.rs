//! The calls we make, one function each.

use std::sync::Arc;

use fleetwright_core::{AccountContext, Error, Kind, Result};
use fleetwright_rest::{Call, Client, Credential, Pages, Settings};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::config::LinodeConfig;
use crate::error::classify;
use crate::wire::{Collection, Item, Linode, NewLinode, Profile};

/// Limits hold per operation, not per path.
/// <https://techdocs.akamai.com/linode-api/reference/rate-limits>
const CREATE: &str = "create";
const INSTANCES: &str = "instances";
const IMAGES: &str = "images";
const COLLECTIONS: &str = "collections";
const OTHERS: &str = "others";

/// Collections of which the description knows no size of pages.
const SHORT: [&str; 3] = ["types", "regions", "availability"];

/// The API of one account.
#[derive(Debug)]
pub(crate) struct Api {
    client: Client,
    page_size: u32,
}

impl Api {
    pub(crate) fn new(config: &LinodeConfig, context: &AccountContext) -> Result<Self> {
        let settings = Settings {
            timeout: config.call_timeout.0,
            ..Settings::new(config.endpoint.clone(), classify)
        };
        let credential =
            Credential::bearer_from(config.token.clone(), Arc::clone(&context.secrets));
        Ok(Self {
            client: Client::new(settings, credential, Arc::clone(&context.clock))?,
            page_size: config.page_size,
        })
    }

    /// Who the token belongs to, and how far it reaches: `*` or a list of scopes.
    pub(crate) async fn profile(&self) -> Result<(Profile, Option<String>)> {
        let call = Call::get(&["profile"]).family(OTHERS);
        let answer = self.client.send(call).await?;
        let scopes = answer.header("x-oauth-scopes").map(str::to_owned);
        Ok((answer.json()?, scopes))
    }

    /// Makes one machine.
    pub(crate) async fn create(&self, new: &NewLinode) -> Result<Linode> {
        let call = Call::post(&["linode", "instances"]).family(CREATE);
        self.client.fetch(call.json(new)?).await
    }

    /// One machine; `None` if there is none with this id.
    pub(crate) async fn linode(&self, id: u64) -> Result<Option<Linode>> {
        let call = Call::get(&["linode", "instances", &id.to_string()]).family(OTHERS);
        found(self.client.fetch(call).await)
    }

    /// Removes a machine; `false` if there is none with this id.
    pub(crate) async fn delete(&self, id: u64) -> Result<bool> {
        let id = id.to_string();
        self.remove(&["linode", "instances", &id]).await
    }

    /// All machines that all these conditions hold for, over all pages.
    ///
    /// Not by page numbers: a machine that goes away while they are read would push another from
    /// the next page to one that was read already. Each page begins after the last id instead.
    /// <https://techdocs.akamai.com/linode-api/reference/filtering-and-sorting>
    pub(crate) async fn linodes(&self, conditions: &[Value]) -> Pages<Linode> {
        let mut items: Vec<Linode> = Vec::new();
        let gap = loop {
            let mut conditions = conditions.to_vec();
            if let Some(last) = items.last() {
                conditions.push(json!({ "id": { "+gt": last.id } }));
            }
            let mut filter = json!({ "+order_by": "id", "+order": "asc" });
            if !conditions.is_empty() {
                filter["+and"] = Value::Array(conditions);
            }
            let call = self.collection(&["linode", "instances"], Some(&filter));
            let page: Collection<Linode> = match self.client.fetch(call).await {
                Ok(page) => page,
                Err(error) => break Some(error),
            };
            let after = items.last().map_or(0, |linode| linode.id);
            if page.data.iter().any(|linode| linode.id <= after) {
                break Some(Error::new(
                    Kind::Unexpected,
                    "a page of instances does not begin after the last one",
                ));
            }
            let is_done = page.pages <= 1 || page.data.is_empty();
            items.extend(page.data);
            items.sort_unstable_by_key(|linode| linode.id);
            if is_done {
                break None;
            }
        };
        Pages { items, gap }
    }

    /// A whole collection, over all pages.
    pub(crate) async fn all<T: Item + DeserializeOwned>(
        &self,
        path: &[&str],
        filter: Option<&Value>,
    ) -> Result<Vec<T>> {
        let call = self.collection(path, filter);
        self.client.pages::<Collection<T>>(call).await.complete()
    }

    /// The items with this value of a field, asked for by filter and looked at again here: a
    /// filter that is not understood would give everything.
    pub(crate) async fn named<T: Item + DeserializeOwned>(
        &self,
        path: &[&str],
        field: &str,
        value: &str,
        has: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>> {
        let mut all = self.all(path, Some(&json!({ field: value }))).await?;
        all.retain(has);
        Ok(all)
    }

    fn collection(&self, path: &[&str], filter: Option<&Value>) -> Call {
        let family = match path {
            ["linode", "instances"] => INSTANCES,
            // "Listing images has a dedicated rate limit of 20 requests per minute."
            ["images"] => IMAGES,
            _ => COLLECTIONS,
        };
        let mut call = Call::get(path).family(family);
        if !path.last().is_some_and(|last| SHORT.contains(last)) {
            call = call.query("page_size", self.page_size);
        }
        match filter {
            Some(filter) => call.header("x-filter", filter.to_string()),
            None => call,
        }
    }

    /// Makes something below a path.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl serde::Serialize,
    ) -> Result<T> {
        let call = Call::post(path).family(OTHERS);
        self.client.fetch(call.json(body)?).await
    }

    /// Changes something; `false` if it is not there.
    pub(crate) async fn put(&self, path: &[&str], body: &impl serde::Serialize) -> Result<bool> {
        let call = Call::put(path).family(OTHERS).json(body)?;
        self.done(call).await
    }

    /// Removes something; `false` if it is not there.
    pub(crate) async fn remove(&self, path: &[&str]) -> Result<bool> {
        self.done(Call::delete(path).family(OTHERS)).await
    }

    /// A change of whose answer only matters that it is Linode's, and not a page of somebody in
    /// between.
    async fn done(&self, call: Call) -> Result<bool> {
        let answer: Result<Map<String, Value>> = self.client.fetch(call).await;
        Ok(found(answer)?.is_some())
    }
}

/// Tells "there is none" from failures.
fn found<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
