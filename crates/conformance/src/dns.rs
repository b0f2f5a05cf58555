//! Names: written, replaced, removed, and nothing else touched.

use std::collections::BTreeSet;
use std::sync::Arc;

use fleetwright_core::ability::{DnsRecord, RecordKind};
use fleetwright_core::{Dns, Kind, Provider, Result};

use crate::run::{Look, fresh_name};
use crate::verdict::{must, not_applicable};
use crate::{Outcome, Run};

const FITS: &str = "a valid call to DNS of a healthy provider succeeds";

/// A zone that the subject lends, and a fresh name in it.
struct Lent<'a> {
    run: &'a Run<'a>,
    provider: Arc<dyn Provider>,
    zone: String,
    name: String,
}

impl<'a> Lent<'a> {
    async fn by(run: &'a Run<'a>) -> Outcome<Self> {
        match run.subject().zone().await {
            Some(zone) => Ok(Self {
                run,
                provider: run.provider(),
                name: format!("{}.{zone}", fresh_name()),
                zone,
            }),
            None => not_applicable("there is no zone"),
        }
    }

    fn dns(&self) -> Outcome<&dyn Dns> {
        match self.provider.dns() {
            Some(dns) => Ok(dns),
            None => not_applicable("the provider has no DNS"),
        }
    }

    fn record(&self, kind: RecordKind, values: &[&str]) -> DnsRecord {
        DnsRecord {
            name: self.name.clone(),
            kind,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            ttl_seconds: 300,
        }
    }

    async fn try_upsert(&self, record: &DnsRecord) -> Outcome<Result<()>> {
        let dns = self.dns()?;
        Ok(self
            .run
            .at_its_pace(async || dns.upsert(&self.zone, record).await)
            .await)
    }

    async fn upsert(&self, record: &DnsRecord) -> Outcome {
        let result = self.try_upsert(record).await?;
        self.run.ok(FITS, result)
    }

    async fn remove(&self, kind: RecordKind) -> Outcome {
        let dns = self.dns()?;
        let result = self
            .run
            .at_its_pace(async || dns.remove(&self.zone, &self.name, kind).await)
            .await;
        self.run.ok(FITS, result)
    }

    /// The record sets of the zone, values sorted.
    async fn all(&self) -> Outcome<BTreeSet<DnsRecord>> {
        let dns = self.dns()?;
        let records = self
            .run
            .at_its_pace(async || dns.list_records(&self.zone).await)
            .await;
        let records = self.run.ok(FITS, records)?;
        let number = records.len();
        let keys: BTreeSet<_> = records
            .iter()
            .map(|record| (record.name.clone(), record.kind.to_string()))
            .collect();
        must(
            keys.len() == number,
            "all values of one name and kind are one record",
            || format!("{records:?}"),
        )?;
        Ok(records.into_iter().map(sorted).collect())
    }

    /// Waits until the sets of our name are these.
    async fn comes_to(&self, contract: &str, wanted: &[DnsRecord]) -> Outcome {
        let wanted: BTreeSet<DnsRecord> = wanted.iter().cloned().map(sorted).collect();
        self.run
            .until(contract, async || {
                let mut all = self.all().await?;
                all.retain(|record| record.name == self.name);
                Ok(if all == wanted {
                    Look::Done(())
                } else {
                    Look::Wait(format!("{all:?} instead of {wanted:?}"))
                })
            })
            .await
    }
}

fn sorted(mut record: DnsRecord) -> DnsRecord {
    record.values.sort_unstable();
    record
}

pub(crate) async fn zones_are_named_once(run: &Run<'_>) -> Outcome {
    let provider = run.provider();
    let Some(dns) = provider.dns() else {
        return not_applicable("the provider has no DNS");
    };
    let zones = run.at_its_pace(async || dns.list_zones().await).await;
    let zones = run.ok("`list_zones` of a healthy provider succeeds", zones)?;
    let unique: BTreeSet<&String> = zones.iter().collect();
    must(
        unique.len() == zones.len()
            && zones
                .iter()
                .all(|zone| !zone.is_empty() && !zone.ends_with('.')),
        "zones are named once, without the trailing dot",
        || format!("{zones:?}"),
    )
}

pub(crate) async fn a_record_is_what_was_written(run: &Run<'_>) -> Outcome {
    let lent = Lent::by(run).await?;
    let before = lent.all().await?;
    for (kind, values) in [
        (RecordKind::A, &["192.0.2.1", "192.0.2.2"][..]),
        (RecordKind::Aaaa, &["2001:db8::1"]),
        (RecordKind::Cname, &["target.example.org"]),
        (RecordKind::Txt, &["plain", "with space and = and ;"]),
    ] {
        let record = lent.record(kind, values);
        lent.upsert(&record).await?;
        lent.comes_to(
            "`list_records` shows the record set that was written: name, kind, values, time",
            &[record],
        )
        .await?;
        lent.remove(kind).await?;
        lent.comes_to("a removed record set is not listed", &[])
            .await?;
    }
    let after = lent.all().await?;
    must(
        before == after,
        "writing and removing one name leaves the others alone",
        || format!("before {before:?}, after {after:?}"),
    )
}

pub(crate) async fn a_record_is_replaced_whole(run: &Run<'_>) -> Outcome {
    let lent = Lent::by(run).await?;
    let first = lent.record(RecordKind::A, &["192.0.2.1", "192.0.2.2"]);
    for _ in 0..2 {
        lent.upsert(&first).await?;
        lent.comes_to(
            "the same record set again changes nothing",
            std::slice::from_ref(&first),
        )
        .await?;
    }
    let mut second = lent.record(RecordKind::A, &["192.0.2.3"]);
    second.ttl_seconds = 60;
    lent.upsert(&second).await?;
    lent.comes_to(
        "`upsert` replaces all values and the time to live",
        &[second],
    )
    .await?;
    lent.remove(RecordKind::A).await
}

pub(crate) async fn removing_a_record_leaves_the_other_kinds(run: &Run<'_>) -> Outcome {
    let lent = Lent::by(run).await?;
    let text = lent.record(RecordKind::Txt, &["stays"]);
    lent.upsert(&text).await?;
    lent.upsert(&lent.record(RecordKind::A, &["192.0.2.1"]))
        .await?;
    for _ in 0..2 {
        lent.remove(RecordKind::A).await?;
        lent.comes_to(
            "`remove` removes one name and kind; removing what is not there is fine",
            std::slice::from_ref(&text),
        )
        .await?;
    }
    lent.remove(RecordKind::Txt).await
}

pub(crate) async fn a_record_without_values_is_refused(run: &Run<'_>) -> Outcome {
    let lent = Lent::by(run).await?;
    let result = lent.try_upsert(&lent.record(RecordKind::A, &[])).await?;
    run.refused(
        "a record set without values is `Invalid`",
        Kind::Invalid,
        result,
    )?;
    lent.comes_to("a refused record set is not written", &[])
        .await
}

pub(crate) async fn an_unknown_zone_is_not_found(run: &Run<'_>) -> Outcome {
    const CONTRACT: &str = "an unknown zone is `NotFound`";
    let provider = run.provider();
    let Some(dns) = provider.dns() else {
        return not_applicable("the provider has no DNS");
    };
    let zone = format!("{}.invalid", fresh_name());
    let records = run
        .at_its_pace(async || dns.list_records(&zone).await)
        .await;
    run.refused(CONTRACT, Kind::NotFound, records)?;
    let record = DnsRecord {
        name: format!("a.{zone}"),
        kind: RecordKind::A,
        values: vec!["192.0.2.1".to_owned()],
        ttl_seconds: 300,
    };
    let written = run
        .at_its_pace(async || dns.upsert(&zone, &record).await)
        .await;
    run.refused(CONTRACT, Kind::NotFound, written).map(|_| ())
}
