//! Catalog, balancers and DNS.

use std::time::Duration;

use fleetwright_core::ability::{DnsRecord, MemberHealth, RecordKind};
use fleetwright_core::{
    Availability, Balancers, Catalog, Dns, Kind, Market, Provider, Requirements, Result,
};

use crate::support::{Sim, pass, quick, request};

#[tokio::test]
async fn the_catalog_has_gpus_and_spot_at_about_a_third() -> Result<()> {
    let sim = Sim::new(quick());
    let types = sim.provider.instance_types().await?;
    for (model, gpus) in [("t4", 1), ("l4", 1), ("a100", 1), ("h100", 8)] {
        let want = Requirements {
            gpus: Some(gpus),
            gpu_model: Some(model.to_owned()),
            ..Requirements::default()
        };
        let fits = types.iter().filter(|sold| want.unmet_by(sold).is_none());
        assert_eq!(fits.count(), 1, "{model}");
    }
    let offerings = sim.provider.offerings().await?;
    assert_eq!(
        offerings.len(),
        types.len() * 5 * 2,
        "five zones, two markets"
    );
    assert!(
        offerings
            .iter()
            .all(|offer| offer.availability == Availability::Unknown)
    );
    for pair in offerings.chunks(2) {
        let [on_demand, spot] = pair else {
            panic!("an odd number of offerings");
        };
        assert_eq!(
            (on_demand.market, spot.market),
            (Market::OnDemand, Market::Spot)
        );
        let micros =
            |offer: &fleetwright_core::ability::Offering| offer.price.unwrap().micros_per_hour;
        assert_eq!(micros(spot), micros(on_demand) * 35 / 100);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_member_is_judged_serves_drains_and_leaves() -> Result<()> {
    let sim = Sim::new(quick());
    let node = sim.provider.create(&request(1)).await?.nodes.remove(0);
    let health = async || -> Result<Vec<MemberHealth>> {
        let members = sim.provider.members("web").await?;
        Ok(members.into_iter().map(|member| member.health).collect())
    };
    sim.provider.register("web", &node.id).await?;
    sim.provider.register("web", &node.id).await?;
    assert_eq!(health().await?, [MemberHealth::Initial]);
    pass(Duration::from_secs(1)).await;
    assert_eq!(health().await?, [MemberHealth::Healthy]);
    sim.provider.deregister("web", &node.id).await?;
    assert_eq!(health().await?, [MemberHealth::Draining]);
    pass(Duration::from_secs(1)).await;
    // Asking again does not begin the draining anew.
    sim.provider.deregister("web", &node.id).await?;
    pass(Duration::from_secs(1)).await;
    assert!(health().await?.is_empty());

    sim.provider.register("web", &node.id).await?;
    pass(Duration::from_secs(1)).await;
    sim.world.kill(&node.id)?;
    assert_eq!(health().await?, [MemberHealth::Unhealthy]);
    let gone = sim.provider.register("web", &node.id).await;
    assert_eq!(gone.unwrap_err().kind(), Kind::NotFound);
    Ok(())
}

fn record(name: &str, kind: RecordKind, values: &[&str]) -> DnsRecord {
    DnsRecord {
        name: name.to_owned(),
        kind,
        values: values.iter().map(|&value| value.to_owned()).collect(),
        ttl_seconds: 60,
    }
}

#[tokio::test]
async fn records_that_no_name_server_takes_are_refused() -> Result<()> {
    use RecordKind::{A, Aaaa, Cname, Txt};
    let sim = Sim::new(quick());
    let long = "x".repeat(256);
    let mut cases = vec![
        record("www.other.test", A, &["10.0.0.1"]),
        record("www.sim.test.", A, &["10.0.0.1"]),
        record("wwwsim.test", A, &["10.0.0.1"]),
        record("a..sim.test", A, &["10.0.0.1"]),
        record("Www.sim.test", A, &["10.0.0.1"]),
        record("www.sim.test", A, &[]),
        record("www.sim.test", A, &["10.0.0.256"]),
        record("www.sim.test", A, &["::1"]),
        record("www.sim.test", Aaaa, &["10.0.0.1"]),
        record("www.sim.test", Cname, &["a.sim.test", "b.sim.test"]),
        record("www.sim.test", Cname, &["not a host"]),
        record("sim.test", Cname, &["a.sim.test"]),
        record("www.sim.test", Txt, &[&long]),
    ];
    cases.push(DnsRecord {
        ttl_seconds: 0,
        ..record("www.sim.test", A, &["10.0.0.1"])
    });
    for case in cases {
        let error = sim.provider.upsert("sim.test", &case).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{case:?}");
    }
    assert!(sim.provider.list_records("sim.test").await?.is_empty());
    for good in [
        record("sim.test", A, &["10.0.0.1", "10.0.0.2"]),
        record("*.sim.test", Cname, &["sim.test"]),
        record("_acme.sim.test", Txt, &["any text"]),
    ] {
        sim.provider.upsert("sim.test", &good).await?;
    }
    assert_eq!(sim.provider.list_records("sim.test").await?.len(), 3);
    Ok(())
}

#[tokio::test]
async fn an_alias_stands_alone() -> Result<()> {
    let sim = Sim::new(quick());
    let address = record("www.sim.test", RecordKind::A, &["10.0.0.1"]);
    let alias = record("www.sim.test", RecordKind::Cname, &["sim.test"]);
    sim.provider.upsert("sim.test", &address).await?;
    let error = sim.provider.upsert("sim.test", &alias).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    sim.provider
        .remove("sim.test", "www.sim.test", RecordKind::A)
        .await?;
    sim.provider.upsert("sim.test", &alias).await?;
    let error = sim.provider.upsert("sim.test", &address).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert_eq!(sim.provider.list_records("sim.test").await?, [alias]);
    Ok(())
}
