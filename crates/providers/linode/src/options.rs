//! What a pool's `options` may say for Linode: typed, with defaults, checked before any call.

use fleetwright_core::{Error, Kind, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What belongs to a machine besides its type and image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LinodeOptions {
    /// Image, if the pool names none: an id such as `linode/debian12` or `private/12345`, or the
    /// label of a private image, of which the newest is taken.
    pub image: String,
    /// Names of Linode users whose registered SSH keys may log in, besides the pool's keys.
    pub authorized_users: Vec<String>,
    /// Id of the Cloud Firewall that guards the machine from its first moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firewall: Option<u64>,
    /// Whether the machine gets a private IPv4 address, which NodeBalancers need.
    pub private_ip: bool,
    /// Id of a VPC subnet in the pool's region that the machine joins; it keeps a public address
    /// by 1:1 NAT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpc_subnet: Option<u64>,
    /// Id of a placement group in the pool's region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement_group: Option<u64>,
    /// Size of the swap disk in MB; absent: 512.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap_mb: Option<u32>,
    /// Whether Linode backs the machine up, which costs extra. Backups go with the machine.
    pub backups: bool,
}

impl Default for LinodeOptions {
    fn default() -> Self {
        Self {
            image: "linode/debian12".to_owned(),
            authorized_users: Vec::new(),
            firewall: None,
            private_ip: false,
            vpc_subnet: None,
            placement_group: None,
            swap_mb: None,
            backups: false,
        }
    }
}

impl LinodeOptions {
    /// Reads and checks options.
    ///
    /// # Errors
    /// `Invalid`, with the key in backticks.
    pub fn read(options: &Map<String, Value>) -> Result<Self> {
        let read: Self =
            serde_json::from_value(Value::Object(options.clone())).map_err(|error| {
                Error::new(Kind::Invalid, format!("`options`: {error}"))
                    .with_hint("see the reference of kind `linode`")
            })?;
        read.check()?;
        Ok(read)
    }

    fn check(&self) -> Result<()> {
        let wrong = |message: &str| Err(Error::new(Kind::Invalid, message.to_owned()));
        if self.image.is_empty() {
            return wrong("`image` must not be empty");
        }
        if self.authorized_users.iter().any(String::is_empty) {
            return wrong("`authorized_users` must not hold an empty name");
        }
        for (key, id) in [
            ("firewall", self.firewall),
            ("vpc_subnet", self.vpc_subnet),
            ("placement_group", self.placement_group),
        ] {
            if id == Some(0) {
                return wrong(&format!("`{key}` must be an id, a number above 0"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(options: &Value) -> Result<LinodeOptions> {
        LinodeOptions::read(options.as_object().unwrap())
    }

    #[test]
    fn options_are_read_and_what_is_wrong_is_named() {
        assert_eq!(read(&json!({})).unwrap(), LinodeOptions::default());
        let all = read(&json!({
            "image": "golden", "authorized_users": ["ops"], "firewall": 1, "private_ip": true,
            "vpc_subnet": 2, "placement_group": 3, "swap_mb": 0, "backups": true,
        }))
        .unwrap();
        assert_eq!((all.firewall, all.swap_mb), (Some(1), Some(0)));
        for (key, options) in [
            ("firewal", json!({ "firewal": 1 })),
            ("image", json!({ "image": "" })),
            ("authorized_users", json!({ "authorized_users": [""] })),
            ("firewall", json!({ "firewall": 0 })),
            ("vpc_subnet", json!({ "vpc_subnet": 0 })),
        ] {
            let error = read(&options).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid);
            assert!(error.to_string().contains(&format!("`{key}`")), "{error}");
        }
    }
}
