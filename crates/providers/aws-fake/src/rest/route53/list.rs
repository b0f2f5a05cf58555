//! Listing zones and records.

use super::record::{Record, canonical, labels};
use super::{Zone, id_in, reply, zone_of};
use crate::answer::{Answer, Refusal};
use crate::request::Request;
use crate::world::World;
use crate::xml::Xml;

/// `ListHostedZones`: by id.
pub(super) fn zones(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let size = size(world, request, 100)?;
    let marker = request.query.text("marker").unwrap_or_default();
    let mut found = world
        .rest
        .route53
        .zones
        .values()
        .filter(|zone| zone.id.as_str() >= marker);
    let page: Vec<&Zone> = found.by_ref().take(size).collect();
    let next = found.next();
    Ok(reply("ListHostedZones", |xml| {
        write_zones(xml, &page);
        xml.text("Marker", marker);
        xml.text("IsTruncated", next.is_some());
        xml.optional("NextMarker", next.map(|zone| &zone.id));
        xml.text("MaxItems", size);
    }))
}

/// `ListHostedZonesByName`: in the order of their names, read from the end.
pub(super) fn zones_by_name(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let size = size(world, request, 100)?;
    let start = request.query.text("dnsname");
    let from = start.map(|name| labels(&canonical(name)));
    let id = request.query.text("hostedzoneid").unwrap_or_default();
    let mut zones: Vec<&Zone> = world.rest.route53.zones.values().collect();
    let place = |zone: &Zone| (labels(&zone.name), zone.id.clone());
    zones.sort_by_key(|zone| place(zone));
    let mut found = zones.into_iter().filter(|zone| {
        from.as_ref()
            .is_none_or(|from| place(zone) >= (from.clone(), id.to_owned()))
    });
    let page: Vec<&Zone> = found.by_ref().take(size).collect();
    let next = found.next();
    Ok(reply("ListHostedZonesByName", |xml| {
        write_zones(xml, &page);
        xml.optional("DNSName", start);
        xml.text("IsTruncated", next.is_some());
        xml.optional("NextDNSName", next.map(|zone| &zone.name));
        xml.optional("NextHostedZoneId", next.map(|zone| &zone.id));
        xml.text("MaxItems", size);
    }))
}

/// `GetHostedZone`.
pub(super) fn zone(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let zone = zone_of(world, request)?;
    debug_assert_eq!(zone.id, id_in(request));
    Ok(reply("GetHostedZone", |xml| {
        xml.within("HostedZone", |xml| write_zone(xml, zone));
        xml.within("DelegationSet", |xml| {
            xml.within("NameServers", |xml| {
                xml.text("NameServer", "ns-1.awsdns-01.org");
            });
        });
    }))
}

/// `ListResourceRecordSets`: in order, beginning at a name and type.
pub(super) fn records(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let size = size(world, request, 300)?;
    let zone = zone_of(world, request)?;
    let query = &request.query;
    let kind = query.text("type").unwrap_or_default();
    if !kind.is_empty() && query.text("name").is_none() {
        return Err(Refusal::bad(
            "InvalidInput",
            "The input is not valid: a type needs a name",
        ));
    }
    let set = query.text("identifier").unwrap_or_default();
    let start = query
        .text("name")
        .map(|name| (labels(&canonical(name)), kind.to_owned(), set.to_owned()));
    let mut found = zone
        .records
        .iter()
        .filter(|(key, _)| start.as_ref().is_none_or(|start| *key >= start))
        .map(|(_, record)| record);
    let page: Vec<&Record> = found.by_ref().take(size).collect();
    let next = found.next();
    Ok(reply("ListResourceRecordSets", |xml| {
        xml.list(
            "ResourceRecordSets",
            "ResourceRecordSet",
            page,
            |xml, record| {
                record.write(xml);
            },
        );
        xml.text("IsTruncated", next.is_some());
        xml.optional("NextRecordName", next.map(|record| &record.name));
        xml.optional("NextRecordType", next.map(|record| &record.kind));
        let set = next.map(Record::set).filter(|set| !set.is_empty());
        xml.optional("NextRecordIdentifier", set);
        xml.text("MaxItems", size);
    }))
}

fn write_zones(xml: &mut Xml, zones: &[&Zone]) {
    xml.list("HostedZones", "HostedZone", zones, |xml, zone| {
        write_zone(xml, zone);
    });
}

fn write_zone(xml: &mut Xml, zone: &Zone) {
    xml.text("Id", format!("/hostedzone/{}", zone.id));
    xml.text("Name", &zone.name);
    xml.text("CallerReference", &zone.id);
    xml.within("Config", |xml| xml.text("PrivateZone", false));
    xml.text("ResourceRecordSetCount", zone.records.len());
}

/// How many entries a page has.
fn size(world: &World, request: &Request, most: usize) -> Result<usize, Refusal> {
    let asked = match request.query.text("maxitems") {
        None => None,
        Some(text) => Some(text.parse::<usize>().map_err(|_| {
            Refusal::bad(
                "InvalidInput",
                format!("The input is not valid: '{text}' is no number"),
            )
        })?),
    };
    Ok(crate::rest::query::page_size(world, asked, most, most))
}
