//! What a pool's `options` may say for Scaleway: typed, with defaults, checked before any call.

use std::collections::BTreeMap;

use fleetwright_core::{Error, Kind, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::wire::NewVolume;

/// The images of a pool that names none, in this order: Ubuntu 24.04, and for types that it does
/// not support, those with GPUs, Ubuntu 22.04 with NVIDIA's drivers and Docker.
/// <https://www.scaleway.com/en/docs/gpu/reference-content/docker-images/>
const IMAGES: [&str; 2] = ["ubuntu_noble", "ubuntu_jammy_gpu_os_12"];

/// Most private networks of an instance.
/// <https://www.scaleway.com/en/docs/instances/how-to/use-private-networks/>
const MOST_NETWORKS: usize = 8;

/// What belongs to a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScalewayOptions {
    /// Image, if the pool names none: the label of a public image, such as `ubuntu_noble`, or the
    /// id of an image in the zone. Fleetwright takes the variant that fits type and volume. Absent:
    /// `ubuntu_noble`, or `ubuntu_jammy_gpu_os_12` where that does not support the type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The public address of a machine.
    pub public_address: PublicAddress,
    /// Where the root volume is.
    pub volume: VolumeKind,
    /// Size of the root volume in GB; absent: the image's, or all that the type has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_gb: Option<u32>,
    /// Security group by id: the firewall. Absent: the project's default one. A group belongs to
    /// one zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_group: Option<String>,
    /// Private networks by id, at most 8. A network belongs to one region.
    pub private_networks: Vec<String>,
    /// Placement group by id: keeps machines apart, or near each other. A group belongs to one
    /// zone and holds at most 20 machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement_group: Option<String>,
}

/// The public address of a machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PublicAddress {
    /// An IPv4 address that comes with the machine and goes when it is powered off.
    #[default]
    Dynamic,
    /// An IPv4 address that stays when the machine is powered off. Deleted with the machine.
    Flexible,
    /// An IPv4 and an IPv6 address that stay. Deleted with the machine.
    FlexibleBoth,
    /// None.
    None,
}

/// Where a volume is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeKind {
    /// Local where the type has a local disk that its price includes, else block storage.
    #[default]
    Auto,
    /// On the machine's own disk.
    Local,
    /// Block storage, billed apart. Deleted with the machine.
    Block,
}

impl ScalewayOptions {
    /// Reads and checks what a pool says.
    ///
    /// # Errors
    /// `Invalid`, beginning with the key in backticks where one can be named.
    pub fn read(options: &Map<String, Value>) -> Result<Self> {
        let options: Self =
            serde_json::from_value(Value::Object(options.clone())).map_err(|error| {
                Error::new(Kind::Invalid, format!("`options`: {error}")).with_hint(
                    "see the section on `scaleway` in the reference of the configuration",
                )
            })?;
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::new(Kind::Invalid, message));
        if self.image.as_ref().is_some_and(String::is_empty) {
            return wrong(format!(
                "`image` must not be empty; usually `{}`",
                IMAGES[0]
            ));
        }
        if self.volume_gb == Some(0) {
            return wrong("`volume_gb` must be at least 1".to_owned());
        }
        let group = self.security_group.iter().map(|id| ("security_group", id));
        let placement = self
            .placement_group
            .iter()
            .map(|id| ("placement_group", id));
        let networks = self
            .private_networks
            .iter()
            .map(|id| ("private_networks", id));
        for (key, id) in group.chain(placement).chain(networks) {
            if uuid::Uuid::try_parse(id).is_err() {
                return wrong(format!(
                    "`{key}` holds `{id}`, which is not an id: it reads like \
                     `11111111-2222-3333-4444-555555555555`"
                ));
            }
        }
        if self.private_networks.len() > MOST_NETWORKS {
            return wrong(format!(
                "`private_networks` holds {} networks; a machine takes at most {MOST_NETWORKS}",
                self.private_networks.len()
            ));
        }
        Ok(())
    }

    /// The images to try, in order: what the request names, what the options name, the usual ones.
    pub(crate) fn images<'a>(&'a self, named: Option<&'a str>) -> Vec<&'a str> {
        match named.or(self.image.as_deref()) {
            Some(image) => vec![image],
            None => IMAGES.to_vec(),
        }
    }

    /// The root volume, as a request names it; empty: as image and type have it.
    pub(crate) fn volumes(&self, is_local: bool) -> BTreeMap<&'static str, NewVolume> {
        if self.volume == VolumeKind::Auto && self.volume_gb.is_none() {
            return BTreeMap::new();
        }
        let root = NewVolume {
            volume_type: if is_local { "l_ssd" } else { "sbs_volume" },
            size: self.volume_gb.map(|gb| u64::from(gb) * 1_000_000_000),
        };
        BTreeMap::from([("0", root)])
    }

    /// The kinds of flexible addresses that a machine gets.
    pub(crate) fn flexible(&self) -> &'static [&'static str] {
        match self.public_address {
            PublicAddress::Dynamic | PublicAddress::None => &[],
            PublicAddress::Flexible => &["routed_ipv4"],
            PublicAddress::FlexibleBoth => &["routed_ipv4", "routed_ipv6"],
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(options: &Value) -> Result<ScalewayOptions> {
        ScalewayOptions::read(options.as_object().unwrap())
    }

    #[test]
    fn what_is_wrong_is_named_by_its_key() {
        let id = "105bdce1-64c0-48ab-899d-868455867ecf";
        let many = [id; 9];
        assert_eq!(read(&json!({})).unwrap(), ScalewayOptions::default());
        read(&json!({ "security_group": id, "private_networks": [id] })).unwrap();
        for (options, words) in [
            (json!({ "image": "" }), "`image`"),
            (json!({ "volume_gb": 0 }), "`volume_gb`"),
            (json!({ "security_group": "web" }), "`security_group`"),
            (json!({ "placement_group": "web" }), "`placement_group`"),
            (json!({ "private_networks": ["lan"] }), "`private_networks`"),
            (json!({ "private_networks": many }), "`private_networks`"),
            (
                json!({ "color": "red" }),
                "`options`: unknown field `color`",
            ),
            (
                json!({ "volume": "tape" }),
                "`options`: unknown variant `tape`",
            ),
        ] {
            let error = read(&options).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{error}");
            assert!(error.to_string().starts_with(words), "{error}");
        }
    }
}
