//! Names: domains of Linode's DNS Manager. A record set is several records there, one per value.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use async_trait::async_trait;
use fleetwright_core::ability::{DnsRecord, RecordKind};
use fleetwright_core::{Dns, Error, Kind, Result};
use serde_json::json;

use crate::provider::LinodeProvider;
use crate::wire::{Domain, NewRecord, Record, RecordChange};

/// "Valid values are …; any other value will be rounded to the nearest valid value." We round up,
/// so that the same wish is always the same record.
/// <https://techdocs.akamai.com/linode-api/reference/post-domain-record>
const TTLS: [u32; 12] = [
    300, 3_600, 7_200, 14_400, 28_800, 57_600, 86_400, 172_800, 345_600, 604_800, 1_209_600,
    2_419_200,
];

/// "A value of 0 is equivalent to the default value of 86400."
const DEFAULT_TTL: u32 = 86_400;

/// Longest name of a record, without its domain.
const LONGEST_NAME: usize = 100;

#[async_trait]
impl Dns for LinodeProvider {
    /// The domains that can be written to: not the read-only copies of others.
    async fn list_zones(&self) -> Result<Vec<String>> {
        let all: Vec<Domain> = self.api().all(&["domains"], None).await?;
        let ours = all.into_iter().filter(is_writable);
        Ok(ours.map(|domain| domain.name).collect())
    }

    async fn list_records(&self, zone: &str) -> Result<Vec<DnsRecord>> {
        let domain = self.domain(zone).await?;
        let id = domain.id.to_string();
        let all: Vec<Record> = self.api().all(&["domains", &id, "records"], None).await?;
        let mut sets: BTreeMap<(String, String), DnsRecord> = BTreeMap::new();
        for record in all {
            let Some(kind) = kind_of(&record.kind) else {
                continue;
            };
            let name = full_name(&record.name, &domain.name);
            let ttl_seconds = ttl_of(&record, &domain);
            let set = sets
                .entry((name.clone(), record.kind.clone()))
                .or_insert_with(|| DnsRecord {
                    name,
                    kind,
                    values: Vec::new(),
                    ttl_seconds,
                });
            set.values.push(value_of(kind, &record.target));
            set.ttl_seconds = set.ttl_seconds.min(ttl_seconds);
        }
        Ok(sets.into_values().collect())
    }

    /// Writes the values one by one: Linode has no call for a set. What is there already is
    /// rewritten first, then values are added, then taken away, so that a name is never empty in
    /// between.
    async fn upsert(&self, zone: &str, record: &DnsRecord) -> Result<()> {
        check(record)?;
        let domain = self.domain(zone).await?;
        let name = short_name(&record.name, &domain.name)?;
        let ttl_sec = rounded(record.ttl_seconds);
        let mut surplus = self.records(&domain, &name, record.kind).await?;
        let mut missing: Vec<&String> = Vec::new();
        for value in &record.values {
            let wanted = value_of(record.kind, value);
            let same = |known: &Record| value_of(record.kind, &known.target) == wanted;
            match surplus.iter().position(same) {
                Some(at) => {
                    let known = surplus.swap_remove(at);
                    if ttl_of(&known, &domain) != ttl_sec {
                        self.rewrite(&domain, &known, &known.target, ttl_sec)
                            .await?;
                    }
                }
                None => missing.push(value),
            }
        }
        for value in missing {
            let reused = match surplus.pop() {
                Some(known) => self.rewrite(&domain, &known, value, ttl_sec).await?,
                None => false,
            };
            if !reused {
                let new = NewRecord {
                    kind: record.kind.to_string(),
                    name: &name,
                    target: value,
                    ttl_sec,
                };
                let id = domain.id.to_string();
                let path = ["domains", &id, "records"];
                self.api().post::<Record>(&path, &new).await?;
            }
        }
        self.erase(&domain, &surplus).await
    }

    async fn remove(&self, zone: &str, name: &str, kind: RecordKind) -> Result<()> {
        let domain = self.domain(zone).await?;
        let name = short_name(name, &domain.name)?;
        let known = self.records(&domain, &name, kind).await?;
        self.erase(&domain, &known).await
    }
}

impl LinodeProvider {
    async fn domain(&self, zone: &str) -> Result<Domain> {
        let name = zone.trim_end_matches('.').to_lowercase();
        let has = |domain: &Domain| domain.name.eq_ignore_ascii_case(&name);
        let found = self.api().named(&["domains"], "domain", &name, has).await?;
        found.into_iter().find(is_writable).ok_or_else(|| {
            Error::new(Kind::NotFound, format!("there is no domain `{zone}`"))
                .with_hint("read-only copies (`slave`) of domains elsewhere do not count")
        })
    }

    /// The records of a set.
    async fn records(&self, domain: &Domain, name: &str, kind: RecordKind) -> Result<Vec<Record>> {
        let id = domain.id.to_string();
        let kind = kind.to_string();
        let filter = if name.is_empty() {
            json!({ "type": kind })
        } else {
            json!({ "type": kind, "name": name })
        };
        let path = ["domains", &id, "records"];
        let mut all: Vec<Record> = self.api().all(&path, Some(&filter)).await?;
        let full = full_name(name, &domain.name);
        all.retain(|record| record.kind == kind && full_name(&record.name, &domain.name) == full);
        Ok(all)
    }

    /// Gives a record another value; `false` if it has gone meanwhile.
    async fn rewrite(
        &self,
        domain: &Domain,
        record: &Record,
        target: &str,
        ttl_sec: u32,
    ) -> Result<bool> {
        let (id, record) = (domain.id.to_string(), record.id.to_string());
        let path = ["domains", &id, "records", &record];
        self.api()
            .put(&path, &RecordChange { target, ttl_sec })
            .await
    }

    async fn erase(&self, domain: &Domain, records: &[Record]) -> Result<()> {
        for record in records {
            let (id, record) = (domain.id.to_string(), record.id.to_string());
            self.api()
                .remove(&["domains", &id, "records", &record])
                .await?;
        }
        Ok(())
    }
}

fn is_writable(domain: &Domain) -> bool {
    domain.kind != "slave"
}

fn kind_of(word: &str) -> Option<RecordKind> {
    Some(match word {
        "A" => RecordKind::A,
        "AAAA" => RecordKind::Aaaa,
        "CNAME" => RecordKind::Cname,
        "TXT" => RecordKind::Txt,
        _ => return None,
    })
}

/// A value in the one way in which it is compared and shown.
fn value_of(kind: RecordKind, target: &str) -> String {
    match kind {
        RecordKind::A | RecordKind::Txt => target.to_owned(),
        RecordKind::Aaaa => target
            .parse::<Ipv6Addr>()
            .map_or_else(|_| target.to_owned(), |address| address.to_string()),
        RecordKind::Cname => target.trim_end_matches('.').to_lowercase(),
    }
}

fn ttl_of(record: &Record, domain: &Domain) -> u32 {
    let own = [record.ttl_sec, domain.ttl_sec];
    own.into_iter().find(|ttl| *ttl > 0).unwrap_or(DEFAULT_TTL)
}

fn rounded(seconds: u32) -> u32 {
    let longest = TTLS[TTLS.len() - 1];
    TTLS.into_iter()
        .find(|ttl| *ttl >= seconds)
        .unwrap_or(longest)
}

/// "The hostname or FQDN of the Record": relative to the domain, or whole.
fn full_name(name: &str, domain: &str) -> String {
    let name = name.trim_end_matches('.').to_lowercase();
    let domain = domain.to_lowercase();
    if name.is_empty() {
        domain
    } else if name == domain || name.ends_with(&format!(".{domain}")) {
        name
    } else {
        format!("{name}.{domain}")
    }
}

/// The part of a full name before its domain; empty for the domain itself.
fn short_name(name: &str, domain: &str) -> Result<String> {
    let invalid = |message: String| Err(Error::new(Kind::Invalid, message));
    let lower = name.trim_end_matches('.').to_lowercase();
    let domain = domain.to_lowercase();
    if lower == domain {
        return Ok(String::new());
    }
    match lower.strip_suffix(&format!(".{domain}")) {
        Some(short) if !short.is_empty() && short.len() <= LONGEST_NAME => Ok(short.to_owned()),
        Some(_) => invalid(format!(
            "the name `{name}` is too long: {LONGEST_NAME} characters before the domain"
        )),
        None => invalid(format!("the name `{name}` is not in the domain `{domain}`")),
    }
}

/// What Linode would refuse in words of its own, or take for something else.
fn check(record: &DnsRecord) -> Result<()> {
    let invalid = |message: String| Err(Error::new(Kind::Invalid, message));
    let (name, kind) = (&record.name, record.kind);
    if record.values.is_empty() {
        return invalid(format!("the record `{name}` has no values"));
    }
    if kind == RecordKind::Cname && record.values.len() != 1 {
        return invalid(format!("the CNAME `{name}` must have one value"));
    }
    let unfit = record.values.iter().find(|value| match kind {
        RecordKind::A => value.parse::<Ipv4Addr>().is_err(),
        RecordKind::Aaaa => value.parse::<Ipv6Addr>().is_err(),
        RecordKind::Cname | RecordKind::Txt => value.is_empty(),
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
    use super::*;

    #[test]
    fn names_are_read_and_written_relative_to_their_domain() {
        for (short, full) in [
            ("www", "www.example.com"),
            ("", "example.com"),
            ("a.b", "a.b.example.com"),
        ] {
            assert_eq!(full_name(short, "example.com"), full);
            assert_eq!(short_name(full, "example.com").unwrap(), short);
        }
        assert_eq!(
            full_name("WWW.Example.com", "example.com"),
            "www.example.com"
        );
        for wrong in [
            "www.example.org",
            "badexample.com",
            &format!("{}.example.com", "a".repeat(101)),
        ] {
            assert_eq!(
                short_name(wrong, "example.com").unwrap_err().kind(),
                Kind::Invalid
            );
        }
    }

    #[test]
    fn times_to_live_are_rounded_up_to_what_there_is() {
        let rounded: Vec<u32> = [0, 60, 300, 301, 86_400, 9_999_999].map(rounded).into();
        assert_eq!(rounded, [300, 300, 300, 3_600, 86_400, 2_419_200]);
    }

    #[test]
    fn a_record_that_makes_no_sense_is_refused_here() {
        for (kind, values) in [
            (RecordKind::A, &[][..]),
            (RecordKind::A, &["2001:db8::1"]),
            (RecordKind::A, &["[remote_addr]"]),
            (RecordKind::Aaaa, &["192.0.2.1"]),
            (RecordKind::Cname, &["a.example.com", "b.example.com"]),
            (RecordKind::Txt, &[""]),
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
