//! What a pool's `options` may say for DigitalOcean: typed, with defaults, checked before any call.

use fleetwright_core::{Error, Kind, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What belongs to a droplet besides its size and place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DigitalOceanOptions {
    /// Image, if the pool names none: a slug (`ubuntu-24-04-x64`), the number of an image, or
    /// `name:` and the name of an image of your own, of which the newest in the region is taken.
    pub image: String,
    /// VPC by name or id, in the region of the droplet; absent: the region's default VPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpc: Option<String>,
    /// Cloud firewalls by name or id. They hold from the first moment: each gets a tag of ours that
    /// the droplets are made with.
    pub firewalls: Vec<String>,
    /// Project by name or id that droplets are put into; absent: the default project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Whether droplets have a public address.
    pub public_address: bool,
    /// Whether droplets have an IPv6 address as well.
    pub ipv6: bool,
    /// Whether the agent for metrics is put in.
    pub monitoring: bool,
    /// Whether automated backups are kept. They cost extra, and go with their droplet.
    pub backups: bool,
    /// Whether the agent for the web console is put in; absent: if the image allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub droplet_agent: Option<bool>,
}

impl Default for DigitalOceanOptions {
    fn default() -> Self {
        Self {
            image: "ubuntu-24-04-x64".to_owned(),
            vpc: None,
            firewalls: Vec::new(),
            project: None,
            public_address: true,
            ipv6: false,
            monitoring: false,
            backups: false,
            droplet_agent: None,
        }
    }
}

impl DigitalOceanOptions {
    /// Reads the options of a pool.
    ///
    /// # Errors
    /// `Invalid`, beginning with the key in backticks where one is to blame.
    pub fn read(options: &Map<String, Value>) -> Result<Self> {
        let options: Self =
            serde_json::from_value(Value::Object(options.clone())).map_err(|error| {
                Error::new(Kind::Invalid, format!("the options of this pool: {error}"))
                    .with_hint("see the section on `digitalocean` in the reference")
            })?;
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<()> {
        ImageRef::read(&self.image).map_err(|error| {
            Error::new(Kind::Invalid, format!("`image`: {error}"))
                .with_hint(error.hint().unwrap_or_default())
        })?;
        for (key, values) in [
            ("vpc", self.vpc.as_slice()),
            ("project", self.project.as_slice()),
            ("firewalls", &self.firewalls),
        ] {
            if values.iter().any(String::is_empty) {
                return Err(Error::new(
                    Kind::Invalid,
                    format!("`{key}` holds an empty name"),
                ));
            }
        }
        if !self.public_address && self.ipv6 {
            // "If explicitly set to `false`, `ipv6` must also be `false`."
            return Err(Error::new(
                Kind::Invalid,
                "`ipv6` needs `public_address` to be `true`",
            ));
        }
        Ok(())
    }
}

/// Which image, in a user's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ImageRef {
    /// `ubuntu-24-04-x64`.
    Slug(String),
    /// `12345`.
    Id(u64),
    /// `name:golden`.
    Name(String),
}

impl ImageRef {
    pub(crate) fn read(text: &str) -> Result<Self> {
        if let Some(name) = text.strip_prefix("name:").filter(|name| !name.is_empty()) {
            return Ok(Self::Name(name.to_owned()));
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        if !text.is_empty() && text.chars().all(plain) {
            return Ok(Self::Slug(text.to_owned()));
        }
        Err(Error::new(
            Kind::Invalid,
            format!("`{text}` is not the slug of an image"),
        )
        .with_hint("write `ubuntu-24-04-x64`, an image's number, or `name:` and an image's name"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Result<DigitalOceanOptions> {
        DigitalOceanOptions::read(value.as_object().unwrap())
    }

    #[test]
    fn defaults_are_plain_and_unknown_keys_are_told() {
        let options = read(&json!({})).unwrap();
        assert!(options.public_address && !options.backups);
        let error = read(&json!({ "vpc_uuid": "1" })).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains("`vpc_uuid`"), "{error}");
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for (key, value) in [
            ("image", json!({ "image": "Ubuntu 24" })),
            ("image", json!({ "image": "name:" })),
            ("vpc", json!({ "vpc": "" })),
            ("firewalls", json!({ "firewalls": ["web", ""] })),
            ("ipv6", json!({ "ipv6": true, "public_address": false })),
        ] {
            let error = read(&value).unwrap_err();
            assert!(
                error.to_string().starts_with(&format!("`{key}`")),
                "{error}"
            );
        }
    }

    #[test]
    fn an_image_is_a_slug_a_number_or_a_name() {
        for (text, image) in [
            ("debian-12-x64", ImageRef::Slug("debian-12-x64".to_owned())),
            ("63663980", ImageRef::Id(63_663_980)),
            (
                "name:My golden image",
                ImageRef::Name("My golden image".to_owned()),
            ),
        ] {
            assert_eq!(ImageRef::read(text).unwrap(), image);
        }
    }
}
