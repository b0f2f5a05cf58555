//! Route 53 as DNS: zones of the account, and the records in them that we can write.
//! <https://docs.aws.amazon.com/Route53/latest/APIReference/Welcome.html>
//!
//! A zone is named by its name, or by its id (`Z…`) where several zones have the same name, such as
//! a public and a private one: a name that means two zones is refused. Records that we could not
//! write back are not listed and never touched: aliases, sets with a routing policy, and kinds
//! other than ours. A change is done when all name servers have it.

mod record;
mod text;

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_route53::error::SdkError;
use aws_sdk_route53::operation::change_resource_record_sets::ChangeResourceRecordSetsError;
use aws_sdk_route53::types::{
    Change, ChangeAction, ChangeBatch, ChangeInfo, ChangeStatus, HostedZone, ResourceRecordSet,
};
use fleetwright_core::ability::{DnsRecord, RecordKind};
use fleetwright_core::{Dns, Effect, Error, Kind, Result};
use record::{check, is_plain, read, rr_type, write};
use text::{name_from_wire, name_to_wire};

use crate::error::{At, has_code, reported};
use crate::provider::AwsProvider;

/// Route 53 has no regions.
const REGION: &str = "global";
/// Zones per page; the most there may be.
const ZONES: i32 = 100;
/// Records per page; the most there may be.
const RECORDS: i32 = 300;
/// How long a change is waited for. "Changes generally propagate to all Route 53 name servers
/// within 60 seconds", and the engine gives a call one minute.
/// <https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html>
const SYNC_WITHIN: Duration = Duration::from_secs(50);
/// First and longest pause between two looks at a change. An account has five calls a second.
/// <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html>
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

#[async_trait]
impl Dns for AwsProvider {
    async fn list_zones(&self) -> Result<Vec<String>> {
        let zones = self.zones().await?;
        let mut names: Vec<String> = zones
            .iter()
            .map(|zone| name_from_wire(zone.name()))
            .collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    async fn list_records(&self, zone: &str) -> Result<Vec<DnsRecord>> {
        self.in_zone(zone, |id| async move {
            let sets = self.record_sets(&id).await?;
            sets.iter()
                .filter_map(|set| read(set).transpose())
                .collect()
        })
        .await
    }

    async fn upsert(&self, zone: &str, record: &DnsRecord) -> Result<()> {
        check(record)?;
        self.in_zone(zone, |id| async move {
            // An UPSERT would replace an alias of the same name and kind without a word.
            self.current(&id, &record.name, record.kind).await?;
            self.change(&id, ChangeAction::Upsert, write(record)?).await
        })
        .await
    }

    async fn remove(&self, zone: &str, name: &str, kind: RecordKind) -> Result<()> {
        self.in_zone(zone, |id| async move {
            let mut again = true;
            loop {
                let Some(set) = self.current(&id, name, kind).await? else {
                    return Ok(());
                };
                match self.change(&id, ChangeAction::Delete, set).await {
                    // Somebody has changed it since it was read.
                    Err(error) if again && has_code(&error, "InvalidChangeBatch") => again = false,
                    outcome => return outcome,
                }
            }
        })
        .await
    }
}

impl AwsProvider {
    /// Calls with the id of a zone: with the one that was seen last, or, if that is not there any
    /// more, with the one that is.
    async fn in_zone<T, F>(&self, name: &str, call: impl Fn(String) -> F + Send + Sync) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send,
    {
        if let Some(known) = self.recent_zones().known(name, self.clock().now()) {
            match call(known).await {
                Err(error) if has_code(&error, "NoSuchHostedZone") => {
                    self.recent_zones().forget(name);
                }
                outcome => return outcome,
            }
        }
        let id = one_of(&self.zones().await?, name)?;
        self.recent_zones()
            .note(name, id.clone(), self.clock().now());
        call(id).await
    }

    /// All zones of the account, over all pages.
    async fn zones(&self) -> Result<Vec<HostedZone>> {
        let at = At::new("ListHostedZones", REGION);
        let api = &self.api().global().await.route53;
        let mut zones = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let page = api
                .list_hosted_zones()
                .max_items(ZONES)
                .set_marker(next)
                .send()
                .await
                .map_err(|error| at.error(error))?;
            zones.extend(page.hosted_zones);
            if !page.is_truncated {
                return Ok(zones);
            }
            next = Some(page.next_marker.ok_or_else(|| at.lacking("next marker"))?);
        }
    }

    /// All record sets of a zone, over all pages.
    async fn record_sets(&self, zone: &str) -> Result<Vec<ResourceRecordSet>> {
        let at = At::new("ListResourceRecordSets", REGION);
        let api = &self.api().global().await.route53;
        let mut sets = Vec::new();
        let mut next = (None, None, None);
        loop {
            let (name, kind, identifier) = next;
            let page = api
                .list_resource_record_sets()
                .hosted_zone_id(zone)
                .max_items(RECORDS)
                .set_start_record_name(name)
                .set_start_record_type(kind)
                .set_start_record_identifier(identifier)
                .send()
                .await
                .map_err(|error| at.error(error))?;
            sets.extend(page.resource_record_sets);
            if !page.is_truncated {
                return Ok(sets);
            }
            if page.next_record_name.is_none() {
                return Err(at.lacking("next record"));
            }
            next = (
                page.next_record_name,
                page.next_record_type,
                page.next_record_identifier,
            );
        }
    }

    /// The record set of a name and kind as it is now.
    ///
    /// # Errors
    /// `Conflict` if it is one that we could not write back.
    async fn current(
        &self,
        zone: &str,
        name: &str,
        kind: RecordKind,
    ) -> Result<Option<ResourceRecordSet>> {
        let at = At::new("ListResourceRecordSets", REGION);
        let name = name_from_wire(&name_to_wire(name));
        let answer = self
            .api()
            .global()
            .await
            .route53
            .list_resource_record_sets()
            .hosted_zone_id(zone)
            .start_record_name(name_to_wire(&name))
            .start_record_type(rr_type(kind))
            .max_items(1)
            .send()
            .await
            .map_err(|error| at.error(error))?;
        let found = answer.resource_record_sets.into_iter().next();
        // The list begins at the name and kind, or at what comes after it.
        let found =
            found.filter(|set| name_from_wire(&set.name) == name && set.r#type == rr_type(kind));
        if let Some(set) = &found
            && !is_plain(set)
        {
            let what = set
                .alias_target()
                .map_or("one of several sets", |_| "an alias");
            return Err(Error::new(
                Kind::Conflict,
                format!("the {kind} record `{name}` is {what}, which is not ours to change"),
            ));
        }
        Ok(found)
    }

    /// Makes one change, and waits until all name servers have it.
    async fn change(&self, zone: &str, action: ChangeAction, set: ResourceRecordSet) -> Result<()> {
        let at = At::new("ChangeResourceRecordSets", REGION);
        let change = Change::builder()
            .action(action)
            .resource_record_set(set)
            .build();
        let batch = change.and_then(|change| ChangeBatch::builder().changes(change).build());
        let batch = batch.map_err(|error| {
            Error::new(Kind::Invalid, "the change cannot be written down").with_source(error)
        })?;
        let answer = self
            .api()
            .global()
            .await
            .route53
            .change_resource_record_sets()
            .hosted_zone_id(zone)
            .change_batch(batch)
            .send()
            .await
            .map_err(|error| refused(at, error))?;
        let change = answer.change_info.ok_or_else(|| at.lacking("change"))?;
        self.in_sync(change).await
    }

    async fn in_sync(&self, mut change: ChangeInfo) -> Result<()> {
        let at = At::new("GetChange", REGION);
        let (mut waited, mut pause) = (Duration::ZERO, FIRST_PAUSE);
        while change.status != ChangeStatus::Insync {
            if waited >= SYNC_WITHIN {
                return Err(Error::new(
                    Kind::Timeout,
                    format!(
                        "not all name servers had the change after {} s",
                        SYNC_WITHIN.as_secs()
                    ),
                )
                .with_context("change", change.id));
            }
            self.clock().sleep(pause).await;
            waited += pause;
            pause = (pause * 2).min(LONGEST_PAUSE);
            let api = &self.api().global().await.route53;
            let answer = api.get_change().id(&change.id).send().await;
            let answer = answer.map_err(|error| {
                // The change was taken, whatever becomes of the question.
                at.error(error).with_effect(Effect::Unknown)
            })?;
            change = answer.change_info.ok_or_else(|| at.lacking("change"))?;
        }
        Ok(())
    }
}

/// An error of a change. Route 53 may say what is wrong in a list instead of a message.
fn refused(at: At<'_>, error: SdkError<ChangeResourceRecordSetsError>) -> Error {
    let listed = match error.as_service_error() {
        Some(ChangeResourceRecordSetsError::InvalidChangeBatch(batch))
            if batch.message().is_none() && !batch.messages().is_empty() =>
        {
            Some(batch.messages().join("; "))
        }
        _ => None,
    };
    match listed {
        Some(message) => reported(at.action, "InvalidChangeBatch", &message),
        None => at.error(error),
    }
}

/// The id of the one zone that a name or an id means.
fn one_of(zones: &[HostedZone], wanted: &str) -> Result<String> {
    let name = wanted.trim_end_matches('.').to_ascii_lowercase();
    let short = |zone: &HostedZone| zone.id().trim_start_matches("/hostedzone/").to_owned();
    let mut found: Vec<String> = zones
        .iter()
        .filter(|zone| name_from_wire(zone.name()) == name || short(zone) == wanted)
        .map(short)
        .collect();
    match (found.pop(), found.is_empty()) {
        (Some(id), true) => Ok(id),
        (None, _) => Err(Error::new(
            Kind::NotFound,
            format!("there is no DNS zone `{wanted}`"),
        )),
        (Some(last), false) => {
            found.push(last);
            Err(Error::new(
                Kind::Invalid,
                format!("there are {} zones `{wanted}`", found.len()),
            )
            .with_hint(format!("name one by its id: {}", found.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(id: &str, name: &str) -> HostedZone {
        HostedZone::builder()
            .id(format!("/hostedzone/{id}"))
            .name(name)
            .caller_reference("test")
            .build()
            .unwrap()
    }

    #[test]
    fn a_zone_is_found_by_name_or_id_and_two_of_one_name_are_refused() {
        let zones = [
            zone("Z1", "example.com."),
            zone("Z2", "example.com."),
            zone("Z3", "example.org."),
        ];
        assert_eq!(one_of(&zones, "example.org").unwrap(), "Z3");
        assert_eq!(one_of(&zones, "Z2").unwrap(), "Z2");
        let error = one_of(&zones, "example.com").unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert_eq!(error.hint(), Some("name one by its id: Z1, Z2"));
        assert_eq!(
            one_of(&zones, "example.net").unwrap_err().kind(),
            Kind::NotFound
        );
    }
}
