//! Each operation × each fault: the right kind, the right effect, nothing twice, nothing left over.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use fleetwright_core::ability::{DnsRecord, RecordKind};
use fleetwright_core::{
    Balancers as _, Catalog as _, Deletion, Dns as _, Effect, Error, Kind, ListRequest, NodeId,
    Provider as _, Quotas, Result, Span,
};
use fleetwright_digitalocean::DigitalOceanProvider;
use fleetwright_rest::testing::{Fault, Reply, Trouble};
use serde_json::json;

use crate::support::{Bed, REGION, SIZE, config, provider_at, replay, request, spec};

type Doing<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// An operation, and the call of it that fails.
struct Operation {
    name: &'static str,
    method: &'static str,
    path: &'static str,
    /// Whether that call changes something.
    changes: bool,
    /// Whether its answer has a body.
    has_body: bool,
    run: for<'a> fn(&'a DigitalOceanProvider, &'a NodeId) -> Doing<'a>,
}

fn record() -> DnsRecord {
    DnsRecord {
        name: "www.example.com".to_owned(),
        kind: RecordKind::A,
        values: vec!["192.0.2.1".to_owned()],
        ttl_seconds: 300,
    }
}

/// All operations but `create` and `delete`, which are looked at more closely.
fn operations() -> Vec<Operation> {
    let read = |name, path, run| Operation {
        name,
        method: "GET",
        path,
        changes: false,
        has_body: true,
        run,
    };
    let change = |name, method, path, has_body, run| Operation {
        name,
        method,
        path,
        changes: true,
        has_body,
        run,
    };
    vec![
        read("check", "/v2/account", |p, _| {
            Box::pin(async { p.check().await.map(drop) })
        }),
        read("list", "/v2/droplets", |p, _| {
            Box::pin(async {
                let listing = p.list(&ListRequest::default()).await?;
                match listing.coverage.gaps().first() {
                    Some(gap) => Err(Error::from(gap.error.clone())),
                    None => Ok(()),
                }
            })
        }),
        read("get", "/v2/droplets/*", |p, id| {
            Box::pin(async { p.get(id).await.map(drop) })
        }),
        read("instance_types", "/v2/sizes", |p, _| {
            Box::pin(async { p.instance_types().await.map(drop) })
        }),
        read("offerings", "/v2/regions", |p, _| {
            Box::pin(async { p.offerings().await.map(drop) })
        }),
        read("quotas", "/v2/account", |p, _| {
            Box::pin(async { Quotas::quotas(p).await.map(drop) })
        }),
        read("members", "/v2/load_balancers", |p, _| {
            Box::pin(async { p.members("web").await.map(drop) })
        }),
        read("list_zones", "/v2/domains", |p, _| {
            Box::pin(async { p.list_zones().await.map(drop) })
        }),
        read("list_records", "/v2/domains/*/records", |p, _| {
            Box::pin(async { p.list_records("example.com").await.map(drop) })
        }),
        change(
            "register",
            "POST",
            "/v2/load_balancers/*/droplets",
            false,
            |p, id| Box::pin(async { p.register("web", id).await }),
        ),
        change("upsert", "POST", "/v2/domains/*/records", true, |p, _| {
            Box::pin(async { p.upsert("example.com", &record()).await })
        }),
        change(
            "deregister",
            "DELETE",
            "/v2/load_balancers/*/droplets",
            false,
            |p, id| {
                Box::pin(async {
                    p.register("web", id).await?;
                    p.deregister("web", id).await
                })
            },
        ),
        change(
            "remove",
            "DELETE",
            "/v2/domains/*/records/*",
            false,
            |p, _| {
                Box::pin(async {
                    p.upsert("example.com", &record()).await?;
                    p.remove("example.com", "www.example.com", RecordKind::A)
                        .await
                })
            },
        ),
    ]
}

/// A fault, as what it comes back, and whether a change may have happened.
struct Row {
    trouble: Trouble,
    kind: Kind,
    effect: Effect,
    needs_body: bool,
}

const PATIENCE: Duration = Duration::from_millis(300);

fn rows() -> Vec<Row> {
    let row = |trouble, kind, effect| Row {
        trouble,
        kind,
        effect,
        needs_body: false,
    };
    let in_body = |trouble, kind| Row {
        needs_body: true,
        ..row(trouble, kind, Effect::Unknown)
    };
    let server_error = Reply::json(
        500,
        &json!({ "id": "server_error", "message": "Unexpected server-side error" }),
    );
    let late = PATIENCE * 2;
    vec![
        row(Trouble::ResetBefore, Kind::Unavailable, Effect::Unknown),
        row(Trouble::ResetAfter, Kind::Unavailable, Effect::Unknown),
        row(Trouble::DelayAfter(late), Kind::Timeout, Effect::Unknown),
        row(Trouble::DelayBefore(late), Kind::Timeout, Effect::Unknown),
        row(Trouble::too_many(Some(7)), Kind::RateLimited, Effect::None),
        row(
            Trouble::Refuse(server_error),
            Kind::Unavailable,
            Effect::Unknown,
        ),
        row(Trouble::gateway(503), Kind::Unavailable, Effect::Unknown),
        row(
            Trouble::gateway_after(502),
            Kind::Unavailable,
            Effect::Unknown,
        ),
        row(Trouble::Html, Kind::Unexpected, Effect::Unknown),
        in_body(Trouble::Truncate, Kind::Unavailable),
        in_body(Trouble::Garbage, Kind::Unexpected),
    ]
}

/// A bed, and an impatient provider beside its own. The judge has read its description.
async fn bed() -> (Bed, DigitalOceanProvider) {
    let bed = Bed::new();
    bed.fake.add_balancer("web", REGION, None);
    bed.fake.add_domain("example.com");
    bed.check().await.unwrap();
    let node = bed.create(&request(spec(), 3)).await.unwrap().nodes;
    bed.settle(Duration::from_mins(1)).await;
    for operation in operations() {
        (operation.run)(&bed.provider, &node[0].id).await.unwrap();
    }
    for node in &node {
        bed.delete(&node.id).await.unwrap();
    }
    bed.settle(Duration::from_mins(1)).await;
    let mut config = config(bed.fake.endpoint());
    config.call_timeout = Span(PATIENCE);
    let impatient = provider_at(config, &bed.settings.token, &bed.clock);
    (bed, impatient)
}

/// Waits for what a delayed call still does.
async fn let_it_come(bed: &Bed) {
    tokio::time::sleep(PATIENCE * 2).await;
    bed.settle(Duration::from_mins(1)).await;
}

#[tokio::test]
async fn every_fault_at_every_operation_is_what_it_is() {
    let (bed, impatient) = bed().await;
    let droplet = bed.fake.add_droplet("web", REGION, SIZE, &[]);
    let id = NodeId::new("do", REGION, &droplet.to_string()).unwrap();
    for operation in operations() {
        for row in rows() {
            if row.needs_body && !operation.has_body {
                continue;
            }
            let what = format!("{}: {:?}", operation.name, row.trouble);
            // What the last round left.
            bed.deregister("web", &id).await.unwrap();
            bed.remove("example.com", "www.example.com", RecordKind::A)
                .await
                .unwrap();
            let fault = Fault::new(operation.method, operation.path, row.trouble.clone());
            bed.fake.server().fault(fault);
            let error = (operation.run)(&impatient, &id).await.expect_err(&what);
            assert_eq!(error.kind(), row.kind, "{what}: {error:?}");
            let effect = if operation.changes {
                row.effect
            } else {
                Effect::None
            };
            assert_eq!(error.effect(), effect, "{what}: {error:?}");
            if row.kind == Kind::RateLimited {
                assert_eq!(error.retry_after(), Some(Duration::from_secs(7)), "{what}");
            }
            if row.kind == Kind::Timeout {
                let_it_come(&bed).await;
            }
            (operation.run)(&bed.provider, &id).await.expect(&what);
        }
    }
    let records = bed.list_records("example.com").await.unwrap();
    assert!(
        records
            .iter()
            .filter(|r| r.name == "www.example.com")
            .all(|r| r.values.len() == 1)
    );
    bed.finish();
}

#[tokio::test]
async fn every_fault_at_a_create_leaves_exactly_what_was_asked_for() {
    let (bed, impatient) = bed().await;
    for row in rows() {
        let what = format!("create: {:?}", row.trouble);
        let fault = Fault::new("POST", "/v2/droplets", row.trouble.clone());
        bed.fake.server().fault(fault);
        let request = request(spec(), 3);
        let error = impatient.create(&request).await.expect_err(&what);
        let seen = (error.kind(), error.effect());
        assert_eq!(seen, (row.kind, row.effect), "{what}: {error:?}");
        let real = bed.fake.droplets().len();
        let may_be = row.trouble.has_effect() || error.effect() == Effect::Unknown;
        assert!(real == 0 || may_be, "{what}: {real} droplets are there");
        let_it_come(&bed).await;
        let created = bed.create(&replay(&request)).await.expect(&what);
        assert!(created.shortfall.is_none(), "{what}: {created:?}");
        let names: Vec<&str> = created.nodes.iter().map(|n| &*n.name).collect();
        assert_eq!(names, ["web-0", "web-1", "web-2"], "{what}");
        assert_eq!(bed.fake.droplets().len(), 3, "{what}");
        for node in &created.nodes {
            bed.delete(&node.id).await.unwrap();
        }
        bed.settle(Duration::from_mins(1)).await;
    }
    bed.finish();
}

#[tokio::test]
async fn every_fault_at_a_delete_removes_that_droplet_or_none() {
    let (bed, impatient) = bed().await;
    bed.fake.add_droplet("other", REGION, SIZE, &[]);
    for row in rows().into_iter().filter(|row| !row.needs_body) {
        let what = format!("delete: {:?}", row.trouble);
        let droplet = bed.fake.add_droplet("web", REGION, SIZE, &[]);
        let id = NodeId::new("do", REGION, &droplet.to_string()).unwrap();
        let fault = Fault::new("DELETE", "/v2/droplets/*", row.trouble.clone());
        bed.fake.server().fault(fault);
        let error = impatient.delete(&id).await.expect_err(&what);
        let seen = (error.kind(), error.effect());
        assert_eq!(seen, (row.kind, row.effect), "{what}: {error:?}");
        if row.kind == Kind::Timeout {
            tokio::time::sleep(PATIENCE * 2).await;
        }
        // Again: begun now, or under way already.
        let again = bed.delete(&id).await.expect(&what);
        assert_eq!(again, Deletion::Started, "{what}");
        bed.settle(Duration::from_mins(1)).await;
        assert_eq!(bed.delete(&id).await.unwrap(), Deletion::Gone, "{what}");
        let left: Vec<String> = bed.fake.droplets().into_iter().map(|d| d.name).collect();
        assert_eq!(left, ["other"], "{what}");
    }
    bed.finish();
}

#[tokio::test]
async fn a_server_that_refuses_connections_was_asked_nothing() {
    let (mut bed, _) = bed().await;
    let request = request(spec(), 1);
    bed.fake.server_mut().refuse(true);
    let error = bed.create(&request).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::Unavailable, Effect::None)
    );
    let error = bed.create(&replay(&request)).await.unwrap_err();
    // Whether the first call made something, this one could not find out.
    assert_eq!(error.effect(), Effect::Unknown);
    assert!(bed.list(&ListRequest::default()).await.is_err());
    bed.fake.server_mut().refuse(false);
    let created = bed.create(&replay(&request)).await.unwrap();
    assert_eq!(created.nodes.len(), 1);
    assert_eq!(bed.fake.droplets().len(), 1);
    bed.finish();
}

#[tokio::test]
async fn a_page_that_fails_is_a_gap_and_not_the_end() {
    let bed = Bed::with(fleetwright_digitalocean::fake::FakeSettings {
        page: 2,
        ..fleetwright_digitalocean::fake::FakeSettings::default()
    });
    bed.create(&request(spec(), 5)).await.unwrap();
    bed.settle(Duration::from_mins(1)).await;
    let fault = Fault::new("GET", "/v2/droplets", Trouble::gateway(502)).with_query("page", 2);
    bed.fake.server().fault(fault);
    let listing = bed.list(&ListRequest::default()).await.unwrap();
    assert_eq!(listing.nodes.len(), 2);
    for region in ["nyc3", "fra1"] {
        let gap = listing
            .coverage
            .gap(region)
            .expect("a team is listed whole");
        assert_eq!(gap.error.kind, Kind::Unavailable);
    }
    let whole = bed.list(&ListRequest::default()).await.unwrap();
    assert!(whole.coverage.gaps().is_empty());
    assert_eq!(whole.nodes.len(), 5);
    bed.finish();
}
