//! What `[providers.<name>] kind = "aws"` may say.

use fleetwright_core::{Error, Kind, Result, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One AWS account, seen through one set of credentials, in one or more regions.
///
/// Credentials come from the SDK's standard chain (environment, profile, SSO, web identity,
/// container, instance metadata); they never stand in the configuration.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AwsConfig {
    /// The regions to use. At least one.
    pub regions: Vec<String>,
    /// Profile of the shared configuration files; absent: `AWS_PROFILE`, or the default one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Address to send every call to, for tests and gateways; absent: `AWS_ENDPOINT_URL*`, or AWS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// A name for the account, so that several providers of one account share its rate limits;
    /// absent: the profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Whether nodes can be logged in to over SSH from here. If not, a node is ready as soon as
    /// EC2 says that it runs.
    pub ssh: bool,
    /// Whether each new node gets its SSH host key from here, in its user data, so that the first
    /// login can be trusted. Whatever runs on the node can read user data. Without it, and on images
    /// without cloud-init, host keys must be in your own `known_hosts`.
    pub plant_host_keys: bool,
    /// User to log in as: `ec2-user` on Amazon Linux, `ubuntu` on Ubuntu, `admin` on Debian.
    pub ssh_user: String,
    /// TCP port of the nodes' SSH server.
    pub ssh_port: u16,
    /// Which address is used for logins and shown.
    pub address: AddressKind,
    /// Where on-demand prices come from.
    pub prices: PriceSource,
    /// Name or URL of an SQS queue that EventBridge feeds with interruption notices, in the first
    /// region unless the URL says otherwise. Absent: no notices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interruption_queue: Option<String>,
    /// How long a new instance may be missing from a listing. EC2 is eventually consistent:
    /// <https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html>
    pub listing_lag: Span,
    /// How long a create call waits for machines of a fleet or group that AWS launches on its own.
    pub fulfil_within: Span,
    /// How long types, offerings, prices and quotas that were read are used again without asking.
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

/// Where on-demand prices come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PriceSource {
    /// The table shipped with this program, with its date. Needs no call and no permission.
    #[default]
    Table,
    /// The Price List API. Needs `pricing:GetProducts`.
    Api,
}

impl Default for AwsConfig {
    fn default() -> Self {
        Self {
            regions: Vec::new(),
            profile: None,
            endpoint: None,
            account: None,
            ssh: true,
            plant_host_keys: true,
            ssh_user: "ec2-user".to_owned(),
            ssh_port: 22,
            address: AddressKind::default(),
            prices: PriceSource::default(),
            interruption_queue: None,
            listing_lag: Span::seconds(5),
            fulfil_within: Span::seconds(40),
            catalog_age: Span::minutes(5),
            call_timeout: Span::seconds(50),
        }
    }
}

impl AwsConfig {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// `Config`, beginning with the key in backticks.
    pub fn check(&self) -> Result<()> {
        let wrong = |message: &str| Err(Error::new(Kind::Config, message.to_owned()));
        if self.regions.is_empty() {
            return wrong("`regions` must name at least one region, such as `us-east-1`");
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
                .with_hint(
                    "a region reads like `us-east-1`; a zone, `us-east-1a`, goes into a candidate",
                ));
            }
            if region.ends_with(|c: char| c.is_ascii_lowercase()) {
                return Err(Error::new(
                    Kind::Config,
                    format!("`regions` holds `{region}`, which is a zone"),
                )
                .with_hint("a zone goes into a pool's candidate: `zone = \"…\"`"));
            }
            if self.regions[..at].contains(region) {
                return Err(Error::new(
                    Kind::Config,
                    format!("`regions` names `{region}` twice"),
                ));
            }
        }
        if let Some(endpoint) = &self.endpoint
            && !(endpoint.starts_with("http://") || endpoint.starts_with("https://"))
        {
            return wrong("`endpoint` must begin with `http://` or `https://`");
        }
        if self.ssh_user.is_empty() {
            return wrong("`ssh_user` must not be empty");
        }
        if self.call_timeout.0.is_zero() {
            return wrong("`call_timeout` must be longer than nothing");
        }
        Ok(())
    }

    /// The name that rate limits are shared under.
    pub(crate) fn account(&self) -> String {
        let named = self.account.as_ref().or(self.profile.as_ref());
        named.cloned().unwrap_or_else(|| "default".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut AwsConfig)) -> Result<()> {
        let mut config = AwsConfig {
            regions: vec!["us-east-1".to_owned()],
            ..AwsConfig::default()
        };
        change(&mut config);
        config.check()
    }

    #[test]
    fn what_is_wrong_is_named_by_its_key() {
        with(|_| {}).unwrap();
        with(|c| c.regions.push("us-gov-west-1".to_owned())).unwrap();
        for (key, result) in [
            ("regions", with(|c| c.regions.clear())),
            ("regions", with(|c| c.regions.push("us-east-1a".to_owned()))),
            ("regions", with(|c| c.regions.push("us-east-1".to_owned()))),
            ("regions", with(|c| c.regions.push("Frankfurt".to_owned()))),
            (
                "endpoint",
                with(|c| c.endpoint = Some("localhost:5000".to_owned())),
            ),
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
}
