//! Token buckets, latency and faults by chance.

use std::sync::Arc;
use std::time::Duration;

use fleetwright_core::{
    ApiLimit, Clock, Effect, Kind, LimitUnit, NodeSpec, Operation, Provider, Result, Span, Token,
};
use fleetwright_sim::{SimConfig, SimFaults, SimProvider, TokioClock};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::support::{Sim, again, pass, quick, request, request_for, spec};

#[tokio::test(start_paused = true)]
async fn whoever_is_throttled_and_waits_as_told_gets_through() -> Result<()> {
    let sim = Sim::new(SimConfig {
        api_limits: SimConfig::ec2_limits(),
        ..quick()
    });
    assert_eq!(sim.provider.info().limits, SimConfig::ec2_limits());
    let start = Instant::now();
    for _ in 0..9 {
        while let Err(error) = sim.provider.create(&request(1)).await {
            assert_eq!(
                (error.kind(), error.effect()),
                (Kind::RateLimited, Effect::None)
            );
            pass(error.retry_after().unwrap()).await;
        }
    }
    // Five at once, then two per second.
    assert_eq!(start.elapsed().as_millis(), 2000);
    assert_eq!(sim.world.throttled()?, 4);

    // Another region has buckets of its own.
    let west = NodeSpec {
        region: "sim-west".to_owned(),
        ..spec("web")
    };
    sim.provider.create(&request_for(1, west)).await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn machines_are_counted_besides_calls() -> Result<()> {
    let sim = Sim::new(SimConfig {
        api_limits: SimConfig::ec2_limits(),
        ..quick()
    });
    sim.provider.create(&request(1000)).await?;
    let error = sim.provider.create(&request(10)).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(5)));
    assert_eq!(sim.world.nodes()?.len(), 1000);
    Ok(())
}

#[tokio::test]
async fn providers_on_one_world_share_its_buckets() -> Result<()> {
    let config = SimConfig {
        api_limits: vec![ApiLimit {
            family: "all".to_owned(),
            operations: Operation::ALL.to_vec(),
            unit: LimitUnit::Calls,
            burst: 3,
            per_minute: 1,
            per_region: false,
        }],
        ..quick()
    };
    let sim = Sim::new(config.clone());
    let other = sim.other(config);
    sim.provider.check().await?;
    other.check().await?;
    sim.provider.create(&request(1)).await?;
    assert_eq!(other.check().await.unwrap_err().kind(), Kind::RateLimited);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_call_takes_its_latency_there_and_back() -> Result<()> {
    let sim = Sim::new(SimConfig {
        latency: "80ms".parse()?,
        page_size: 2,
        ..quick()
    });
    let start = Instant::now();
    sim.provider.create(&request(5)).await?;
    assert_eq!(start.elapsed().as_millis(), 80);
    sim.provider
        .list(&fleetwright_core::ListRequest::default())
        .await?;
    // Three pages one after the other; the other region meanwhile.
    assert_eq!(start.elapsed().as_millis(), 80 + 3 * 80);
    Ok(())
}

/// Plays a bad day and returns what the cloud wrote down.
async fn bad_day(seed: u64) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let config = SimConfig {
        seed,
        faults: SimFaults {
            refused: 50,
            lost_before: 50,
            lost_after: 50,
            garbage: 50,
            throttled: 50,
            auth_expired: 20,
            forbidden: 20,
            operations: None,
        },
        listing_lag: Span::seconds(3),
        ..SimConfig::default()
    };
    let clock = TokioClock::starting_at(Timestamp::UNIX_EPOCH);
    let path = folder.path().join("world");
    let sim = SimProvider::new("sim", config, path.clone(), Arc::new(clock))?;
    for day in 0..40 {
        let mut wanted = request_for(2, spec(&format!("n{day}")));
        wanted.token = Token::from_stored(format!("token-{day}"));
        while let Err(error) = sim.create(&wanted).await {
            wanted = again(&wanted);
            pass(error.retry_after().unwrap_or(Duration::from_millis(200))).await;
        }
        // Its outcome is part of the history.
        let _ = sim.list(&fleetwright_core::ListRequest::default()).await;
    }
    assert_eq!(sim.world().live_nodes()?.len(), 80);
    Ok(std::fs::read(path).unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_and_the_same_calls_give_the_same_history_to_the_byte() -> Result<()> {
    let first = bad_day(7).await?;
    assert_eq!(first, bad_day(7).await?);
    assert_ne!(first, bad_day(8).await?);
    Ok(())
}

#[tokio::test]
async fn faults_strike_as_often_as_configured_and_only_where_configured() -> Result<()> {
    let sim = Sim::new(SimConfig {
        faults: SimFaults {
            auth_expired: 200,
            operations: Some(vec![Operation::Check]),
            ..SimFaults::default()
        },
        ..quick()
    });
    let mut failures = 0;
    for _ in 0..400 {
        match sim.provider.check().await {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), Kind::Auth);
                failures += 1;
            }
        }
        sim.provider.catalog().unwrap().instance_types().await?;
    }
    assert!(
        (50..110).contains(&failures),
        "{failures} of 400, 80 expected"
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_scaled_clock_runs_faster_and_agrees_with_others_of_its_kind() {
    let (one, two) = (TokioClock::scaled(60), TokioClock::scaled(60));
    let apart = two.now().duration_since(one.now()).as_secs();
    assert!((0..600).contains(&apart), "{apart} s apart");
    let (before, start) = (one.now(), Instant::now());
    one.sleep(Duration::from_mins(1)).await;
    assert_eq!(one.now().duration_since(before).as_secs(), 60);
    assert_eq!(start.elapsed().as_secs(), 1);
}
