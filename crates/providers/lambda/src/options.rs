//! What a pool's `options` may say for Lambda: typed, checked before any call.

use std::collections::BTreeMap;

use fleetwright_core::{Error, Kind, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What belongs to an instance besides its type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LambdaOptions {
    /// Name of an SSH key that Lambda knows already. Absent: the first of the pool's keys is
    /// registered, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_key: Option<String>,
    /// Image, if the pool names none: a name such as `lambda-stack-24-04`, a family, or an id.
    /// Absent: the latest Lambda Stack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Firewall rulesets of the region, by name or id. The global ruleset holds besides.
    pub firewall_rulesets: Vec<String>,
    /// File systems of the region to mount, by name.
    pub file_systems: Vec<String>,
    /// Where file systems are mounted, by their name, such as `{ data = "/data/set" }`. Absent: at
    /// `/lambda/nfs/<name>`.
    pub mount_points: BTreeMap<String, String>,
}

/// Where file systems may be mounted: "^(/home|/lambda/nfs|/data)[//a-zA-Z0-9-]*$" in the
/// description, at most 256 characters.
const MOUNTS: [&str; 3] = ["/home", "/lambda/nfs", "/data"];

impl LambdaOptions {
    /// Reads the options of a pool.
    ///
    /// # Errors
    /// `Invalid`, beginning with the key in backticks where one is to blame.
    pub fn read(options: &Map<String, Value>) -> Result<Self> {
        let options: Self =
            serde_json::from_value(Value::Object(options.clone())).map_err(|error| {
                Error::new(Kind::Invalid, format!("the options of this pool: {error}"))
                    .with_hint("see the section on `lambda` in the reference of the configuration")
            })?;
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<()> {
        for (name, point) in &self.mount_points {
            if !self.file_systems.contains(name) {
                let message = format!("`mount_points` names `{name}`, which `file_systems` lacks");
                return Err(Error::new(Kind::Invalid, message));
            }
            let rest = MOUNTS.iter().find_map(|base| point.strip_prefix(base));
            let is_plain = rest.is_some_and(|rest| {
                rest.chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '/' || c == '-')
            });
            if !is_plain || point.len() > 256 {
                let message = format!("`mount_points` mounts `{name}` at `{point}`");
                return Err(Error::new(Kind::Invalid, message).with_hint(
                    "Lambda mounts below `/home`, `/lambda/nfs` and `/data`, and takes letters, \
                     digits and dashes",
                ));
            }
        }
        Ok(())
    }
}
