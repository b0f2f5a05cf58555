//! Scarcity by schedule, quotas, and what is told about them.

use std::time::Duration;

use fleetwright_core::{
    Availability, Catalog, Effect, Kind, Market, NodeSpec, Provider, Quotas, Result, Scope, Span,
};
use fleetwright_sim::{QuotaUnit, SimCapacity, SimConfig, SimQuota};

use crate::support::{Sim, again, ids, pass, quick, request, request_for, spec};

fn scarce(rule: SimCapacity) -> Sim {
    Sim::new(SimConfig {
        capacity: vec![rule],
        ..quick()
    })
}

fn in_zone(zone: &str) -> NodeSpec {
    NodeSpec {
        zone: Some(zone.to_owned()),
        ..spec("web")
    }
}

#[tokio::test]
async fn a_zone_that_is_sold_out_is_refused_with_its_scope_and_the_others_are_named() -> Result<()>
{
    let sim = scarce(SimCapacity {
        zone: Some("sim-east-a".to_owned()),
        ..SimCapacity::default()
    });
    let mut hints = Vec::new();
    for _ in 0..2 {
        let wanted = request_for(1, in_zone("sim-east-a"));
        let error = sim.provider.create(&wanted).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.scope(), error.effect()),
            (Kind::Capacity, Some(Scope::Zone), Effect::None)
        );
        hints.push(error.hint().map(str::to_owned));
    }
    // As clouds do, it names other zones in some of its refusals.
    assert_eq!(
        hints,
        [
            Some("there is some in `sim-east-b`, `sim-east-c`".to_owned()),
            None
        ]
    );
    // Where the cloud may choose, it chooses a zone that has some.
    let created = sim.provider.create(&request(4)).await?;
    assert!(
        created
            .nodes
            .iter()
            .all(|node| node.zone.as_deref() != Some("sim-east-a"))
    );
    Ok(())
}

#[tokio::test]
async fn a_region_gives_what_it_has_and_repeats_that_answer() -> Result<()> {
    let sim = scarce(SimCapacity {
        region: Some("sim-east".to_owned()),
        instance_type: Some("sim.small".to_owned()),
        count: 5,
        ..SimCapacity::default()
    });
    let wanted = request(8);
    let created = sim.provider.create(&wanted).await?;
    let shortfall = created.shortfall.unwrap();
    assert_eq!(created.nodes.len(), 5);
    assert_eq!(
        (shortfall.kind(), shortfall.scope()),
        (Kind::Capacity, Some(Scope::Region))
    );

    sim.provider.delete(&created.nodes[0].id).await?;
    let replay = sim.provider.create(&again(&wanted)).await?;
    assert_eq!(ids(&replay.nodes), ids(&created.nodes));
    assert_eq!(replay.shortfall.unwrap().report(), shortfall.report());

    // What was given back can be had by another request; other types were never scarce.
    assert_eq!(sim.provider.create(&request(2)).await?.nodes.len(), 1);
    let other = NodeSpec {
        instance_type: "sim.large".to_owned(),
        ..spec("web")
    };
    assert_eq!(
        sim.provider
            .create(&request_for(9, other))
            .await?
            .nodes
            .len(),
        9
    );
    Ok(())
}

#[tokio::test]
async fn machines_are_spread_over_the_zones() -> Result<()> {
    let sim = Sim::new(quick());
    let batch = sim.provider.create(&request(6)).await?.nodes;
    let mut single = Vec::new();
    for _ in 0..3 {
        single.extend(sim.provider.create(&request(1)).await?.nodes);
    }
    for (nodes, each) in [(batch, 2), (single, 1)] {
        for zone in ["sim-east-a", "sim-east-b", "sim-east-c"] {
            let here = nodes
                .iter()
                .filter(|node| node.zone.as_deref() == Some(zone));
            assert_eq!(here.count(), each, "{zone}");
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn capacity_comes_and_goes_by_schedule() -> Result<()> {
    let sim = Sim::new(SimConfig {
        tells_availability: true,
        capacity: vec![SimCapacity {
            market: Some(Market::Spot),
            region: Some("sim-east".to_owned()),
            from: Some(Span::minutes(1)),
            to: Some(Span::minutes(2)),
            ..SimCapacity::default()
        }],
        ..quick()
    });
    let spot = NodeSpec {
        market: Market::Spot,
        ..spec("web")
    };
    let mut seen = Vec::new();
    for _ in 0..3 {
        let created = sim.provider.create(&request_for(1, spot.clone())).await;
        let offerings = sim.provider.offerings().await?;
        let told = |region: &str| {
            let mut told = offerings
                .iter()
                .filter(|offer| offer.region == region && offer.market == Market::Spot)
                .map(|offer| offer.availability == Availability::Available);
            let first = told.next().unwrap();
            assert!(told.all(|other| other == first));
            first
        };
        seen.push((created.is_ok(), told("sim-east"), told("sim-west")));
        pass(Duration::from_mins(1)).await;
    }
    assert_eq!(
        seen,
        [(true, true, true), (false, false, true), (true, true, true)]
    );
    Ok(())
}

#[tokio::test]
async fn a_quota_is_a_refusal_for_its_whole_scope() -> Result<()> {
    for (unit, region, limit, possible, scope) in [
        (QuotaUnit::Nodes, None, 3, 3, Scope::Provider),
        (QuotaUnit::Vcpus, Some("sim-east"), 5, 2, Scope::Region),
    ] {
        let sim = Sim::new(SimConfig {
            quota: vec![SimQuota {
                unit,
                region: region.map(str::to_owned),
                limit,
            }],
            ..quick()
        });
        let created = sim.provider.create(&request(4)).await?;
        let shortfall = created.shortfall.unwrap();
        assert_eq!(created.nodes.len(), possible);
        assert_eq!(
            (shortfall.kind(), shortfall.scope()),
            (Kind::Quota, Some(scope))
        );
        let error = sim.provider.create(&request(1)).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (Kind::Quota, Effect::None));

        let west = NodeSpec {
            region: "sim-west".to_owned(),
            ..spec("web")
        };
        let elsewhere = sim.provider.create(&request_for(1, west)).await;
        assert_eq!(elsewhere.is_ok(), scope == Scope::Region);
        let told = Quotas::quotas(&sim.provider).await?.remove(0);
        assert_eq!((told.limit, told.region.as_deref()), (limit, region));
        assert_eq!(
            told.used,
            Some(if unit == QuotaUnit::Nodes { 3 } else { 4 })
        );
    }
    Ok(())
}
