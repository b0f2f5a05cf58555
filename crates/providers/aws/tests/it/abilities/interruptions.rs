//! Notices from the queue.

use fleetwright_aws_fake::Notice;
use fleetwright_core::ability::{Interruption, InterruptionKind};

use super::*;

const QUEUE: &str = "interruptions";

async fn pending(provider: &AwsProvider) -> Vec<Interruption> {
    provider.interruptions().unwrap().pending().await.unwrap()
}

/// Notices come once EC2 shows the instance.
async fn becomes(provider: &AwsProvider, kinds: &[(&Node, InterruptionKind)]) {
    until("these notices and no others are pending", async || {
        let notices = pending(provider).await;
        let is_there = |(node, kind): &(&Node, InterruptionKind)| {
            let is_it = |notice: &&Interruption| notice.node == node.id && notice.kind == *kind;
            notices.iter().filter(is_it).count() == 1
        };
        notices.len() == kinds.len() && kinds.iter().all(is_there)
    })
    .await;
}

async fn send(fake: &Fake, url: &str, body: &str) {
    let sqs = aws_sdk_sqs::Client::new(&sdk(fake));
    let message = sqs.send_message().queue_url(url).message_body(body);
    message.send().await.unwrap();
}

/// How many messages there are, hidden or not.
async fn waiting(fake: &Fake, url: &str) -> usize {
    let sqs = aws_sdk_sqs::Client::new(&sdk(fake));
    let names = [
        aws_sdk_sqs::types::QueueAttributeName::ApproximateNumberOfMessages,
        aws_sdk_sqs::types::QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
    ];
    let asked = sqs.get_queue_attributes().queue_url(url);
    let asked = asked.set_attribute_names(Some(names.to_vec()));
    let answer = asked.send().await.unwrap();
    let counts = answer.attributes().unwrap().values();
    counts.map(|count| count.parse::<usize>().unwrap()).sum()
}

#[tokio::test]
async fn every_kind_of_notice_is_told_to_every_process_until_it_is_over() {
    let fake = support::fake();
    let url = fake.add_queue(REGION, QUEUE);
    let clock = Arc::new(MovedClock::default());
    let provider = provider_at(&fake, clock.clone());
    let spot = nodes(&fake, &provider, 1, Market::Spot).await.remove(0);
    let fixed = nodes(&fake, &provider, 2, Market::OnDemand).await;
    assert!(fake.interrupt(spot.id.native(), Notice::Interruption));
    assert!(fake.interrupt(fixed[0].id.native(), Notice::Rebalance));
    assert!(fake.interrupt(fixed[0].id.native(), Notice::Maintenance));
    let all = [
        (&spot, InterruptionKind::Reclaim),
        (&fixed[0], InterruptionKind::Rebalance),
        (&fixed[0], InterruptionKind::Maintenance),
    ];
    for process in [&provider, &provider_at(&fake, clock.clone())] {
        for _ in 0..2 {
            becomes(process, &all).await;
        }
    }
    let ahead = |kind| {
        let provider = provider.clone();
        let now = clock.now();
        async move {
            let notices = pending(&provider).await;
            let notice = notices.into_iter().find(|notice| notice.kind == kind);
            let at = notice.unwrap().at;
            at.map(|at| at.duration_since(now).as_secs())
        }
    };
    let reclaim = ahead(InterruptionKind::Reclaim).await.unwrap();
    assert!((90..=120).contains(&reclaim), "{reclaim}");
    assert_eq!(ahead(InterruptionKind::Rebalance).await, None);
    let days = ahead(InterruptionKind::Maintenance).await.unwrap() / 86_400;
    assert!((13..=14).contains(&days), "{days}");
    // Changes of state are gone; what was announced is still there for whoever comes.
    assert_eq!(waiting(&fake, &url).await, 3);

    clock.advance(SignedDuration::from_mins(8));
    becomes(&provider, &all[1..]).await;
    assert_eq!(waiting(&fake, &url).await, 2);
    clock.advance(SignedDuration::from_hours(1));
    becomes(&provider, &all[2..]).await;
    clock.advance(SignedDuration::from_hours(15 * 24));
    becomes(&provider, &[]).await;
    assert_eq!(waiting(&fake, &url).await, 0);
    assert_by_the_book(&fake);
}

#[tokio::test]
async fn a_notice_of_a_node_that_has_ended_is_over() {
    let fake = support::fake();
    let url = fake.add_queue(REGION, QUEUE);
    let provider = provider_at(&fake, Arc::new(RealClock));
    let node = nodes(&fake, &provider, 1, Market::OnDemand).await.remove(0);
    assert!(fake.interrupt(node.id.native(), Notice::Rebalance));
    becomes(&provider, &[(&node, InterruptionKind::Rebalance)]).await;
    assert!(fake.terminate(node.id.native()));
    becomes(&provider, &[]).await;
    until("messages about it are gone", async || {
        pending(&provider).await;
        waiting(&fake, &url).await == 0
    })
    .await;
}

#[tokio::test]
async fn instances_that_are_not_ours_have_no_notices_and_keep_their_messages() {
    let fake = support::fake();
    let url = fake.add_queue(REGION, QUEUE);
    let clock = Arc::new(MovedClock::default());
    let provider = provider_at(&fake, clock.clone());
    let node = nodes(&fake, &provider, 1, Market::OnDemand).await.remove(0);
    let stranger = fake.add_instance(REGION, &[("Name", "stranger")]).unwrap();
    assert!(fake.interrupt(&stranger, Notice::Rebalance));
    assert!(fake.interrupt(node.id.native(), Notice::Rebalance));
    let now = clock.now();
    for (region, instance) in [
        ("sa-east-1", "i-0123456789abcdef0"),
        (REGION, "i-0123456789abcdef0"),
        (REGION, "none"),
    ] {
        let event = json!({
            "detail-type": "EC2 Instance Rebalance Recommendation",
            "time": now.to_string(),
            "region": region,
            "detail": { "instance-id": instance },
        });
        send(&fake, &url, &event.to_string()).await;
    }
    becomes(&provider, &[(&node, InterruptionKind::Rebalance)]).await;
    until("changes of state are deleted", async || {
        pending(&provider).await;
        waiting(&fake, &url).await == 5
    })
    .await;
    clock.advance(SignedDuration::from_hours(2));
    becomes(&provider, &[]).await;
    // A look deletes what it was given; what it was not given is left for a later one.
    until("messages that are too old are deleted", async || {
        pending(&provider).await;
        waiting(&fake, &url).await == 0
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_read_stays_in_the_queue_and_is_in_nobody_s_way() {
    let fake = support::fake();
    let url = fake.add_queue(REGION, QUEUE);
    let provider = provider_at(&fake, Arc::new(RealClock));
    send(&fake, &url, "hello").await;
    let node = nodes(&fake, &provider, 1, Market::OnDemand).await.remove(0);
    assert!(fake.interrupt(node.id.native(), Notice::Rebalance));
    becomes(&provider, &[(&node, InterruptionKind::Rebalance)]).await;
    assert!(fake.terminate(node.id.native()));
    becomes(&provider, &[]).await;
    until("only the unreadable message is left", async || {
        pending(&provider).await;
        waiting(&fake, &url).await == 1
    })
    .await;
}

#[tokio::test]
async fn a_long_queue_is_looked_through_to_its_end_by_everybody() {
    let fake = support::fake();
    let url = fake.add_queue(REGION, QUEUE);
    let provider = provider_at(&fake, Arc::new(RealClock));
    let made = nodes(&fake, &provider, 35, Market::OnDemand).await;
    for node in &made {
        assert!(fake.interrupt(node.id.native(), Notice::Rebalance));
    }
    let all: Vec<_> = made
        .iter()
        .map(|node| (node, InterruptionKind::Rebalance))
        .collect();
    assert_eq!(pending(&provider).await.len(), 35);
    // Those behind the first ten are hidden from others for a moment only.
    becomes(&provider_at(&fake, Arc::new(RealClock)), &all).await;
    assert_eq!(waiting(&fake, &url).await, 35);
    assert_by_the_book(&fake);
}

#[tokio::test]
async fn a_queue_is_named_or_given_by_url_and_without_one_there_are_no_notices() {
    let fake = support::fake();
    let url = fake.add_queue(REGION, QUEUE);
    let with = |queue: Option<&str>| {
        let mut config = support::config(fake.endpoint());
        config.interruption_queue = queue.map(str::to_owned);
        support::provider(config)
    };
    assert!(with(None).interruptions().is_none());
    assert_eq!(pending(&with(Some(&url))).await, []);
    assert_eq!(calls(&fake, "GetQueueUrl"), 0);
    let named = with(Some(QUEUE));
    for _ in 0..2 {
        assert_eq!(pending(&named).await, []);
    }
    assert_eq!(calls(&fake, "GetQueueUrl"), 1);
    let other = with(Some("other"));
    assert_eq!(
        kind(other.interruptions().unwrap().pending().await),
        Kind::NotFound
    );
    let elsewhere = "https://sqs.sa-east-1.amazonaws.com/123456789012/interruptions";
    let elsewhere = with(Some(elsewhere));
    assert_eq!(
        kind(elsewhere.interruptions().unwrap().pending().await),
        Kind::Invalid
    );
}
