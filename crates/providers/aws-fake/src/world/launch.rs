//! Launching: the one way in which instances come to be, whoever asks for them.

use std::collections::BTreeMap;

use super::capacity::MACHINES;
use super::instance::{Instance, Lifecycle, Record, State};
use super::region::{Region, Zone};
use super::{Event, World};
use crate::answer::Refusal;
use crate::catalog::{self, InstanceType};
use crate::ec2::show::moment;
use crate::params::Params;
use crate::rest;

/// User data may have 16 KiB before it is encoded, which base64 makes 4 out of 3.
const USER_DATA_LIMIT: usize = 16 * 1024 / 3 * 4 + 4;

/// What to launch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Order {
    pub(crate) instance_type: String,
    pub(crate) image: String,
    /// The zone; decided by the subnet or by EC2 if absent.
    pub(crate) zone: Option<String>,
    pub(crate) subnet: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) is_spot: bool,
    /// The most that a spot instance may cost, in micro-dollars per hour.
    pub(crate) most: Option<u64>,
    pub(crate) client_token: Option<String>,
    pub(crate) key_name: Option<String>,
    pub(crate) security_groups: Vec<String>,
    pub(crate) profile: Option<String>,
    pub(crate) user_data: Option<String>,
    pub(crate) requires_token: bool,
    pub(crate) root_gib: Option<u32>,
    /// Whether there is a public address; the subnet says yes if absent.
    pub(crate) public: Option<bool>,
    pub(crate) fleet: Option<String>,
    pub(crate) spot_fleet: Option<String>,
    pub(crate) group: Option<String>,
}

/// What was launched.
#[derive(Debug, Clone)]
pub(crate) struct Launched {
    pub(crate) reservation: String,
    pub(crate) ids: Vec<String>,
}

impl Order {
    /// Reads the parameters of RunInstances, which are those of a launch template's data too.
    pub(crate) fn read(params: &Params) -> Result<Self, Refusal> {
        let interface = params.group_or_empty("NetworkInterface.1");
        let is_instance = |spec: &&Params| spec.text("ResourceType") == Some("instance");
        let tags = params
            .list("TagSpecification")
            .into_iter()
            .filter(is_instance)
            .flat_map(|spec| spec.list("Tag"))
            .map(|tag| {
                let value = tag.text("Value").unwrap_or_default();
                (
                    tag.text("Key").unwrap_or_default().to_owned(),
                    value.to_owned(),
                )
            })
            .collect();
        let groups = ["SecurityGroupId", "SecurityGroup"].map(|name| params.texts(name));
        let own_groups = groups.concat();
        let public = interface
            .text("AssociatePublicIpAddress")
            .map(|flag| flag == "true");
        let profile = params.group_or_empty("IamInstanceProfile");
        let market = params.text("InstanceMarketOptions.MarketType");
        Ok(Self {
            instance_type: params.owned("InstanceType").unwrap_or_default(),
            image: params.owned("ImageId").unwrap_or_default(),
            zone: params.owned("Placement.AvailabilityZone"),
            subnet: params
                .owned("SubnetId")
                .or_else(|| interface.owned("SubnetId")),
            tags,
            is_spot: market == Some("spot"),
            most: params
                .text("InstanceMarketOptions.SpotOptions.MaxPrice")
                .map(micro_dollars)
                .transpose()?,
            client_token: None,
            key_name: params.owned("KeyName"),
            security_groups: if own_groups.is_empty() {
                interface.texts("SecurityGroupId")
            } else {
                own_groups
            },
            profile: profile.owned("Arn").or_else(|| profile.owned("Name")),
            user_data: params.owned("UserData"),
            requires_token: params.text("MetadataOptions.HttpTokens") == Some("required"),
            root_gib: params.number("BlockDeviceMapping.1.Ebs.VolumeSize")?,
            public,
            fleet: None,
            spot_fleet: None,
            group: None,
        })
    }
}

impl World {
    /// Launches between `minimum` and `maximum` instances, as many as there are, in one zone.
    pub(crate) fn launch(
        &mut self,
        region: &str,
        order: &Order,
        minimum: u32,
        maximum: u32,
    ) -> Result<Launched, Refusal> {
        let kind = self.check(region, order)?;
        let (zone, count) = self.place(region, order, kind, minimum, maximum)?;
        let price = kind.spot_price(&zone.name);
        if order.is_spot && order.most.is_some_and(|most| most < price) {
            return Err(Refusal::bad(
                "SpotMaxPriceTooLow",
                format!(
                    "Your Spot request price of {} is lower than the minimum required Spot request \
                     fulfillment price of {}.",
                    dollars(order.most.unwrap_or(0)),
                    dollars(price)
                ),
            ));
        }
        let count = self.afford(region, order, kind, minimum, count)?;
        Ok(self.place_in(region, order, kind, &zone, count))
    }

    /// Launches one instance in the first zone, whatever is left; `None` if there is no such region
    /// or the order makes no sense.
    pub(crate) fn launch_anyway(&mut self, region: &str, order: &Order) -> Option<String> {
        let kind = self.check(region, order).ok()?;
        let zone = self.regions.get(region)?.zones.first()?.clone();
        let launched = self.place_in(region, order, kind, &zone, 1);
        launched.ids.into_iter().next()
    }

    /// Refuses an order that could never be launched.
    pub(crate) fn check(
        &self,
        region: &str,
        order: &Order,
    ) -> Result<&'static InstanceType, Refusal> {
        let region = self.region(region)?;
        if order.image.is_empty() {
            return Err(Refusal::bad(
                "MissingParameter",
                "The request must contain the parameter ImageId",
            ));
        }
        catalog::image(&region.name, &order.image)?;
        let kind = catalog::instance_type(&order.instance_type).ok_or_else(|| {
            Refusal::bad(
                "InvalidParameterValue",
                format!("Invalid value '{}' for InstanceType.", order.instance_type),
            )
        })?;
        let image = catalog::image(&region.name, &order.image)?;
        if image.architecture != kind.architecture {
            return Err(Refusal::bad(
                "InvalidParameterValue",
                format!(
                    "The architecture '{}' of the specified instance type does not match the \
                     architecture '{}' of the specified AMI. Specify an instance type and an AMI \
                     that have matching architectures, and try again.",
                    kind.architecture, image.architecture
                ),
            ));
        }
        if let Some(subnet) = &order.subnet
            && region.zone_of_subnet(subnet).is_none()
        {
            return Err(Refusal::bad(
                "InvalidSubnetID.NotFound",
                format!("The subnet ID '{subnet}' does not exist"),
            ));
        }
        if let Some(zone) = &order.zone
            && region.zone(zone).is_none()
        {
            return Err(Refusal::bad(
                "InvalidParameterValue",
                format!("Invalid availability zone: [{zone}]"),
            ));
        }
        for group in &order.security_groups {
            if *group != region.security_group && group != "default" {
                return Err(Refusal::bad(
                    "InvalidGroup.NotFound",
                    format!("The security group '{group}' does not exist"),
                ));
            }
        }
        if let Some(key) = &order.key_name
            && !region.keys.contains(key)
        {
            return Err(Refusal::bad(
                "InvalidKeyPair.NotFound",
                format!("The key pair '{key}' does not exist"),
            ));
        }
        if order
            .user_data
            .as_ref()
            .is_some_and(|data| data.len() > USER_DATA_LIMIT)
        {
            return Err(Refusal::bad(
                "InvalidParameterValue",
                "User data is limited to 16384 bytes",
            ));
        }
        if let Some(data) = &order.user_data {
            check_base64(data)?;
        }
        Ok(kind)
    }

    /// A region that exists.
    pub(crate) fn region(&self, name: &str) -> Result<&Region, Refusal> {
        self.regions.get(name).ok_or_else(|| no_region(name))
    }

    /// A region that exists, to change it.
    pub(crate) fn region_mut(&mut self, name: &str) -> Result<&mut Region, Refusal> {
        self.regions.get_mut(name).ok_or_else(|| no_region(name))
    }

    /// The zone, and how many instances it can take.
    fn place(
        &self,
        region: &str,
        order: &Order,
        kind: &InstanceType,
        minimum: u32,
        maximum: u32,
    ) -> Result<(Zone, u32), Refusal> {
        let region = self.region(region)?;
        let offered: Vec<&Zone> = region
            .zones
            .iter()
            .filter(|zone| catalog::is_offered(kind.name, &zone.name))
            .collect();
        let wanted = order
            .subnet
            .as_deref()
            .and_then(|subnet| region.zone_of_subnet(subnet))
            .or_else(|| order.zone.as_deref().and_then(|zone| region.zone(zone)));
        let left = |zone: &Zone| region.capacity.left(&zone.name, kind.name);
        if let Some(zone) = wanted {
            if !offered.iter().any(|z| z.name == zone.name) {
                return Err(not_in_zone(kind.name, &zone.name, &offered));
            }
            let left = left(zone);
            if left >= minimum {
                return Ok((zone.clone(), left.min(maximum)));
            }
            if order.is_spot {
                return Err(no_spot_capacity());
            }
            let others: Vec<&str> = offered
                .iter()
                .filter(|other| {
                    region.capacity.left(&other.name, kind.name) >= minimum
                        && other.name != zone.name
                })
                .map(|other| other.name.as_str())
                .collect();
            return Err(no_capacity(kind.name, Some(&zone.name), &others));
        }
        // The first zone that has all, or the one that has most.
        let best = offered
            .iter()
            .find(|zone| left(zone) >= maximum)
            .or_else(|| offered.iter().max_by_key(|zone| left(zone)));
        match best {
            Some(zone) if left(zone) >= minimum => Ok(((*zone).clone(), left(zone).min(maximum))),
            _ if order.is_spot => Err(no_spot_capacity()),
            _ => Err(no_capacity(kind.name, None, &[])),
        }
    }

    /// How many instances the account may have; a refusal if these are fewer than `minimum`.
    fn afford(
        &mut self,
        region: &str,
        order: &Order,
        kind: &InstanceType,
        minimum: u32,
        mut count: u32,
    ) -> Result<u32, Refusal> {
        let now = self.now;
        let (buckets, scale) = (self.config.buckets, self.config.bucket_scale);
        let region = self.region_mut(region)?;
        let limit = if order.is_spot {
            region.quota.spot
        } else {
            region.quota.on_demand
        };
        if let Some(limit) = limit {
            let used: u32 = region
                .instances
                .behind(None)
                .map(|record| &record.instance)
                .filter(|instance| {
                    instance.state.is_alive()
                        && (instance.lifecycle == Lifecycle::Spot) == order.is_spot
                })
                .filter_map(|instance| catalog::instance_type(&instance.instance_type))
                .filter(|other| other.family() == kind.family())
                .map(|other| other.vcpus)
                .sum();
            count = count.min(limit.saturating_sub(used) / kind.vcpus);
            if count < minimum {
                return Err(no_quota(order.is_spot, limit));
            }
        }
        if buckets && !region.buckets.take(MACHINES, f64::from(count), scale, now) {
            return Err(too_many_requests());
        }
        Ok(count)
    }

    /// Makes the instances.
    fn place_in(
        &mut self,
        region_name: &str,
        order: &Order,
        kind: &InstanceType,
        zone: &Zone,
        count: u32,
    ) -> Launched {
        let reservation = self.new_id("r");
        let launched = self.timestamp();
        let (now, boot) = (self.now, self.config.boot_time);
        let mut tags = order.tags.clone();
        let owners = [
            ("aws:ec2:fleet-id", &order.fleet),
            ("aws:ec2spot:fleet-request-id", &order.spot_fleet),
            ("aws:autoscaling:groupName", &order.group),
        ];
        for (key, owner) in owners {
            if let Some(owner) = owner {
                tags.insert(key.to_owned(), owner.clone());
            }
        }
        let mut ids = Vec::new();
        for index in 0..count {
            let id = self.new_id("i");
            let serial = self.next_serial();
            let Some(region) = self.regions.get_mut(region_name) else {
                break;
            };
            region.capacity.take(&zone.name, kind.name, 1);
            region.addresses = region.addresses.wrapping_add(1);
            let private_ip = private_address(zone, region.addresses);
            let groups = if order.security_groups.is_empty() {
                vec![region.security_group.clone()]
            } else {
                order.security_groups.clone()
            };
            region.instances.add(Record {
                instance: Instance {
                    id: id.clone(),
                    region: region_name.to_owned(),
                    zone: zone.name.clone(),
                    subnet: zone.subnet.clone(),
                    instance_type: kind.name.to_owned(),
                    image: order.image.clone(),
                    state: State::Pending,
                    state_reason: None,
                    tags: tags.clone(),
                    lifecycle: if order.is_spot {
                        Lifecycle::Spot
                    } else {
                        Lifecycle::OnDemand
                    },
                    reservation: reservation.clone(),
                    launch_index: index,
                    launched,
                    client_token: order.client_token.clone(),
                    private_ip,
                    public_ip: order.public.unwrap_or(true).then(|| public_address(serial)),
                    key_name: order.key_name.clone(),
                    security_groups: groups,
                    profile: order.profile.clone(),
                    user_data: order.user_data.clone(),
                    requires_token: order.requires_token,
                    root_gib: order.root_gib,
                    fleet: order.fleet.clone(),
                    spot_fleet: order.spot_fleet.clone(),
                    group: order.group.clone(),
                },
                launched: moment(launched),
                history: vec![(now, State::Pending)],
            });
            self.schedule(boot, Event::Running(region_name.to_owned(), id.clone()));
            rest::instance_changed(self, region_name, &id, State::Pending);
            ids.push(id);
        }
        if let Some(region) = self.regions.get_mut(region_name) {
            region.reservations.insert(reservation.clone(), ids.clone());
        }
        Launched { reservation, ids }
    }
}

/// Refuses user data that nobody encoded.
pub(crate) fn check_base64(data: &str) -> Result<(), Refusal> {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || b"+/".contains(&byte);
    let digits = data.trim_end_matches('=');
    if data.len().is_multiple_of(4) && data.len() - digits.len() < 3 && digits.bytes().all(is_digit)
    {
        return Ok(());
    }
    Err(Refusal::bad(
        "InvalidUserData.Malformed",
        "Invalid BASE64 encoding of user data.",
    ))
}

/// An address in the subnet of a zone. Addresses come back after 16,384 machines.
fn private_address(zone: &Zone, number: u16) -> String {
    let [high, low] = number.to_be_bytes();
    format!("172.31.{}.{low}", zone.number * 64 + high % 64)
}

/// A public address that leads nowhere but to this machine, so that nobody is ever bothered.
fn public_address(serial: u64) -> String {
    let [.., a, b, c] = serial.to_be_bytes();
    format!("127.{}.{b}.{c}", 64 + a % 64)
}

/// Reads a price such as `0.0312`.
pub(crate) fn micro_dollars(text: &str) -> Result<u64, Refusal> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{fraction:0<6}");
    let whole = if whole.is_empty() { "0" } else { whole };
    let read = |digits: &str| digits.parse::<u64>().ok();
    read(whole)
        .zip(digits.get(..6).and_then(read))
        .map(|(whole, fraction)| whole * 1_000_000 + fraction)
        .ok_or_else(|| {
            Refusal::bad(
                "InvalidParameterValue",
                format!("Invalid value '{text}' for price"),
            )
        })
}

/// Writes a price such as `0.031200`, as EC2 does.
pub(crate) fn dollars(micro_dollars: u64) -> String {
    format!(
        "{}.{:06}",
        micro_dollars / 1_000_000,
        micro_dollars % 1_000_000
    )
}

fn no_region(name: &str) -> Refusal {
    Refusal::new(
        401,
        "AuthFailure",
        format!("AWS was not able to validate the provided access credentials for {name}"),
    )
}

fn not_in_zone(kind: &str, zone: &str, offered: &[&Zone]) -> Refusal {
    let others: Vec<_> = offered.iter().map(|zone| zone.name.as_str()).collect();
    Refusal::bad(
        "Unsupported",
        format!(
            "Your requested instance type ({kind}) is not supported in your requested Availability \
             Zone ({zone}). Please retry your request by not specifying an Availability Zone or \
             choosing {}.",
            others.join(", ")
        ),
    )
}

/// The sentence with its hints is the one that EC2 sends.
fn no_capacity(kind: &str, zone: Option<&str>, others: &[&str]) -> Refusal {
    let Some(zone) = zone else {
        return Refusal::new(
            500,
            "InsufficientInstanceCapacity",
            format!(
                "We currently do not have sufficient {kind} capacity in zones with support for \
                 'gp3' volumes. Our system will be working on provisioning additional capacity."
            ),
        );
    };
    let hint = if others.is_empty() {
        String::new()
    } else {
        format!(
            " You can currently get {kind} capacity by not specifying an Availability Zone in your \
             request or choosing {}.",
            others.join(", ")
        )
    };
    let message = format!(
        "We currently do not have sufficient {kind} capacity in the Availability Zone you \
         requested ({zone}). Our system will be working on provisioning additional \
         capacity.{hint}"
    );
    Refusal::new(500, "InsufficientInstanceCapacity", message)
}

/// For spot, EC2 gives no hints.
fn no_spot_capacity() -> Refusal {
    Refusal::new(
        500,
        "InsufficientInstanceCapacity",
        "There is no Spot capacity available that matches your request.",
    )
}

fn no_quota(is_spot: bool, limit: u32) -> Refusal {
    if is_spot {
        return Refusal::bad(
            "MaxSpotInstanceCountExceeded",
            "Max spot instance count exceeded",
        );
    }
    Refusal::bad(
        "VcpuLimitExceeded",
        format!(
            "You have requested more vCPU capacity than your current vCPU limit of {limit} allows \
             for the instance bucket that the specified instance type belongs to. Please visit \
             http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit."
        ),
    )
}

/// The refusal of every empty bucket.
pub(crate) fn too_many_requests() -> Refusal {
    Refusal::new(503, "RequestLimitExceeded", "Request limit exceeded.")
}
