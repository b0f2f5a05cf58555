//! Many droplets, and few calls.

use std::time::{Duration, Instant};

use fleetwright_core::{Kind, LimitUnit, ListRequest, Provider as _};
use fleetwright_digitalocean::fake::FakeSettings;

use crate::support::{Bed, REGION, SIZE, request, spec};

#[tokio::test]
async fn twelve_hundred_droplets_are_listed_in_seven_calls() {
    let bed = Bed::new();
    for number in 0..1_200 {
        let tags: &[&str] = if number % 2 == 0 {
            &["managed-by:fleetwright"]
        } else {
            &["somebody:else"]
        };
        let size = if number < 1_190 {
            SIZE
        } else {
            "gpu-h100x1-80gb"
        };
        bed.fake
            .add_droplet(&format!("d-{number}"), REGION, size, tags);
    }
    bed.check().await.unwrap();
    bed.fake.server().clear_exchanges();
    let begun = Instant::now();
    let listing = bed.list(&ListRequest::default()).await.unwrap();
    let took = begun.elapsed();
    assert!(listing.coverage.gaps().is_empty());
    assert_eq!(listing.nodes.len(), 600);
    assert_eq!(bed.fake.server().count("GET", "/v2/droplets"), 7);
    println!("1,200 droplets were listed in {took:?}, judged page by page");
    let all = ListRequest {
        foreign: true,
        ..ListRequest::default()
    };
    assert_eq!(bed.list(&all).await.unwrap().nodes.len(), 1_200);
    bed.finish();
}

#[tokio::test]
async fn a_thousand_droplets_are_made_and_removed() {
    let bed = Bed::new();
    let begun = Instant::now();
    let requests: Vec<_> = (0..100).map(|_| request(spec(), 10)).collect();
    let made = futures::future::join_all(requests.iter().map(|one| bed.create(one))).await;
    let nodes: Vec<_> = made
        .into_iter()
        .flat_map(|one| one.unwrap().nodes)
        .collect();
    assert_eq!(nodes.len(), 1_000);
    assert_eq!(bed.fake.droplets().len(), 1_000);
    bed.settle(Duration::from_mins(1)).await;
    let listing = bed.list(&ListRequest::default()).await.unwrap();
    assert_eq!(listing.nodes.len(), 1_000);
    for chunk in nodes.chunks(50) {
        let gone = futures::future::join_all(chunk.iter().map(|node| bed.delete(&node.id))).await;
        assert!(gone.into_iter().all(|one| one.is_ok()));
    }
    bed.settle(Duration::from_mins(1)).await;
    assert!(bed.fake.droplets().is_empty());
    println!(
        "1,000 droplets were made and removed in {:?}",
        begun.elapsed()
    );
    bed.finish();
}

#[tokio::test]
async fn a_minute_that_is_used_up_says_when_the_next_begins() {
    let bed = Bed::with(FakeSettings {
        per_minute: 3,
        ..FakeSettings::default()
    });
    for _ in 0..3 {
        bed.check().await.unwrap();
    }
    bed.settle(Duration::from_secs(20)).await;
    let error = bed.check().await.unwrap_err();
    assert_eq!(error.kind(), Kind::RateLimited);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(40)));
    bed.settle(Duration::from_secs(40)).await;
    bed.check().await.unwrap();
    bed.finish();
}

#[tokio::test]
async fn an_hour_that_is_used_up_stops_calls_before_they_leave() {
    let bed = Bed::with(FakeSettings {
        per_hour: 2,
        ..FakeSettings::default()
    });
    bed.check().await.unwrap();
    bed.check().await.unwrap();
    let error = bed.check().await.unwrap_err();
    assert_eq!(error.kind(), Kind::RateLimited);
    assert!(error.retry_after().is_some());
    let seen = bed.fake.server().count("GET", "/v2/account");
    assert_eq!(seen, 2, "the third call was not sent");
    // The headers count for every call of the token, whatever it is.
    let error = bed.list(&ListRequest::default()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::RateLimited);
    assert_eq!(bed.fake.server().count("*", "/v2"), 2);
}

#[test]
fn the_limits_that_are_told_keep_within_those_of_the_vendor() {
    let bed = Bed::new();
    let [limit] = &bed.info().limits[..] else {
        panic!("one bucket for all calls of a token");
    };
    assert_eq!(limit.unit, LimitUnit::Calls);
    assert!(limit.burst + limit.per_minute <= 250);
    assert!(limit.burst + limit.per_minute * 60 <= 5_000);
}
