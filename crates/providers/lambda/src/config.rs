//! What `[providers.<name>] kind = "lambda"` may say.

use std::sync::Arc;

use fleetwright_core::{
    AccountConfig, AccountContext, Error, Kind, Provider, Result, SecretRef, Span,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{LambdaOptions, LambdaProvider};

/// One team of Lambda Cloud, in one or more regions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LambdaConfig {
    /// The API key, by reference. Keys are made at <https://cloud.lambda.ai/api-keys>.
    pub token: SecretRef,
    /// The regions to use, such as `us-east-1`. At least one.
    pub regions: Vec<String>,
    /// Address to send every call to, for tests and gateways.
    pub endpoint: String,
    /// A name for the team, so that several providers of one team share its rate limits.
    pub account: String,
    /// Whether nodes can be logged in to over SSH from here. If not, a node is ready as soon as
    /// Lambda says that it is active.
    pub ssh: bool,
    /// Whether each new node gets its SSH host key from here, in its user data, so that the first
    /// login can be trusted. Whatever runs on the node can read user data. Without it, host keys
    /// must be in your own `known_hosts`.
    pub plant_host_keys: bool,
    /// User to log in as. Lambda's images have `ubuntu`.
    pub ssh_user: String,
    /// How long a new instance may be missing from a listing. Lambda does not say.
    pub listing_lag: Span,
    /// Longest time for one call, from sending to the last byte of the answer.
    pub call_timeout: Span,
}

impl Default for LambdaConfig {
    fn default() -> Self {
        Self {
            token: SecretRef::Env("LAMBDA_API_KEY".to_owned()),
            regions: Vec::new(),
            endpoint: "https://cloud.lambda.ai".to_owned(),
            account: "default".to_owned(),
            ssh: true,
            plant_host_keys: true,
            ssh_user: "ubuntu".to_owned(),
            listing_lag: Span::seconds(10),
            call_timeout: Span::seconds(50),
        }
    }
}

impl AccountConfig for LambdaConfig {
    fn check(&self) -> Result<()> {
        let wrong = |message: &str| Err(Error::new(Kind::Config, message.to_owned()));
        if self.regions.is_empty() {
            return wrong("`regions` must name at least one region, such as `us-east-1`");
        }
        for (at, region) in self.regions.iter().enumerate() {
            let is_plain = region
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
            if region.is_empty() || !is_plain {
                return Err(Error::new(
                    Kind::Config,
                    format!("`regions` holds `{region}`, which is not the name of a region"),
                )
                .with_hint("a region reads like `us-east-1`"));
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
        LambdaOptions::read(options).map(drop)
    }

    fn build(&self, name: &str, context: &AccountContext) -> Result<Arc<dyn Provider>> {
        Ok(Arc::new(LambdaProvider::new(name, self.clone(), context)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut LambdaConfig)) -> Result<()> {
        let mut config = LambdaConfig {
            regions: vec!["us-east-1".to_owned()],
            ..LambdaConfig::default()
        };
        change(&mut config);
        config.check()
    }

    #[test]
    fn what_is_wrong_is_named_by_its_key() {
        with(|_| {}).unwrap();
        for (key, result) in [
            ("regions", with(|c| c.regions.clear())),
            ("regions", with(|c| c.regions.push("us-east-1".to_owned()))),
            ("regions", with(|c| c.regions.push("Utah, USA".to_owned()))),
            ("endpoint", with(|c| c.endpoint = "localhost".to_owned())),
            ("account", with(|c| c.account.clear())),
            ("ssh_user", with(|c| c.ssh_user.clear())),
            ("call_timeout", with(|c| c.call_timeout = Span::seconds(0))),
        ] {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), Kind::Config);
            let told = error.to_string();
            assert!(told.starts_with(&format!("`{key}`")), "{told}");
        }
    }
}
