//! What every account has: zones, the default network, images, key pairs.

use super::filters::{Filters, Page, write_tags};
use super::reply;
use super::show::moment;
use crate::answer::{Answer, Refusal};
use crate::catalog;
use crate::request::Request;
use crate::world::World;
use crate::xml::Xml;

pub(super) fn describe_zones(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let request_id = world.request_id();
    let filters = Filters::read(params)?;
    let names = params.texts("ZoneName");
    let region = world.region(&request.region)?;
    if let Some(unknown) = names.iter().find(|name| region.zone(name).is_none()) {
        return Err(Refusal::bad(
            "InvalidParameterValue",
            format!("Invalid availability zone: [{unknown}]"),
        ));
    }
    let mut found = Vec::new();
    for zone in &region.zones {
        let is_hit = filters.pass(&|name| match name {
            "zone-name" => Some(vec![zone.name.as_str()]),
            "zone-id" => Some(vec![zone.id.as_str()]),
            "region-name" => Some(vec![region.name.as_str()]),
            "state" => Some(vec!["available"]),
            "zone-type" => Some(vec!["availability-zone"]),
            "opt-in-status" => Some(vec!["opt-in-not-required"]),
            _ => None,
        })?;
        if is_hit && (names.is_empty() || names.contains(&zone.name)) {
            found.push(zone);
        }
    }
    Ok(reply(&request_id, "DescribeAvailabilityZones", |xml| {
        xml.items("availabilityZoneInfo", found, |xml, zone| {
            xml.text("zoneName", &zone.name);
            xml.text("zoneState", "available");
            xml.text("regionName", &region.name);
            xml.text("zoneId", &zone.id);
            xml.text("optInStatus", "opt-in-not-required");
            xml.text("zoneType", "availability-zone");
            xml.text("groupName", &region.name);
            xml.text("networkBorderGroup", &region.name);
            xml.within("messageSet", |_| {});
        });
    }))
}

pub(super) fn describe_regions(world: &mut World, request: &Request) -> Answer {
    let request_id = world.request_id();
    let wanted = request.params.texts("RegionName");
    let names = world.regions.keys();
    let found: Vec<&String> = names
        .filter(|name| wanted.is_empty() || wanted.contains(name))
        .collect();
    reply(&request_id, "DescribeRegions", |xml| {
        xml.items("regionInfo", found, |xml, name| {
            xml.text("regionName", name);
            xml.text("regionEndpoint", format!("ec2.{name}.amazonaws.com"));
            xml.text("optInStatus", "opt-in-not-required");
        });
    })
}

pub(super) fn describe_vpcs(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let request_id = world.request_id();
    let filters = Filters::read(params)?;
    let ids = params.texts("VpcId");
    let region = world.region(&request.region)?;
    if let Some(unknown) = ids.iter().find(|id| **id != region.vpc) {
        return Err(Refusal::bad(
            "InvalidVpcID.NotFound",
            format!("The vpc ID '{unknown}' does not exist"),
        ));
    }
    let is_hit = filters.pass(&|name| match name {
        "vpc-id" => Some(vec![region.vpc.as_str()]),
        "is-default" | "isDefault" => Some(vec!["true"]),
        "state" => Some(vec!["available"]),
        "cidr" => Some(vec!["172.31.0.0/16"]),
        _ => no_tags(name),
    })?;
    let account = &world.config.account;
    Ok(reply(&request_id, "DescribeVpcs", |xml| {
        xml.items("vpcSet", is_hit.then_some(()), |xml, ()| {
            xml.text("vpcId", &region.vpc);
            xml.text("ownerId", account);
            xml.text("state", "available");
            xml.text("cidrBlock", "172.31.0.0/16");
            xml.text("dhcpOptionsId", "dopt-00000000000000001");
            xml.text("instanceTenancy", "default");
            xml.text("isDefault", true);
            write_tags(xml, []);
        });
    }))
}

/// Nothing here has tags: filters on them find nothing.
fn no_tags(name: &str) -> Option<Vec<&'static str>> {
    (name.starts_with("tag:") || name == "tag-key").then(Vec::new)
}

pub(super) fn describe_subnets(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let request_id = world.request_id();
    let page = Page::read(params, (5, 1000), world.config.page_size)?;
    let filters = Filters::read(params)?;
    let ids = params.texts("SubnetId");
    let region = world.region(&request.region)?;
    if let Some(unknown) = ids.iter().find(|id| region.zone_of_subnet(id).is_none()) {
        return Err(Refusal::bad(
            "InvalidSubnetID.NotFound",
            format!("The subnet ID '{unknown}' does not exist"),
        ));
    }
    let mut found = Vec::new();
    for zone in &region.zones {
        let is_hit = filters.pass(&|name| match name {
            "subnet-id" => Some(vec![zone.subnet.as_str()]),
            "vpc-id" => Some(vec![region.vpc.as_str()]),
            "availability-zone" | "availabilityZone" => Some(vec![zone.name.as_str()]),
            "availability-zone-id" => Some(vec![zone.id.as_str()]),
            "default-for-az" | "defaultForAz" | "map-public-ip-on-launch" => Some(vec!["true"]),
            "state" => Some(vec!["available"]),
            _ => no_tags(name),
        })?;
        if is_hit && (ids.is_empty() || ids.contains(&zone.subnet)) {
            found.push(zone);
        }
    }
    let (found, next) = page.cut(found, |zone| zone.subnet.clone());
    let account = &world.config.account;
    Ok(reply(&request_id, "DescribeSubnets", |xml| {
        xml.items("subnetSet", found, |xml, zone| {
            let (id, name) = (&zone.subnet, &region.name);
            xml.text("subnetId", id);
            let arn = format!("arn:aws:ec2:{name}:{account}:subnet/{id}");
            xml.text("subnetArn", arn);
            xml.text("state", "available");
            xml.text("ownerId", account);
            xml.text("vpcId", &region.vpc);
            xml.text("cidrBlock", format!("172.31.{}.0/18", zone.number * 64));
            xml.text("availableIpAddressCount", 16379);
            xml.text("availabilityZone", &zone.name);
            xml.text("availabilityZoneId", &zone.id);
            xml.text("defaultForAz", true);
            xml.text("mapPublicIpOnLaunch", true);
            write_tags(xml, []);
        });
        xml.optional("nextToken", next);
    }))
}

pub(super) fn describe_security_groups(
    world: &mut World,
    request: &Request,
) -> Result<Answer, Refusal> {
    let params = &request.params;
    let request_id = world.request_id();
    let filters = Filters::read(params)?;
    let region = world.region(&request.region)?;
    let group = &region.security_group;
    let (ids, names) = (params.texts("GroupId"), params.texts("GroupName"));
    let unknown_id = ids.iter().find(|id| *id != group);
    let unknown_name = names.iter().find(|name| *name != "default");
    if let Some(unknown) = unknown_id.or(unknown_name) {
        return Err(Refusal::bad(
            "InvalidGroup.NotFound",
            format!("The security group '{unknown}' does not exist"),
        ));
    }
    let is_hit = filters.pass(&|name| match name {
        "group-id" => Some(vec![group.as_str()]),
        "group-name" => Some(vec!["default"]),
        "vpc-id" => Some(vec![region.vpc.as_str()]),
        "description" => Some(vec![GROUP]),
        _ => no_tags(name),
    })?;
    let account = &world.config.account;
    Ok(reply(&request_id, "DescribeSecurityGroups", |xml| {
        xml.items("securityGroupInfo", is_hit.then_some(()), |xml, ()| {
            xml.text("ownerId", account);
            xml.text("groupId", group);
            xml.text("groupName", "default");
            xml.text("groupDescription", GROUP);
            xml.text("vpcId", &region.vpc);
            xml.within("ipPermissions", |_| {});
            xml.within("ipPermissionsEgress", |_| {});
            write_tags(xml, []);
        });
    }))
}

const GROUP: &str = "default VPC security group";

pub(super) fn describe_key_pairs(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let request_id = world.request_id();
    let filters = Filters::read(params)?;
    let names = params.texts("KeyName");
    let created = moment(world.timestamp_of(world.now));
    let region = world.region(&request.region)?;
    if let Some(unknown) = names.iter().find(|name| !region.keys.contains(name)) {
        return Err(Refusal::bad(
            "InvalidKeyPair.NotFound",
            format!("The key pair '{unknown}' does not exist"),
        ));
    }
    let mut found = Vec::new();
    for key in &region.keys {
        let is_hit = filters.pass(&|name| match name {
            "key-name" => Some(vec![key.as_str()]),
            _ => no_tags(name),
        })?;
        if is_hit && (names.is_empty() || names.contains(key)) {
            found.push(key);
        }
    }
    Ok(reply(&request_id, "DescribeKeyPairs", |xml| {
        xml.items("keySet", found, |xml, key| {
            write_key(xml, key);
            xml.text("keyType", "ed25519");
            xml.text("createTime", &created);
            write_tags(xml, []);
        });
    }))
}

pub(super) fn import_key_pair(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let request_id = world.request_id();
    let name = request.params.required("KeyName")?.to_owned();
    request.params.required("PublicKeyMaterial")?;
    let region = world.region_mut(&request.region)?;
    if region.keys.contains(&name) {
        return Err(Refusal::bad(
            "InvalidKeyPair.Duplicate",
            format!("The keypair already exists: {name}"),
        ));
    }
    region.keys.push(name.clone());
    Ok(reply(&request_id, "ImportKeyPair", |xml| {
        write_key(xml, &name);
        write_tags(xml, []);
    }))
}

fn write_key(xml: &mut Xml, name: &str) {
    xml.text("keyPairId", "key-00000000000000001");
    xml.text("keyName", name);
    xml.text(
        "keyFingerprint",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    );
}

pub(super) fn describe_images(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let params = &request.params;
    let request_id = world.request_id();
    let page = Page::read(params, (1, 1000), world.config.page_size)?;
    let filters = Filters::read(params)?;
    let ids = params.texts("ImageId");
    let owners = params.texts("Owner");
    world.region(&request.region)?;
    for id in &ids {
        catalog::image(&request.region, id)?;
    }
    let images = catalog::images(&request.region);
    let mut found = Vec::new();
    for image in &images {
        let is_owned = owners.is_empty()
            || owners.iter().any(|owner| {
                owner == image.owner || image.owner_alias.is_some_and(|alias| alias == owner)
            });
        let is_hit = filters.pass(&|name| {
            Some(match name {
                "name" => vec![image.name],
                "architecture" => vec![image.architecture],
                "image-id" => vec![image.id.as_str()],
                "owner-id" => vec![image.owner],
                "owner-alias" => image.owner_alias.into_iter().collect(),
                "state" => vec!["available"],
                "root-device-type" => vec!["ebs"],
                "virtualization-type" => vec!["hvm"],
                "image-type" => vec!["machine"],
                "is-public" => vec!["true"],
                "hypervisor" => vec!["xen"],
                _ => return no_tags(name),
            })
        })?;
        if is_owned && is_hit && (ids.is_empty() || ids.contains(&image.id)) {
            found.push(image);
        }
    }
    let (found, next) = page.cut(found, |image| image.id.clone());
    Ok(reply(&request_id, "DescribeImages", |xml| {
        xml.items("imagesSet", found, |xml, image| {
            xml.text("imageId", &image.id);
            let location = format!(
                "{}/{}",
                image.owner_alias.unwrap_or(image.owner),
                image.name
            );
            xml.text("imageLocation", location);
            xml.text("imageState", "available");
            xml.text("imageOwnerId", image.owner);
            xml.text("creationDate", image.created);
            xml.text("isPublic", true);
            xml.text("architecture", image.architecture);
            xml.text("imageType", "machine");
            xml.optional("imageOwnerAlias", image.owner_alias);
            xml.text("name", image.name);
            xml.text("rootDeviceType", "ebs");
            xml.text("rootDeviceName", image.root_device);
            xml.items("blockDeviceMapping", [()], |xml, ()| {
                xml.text("deviceName", image.root_device);
                xml.within("ebs", |xml| {
                    xml.text("snapshotId", image.id.replacen("ami-", "snap-", 1));
                    xml.text("volumeSize", 8);
                    xml.text("deleteOnTermination", true);
                    xml.text("volumeType", "gp3");
                    xml.text("encrypted", false);
                });
            });
            xml.text("virtualizationType", "hvm");
            xml.text("hypervisor", "xen");
            xml.text("enaSupport", true);
            xml.text("platformDetails", "Linux/UNIX");
            write_tags(xml, []);
        });
        xml.optional("nextToken", next);
    }))
}
