//! Names: zones and record sets of Scaleway Domains and DNS.
//!
//! One value is one record there, with a name below its zone. A set is changed by one call, whole.
//! <https://www.scaleway.com/en/developers/api/domains-and-dns/>

use std::collections::BTreeMap;

use async_trait::async_trait;
use fleetwright_core::ability::{DnsRecord, RecordKind};
use fleetwright_core::{Dns, Error, Kind, Result};

use crate::ScalewayProvider;
use crate::wire::{Record, RecordChange, RecordChanges, RecordIdentifier};

/// Longest string of a text record; longer texts are several strings.
/// <https://www.rfc-editor.org/rfc/rfc1035#section-3.3>
const STRING: usize = 255;

#[async_trait]
impl Dns for ScalewayProvider {
    async fn list_zones(&self) -> Result<Vec<String>> {
        let zones = self.api().dns_zones().await.complete()?;
        Ok(zones.iter().map(crate::wire::DnsZone::name).collect())
    }

    async fn list_records(&self, zone: &str) -> Result<Vec<DnsRecord>> {
        let records = self.api().records(zone).await.complete()?;
        let mut sets = BTreeMap::new();
        for record in records {
            // Kinds that we do not write are none of ours.
            let Some(kind) = kind(&record.kind) else {
                continue;
            };
            let name = if record.name.is_empty() {
                zone.to_owned()
            } else {
                format!("{}.{zone}", record.name)
            };
            let set = sets
                .entry((name.clone(), kind.to_string()))
                .or_insert_with(|| DnsRecord {
                    name,
                    kind,
                    values: Vec::new(),
                    ttl_seconds: record.ttl,
                });
            set.values.push(from_data(kind, &record.data));
        }
        Ok(sets.into_values().collect())
    }

    async fn upsert(&self, zone: &str, record: &DnsRecord) -> Result<()> {
        if record.values.is_empty() {
            return Err(Error::new(
                Kind::Invalid,
                format!("the record `{}` has no values", record.name),
            )
            .with_hint("to take a name out, remove it"));
        }
        let name = below(zone, &record.name)?;
        let records = record.values.iter().map(|value| Record {
            id: String::new(),
            data: to_data(record.kind, value),
            name: name.to_owned(),
            priority: 0,
            ttl: record.ttl_seconds,
            kind: word(record.kind).to_owned(),
        });
        let set = RecordChange::Set {
            id_fields: identifier(name, record.kind),
            records: records.collect(),
        };
        self.change(zone, set).await
    }

    async fn remove(&self, zone: &str, name: &str, kind: RecordKind) -> Result<()> {
        // What is not there cannot be removed, but may be asked to.
        let records = self.list_records(zone).await?;
        let mut same = records.iter().filter(|record| record.kind == kind);
        if !same.any(|record| record.name == name) {
            return Ok(());
        }
        let below = below(zone, name)?;
        let delete = RecordChange::Delete {
            id_fields: identifier(below, kind),
        };
        self.change(zone, delete).await
    }
}

impl ScalewayProvider {
    async fn change(&self, zone: &str, change: RecordChange<'_>) -> Result<()> {
        let changes = RecordChanges {
            changes: vec![change],
            // A zone with a slip of the pen in its name is not to be made.
            disallow_new_zone_creation: true,
            return_all_records: false,
        };
        self.api().change_records(zone, &changes).await
    }
}

fn identifier(name: &str, kind: RecordKind) -> RecordIdentifier<'_> {
    RecordIdentifier {
        name,
        kind: word(kind),
    }
}

/// The part of a name below its zone; empty for the zone itself.
fn below<'a>(zone: &str, name: &'a str) -> Result<&'a str> {
    if name == zone {
        return Ok("");
    }
    let below = name
        .strip_suffix(zone)
        .and_then(|rest| rest.strip_suffix('.'));
    below.ok_or_else(|| {
        Error::new(
            Kind::Invalid,
            format!("the name `{name}` is not in the zone `{zone}`"),
        )
        .with_hint(format!("it must end with `.{zone}`"))
    })
}

fn word(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::A => "A",
        RecordKind::Aaaa => "AAAA",
        RecordKind::Cname => "CNAME",
        RecordKind::Txt => "TXT",
    }
}

fn kind(word: &str) -> Option<RecordKind> {
    let known = [
        RecordKind::A,
        RecordKind::Aaaa,
        RecordKind::Cname,
        RecordKind::Txt,
    ];
    known
        .into_iter()
        .find(|kind| kind.to_string().eq_ignore_ascii_case(word))
}

/// Aliases end with a dot, or they would be names below the zone; texts stand in quotes.
fn to_data(kind: RecordKind, value: &str) -> String {
    match kind {
        RecordKind::A | RecordKind::Aaaa => value.to_owned(),
        RecordKind::Cname => format!("{}.", value.trim_end_matches('.')),
        RecordKind::Txt => {
            let mut strings = vec![String::new()];
            let mut length = 0;
            for character in value.chars() {
                if length + character.len_utf8() > STRING {
                    strings.push(String::new());
                    length = 0;
                }
                length += character.len_utf8();
                if let Some(last) = strings.last_mut() {
                    if matches!(character, '"' | '\\') {
                        last.push('\\');
                    }
                    last.push(character);
                }
            }
            format!("\"{}\"", strings.join("\" \""))
        }
    }
}

fn from_data(kind: RecordKind, data: &str) -> String {
    match kind {
        RecordKind::A | RecordKind::Aaaa => data.to_owned(),
        RecordKind::Cname => data.trim_end_matches('.').to_owned(),
        RecordKind::Txt if !data.starts_with('"') => data.to_owned(),
        RecordKind::Txt => {
            let (mut text, mut is_inside) = (String::new(), false);
            let mut characters = data.chars();
            while let Some(character) = characters.next() {
                match character {
                    '"' => is_inside = !is_inside,
                    '\\' => text.extend(characters.next()),
                    other if is_inside => text.push(other),
                    // Between two strings.
                    _ => {}
                }
            }
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_as_it_was() {
        let long = "é\"\\ x".repeat(100);
        for (kind, value) in [
            (RecordKind::A, "192.0.2.1"),
            (RecordKind::Cname, "target.example.org"),
            (RecordKind::Txt, "plain"),
            (RecordKind::Txt, "with space and = and ;"),
            (RecordKind::Txt, ""),
            (RecordKind::Txt, &long),
        ] {
            assert_eq!(from_data(kind, &to_data(kind, value)), value);
        }
        assert_eq!(to_data(RecordKind::Cname, "a.example."), "a.example.");
        assert_eq!(from_data(RecordKind::Txt, "unquoted text"), "unquoted text");
        assert_eq!(to_data(RecordKind::Txt, &"x".repeat(256)).len(), 256 + 5);
    }

    #[test]
    fn a_name_is_written_below_its_zone() {
        assert_eq!(below("example.com", "www.example.com").unwrap(), "www");
        assert_eq!(below("example.com", "example.com").unwrap(), "");
        for other in ["www.example.org", "wwwexample.com", "www"] {
            assert_eq!(
                below("example.com", other).unwrap_err().kind(),
                Kind::Invalid
            );
        }
    }
}
