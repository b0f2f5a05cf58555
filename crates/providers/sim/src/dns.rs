//! DNS zones with the rules that every name server insists on.

use std::net::{Ipv4Addr, Ipv6Addr};

use async_trait::async_trait;
use fleetwright_core::ability::{DnsRecord, RecordKind};
use fleetwright_core::{Dns, Operation, Result};

use crate::config::SimConfig;
use crate::error;
use crate::provider::SimProvider;
use crate::world::Step;
use crate::world::state::Change;

/// Longest value of a TXT record, and longest time to live: a week.
const TEXT: usize = 255;
const LONGEST: u32 = 7 * 24 * 3600;

#[async_trait]
impl Dns for SimProvider {
    async fn list_zones(&self) -> Result<Vec<String>> {
        self.ask(Operation::Read, None, |step| {
            Ok(step.config().dns_zones.clone())
        })
        .await
    }

    async fn list_records(&self, zone: &str) -> Result<Vec<DnsRecord>> {
        self.ask(Operation::Read, None, |step| {
            exists(step.config(), zone)?;
            Ok(records(step, zone))
        })
        .await
    }

    async fn upsert(&self, zone: &str, record: &DnsRecord) -> Result<()> {
        self.ask(Operation::Change, None, |step| {
            exists(step.config(), zone)?;
            check(zone, record)?;
            let mut all = records(step, zone);
            if let Some(other) = all.iter().find(|other| {
                other.name == record.name
                    && other.kind != record.kind
                    && [other.kind, record.kind].contains(&RecordKind::Cname)
            }) {
                return Err(error::conflict(format!(
                    "`{}` has a record of kind {}; a CNAME stands alone",
                    record.name, other.kind
                )));
            }
            if all.contains(record) {
                return Ok(());
            }
            all.retain(|other| (&other.name, other.kind) != (&record.name, record.kind));
            all.push(record.clone());
            all.sort();
            step.change(Change::Records {
                zone: zone.to_owned(),
                records: all,
            });
            Ok(())
        })
        .await
    }

    async fn remove(&self, zone: &str, name: &str, kind: RecordKind) -> Result<()> {
        self.ask(Operation::Change, None, |step| {
            exists(step.config(), zone)?;
            let mut all = records(step, zone);
            let before = all.len();
            all.retain(|record| (record.name.as_str(), record.kind) != (name, kind));
            if all.len() < before {
                step.change(Change::Records {
                    zone: zone.to_owned(),
                    records: all,
                });
            }
            Ok(())
        })
        .await
    }
}

fn exists(config: &SimConfig, zone: &str) -> Result<()> {
    if config.dns_zones.iter().any(|known| known == zone) {
        return Ok(());
    }
    Err(error::not_found(format!("there is no DNS zone `{zone}`"))
        .with_hint(format!("known: {}", config.dns_zones.join(", "))))
}

fn records(step: &Step<'_>, zone: &str) -> Vec<DnsRecord> {
    step.state().dns.get(zone).cloned().unwrap_or_default()
}

/// What a name server would refuse.
fn check(zone: &str, record: &DnsRecord) -> Result<()> {
    let name = &record.name;
    let apex = name == zone;
    let inside = name
        .strip_suffix(zone)
        .is_some_and(|host| host.strip_suffix('.').is_some_and(is_host));
    if !apex && !inside {
        return Err(
            error::invalid(format!("`{name}` is not a name in the zone `{zone}`")).with_hint(
                "write the full name in lower case without a dot at the end, e.g. `www.sim.test`",
            ),
        );
    }
    if record.values.is_empty() {
        return Err(error::invalid(format!("the record `{name}` has no values")));
    }
    if record.ttl_seconds == 0 || record.ttl_seconds > LONGEST {
        return Err(error::invalid(format!(
            "a time to live of {} s; 1 to {LONGEST} s are possible",
            record.ttl_seconds
        )));
    }
    for value in &record.values {
        let fits = match record.kind {
            RecordKind::A => value.parse::<Ipv4Addr>().is_ok(),
            RecordKind::Aaaa => value.parse::<Ipv6Addr>().is_ok(),
            RecordKind::Cname => is_host(value),
            RecordKind::Txt => value.len() <= TEXT,
        };
        if !fits {
            return Err(error::invalid(format!(
                "`{value}` is not the value of a record of kind {}",
                record.kind
            )));
        }
    }
    if record.kind == RecordKind::Cname && (apex || record.values.len() != 1) {
        return Err(error::invalid(format!(
            "a CNAME has one value and is not at the top of a zone: `{name}`"
        )));
    }
    Ok(())
}

/// Whether this is a host name: labels of 1 to 63 letters, digits, dashes or underscores; the
/// first may be `*`.
fn is_host(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').enumerate().all(|(at, label)| {
            let good =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
            (1..=63).contains(&label.len())
                && (label.chars().all(good) || (at == 0 && label == "*"))
        })
}
