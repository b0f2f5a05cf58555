//! How an instance is written into an answer.

use jiff::Timestamp;

use super::filters::write_tags;
use crate::catalog;
use crate::world::World;
use crate::world::instance::{Lifecycle, Record, State};
use crate::world::region::Region;
use crate::xml::Xml;

/// A moment as EC2 writes it: milliseconds, UTC.
pub(crate) fn moment(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// Instances with the state to show, grouped into runs of the same reservation.
pub(super) fn write_reservations(
    xml: &mut Xml,
    world: &World,
    region: &Region,
    shown: &[(&Record, State)],
) {
    let runs = shown.chunk_by(|a, b| a.0.instance.reservation == b.0.instance.reservation);
    xml.items("reservationSet", runs, |xml, run| {
        let reservation = &run[0].0.instance.reservation;
        write_reservation(xml, world, region, reservation, run);
    });
}

/// One reservation with some of its instances.
pub(super) fn write_reservation(
    xml: &mut Xml,
    world: &World,
    region: &Region,
    reservation: &str,
    shown: &[(&Record, State)],
) {
    xml.text("reservationId", reservation);
    xml.text("ownerId", &world.config.account);
    xml.within("groupSet", |_| {});
    xml.items("instancesSet", shown, |xml, (record, state)| {
        write_instance(xml, world, region, record, *state);
    });
}

fn write_instance(xml: &mut Xml, world: &World, region: &Region, record: &Record, state: State) {
    let instance = &record.instance;
    let is_there = state.is_alive() || state == State::ShuttingDown;
    xml.plain("instanceId", &instance.id);
    xml.plain("imageId", &instance.image);
    write_state(xml, "instanceState", state);
    let private_ip = is_there.then_some(&instance.private_ip);
    let public_ip = instance
        .public_ip
        .as_ref()
        .filter(|_| state == State::Running);
    let dashed = |ip: &String| ip.replace('.', "-");
    let (private_zone, public_zone) = dns_zones(&region.name);
    let private_name = private_ip.map(|ip| format!("ip-{}.{private_zone}", dashed(ip)));
    xml.plain("privateDnsName", &private_name.unwrap_or_default());
    let public_name = public_ip.map(|ip| format!("ec2-{}.{public_zone}", dashed(ip)));
    xml.plain("dnsName", &public_name.unwrap_or_default());
    let reason = instance.state_reason.as_ref().filter(|_| !state.is_alive());
    let initiated = format!("User initiated ({})", record.launched);
    xml.plain("reason", &reason.map(|_| initiated).unwrap_or_default());
    xml.optional("keyName", instance.key_name.as_ref());
    xml.text("amiLaunchIndex", instance.launch_index);
    xml.within("productCodes", |_| {});
    xml.plain("instanceType", &instance.instance_type);
    xml.plain("launchTime", &record.launched);
    xml.within("placement", |xml| {
        xml.plain("availabilityZone", &instance.zone);
        if let Some(zone) = region.zone(&instance.zone) {
            xml.plain("availabilityZoneId", &zone.id);
        }
        xml.plain("groupName", "");
        xml.plain("tenancy", "default");
    });
    xml.within("monitoring", |xml| xml.plain("state", "disabled"));
    if is_there {
        xml.plain("subnetId", &instance.subnet);
        xml.plain("vpcId", &region.vpc);
    }
    for (name, ip) in [("privateIpAddress", private_ip), ("ipAddress", public_ip)] {
        if let Some(ip) = ip {
            xml.plain(name, ip);
        }
    }
    xml.plain("sourceDestCheck", "true");
    let groups: &[String] = if is_there {
        &instance.security_groups
    } else {
        &[]
    };
    xml.items("groupSet", groups, |xml, _| {
        xml.plain("groupId", &region.security_group);
        xml.plain("groupName", "default");
    });
    if let Some((code, message)) = reason {
        xml.within("stateReason", |xml| {
            xml.text("code", code);
            xml.text("message", message);
        });
    }
    let kind = catalog::instance_type(&instance.instance_type);
    if let Some(kind) = kind {
        xml.plain("architecture", kind.architecture);
    }
    xml.plain("rootDeviceType", "ebs");
    xml.plain("rootDeviceName", "/dev/xvda");
    xml.within("blockDeviceMapping", |xml| {
        if is_there && state != State::Pending {
            write_volume(xml, record);
        }
    });
    xml.plain("virtualizationType", "hvm");
    xml.text(
        "clientToken",
        instance.client_token.as_deref().unwrap_or(""),
    );
    write_tags(xml, &instance.tags);
    xml.plain("hypervisor", "xen");
    if let Some(profile) = &instance.profile {
        let account = &world.config.account;
        let arn = if profile.starts_with("arn:") {
            profile.clone()
        } else {
            format!("arn:aws:iam::{account}:instance-profile/{profile}")
        };
        xml.within("iamInstanceProfile", |xml| {
            xml.text("arn", arn);
            xml.plain("id", "AIPA0123456789EXAMPLE");
        });
    }
    if instance.lifecycle == Lifecycle::Spot {
        xml.plain("instanceLifecycle", "spot");
        xml.plain("spotInstanceRequestId", &spot_request(&instance.id));
    }
    xml.plain("ebsOptimized", "false");
    xml.plain("enaSupport", "true");
    if let Some(kind) = kind {
        xml.within("cpuOptions", |xml| {
            let threads = if kind.architecture == "arm64" { 1 } else { 2 };
            xml.text("coreCount", kind.vcpus / threads);
            xml.text("threadsPerCore", threads);
        });
    }
    xml.within("metadataOptions", |xml| {
        xml.plain("state", "applied");
        let tokens = if instance.requires_token {
            "required"
        } else {
            "optional"
        };
        xml.plain("httpTokens", tokens);
        xml.text("httpPutResponseHopLimit", 1);
        xml.plain("httpEndpoint", "enabled");
    });
}

fn write_volume(xml: &mut Xml, record: &Record) {
    xml.within("item", |xml| {
        xml.plain("deviceName", "/dev/xvda");
        xml.within("ebs", |xml| {
            xml.plain("volumeId", &record.instance.id.replacen("i-", "vol-", 1));
            xml.plain("status", "attached");
            xml.plain("attachTime", &record.launched);
            xml.plain("deleteOnTermination", "true");
        });
    });
}

/// The DNS zones of private and of public names; the oldest region has older ones.
fn dns_zones(region: &str) -> (String, String) {
    if region == "us-east-1" {
        return (
            "ec2.internal".to_owned(),
            "compute-1.amazonaws.com".to_owned(),
        );
    }
    (
        format!("{region}.compute.internal"),
        format!("{region}.compute.amazonaws.com"),
    )
}

/// A state with its number.
pub(super) fn write_state(xml: &mut Xml, name: &str, state: State) {
    xml.within(name, |xml| {
        xml.text("code", state.code());
        xml.plain("name", state.as_str());
    });
}

/// The id of the spot request behind a spot instance.
pub(super) fn spot_request(instance: &str) -> String {
    let digits = instance.strip_prefix("i-").unwrap_or(instance);
    format!("sir-{}", digits.get(9..).unwrap_or(digits))
}
