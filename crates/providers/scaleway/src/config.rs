//! What `[providers.<name>] kind = "scaleway"` may say.

use std::sync::Arc;

use fleetwright_core::{
    AccountConfig, AccountContext, Error, Kind, Provider, Result, SecretRef, Span,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{ScalewayOptions, ScalewayProvider, zone};

/// One Scaleway project, in one or more regions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScalewayConfig {
    /// The regions to use, such as `fr-par`. At least one.
    pub regions: Vec<String>,
    /// Only these zones of the regions, such as `fr-par-2`. Empty: all zones that are known.
    pub zones: Vec<String>,
    /// The id of the project that machines are made in and looked for.
    /// <https://console.scaleway.com/project/settings>
    pub project_id: String,
    /// Where the secret key of an API key is to be had: `env:NAME`, `file:path` or `command:...`.
    /// <https://www.scaleway.com/en/docs/iam/how-to/create-api-keys/>
    pub token: SecretRef,
    /// Address to send every call to, for tests and gateways.
    pub endpoint: String,
    /// Whether nodes can be logged in to over SSH from here. If not, a node is ready as soon as
    /// Scaleway says that it runs.
    pub ssh: bool,
    /// Whether each new node gets its SSH host key from here, in its user data, so that the first
    /// login can be trusted. Whatever runs on the node can read user data. Without it, host keys
    /// must be in your own `known_hosts`.
    pub plant_host_keys: bool,
    /// User to log in as: `root` on Scaleway's images, `ubuntu` on those for GPUs.
    pub ssh_user: String,
    /// Which address is used for logins.
    pub address: AddressKind,
    /// How long a new machine may be missing from a listing. Scaleway promises nothing; its answers
    /// have been seen to be up to date.
    pub listing_lag: Span,
    /// Longest time for one call, from sending to the last byte of the answer.
    pub call_timeout: Span,
}

/// Which of a node's addresses is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AddressKind {
    /// The public address, IPv4 before IPv6.
    #[default]
    Public,
    /// The private address, if Scaleway tells one.
    Private,
}

impl Default for ScalewayConfig {
    fn default() -> Self {
        Self {
            regions: Vec::new(),
            zones: Vec::new(),
            project_id: String::new(),
            token: SecretRef::Env("SCW_SECRET_KEY".to_owned()),
            endpoint: "https://api.scaleway.com".to_owned(),
            ssh: true,
            plant_host_keys: true,
            ssh_user: "root".to_owned(),
            address: AddressKind::default(),
            listing_lag: Span::seconds(5),
            call_timeout: Span::seconds(30),
        }
    }
}

impl AccountConfig for ScalewayConfig {
    fn check(&self) -> Result<()> {
        let wrong = |message: String, hint: &str| {
            Err(Error::new(Kind::Config, message).with_hint(hint.to_owned()))
        };
        if self.regions.is_empty() {
            return wrong(
                "`regions` must name at least one region".to_owned(),
                "for example `regions = [\"fr-par\"]`",
            );
        }
        for (at, region) in self.regions.iter().enumerate() {
            if zone::region_of(region).is_some() {
                return wrong(
                    format!("`regions` holds `{region}`, which is a zone"),
                    "name the region, such as `fr-par`, and the zone in `zones` or in a candidate",
                );
            }
            if !zone::is_region(region) {
                return wrong(
                    format!("`regions` holds `{region}`, which is not the name of a region"),
                    "a region reads like `fr-par`",
                );
            }
            if self.regions[..at].contains(region) {
                return wrong(
                    format!("`regions` names `{region}` twice"),
                    "once is enough",
                );
            }
        }
        for (at, name) in self.zones.iter().enumerate() {
            let region = zone::region_of(name);
            if !region.is_some_and(|region| self.regions.iter().any(|known| known == region)) {
                return wrong(
                    format!("`zones` holds `{name}`, which is not a zone of `regions`"),
                    "a zone reads like `fr-par-2`, and `regions` must name its region",
                );
            }
            if self.zones[..at].contains(name) {
                return wrong(format!("`zones` names `{name}` twice"), "once is enough");
            }
        }
        if let Some(region) = self.regions.iter().find(|r| self.zones_of(r).is_empty()) {
            return wrong(
                format!("`zones` must name the zones of `{region}`"),
                "without them, only the regions fr-par, nl-ams, pl-waw and it-mil are known",
            );
        }
        if uuid::Uuid::try_parse(&self.project_id).is_err() {
            return wrong(
                "`project_id` must be the id of a project".to_owned(),
                "it reads like `11111111-2222-3333-4444-555555555555` and stands in the console \
                 under the project's settings",
            );
        }
        if !(self.endpoint.starts_with("http://") || self.endpoint.starts_with("https://")) {
            return wrong(
                "`endpoint` must begin with `http://` or `https://`".to_owned(),
                "leave it out for Scaleway itself",
            );
        }
        if self.ssh_user.is_empty() {
            return wrong("`ssh_user` must not be empty".to_owned(), "usually `root`");
        }
        if self.call_timeout.0.is_zero() {
            return wrong(
                "`call_timeout` must be longer than nothing".to_owned(),
                "usually `30s`",
            );
        }
        Ok(())
    }

    fn check_options(&self, options: &Map<String, Value>) -> Result<()> {
        ScalewayOptions::read(options).map(drop)
    }

    fn build(&self, name: &str, context: &AccountContext) -> Result<Arc<dyn Provider>> {
        Ok(Arc::new(ScalewayProvider::new(
            name,
            self.clone(),
            context,
        )?))
    }
}

impl ScalewayConfig {
    /// The zones of a region that are used, in order.
    pub(crate) fn zones_of(&self, region: &str) -> Vec<String> {
        let is_here = |name: &&str| zone::region_of(name) == Some(region);
        if self.zones.is_empty() {
            let known = zone::KNOWN.iter().copied().filter(is_here);
            known.map(str::to_owned).collect()
        } else {
            let named = self.zones.iter().map(String::as_str).filter(is_here);
            named.map(str::to_owned).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut ScalewayConfig)) -> Result<()> {
        let mut config = ScalewayConfig {
            regions: vec!["fr-par".to_owned()],
            project_id: "105bdce1-64c0-48ab-899d-868455867ecf".to_owned(),
            ..ScalewayConfig::default()
        };
        change(&mut config);
        config.check()
    }

    #[test]
    fn what_is_wrong_is_named_by_its_key() {
        with(|_| {}).unwrap();
        with(|c| c.zones.push("fr-par-2".to_owned())).unwrap();
        with(|c| {
            c.regions = vec!["us-nyc".to_owned()];
            c.zones = vec!["us-nyc-1".to_owned()];
        })
        .unwrap();
        for (key, result) in [
            ("regions", with(|c| c.regions.clear())),
            ("regions", with(|c| c.regions.push("fr-par-1".to_owned()))),
            ("regions", with(|c| c.regions.push("fr-par".to_owned()))),
            ("regions", with(|c| c.regions.push("Paris".to_owned()))),
            ("zones", with(|c| c.zones.push("nl-ams-1".to_owned()))),
            ("zones", with(|c| c.zones.push("fr-par".to_owned()))),
            ("zones", with(|c| c.zones = vec!["fr-par-1".to_owned(); 2])),
            ("zones", with(|c| c.regions.push("us-nyc".to_owned()))),
            ("project_id", with(|c| c.project_id.clear())),
            ("endpoint", with(|c| c.endpoint = "localhost:1".to_owned())),
            ("ssh_user", with(|c| c.ssh_user.clear())),
            ("call_timeout", with(|c| c.call_timeout = Span::seconds(0))),
        ] {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), Kind::Config);
            assert!(
                error.to_string().starts_with(&format!("`{key}`")),
                "{error}"
            );
            assert!(error.hint().is_some(), "{error}");
        }
    }
}
