//! What a pool's `options` may say for AWS: typed, with defaults, checked before any call.

use fleetwright_core::{Error, Kind, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How machines are asked for and what belongs to them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AwsOptions {
    /// Which call makes the machines.
    pub launch: Launch,
    /// For `fleet` and `spot-fleet`: whether AWS keeps the number, and how it is asked.
    pub fleet_type: FleetType,
    /// Further instance types that will do as well: `fleet`, `spot-fleet` and `group` choose
    /// among them and the type of the offer. In this order for prioritized allocation.
    pub types: Vec<String>,
    /// Subnets to launch in. `run` takes the one of the offer's zone; the others spread over all
    /// of them. Empty: the default subnet of the offer's zone.
    pub subnets: Vec<String>,
    /// Security groups by id. Empty: the default group of the network.
    pub security_groups: Vec<String>,
    /// Name of a key pair that is known to EC2, besides the keys that Fleetwright puts in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_name: Option<String>,
    /// IAM instance profile, by name or ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_profile: Option<String>,
    /// Image, if the pool names none: an id `ami-…`, a public SSM parameter `/aws/service/…`, or a
    /// filter `owner=amazon,name=al2023-ami-2023.*-x86_64`, of which the newest is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The root volume; absent: the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_volume: Option<RootVolume>,
    /// The instance metadata service.
    pub metadata: InstanceMetadata,
    /// Whether a machine gets a public address; absent: as the subnet says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_address: Option<bool>,
    /// How spot pools are chosen.
    pub spot_allocation: SpotAllocation,
    /// How on-demand types are chosen.
    pub on_demand_allocation: OnDemandAllocation,
    /// For spot offers of fleets and groups: so many of the machines are on-demand.
    pub on_demand_base: u32,
    /// For spot offers of fleets and groups: of the machines above the base, so many percent are
    /// on-demand.
    pub on_demand_percent: u8,
    /// Most that a spot machine may cost per hour in US dollars, such as `0.12`. A cap, not a bid;
    /// absent: the on-demand price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_spot_price: Option<String>,
    /// A launch template of your own, by id, that everything said here is laid over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch_template: Option<String>,
    /// For `spot-fleet`: ARN of the role that tags machines; absent:
    /// `aws-ec2-spot-fleet-tagging-role` of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spot_fleet_role: Option<String>,
}

/// Which call makes the machines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Launch {
    /// `RunInstances`: one type in one place, one call.
    #[default]
    Run,
    /// `CreateFleet`: several types and subnets, AWS chooses.
    Fleet,
    /// `RequestSpotFleet`, the older form of it.
    SpotFleet,
    /// An Auto Scaling group, which replaces dead machines by itself.
    Group,
}

/// How a fleet is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FleetType {
    /// Once, and the answer says what came. Not for `spot-fleet`, where it means `request`.
    #[default]
    Instant,
    /// Once, and machines come a little later.
    Request,
    /// AWS replaces machines that go away, until they are removed here.
    Maintain,
}

/// How spot pools are chosen.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-fleet-allocation-strategy.html>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SpotAllocation {
    /// Where interruptions are unlikely, then cheap. AWS's own advice.
    #[default]
    PriceCapacityOptimized,
    /// Where interruptions are unlikely.
    CapacityOptimized,
    /// The same, in the order of `types` as far as possible.
    CapacityOptimizedPrioritized,
    /// Over many pools.
    Diversified,
    /// The cheapest.
    LowestPrice,
}

/// How on-demand types are chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnDemandAllocation {
    /// The cheapest.
    #[default]
    LowestPrice,
    /// The offer's type first, then those of `types` in their order.
    Prioritized,
}

/// The root volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RootVolume {
    /// Size in GiB.
    pub size_gib: u32,
    /// Type, such as `gp3`.
    #[serde(default = "gp3")]
    pub kind: String,
    /// Operations per second; absent: the type's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iops: Option<u32>,
    /// Throughput in MiB/s; absent: the type's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput_mib: Option<u32>,
    /// Device name; it must be the image's root device.
    #[serde(default = "root_device")]
    pub device: String,
    /// Whether it is encrypted.
    #[serde(default = "yes")]
    pub encrypted: bool,
}

fn gp3() -> String {
    "gp3".to_owned()
}

fn root_device() -> String {
    "/dev/xvda".to_owned()
}

fn yes() -> bool {
    true
}

/// The instance metadata service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InstanceMetadata {
    /// Whether a session token is required (IMDSv2).
    pub tokens_required: bool,
    /// Network hops that an answer may take: 2 lets containers ask.
    pub hop_limit: u8,
}

impl Default for InstanceMetadata {
    fn default() -> Self {
        Self {
            tokens_required: true,
            hop_limit: 2,
        }
    }
}

impl AwsOptions {
    /// Reads the options of a pool.
    ///
    /// # Errors
    /// `Invalid`, beginning with the key in backticks where one is to blame.
    pub fn read(options: &Map<String, Value>) -> Result<Self> {
        let options: Self =
            serde_json::from_value(Value::Object(options.clone())).map_err(|error| {
                Error::new(Kind::Invalid, format!("the options of this pool: {error}"))
                    .with_hint("see the section on `aws` in the reference of the configuration")
            })?;
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<()> {
        let wrong = |message: &str| Err(Error::new(Kind::Invalid, message.to_owned()));
        if self.on_demand_percent > 100 {
            return wrong("`on_demand_percent` is above 100");
        }
        if self.launch == Launch::Run {
            if !self.types.is_empty() {
                return wrong("`types` needs `launch` to be `fleet`, `spot-fleet` or `group`");
            }
            if self.on_demand_base > 0 || self.on_demand_percent > 0 {
                return wrong(
                    "`on_demand_base` and `on_demand_percent` need `launch` to be `fleet`, \
                     `spot-fleet` or `group`",
                );
            }
        }
        if self.fleet_type != FleetType::Instant
            && !matches!(self.launch, Launch::Fleet | Launch::SpotFleet)
        {
            return wrong("`fleet_type` needs `launch` to be `fleet` or `spot-fleet`");
        }
        if self.launch != Launch::Fleet
            && self.launch_template.is_some()
            && self.launch != Launch::Run
        {
            return wrong("`launch_template` needs `launch` to be `run` or an instant `fleet`");
        }
        if self.launch_template.is_some() && self.fleet_type != FleetType::Instant {
            return wrong(
                "`launch_template` needs `fleet_type` to be `instant`: a fleet that launches later \
                 takes labels from its template only, so Fleetwright must write it",
            );
        }
        for (key, prefix, ids) in [
            ("subnets", "subnet-", &self.subnets),
            ("security_groups", "sg-", &self.security_groups),
        ] {
            if let Some(odd) = ids.iter().find(|id| !id.starts_with(prefix)) {
                return Err(Error::new(
                    Kind::Invalid,
                    format!("`{key}` holds `{odd}`, which is not an id like `{prefix}0123abcd`"),
                ));
            }
        }
        if let Some(price) = &self.max_spot_price
            && !(price.parse::<f64>().is_ok_and(|dollars| dollars > 0.0))
        {
            return wrong("`max_spot_price` must be US dollars per hour, such as `0.12`");
        }
        Ok(())
    }

    /// How many of `count` machines of a spot offer are on-demand.
    pub(crate) fn on_demand_share(&self, count: u32) -> u32 {
        let base = self.on_demand_base.min(count);
        let above = count - base;
        base + (above * u32::from(self.on_demand_percent)).div_ceil(100)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Result<AwsOptions> {
        AwsOptions::read(value.as_object().unwrap())
    }

    #[test]
    fn defaults_are_safe_and_unknown_keys_are_told() {
        let options = read(&json!({})).unwrap();
        assert_eq!(options.launch, Launch::Run);
        assert!(options.metadata.tokens_required);
        let error = read(&json!({ "subnet": "subnet-1" })).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains("`subnet`"), "{error}");
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for (key, value) in [
            ("types", json!({ "types": ["m5.large"] })),
            ("on_demand_base", json!({ "on_demand_base": 1 })),
            ("fleet_type", json!({ "fleet_type": "maintain" })),
            (
                "launch_template",
                json!({ "launch": "group", "launch_template": "lt-1" }),
            ),
            (
                "launch_template",
                json!({ "launch": "fleet", "fleet_type": "request", "launch_template": "lt-1" }),
            ),
            ("subnets", json!({ "subnets": ["us-east-1a"] })),
            (
                "on_demand_percent",
                json!({ "launch": "fleet", "on_demand_percent": 101 }),
            ),
            ("max_spot_price", json!({ "max_spot_price": "cheap" })),
        ] {
            let error = read(&value).unwrap_err();
            assert!(error.to_string().contains(&format!("`{key}`")), "{error}");
        }
    }

    #[test]
    fn the_on_demand_share_is_rounded_up() {
        let options = AwsOptions {
            on_demand_base: 2,
            on_demand_percent: 25,
            ..AwsOptions::default()
        };
        let shares: Vec<u32> = [1, 2, 3, 6, 10].map(|n| options.on_demand_share(n)).into();
        assert_eq!(shares, [1, 2, 3, 3, 4]);
    }
}
