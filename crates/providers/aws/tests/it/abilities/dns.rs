//! Route 53.

use aws_sdk_route53::types::{
    AliasTarget, Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType,
};
use fleetwright_aws_fake::{Failure, FakeConfig};
use fleetwright_core::ability::{DnsRecord, RecordKind};
use fleetwright_core::{Dns, Effect};

use super::*;

fn dns(provider: &AwsProvider) -> &dyn Dns {
    provider.dns().unwrap()
}

fn record(name: &str, kind: RecordKind, values: &[&str]) -> DnsRecord {
    DnsRecord {
        name: name.to_owned(),
        kind,
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        ttl_seconds: 60,
    }
}

/// What somebody else puts into a zone.
async fn put(fake: &Fake, zone: &str, set: ResourceRecordSet) {
    let change = Change::builder()
        .action(ChangeAction::Create)
        .resource_record_set(set)
        .build()
        .unwrap();
    let batch = ChangeBatch::builder().changes(change).build().unwrap();
    let route53 = aws_sdk_route53::Client::new(&sdk(fake));
    let change = route53.change_resource_record_sets().hosted_zone_id(zone);
    change.change_batch(batch).send().await.unwrap();
}

#[tokio::test]
async fn names_and_texts_come_back_as_they_were_given() {
    let fake = support::fake();
    fake.add_zone("example.com");
    fake.add_zone("example.org");
    let provider = support::provider(support::config(fake.endpoint()));
    let zones = dns(&provider).list_zones().await.unwrap();
    assert_eq!(zones, ["example.com", "example.org"]);
    let long = "k".repeat(600);
    let written = [
        record("*.example.com", RecordKind::A, &["192.0.2.1"]),
        record(
            "t.example.com",
            RecordKind::Txt,
            &["say \"hi\" to C:\\", "ü\t", &long],
        ),
    ];
    for record in &written {
        dns(&provider).upsert("example.com", record).await.unwrap();
    }
    let listed = dns(&provider).list_records("example.com").await.unwrap();
    assert_eq!(listed, written);
    // As the name servers see it.
    let texts = fake.records("t.example.com", "TXT").unwrap();
    assert_eq!(texts[0], r#""say \"hi\" to C:\\""#);
    assert_eq!(texts[2].matches('"').count(), 6, "{}", texts[2]);
    for record in &written {
        let (name, kind) = (&record.name, record.kind);
        for _ in 0..2 {
            dns(&provider)
                .remove("example.com", name, kind)
                .await
                .unwrap();
        }
    }
    assert_eq!(
        dns(&provider).list_records("example.com").await.unwrap(),
        []
    );
    assert_by_the_book(&fake);
}

#[tokio::test]
async fn every_page_is_read() {
    let fake = Fake::start(FakeConfig {
        page_size: Some(2),
        ..FakeConfig::default()
    })
    .unwrap();
    fake.set_dns_delay(Duration::ZERO);
    for number in 0..5 {
        fake.add_zone(&format!("zone-{number}.example"));
    }
    let provider = support::provider(support::config(fake.endpoint()));
    assert_eq!(dns(&provider).list_zones().await.unwrap().len(), 5);
    let zone = "zone-4.example";
    for number in 0..7 {
        let record = record(&format!("h{number}.{zone}"), RecordKind::A, &["192.0.2.1"]);
        dns(&provider).upsert(zone, &record).await.unwrap();
    }
    assert_eq!(dns(&provider).list_records(zone).await.unwrap().len(), 7);
    assert_by_the_book(&fake);
}

#[tokio::test]
async fn what_is_not_ours_to_write_is_neither_listed_nor_touched() {
    let fake = support::fake();
    let zone = fake.add_zone("example.com");
    let provider = support::provider(support::config(fake.endpoint()));
    let alias = AliasTarget::builder()
        .hosted_zone_id("Z35SXDOTRQ7X7K")
        .dns_name("web-1234567890.us-east-1.elb.amazonaws.com")
        .evaluate_target_health(false)
        .build()
        .unwrap();
    let set = |name: &str| ResourceRecordSet::builder().name(name).r#type(RrType::A);
    put(
        &fake,
        &zone,
        set("alias.example.com")
            .alias_target(alias)
            .build()
            .unwrap(),
    )
    .await;
    let weighted = ResourceRecord::builder()
        .value("192.0.2.9")
        .build()
        .unwrap();
    let weighted = set("weighted.example.com")
        .set_identifier("blue")
        .weight(1)
        .ttl(60)
        .resource_records(weighted);
    put(&fake, &zone, weighted.build().unwrap()).await;

    assert_eq!(
        dns(&provider).list_records("example.com").await.unwrap(),
        []
    );
    for name in ["alias.example.com", "weighted.example.com"] {
        let record = record(name, RecordKind::A, &["192.0.2.1"]);
        let written = dns(&provider).upsert("example.com", &record).await;
        assert_eq!(kind(written), Kind::Conflict, "{name}");
        let removed = dns(&provider)
            .remove("example.com", name, RecordKind::A)
            .await;
        assert_eq!(kind(removed), Kind::Conflict, "{name}");
        // Another kind of the same name is another record.
        let text = DnsRecord {
            kind: RecordKind::Txt,
            ..record
        };
        dns(&provider).upsert("example.com", &text).await.unwrap();
        dns(&provider)
            .remove("example.com", name, RecordKind::Txt)
            .await
            .unwrap();
    }
    assert_eq!(fake.records("alias.example.com", "A"), Some(Vec::new()));
    let weighted = fake.records("weighted.example.com", "A");
    assert_eq!(weighted, Some(vec!["192.0.2.9".to_owned()]));
    assert_by_the_book(&fake);
}

#[tokio::test]
async fn a_record_that_changes_while_it_is_removed_is_read_again_once() {
    let fake = support::fake();
    fake.add_zone("example.com");
    let provider = support::provider(support::config(fake.endpoint()));
    let written = record("www.example.com", RecordKind::A, &["192.0.2.1"]);
    dns(&provider)
        .upsert("example.com", &written)
        .await
        .unwrap();
    let raced = refuse(
        "InvalidChangeBatch",
        "[Tried to delete resource record set [name='www.example.com.', type='A'] but the values \
         provided do not match the current values]",
    );
    let mut twice = Failure::once("ChangeResourceRecordSets", raced.clone());
    twice.times = 2;
    fake.fail(twice);
    let remove = async || {
        dns(&provider)
            .remove("example.com", "www.example.com", RecordKind::A)
            .await
    };
    assert_eq!(kind(remove().await), Kind::Conflict);
    assert!(fake.records("www.example.com", "A").is_some());
    fake.fail(Failure::once("ChangeResourceRecordSets", raced));
    remove().await.unwrap();
    assert!(fake.records("www.example.com", "A").is_none());
}

#[tokio::test]
async fn a_change_that_does_not_arrive_in_time_may_have_happened() {
    let fake = support::fake();
    fake.add_zone("example.com");
    let provider = provider_at(&fake, Arc::new(MovedClock::default()));
    let record = record("www.example.com", RecordKind::A, &["192.0.2.1"]);
    fake.set_dns_delay(Duration::from_hours(1));
    let error = dns(&provider)
        .upsert("example.com", &record)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::Timeout, Effect::Unknown)
    );
    assert!(fake.records("www.example.com", "A").is_some());
    let looks = calls(&fake, "GetChange");
    assert!((10..=20).contains(&looks), "{looks}");
    fake.set_dns_delay(Duration::ZERO);
    dns(&provider).upsert("example.com", &record).await.unwrap();
    // A question that fails says nothing about the change.
    fake.set_dns_delay(Duration::from_hours(1));
    fake.fail(Failure::once(
        "GetChange",
        refuse("Throttling", "Rate exceeded"),
    ));
    let error = dns(&provider)
        .upsert("example.com", &record)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::RateLimited, Effect::Unknown)
    );
}

#[tokio::test]
async fn two_zones_of_one_name_are_told_apart_by_id() {
    let fake = support::fake();
    let (one, other) = (fake.add_zone("example.com"), fake.add_zone("example.com"));
    let provider = support::provider(support::config(fake.endpoint()));
    assert_eq!(dns(&provider).list_zones().await.unwrap(), ["example.com"]);
    let record = record("www.example.com", RecordKind::A, &["192.0.2.1"]);
    let error = dns(&provider)
        .upsert("example.com", &record)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    let hint = error.hint().unwrap();
    assert!(hint.contains(&one) && hint.contains(&other), "{hint}");
    dns(&provider).upsert(&one, &record).await.unwrap();
    let listed = dns(&provider).list_records(&one).await.unwrap();
    assert_eq!(listed, [record]);
    assert_eq!(dns(&provider).list_records(&other).await.unwrap(), []);
    assert_by_the_book(&fake);
}

#[tokio::test]
async fn a_change_that_makes_no_sense_is_told_from_one_that_comes_too_late() {
    let fake = support::fake();
    fake.add_zone("example.com");
    let provider = support::provider(support::config(fake.endpoint()));
    let outside = record("www.example.org", RecordKind::A, &["192.0.2.1"]);
    let written = dns(&provider).upsert("example.com", &outside).await;
    assert_eq!(kind(written), Kind::Invalid);
    let address = record("www.example.com", RecordKind::A, &["192.0.2.1"]);
    dns(&provider)
        .upsert("example.com", &address)
        .await
        .unwrap();
    let name = record("www.example.com", RecordKind::Cname, &["example.org"]);
    let written = dns(&provider).upsert("example.com", &name).await;
    assert_eq!(kind(written), Kind::Conflict);
}
