//! Record sets: which are ours to write, and how they are read and written.

use std::net::{Ipv4Addr, Ipv6Addr};

use aws_sdk_route53::types::{ResourceRecord, ResourceRecordSet, RrType};
use fleetwright_core::ability::{DnsRecord, RecordKind};
use fleetwright_core::{Error, Kind, Result};

use super::REGION;
use super::text::{name_from_wire, name_to_wire, text_from_wire, text_to_wire};
use crate::error::At;

/// Whether a set has values of its own, and is the only one of its name and kind.
pub(super) fn is_plain(set: &ResourceRecordSet) -> bool {
    set.alias_target().is_none()
        && set.set_identifier().is_none()
        && set.traffic_policy_instance_id().is_none()
}

/// A set as a record, unless it is not one of ours.
pub(super) fn read(set: &ResourceRecordSet) -> Result<Option<DnsRecord>> {
    let at = At::new("ListResourceRecordSets", REGION);
    let kind = match set.r#type() {
        RrType::A => RecordKind::A,
        RrType::Aaaa => RecordKind::Aaaa,
        RrType::Cname => RecordKind::Cname,
        RrType::Txt => RecordKind::Txt,
        _ => return Ok(None),
    };
    if !is_plain(set) {
        return Ok(None);
    }
    let value = |record: &ResourceRecord| match kind {
        RecordKind::Txt => text_from_wire(record.value()),
        RecordKind::Cname => name_from_wire(record.value()),
        RecordKind::A | RecordKind::Aaaa => record.value().to_owned(),
    };
    Ok(Some(DnsRecord {
        name: name_from_wire(set.name()),
        kind,
        values: set.resource_records().iter().map(value).collect(),
        ttl_seconds: set
            .ttl()
            .and_then(|ttl| u32::try_from(ttl).ok())
            .ok_or_else(|| at.lacking("time to live"))?,
    }))
}

/// A record as a set.
pub(super) fn write(record: &DnsRecord) -> Result<ResourceRecordSet> {
    let value = |value: &String| match record.kind {
        RecordKind::Txt => text_to_wire(value),
        RecordKind::Cname => name_to_wire(value),
        RecordKind::A | RecordKind::Aaaa => value.clone(),
    };
    let records: Result<Vec<ResourceRecord>, _> = record
        .values
        .iter()
        .map(|text| ResourceRecord::builder().value(value(text)).build())
        .collect();
    let set = records.and_then(|records| {
        ResourceRecordSet::builder()
            .name(name_to_wire(&record.name))
            .r#type(rr_type(record.kind))
            .ttl(i64::from(record.ttl_seconds))
            .set_resource_records(Some(records))
            .build()
    });
    set.map_err(|error| {
        Error::new(Kind::Invalid, "the record cannot be written down").with_source(error)
    })
}

/// The vendor's word for a kind.
pub(super) fn rr_type(kind: RecordKind) -> RrType {
    match kind {
        RecordKind::A => RrType::A,
        RecordKind::Aaaa => RrType::Aaaa,
        RecordKind::Cname => RrType::Cname,
        RecordKind::Txt => RrType::Txt,
    }
}

/// What Route 53 would refuse in words of its own, or in part.
pub(super) fn check(record: &DnsRecord) -> Result<()> {
    let invalid = |message: String| Err(Error::new(Kind::Invalid, message));
    let (name, kind) = (&record.name, record.kind);
    if record.values.is_empty() {
        return invalid(format!("the record `{name}` has no values"));
    }
    if i32::try_from(record.ttl_seconds).is_err() {
        return invalid(format!(
            "a time to live of {} s; at most {} s are possible",
            record.ttl_seconds,
            i32::MAX
        ));
    }
    if kind == RecordKind::Cname && record.values.len() != 1 {
        return invalid(format!("the CNAME `{name}` must have one value"));
    }
    let unfit = record.values.iter().find(|value| match kind {
        RecordKind::A => value.parse::<Ipv4Addr>().is_err(),
        RecordKind::Aaaa => value.parse::<Ipv6Addr>().is_err(),
        RecordKind::Cname => value.is_empty(),
        RecordKind::Txt => false,
    });
    match unfit {
        Some(value) => invalid(format!(
            "`{value}` is not the value of a record of kind {kind}"
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_route53::types::AliasTarget;

    use super::*;

    fn set(kind: RrType) -> aws_sdk_route53::types::builders::ResourceRecordSetBuilder {
        ResourceRecordSet::builder()
            .name("\\052.Example.com.")
            .r#type(kind)
            .ttl(60)
    }

    fn value(text: &str) -> ResourceRecord {
        ResourceRecord::builder().value(text).build().unwrap()
    }

    #[test]
    fn a_record_is_read_without_escapes_and_quotes() {
        let text = set(RrType::Txt)
            .resource_records(value(r#""a \"b\" " "c""#))
            .build()
            .unwrap();
        let record = read(&text).unwrap().unwrap();
        assert_eq!(record.name, "*.example.com");
        assert_eq!(record.values, [r#"a "b" c"#]);
        assert_eq!(name_from_wire(&write(&record).unwrap().name), record.name);
    }

    #[test]
    fn what_could_not_be_written_back_is_not_listed() {
        let alias = AliasTarget::builder()
            .hosted_zone_id("Z9")
            .dns_name("web.elb.amazonaws.com")
            .evaluate_target_health(false)
            .build()
            .unwrap();
        let alias = set(RrType::A)
            .alias_target(alias)
            .set_ttl(None)
            .build()
            .unwrap();
        let weighted = set(RrType::A)
            .set_identifier("blue")
            .weight(1)
            .resource_records(value("192.0.2.1"))
            .build()
            .unwrap();
        let other = set(RrType::Mx)
            .resource_records(value("10 mail"))
            .build()
            .unwrap();
        for set in [alias, weighted, other] {
            assert_eq!(read(&set).unwrap(), None, "{set:?}");
        }
    }

    #[test]
    fn a_record_that_makes_no_sense_is_refused_here() {
        for (kind, values) in [
            (RecordKind::A, &[][..]),
            (RecordKind::A, &["2001:db8::1"]),
            (RecordKind::Aaaa, &["192.0.2.1"]),
            (RecordKind::Cname, &["a.example.com", "b.example.com"]),
        ] {
            let record = DnsRecord {
                name: "www.example.com".to_owned(),
                kind,
                values: values.iter().map(|value| (*value).to_owned()).collect(),
                ttl_seconds: 60,
            };
            assert_eq!(check(&record).unwrap_err().kind(), Kind::Invalid);
        }
    }
}
