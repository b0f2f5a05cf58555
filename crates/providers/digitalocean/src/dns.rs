//! Names: the domains of the team and their records.
//!
//! DigitalOcean keeps one record per value, so a record set is all records of one name and kind.
//! <https://docs.digitalocean.com/reference/api/reference/domain-records/>

use std::collections::BTreeMap;

use async_trait::async_trait;
use fleetwright_core::ability::{DnsRecord, RecordKind};
use fleetwright_core::{Dns, Effect, Error, Kind, Result};

use crate::api::RecordWish;
use crate::provider::DigitalOceanProvider;
use crate::wire::DomainRecord;

/// What a record has whose time to live is not told.
const DEFAULT_TTL: u32 = 1_800;

#[async_trait]
impl Dns for DigitalOceanProvider {
    async fn list_zones(&self) -> Result<Vec<String>> {
        let domains = self.api().domains().await?;
        Ok(domains.into_iter().map(|domain| domain.name).collect())
    }

    async fn list_records(&self, zone: &str) -> Result<Vec<DnsRecord>> {
        let mut sets: BTreeMap<(String, RecordKind), DnsRecord> = BTreeMap::new();
        for record in self.api().records(zone).await? {
            let Some(kind) = kind(&record.kind) else {
                continue;
            };
            let name = full_name(&record.name, zone);
            let set = sets
                .entry((name.clone(), kind))
                .or_insert_with(|| DnsRecord {
                    name,
                    kind,
                    values: Vec::new(),
                    ttl_seconds: record.ttl.unwrap_or(DEFAULT_TTL),
                });
            set.values.push(value(kind, &record.data, zone));
        }
        Ok(sets.into_values().collect())
    }

    /// Values that are there stay, others take the place of those that are not wanted: a name is
    /// never without a record in between.
    async fn upsert(&self, zone: &str, record: &DnsRecord) -> Result<()> {
        if record.values.is_empty() {
            return Err(Error::new(
                Kind::Invalid,
                format!("the record `{}` has no values", record.name),
            ));
        }
        let name = relative_name(&record.name, zone)?;
        let word = record.kind.to_string();
        let mut known = self.records_of(zone, &record.name, record.kind).await?;
        let mut new = Vec::new();
        let mut kept = Vec::new();
        for wanted in &record.values {
            let is_it = |one: &DomainRecord| value(record.kind, &one.data, zone) == *wanted;
            match known.iter().position(is_it) {
                Some(at) => kept.push(known.swap_remove(at)),
                None => new.push(wanted),
            }
        }
        let ttl = record.ttl_seconds;
        let mut has_begun = false;
        for one in kept.iter().filter(|one| one.ttl != Some(ttl)) {
            let wish = RecordWish {
                kind: &word,
                name,
                data: &data(record.kind, &value(record.kind, &one.data, zone)),
                ttl,
            };
            let replaced = self.api().replace_record(zone, one.id, &wish).await;
            replaced.map_err(|error| partly(error, has_begun))?;
            has_begun = true;
        }
        for wanted in new {
            let wish = RecordWish {
                kind: &word,
                name,
                data: &data(record.kind, wanted),
                ttl,
            };
            let written = match known.pop() {
                Some(old) => self.api().replace_record(zone, old.id, &wish).await,
                None => self.api().add_record(zone, &wish).await,
            };
            written.map_err(|error| partly(error, has_begun))?;
            has_begun = true;
        }
        self.delete_all(zone, known, has_begun).await
    }

    async fn remove(&self, zone: &str, name: &str, kind: RecordKind) -> Result<()> {
        relative_name(name, zone)?;
        let known = self.records_of(zone, name, kind).await?;
        self.delete_all(zone, known, false).await
    }
}

impl DigitalOceanProvider {
    async fn records_of(
        &self,
        zone: &str,
        name: &str,
        kind: RecordKind,
    ) -> Result<Vec<DomainRecord>> {
        let word = kind.to_string();
        let mut records = self.api().records_of(zone, name, &word).await?;
        records.retain(|one| one.kind == word && full_name(&one.name, zone) == name);
        Ok(records)
    }

    async fn delete_all(
        &self,
        zone: &str,
        records: Vec<DomainRecord>,
        mut has_begun: bool,
    ) -> Result<()> {
        for record in records {
            match self.api().delete_record(zone, record.id).await {
                Err(error) if error.kind() == Kind::NotFound => {}
                other => other.map_err(|error| partly(error, has_begun))?,
            }
            has_begun = true;
        }
        Ok(())
    }
}

/// A change of several records that breaks off has happened in part, if one was changed before.
fn partly(error: Error, has_begun: bool) -> Error {
    if has_begun {
        error.with_effect(Effect::Unknown)
    } else {
        error
    }
}

fn kind(word: &str) -> Option<RecordKind> {
    Some(match word {
        "A" => RecordKind::A,
        "AAAA" => RecordKind::Aaaa,
        "CNAME" => RecordKind::Cname,
        "TXT" => RecordKind::Txt,
        _ => return None,
    })
}

fn full_name(relative: &str, zone: &str) -> String {
    if relative == "@" {
        zone.to_owned()
    } else {
        format!("{relative}.{zone}")
    }
}

/// A full name as DigitalOcean writes it: without the domain, `@` for the domain itself.
fn relative_name<'n>(name: &'n str, zone: &str) -> Result<&'n str> {
    if name == zone {
        return Ok("@");
    }
    name.strip_suffix(zone)
        .and_then(|name| name.strip_suffix('.'))
        .filter(|name| !name.is_empty())
        .ok_or_else(|| {
            Error::new(
                Kind::Invalid,
                format!("the name `{name}` is not in the zone `{zone}`"),
            )
        })
}

/// A value as we write it: aliases in full and without the trailing dot.
fn value(kind: RecordKind, data: &str, zone: &str) -> String {
    match kind {
        RecordKind::Cname if data == "@" => zone.to_owned(),
        RecordKind::Cname => data.trim_end_matches('.').to_owned(),
        _ => data.to_owned(),
    }
}

/// A value as DigitalOcean takes it: an alias that does not end with a dot would be relative to the
/// domain.
fn data(kind: RecordKind, value: &str) -> String {
    match kind {
        RecordKind::Cname => format!("{value}."),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_relative_to_their_zone_and_no_other() {
        assert_eq!(relative_name("example.com", "example.com").unwrap(), "@");
        assert_eq!(
            relative_name("a.b.example.com", "example.com").unwrap(),
            "a.b"
        );
        for name in ["example.org", "badexample.com", ".example.com", ""] {
            let error = relative_name(name, "example.com").unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{name}");
        }
        assert_eq!(full_name("@", "example.com"), "example.com");
        assert_eq!(full_name("a.b", "example.com"), "a.b.example.com");
    }

    #[test]
    fn an_alias_is_full_on_both_sides() {
        assert_eq!(data(RecordKind::Cname, "a.example.org"), "a.example.org.");
        for (data, full) in [
            ("a.example.org", "a.example.org"),
            ("a.example.org.", "a.example.org"),
            ("@", "example.com"),
        ] {
            assert_eq!(value(RecordKind::Cname, data, "example.com"), full);
        }
        assert_eq!(
            value(RecordKind::Txt, "ends with.", "example.com"),
            "ends with."
        );
    }
}
