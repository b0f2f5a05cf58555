//! Changing records: all changes of a batch, or none.

use std::collections::BTreeMap;

use super::record::{Key, Record};
use super::{Change, id_in, reply, zone_of};
use crate::answer::{Answer, Refusal};
use crate::markup::Element;
use crate::request::Request;
use crate::world::World;
use crate::xml::Xml;

/// A batch may have this many record values; an UPSERT counts twice.
///
/// <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html>
const MOST_RECORDS: usize = 1_000;

/// `ChangeResourceRecordSets`.
pub(super) fn change(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let zone = zone_of(world, request)?;
    let (id, zone_name) = (zone.id.clone(), zone.name.clone());
    let root = Element::parse(&request.body)
        .map_err(|error| Refusal::bad("InvalidInput", format!("Invalid XML ; {error}")))?;
    let batch = root.child("ChangeBatch");
    let changes: &[Element<'_>] = batch
        .and_then(|batch| batch.child("Changes"))
        .map_or(&[], |changes| &changes.children);
    if changes.is_empty() {
        return Err(invalid_input("Missing field 'Changes'"));
    }
    let mut records = zone.records.clone();
    let mut faults = Vec::new();
    let mut count = 0;
    for change in changes {
        let action = change.child_text("Action").unwrap_or_default();
        let Some(set) = change.child("ResourceRecordSet") else {
            return Err(invalid_input("Missing field 'ResourceRecordSet'"));
        };
        let record = Record::read(set);
        if !record.is_alias() && (record.ttl.is_none() || record.values.is_empty()) {
            let (name, kind) = (&record.name, &record.kind);
            return Err(invalid_input(&format!(
                "Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or \
                 TrafficPolicyInstanceId], but found none in Change with [Action={action}, \
                 Name={name}, Type={kind}, SetIdentifier=null]"
            )));
        }
        count += record.values.len() * if action == "UPSERT" { 2 } else { 1 };
        let fault = record
            .fault(&zone_name)
            .or_else(|| apply(&mut records, action, record, &zone_name));
        faults.extend(fault);
    }
    if count > MOST_RECORDS {
        faults = vec![format!(
            "Number of records limit of {MOST_RECORDS} exceeded."
        )];
    }
    if !faults.is_empty() {
        return Err(Refusal::bad(
            "InvalidChangeBatch",
            format!("[{}]", faults.join(", ")),
        ));
    }
    let change = Change {
        id: format!("C{:020X}", world.next_serial()),
        at: world.now,
        shown: world.timestamp(),
        comment: batch
            .and_then(|batch| batch.child_text("Comment"))
            .map(ToOwned::to_owned),
    };
    if let Some(zone) = world.rest.route53.zones.get_mut(&id) {
        zone.records = records;
    }
    let answer = reply("ChangeResourceRecordSets", |xml| write(xml, world, &change));
    world.rest.route53.changes.insert(change.id.clone(), change);
    Ok(answer)
}

/// `GetChange`.
pub(super) fn get(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    let id = id_in(request);
    let change = world.rest.route53.changes.get(id).ok_or_else(|| {
        Refusal::new(
            404,
            "NoSuchChange",
            format!("Could not find resource with ID: {id}"),
        )
    })?;
    Ok(reply("GetChange", |xml| write(xml, world, change)))
}

/// Makes one change, or says what is wrong with it.
fn apply(
    records: &mut BTreeMap<Key, Record>,
    action: &str,
    record: Record,
    zone: &str,
) -> Option<String> {
    let key = record.key();
    let (name, kind) = (record.name.clone(), record.kind.clone());
    let set = match record.set() {
        "" => String::new(),
        set => format!(", set-identifier='{set}'"),
    };
    let what = format!("resource record set [name='{name}', type='{kind}'{set}]");
    match (action, records.get(&key)) {
        ("CREATE", Some(_)) => {
            return Some(format!("Tried to create {what} but it already exists"));
        }
        ("CREATE" | "UPSERT", _) => {
            let conflict = records.values().find(|other| {
                other.name == name
                    && other.kind != kind
                    && (other.kind == "CNAME" || kind == "CNAME")
            });
            if let Some(other) = conflict {
                return Some(format!(
                    "RRSet of type {kind} with DNS name {name} is not permitted because a \
                     conflicting RRSet of type {} with the same DNS name already exists in zone \
                     {zone}",
                    other.kind
                ));
            }
            records.insert(key, record);
        }
        ("DELETE", None) => {
            return Some(format!("Tried to delete {what} but it was not found"));
        }
        ("DELETE", Some(old)) if !old.says_the_same(&record) => {
            return Some(format!(
                "Tried to delete {what} but the values provided do not match the current values"
            ));
        }
        ("DELETE", Some(_)) if name == zone && (kind == "NS" || kind == "SOA") => {
            return Some(format!(
                "A HostedZone must contain at least one {kind} record for the zone itself."
            ));
        }
        ("DELETE", Some(_)) => {
            records.remove(&key);
        }
        _ => return Some(format!("'{action}' is no action")),
    }
    None
}

fn write(xml: &mut Xml, world: &World, change: &Change) {
    let is_done = change.at + world.rest.route53.sync <= world.now;
    xml.within("ChangeInfo", |xml| {
        xml.text("Id", format!("/change/{}", change.id));
        xml.text("Status", if is_done { "INSYNC" } else { "PENDING" });
        xml.text("SubmittedAt", crate::rest::query::stamp(change.shown));
        xml.optional("Comment", change.comment.as_ref());
    });
}

fn invalid_input(message: &str) -> Refusal {
    Refusal::bad("InvalidInput", format!("Invalid request: {message}"))
}
