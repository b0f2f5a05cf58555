//! What `[providers.<name>] kind = "hetzner"` and the `options` of a pool may say.

use std::sync::Arc;

use fleetwright_core::{
    AccountConfig, AccountContext, Error, Kind, Provider, Result, SecretRef, Span,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::HetznerProvider;

/// One project of Hetzner Cloud, in one or more locations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HetznerConfig {
    /// The API token of the project, by reference. It must allow reading and writing.
    pub token: SecretRef,
    /// The locations to use, such as `fsn1`. At least one.
    pub regions: Vec<String>,
    /// Address to send every call to, for tests and gateways.
    pub endpoint: String,
    /// A name for the project, so that several providers of one project share its rate limits.
    pub account: String,
    /// Whether nodes can be logged in to over SSH from here.
    pub ssh: bool,
    /// User to log in as.
    pub ssh_user: String,
    /// How long a new machine may be missing from a listing.
    pub listing_lag: Span,
    /// Longest time for one call, from sending to the last byte of the answer.
    pub call_timeout: Span,
}

/// What belongs to a machine besides its type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HetznerOptions {
    /// Image by name or id, if the pool names none. Absent: `debian-12`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Names of SSH keys that the project knows, besides those that Fleetwright puts in. With one,
    /// Hetzner neither makes a root password nor sends it by mail.
    pub ssh_keys: Vec<String>,
    /// Ids of firewalls.
    pub firewalls: Vec<u64>,
    /// Ids of private networks.
    pub networks: Vec<u64>,
    /// Id of a placement group, which spreads servers over hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement_group: Option<u64>,
}

impl Default for HetznerConfig {
    fn default() -> Self {
        Self {
            token: SecretRef::Env("HCLOUD_TOKEN".to_owned()),
            regions: Vec::new(),
            endpoint: "https://api.hetzner.cloud/v1".to_owned(),
            account: "default".to_owned(),
            ssh: true,
            ssh_user: "root".to_owned(),
            listing_lag: Span::seconds(5),
            call_timeout: Span::seconds(50),
        }
    }
}

impl AccountConfig for HetznerConfig {
    fn check(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::new(Kind::Config, message));
        if self.regions.is_empty() {
            return wrong("`regions` must name at least one region".to_owned());
        }
        for (at, region) in self.regions.iter().enumerate() {
            if region.is_empty() || region.contains('/') {
                return wrong(format!("`regions` holds `{region}`, which is no region"));
            }
            if self.regions[..at].contains(region) {
                return wrong(format!("`regions` names `{region}` twice"));
            }
        }
        if !(self.endpoint.starts_with("http://") || self.endpoint.starts_with("https://")) {
            return wrong("`endpoint` must begin with `http://` or `https://`".to_owned());
        }
        for (key, text) in [("account", &self.account), ("ssh_user", &self.ssh_user)] {
            if text.is_empty() {
                return wrong(format!("`{key}` must not be empty"));
            }
        }
        if self.call_timeout.0.is_zero() {
            return wrong("`call_timeout` must be longer than nothing".to_owned());
        }
        Ok(())
    }

    fn check_options(&self, options: &Map<String, Value>) -> Result<()> {
        HetznerOptions::read(options).map(drop)
    }

    fn build(&self, name: &str, context: &AccountContext) -> Result<Arc<dyn Provider>> {
        let provider = HetznerProvider::new(name, self.clone(), context)?;
        Ok(Arc::new(provider))
    }
}

impl HetznerOptions {
    /// Reads the options of a pool.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn read(options: &Map<String, Value>) -> Result<Self> {
        serde_json::from_value(Value::Object(options.clone())).map_err(|error| {
            Error::new(Kind::Invalid, format!("the options of this pool: {error}"))
                .with_hint("see the section on `hetzner` in the reference of the configuration")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut HetznerConfig)) -> Result<()> {
        let mut config = HetznerConfig {
            regions: vec!["here".to_owned()],
            ..HetznerConfig::default()
        };
        change(&mut config);
        config.check()
    }

    #[test]
    fn what_is_wrong_is_named_by_its_key() {
        with(|_| {}).unwrap();
        for (key, result) in [
            ("regions", with(|c| c.regions.clear())),
            ("regions", with(|c| c.regions.push("here".to_owned()))),
            ("regions", with(|c| c.regions.push("a/b".to_owned()))),
            ("endpoint", with(|c| c.endpoint = "localhost".to_owned())),
            ("account", with(|c| c.account.clear())),
            ("ssh_user", with(|c| c.ssh_user.clear())),
            ("call_timeout", with(|c| c.call_timeout = Span::seconds(0))),
        ] {
            let told = result.unwrap_err().to_string();
            assert!(told.starts_with(&format!("`{key}`")), "{told}");
        }
    }
}
