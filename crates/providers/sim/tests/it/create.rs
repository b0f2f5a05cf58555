//! Exactly once, in the three ways that clouds offer, and what is refused.

use fleetwright_core::{
    Effect, Idempotency, Kind, Labels, Market, NodeSpec, Operation, Provider, Result, keys,
};
use fleetwright_sim::{Fault, Injection, Outcome, SimConfig};
use serde_json::{Map, Value};

use crate::support::{Sim, again, ids, quick, request, request_for, spec};

const MODES: [Idempotency; 3] = [
    Idempotency::NativeToken,
    Idempotency::DeterministicName,
    Idempotency::LabelThenList,
];

fn sim(idempotency: Idempotency) -> Sim {
    Sim::new(SimConfig {
        idempotency,
        ..quick()
    })
}

#[tokio::test]
async fn a_batch_is_one_call_with_a_token_and_one_per_machine_without() {
    for (mode, calls) in MODES.into_iter().zip([1, 4, 4]) {
        let sim = sim(mode);
        let created = sim.provider.create(&request(4)).await.unwrap();
        assert_eq!(created.nodes.len(), 4, "{mode:?}");
        let counts = sim.world.call_counts().unwrap();
        assert_eq!(counts[&Operation::Create].made, calls, "{mode:?}");
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_is_repeated_in_every_mode() -> Result<()> {
    for mode in MODES {
        let sim = sim(mode);
        let lost = Injection::new(Operation::Create, Fault::After(Kind::Unavailable));
        sim.world.inject(lost)?;
        let wanted = request(3);
        let error = sim.provider.create(&wanted).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.effect()),
            (Kind::Unavailable, Effect::Unknown)
        );
        let left = sim.world.live_nodes()?;
        assert!(!left.is_empty(), "{mode:?}: it did happen");

        let created = sim.provider.create(&again(&wanted)).await?;
        assert_eq!(created.nodes.len(), 3, "{mode:?}");
        assert_eq!(
            ids(&created.nodes),
            ids(&sim.world.live_nodes()?),
            "{mode:?}"
        );
        assert!(ids(&left).is_subset(&ids(&created.nodes)), "{mode:?}");
    }
    Ok(())
}

#[tokio::test]
async fn every_node_carries_the_token_and_says_whose_it_is() {
    for mode in MODES {
        let sim = sim(mode);
        let wanted = request_for(
            2,
            NodeSpec {
                labels: Labels::new(),
                ..spec("web")
            },
        );
        for node in sim.provider.create(&wanted).await.unwrap().nodes {
            assert_eq!(node.label(keys::CLAIM), Some(wanted.token.as_str()));
            assert!(node.is_managed(), "{mode:?}");
        }
    }
}

#[tokio::test]
async fn a_name_that_another_token_took_is_a_conflict() -> Result<()> {
    let sim = sim(Idempotency::DeterministicName);
    let first = sim.provider.create(&request(1)).await?;
    let error = sim.provider.create(&request(1)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::Conflict, Effect::None)
    );
    assert_eq!(error.to_string(), "the name `web-0` is taken in `sim-east`");

    sim.provider.delete(&first.nodes[0].id).await?;
    sim.provider.create(&request(1)).await?;
    let elsewhere = NodeSpec {
        region: "sim-west".to_owned(),
        ..spec("web")
    };
    sim.provider.create(&request_for(1, elsewhere)).await?;
    Ok(())
}

#[tokio::test]
async fn a_replay_that_cannot_list_makes_nothing_and_admits_that_it_does_not_know() -> Result<()> {
    let sim = sim(Idempotency::LabelThenList);
    let wanted = request(2);
    sim.provider.create(&wanted).await?;
    sim.world.break_listing("sim-east")?;
    let error = sim.provider.create(&again(&wanted)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (Kind::Unavailable, Effect::Unknown)
    );
    assert_eq!(sim.world.live_nodes()?.len(), 2);
    sim.world.heal_listing("sim-east")?;
    assert_eq!(sim.provider.create(&again(&wanted)).await?.nodes.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_replay_that_reads_half_a_listing_makes_nothing() -> Result<()> {
    let sim = Sim::new(SimConfig {
        idempotency: Idempotency::LabelThenList,
        page_size: 1,
        ..quick()
    });
    let wanted = request(3);
    let cut = Injection::new(Operation::Create, Fault::After(Kind::Timeout)).after(1);
    sim.world.inject(cut)?;
    sim.provider.create(&wanted).await.unwrap_err();
    assert_eq!(sim.world.live_nodes()?.len(), 2);
    let half = Injection::new(Operation::List, Fault::Before(Kind::Unavailable)).after(1);
    sim.world.inject(half)?;
    let error = sim.provider.create(&again(&wanted)).await.unwrap_err();
    assert_eq!(error.effect(), Effect::Unknown);
    assert_eq!(sim.world.live_nodes()?.len(), 2);
    assert_eq!(sim.provider.create(&again(&wanted)).await?.nodes.len(), 3);
    assert_eq!(sim.world.live_nodes()?.len(), 3);
    Ok(())
}

#[tokio::test]
async fn a_replay_without_native_protection_doubles_what_the_lag_hides() -> Result<()> {
    // The reason why a replay must wait for `listing_lag`: this cloud does not forgive haste.
    let sim = Sim::new(SimConfig {
        idempotency: Idempotency::LabelThenList,
        listing_lag: "1h".parse()?,
        ..quick()
    });
    let wanted = request(8);
    sim.provider.create(&wanted).await?;
    sim.provider.create(&again(&wanted)).await?;
    assert!(sim.world.live_nodes()?.len() > 8);
    Ok(())
}

#[tokio::test]
async fn a_refusal_of_a_replay_does_not_deny_the_first_call() -> Result<()> {
    for mode in MODES {
        let sim = sim(mode);
        let wanted = request(1);
        sim.provider.create(&wanted).await?;
        let refused = Injection::new(Operation::Create, Fault::Before(Kind::Auth)).times(2);
        sim.world.inject(refused)?;
        let first = sim.provider.create(&request(1)).await.unwrap_err();
        assert_eq!(
            first.effect(),
            Effect::None,
            "{mode:?}: nothing can have happened"
        );
        match sim.provider.create(&again(&wanted)).await {
            Err(error) => assert_eq!(error.effect(), Effect::Unknown, "{mode:?}"),
            // The listing has shown that nothing is missing.
            Ok(created) => assert_eq!(created.nodes.len(), 1, "{mode:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_replay_that_is_refused_half_way_does_not_deny_what_the_first_call_made() -> Result<()> {
    let sim = sim(Idempotency::DeterministicName);
    let wanted = request(3);
    // The third machine is made and its answer is lost; the replay is refused at the third.
    sim.world
        .inject(Injection::new(Operation::Create, Fault::After(Kind::Timeout)).after(2))?;
    let lost = sim.provider.create(&wanted).await.unwrap_err();
    assert_eq!(lost.effect(), Effect::Unknown);
    sim.world
        .inject(Injection::new(Operation::Create, Fault::Before(Kind::Unavailable)).after(2))?;
    let refused = sim.provider.create(&again(&wanted)).await.unwrap_err();
    assert_eq!(
        refused.effect(),
        Effect::Unknown,
        "the third machine exists: {refused:?}"
    );
    assert_eq!(sim.provider.create(&again(&wanted)).await?.nodes.len(), 3);
    assert_eq!(sim.world.live_nodes()?.len(), 3);
    Ok(())
}

#[tokio::test]
async fn a_row_of_calls_that_is_refused_half_way_is_a_partial_answer() -> Result<()> {
    let sim = sim(Idempotency::LabelThenList);
    let refused = Injection::new(Operation::Create, Fault::Before(Kind::RateLimited)).after(2);
    sim.world.inject(refused)?;
    let created = sim.provider.create(&request(5)).await?;
    assert_eq!(created.nodes.len(), 2);
    assert_eq!(created.shortfall.unwrap().kind(), Kind::RateLimited);
    Ok(())
}

#[tokio::test]
async fn a_token_keeps_its_first_answer_when_nodes_have_changed_since() -> Result<()> {
    let sim = sim(Idempotency::NativeToken);
    let wanted = request(2);
    let first = sim.provider.create(&wanted).await?;
    sim.provider.delete(&first.nodes[0].id).await?;
    let scarce = Injection::new(Operation::Create, Fault::Before(Kind::Capacity));
    sim.world.inject(scarce)?;
    let replay = sim.provider.create(&again(&wanted)).await?;
    assert_eq!(ids(&replay.nodes), ids(&first.nodes));
    assert!(replay.shortfall.is_none());
    assert!(replay.nodes[0].state.is_deleted() && !replay.nodes[1].state.is_deleted());
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_is_refused_without_a_call() {
    type Spoil = fn(&mut NodeSpec, &mut u32);
    let cases: [(&str, Spoil); 9] = [
        (
            "0 machines in one call; 1 to 1000 are possible",
            |_, count| *count = 0,
        ),
        (
            "1001 machines in one call; 1 to 1000 are possible",
            |_, count| *count = 1001,
        ),
        ("there is no region `mars`", |spec, _| {
            "mars".clone_into(&mut spec.region);
        }),
        ("there is no zone `sim-west-a` in `sim-east`", |spec, _| {
            spec.zone = Some("sim-west-a".to_owned());
        }),
        ("there is no instance type `x`", |spec, _| {
            "x".clone_into(&mut spec.instance_type);
        }),
        (
            "user data has 16385 bytes, 16384 are possible",
            |spec, _| {
                spec.user_data = Some("#".repeat(16_385));
            },
        ),
        ("a machine needs a name", |spec, _| spec.name.clear()),
        ("there is no option `color` here", |spec, _| {
            spec.options = Map::from_iter([("color".to_owned(), Value::Null)]);
        }),
        (
            "a machine may have 50 labels with keys of 1 to 128 and values of up to 256 bytes",
            |spec, _| {
                spec.labels.insert("note".to_owned(), "x".repeat(257));
            },
        ),
    ];
    let sim = Sim::new(quick());
    for (message, spoil) in cases {
        let (mut spec, mut count) = (spec("web"), 1);
        spoil(&mut spec, &mut count);
        let error = sim
            .provider
            .create(&request_for(count, spec))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.effect()),
            (Kind::Invalid, Effect::None)
        );
        assert_eq!(error.to_string(), message);
    }
    assert!(sim.world.calls().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_an_abandoned_call_has_made_is_found_by_its_replay() -> Result<()> {
    for mode in MODES {
        let sim = Sim::new(SimConfig {
            idempotency: mode,
            latency: "100ms".parse()?,
            ..quick()
        });
        let wanted = request(3);
        // The way there takes 50 ms, the way back as long: at 75 ms the first effect is there.
        let limit = std::time::Duration::from_millis(75);
        let call = tokio::time::timeout(limit, sim.provider.create(&wanted)).await;
        assert!(call.is_err());
        assert!(!sim.world.live_nodes()?.is_empty(), "{mode:?}");
        let created = sim.provider.create(&again(&wanted)).await?;
        assert_eq!(created.nodes.len(), 3);
        assert_eq!(
            ids(&created.nodes),
            ids(&sim.world.live_nodes()?),
            "{mode:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_spot_machine_costs_what_the_spot_market_says() -> Result<()> {
    let sim = sim(Idempotency::NativeToken);
    let spot = NodeSpec {
        market: Market::Spot,
        ..spec("web")
    };
    let node = sim
        .provider
        .create(&request_for(1, spot))
        .await?
        .nodes
        .remove(0);
    assert_eq!(node.price.unwrap().to_string(), "$0.01456/h");
    assert_eq!(node.market, Market::Spot);
    Ok(())
}

#[tokio::test]
async fn the_books_say_what_came_of_each_call() -> Result<()> {
    let sim = sim(Idempotency::NativeToken);
    for fault in [Fault::Before(Kind::Timeout), Fault::After(Kind::Timeout)] {
        sim.world.inject(Injection::new(Operation::Create, fault))?;
    }
    let wanted = request(2);
    sim.provider.create(&wanted).await.unwrap_err();
    sim.provider.create(&again(&wanted)).await.unwrap_err();
    sim.provider.create(&again(&wanted)).await?;
    let outcomes: Vec<Outcome> = sim.world.calls()?.iter().map(|call| call.outcome).collect();
    assert_eq!(
        outcomes,
        [Outcome::LostBefore, Outcome::LostAfter, Outcome::Answered]
    );
    assert!(sim.world.calls()?.iter().all(|call| call.machines == 2));
    Ok(())
}
