//! What `[providers.<name>] kind = "digitalocean"` may say.

use std::sync::Arc;

use fleetwright_core::{
    AccountConfig, AccountContext, Error, Kind, Provider, Result, SecretRef, Span,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{DigitalOceanOptions, DigitalOceanProvider};

/// One DigitalOcean team, seen through one API token, in one or more regions.
///
/// Droplets are billed by the hour up to a monthly price; the prices shown are those per hour.
/// <https://docs.digitalocean.com/products/droplets/details/pricing/>
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DigitalOceanConfig {
    /// Where the API token is to be had. Its scopes: `account:read`, `regions:read`, `sizes:read`,
    /// `image:read`, `ssh_key:read`, `ssh_key:create`, `tag:read`, `tag:create` and all of
    /// `droplet`. For what is used of it: `vpc:read`, `firewall:read`, `firewall:update`,
    /// `project:read`, `project:assign_resource`, `load_balancer:read`, `load_balancer:update`,
    /// `tag:delete` (balancers with a tag) and all of `domain`.
    pub token: SecretRef,
    /// The regions to use, such as `nyc3`. At least one.
    pub regions: Vec<String>,
    /// Address to send every call to, with the version of the API, for tests and gateways.
    pub endpoint: String,
    /// A name for the team, so that several providers of one team share its rate limits.
    pub account: String,
    /// Whether nodes can be logged in to over SSH from here. If not, a node is ready as soon as
    /// DigitalOcean says that it is active.
    pub ssh: bool,
    /// Whether each new node gets its SSH host key from here, in its user data, so that the first
    /// login can be trusted. Whatever runs on the node can read user data. Without it, and on images
    /// without cloud-init, host keys must be in your own `known_hosts`.
    pub plant_host_keys: bool,
    /// User to log in as. DigitalOcean's images have `root`.
    pub ssh_user: String,
    /// Which address is used for logins and shown.
    pub address: AddressKind,
    /// How long a new droplet may be missing from a listing. DigitalOcean names no figure; users
    /// have seen "a couple of seconds": <https://github.com/digitalocean/api-v2/issues/202>
    pub listing_lag: Span,
    /// Longest time for one call, from sending to the last byte of the answer.
    pub call_timeout: Span,
}

/// Which of a node's addresses is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AddressKind {
    /// The public address, or the private one if there is none.
    #[default]
    Public,
    /// The address in the VPC.
    Private,
}

impl Default for DigitalOceanConfig {
    fn default() -> Self {
        Self {
            token: SecretRef::Env("DIGITALOCEAN_TOKEN".to_owned()),
            regions: Vec::new(),
            endpoint: "https://api.digitalocean.com/v2".to_owned(),
            account: "default".to_owned(),
            ssh: true,
            plant_host_keys: true,
            ssh_user: "root".to_owned(),
            address: AddressKind::default(),
            listing_lag: Span::seconds(15),
            call_timeout: Span::seconds(30),
        }
    }
}

impl AccountConfig for DigitalOceanConfig {
    fn check(&self) -> Result<()> {
        let wrong = |message: &str| Err(Error::new(Kind::Config, message.to_owned()));
        if self.regions.is_empty() {
            return wrong("`regions` must name at least one region, such as `nyc3`");
        }
        for (at, region) in self.regions.iter().enumerate() {
            if !is_region(region) {
                return Err(Error::new(
                    Kind::Config,
                    format!("`regions` holds `{region}`, which is not the name of a region"),
                )
                .with_hint("a region is named by its short form, such as `nyc3` or `fra1`"));
            }
            if self.regions[..at].contains(region) {
                return Err(Error::new(
                    Kind::Config,
                    format!("`regions` names `{region}` twice"),
                ));
            }
        }
        if !(self.endpoint.starts_with("http://") || self.endpoint.starts_with("https://")) {
            return wrong("`endpoint` must begin with `http://` or `https://`");
        }
        if self.account.is_empty() {
            return wrong("`account` must not be empty");
        }
        if self.ssh_user.is_empty() {
            return wrong("`ssh_user` must not be empty");
        }
        if self.call_timeout.0.is_zero() {
            return wrong("`call_timeout` must be longer than nothing");
        }
        Ok(())
    }

    fn check_options(&self, options: &Map<String, Value>) -> Result<()> {
        DigitalOceanOptions::read(options).map(drop)
    }

    fn build(&self, name: &str, context: &AccountContext) -> Result<Arc<dyn Provider>> {
        let provider = DigitalOceanProvider::new(name, self.clone(), context)?;
        Ok(Arc::new(provider))
    }
}

/// A place and a number: `nyc3`. A prefix such as `nyc` would let DigitalOcean choose, and then a
/// node would not be where its offer says.
fn is_region(name: &str) -> bool {
    let place = name.trim_end_matches(|c: char| c.is_ascii_digit());
    !place.is_empty()
        && place.len() < name.len()
        && place.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut DigitalOceanConfig)) -> Result<()> {
        let mut config = DigitalOceanConfig {
            regions: vec!["nyc3".to_owned()],
            ..DigitalOceanConfig::default()
        };
        change(&mut config);
        config.check()
    }

    #[test]
    fn what_is_wrong_is_named_by_its_key() {
        with(|_| {}).unwrap();
        with(|c| c.regions.push("fra1".to_owned())).unwrap();
        for (key, result) in [
            ("regions", with(|c| c.regions.clear())),
            ("regions", with(|c| c.regions.push("nyc".to_owned()))),
            ("regions", with(|c| c.regions.push("NYC1".to_owned()))),
            ("regions", with(|c| c.regions.push("nyc3".to_owned()))),
            ("endpoint", with(|c| c.endpoint = "localhost".to_owned())),
            ("account", with(|c| c.account.clear())),
            ("ssh_user", with(|c| c.ssh_user.clear())),
            ("call_timeout", with(|c| c.call_timeout = Span::seconds(0))),
        ] {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), Kind::Config);
            assert!(
                error.to_string().starts_with(&format!("`{key}`")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_token_stands_in_no_configuration() {
        let inline: Result<DigitalOceanConfig, _> =
            serde_json::from_value(serde_json::json!({ "token": "dop_v1_0123" }));
        let error = inline.unwrap_err().to_string();
        assert!(!error.contains("dop_v1_0123"), "{error}");
    }
}
