//! Each operation with each fault: right kind, right effect, no duplicate, no orphan.

use std::time::Duration;

use fleetwright_core::{
    CreateRequest, Deletion, Effect, Error, Kind, ListRequest, NodeId, Provider, Span,
};
use fleetwright_linode::fake::{Fake, FakeConfig};
use fleetwright_linode::{LinodeConfig, LinodeProvider};
use fleetwright_rest::testing::{Fault, Reply, Trouble};
use serde_json::json;

use crate::support::{self, REGION};

/// The trouble, the kind that it is reported as, and whether the call takes effect all the same.
fn troubles() -> Vec<(Trouble, Kind, bool)> {
    vec![
        (Trouble::ResetBefore, Kind::Unavailable, false),
        (Trouble::ResetAfter, Kind::Unavailable, true),
        (
            Trouble::DelayBefore(Duration::from_secs(3)),
            Kind::Timeout,
            true,
        ),
        (
            Trouble::DelayAfter(Duration::from_secs(3)),
            Kind::Timeout,
            true,
        ),
        (Trouble::too_many(Some(7)), Kind::RateLimited, false),
        (Trouble::gateway(502), Kind::Unavailable, false),
        (Trouble::gateway_after(502), Kind::Unavailable, true),
        (Trouble::gateway_after(504), Kind::Timeout, true),
        (Trouble::Truncate, Kind::Unavailable, true),
        (Trouble::Garbage, Kind::Unexpected, true),
        (Trouble::Html, Kind::Unexpected, true),
    ]
}

/// Whether the client can know that nothing happened.
fn is_clear(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Refuse(reply) if reply.status == 429)
}

/// A fake with a provider that waits for answers, and one that does not wait long.
struct Faulty {
    fake: Fake,
    patient: LinodeProvider,
    hasty: LinodeProvider,
}

impl Faulty {
    fn new() -> Self {
        let lag = Duration::from_millis(20);
        let fake = support::fake_with(FakeConfig {
            listing_lag: lag,
            removal: lag,
            ..FakeConfig::default()
        });
        let within = |call_timeout| {
            support::provider(LinodeConfig {
                call_timeout,
                listing_lag: Span(lag),
                ..support::config(&fake)
            })
        };
        let (patient, hasty) = (within(Span::seconds(20)), within(Span::seconds(1)));
        Self {
            fake,
            patient,
            hasty,
        }
    }

    /// The provider that meets this trouble: only a delay must be met in haste.
    fn meets(&self, trouble: &Trouble) -> &LinodeProvider {
        match trouble {
            Trouble::DelayBefore(_) | Trouble::DelayAfter(_) => &self.hasty,
            _ => &self.patient,
        }
    }
}

fn order(fake: &Fake, method: &str, path: &str, trouble: &Trouble) {
    let trouble = trouble.clone();
    fake.fault(method, path, |method, path| {
        Fault::new(method, path, trouble)
    });
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(40)).await;
}

fn judge(error: &Error, kind: Kind, trouble: &Trouble) {
    assert_eq!(error.kind(), kind, "{trouble:?}: {error:?}");
    if kind == Kind::RateLimited {
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    }
}

#[tokio::test]
async fn create_meets_every_fault_and_a_replay_is_exact() {
    for (trouble, kind, happens) in troubles() {
        // The first, or the last of three.
        for skip in [0, 2] {
            let world = Faulty::new();
            let (fake, provider) = (&world.fake, &world.patient);
            let request = support::request(3, &json!({}));
            let struck = trouble.clone();
            fake.fault("POST", "/linode/instances", |method, path| {
                Fault::new(method, path, struck).after(skip)
            });
            let result = world.meets(&trouble).create(&request).await;
            match result {
                Ok(created) => {
                    assert!(is_clear(&trouble), "{trouble:?}: {created:?}");
                    judge(&created.shortfall.unwrap(), kind, &trouble);
                    assert_eq!(created.nodes.len(), fake.machines().len());
                }
                Err(error) => {
                    judge(&error, kind, &trouble);
                    let expected = if is_clear(&trouble) {
                        Effect::None
                    } else {
                        Effect::Unknown
                    };
                    assert_eq!(error.effect(), expected, "{trouble:?}: {error:?}");
                }
            }
            if matches!(trouble, Trouble::DelayBefore(_)) {
                // The request is on its way, and arrives after everybody has given up on it.
                tokio::time::sleep(Duration::from_secs(3)).await;
            }
            settle().await;
            let before = fake.machines().len();
            assert!(!happens || before > 0, "{trouble:?} has an effect");
            let replay = CreateRequest {
                replay: true,
                ..request.clone()
            };
            let created = provider.create(&replay).await.unwrap();
            assert_eq!(created.nodes.len(), 3, "{trouble:?}: {created:?}");
            assert!(created.shortfall.is_none());
            let names: Vec<String> = fake.machines().into_iter().map(|m| m.label).collect();
            assert_eq!(names.len(), 3, "{trouble:?}: {names:?}");
            fake.server().assert_no_violations();
        }
    }
}

#[tokio::test]
async fn a_request_that_arrives_after_its_replay_makes_no_second_machine() {
    let world = Faulty::new();
    let (fake, provider) = (&world.fake, &world.patient);
    let request = support::request(1, &json!({}));
    order(
        fake,
        "POST",
        "/linode/instances",
        &Trouble::DelayBefore(Duration::from_secs(2)),
    );
    let error = world.hasty.create(&request).await.unwrap_err();
    assert_eq!(error.effect(), Effect::Unknown);
    let replay = CreateRequest {
        replay: true,
        ..request
    };
    let created = provider.create(&replay).await.unwrap();
    assert_eq!(created.nodes.len(), 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let late = fake
        .server()
        .exchanges()
        .into_iter()
        .find(|exchange| exchange.request.method() == "POST" && exchange.trouble.is_some());
    let late = late
        .expect("it has arrived")
        .reply
        .expect("it was answered");
    // Names are unique in an account, so the late one was refused.
    assert_eq!(late.value()["errors"][0]["field"], "label");
    assert_eq!(fake.machines().len(), 1);
}

#[tokio::test]
async fn a_replay_that_cannot_look_does_not_deny_what_may_be_there() {
    for (trouble, kind, _) in troubles() {
        let world = Faulty::new();
        let (fake, provider) = (&world.fake, &world.patient);
        let request = support::request(1, &json!({}));
        provider.create(&request).await.unwrap();
        settle().await;
        let replay = CreateRequest {
            replay: true,
            ..request
        };
        order(fake, "GET", "/linode/instances", &trouble);
        let error = world.meets(&trouble).create(&replay).await.unwrap_err();
        judge(&error, kind, &trouble);
        assert_eq!(error.effect(), Effect::Unknown, "{trouble:?}: {error:?}");
        assert_eq!(fake.machines().len(), 1);
        provider.create(&replay).await.unwrap();
        assert_eq!(fake.machines().len(), 1);
    }
}

#[tokio::test]
async fn questions_meet_every_fault_and_are_never_answered_wrongly() {
    for (trouble, kind, _) in troubles() {
        let world = Faulty::new();
        let (fake, patient) = (&world.fake, &world.patient);
        fake.add_machines(REGION, 1);
        fake.add_balancer(REGION, "web", &[80]);
        fake.add_domain("example.com", "master");
        settle().await;
        let id = id(fake);
        // Every path was judged before haste matters.
        patient.check().await.unwrap();
        patient.get(&id).await.unwrap();
        patient.list(&ListRequest::default()).await.unwrap();
        patient.catalog().unwrap().offerings().await.unwrap();
        patient.balancers().unwrap().members("web").await.unwrap();
        let listed = patient.dns().unwrap().list_records("example.com").await;
        assert_eq!(listed.unwrap(), []);
        let provider = world.meets(&trouble);
        order(fake, "GET", "/profile", &trouble);
        judge(&provider.check().await.unwrap_err(), kind, &trouble);
        order(fake, "GET", "/linode/instances", &trouble);
        let listed = provider.list(&ListRequest::default()).await;
        judge(&listed.unwrap_err(), kind, &trouble);
        order(fake, "GET", "/linode/instances/*", &trouble);
        judge(&provider.get(&id).await.unwrap_err(), kind, &trouble);
        for path in [
            "/linode/types",
            "/regions",
            "/regions/availability",
            "/account/availability",
        ] {
            // All four are asked at once: one that was given up may still arrive, and must not use
            // up what is meant for the next.
            let struck = trouble.clone();
            fake.fault("GET", path, |method, path| {
                Fault::new(method, path, struck).always()
            });
            let offerings = provider.catalog().unwrap().offerings().await;
            judge(&offerings.unwrap_err(), kind, &trouble);
            fake.server().clear_faults();
        }
        order(fake, "GET", "/nodebalancers", &trouble);
        let members = provider.balancers().unwrap().members("web").await;
        judge(&members.unwrap_err(), kind, &trouble);
        order(fake, "GET", "/nodebalancers/*/configs", &trouble);
        let members = provider.balancers().unwrap().members("web").await;
        judge(&members.unwrap_err(), kind, &trouble);
        order(fake, "GET", "/domains/*/records", &trouble);
        let records = provider.dns().unwrap().list_records("example.com").await;
        judge(&records.unwrap_err(), kind, &trouble);
        // And then all is well again.
        assert_eq!(
            patient
                .list(&ListRequest::default())
                .await
                .unwrap()
                .nodes
                .len(),
            1
        );
        patient.get(&id).await.unwrap();
    }
}

fn id(fake: &Fake) -> NodeId {
    let native = fake.machines()[0].id.to_string();
    NodeId::new("linode", REGION, &native).unwrap()
}

#[tokio::test]
async fn delete_meets_every_fault_and_may_be_repeated() {
    for (trouble, kind, happens) in troubles() {
        let world = Faulty::new();
        let (fake, provider) = (&world.fake, &world.patient);
        fake.add_machines(REGION, 2);
        let id = id(fake);
        provider.get(&id).await.unwrap();
        order(fake, "DELETE", "/linode/instances/*", &trouble);
        let error = world.meets(&trouble).delete(&id).await.unwrap_err();
        judge(&error, kind, &trouble);
        assert_eq!(
            error.effect() == Effect::None,
            is_clear(&trouble),
            "{error:?}"
        );
        let is_late = matches!(trouble, Trouble::DelayBefore(_));
        if !is_late {
            let leaving = fake.machines().iter().filter(|m| !m.is_leaving).count();
            assert_eq!(leaving == 2, !happens, "{trouble:?}");
        }
        let mut last = provider.delete(&id).await.unwrap();
        for _ in 0..100 {
            if last == Deletion::Gone {
                break;
            }
            settle().await;
            last = provider.delete(&id).await.unwrap();
        }
        assert_eq!(last, Deletion::Gone);
        let left: Vec<u64> = fake.machines().into_iter().map(|m| m.id).collect();
        assert_eq!(left.len(), 1, "{trouble:?}");
        assert!(!left.contains(&id.native().parse().unwrap()));
    }
}

#[tokio::test]
async fn without_a_connection_nothing_has_happened() {
    let Faulty {
        mut fake,
        patient: provider,
        ..
    } = Faulty::new();
    fake.add_machines(REGION, 1);
    let id = id(&fake);
    fake.server_mut().refuse(true);
    let request = support::request(1, &json!({}));
    let errors = [
        provider.check().await.unwrap_err(),
        provider.create(&request).await.unwrap_err(),
        provider.list(&ListRequest::default()).await.unwrap_err(),
        provider.get(&id).await.unwrap_err(),
        provider.delete(&id).await.unwrap_err(),
    ];
    for error in errors {
        let seen = (error.kind(), error.effect());
        assert_eq!(seen, (Kind::Unavailable, Effect::None), "{error:?}");
    }
    fake.server_mut().refuse(false);
    assert_eq!(provider.create(&request).await.unwrap().nodes.len(), 1);
}

#[tokio::test]
async fn a_page_that_fails_is_a_gap_and_not_the_end() {
    let world = Faulty::new();
    let (fake, provider) = (&world.fake, &world.patient);
    fake.add_machines(REGION, 60);
    settle().await;
    let refusal = Trouble::Refuse(Reply::json(500, &json!({ "errors": [{ "reason": "x" }] })));
    fake.fault("GET", "/linode/instances", |method, path| {
        Fault::new(method, path, refusal).after(1)
    });
    let listing = provider.list(&ListRequest::default()).await.unwrap();
    assert_eq!(listing.nodes.len(), 25, "the first page");
    let gap = listing.coverage.gap(REGION).unwrap();
    assert_eq!(gap.error.kind, Kind::Unavailable);
    assert!(
        !listing.coverage.covers("eu-west"),
        "pages hold all regions"
    );
    let only = ListRequest {
        regions: Some(vec![REGION.to_owned()]),
        ..ListRequest::default()
    };
    let whole = provider.list(&only).await.unwrap();
    assert_eq!(whole.nodes.len(), 60);
    assert!(whole.coverage.gaps().is_empty());
}
