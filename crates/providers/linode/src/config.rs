//! What `[providers.<name>] kind = "linode"` may say.

use std::sync::Arc;

use fleetwright_core::{
    AccountConfig, AccountContext, Error, Kind, Provider, Result, SecretRef, Span,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{LinodeOptions, LinodeProvider};

/// Where Linode's API is, version included. The newest fields are only there in `v4beta`, which
/// the vendor's own tools use as well.
const ENDPOINT: &str = "https://api.linode.com/v4beta";

/// One Linode account, seen through one personal access token, in one or more regions.
///
/// The token needs the scopes `linodes:read_write` and `account:read_only`; besides
/// `images:read_only` for images by name, `nodebalancers:read_write` and `domains:read_write` where
/// balancers and DNS are used. Its user must be unrestricted: "You must be an unrestricted User in
/// order to add or modify tags on Linodes."
/// <https://techdocs.akamai.com/linode-api/reference/post-linode-instance>
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LinodeConfig {
    /// Where the token is to be had: `env:NAME`, `file:path` or `command:...`.
    pub token: SecretRef,
    /// The regions to use, such as `us-east`. At least one.
    pub regions: Vec<String>,
    /// Address to send every call to, for tests and gateways, with the version of the API.
    pub endpoint: String,
    /// A name for the account, so that several providers of one account share its rate limits.
    pub account: String,
    /// Whether nodes can be logged in to over SSH from here. If not, a node is ready as soon as
    /// Linode says that it runs.
    pub ssh: bool,
    /// Whether each new node gets its SSH host key from here, in its user data, so that the first
    /// login can be trusted. Whatever runs on the node can read user data. Without it, and on images
    /// without cloud-init, host keys must be in your own `known_hosts`.
    pub plant_host_keys: bool,
    /// TCP port of the nodes' SSH server.
    pub ssh_port: u16,
    /// User to log in as. Linode puts keys in for `root`.
    pub ssh_user: String,
    /// Which address is used for logins and shown.
    pub address: AddressKind,
    /// Port of the nodes that a NodeBalancer sends to; absent: the one of the members that are
    /// there, or else the port that the NodeBalancer listens on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend_port: Option<u16>,
    /// How long a node that leaves a NodeBalancer keeps its open connections.
    pub drain: Span,
    /// Nodes per page of a listing, 25 to 500.
    pub page_size: u32,
    /// How long a new instance may be missing from a listing.
    pub listing_lag: Span,
    /// How long types, regions and images that were read are used again without asking. Images may
    /// be listed 20 times per minute only.
    pub catalog_age: Span,
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
    /// The private address.
    Private,
}

impl Default for LinodeConfig {
    fn default() -> Self {
        Self {
            token: SecretRef::Env("LINODE_TOKEN".to_owned()),
            regions: Vec::new(),
            endpoint: ENDPOINT.to_owned(),
            account: "default".to_owned(),
            ssh: true,
            plant_host_keys: true,
            ssh_port: 22,
            ssh_user: "root".to_owned(),
            address: AddressKind::default(),
            backend_port: None,
            drain: Span::seconds(20),
            page_size: 500,
            listing_lag: Span::seconds(5),
            catalog_age: Span::minutes(5),
            call_timeout: Span::seconds(50),
        }
    }
}

impl AccountConfig for LinodeConfig {
    fn check(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::new(Kind::Config, message));
        if self.regions.is_empty() {
            return wrong("`regions` must name at least one region, such as `us-east`".to_owned());
        }
        for (at, region) in self.regions.iter().enumerate() {
            let plain = region
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
            if region.is_empty() || !plain || !region.contains('-') {
                return Err(Error::new(
                    Kind::Config,
                    format!("`regions` holds `{region}`, which is not the name of a region"),
                )
                .with_hint("a region reads like `us-east` or `fr-par-2`"));
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
        if !(25..=500).contains(&self.page_size) {
            return wrong("`page_size` must be between 25 and 500".to_owned());
        }
        if self.ssh_port == 0 {
            return wrong("`ssh_port` must not be 0".to_owned());
        }
        if self.backend_port == Some(0) {
            return wrong("`backend_port` must not be 0".to_owned());
        }
        if self.call_timeout.0.is_zero() {
            return wrong("`call_timeout` must be longer than nothing".to_owned());
        }
        Ok(())
    }

    fn check_options(&self, options: &Map<String, Value>) -> Result<()> {
        LinodeOptions::read(options).map(drop)
    }

    fn build(&self, name: &str, context: &AccountContext) -> Result<Arc<dyn Provider>> {
        Ok(Arc::new(LinodeProvider::new(name, self.clone(), context)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut LinodeConfig)) -> Result<()> {
        let mut config = LinodeConfig {
            regions: vec!["us-east".to_owned()],
            ..LinodeConfig::default()
        };
        change(&mut config);
        config.check()
    }

    #[test]
    fn what_is_wrong_is_named_by_its_key() {
        with(|_| {}).unwrap();
        with(|c| c.regions.push("fr-par-2".to_owned())).unwrap();
        for (key, result) in [
            ("regions", with(|c| c.regions.clear())),
            ("regions", with(|c| c.regions.push("us-east".to_owned()))),
            ("regions", with(|c| c.regions.push("Newark, NJ".to_owned()))),
            ("endpoint", with(|c| c.endpoint = "localhost".to_owned())),
            ("account", with(|c| c.account.clear())),
            ("ssh_user", with(|c| c.ssh_user.clear())),
            ("page_size", with(|c| c.page_size = 10)),
            ("ssh_port", with(|c| c.ssh_port = 0)),
            ("backend_port", with(|c| c.backend_port = Some(0))),
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
}
